"""`huzheng member`: from the plan of a newcomer to the change that lets it vote, one file after the other."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from ledger.statement import verify_bundle
from node.genesis_file import read_genesis
from node.network import Network
from scripts.local.network import free_ports
from tests.command_line import CommandLine


@pytest.fixture
def seat(huzheng: CommandLine, network: Network, tmp_path: Path) -> Path:
    """The seat file of the tax department, which is to join."""
    assert huzheng("network", "plan", "plan.toml", "-n", 2, "--base-port", free_ports(2)).status == 0
    made = huzheng("member", "prepare", "plan.toml", "tax", "home", "--genesis", network.genesis, "-o", "json")
    return Path(made.json["seat_file"])


def admin(network: Network) -> tuple[str, Path]:
    return "--profile", network.clients["planning"] / "system"


def test_a_department_is_let_in_and_listed(huzheng: CommandLine, network: Network, seat: Path) -> None:
    before = huzheng("member", "list", *admin(network), "-o", "json").json
    assert (before["in_force"]["epoch"], before["next"]) == (0, None)
    proposed = huzheng("member", "propose", "a.change", "--department", seat, *admin(network))
    assert (proposed.status, "nobody yet" in proposed.out, "1 / 1" in proposed.out) == (0, True, True)
    refused = huzheng("member", "submit", "a.change", *admin(network), "-o", "json")
    assert refused.error["code"] == "MALFORMED_TRANSACTION"
    assert huzheng("member", "sign", "a.change", *admin(network)).status == 0
    shown = huzheng("member", "show", "a.change", "-g", network.genesis, "-o", "json").json
    assert shown["approved_by"] == ["planning"]
    assert [action["action"] for action in shown["actions"]] == ["add_department"]
    assert huzheng("member", "submit", "a.change", *admin(network)).status == 0
    assert huzheng("member", "list", "--epochs", "members.epochs", *admin(network)).status == 0
    assert len(verify_bundle(Path("members.epochs").read_bytes(), read_genesis(network.genesis))) == 2
    again = huzheng("member", "submit", "a.change", *admin(network), "-o", "json")
    assert again.error["code"] in ("CHANGE_PENDING", "WRONG_EPOCH")
    # Known by now: the replica alone is proposed.
    seated = huzheng("member", "propose", "b.change", "--seat", seat, *admin(network), "-o", "json").json
    assert [action["action"] for action in seated["actions"]] == ["add_replica"]
    listed = huzheng("member", "list", *admin(network), "--lang", "zh")
    assert "由创世起的 1 次变更证明。" in listed.err


def test_prepared_files_hold_no_secret_and_start_a_node(
    huzheng: CommandLine, network: Network, seat: Path, tmp_path: Path
) -> None:
    assert "PRIVATE" not in seat.read_text()
    home = tmp_path / "home"
    assert huzheng("node", "start", home / "node", "--check").status == 0
    assert 'department = "planning"' in (home / "node" / "node.toml").read_text()
    status = huzheng("node", "status", "--profile", home / "clients" / "clerk", "-o", "json")
    assert status.error["code"] in ("NODE_UNREACHABLE", "TLS_REFUSED")


def test_another_key_for_a_node(huzheng: CommandLine, network: Network) -> None:
    node = network.nodes["planning"]
    made = huzheng("member", "new-key", node, "next.key", "next.json", "-o", "json").json
    assert huzheng("member", "propose", "k.change", "--seat", "next.json", *admin(network)).status == 0
    shown = huzheng("member", "show", "k.change", "-g", network.genesis, "-o", "json").json
    expected = {"action": "replace_key", "replica": 1, "department": "planning", "public_key": made["public_key"]}
    assert shown["actions"] == [expected]
    again = huzheng("member", "new-key", node, "next.key", "other.json", "-o", "json")
    assert again.error["code"] == "KEY_FILE_EXISTS"
    assert huzheng("member", "new-key", node, "other.key", "next.json", "-o", "json").error["code"] == "FILE_ACCESS"
    assert not Path("other.key").exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"replica": 9}, "MEMBER_FILE_INVALID"),
        ({"department": "housing"}, "MEMBER_FILE_INVALID"),
        ({"consensus_key": "0" * 64}, "MEMBER_FILE_INVALID"),
        ({"proof": "0" * 128}, "BAD_SIGNATURE"),
        ({"chain_id": "0" * 64}, "WRONG_CHAIN"),
        ({"format": 2}, "MEMBER_FILE_INVALID"),
        ({"extra": 1}, "MEMBER_FILE_INVALID"),
        ({"seat": "00"}, "NOT_STRICT"),
    ],
)
def test_a_seat_file_that_was_tampered_with_is_refused(
    huzheng: CommandLine, network: Network, seat: Path, change: dict[str, object], code: str
) -> None:
    document = msgspec.json.decode(seat.read_bytes()) | change
    Path("bad.json").write_text(json.dumps(document))
    ran = huzheng("member", "propose", "c.change", "--seat", "bad.json", *admin(network), "-o", "json")
    assert ran.error["code"] == code
    assert not Path("c.change").exists()


def test_a_department_may_not_join_with_the_ca_of_another(huzheng: CommandLine, network: Network, seat: Path) -> None:
    document = msgspec.json.decode(seat.read_bytes())
    document["joins"]["ca_certificate"] = (network.directory / "authorities" / "planning" / "ca.crt").read_text()
    Path("bad.json").write_text(json.dumps(document))
    ran = huzheng("member", "propose", "c.change", "--seat", "bad.json", *admin(network), "-o", "json")
    assert ran.error["code"] == "MEMBER_FILE_INVALID"


def test_files_of_two_changes_are_not_mixed_and_garbage_is_said(
    huzheng: CommandLine, network: Network, seat: Path
) -> None:
    for name, protocol in (("a.change", 2), ("b.change", 3)):
        assert huzheng("member", "propose", name, "--protocol", protocol, *admin(network)).status == 0
    mixed = huzheng("member", "submit", "a.change", "b.change", *admin(network), "-o", "json")
    assert mixed.error["code"] == "BAD_FILE"
    nothing = huzheng("member", "propose", "c.change", *admin(network), "-o", "json")
    assert nothing.error["code"] == "INVALID_REQUEST"
    taken = huzheng("member", "propose", "a.change", "--protocol", 2, *admin(network), "-o", "json")
    assert taken.error["code"] == "FILE_ACCESS"
    Path("garbage.change").write_bytes(b"\xff" * 50)
    for arguments in (("sign", "garbage.change", *admin(network)), ("show", "garbage.change", "-g", network.genesis)):
        assert huzheng("member", *arguments, "-o", "json").error["code"] == "BAD_FILE"
    damaged = bytearray(Path("a.change").read_bytes())
    assert huzheng("member", "sign", "a.change", *admin(network)).status == 0
    damaged = bytearray(Path("a.change").read_bytes())
    damaged[-1] ^= 1
    Path("a.change").write_bytes(damaged)
    shown = huzheng("member", "show", "a.change", "-g", network.genesis, "-o", "json")
    assert shown.error["code"] == "BAD_SIGNATURE"

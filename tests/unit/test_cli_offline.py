"""Commands that need no node: networks, keys, samples, and verifying receipts."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import pytest
from huzheng.v1 import transaction_pb2

from ledger.crypto import ED25519_SHA256
from ledger.receipt import block_proofs, build_receipt
from node.cli.output import Output, OutputFormat
from node.cli.texts import Texts
from tests.builders import Consortium
from tests.command_line import CommandLine
from tests.vectors import load


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "LANG",
        "LC_ALL",
        "LC_MESSAGES",
        "COLUMNS",
        "HUZHENG_PROFILE",
        "HUZHENG_GENESIS",
        "HUZHENG_PASSPHRASE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def huzheng(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@dataclass(frozen=True, slots=True)
class Receipts:
    """Receipt files and the genesis they belong to."""

    genesis: Path
    accepted: Path
    refused: Path
    chain_id: str


@pytest.fixture(scope="module")
def receipts(tmp_path_factory: pytest.TempPathFactory) -> Receipts:
    """A record's receipt, and that of a refused transaction, by the suite of production."""
    directory = tmp_path_factory.mktemp("receipts")
    consortium = Consortium(ED25519_SHA256)
    good = consortium.transaction([consortium.record(1)])
    bad = consortium.transaction([consortium.record(2, 3, bytes(32))], nonce=1)
    block = consortium.chain().add(good, bad)
    certificate = consortium.certificate(block)
    ids = [item.id for item in block.transactions]
    proofs = block_proofs(consortium.genesis, block.header, certificate, ids, block.results)
    accepted = build_receipt(consortium.genesis, proofs, 0, transaction_pb2.Transaction.FromString(good), 0)
    refused = build_receipt(consortium.genesis, proofs, 1, transaction_pb2.Transaction.FromString(bad))
    (directory / "genesis.bin").write_bytes(consortium.genesis.raw)
    (directory / "accepted.receipt").write_bytes(accepted)
    (directory / "refused.receipt").write_bytes(refused)
    return Receipts(
        directory / "genesis.bin",
        directory / "accepted.receipt",
        directory / "refused.receipt",
        consortium.genesis.chain_id.hex(),
    )


def test_a_valid_receipt_is_shown_with_its_anchor(huzheng: CommandLine, receipts: Receipts) -> None:
    ran = huzheng("verify", receipts.accepted, "--genesis", receipts.genesis)
    assert ran.status == 0
    assert "VALID: this record is on the chain." in ran.out
    assert receipts.chain_id in ran.out
    assert "property.objection" in ran.out


@pytest.mark.parametrize("columns", ["40", "80", "120"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_ids_are_never_broken_over_lines(
    huzheng: CommandLine, receipts: Receipts, monkeypatch: pytest.MonkeyPatch, language: str, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    view = huzheng("verify", receipts.accepted, "-g", receipts.genesis, "-o", "json").json
    ran = huzheng("verify", receipts.accepted, "-g", receipts.genesis, "--lang", language)
    for value in (view["record"]["subject"], view["record"]["id"], view["transaction_id"], view["chain_id"]):
        assert value in ran.out


@pytest.mark.parametrize("columns", ["40", "80", "120"])
def test_a_table_has_its_ids_whole_at_every_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    rows = [(version, "asserts", "2026-02-23 08:00:00 +0000", 7, f"{version}" * 64) for version in (1, 2, 3)]
    Output(OutputFormat.TABLE, Texts("en")).table("", ["Version", "Action", "Time", "Block", "Record id"], rows)
    out = capsys.readouterr().out
    assert all(f"{version}" * 64 in out for version in (1, 2, 3))
    assert out.count("2026-02-23") == 3


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_a_clerk_compares_is_never_broken_over_lines(
    huzheng: CommandLine, receipts: Receipts, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    view = huzheng("verify", receipts.accepted, "-g", receipts.genesis, "-o", "json").json
    ran = huzheng("verify", receipts.accepted, "-g", receipts.genesis, "--lang", language)
    for value in (view["record"]["subject"], *view["record"]["fields"].values()):
        assert value in ran.out


def test_a_column_of_ids_is_kept_whole_where_others_can_give_way(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [("1" * 28, "7", "Planning and Natural Resources (planning) of some place far away", "2026-02-23 08:00:00")]
    monkeypatch.setenv("COLUMNS", "80")
    Output(OutputFormat.TABLE, Texts("en")).table("", ["Subject", "Version", "Written by", "Time"], rows)
    assert "1" * 28 in capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "40")
    Output(OutputFormat.TABLE, Texts("en")).table("", ["Subject", "Version", "Written by", "Time"], rows)
    assert capsys.readouterr().out.count("1") == 28


def test_a_verdict_in_chinese_names_fields_as_clerks_do(huzheng: CommandLine, receipts: Receipts) -> None:
    ran = huzheng("verify", receipts.accepted, "--genesis", receipts.genesis, "--lang", "zh")
    assert ran.status == 0
    assert "验证通过：该记录已上链。" in ran.out
    assert "异议登记" in ran.out


def test_a_verdict_for_programs(huzheng: CommandLine, receipts: Receipts) -> None:
    view = huzheng("verify", receipts.accepted, "-g", receipts.genesis, "-o", "json").json
    assert (view["valid"], view["accepted"], view["chain_id"]) == (True, True, receipts.chain_id)
    assert view["record"]["resource"] == "property.objection"


def test_a_receipt_of_a_refusal_does_not_exit_with_0(huzheng: CommandLine, receipts: Receipts) -> None:
    ran = huzheng("verify", receipts.refused, "-g", receipts.genesis)
    assert ran.status == 5
    assert "REFUSAL" in ran.out
    assert "VERSION_CONFLICT" in ran.out


def test_a_forged_receipt_proves_nothing(huzheng: CommandLine, receipts: Receipts, tmp_path: Path) -> None:
    raw = bytearray(receipts.accepted.read_bytes())
    raw[len(raw) // 2] ^= 1
    forged = tmp_path / "forged.receipt"
    forged.write_bytes(raw)
    ran = huzheng("verify", forged, "-g", receipts.genesis)
    assert ran.status == 4
    assert "NOT PROVEN" in ran.out
    assert "Traceback" not in ran.err
    view = huzheng("verify", forged, "-g", receipts.genesis, "-o", "json").json
    assert view["valid"] is False
    assert view["error"]["hint"]


@pytest.mark.parametrize("raw", [b"hello", bytes(1000)])
def test_a_file_that_is_no_receipt_proves_nothing(
    huzheng: CommandLine, receipts: Receipts, tmp_path: Path, raw: bytes
) -> None:
    path = tmp_path / "x"
    path.write_bytes(raw)
    assert huzheng("verify", path, "-g", receipts.genesis).status == 4


def test_an_empty_file_is_called_empty(huzheng: CommandLine, receipts: Receipts, tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    ran = huzheng("verify", tmp_path / "x", "-g", receipts.genesis)
    assert ran.status == 4
    assert "BAD_FILE" in ran.err
    assert "the file is empty" in ran.err


def test_of_several_receipts_the_worst_decides(huzheng: CommandLine, receipts: Receipts, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.write_bytes(b"x")
    ran = huzheng("verify", receipts.accepted, nothing, receipts.refused, "-g", receipts.genesis, "-o", "json")
    assert ran.status == 4
    assert [json.loads(line)["valid"] for line in ran.out.splitlines()] == [True, False, True]


def test_files_that_cannot_be_read_are_no_verdict(huzheng: CommandLine, receipts: Receipts, tmp_path: Path) -> None:
    assert huzheng("verify", tmp_path / "nowhere", "-g", receipts.genesis).status == 9
    assert huzheng("verify", receipts.accepted, "-g", tmp_path / "nowhere").status == 9


@pytest.mark.parametrize("kind", ["receipt", "statement"])
def test_what_is_known_of_epochs_bounds_them(huzheng: CommandLine, tmp_path: Path, kind: str) -> None:
    vectors = load("history.json")
    case = next(case for case in vectors["over"] if case["kind"] == kind and case["code"] == "BAD_PROOF")
    for name, raw in (("genesis", vectors["genesis"]), ("proof", case["bytes"]), ("epochs", case["epochs"])):
        (tmp_path / name).write_bytes(bytes.fromhex(raw))
    command = ["verify", tmp_path / "proof", "-g", tmp_path / "genesis", "-o", "json"]
    assert huzheng(*command).json["valid"] is True
    ran = huzheng(*command, "--epochs", tmp_path / "epochs")
    assert (ran.status, ran.json["error"]["code"]) == (4, "BAD_PROOF")


def test_an_anchor_that_is_no_regular_file_is_refused_and_not_waited_for(
    huzheng: CommandLine, receipts: Receipts, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        ran = huzheng("verify", receipts.accepted, "-g", receipts.genesis, "--anchor", path)
        assert ran.status == 9
        assert f"{path}: not a regular file" in ran.err


def test_a_file_that_is_no_genesis_is_refused(huzheng: CommandLine, receipts: Receipts) -> None:
    ran = huzheng("verify", receipts.accepted, "-g", receipts.accepted)
    assert ran.status == 3
    assert "BAD_GENESIS" in ran.err


def test_the_chain_id_as_published_can_be_demanded(huzheng: CommandLine, receipts: Receipts) -> None:
    assert huzheng("verify", receipts.accepted, "-g", receipts.genesis, "--chain-id", receipts.chain_id).status == 0
    ran = huzheng("verify", receipts.accepted, "-g", receipts.genesis, "--chain-id", "00" * 32)
    assert ran.status == 3
    assert "WRONG_CHAIN" in ran.err


def test_without_any_genesis_the_error_says_where_to_get_one(huzheng: CommandLine, receipts: Receipts) -> None:
    ran = huzheng("verify", receipts.accepted)
    assert ran.status == 9
    assert "CONFIG_MISSING" in ran.err


def test_a_receipt_of_another_chain_proves_nothing(huzheng: CommandLine, receipts: Receipts, tmp_path: Path) -> None:
    other = tmp_path / "other.bin"
    other.write_bytes(Consortium(ED25519_SHA256, n=7).genesis.raw)
    ran = huzheng("verify", receipts.accepted, "-g", other)
    assert ran.status == 4
    assert "WRONG_CHAIN" in ran.err


def test_a_network_is_made_and_never_over_another(huzheng: CommandLine, tmp_path: Path) -> None:
    ran = huzheng("network", "init", tmp_path / "net", "-n", 2, "-o", "json")
    assert ran.status == 0
    assert len(ran.json["chain_id"]) == 64
    assert set(ran.json["nodes"]) == {"planning", "tax"}
    again = huzheng("network", "init", tmp_path / "net")
    assert again.status == 9
    assert "NETWORK_DIRECTORY_USED" in again.err


def test_a_real_network_is_made_in_steps(huzheng: CommandLine, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        """
[network]
name = "two"
[[departments]]
id = "planning"
credit_code = "11110000000000001R"
name_zh = "规自委"
name_en = "Planning"
address = "10.0.0.1:7100"
""".replace("11110000000000001R", "91512081MA62K0260E"),
        encoding="utf-8",
    )
    # The default catalogue names departments that are not in this plan; only those present count.
    home = tmp_path / "planning"
    assert huzheng("network", "prepare", plan, "planning", home).status == 0
    again = huzheng("network", "prepare", plan, "planning", home)
    assert (again.status, "NETWORK_DIRECTORY_USED" in again.err) == (9, True)
    genesis = tmp_path / "genesis.bin"
    assert huzheng("network", "genesis", plan, home / "member.json", "--out", genesis).status == 0
    ran = huzheng("network", "install", plan, "planning", home, "-g", genesis)
    assert ran.status == 0
    assert (home / "node" / "node.toml").exists()
    renewed = huzheng("network", "certificate", home / "authority", "planning:clerk:clerk-2", tmp_path / "clerk-2")
    assert renewed.status == 0
    assert (tmp_path / "clerk-2" / "tls.crt").exists()
    assert huzheng("network", "certificate", home / "authority", "nonsense", tmp_path / "x").status == 2


def test_a_new_key_is_private_and_never_replaces_another(huzheng: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    made = huzheng("keys", "new", path, "--kind", "admin", "-o", "json").json
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    shown = huzheng("keys", "show", path, "-o", "json").json
    assert shown == {"file": str(path), "kind": "admin", "public_key": made["public_key"], "encrypted": False}
    again = huzheng("keys", "new", path)
    assert again.status == 9
    assert "KEY_FILE_EXISTS" in again.err


def test_a_key_can_be_encrypted_without_a_terminal(
    huzheng: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUZHENG_PASSPHRASE", "correct horse")
    path = tmp_path / "a.key"
    assert huzheng("keys", "new", path, "--encrypt-keys").status == 0
    assert huzheng("keys", "show", path, "-o", "json").json["encrypted"] is True


def test_showing_what_is_no_key_file_is_refused(huzheng: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("hello")
    assert "KEY_FILE_INVALID" in huzheng("keys", "show", path).err


def test_samples_are_the_same_each_time_and_keep_people_apart(huzheng: CommandLine, tmp_path: Path) -> None:
    first = huzheng("sample-data", "--out", tmp_path / "a", "-n", 60, "--seed", 7, "-o", "json").json
    huzheng("sample-data", "--out", tmp_path / "b", "-n", 60, "--seed", 7)
    assert sum(entry["records"] for entry in first["departments"].values()) == 60
    for name in first["departments"]:
        one, other = tmp_path / "a" / f"{name}.jsonl", tmp_path / "b" / f"{name}.jsonl"
        assert one.read_bytes() == other.read_bytes()
    people = tmp_path / "a" / "people.jsonl"
    assert stat.S_IMODE(people.stat().st_mode) == 0o600
    names = [json.loads(line)["name"] for line in people.read_text(encoding="utf-8").splitlines()]
    records = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "a").glob("[!p]*.jsonl"))
    assert names
    assert not any(name in records for name in names)


def test_a_resource_is_explained_without_a_node(huzheng: CommandLine, receipts: Receipts) -> None:
    ran = huzheng("chain", "resource", "property.seizure", "-g", receipts.genesis, "-o", "json")
    assert ran.json["department"] == "planning"
    assert any(field["required"] for field in ran.json["fields"])
    unknown = huzheng("chain", "resource", "no.such", "-g", receipts.genesis)
    assert unknown.status == 5
    assert "property.seizure" in unknown.err


def test_a_database_that_is_not_there_is_no_valid_chain(
    huzheng: CommandLine, receipts: Receipts, tmp_path: Path
) -> None:
    assert huzheng("chain", "verify").status == 2
    assert huzheng("chain", "verify", "--data", tmp_path).status == 2
    ran = huzheng("chain", "verify", "--data", tmp_path / "nowhere", "-g", receipts.genesis)
    assert ran.status == 9

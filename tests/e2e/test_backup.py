"""Four real daemons, one of whose machines is lost: backed up while it runs, restored elsewhere from the backup and the newest keyring."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from huzheng.v1 import sharing_pb2 as sharing
from huzheng.v1 import transaction_pb2 as pb

from ledger.building import build_transaction
from node.clock import wall_clock_ms
from node.config import load_config
from node.keyfile import KeyKind, load_signer
from node.vault.vault import Vault
from node.vault_config import open_vault
from scripts.local.members import Members
from scripts.local.network import LocalNetwork, Node, run_huzheng, wait_until
from scripts.local.workload import LIFETIME_MS, Workload
from tests.e2e.test_network import result_code, submit
from tests.vaults import entry_of

pytestmark = pytest.mark.timeout(300)

FOUNDERS = ["planning", "tax", "housing", "police"]
LOST = "housing"
ERASED, ERASED_WHILE_LOST, KEPT = range(3)


def register(workload: Workload) -> list[bytes]:
    """Three records of the department's, by their ids."""
    signer = workload.users[LOST].signer
    records = [workload.record(LOST) for _ in range(3)]
    expires_ms = wall_clock_ms() + LIFETIME_MS
    raw = build_transaction(workload.genesis, signer, LOST, expires_ms, records=records)
    assert result_code(submit(workload, LOST, raw).receipt) == "RESULT_CODE_ACCEPTED"
    return [record.id for record in records]


def order_erasure(workload: Workload, record: bytes, server: str) -> None:
    key = workload.users[LOST].profile.keys.admin
    assert key is not None
    order = pb.Operation(order_erasure=sharing.OrderErasure(records=[record], legal_basis="《个人信息保护法》第47条"))
    raw = build_transaction(
        workload.genesis,
        load_signer(key, KeyKind.ADMIN, workload.genesis.suite),
        LOST,
        wall_clock_ms() + LIFETIME_MS,
        operations=[order],
    )
    assert result_code(submit(workload, LOST, raw, server).receipt) == "RESULT_CODE_ACCEPTED"


def vault_of(node: Node) -> Vault:
    """The vault of a node that is stopped."""
    vault = open_vault(load_config(node.directory))
    assert vault is not None
    return vault


def set_escrow(node: Node, medium: Path) -> None:
    medium.mkdir()
    file = node.directory / "node.toml"
    file.write_text(re.sub(r"(?m)^# escrow = .*$", f'escrow = "{medium / "keyring"}"', file.read_text()))


def back_up(network: LocalNetwork, target: Path) -> dict[str, object]:
    profile = network.profile(LOST, "operator")
    answer: dict[str, object] = json.loads(
        run_huzheng("backup", "--to", target, "--profile", profile, "-o", "json").stdout
    )
    return answer


def lose_machine(node: Node, safe: Path) -> None:
    node.kill()
    shutil.copytree(node.directory / "keys", safe)
    shutil.rmtree(node.directory)


def put_keys_back(node: Node, safe: Path, names: Sequence[str]) -> None:
    (node.directory / "keys").mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copy(safe / name, node.directory / "keys" / name)


def test_a_lost_machine_comes_back_without_a_vote_and_without_what_was_erased(tmp_path: Path) -> None:
    network = LocalNetwork.create(tmp_path / "n")
    workload = Workload(network)
    node, backup, safe = network.nodes[LOST], tmp_path / "backup", tmp_path / "safe"
    set_escrow(node, tmp_path / "medium")
    with network.running():
        records = register(workload)
        node.stop()
        with vault_of(node) as vault:
            vault.put_all({record: entry_of(number) for number, record in enumerate(records)})
        stale = tmp_path / "stale"
        shutil.copy(node.directory / "vault" / "keyring", stale)
        node.start()
        node.wait_ready()
        made = back_up(network, backup)
        assert made["vault"] == {"records": 3, "persons": 0}

        order_erasure(workload, records[ERASED], LOST)
        node.stop()
        with vault_of(node) as vault:
            vault.erase([records[ERASED]])
        lose_machine(node, safe)
        order_erasure(workload, records[ERASED_WHILE_LOST], "tax")

        put_keys_back(node, safe, ["tls.crt", "tls.key", "vault.key", "signing.key"])
        refused = run_huzheng("restore", backup, node.directory, "--keyring", stale, check=False)
        assert refused.returncode == 9
        assert "VAULT_ROLLED_BACK" in refused.stderr
        restored = json.loads(run_huzheng("restore", backup, node.directory, "-o", "json").stdout)
        assert restored["missing"] == []
        assert restored["height"] == made["height"]
        checked = run_huzheng("chain", "verify", "--home", node.directory, check=False)
        assert checked.returncode == 0, checked.stderr

        node.start()
        wait_until(lambda: '"vault reopened"' in node.log.read_text(), 60, "it has caught up and erased again")
        status = run_huzheng("node", "status", "--profile", network.profile(LOST, "operator"), "-o", "json")
        shown = json.loads(status.stdout)
        assert shown["warnings"] == ["NO_VOTE"]
        assert shown["department"] == LOST
        assert shown["height"] >= network.nodes["tax"].height() - 1
        node.stop()
        with vault_of(node) as vault:
            assert vault.get(records[KEPT]) == entry_of(KEPT)
            assert vault.get(records[ERASED]) is None
            assert vault.get(records[ERASED_WHILE_LOST]) is None

        # Whoever puts the old key back gains nothing.
        put_keys_back(node, safe, ["consensus.key"])
        file = node.directory / "node.toml"
        text = file.read_text()
        file.write_text(re.sub(r"(?m)^((next_)?consensus_key) = .*$", r'\1 = "keys/consensus.key"', text))
        node.start()
        wait_until(lambda: '"VOTE_LOG_LOST"' in node.log.read_text(), 30, "it knows that its key has ended")
        node.stop()
        file.write_text(text)

        # With the fresh key it is one of them again.
        node.start()
        Members(network, FOUNDERS, largest=4).decide("--seat", str(restored["seat_file"]))
        node.wait_ready()
        network.nodes["tax"].kill()
        answer = submit(workload, "planning", workload.transaction("planning"))
        assert result_code(answer.receipt) == "RESULT_CODE_ACCEPTED"

"""`huzheng doctor` and real daemons: a sound node, a stopped one, and what can be wrong with one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.store import layout
from ledger.store.engine import Engine
from scripts.local.network import LocalNetwork, run_huzheng, wait_until
from tests.e2e.test_network import damage

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    made = LocalNetwork.create(tmp_path_factory.mktemp("doctor") / "n")
    with made.running():
        wait_until(lambda: all(node.height() >= 1 for node in made.nodes.values()), 30, "a first block")
        yield made


def examine(directory: Path) -> tuple[int, dict[str, tuple[str, str]]]:
    """Exit status, and state and code by check; by check and replica for peers."""
    ran = run_huzheng("doctor", directory, "-o", "json", check=False)
    findings = json.loads(ran.stdout)
    assert "Traceback" not in ran.stderr
    assert all(finding["remedy"] for finding in findings if finding["state"] != "OK")
    return ran.returncode, {
        " ".join(
            [finding["check"], *map(str, [finding["values"]["replica"]] if "replica" in finding["values"] else [])]
        ): (
            finding["state"],
            finding["code"],
        )
        for finding in findings
    }


def test_a_running_node_is_well(network: LocalNetwork) -> None:
    _, found = examine(network.nodes["tax"].directory)
    # A test machine's disk may be what it likes.
    assert {check for check, (state, _) in found.items() if state != "OK"} <= {"disk"}
    assert found["database"] == ("OK", "DATABASE_IN_USE")
    assert found["node"] == ("OK", "NODE_RUNS")
    assert found["peer 1"] == ("OK", "PEER_ANSWERS")
    assert found["clock"] == ("OK", "CLOCK_RIGHT")


def test_a_node_whose_keyring_is_not_mounted_votes_and_says_so(network: LocalNetwork) -> None:
    node = network.nodes["tax"]
    node.stop()
    keyring = node.directory / "vault" / "keyring"
    elsewhere = keyring.with_name("unmounted")
    keyring.rename(elsewhere)
    try:
        assert run_huzheng("node", "start", node.directory, "--check", check=False).returncode == 9
        _, found = examine(node.directory)
        assert found["vault"] == ("FAIL", "VAULT_KEYRING_MISSING")
        node.start()
        node.wait_ready()
        height = network.nodes["housing"].height()
        wait_until(lambda: node.height() > height, 30, "the node to go on with the others")
        _, found = examine(node.directory)
        assert found["node"] == ("FAIL", "VAULT_KEYRING_MISSING")
    finally:
        elsewhere.rename(keyring)
        node.stop()
        node.start()
    node.wait_ready()
    assert examine(node.directory)[1]["vault"] == ("OK", "VAULT_IN_USE")


def test_a_payload_that_a_peer_left_out_is_warned_of(network: LocalNetwork) -> None:
    node = network.nodes["police"]
    node.stop()
    key = layout.lacking_key(bytes(32), 0)
    _write(node.data, key, layout.encode_place(1, 0))
    try:
        node.start()
        node.wait_ready()
        assert examine(node.directory)[1]["node"] == ("WARN", "NODE_WARNS")
        status = json.loads(
            run_huzheng("node", "status", "-o", "json", "--profile", network.profile("police", "operator")).stdout
        )
        assert status["warnings"] == ["PAYLOADS_LEFT_OUT"]
    finally:
        node.stop()
        _write(node.data, key, None)
        node.start()
    node.wait_ready()
    assert examine(node.directory)[1]["node"][0] == "OK"


def _write(data: Path, key: bytes, value: bytes | None) -> None:
    engine = Engine.open(data, create=False)
    batch = engine.batch()
    if value is None:
        batch.delete(key)
    else:
        batch.put(key, value)
    batch.write()
    engine.close()


def test_what_is_wrong_with_a_stopped_node_is_found_all_at_once(network: LocalNetwork, tmp_path: Path) -> None:
    node = network.nodes["housing"]
    node.stop()
    try:
        _, found = examine(node.directory)
        assert found["database"] == ("OK", "DATABASE_SOUND")
        assert found["node"] == ("WARN", "NODE_DOWN")
        copy = tmp_path / "housing"
        shutil.copytree(node.directory, copy)
        damage(copy / "data")
        (copy / "keys" / "consensus.key").chmod(0o644)
        shutil.copy(network.nodes["tax"].directory / "keys" / "tls.crt", copy / "keys" / "tls.crt")
        status, found = examine(copy)
    finally:
        node.start()
        node.wait_ready()
    assert status == 9
    assert found["keys"] == ("FAIL", "KEY_FILE_MODE")
    assert found["tls"] == ("FAIL", "TLS_KEY_MISMATCH")
    assert found["database"][0] == "FAIL"
    assert found["database"][1] in ("STORE_CORRUPT", "STORE_ROLLED_BACK")


def test_peers_that_are_down_are_named(network: LocalNetwork) -> None:
    network.nodes["police"].stop()
    try:
        _, found = examine(network.nodes["tax"].directory)
        assert found["peer 4"] == ("WARN", "NODE_UNREACHABLE")
        assert found["peer 1"] == ("OK", "PEER_ANSWERS")
    finally:
        network.nodes["police"].start()
        network.nodes["police"].wait_ready()


def test_without_a_configuration_there_is_one_finding(tmp_path: Path) -> None:
    status, found = examine(tmp_path)
    assert status == 9
    assert found == {"configuration": ("FAIL", "CONFIG_MISSING")}

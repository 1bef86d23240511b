"""Four real daemons remove contents of records from all their files, also one that was down and catches up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger.building import build_transaction
from node.clock import wall_clock_ms
from scripts.local.network import LocalNetwork, Node, run_huzheng, wait_until
from scripts.local.workload import LIFETIME_MS, Workload
from tests.e2e.test_network import result_code, submit
from tests.expunging import LEGAL_BASIS, Marked

pytestmark = pytest.mark.timeout(240)


def submit_marked(workload: Workload, number: int) -> Marked:
    """A record of planning's on the chain, whose payload can be looked for."""
    marked = Marked(workload.genesis, number)
    signer = workload.users["planning"].signer
    raw = build_transaction(
        workload.genesis, signer, "planning", wall_clock_ms() + LIFETIME_MS, records=[marked.record]
    )
    assert result_code(submit(workload, "planning", raw).receipt) == "RESULT_CODE_ACCEPTED"
    return marked


def expunge(network: LocalNetwork, marked: Marked) -> int:
    """Has the contents removed; the height of the order."""
    profile = network.profile("planning", "system")
    options = ("--legal-basis", LEGAL_BASIS, "--yes", "--profile", profile, "-o", "json")
    return int(json.loads(run_huzheng("record", "expunge", marked.record.id.hex(), *options).stdout)["height"])


def is_scrubbed(node: Node, height: int) -> bool:
    """Whether the node says that it has removed all that was ordered up to a height."""
    lines = (json.loads(line) for line in node.log.read_text().splitlines() if '"payloads removed"' in line)
    return any(line["height"] >= height for line in lines)


def directories_with(network: LocalNetwork, marked: Marked) -> set[str]:
    """The nodes that have some of a payload in any of their files, logs included."""
    return {name for name, node in network.nodes.items() if marked.files_with_it(node.directory)}


def test_removed_contents_are_in_no_file_of_any_node_and_all_chains_verify(tmp_path: Path) -> None:
    network = LocalNetwork.create(tmp_path / "n")
    with network.running():
        workload = Workload(network)
        sleeper = network.nodes["police"]
        known_to_all = submit_marked(workload, 1)
        wait_until(lambda: directories_with(network, known_to_all) == set(network.nodes), 20, "all have the record")
        sleeper.kill()
        missed = submit_marked(workload, 2)
        assert directories_with(network, missed) == set(network.nodes) - {"police"}
        height = max(expunge(network, marked) for marked in (known_to_all, missed))
        sleeper.start()
        sleeper.wait_ready()
        for node in network.nodes.values():
            wait_until(lambda node=node: is_scrubbed(node, height), 30, f"{node.department} has removed them")  # type: ignore[misc]
        assert directories_with(network, known_to_all) == set()
        assert directories_with(network, missed) == set()
        network.stop()
    for node in network.nodes.values():
        run_huzheng("chain", "verify", "--home", node.directory)
    assert directories_with(network, known_to_all) | directories_with(network, missed) == set()

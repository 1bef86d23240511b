"""Real daemons are upgraded one by one, then put new rules in force; one that is late stops, and splits nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.crypto import Height
from ledger.genesis import Genesis
from ledger.receipt import verify_receipt
from ledger.store import ChainStore
from scripts.local.members import Members
from scripts.local.network import LocalNetwork, run_huzheng, wait_until
from scripts.local.soak import Tally
from scripts.local.workload import Workload
from tests.e2e.next_version import NEXT_RULES, PROGRAM
from tests.e2e.test_membership import FOUNDERS, under_load
from tests.e2e.test_network import result_code, submit

pytestmark = pytest.mark.timeout(240)


def test_nodes_are_upgraded_one_by_one_and_new_rules_come_into_force_at_one_height(tmp_path: Path) -> None:
    network = LocalNetwork.create(tmp_path / "n")
    workload = Workload(network)
    late = network.nodes["police"]
    genesis = replace(Genesis.read(network.genesis.read_bytes()), rules=NEXT_RULES)

    def upgrade() -> None:
        for department in ("housing", "tax", "planning"):
            node = network.nodes[department]
            node.stop()
            node.program = PROGRAM
            node.start()
            node.wait_ready()

    def two_records(department: str) -> str:
        receipt = submit(workload, department, workload.transaction(department, records=2)).receipt
        assert verify_receipt(receipt, genesis).height > 0
        return result_code(receipt)

    async def scenario() -> Tally:
        return await under_load(workload, asyncio.ensure_future(asyncio.to_thread(upgrade)))

    with network.running():
        assert len(asyncio.run(scenario()).acknowledged) > 10
        assert two_records("tax") == "RESULT_CODE_ACCEPTED"
        Members(network, FOUNDERS, largest=4).decide("--protocol", "4")
        wait_until(lambda: "PROTOCOL_UNKNOWN" in late.log.read_text(), 30, "the node that is late stops")
        assert not late.answers("/healthz")
        assert two_records("tax") == "RESULT_CODE_LAST_ADMIN_KEY"
        stopped_at = late.height()
        late.stop()
        late.program = PROGRAM
        late.start()
        late.wait_ready()
        # Now it is needed.
        network.nodes["housing"].kill()
        assert two_records("planning") == "RESULT_CODE_LAST_ADMIN_KEY"
        assert late.height() > stopped_at
        network.nodes["housing"].start()
        network.nodes["housing"].wait_ready()
        wait_until(lambda: len({node.height() for node in network.nodes.values()}) == 1, 30, "equal heights")
        network.stop()
    tips = set()
    for node in network.nodes.values():
        run_huzheng("chain", "verify", "--home", node.directory, program=PROGRAM)
        store = ChainStore.open(node.data, genesis)
        tips.add(store.block_hash(Height(store.tip.height)))
        assert store.epoch_numbered(1).first_height == stopped_at + 1
        store.close()
    assert len(tips) == 1

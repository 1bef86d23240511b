"""More replicas lose their databases than may be faulty: what the departments can do (docs/operations.md)."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import grpc
import grpc.aio
import pytest
from huzheng.v1 import ledger_service_pb2

from scripts.local.members import Members
from scripts.local.network import LocalNetwork, run_huzheng
from scripts.local.soak import Tally, check, client, settle
from scripts.local.workload import Workload
from tests.e2e.test_network import submit

pytestmark = pytest.mark.timeout(300)

FOUNDERS = ["planning", "tax", "housing", "police"]
LOST = ("housing", "police")


def submitted(workload: Workload) -> bool:
    """Whether a new transaction is ordered within five seconds."""

    async def call() -> bool:
        channel, stub = workload.stub("tax")
        try:
            request = ledger_service_pb2.SubmitRequest(transaction=workload.transaction("tax"))
            await stub.Submit(request, timeout=5)
        except grpc.aio.AioRpcError:
            return False
        finally:
            await channel.close(None)
        return True

    return asyncio.run(call())


def lose_two_under_load(network: LocalNetwork, workload: Workload) -> Tally:
    """What all four departments' clients were told until two nodes were killed at once, whose databases are gone."""
    tally = Tally()

    async def scenario() -> None:
        stop = asyncio.Event()
        tasks = [asyncio.ensure_future(client(workload, name, name, tally, stop)) for name in FOUNDERS]
        while len(tally.acknowledged) < 100:
            await asyncio.sleep(0.05)
        for department in LOST:
            network.nodes[department].kill()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(scenario())
    for department in LOST:
        node = network.nodes[department]
        shutil.rmtree(node.data)
        (node.directory / "data.HIGHWATER").unlink(missing_ok=True)
    return tally


def test_two_of_four_lost_databases_come_back_and_nothing_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    network = LocalNetwork.create(tmp_path / "n")
    workload = Workload(network)
    with network.running():
        tally = lose_two_under_load(network, workload)
        assert not submitted(workload), "two of four order nothing"
        # As many as are missing to a quorum vote once more: then every quorum holds all that lost nothing.
        one, other = (network.nodes[department] for department in LOST)
        for node in (one, other):
            report = json.loads(run_huzheng("node", "rebuild", node.directory, "--output", "json").stdout)
            assert report["height"] >= network.nodes["tax"].height() - 1
            assert not report["votes_kept"]
        one.start("--accept-lost-votes")
        one.wait_ready()
        submit(workload, "tax", workload.transaction("tax"))
        # The other gets a fresh key, and never votes with the old one.
        members = Members(network, FOUNDERS, largest=4)
        members.replace_key(other.department, old_is_lost=True)
        other.wait_ready()
        one.stop()
        one.start()
        one.wait_ready()
        # Both are needed.
        network.nodes["planning"].kill()
        submit(workload, "tax", workload.transaction("tax"))
        network.nodes["planning"].start()
        settle(network)
    check(network, tally)

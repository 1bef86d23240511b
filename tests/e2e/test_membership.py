"""Real daemons whose membership changes while they work: departments join, get new keys, and leave."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.genesis import Genesis
from ledger.receipt import verify_receipt
from scripts.local.members import Members
from scripts.local.network import LocalNetwork, Node, run_huzheng, wait_until
from scripts.local.soak import Tally, check, client, settle
from scripts.local.workload import Workload
from tests.e2e.test_network import submit

pytestmark = pytest.mark.timeout(400)

FOUNDERS = ["planning", "tax", "housing", "police"]
LEAVING = ["housing", "civil-affairs", "market"]


async def under_load(workload: Workload, work: asyncio.Task[None]) -> Tally:
    """Two departments' systems submit one transaction after the other until the work is done."""
    tally, stop = Tally(), asyncio.Event()
    clients = [asyncio.ensure_future(client(workload, name, name, tally, stop)) for name in ("planning", "tax")]
    await asyncio.wait([work, *clients], return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await asyncio.gather(work, *clients)
    return tally


def test_the_members_grow_from_four_to_seven_to_ten_and_shrink_to_seven_under_load(tmp_path: Path) -> None:
    network = LocalNetwork.create(tmp_path / "n")
    workload = Workload(network)
    receipts: list[bytes] = []

    def change_members() -> None:
        members = Members(network, FOUNDERS, largest=10)
        receipts.append(submit(workload, "police", workload.transaction("police")).receipt)
        members.join(["civil-affairs"])
        receipts.append(submit(workload, "police", workload.transaction("police")).receipt)
        members.join(["justice", "finance"])
        assert members.listed() == [1, 2, 3, 4, 5, 6, 7]
        receipts.append(submit(workload, "police", workload.transaction("police")).receipt)
        members.join(["market", "department-9", "department-10"])
        assert members.listed() == list(range(1, 11))
        receipts.append(submit(workload, "police", workload.transaction("police")).receipt)
        members.leave(LEAVING)
        assert members.listed() == [1, 2, 4, 6, 7, 9, 10]
        receipts.append(submit(workload, "police", workload.transaction("police")).receipt)
        # As many of the founders as may fail at once: the others make up the quorum, all of which joined later but one.
        for department in ("tax", "police"):
            network.nodes[department].kill()
        receipts.append(submit(workload, "planning", workload.transaction("planning")).receipt)
        for department in ("tax", "police"):
            network.nodes[department].start()
        for department in ("tax", "police"):
            network.nodes[department].wait_ready()

    async def scenario() -> Tally:
        return await under_load(workload, asyncio.ensure_future(asyncio.to_thread(change_members)))

    with network.running():
        tally = asyncio.run(scenario())
        retired = [network.nodes.pop(department) for department in LEAVING]
        heights = [node.height() for node in network.nodes.values()]
        wait_until(lambda: all(node.height() >= max(heights) for node in retired), 30, "the retired nodes follow")
        assert not any(node.answers("/readyz") for node in retired)
        for node in retired:
            node.stop()
        settle(network)
    genesis = Genesis.read(network.genesis.read_bytes())
    verdicts = [verify_receipt(receipt, genesis) for receipt in receipts]
    assert [len(verdict.sealed_by) for verdict in verdicts] == [3, 4, 5, 7, 5, 5]
    assert set(verdicts[-1].sealed_by) == {1, 6, 7, 9, 10}
    assert len(tally.acknowledged) > 20
    network.nodes.update((node.department, node) for node in retired)
    check(network, tally)


@contextmanager
def undecided(network: LocalNetwork, workload: Workload, voter: Node) -> Iterator[None]:
    """Inside, one has voted for something that too few are there to decide: what it signed matters, however many blocks it fetches."""
    silent = [network.nodes["tax"], network.nodes["housing"]]
    for node in silent:
        node.pause()
    written = vote_log_writes(voter)
    with ThreadPoolExecutor(1) as client:
        client.submit(submit, workload, "planning", workload.transaction("planning"))
        try:
            wait_until(lambda: vote_log_writes(voter) > written, 10, "its vote is written")
            # It answers once more, and so has sent what it had to.
            voter.metrics()
            yield
        finally:
            for node in silent:
                node.resume()


def vote_log_writes(node: Node) -> float:
    name = 'huzheng_consensus_events_total{event="vote_log_writes"} '
    return next((float(line.split()[1]) for line in node.metrics().splitlines() if line.startswith(name)), 0.0)


def test_a_replica_that_lost_its_votes_comes_back_with_a_fresh_key(tmp_path: Path) -> None:
    network = LocalNetwork.create(tmp_path / "n")
    workload = Workload(network)
    with network.running():
        for _ in range(3):
            submit(workload, "tax", workload.transaction("tax"))
        lost = network.nodes["police"]
        with undecided(network, workload, lost):
            lost.kill()
            lost.data.rename(lost.directory / "data.old")
            (lost.directory / "data.HIGHWATER").unlink(missing_ok=True)
            lost.start()
            wait_until(lambda: "VOTE_LOG_LOST" in lost.log.read_text(), 30, "the loss is found out")
        members = Members(network, FOUNDERS, largest=4)
        members.replace_key("police")
        lost.wait_ready()
        # Now it is needed.
        network.nodes["tax"].kill()
        response = submit(workload, "planning", workload.transaction("planning"))
        assert 4 in verify_receipt(response.receipt, workload.genesis).sealed_by
        listed = run_huzheng("member", "list", "--profile", network.profile("planning", "clerk")).stdout
        assert "Epoch 1, in force" in listed

"""Four real daemons, one of which loses its database or makes another chain of it: `huzheng node rebuild`."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from huzheng.v1 import ledger_service_pb2

from ledger.store import layout
from ledger.store.engine import Engine
from scripts.local.network import LocalNetwork, Node, run_huzheng, wait_until
from scripts.local.workload import Workload
from tests.e2e.test_network import damage

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    made = LocalNetwork.create(tmp_path_factory.mktemp("rebuild") / "n")
    with made.running():
        yield made


@pytest.fixture(scope="module")
def workload(network: LocalNetwork) -> Workload:
    return Workload(network, first=9_000)


def submit(workload: Workload, department: str, count: int = 1) -> None:
    async def call() -> None:
        channel, stub = workload.stub(department)
        try:
            for _ in range(count):
                request = ledger_service_pb2.SubmitRequest(transaction=workload.transaction(department))
                await stub.Submit(request, timeout=20)
        finally:
            await channel.close(None)

    asyncio.run(call())


def rebuild(node: Node) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run_huzheng("node", "rebuild", node.directory, "-o", "json").stdout)
    return answer


def forget_all_keys(node: Node) -> None:
    """As a bad memory would: to this node alone every transaction is of an unknown key."""
    engine = Engine.open(node.data, create=False)
    try:
        batch = engine.batch()
        for key, _ in list(engine.scan(layout.STATE + b"k", layout.STATE + b"l")):
            batch.delete(key)
        batch.write()
    finally:
        engine.close()


def wait_level(network: LocalNetwork) -> None:
    wait_until(lambda: len({node.height() for node in network.nodes.values()}) == 1, 30, "equal heights")


def test_a_running_node_is_not_rebuilt(network: LocalNetwork, workload: Workload) -> None:
    submit(workload, "tax", 3)
    result = run_huzheng("node", "rebuild", network.nodes["tax"].directory, check=False)
    assert result.returncode == 9
    assert "STORE_LOCKED" in result.stderr


def test_a_node_that_diverged_is_rebuilt_and_votes_as_before(network: LocalNetwork, workload: Workload) -> None:
    node = network.nodes["police"]
    submit(workload, "police", 3)
    wait_level(network)
    node.stop()
    forget_all_keys(node)
    node.start()
    node.wait_ready()
    submit(workload, "tax")
    wait_until(lambda: '"DIVERGED"' in node.log.read_text(), 20, "the node finds that it has diverged")
    node.stop()
    report = rebuild(node)
    assert report["votes_kept"]
    assert report["fetched"] == report["height"] >= network.nodes["tax"].height() - 1
    assert run_huzheng("chain", "verify", "--home", node.directory, check=False).returncode == 0
    seen = len(node.log.read_text())
    node.start()
    node.wait_ready()
    network.nodes["tax"].kill()
    try:
        # Only with its vote is there a quorum.
        submit(workload, "police", 2)
    finally:
        network.nodes["tax"].start()
        network.nodes["tax"].wait_ready()
    assert '"replica stopped voting"' not in node.log.read_text()[seen:]


def test_a_rebuild_that_lost_power_before_its_last_step_is_finished_by_the_start(
    network: LocalNetwork, workload: Workload
) -> None:
    node = network.nodes["tax"]
    node.stop()
    report = rebuild(node)
    assert report["votes_kept"]
    # The old one was put aside, and the new one did not come to its place.
    node.data.rename(node.data.with_name("data.rebuilt"))
    seen = len(node.log.read_text())
    node.start()
    node.wait_ready()
    assert node.height() >= report["height"]
    assert '"replica stopped voting"' not in node.log.read_text()[seen:]


def test_a_rebuild_that_lost_power_before_the_old_one_was_put_aside_is_done_again(network: LocalNetwork) -> None:
    node = network.nodes["tax"]
    node.stop()
    shutil.copytree(node.data, node.data.with_name("data.rebuilt"))
    node.start()
    node.wait_ready()
    # What the node signs from now on is not in that copy: it must never take the place of a vote log.
    assert not node.data.with_name("data.rebuilt").exists()
    node.stop()
    before = len(list(node.directory.glob("data.before-*")))
    report = rebuild(node)
    assert report["votes_kept"]
    assert report["differs_from"] is None
    assert len(list(node.directory.glob("data.*"))) == before + 1
    node.start()
    node.wait_ready()


def test_a_damaged_database_is_rebuilt_and_votes_again_only_when_that_is_decided(
    network: LocalNetwork, workload: Workload
) -> None:
    node = network.nodes["housing"]
    submit(workload, "housing", 2)
    wait_level(network)
    before = node.height()
    node.kill()
    damage(node.data)
    report = rebuild(node)
    assert not report["votes_kept"]
    assert report["votes_lost_by"] in ("STORE_CORRUPT", "STORE_ROLLED_BACK")
    assert report["height"] >= before
    assert (node.directory / report["old_database"]).exists()
    assert run_huzheng("chain", "verify", "--home", node.directory, check=False).returncode == 0
    seen = len(node.log.read_text())
    node.start()
    wait_until(lambda: "VOTE_LOG_LOST" in node.log.read_text()[seen:], 30, "it knows that it must not vote")
    assert not node.answers("/readyz")
    submit(workload, "planning")
    node.stop()
    node.start("--accept-lost-votes")
    node.wait_ready()
    node.stop()
    node.start()
    node.wait_ready()
    submit(workload, "housing")


def test_nothing_is_put_aside_when_nobody_can_be_asked(network: LocalNetwork) -> None:
    network.stop()
    node = network.nodes["planning"]
    kept = node.data.with_name("kept")
    shutil.copytree(node.data, kept)
    damage(node.data)
    result = run_huzheng("node", "rebuild", node.directory, check=False)
    assert result.returncode == 8
    assert "REBUILD_INCOMPLETE" in result.stderr
    assert not list(node.directory.glob("data.before-*"))
    shutil.rmtree(node.data)
    kept.rename(node.data)


def test_what_no_peer_has_is_taken_from_the_old_database(network: LocalNetwork) -> None:
    """All others are down: the old database alone has the blocks, which prove themselves."""
    node = network.nodes["tax"]
    report = rebuild(node)
    assert report["votes_kept"]
    assert report["fetched"] == 0
    assert report["taken_over"] == report["height"] > 0
    assert report["differs_from"] is None

"""The loop around the consensus core: how it ends, and what operators hear."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import structlog

from consensus.events import Ready, Trace
from consensus.vote_log import ended_entry
from ledger.crypto import ReplicaId
from ledger.errors import Code, HuzhengError
from ledger.genesis import Parameters
from ledger.store import Entry
from node import consortium
from node.clock import NetworkClock
from node.evidence import EvidenceFile
from node.off_loop import Parts
from node.peers import Peers
from node.runtime import Runtime
from node.seat import Seat
from tests.builders import Consortium
from tests.sequencer import OneReplica, until

ALONE = ReplicaId(1)


def runtime_of(node: OneReplica) -> Runtime:
    """A runtime whose replica is the only one, and so decides at once what it proposes."""
    genesis = node.genesis
    signer = node.consortium.replica_signers[ALONE]
    parts = Parts(
        genesis,
        Seat(genesis, node.store, ALONE, {signer.public_key: signer}),
        consortium.Consortium(node.store),
        node.store,
        node.mempool,
        NetworkClock(0),
        node.workers,
        EvidenceFile(node.store.path),
    )
    runtime = Runtime(parts, node.intake.on_stored)
    runtime.intake = node.intake
    runtime.peers = Peers(ALONE, [], runtime, lambda _: pytest.fail("nobody to call"))
    return runtime


def test_a_node_that_is_stopped_amid_a_write_of_votes_reports_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, go_on = threading.Event(), threading.Event()

    async def scenario() -> None:
        node = OneReplica(tmp_path / "data", Consortium(n=1, parameters=Parameters(heartbeat_ms=100)))
        write_votes = node.store.write_votes

        def slow_write(entries: Sequence[Entry]) -> None:
            writing.set()
            go_on.wait()
            write_votes(entries)

        monkeypatch.setattr(node.store, "write_votes", slow_write)
        runtime = runtime_of(node)
        running = asyncio.ensure_future(runtime.run())
        await until(writing.is_set)
        stopping = asyncio.ensure_future(runtime.stop())
        await asyncio.sleep(0.05)
        go_on.set()
        await asyncio.gather(stopping, running)
        await asyncio.sleep(0)
        assert runtime.problem is None
        node.close()

    asyncio.run(scenario())


def test_only_alarms_of_the_trace_are_logged_where_operators_see_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        node = OneReplica(tmp_path / "data", Consortium(n=1, parameters=Parameters(heartbeat_ms=100)))
        trace = [Trace("ignored", {"reason": "seal known"}), Trace("seals differ", {"height": 3}, is_alarm=True)]
        with structlog.testing.capture_logs() as logged:
            runtime = runtime_of(node)
            runtime._report(Ready(trace=trace), runtime.core)
        assert [(line["event"], line["log_level"]) for line in logged] == [
            ("ignored", "debug"),
            ("seals differ", "error"),
        ]
        node.close()

    asyncio.run(scenario())


def test_a_replica_that_stopped_is_not_well_again_because_an_epoch_ends(tmp_path: Path) -> None:
    async def scenario() -> None:
        node = OneReplica(tmp_path / "data", Consortium(n=1))
        runtime = runtime_of(node)
        runtime._give_up(HuzhengError(Code.DIVERGED, "height 7"))
        # A fetch that was going on meanwhile brought the epoch's last block.
        runtime._enter_epoch()
        assert runtime.problem is not None
        assert runtime.problem.code is Code.DIVERGED
        with pytest.raises(HuzhengError) as refused:
            node.intake._require_open()
        assert refused.value.code is Code.NOT_READY
        node.close()

    asyncio.run(scenario())


def test_a_key_that_ends_while_its_epoch_ends_votes_in_the_next_one_neither(tmp_path: Path) -> None:
    async def scenario() -> None:
        node = OneReplica(tmp_path / "data", Consortium(n=1))
        runtime = runtime_of(node)
        before = runtime.core
        runtime._enter_epoch()
        assert runtime.core is not before
        # The loss was being written down while the next epoch's core read the log.
        [key] = node.consortium.replica_signers.values()
        node.store.write_votes([ended_entry(key.public_key)])
        runtime._report(Ready(votes_lost=True), before)
        runtime._report(runtime.core.ready(), runtime.core)
        assert runtime.problem is not None
        assert runtime.problem.code is Code.VOTE_LOG_LOST
        assert not runtime.core.may_vote
        node.close()

    asyncio.run(scenario())

"""The loop around the consensus core: how it ends, and what operators hear."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import structlog
from huzheng.v1.transaction_pb2 import Batch

from consensus.batching import MOST_TRANSACTIONS
from consensus.events import FetchBlocks, Ready, Trace
from consensus.replica import Replica
from consensus.vote_log import ended_entry
from ledger.block import ExecutedBlock
from ledger.crypto import Height, ReplicaId
from ledger.errors import Code, HuzhengError
from ledger.genesis import Parameters
from ledger.store import Entry
from ledger.transaction import check_transaction
from node import consortium
from node import runtime as runtime_module
from node.clock import NetworkClock
from node.evidence import EvidenceFile
from node.off_loop import OffLoop, Parts
from node.peers import Peers
from node.runtime import Runtime
from node.seat import Core, Seat
from tests.builders import Consortium
from tests.memberships import WINDOW, add, carry_out, changeable, rekey, terms_at
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
    # As with large batches, which are written in a thread.
    monkeypatch.setattr(runtime_module, "SMALL_VOTES_BYTES", 0)

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


@pytest.mark.parametrize("ledger_is_writing", [False, True])
def test_few_votes_are_written_without_a_thread_unless_they_would_wait_for_a_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ledger_is_writing: bool
) -> None:
    monkeypatch.setattr(OffLoop, "is_writing", ledger_is_writing)
    threads: list[int] = []

    async def scenario() -> None:
        node = OneReplica(tmp_path / "data", Consortium(n=1, parameters=Parameters(heartbeat_ms=100)))
        monkeypatch.setattr(node.store, "write_votes", lambda _: threads.append(threading.get_ident()))
        runtime = runtime_of(node)
        await runtime._write_votes(Ready(votes=(ended_entry(bytes(32)),)))
        await runtime.stop()
        node.close()

    asyncio.run(scenario())
    assert [thread != threading.get_ident() for thread in threads] == [ledger_is_writing]


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


FIRST_END = 2 + WINDOW
"""The last block of epoch 0: its second block has the change."""


def two_epochs_end(node: OneReplica) -> list[tuple[ExecutedBlock, bytes]]:
    """The blocks and certificates of a chain in which the membership changes twice, none of them stored yet."""
    chain, consortium = node.consortium.chain(), node.consortium
    carry_out(chain, [add(consortium, 5)], [add(consortium, 6)])
    return [
        (block, consortium.certificate(block, terms_at(chain, block.height).membership)) for block in chain.blocks[1:]
    ]


def test_a_core_is_replaced_once_though_two_epochs_end_before_the_loop_hears_of_the_first(tmp_path: Path) -> None:
    """The ledger's thread is ahead of the loop; the core for its last block may have voted when the loop hears of the rest."""

    async def scenario() -> None:
        node = OneReplica(tmp_path / "data", changeable())
        runtime = runtime_of(node)
        blocks = two_epochs_end(node)
        node.store.append_all(blocks)
        cores = [runtime.core]
        for block, certificate in blocks:
            runtime._stored(block, certificate)
            if runtime.core is not cores[-1]:
                cores.append(runtime.core)
        assert [core.membership.epoch for core in cores] == [0, 2]
        node.close()

    asyncio.run(scenario())


def test_an_epoch_that_ends_while_its_core_is_made_is_left_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    take = Seat.take
    waiting: list[tuple[ExecutedBlock, bytes]] = []

    def take_slowly(seat: Seat, now_ms: int, *, at_start: bool) -> Core:
        core = take(seat, now_ms, at_start=at_start)
        seat.store.append_all(waiting)
        waiting.clear()
        return core

    async def scenario() -> None:
        node = OneReplica(tmp_path / "data", changeable())
        runtime = runtime_of(node)
        blocks = two_epochs_end(node)
        first_end = next(number for number, (block, _) in enumerate(blocks) if block.tip.height == FIRST_END)
        node.store.append_all(blocks[: first_end + 1])
        waiting.extend(blocks[first_end + 1 :])
        monkeypatch.setattr(Seat, "take", take_slowly)
        epochs: list[int] = []
        for block, certificate in blocks:
            runtime._stored(block, certificate)
            epochs.append(runtime.core.membership.epoch)
        assert sorted(set(epochs)) == [0, 1, 2]
        assert epochs == sorted(epochs)
        node.close()

    asyncio.run(scenario())


def test_a_key_found_to_have_ended_when_its_epoch_is_over_gives_way_to_the_next_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        node = OneReplica(tmp_path / "data", changeable())
        runtime = runtime_of(node)
        consortium, before = node.consortium, runtime.core
        old = consortium.replica_signers[ALONE].public_key
        chain, fresh = consortium.chain(), consortium.signer("fresh")
        carry_out(chain, [rekey(consortium, ALONE, consortium.genesis.membership.members[0].department, "fresh")])
        runtime._seat.signers[fresh.public_key] = fresh  # type: ignore[index]
        node.store.append_all(
            [
                (block, consortium.certificate(block, terms_at(chain, block.height).membership))
                for block in chain.blocks[1:]
            ]
        )
        node.store.write_votes([ended_entry(old)])
        # The loop has not heard yet that the epoch is over.
        runtime._report(Ready(votes_lost=True), before)
        runtime._report(runtime.core.ready(), runtime.core)
        for block in chain.blocks[1:]:
            runtime._stored(block, b"")
        assert runtime.core.membership.epoch == 1
        assert isinstance(runtime.core, Replica)
        assert not runtime.core.halted
        assert runtime.problem is None
        node.close()

    asyncio.run(scenario())


def test_fetched_blocks_are_stored_while_payloads_are_removed_from_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup may read for an hour, and a scrub waits for it."""
    go_on = threading.Event()

    async def scenario() -> None:
        node = OneReplica(tmp_path / "data", Consortium(n=1))
        runtime = runtime_of(node)
        off_loop = runtime._off_loop
        node.store._is_scrub_due = True
        monkeypatch.setattr(node.store, "scrub", go_on.wait)
        async with asyncio.timeout(5):
            await off_loop._apply_fetched([])
        fetching = asyncio.ensure_future(off_loop.fetch(FetchBlocks(Height(1), ()), runtime.core, runtime.peers))
        await until(lambda: off_loop._is_scrubbing)
        async with asyncio.timeout(5), off_loop._fetch_turn:
            await off_loop._apply_fetched([])
        go_on.set()
        await fetching
        off_loop.shutdown()
        node.close()

    asyncio.run(scenario())


def test_a_batch_has_no_more_transactions_than_others_are_patient_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        node = OneReplica(tmp_path / "data", Consortium(n=1))
        runtime = runtime_of(node)
        for number in range(MOST_TRANSACTIONS + 10):
            raw = node.consortium.transaction([node.consortium.record(number)], nonce=number)
            node.mempool.add(check_transaction(raw, node.genesis))
        first, second = runtime._make_batch(), runtime._make_batch()
        for proposal, count in ((first, MOST_TRANSACTIONS), (second, 10)):
            assert (proposal.transactions, len(Batch.FromString(proposal.batch).transactions)) == (count, count)
        node.close()

    asyncio.run(scenario())

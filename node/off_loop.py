"""What the consensus core wants done off the event loop: batches checked, blocks executed, stored and fetched."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from consensus.events import (
    BatchChecked,
    BatchVerdict,
    BlockExecuted,
    Certified,
    CheckBatch,
    Decided,
    Event,
    FetchBlocks,
    FetchEnded,
)
from ledger.block import ExecutedBlock
from ledger.block_apply import CheckedBlock
from ledger.crypto.types import ReplicaId
from ledger.errors import HuzhengError
from ledger.genesis import Genesis
from ledger.store import ChainStore
from ledger.transaction import WellFormedBatch, check_batch
from node.clock import NetworkClock
from node.consortium import Consortium
from node.evidence import EvidenceFile
from node.fetch import BlockFetcher, FetchParts
from node.hand_over import SMALL_BYTES, AtOnce, OrderedThread
from node.ledger_worker import LedgerWorker
from node.mempool import Mempool
from node.peers import Peers
from node.seat import Core, Seat

log = structlog.get_logger("replica")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the runtime works with."""

    genesis: Genesis
    seat: Seat
    consortium: Consortium
    store: ChainStore
    mempool: Mempool
    clock: NetworkClock
    workers: ThreadPoolExecutor
    evidence: EvidenceFile


class OffLoop:
    """Belongs to one runtime. The ledger's work is done in one thread, in order, and told in that order; checks in several. Small batches
    are checked and small blocks stored without one (see node/hand_over.py).

    What a task does between the thread's answer and telling it must not wait for anything: the order is that of the loop's queue.
    """

    def __init__(
        self,
        parts: Parts,
        answer: Callable[[Core, Event], None],
        on_stored: Callable[[ExecutedBlock, bytes], None],
        at_once: AtOnce,
    ) -> None:
        """`answer` gets what a core asked for, `on_stored` each block that became durable, with its certificate.

        `at_once`: what is shared by all that writes to this disk.
        """
        self._genesis = parts.genesis
        self._clock = parts.clock
        self._workers = parts.workers
        self._store = parts.store
        self._known = parts.mempool.verified
        self._answer = answer
        self._on_stored = on_stored
        self._ledger = LedgerWorker(parts.genesis, parts.store, self._known)
        self._thread = OrderedThread("ledger", at_once)
        self._scrubber = ThreadPoolExecutor(1, thread_name_prefix="scrub")
        self._fetcher = BlockFetcher(
            FetchParts(parts.genesis, parts.store, parts.workers, self._known, self._apply_fetched)
        )
        self._fetch_turn = asyncio.Lock()
        self._turns = itertools.count()
        self._is_flushing = False
        self._is_scrubbing = False
        self._checked: dict[int, WellFormedBatch] = {}

    @property
    def is_writing(self) -> bool:
        """Whether the ledger's thread has work: who writes to the database now may have to wait for it."""
        return not self._thread.is_idle

    def shutdown(self) -> None:
        """Waits for the ledger's work in hand; to be called in another thread."""
        self._store.stop_scrub()
        self._thread.shutdown()
        self._scrubber.shutdown()

    async def check(self, check: CheckBatch, core: Core) -> None:
        """Whether a batch is well formed and in time."""
        known = self._checked.get(check.sequence)
        try:
            if known is not None and known.raw == check.batch:
                batch = known
            else:
                batch = await self._check(check.batch)
        except HuzhengError as error:
            log.warning("invalid batch", primary=check.proposer, code=error.code, detail=error.detail)
            verdict = BatchVerdict.INVALID
        else:
            verdict = self._judge_fresh(batch, check.proposer)
            self._checked[check.sequence] = batch
        self._answer(core, BatchChecked(check.sequence, check.batch_digest, check.proposer, verdict))

    async def _check(self, batch: bytes) -> WellFormedBatch:
        if len(batch) <= SMALL_BYTES:
            # A few signatures at most, and nothing of the database.
            return check_batch(batch, self._genesis, self._known)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, check_batch, batch, self._genesis, self._known)

    def _judge_fresh(self, batch: WellFormedBatch, proposer: ReplicaId) -> BatchVerdict:
        """T5."""
        if batch.proposer != proposer:
            return BatchVerdict.INVALID
        latest_ms = self._clock.now_ms() + self._genesis.parameters.clock_bound_ms
        return BatchVerdict.EARLY if batch.proposed_ms > latest_ms else BatchVerdict.VALID

    async def execute(self, decided: Decided, core: Core) -> None:
        """The block that a batch makes."""
        checked = self._checked.pop(decided.height, None)
        if checked is not None and checked.raw != decided.batch:
            checked = None
        block = await self._thread.run(False, self._ledger.execute, decided.height, decided.batch, checked)
        if block is not None:
            self._answer(core, BlockExecuted(block.height, block.block_hash))

    async def store(self, certified: Certified) -> None:
        """A block that is certified becomes durable."""
        is_small = self._ledger.is_small(certified.height)
        block = await self._thread.run(is_small, self._ledger.store, certified.height, certified.certificate)
        if block is not None:
            self._tell_stored(block, certified.certificate)
        await self._flush_tree()
        await self._scrub()

    async def fetch(self, request: FetchBlocks, core: Core, peers: Peers) -> None:
        """Blocks that peers have and this replica lacks."""
        ended = FetchEnded()
        try:
            # One that the epoch before had asked for may be going on still.
            async with self._fetch_turn:
                ended = await self._fetcher.fetch(
                    _with_peers(request, peers, next(self._turns)), peers.open_channel, core.peer_height
                )
        finally:
            self._answer(core, ended)
        await self._scrub()

    async def _apply_fetched(self, fetched: Sequence[CheckedBlock]) -> None:
        """Stores fetched blocks, see `LedgerWorker.apply`."""
        for applied in await self._thread.run(False, self._ledger.apply, fetched):
            self._tell_stored(*applied)
        await self._flush_tree()

    async def _flush_tree(self) -> None:
        """Now and then, while the ledger's work goes on: it takes as long as the disk does."""
        if self._is_flushing or not self._store.is_tree_flush_due:
            return
        self._is_flushing = True
        try:
            await asyncio.get_running_loop().run_in_executor(self._workers, self._store.flush_tree)
        finally:
            self._is_flushing = False

    async def _scrub(self) -> None:
        """After payloads were removed, in a thread of its own: it waits for those who read, and then for the disk."""
        if self._is_scrubbing or not self._store.is_scrub_due:
            return
        self._is_scrubbing = True
        try:
            await asyncio.get_running_loop().run_in_executor(self._scrubber, self._store.scrub)
            if not self._store.is_scrub_due:
                log.info("payloads removed", height=self._store.tip.height)
        finally:
            self._is_scrubbing = False

    def _tell_stored(self, block: ExecutedBlock, certificate: bytes) -> None:
        for sequence in [sequence for sequence in self._checked if sequence <= block.height]:
            del self._checked[sequence]
        self._on_stored(block, certificate)


def _with_peers(request: FetchBlocks, peers: Peers, turn: int) -> FetchBlocks:
    """Whom to ask; if nobody is known to have more, one after the other has his turn."""
    if request.peers or not peers.links:
        return request
    known = sorted(peers.links)
    return FetchBlocks(request.from_height, (known[turn % len(known)],))

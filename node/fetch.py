"""Fetches missing blocks from several peers at once; every block proves itself by its certificate.

Each peer is read by a task of its own, as `FetchPlan` says. Blocks are checked ahead in the worker threads, as far as the stored chain tells who
seals them, and applied in order, several in one write. Memory is bounded whatever the distance.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import Executor
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass

import grpc
import structlog
from huzheng.v1 import replica_service_pb2

from consensus.events import FetchBlocks, FetchEnded
from ledger.block_apply import CheckedBlock, check_block
from ledger.crypto.types import Height, ReplicaId
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.store import ChainStore
from ledger.transaction import Known
from node.clock import monotonic_ms
from node.fetch_plan import Asked, FetchPlan, Held
from node.peer_messages import read_block
from node.peers import FETCH_BLOCKS

FETCH_MS = 15_000
"""After this nothing more is asked for: the replica begins anew, with all who say by then that they have more."""
MAX_FETCH_MS = 20_000
"""For so long it waits at most for what was asked for."""
STALL_S = 10.0
"""A peer that sends no block for this long is left."""
LOOK_S = 0.25
"""How often who waits looks around: whether time is over, or a peer holds up all others."""
MAX_CHECKED_BYTES = 8 * 1024 * 1024
"""Of the blocks being checked or waiting to be applied: read, they take several times their size."""
TOGETHER_BLOCKS = 16
TOGETHER_BYTES = 256 * 1024
"""Of the blocks that a thread checks together, and that go into one write; or a single one that is larger. Threads that meet at each block
spend as much time on waiting for one another as on the blocks."""

OpenChannel = Callable[[ReplicaId], grpc.aio.Channel]
"""Opens a channel to a peer, which the caller closes. Raises HuzhengError(PEER_UNKNOWN)."""
Apply = Callable[[Sequence[CheckedBlock]], Awaitable[None]]
"""Stores blocks that follow the stored chain, or those before the first that is in disorder. Raises what `LedgerWorker.apply` does."""

log = structlog.get_logger("fetch")


@dataclass(frozen=True, slots=True)
class FetchParts:
    """What a fetch works with."""

    genesis: Genesis
    store: ChainStore
    workers: Executor
    known: Known
    apply: Apply


class BlockFetcher:
    """Fetches what the consensus core asks for."""

    def __init__(self, parts: FetchParts) -> None:
        self._parts = parts

    async def fetch(
        self, request: FetchBlocks, open_channel: OpenChannel, claimed_height: Callable[[ReplicaId], Height]
    ) -> FetchEnded:
        """Fetches until the peers have no more, or `FETCH_MS` are over.

        The peer that it names is the first of those asked that brought something. Raises HuzhengError (DIVERGED, PROTOCOL_UNKNOWN,
        STORE_…) when going on makes no sense; whatever a peer sends only makes it be left.
        """
        first = Height(self._parts.store.tip.height + 1)
        fetch = _Fetch(self._parts, FetchPlan(first, request.peers, claimed_height), open_channel)
        complete = await fetch.run(request.peers)
        for peer in request.peers:
            if fetch.brought[peer]:
                log.info("blocks fetched", peer=peer, count=fetch.brought[peer], height=self._parts.store.tip.height)
        if complete and self._parts.store.lacks_payloads:
            # While there is more to come, the orders may be in that.
            log.warning("payloads left out", height=self._parts.store.tip.height)
        helper = next((peer for peer in request.peers if fetch.brought[peer]), None)
        return FetchEnded() if helper is None else FetchEnded(helper, complete)


@dataclass(frozen=True, slots=True)
class _Part:
    """Blocks that a thread checks."""

    blocks: tuple[tuple[Height, Held], ...]
    checked: asyncio.Future[_Outcome]

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(len(held.raw) for _, held in self.blocks)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The blocks of a part up to the first that is bad, and what is wrong with that one."""

    sound: list[CheckedBlock]
    error: HuzhengError | None = None


@dataclass(frozen=True, slots=True)
class _Sound:
    """A block that can be applied when its turn comes."""

    peer: ReplicaId
    size: int
    block: CheckedBlock


class _Fetch:
    """One fetch."""

    def __init__(self, parts: FetchParts, plan: FetchPlan, open_channel: OpenChannel) -> None:
        self._parts = parts
        self._plan = plan
        self._open_channel = open_channel
        self._window = parts.genesis.parameters.watermark_window
        self._checking: deque[_Part] = deque()
        self._sound: deque[_Sound] = deque()
        self._arrived = asyncio.Event()
        self._moved = asyncio.Event()
        self.brought: Counter[ReplicaId] = Counter()

    async def run(self, peers: Sequence[ReplicaId]) -> bool:
        """Whether the peers had no more at the end."""
        readers = [asyncio.ensure_future(self._serve(peer)) for peer in peers]
        try:
            return await self._apply_all(monotonic_ms())
        finally:
            for task in readers:
                task.cancel()
            self._stop_checking()
            await asyncio.gather(*readers, return_exceptions=True)

    # --- reading, a task for each peer ---

    async def _serve(self, peer: ReplicaId) -> None:
        lied = False
        try:
            await self._read_ranges(peer)
        except grpc.aio.AioRpcError as error:
            log.info("fetch failed", peer=peer, status=error.code().name)
        except TimeoutError:
            log.info("fetch failed", peer=peer, status="no block in time")
        except HuzhengError as error:
            lied = error.code is not Code.PEER_UNKNOWN
            self._tell_bad_block(peer, error)
        except Exception as error:
            # Whatever a peer sends, it must not end this replica's voting.
            log.error("fetch failed", peer=peer, exc_info=error)
        self._leave(peer, lied=lied)

    async def _read_ranges(self, peer: ReplicaId) -> None:
        async with AsyncExitStack() as stack:
            channel: grpc.aio.Channel | None = None
            while self._plan.is_served_by(peer):
                asked = self._plan.ask(peer, monotonic_ms())
                if asked is None:
                    await _wait(self._moved)
                    continue
                if channel is None:
                    channel = self._open_channel(peer)
                    stack.push_async_callback(channel.close, None)
                async with aclosing(_call(channel, asked)) as answers:
                    had_no_more = await self._read(asked, answers)
                self._plan.ended(asked, monotonic_ms(), had_no_more=had_no_more)
                self._tell_all()

    async def _read(self, asked: Asked, answers: AsyncGenerator[bytes, None]) -> bool:
        """Whether the peer ended it, having no more."""
        for height in map(Height, range(asked.first, asked.first + asked.count)):
            if not await self._is_let_in(asked, height):
                return False
            async with asyncio.timeout(STALL_S):
                raw = await anext(answers, None)
            if raw is None:
                return True
            block = read_block(raw)
            if not self._plan.is_current(asked, height):
                return False
            self._plan.hold(asked, height, block, monotonic_ms())
            self._arrived.set()
        return False

    async def _is_let_in(self, asked: Asked, height: Height) -> bool:
        """Waits for room; not for a range that is no longer this peer's, or had better be given up."""
        while not self._plan.may_read(asked, height):
            if self._plan.should_give_up(asked, monotonic_ms()):
                return False
            await _wait(self._moved)
        return self._plan.is_current(asked, height)

    def _leave(self, peer: ReplicaId, *, lied: bool) -> None:
        self._plan.leave(peer, monotonic_ms(), lied=lied)
        self._tell_all()

    def _tell_bad_block(self, peer: ReplicaId, error: HuzhengError) -> None:
        log.warning("peer sent a bad block", peer=peer, code=error.code, detail=error.detail)

    def _tell_all(self) -> None:
        self._arrived.set()
        self._moved.set()
        self._moved = asyncio.Event()

    # --- checking and applying, in order ---

    async def _apply_all(self, began_ms: int) -> bool:
        # No timeout around it: what was begun to be stored has to be told.
        in_time = True
        while not self._plan.is_over:
            lasted_ms = monotonic_ms() - began_ms
            if in_time and lasted_ms >= FETCH_MS:
                in_time = False
                self._plan.close()
            if lasted_ms >= MAX_FETCH_MS:
                break
            self._arrived.clear()
            self._take_checked()
            self._check_ahead()
            if self._sound:
                await self._apply_some()
            else:
                await _wait(self._arrived)
        return in_time

    def _check_ahead(self) -> None:
        """Starts checks of blocks that are held, as far as the membership that seals them is known: M4 gives it W blocks ahead."""
        last = self._parts.store.tip.height + self._window
        size = sum(sound.size for sound in self._sound) + sum(part.size for part in self._checking)
        blocks: list[tuple[Height, Held]] = []
        part_size = 0
        for height, held in self._plan.ready_from(self._first_unchecked()):
            if height > last or (size and size + len(held.raw) > MAX_CHECKED_BYTES):
                break
            if blocks and (len(blocks) == TOGETHER_BLOCKS or part_size + len(held.raw) > TOGETHER_BYTES):
                self._start_check(blocks)
                blocks, part_size = [], 0
            blocks.append((height, held))
            part_size += len(held.raw)
            size += len(held.raw)
        # A few blocks are checked at once only if nothing else is in hand; otherwise more may have come by then.
        if blocks and (len(blocks) == TOGETHER_BLOCKS or not (self._checking or self._sound)):
            self._start_check(blocks)

    def _first_unchecked(self) -> Height:
        if self._checking:
            return Height(self._checking[-1].blocks[-1][0] + 1)
        return Height(self._sound[-1].block.height + 1) if self._sound else self._plan.next_height

    def _start_check(self, blocks: Sequence[tuple[Height, Held]]) -> None:
        taken = tuple(blocks)
        checked = asyncio.get_running_loop().run_in_executor(self._parts.workers, self._check, taken)
        checked.add_done_callback(lambda _: self._arrived.set())
        self._checking.append(_Part(taken, checked))

    def _check(self, blocks: Sequence[tuple[Height, Held]]) -> _Outcome:
        parts = self._parts
        terms = parts.store.epoch_at(blocks[-1][0])
        sound: list[CheckedBlock] = []
        for height, held in blocks:
            known = height >= terms.first_height
            membership = terms.membership if known else parts.store.membership_at(height)
            try:
                block = check_block(parts.genesis, membership, held.raw, parts.known)
                if block.height != height:
                    raise HuzhengError(Code.BAD_BLOCK, f"block {block.height} instead of {height}")
            except HuzhengError as error:
                return _Outcome(sound, error)
            sound.append(block)
        return _Outcome(sound)

    def _take_checked(self) -> None:
        """What the threads are done with, in order; raises what is no fault of a peer."""
        while self._checking and self._checking[0].checked.done():
            part = self._checking.popleft()
            outcome = part.checked.result()
            for (_, held), block in zip(part.blocks, outcome.sound, strict=False):
                self._sound.append(_Sound(held.peer, len(held.raw), block))
            if outcome.error is not None:
                _, held = part.blocks[len(outcome.sound)]
                self._refuse(held.peer, outcome.error)

    async def _apply_some(self) -> None:
        group = self._next_group()
        tip_before = self._parts.store.tip.height
        try:
            await self._parts.apply([sound.block for sound in group])
        except HuzhengError as error:
            if error.code is not Code.BAD_BLOCK:
                raise
            self._sound.clear()
            self._refuse(group[0].peer, error)
        tip = self._parts.store.tip.height
        self.brought.update(sound.peer for sound in group if tip_before < sound.block.height <= tip)
        if tip < group[-1].block.height:
            # One is in disorder: it is the first the next time.
            self._sound.clear()
            self._stop_checking()
        self._plan.applied(tip, monotonic_ms())
        self._tell_all()

    def _next_group(self) -> list[_Sound]:
        """What goes into one write: of one epoch, so that the node goes over to the next one between writes."""
        group = [self._sound.popleft()]
        size = group[0].size
        while self._sound and len(group) < TOGETHER_BLOCKS:
            sound = self._sound[0]
            size += sound.size
            if size > TOGETHER_BYTES or _epoch(sound) != _epoch(group[0]):
                break
            group.append(self._sound.popleft())
        return group

    def _refuse(self, peer: ReplicaId, error: HuzhengError) -> None:
        self._tell_bad_block(peer, error)
        self._stop_checking()
        self._leave(peer, lied=True)

    def _stop_checking(self) -> None:
        """Blocks whose checks are not over are checked again, if they are wanted still."""
        for part in self._checking:
            if not part.checked.cancel():
                # Asked for, so that asyncio does not miss it.
                part.checked.exception()
        self._checking.clear()


def _epoch(sound: _Sound) -> int:
    return sound.block.proven.fields.epoch


async def _wait(event: asyncio.Event) -> None:
    """Waits for an event, or a short while."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_S):
            await event.wait()


async def _call(channel: grpc.aio.Channel, asked: Asked) -> AsyncGenerator[bytes, None]:
    """A peer's answers as they came: gRPC's own reading does not tell when it fails."""
    request = replica_service_pb2.FetchBlocksRequest(from_height=asked.first, count=asked.count)
    async for raw in channel.unary_stream(FETCH_BLOCKS, None, None)(request.SerializeToString()):
        yield raw

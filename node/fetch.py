"""Fetches missing blocks from peers, one peer after the other; every block proves itself by its certificate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

import grpc
import structlog

from consensus.events import FetchBlocks, FetchEnded
from ledger.crypto.types import Height, ReplicaId
from ledger.errors import Code, HuzhengError
from ledger.store import ChainStore
from node.clock import monotonic_ms
from node.peer_messages import read_block

BLOCKS_A_CALL = 256
STALL_S = 10.0
"""A peer that sends no block for this long loses its turn."""
TURN_MS = 20_000
"""After this another peer has its turn: one that sends slowly on purpose must not keep this replica behind."""

Call = Callable[[ReplicaId, Height, int], AsyncGenerator[bytes, None]]
"""Calls FetchBlocks of a peer, from a height on, at most so many; yields its answers unread."""
Apply = Callable[[bytes], Awaitable[bool]]

log = structlog.get_logger("fetch")


class BlockFetcher:
    """Reads blocks as a stream and applies them one at a time, so that memory is bounded whatever the distance."""

    def __init__(self, store: ChainStore, apply: Apply) -> None:
        self._store = store
        self._apply = apply

    async def fetch(self, request: FetchBlocks, call: Call) -> FetchEnded:
        """Fetches from each peer in turn until one has brought something.

        Raises HuzhengError(DIVERGED, STORE_…) when going on makes no sense; whatever a peer sends only ends its turn.
        """
        for peer in request.peers:
            before = self._store.tip.height
            complete = False
            try:
                complete = await self._take_turn(peer, call)
            except grpc.aio.AioRpcError as error:
                log.info("fetch failed", peer=peer, status=error.code().name)
            except TimeoutError:
                log.info("fetch failed", peer=peer, status="no block in time")
            except HuzhengError as error:
                if error.code is Code.DIVERGED or error.code.startswith("STORE_"):
                    raise
                log.warning("peer sent a bad block", peer=peer, code=error.code, detail=error.detail)
            except Exception as error:
                # Whatever a peer sends, it must not end this replica's voting.
                log.error("fetch failed", peer=peer, exc_info=error)
            if self._store.tip.height > before:
                log.info("blocks fetched", peer=peer, count=self._store.tip.height - before)
                return FetchEnded(peer, complete)
        return FetchEnded()

    async def _take_turn(self, peer: ReplicaId, call: Call) -> bool:
        """Whether the peer sent all it had."""
        ends_ms = monotonic_ms() + TURN_MS
        while monotonic_ms() < ends_ms:
            start = Height(self._store.tip.height + 1)
            async with aclosing(call(peer, start, BLOCKS_A_CALL)) as answers:
                received = await self._fetch_some(answers, ends_ms)
            if received < BLOCKS_A_CALL and monotonic_ms() < ends_ms:
                return True
            if self._store.tip.height < start:
                return False
        return False

    async def _fetch_some(self, answers: AsyncGenerator[bytes, None], ends_ms: int) -> int:
        for received in range(BLOCKS_A_CALL):
            if monotonic_ms() >= ends_ms:
                return received
            async with asyncio.timeout(STALL_S):
                raw = await anext(answers, None)
            if raw is None:
                return received
            await self._apply(read_block(raw))
        return BLOCKS_A_CALL

"""Fetches missing blocks from peers, one peer after the other; every block proves itself by its certificate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc
import structlog
from huzheng.v1 import replica_service_pb2, replica_service_pb2_grpc

from consensus.events import FetchBlocks
from ledger.crypto.types import ReplicaId
from ledger.errors import Code, HuzhengError
from ledger.store import ChainStore

BLOCKS_A_CALL = 256
CALL_TIMEOUT_S = 60.0

Stub = Callable[[ReplicaId], "replica_service_pb2_grpc.ReplicaServiceAsyncStub"]
Apply = Callable[[bytes], Awaitable[bool]]

log = structlog.get_logger("fetch")


class BlockFetcher:
    """Reads blocks as a stream and applies them one at a time, so that memory is bounded whatever the distance."""

    def __init__(self, store: ChainStore, apply: Apply) -> None:
        self._store = store
        self._apply = apply

    async def fetch(self, request: FetchBlocks, stub: Stub) -> None:
        """Fetches from each peer in turn until one has brought something and has no more.

        Raises HuzhengError(DIVERGED, STORE_…) when going on makes no sense; a peer's lies only end its turn.
        """
        for peer in request.peers:
            before = self._store.tip.height
            try:
                while await self._fetch_some(peer, stub(peer)):
                    pass
            except grpc.aio.AioRpcError as error:
                log.info("fetch failed", peer=peer, status=error.code().name)
            except HuzhengError as error:
                if error.code is Code.DIVERGED or error.code.startswith("STORE_"):
                    raise
                log.warning("peer sent a bad block", peer=peer, code=error.code, detail=error.detail)
            if self._store.tip.height > before:
                log.info("blocks fetched", peer=peer, count=self._store.tip.height - before)
                return

    async def _fetch_some(self, peer: ReplicaId, stub: replica_service_pb2_grpc.ReplicaServiceAsyncStub) -> bool:
        start = self._store.tip.height + 1
        request = replica_service_pb2.FetchBlocksRequest(from_height=start, count=BLOCKS_A_CALL)
        received = 0
        async for response in stub.FetchBlocks(request, timeout=CALL_TIMEOUT_S):
            received += 1
            await self._apply(response.block)
            if received == BLOCKS_A_CALL:
                break
        return received == BLOCKS_A_CALL and self._store.tip.height >= start

"""What peers call: the message stream and block fetches. Who may call is checked before these run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from huzheng.v1 import replica_service_pb2, replica_service_pb2_grpc

from ledger.crypto.types import Height, ReplicaId
from ledger.errors import Code, HuzhengError
from ledger.store import ChainStore
from node.peers import Peers

if TYPE_CHECKING:
    import grpc.aio

    # Generic in the stubs only.
    Context = grpc.aio.ServicerContext[Any, Any]

MAX_BLOCKS_A_CALL = 1_024

IdentifyReplica = Callable[[], ReplicaId]


class ReplicaService(replica_service_pb2_grpc.ReplicaServiceServicer):
    """Replica to replica."""

    def __init__(self, store: ChainStore, peers: Peers, identify: IdentifyReplica) -> None:
        self._store = store
        self._peers = peers
        self._identify = identify

    async def Connect(  # type: ignore[override]
        self, request_iterator: AsyncIterator[replica_service_pb2.ConnectRequest], context: Context
    ) -> None:
        """The stream of a peer with a lower id."""
        link = self._peers.links.get(self._identify())
        if link is None:
            raise HuzhengError(Code.PEER_UNKNOWN)
        await context.send_initial_metadata(())

        async def write(messages: list[replica_service_pb2.PeerMessage]) -> None:
            await context.write(replica_service_pb2.ConnectResponse(messages=messages))

        await link.run((request.messages async for request in request_iterator), write)

    async def FetchBlocks(
        self, request: replica_service_pb2.FetchBlocksRequest, context: Context
    ) -> AsyncIterator[replica_service_pb2.FetchBlocksResponse]:
        """Stored blocks from a height on."""
        count = min(request.count, MAX_BLOCKS_A_CALL)
        first = max(request.from_height, 1)
        for height in range(first, first + count):
            if height > self._store.tip.height:
                return
            block = await asyncio.to_thread(self._store.block, Height(height))
            yield replica_service_pb2.FetchBlocksResponse(block=block)

"""What peers call: the message stream and block fetches. Who may call is checked before these run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from huzheng.v1 import replica_service_pb2

from ledger.crypto.types import Height
from ledger.errors import Code, HuzhengError
from ledger.store import ChainStore
from node.identity import Caller
from node.peers import Peers
from node.services.gate import Gate

if TYPE_CHECKING:
    # Generic in the stubs only.
    Context = grpc.aio.ServicerContext[Any, Any]

MAX_BLOCKS_A_CALL = 1_024
MAX_FETCHES = 4
"""Of one department's nodes at a time, each with a block in memory; a correct node makes one, and may not have heard of its last one's end."""


class ReplicaService:
    """Replica to replica. Takes messages unread, so that they are looked at before protobuf makes objects of them."""

    def __init__(self, store: ChainStore, peers: Peers, identify: Callable[[], Caller]) -> None:
        self._store = store
        self._peers = peers
        self._identify = identify
        self._fetching: Counter[str] = Counter()

    def add_to(self, gate: Gate) -> None:
        """Registers the methods of huzheng.v1.ReplicaService."""
        handlers = {
            "Connect": grpc.stream_stream_rpc_method_handler(
                self.Connect, None, replica_service_pb2.ConnectResponse.SerializeToString
            ),
            "FetchBlocks": grpc.unary_stream_rpc_method_handler(
                self.FetchBlocks,
                replica_service_pb2.FetchBlocksRequest.FromString,
                replica_service_pb2.FetchBlocksResponse.SerializeToString,
            ),
        }
        name = str(replica_service_pb2.DESCRIPTOR.services_by_name["ReplicaService"].full_name)
        gate.add_registered_method_handlers(name, handlers)

    async def Connect(self, _requests: AsyncIterator[bytes], context: Context) -> None:
        """The stream of a peer with a lower id."""
        caller = self._identify()
        link = self._peers.links.get(caller.replica)
        if link is None or link.peer.department != caller.department:
            raise HuzhengError(Code.PEER_UNKNOWN)
        await context.send_initial_metadata(())

        async def write(messages: list[bytes]) -> None:
            await context.write(replica_service_pb2.ConnectResponse(messages=messages))

        await link.run(context.read, write)

    async def FetchBlocks(
        self, request: replica_service_pb2.FetchBlocksRequest, context: Context
    ) -> AsyncIterator[replica_service_pb2.FetchBlocksResponse]:
        """Stored blocks from a height on, for any department's node: one that is to join needs them first (M5)."""
        department = self._identify().department
        if self._fetching[department] >= MAX_FETCHES:
            raise HuzhengError(Code.OVERLOADED, f"more than {MAX_FETCHES} fetches at once")
        self._fetching[department] += 1
        try:
            async for block in self._blocks(request):
                yield replica_service_pb2.FetchBlocksResponse(block=block)
        finally:
            self._fetching[department] -= 1

    async def _blocks(self, request: replica_service_pb2.FetchBlocksRequest) -> AsyncIterator[bytes]:
        count = min(request.count, MAX_BLOCKS_A_CALL)
        first = max(request.from_height, 1)
        for height in range(first, first + count):
            if height > self._store.tip.height:
                return
            yield await asyncio.to_thread(self._store.block, Height(height))

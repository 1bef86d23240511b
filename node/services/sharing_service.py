"""What other departments' systems call to get confidential values. The gate has checked who calls and whether they may."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import grpc.aio
from huzheng.v1 import sharing_service_pb2 as pb
from huzheng.v1 import sharing_service_pb2_grpc

from node.services.gate import current_caller
from node.sharing.releasing import Releaser

if TYPE_CHECKING:
    # Generic in the stubs only.
    Context = grpc.aio.ServicerContext[Any, Any]


class SharingService(sharing_service_pb2_grpc.SharingServiceServicer):
    """Decodes, calls, encodes."""

    def __init__(self, releaser: Releaser, readers: Executor) -> None:
        self._releaser = releaser
        self._readers = readers

    async def Release(self, request: pb.ReleaseRequest, context: Context) -> pb.ReleaseResponse:
        """The answer to a read."""
        loop = asyncio.get_running_loop()
        sealed = await loop.run_in_executor(self._readers, self._releaser.release, request.read, current_caller())
        return pb.ReleaseResponse(sealed=sealed)

"""What a department's own systems and clerks call to deposit and to see confidential values. The gate has checked their roles."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import grpc.aio
from huzheng.v1 import vault_service_pb2 as pb
from huzheng.v1 import vault_service_pb2_grpc

from node.services.gate import current_caller
from node.vault_access import VaultAccess

if TYPE_CHECKING:
    # Generic in the stubs only.
    Context = grpc.aio.ServicerContext[Any, Any]


class VaultService(vault_service_pb2_grpc.VaultServiceServicer):
    """Decodes, calls, encodes."""

    def __init__(self, vault: VaultAccess, workers: Executor) -> None:
        """`workers`: threads that may wait for the disk."""
        self._vault = vault
        self._workers = workers

    async def Deposit(self, request: pb.DepositRequest, context: Context) -> pb.DepositResponse:
        """Keeps values; answers when they are durable."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._workers, self._vault.deposit, request, current_caller())
        return pb.DepositResponse()

    async def Keep(self, request: pb.KeepRequest, context: Context) -> pb.KeepResponse:
        """Keeps copies; answers when they are durable."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._workers, self._vault.keep, request, current_caller())
        return pb.KeepResponse()

    async def Disclose(self, request: pb.DiscloseRequest, context: Context) -> pb.DiscloseResponse:
        """Shows values."""
        loop = asyncio.get_running_loop()
        disclosure = await loop.run_in_executor(self._workers, self._vault.disclose, request, current_caller())
        return pb.DiscloseResponse(disclosure=disclosure)

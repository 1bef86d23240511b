"""A client and a server without TLS, which has its own tests: for nodes that a test plays itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, ParamSpec, cast

import grpc.aio
import pytest
from huzheng.v1.ledger_service_pb2_grpc import LedgerServiceServicer, add_LedgerServiceServicer_to_server

from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from node.client import LedgerClient
from node.connections import Endpoint
from node.tls import TlsMaterial

P = ParamSpec("P")


def in_a_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test that is a coroutine, run to its end."""

    @wraps(test)
    def run(*arguments: P.args, **named: P.kwargs) -> None:
        asyncio.run(test(*arguments, **named))

    return run


class PlainClient(LedgerClient):
    """Calls without TLS."""

    def _open(self, node: Endpoint) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(node.address)

    def only(self, number: int, *, timeout_s: float | None = None) -> LedgerClient:
        return plain_client(self.genesis, self.nodes[number], timeout_s=timeout_s or self.timeout_s)


def plain_client(genesis: Genesis, *endpoints: Endpoint, timeout_s: float = 5.0) -> LedgerClient:
    """A client for nodes that are served without TLS."""
    return PlainClient(genesis, cast(TlsMaterial, None), endpoints, timeout_s=timeout_s)


@asynccontextmanager
async def serving(node: LedgerServiceServicer) -> AsyncIterator[Endpoint]:
    """Serves a node that a test plays, as replica 1 of planning."""
    server = grpc.aio.server()
    add_LedgerServiceServicer_to_server(node, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield Endpoint(f"127.0.0.1:{port}", "planning", 1)
    finally:
        await server.stop(None)


async def code_of(call: Awaitable[object]) -> Code:
    """The code of the error that a call ends with."""
    with pytest.raises(HuzhengError) as caught:
        await call
    return caught.value.code

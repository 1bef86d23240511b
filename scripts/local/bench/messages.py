"""What gRPC alone takes for the messages that consensus cannot do without."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

_SERVICE, _METHOD = "bench.Echo", "Echo"
_WARM_UP, _COUNT = 200, 2_000
_VOTE_BYTES = 250
"""Of a message with one vote."""


def message_us() -> float:
    """CPU time of one message with a vote, of sender and receiver together: on a stream by gRPC's asyncio API, in this process, without TLS."""
    return asyncio.run(_measure())


async def _measure() -> float:
    server = grpc.aio.server()
    handlers = {_METHOD: grpc.stream_stream_rpc_method_handler(_echo, None, None)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.stream_stream(f"/{_SERVICE}/{_METHOD}", None, None)()  # type: ignore[call-arg]
            await _exchange(call, _WARM_UP)
            started_ns = time.process_time_ns()
            await _exchange(call, _COUNT)
            # Each goes there and back.
            return (time.process_time_ns() - started_ns) / 1_000 / (2 * _COUNT)
    finally:
        await server.stop(None)


async def _echo(requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[Any, Any]) -> None:
    async for raw in requests:
        await context.write(raw)


async def _exchange(call: Any, count: int) -> None:
    for _ in range(count):
        await call.write(bytes(_VOTE_BYTES))
        await call.read()

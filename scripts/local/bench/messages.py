"""What gRPC alone takes for the messages that consensus cannot do without."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

_SERVICE, _METHOD = "bench.Echo", "Echo"
_WARM_UP, _COUNT = 200, 2_000
_CALLS_AT_ONCE = 64
_VOTE_BYTES = 250
"""Of a message with one vote."""
_TRANSACTION_BYTES = 400
"""Of a call with a transaction of one record."""


def message_us() -> float:
    """CPU time of one message with a vote, of sender and receiver together: on a stream by gRPC's asyncio API, in this process, without TLS."""
    return asyncio.run(_measure_messages())


def call_us() -> float:
    """CPU time of one unary call, of client and server together, many at once: by gRPC's asyncio API, in this process, without TLS."""
    return asyncio.run(_measure_calls())


async def _measure_messages() -> float:
    async with _channel(grpc.stream_stream_rpc_method_handler(_echo, None, None)) as channel:
        call = channel.stream_stream(f"/{_SERVICE}/{_METHOD}", None, None)()  # type: ignore[call-arg]
        await _exchange(call, _WARM_UP)
        started_ns = time.process_time_ns()
        await _exchange(call, _COUNT)
        # Each goes there and back.
        used_us = (time.process_time_ns() - started_ns) / 1_000 / (2 * _COUNT)
        await call.done_writing()
        await call.code()
        return used_us


async def _measure_calls() -> float:
    async with _channel(grpc.unary_unary_rpc_method_handler(_answer, None, None)) as channel:
        call = channel.unary_unary(f"/{_SERVICE}/{_METHOD}", None, None)

        async def client(count: int) -> None:
            for _ in range(count):
                await call(bytes(_TRANSACTION_BYTES))

        async def clients(count: int) -> None:
            await asyncio.gather(*(client(count // _CALLS_AT_ONCE) for _ in range(_CALLS_AT_ONCE)))

        await clients(_WARM_UP)
        started_ns = time.process_time_ns()
        await clients(_COUNT)
        return (time.process_time_ns() - started_ns) / 1_000 / (_COUNT // _CALLS_AT_ONCE * _CALLS_AT_ONCE)


@asynccontextmanager
async def _channel(handler: grpc.RpcMethodHandler[Any, Any]) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)


async def _answer(request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
    return request


async def _echo(requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[Any, Any]) -> None:
    async for raw in requests:
        await context.write(raw)


async def _exchange(call: Any, count: int) -> None:
    for _ in range(count):
        await call.write(bytes(_VOTE_BYTES))
        await call.read()

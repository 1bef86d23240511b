"""The gate against a client that asks and does not read."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio

from node.identity import Caller, Role
from node.metrics import Metrics
from node.services.gate import Gate

ANSWER_BYTES = 1 << 20
CALLS = 16
METHOD = "/huzheng.v1.LedgerService/GetBlock"


class Directory:
    """Believes what the caller says."""

    def identify(self, context: Any) -> Caller:
        return Caller(dict(context.invocation_metadata())["department"], Role.CLERK, "x")


async def answer(_request: bytes, _context: Any) -> bytes:
    return bytes(ANSWER_BYTES)


def metadata(department: str) -> tuple[tuple[str, str]]:
    return (("department", department),)


async def ask_and_not_read(channel: grpc.aio.Channel) -> Any:
    call = channel.stream_stream(METHOD)(metadata=metadata("tax"))  # type: ignore[call-arg]
    # One that is refused may be over before its question is written.
    with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        await call.write(b"x")
        await call.done_writing()
    return call


def test_one_department_that_reads_no_answers_takes_no_more_than_its_share_of_the_calls() -> None:
    async def scenario() -> None:
        gate = Gate(Directory(), Metrics(), CALLS)  # type: ignore[arg-type]
        handlers = {"GetBlock": grpc.unary_unary_rpc_method_handler(answer)}
        gate.add_registered_method_handlers("huzheng.v1.LedgerService", handlers)
        server = grpc.aio.server(handlers=[gate], maximum_concurrent_rpcs=CALLS)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with (
            grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.http2.bdp_probe", 0)]) as greedy,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]) as other,
        ):
            calls = [await ask_and_not_read(greedy) for _ in range(2 * CALLS)]
            while sum(call.done() for call in calls) < 2 * CALLS - CALLS // 4:
                await asyncio.sleep(0.01)
            assert await calls[-1].code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            found = await other.unary_unary(METHOD)(b"x", metadata=metadata("police"), timeout=10)  # type: ignore[call-arg]
            assert len(found) == ANSWER_BYTES
            for call in calls:
                call.cancel()
            while gate._in_hand["tax", False]:
                await asyncio.sleep(0.01)
        await server.stop(0)

    asyncio.run(asyncio.wait_for(scenario(), 30))

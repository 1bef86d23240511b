"""The gate that every call passes, of clients and replicas alike: who calls, may they, how many at once, how it ends.

Behind it a method decodes nothing, checks no role and raises `HuzhengError`; whatever else escapes it becomes INTERNAL
with an incident number, and no more than that reaches the caller.

Every method is registered as one that takes a stream, which on the wire is the same: gRPC then calls it before the first
message is there, and who may not call, or calls too much, makes the node receive nothing.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError

from ledger.errors import Code, HuzhengError
from node.clock import monotonic_ms
from node.errors import abort
from node.identity import Caller, CallerDirectory, Role
from node.metrics import Metrics
from node.services.permissions import require_permission

if TYPE_CHECKING:
    # Generic in the stubs only.
    _Interceptor = grpc.aio.ServerInterceptor[Any, Any]
    Context = grpc.aio.ServicerContext[Any, Any]
else:
    _Interceptor = grpc.aio.ServerInterceptor

Decode = Callable[[bytes], Any]
_Incoming = Callable[["_Share", Decode, AsyncIterator[bytes]], AbstractAsyncContextManager[Any]]

MAX_RECEIVING = 8
"""Single messages of one department's clients, or its replica, being received at a time; each may have megabytes."""
RECEIVE_TIMEOUT_S = 15.0
"""For a call's only message to be there, once the call is made."""
MAX_INCOMING_STREAMS = 32
"""Calls of one department's clients, or its replica, that send a stream."""

_caller: ContextVar[Caller] = ContextVar("caller")

log = structlog.get_logger("calls")


def current_caller() -> Caller:
    """Who made the call that is being served."""
    return _caller.get()


def report_incident(method: str, failure: Exception) -> HuzhengError:
    """Logs an exception that no code foresaw; the error to answer with has nothing of it but the incident's number."""
    incident = secrets.token_hex(4)
    log.error("call failed", method=method, incident=incident, exc_info=failure)
    return HuzhengError(Code.INTERNAL, f"incident {incident}")


_Share = tuple[str, bool]
"""A department, and whether it is its replica that calls."""


class Gate(_Interceptor):
    """Wraps each method of each service once."""

    def __init__(self, callers: CallerDirectory, metrics: Metrics, concurrent_calls: int) -> None:
        """`concurrent_calls`: as many as the server takes; a department's clients may have a quarter of them."""
        self._callers = callers
        self._metrics = metrics
        self._max_calls = max(1, concurrent_calls // 4)
        self._in_hand: Counter[_Share] = Counter()
        self._streams: Counter[_Share] = Counter()
        self._receiving: dict[_Share, asyncio.Semaphore] = {}
        self._wrapped: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """The guarded method; gRPC itself answers UNIMPLEMENTED where there is none."""
        method = str(handler_call_details.method)
        handler = self._wrapped.get(method)
        if handler is None:
            handler = await continuation(handler_call_details)
            if handler is not None:
                handler = self._wrapped[method] = self._wrap(method, handler)
        return handler

    @asynccontextmanager
    async def _serving(self, method: str, context: Context) -> AsyncIterator[_Share]:
        started_ms = monotonic_ms()
        outcome = "OK"
        self._metrics.calls_in_hand.inc()
        try:
            caller = self._callers.identify(context)
            require_permission(method, caller)
            share = (caller.department, caller.role is Role.REPLICA)
            if self._in_hand[share] >= self._max_calls:
                raise HuzhengError(Code.OVERLOADED, "too many calls of the department at once")
            self._in_hand[share] += 1
            # Not when it is answered: a caller who does not read the answer keeps the call open.
            context.add_done_callback(partial(self._leave, share))  # type: ignore[arg-type]  # the stubs name its argument
            _caller.set(caller)
            yield share
        except HuzhengError as error:
            outcome = str(error.code)
            await abort(context, error)
        except asyncio.CancelledError:
            outcome = "CANCELLED"
            raise
        except grpc.aio.BaseError:
            outcome = "ABORTED"
            raise
        except Exception as error:
            outcome = str(Code.INTERNAL)
            await abort(context, report_incident(method, error))
        finally:
            self._metrics.calls_in_hand.dec()
            self._metrics.calls.labels(method, outcome).inc()
            self._metrics.call_seconds.labels(method).observe((monotonic_ms() - started_ms) / 1000)

    def _leave(self, share: _Share, _context: Context) -> None:
        """The call is over, its answer sent or given up."""
        self._in_hand[share] -= 1

    def _wrap(self, method: str, handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        decode = handler.request_deserializer or bytes
        make, behaviour = _MAKERS[handler.request_streaming, handler.response_streaming](handler)
        incoming = self._incoming_all if handler.request_streaming else self._incoming_one
        wrapped = self._wrap_behaviour(method, behaviour, decode, incoming)
        guarded: grpc.RpcMethodHandler[Any, Any] = make(wrapped, None, handler.response_serializer)
        return guarded

    def _wrap_behaviour(
        self, method: str, behaviour: Callable[..., Any], decode: Decode, incoming: _Incoming
    ) -> Callable[..., Any]:
        async def answer(requests: AsyncIterator[bytes], context: Context) -> Any:
            async with self._serving(method, context) as share, incoming(share, decode, requests) as request:
                return await behaviour(request, context)

        async def answer_stream(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[Any]:
            async with self._serving(method, context) as share, incoming(share, decode, requests) as request:
                async for response in behaviour(request, context):
                    yield response

        return answer_stream if inspect.isasyncgenfunction(behaviour) else answer

    @asynccontextmanager
    async def _incoming_one(self, share: _Share, decode: Decode, requests: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        room = self._receiving.setdefault(share, asyncio.Semaphore(MAX_RECEIVING))
        try:
            async with asyncio.timeout(RECEIVE_TIMEOUT_S), room:
                raw = await anext(aiter(requests), None)
        except TimeoutError:
            raise HuzhengError(Code.TIMED_OUT, "the call's message did not come") from None
        if raw is None:
            raise HuzhengError(Code.INVALID_REQUEST, "a call without a message")
        yield _decode_one(decode, raw)

    @asynccontextmanager
    async def _incoming_all(self, share: _Share, decode: Decode, requests: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        if self._streams[share] >= MAX_INCOMING_STREAMS:
            raise HuzhengError(Code.OVERLOADED, "too many streams of the department at once")
        self._streams[share] += 1
        try:
            yield _decode_all(decode, requests)
        finally:
            self._streams[share] -= 1


def _decode_one(decode: Decode, raw: bytes) -> Any:
    try:
        return decode(raw)
    except (DecodeError, RecursionError):
        raise HuzhengError(Code.INVALID_REQUEST, "not a message of this method") from None


async def _decode_all(decode: Decode, requests: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    async for raw in requests:
        yield _decode_one(decode, raw)


_MAKERS: dict[tuple[bool, bool], Callable[[Any], tuple[Callable[..., Any], Callable[..., Any]]]] = {
    (False, False): lambda handler: (grpc.stream_unary_rpc_method_handler, handler.unary_unary),
    (False, True): lambda handler: (grpc.stream_stream_rpc_method_handler, handler.unary_stream),
    (True, False): lambda handler: (grpc.stream_unary_rpc_method_handler, handler.stream_unary),
    (True, True): lambda handler: (grpc.stream_stream_rpc_method_handler, handler.stream_stream),
}

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
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeGuard

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
    _GenericHandler = grpc.GenericRpcHandler[Any, Any]
    _Handler = grpc.RpcMethodHandler[Any, Any]
    Context = grpc.aio.ServicerContext[Any, Any]
else:
    _GenericHandler = grpc.GenericRpcHandler

Decode = Callable[[bytes], Any]
_Request = Callable[["_Share", Decode, AsyncIterator[bytes], "Context"], Awaitable[Any]]
"""What a method is given of what comes in."""

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


class Gate(_GenericHandler):
    """What all services' methods are registered with, in place of the server; each is wrapped once.

    They are not registered with gRPC one by one: its asyncio server waits for all such methods anew with every call, and then for each
    interceptor.
    """

    def __init__(self, callers: CallerDirectory, metrics: Metrics, concurrent_calls: int) -> None:
        """`concurrent_calls`: as many as the server takes; a department's clients may have a quarter of them."""
        self._callers = callers
        self._metrics = metrics
        self._max_calls = max(1, concurrent_calls // 4)
        self._in_hand: Counter[_Share] = Counter()
        self._streams: Counter[_Share] = Counter()
        self._receiving: dict[_Share, asyncio.Semaphore] = {}
        self._methods: dict[str, _Handler] = {}

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, _Handler]) -> None:
        """Guards the methods of a service, given by their names."""
        for name, handler in handlers.items():
            method = f"/{service}/{name}"
            self._methods[method] = self._wrap(method, handler)

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Nothing: what gRPC generates registers each method in both ways."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> _Handler | None:
        """The guarded method; gRPC itself answers UNIMPLEMENTED where there is none."""
        return self._methods.get(handler_call_details.method)

    def _admit(self, method: str, context: Context) -> _Share:
        """Raises HuzhengError if the caller may not call, or not now."""
        caller = self._callers.identify(context)
        require_permission(method, caller)
        share = (caller.department, caller.role is Role.REPLICA)
        if self._in_hand[share] >= self._max_calls:
            raise HuzhengError(Code.OVERLOADED, "too many calls of the department at once")
        _take_place(self._in_hand, share, context)
        _caller.set(caller)
        return share

    def _wrap(self, method: str, handler: _Handler) -> _Handler:
        decode = handler.request_deserializer or bytes
        make, behaviour = _MAKERS[handler.request_streaming, handler.response_streaming](handler)
        request = self._all_messages if handler.request_streaming else self._one_message
        wrapped = self._wrap_behaviour(method, behaviour, decode, request)
        guarded: _Handler = make(wrapped, None, handler.response_serializer)
        return guarded

    def _wrap_behaviour(
        self, method: str, behaviour: Callable[..., Any], decode: Decode, request: _Request
    ) -> Callable[..., Any]:
        async def answer(messages: AsyncIterator[bytes], context: Context) -> Any:
            async with _Serving(method, context, self._metrics):
                share = self._admit(method, context)
                return await behaviour(await request(share, decode, messages, context), context)

        async def answer_stream(messages: AsyncIterator[bytes], context: Context) -> AsyncIterator[Any]:
            async with _Serving(method, context, self._metrics):
                share = self._admit(method, context)
                async for response in behaviour(await request(share, decode, messages, context), context):
                    yield response

        return answer_stream if inspect.isasyncgenfunction(behaviour) else answer

    async def _one_message(
        self, share: _Share, decode: Decode, _messages: AsyncIterator[bytes], context: Context
    ) -> Any:
        room = self._receiving.setdefault(share, asyncio.Semaphore(MAX_RECEIVING))
        try:
            async with asyncio.timeout(RECEIVE_TIMEOUT_S), room:
                # Not from the iterator: one that is not read to its end is closed by a call from the collector to the loop.
                raw = await context.read()
        except TimeoutError:
            raise HuzhengError(Code.TIMED_OUT, "the call's message did not come") from None
        if raw is grpc.aio.EOF:  # type: ignore[attr-defined]  # missing in the stubs
            raise HuzhengError(Code.INVALID_REQUEST, "a call without a message")
        return _decode_one(decode, raw)

    async def _all_messages(
        self, share: _Share, decode: Decode, messages: AsyncIterator[bytes], context: Context
    ) -> AsyncIterator[Any]:
        if self._streams[share] >= MAX_INCOMING_STREAMS:
            raise HuzhengError(Code.OVERLOADED, "too many streams of the department at once")
        _take_place(self._streams, share, context)
        return _decode_all(decode, messages)


class _Serving:
    """One call while its method runs: is counted, and ends with the error that the method raises."""

    __slots__ = ("_context", "_method", "_metrics", "_started_ms")

    def __init__(self, method: str, context: Context, metrics: Metrics) -> None:
        self._method = method
        self._context = context
        self._metrics = metrics
        self._started_ms = monotonic_ms()

    async def __aenter__(self) -> None:
        self._metrics.calls_in_hand.inc()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outcome = "OK" if error is None else _outcome(error)
        try:
            if isinstance(error, HuzhengError):
                await abort(self._context, error)
            elif _is_unforeseen(error):
                await abort(self._context, report_incident(self._method, error))
        finally:
            self._metrics.calls_in_hand.dec()
            self._metrics.calls.labels(self._method, outcome).inc()
            self._metrics.call_seconds.labels(self._method).observe((monotonic_ms() - self._started_ms) / 1000)


def _outcome(error: BaseException) -> str:
    if isinstance(error, HuzhengError):
        return str(error.code)
    if _is_unforeseen(error):
        return str(Code.INTERNAL)
    return "CANCELLED" if isinstance(error, asyncio.CancelledError | GeneratorExit) else "ABORTED"


def _is_unforeseen(error: BaseException | None) -> TypeGuard[Exception]:
    return isinstance(error, Exception) and not isinstance(error, grpc.aio.BaseError | HuzhengError)


def _take_place(places: Counter[_Share], share: _Share, context: Context) -> None:
    """Until the call is over, and not only answered: a caller who does not read the answer keeps the call open."""
    places[share] += 1
    context.add_done_callback(partial(_leave, places, share))  # type: ignore[arg-type]  # the stubs name its argument


def _leave(places: Counter[_Share], share: _Share, _context: Context) -> None:
    places[share] -= 1


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

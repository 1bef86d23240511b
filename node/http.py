"""Metrics and health over plain HTTP, for the machine's own monitoring: `/metrics`, `/healthz`, `/readyz`.

Three fixed answers to GET and HEAD need no web framework. Nothing a client sends is kept, echoed or logged.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import structlog

from ledger.errors import Code, HuzhengError

MAX_REQUEST_BYTES = 8 * 1024
MAX_CONNECTIONS = 32
TIMEOUT_S = 5.0
"""For a whole exchange, so that nobody can hold a connection by trickling bytes."""

_TEXT = "text/plain; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"

log = structlog.get_logger("http")


@dataclass(frozen=True, slots=True)
class Pages:
    """Where the answers come from. All are called on the event loop and must be quick."""

    metrics: Callable[[], bytes]
    problems: Callable[[], Sequence[str]]
    """Codes of what stops the node from doing its work until someone acts; none when it is healthy."""
    not_ready: Callable[[], Sequence[str]]
    """Why it can't serve just now, such as catching up; none when it is ready."""


class HttpServer:
    """Answers one request a connection."""

    def __init__(self, pages: Pages, host: str, port: int) -> None:
        self._pages = pages
        self._host = host
        self._port = port
        self._connections = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listens; returns the port, which the system chose if it was 0.

        Raises:
            HuzhengError: ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE.
        """
        try:
            self._server = await asyncio.start_server(
                self._serve, self._host, self._port, limit=MAX_REQUEST_BYTES, backlog=MAX_CONNECTIONS
            )
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            code = Code.ADDRESS_IN_USE if taken else Code.ADDRESS_NOT_AVAILABLE
            raise HuzhengError(code, f"http.listen {self._host}:{self._port}") from None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Listens no more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= MAX_CONNECTIONS:
                async with asyncio.timeout(TIMEOUT_S):
                    await self._exchange(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        except Exception as error:
            log.error("http request failed", exc_info=error)
        finally:
            self._connections -= 1
            # Closed by now if all went well; otherwise whatever is unsent or unread goes.
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            status, content_type, body = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _TEXT, b""
            with_body = True
        else:
            words = head.split(b"\r\n", 1)[0].split(b" ")
            status, content_type, body = self._answer(words)
            with_body = words[0] != b"HEAD"
        lines = (
            f"HTTP/1.1 {status.value} {status.phrase}",
            f"Content-Type: {content_type}",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            "Connection: close",
        )
        writer.write("\r\n".join((*lines, "", "")).encode() + (body if with_body else b""))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    def _answer(self, words: list[bytes]) -> tuple[HTTPStatus, str, bytes]:
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return HTTPStatus.BAD_REQUEST, _TEXT, b""
        if words[0] not in (b"GET", b"HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, b""
        match words[1].split(b"?", 1)[0]:
            case b"/metrics":
                return HTTPStatus.OK, _METRICS, self._pages.metrics()
            case b"/healthz":
                return _verdict(self._pages.problems())
            case b"/readyz":
                return _verdict((*self._pages.problems(), *self._pages.not_ready()))
        return HTTPStatus.NOT_FOUND, _TEXT, b""


def _verdict(reasons: Sequence[str]) -> tuple[HTTPStatus, str, bytes]:
    if reasons:
        return HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, "".join(f"{reason}\n" for reason in reasons).encode()
    return HTTPStatus.OK, _TEXT, b"ok\n"

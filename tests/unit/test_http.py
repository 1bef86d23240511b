"""Metrics and health over HTTP: three pages, and nobody can hold the server up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ledger.errors import Code, HuzhengError
from node import http
from node.http import MAX_CONNECTIONS, MAX_REQUEST_BYTES, HttpServer, Pages
from node.metrics import GAUGES, Metrics, Readings


class Node:
    """What the pages tell of."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.problems: list[str] = []
        self.not_ready: list[str] = []
        pages = Pages(self.metrics.exposition, lambda: self.problems, lambda: self.not_ready)
        self.server = HttpServer(pages, "127.0.0.1", 0)
        self.port = 0

    async def ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        try:
            return await asyncio.wait_for(reader.read(), 10)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    async def get(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        answer = await self.ask(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), body


def play(scenario: Callable[[Node], Awaitable[None]]) -> None:
    async def run() -> None:
        node = Node()
        node.port = await node.server.start()
        try:
            async with asyncio.timeout(30):
                await scenario(node)
        finally:
            await node.server.stop()

    asyncio.run(run())


def test_a_healthy_node_says_ok() -> None:
    async def scenario(node: Node) -> None:
        assert await node.get("/healthz") == (200, b"ok\n")
        assert await node.get("/readyz?verbose") == (200, b"ok\n")

    play(scenario)


def test_a_node_that_catches_up_is_healthy_but_not_ready() -> None:
    async def scenario(node: Node) -> None:
        node.not_ready.append("CATCHING_UP")
        assert await node.get("/healthz") == (200, b"ok\n")
        assert await node.get("/readyz") == (503, b"CATCHING_UP\n")

    play(scenario)


def test_a_node_with_a_problem_is_neither() -> None:
    async def scenario(node: Node) -> None:
        node.problems.append("DIVERGED")
        assert await node.get("/healthz") == (503, b"DIVERGED\n")
        assert (await node.get("/readyz"))[0] == 503

    play(scenario)


def test_metrics_are_in_the_prometheus_format() -> None:
    async def scenario(node: Node) -> None:
        node.metrics.refused.labels("EXPIRED").inc(3)
        status, body = await node.get("/metrics")
        assert status == 200
        assert b'huzheng_refused_total{code="EXPIRED"} 3.0' in body

    play(scenario)


def test_head_has_no_body_and_other_paths_and_methods_do_not_exist() -> None:
    async def scenario(node: Node) -> None:
        assert await node.get("/healthz", "HEAD") == (200, b"")
        assert await node.get("/") == (404, b"")
        assert await node.get("/../etc/passwd") == (404, b"")
        assert await node.get("/metrics", "POST") == (405, b"")

    play(scenario)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\r\n\r\n", b"400"),
        (b"GET\r\n\r\n", b"400"),
        (b"GET /healthz\r\n\r\n", b"400"),
        (b"\xff\xfe\x00 \x00 HTTP/1.1\r\n\r\n", b"405"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400"),
        (b"GET /healthz SMTP\r\n\r\n", b"400"),
        (b"A" * MAX_REQUEST_BYTES * 2 + b"\r\n\r\n", b"431"),
    ],
)
def test_what_is_no_request_gets_an_answer_too(request_bytes: bytes, status: bytes) -> None:
    async def scenario(node: Node) -> None:
        answer = await node.ask(request_bytes)
        # A client that sends far too much may be cut off before it reads.
        assert answer[9:12] == status or (status == b"431" and not answer)
        assert (await node.get("/healthz"))[0] == 200

    play(scenario)


def test_nothing_of_a_request_comes_back() -> None:
    async def scenario(node: Node) -> None:
        answer = await node.ask(b"GET /<script>secret</script> HTTP/1.1\r\nX: secret\r\n\r\n")
        assert b"secret" not in answer

    play(scenario)


def test_silent_clients_are_dropped_and_hold_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TIMEOUT_S", 0.3)

    async def scenario(node: Node) -> None:
        silent = [await asyncio.open_connection("127.0.0.1", node.port) for _ in range(MAX_CONNECTIONS)]
        silent[0][1].write(b"GET /healthz HTTP/1.1\r\n")
        await asyncio.sleep(0.05)
        # All places are taken: turned away at once, not kept waiting.
        assert await node.ask(b"GET /healthz HTTP/1.1\r\n\r\n") == b""
        for reader, writer in silent:
            assert await reader.read() == b""
            writer.close()
        assert (await node.get("/healthz"))[0] == 200

    play(scenario)


def test_a_page_that_fails_does_not_take_the_server_down() -> None:
    async def scenario(node: Node) -> None:
        node.problems = None  # type: ignore[assignment]
        assert await node.ask(b"GET /readyz HTTP/1.1\r\n\r\n") == b""
        node.problems = []
        assert (await node.get("/readyz"))[0] == 200

    play(scenario)


def test_a_port_in_use_is_named() -> None:
    async def scenario(node: Node) -> None:
        with pytest.raises(HuzhengError) as refused:
            await HttpServer(Pages(lambda: b"", tuple, tuple), "127.0.0.1", node.port).start()
        assert refused.value.code is Code.ADDRESS_IN_USE
        assert str(node.port) in refused.value.detail

    play(scenario)


def test_an_address_of_another_machine_is_refused() -> None:
    async def scenario() -> None:
        with pytest.raises(HuzhengError) as refused:
            await HttpServer(Pages(lambda: b"", tuple, tuple), "203.0.113.7", 7200).start()
        assert refused.value.code is Code.ADDRESS_NOT_AVAILABLE

    asyncio.run(scenario())


def test_it_listens_where_it_is_told_only() -> None:
    async def scenario(node: Node) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.2", node.port))

    play(scenario)


def test_readings_are_taken_when_asked() -> None:
    metrics = Metrics()
    height = [1]
    metrics.read_from(
        Readings(
            gauges={"huzheng_height": lambda: height[0]},
            pending=lambda: {"tax": 2},
            events=lambda: {"vote_log_writes": 7},
        )
    )
    height[0] = 5
    text = metrics.exposition().decode()
    assert "huzheng_height 5.0" in text
    assert 'huzheng_pending{department="tax"} 2.0' in text
    assert 'huzheng_consensus_events_total{event="vote_log_writes"} 7.0' in text


def test_a_gauge_that_is_not_in_the_table_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="huzheng_speed"):
        Metrics().read_from(Readings(gauges={"huzheng_speed": lambda: 1.0}))


def test_every_metric_is_documented() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    metrics = Metrics()
    metrics.read_from(Readings(gauges=dict.fromkeys(GAUGES, lambda: 0.0)))
    names = {family.name + ("_total" if family.type == "counter" else "") for family in metrics.registry.collect()}
    assert len(names) > 20
    assert {name for name in names if f"`{name}`" not in documented} == set()

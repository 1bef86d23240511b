"""`huzheng chain tail` and `huzheng reliance watch` with two nodes, one of which goes away: nothing is left out, and nothing comes twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import grpc.aio
import pytest

from ledger.crypto import SIMULATION
from node.cli.following import Follower
from node.cli.reliance_watch import RelianceWatch
from node.client import LedgerClient
from node.config import LimitsSection
from node.connections import Endpoint
from node.tls import TlsMaterial
from tests.integration.test_audit_service import PLANNING, Audited
from tests.integration.test_ledger_service import CONSORTIUM, GENESIS, Server
from tests.sequencer import until
from tests.sharing import SUBJECTS, Sharing

FIRST, SECOND, THIRD = SUBJECTS
Follow = Callable[[Any, LedgerClient], Awaitable[None]]


class Client(LedgerClient):
    """Calls two servers of this test."""

    def __init__(self, channels: list[grpc.aio.Channel]) -> None:
        self._opened = {Endpoint(f"node {number}", "planning", 1): one for number, one in enumerate(channels, 1)}
        super().__init__(GENESIS, cast(TlsMaterial, None), list(self._opened))

    def _open(self, node: Endpoint) -> grpc.aio.Channel:
        return self._opened[node]


class TwoNodes:
    """Both have the blocks of a world so far; what follows them prints lines, and says when it has lost a connection."""

    def __init__(self, servers: list[Server], world: Sharing, stack: AsyncExitStack) -> None:
        self._servers = servers
        self.world = world
        self.first, self.second = (Audited(server, world, stack) for server in servers)
        self.lines: list[dict[str, Any]] = []
        self.lost: list[str] = []

    def session(self) -> SimpleNamespace:
        """As of a command with --output json."""
        out = SimpleNamespace(is_json=True, json=self.lines.append, note=lambda text, _style: self.lost.append(text))
        return SimpleNamespace(out=out, t=lambda text, **values: text.format(**values), when_stopped="")

    def register(self, *subjects: str, **fields: Any) -> list[str]:
        """A block with the next record about each subject, for the nodes to store; returns the records' ids."""
        records = [self.world.record(subject, **fields) for subject in subjects]
        self.world.must("planning", records=records)
        return [record.id.hex() for record in records]

    async def first_goes_away(self) -> None:
        await self._servers[0].server.stop(0)


def followed(directory: Path, follow: Follow, scenario: Callable[[TwoNodes], Awaitable[None]]) -> None:
    """Plays a scenario to the end, while a command follows the nodes."""

    async def run() -> None:
        async with AsyncExitStack() as stack, asyncio.timeout(60):
            servers = []
            for name in ("first", "second"):
                (directory / name).mkdir()
                servers.append(Server(directory / name, LimitsSection()))
                stack.push_async_callback(servers[-1].stop)
                await servers[-1].server.start()
            nodes = TwoNodes(servers, Sharing(SIMULATION, CONSORTIUM), stack)
            channels = [await stack.enter_async_context(server.channel(PLANNING)) for server in servers]
            following = asyncio.ensure_future(follow(nodes.session(), Client(channels)))
            stack.callback(following.cancel)
            await scenario(nodes)

    asyncio.run(run())


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.cli.following._RECONNECT_AFTER_S", 0.05)


def test_blocks_go_on_without_a_gap_at_a_node_that_was_behind(tmp_path: Path) -> None:
    async def scenario(nodes: TwoNodes) -> None:
        nodes.register(FIRST)
        nodes.first.store()
        reached = nodes.world.chain.tip.height
        await until(lambda: len(nodes.lines) == reached)
        await nodes.first_goes_away()
        await until(lambda: len(nodes.lost) > 0)
        nodes.register(SECOND)
        nodes.second.store()
        await until(lambda: len(nodes.lines) == reached + 1)
        assert [line["height"] for line in nodes.lines] == list(range(1, reached + 2))

    followed(tmp_path, lambda session, client: Follower(session, 1, 0).blocks(client), scenario)


def test_records_go_on_without_repeating_those_of_the_block_that_was_reached(tmp_path: Path) -> None:
    async def scenario(nodes: TwoNodes) -> None:
        def shown() -> list[str]:
            return [line["record_id"] for line in nodes.lines]

        expected = nodes.register(FIRST, SECOND)
        nodes.first.store()
        nodes.second.store()
        await until(lambda: shown()[-2:] == expected)
        await nodes.first_goes_away()
        await until(lambda: len(nodes.lost) > 0)
        expected += nodes.register(THIRD)
        nodes.second.store()
        await until(lambda: shown()[-1:] == expected[-1:])
        assert shown()[-3:] == expected
        assert len(set(shown())) == len(nodes.lines)

    followed(tmp_path, lambda session, client: Follower(session, 1, 0).records(client, ""), scenario)


def test_a_watch_of_what_is_relied_on_goes_on_at_the_next_node(tmp_path: Path) -> None:
    async def scenario(nodes: TwoNodes) -> None:
        nodes.register("AB1000", relies_on=nodes.world.relies(FIRST, SECOND))
        changes = nodes.register(FIRST)
        nodes.first.store()
        nodes.second.store()
        await until(lambda: len(nodes.lines) == 1)
        await nodes.first_goes_away()
        await until(lambda: len(nodes.lost) > 0)
        changes += nodes.register(SECOND)
        nodes.second.store()
        await until(lambda: len(nodes.lines) >= 2)
        assert [line["changed"]["record_id"] for line in nodes.lines] == changes

    followed(tmp_path, lambda session, client: RelianceWatch(session, 1, "", 0).run(client), scenario)


def test_a_node_that_is_gone_from_the_start_is_passed_over(tmp_path: Path) -> None:
    async def scenario(nodes: TwoNodes) -> None:
        await until(lambda: len(nodes.lines) > 0)
        assert nodes.lines[0]["height"] == 1
        assert not nodes.lost

    async def follow(session: Any, client: LedgerClient) -> None:
        unused = grpc.aio.insecure_channel("127.0.0.1:1")
        gone = Client([unused, client.channel_to(client.nodes[1])])
        await Follower(session, 1, 0).blocks(gone)

    followed(tmp_path, follow, scenario)

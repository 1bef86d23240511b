"""`huzheng chain tail --records` shows each record once, wherever in a block the connection is lost, and knows when not to go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from huzheng.v1 import ledger_service_pb2 as pb

from ledger.errors import Code, HuzhengError
from node.cli.following import Follower

Stream = Sequence[pb.WatchRecordsResponse | Code]
"""What comes; then the connection is lost, unless it says how else it ends."""


def message(height: int, names: str) -> pb.WatchRecordsResponse:
    records = [pb.LocatedRecord(record_id=name.encode()) for name in names]
    return pb.WatchRecordsResponse(height=height, records=records)


class Nodes:
    """Play a script, one stream after the other."""

    def __init__(self, *streams: Stream, nodes: int = 2) -> None:
        self.nodes = tuple(range(nodes))
        self.asked: list[int] = []
        self._streams = list(streams)

    async def status(self) -> Any:
        return SimpleNamespace(height=40)

    async def learn_of(self, records: object) -> None:
        pass

    async def watch_records(self, from_height: int, resource: str) -> AsyncIterator[pb.WatchRecordsResponse]:
        self.asked.append(from_height)
        for item in self._streams.pop(0) if self._streams else [Code.CALLER_NOT_ALLOWED]:
            if isinstance(item, Code):
                raise HuzhengError(item)
            yield item
        raise HuzhengError(Code.NODE_UNREACHABLE)


class Noting(Follower):
    """Notes what it would print."""

    def __init__(self, from_height: int = 0, count: int = 0) -> None:
        session: Any = SimpleNamespace(out=SimpleNamespace(note=lambda *_: None), t=lambda text: text)
        super().__init__(session, from_height, count)
        self.shown = ""

    def _print_record(self, client: object, located: pb.LocatedRecord) -> None:
        self.shown += located.record_id.decode()

    def play(self, nodes: Nodes) -> Code | None:
        try:
            asyncio.run(self.records(nodes, ""))  # type: ignore[arg-type]
        except HuzhengError as error:
            return error.code
        return None


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.cli.following._RECONNECT_AFTER_S", 0)


def test_a_block_that_broke_off_is_shown_to_its_end_and_no_record_twice() -> None:
    nodes = Nodes([message(41, "ab")], [message(41, "ab"), message(41, "cd"), message(43, "e")], [message(43, "ef")])
    follower = Noting()
    assert follower.play(nodes) is Code.CALLER_NOT_ALLOWED
    assert (follower.shown, nodes.asked) == ("abcdef", [41, 41, 43, 43])


def test_what_is_only_repeated_is_not_counted() -> None:
    follower = Noting(from_height=7, count=2)
    assert follower.play(Nodes([message(7, "a")], [message(7, "a"), message(8, "b"), message(9, "c")])) is None
    assert follower.shown == "ab"


def test_a_node_that_goes_back_is_not_believed() -> None:
    assert Noting(7).play(Nodes([message(9, "a"), message(8, "b")])) is Code.UNTRUSTED_ANSWER


def test_it_goes_on_while_one_node_may_do_and_ends_when_all_refuse_the_certificate() -> None:
    refused = [Code.TLS_REFUSED]
    nodes = Nodes([message(41, "a")], refused, [Code.NOT_FOUND], refused, [message(41, "ab")], refused, refused)
    follower = Noting()
    assert follower.play(nodes) is Code.TLS_REFUSED
    assert (follower.shown, len(nodes.asked)) == ("ab", 7)

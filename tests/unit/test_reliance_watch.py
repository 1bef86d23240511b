"""`huzheng reliance watch` shows each event once, whatever becomes of its connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from huzheng.v1 import ledger_service_pb2 as pb

from ledger.errors import Code, HuzhengError
from node.cli.reliance_watch import RelianceWatch

Script = Sequence[Sequence[pb.RelianceEvent] | Code]
"""What each stream brings before it breaks off; or why there is none."""


def event(height: int, name: str) -> pb.RelianceEvent:
    changed = pb.LocatedRecord(height=height, record_id=b"changed " + name.encode())
    return pb.RelianceEvent(
        relied=b"relied " + name.encode(), changed=changed, relying=pb.LocatedRecord(record_id=name.encode())
    )


class Node:
    """Plays a script; when that is over the call is not allowed any more, which ends a watch."""

    nodes = ("the only one",)

    def __init__(self, script: Script, height: int = 40) -> None:
        self._script = list(script)
        self._height = height
        self.asked: list[tuple[int, str]] = []
        """From which heights, and for whom."""

    async def status(self) -> Any:
        return SimpleNamespace(height=self._height)

    async def learn_of(self, records: object) -> None:
        pass

    async def watch_reliance(self, from_height: int, department: str) -> AsyncIterator[pb.RelianceEvent]:
        self.asked.append((from_height, department))
        step = self._script.pop(0) if self._script else Code.CALLER_NOT_ALLOWED
        if isinstance(step, Code):
            raise HuzhengError(step)
        for item in step:
            yield item
        raise HuzhengError(Code.NODE_UNREACHABLE)


class Watch(RelianceWatch):
    """Notes what it would print."""

    def __init__(self, from_height: int = 0, count: int = 0) -> None:
        self.notes: list[str] = []
        self.session = SimpleNamespace(
            out=SimpleNamespace(note=lambda text, _style: self.notes.append(text)),
            t=lambda text, **values: text.format(**values),
            when_stopped="",
        )
        super().__init__(self.session, from_height, "tax", count)  # type: ignore[arg-type]
        self.shown: list[str] = []

    def _print(self, client: object, event: pb.RelianceEvent) -> None:
        self.shown.append(event.relying.record_id.decode())

    def play(self, node: Node) -> Code | None:
        try:
            asyncio.run(self.run(node))  # type: ignore[arg-type]
        except HuzhengError as error:
            return error.code
        return None


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.cli.following._RECONNECT_AFTER_S", 0)


def test_a_stream_is_opened_again_at_the_block_that_was_reached_and_nothing_is_shown_twice() -> None:
    node = Node(
        [
            [event(41, "a"), event(43, "b")],
            Code.NODE_UNREACHABLE,
            [event(43, "b"), event(43, "c"), event(44, "d")],
            [event(44, "d"), event(44, "e")],
        ]
    )
    watch = Watch()
    assert watch.play(node) is Code.CALLER_NOT_ALLOWED
    assert watch.shown == ["a", "b", "c", "d", "e"]
    assert node.asked == [(41, "tax"), (43, "tax"), (43, "tax"), (44, "tax"), (44, "tax")]
    assert len(watch.notes) == 4


def test_what_happened_while_the_first_connection_was_lost_is_not_missed() -> None:
    """The next new block is the next one after the start, not after the connection came back."""
    node = Node([[], [event(41, "a")]])
    watch = Watch(count=1)
    assert watch.play(node) is None
    assert (watch.shown, node.asked) == (["a"], [(41, "tax"), (41, "tax")])


def test_one_change_is_shown_for_each_record_that_relies_and_for_each_that_was_relied_on() -> None:
    two = event(41, "a")
    two.relied = b"another"
    watch = Watch()
    watch.play(Node([[event(41, "a"), two, event(41, "b")]]))
    assert watch.shown == ["a", "a", "b"]


def test_how_to_go_on_is_said_when_it_is_stopped() -> None:
    watch = Watch(from_height=7)
    watch.play(Node([[event(9, "a")]]))
    assert watch.session.when_stopped == "Stopped. --from-height 9 goes on from here."
    idle = Watch()
    idle.play(Node([]))
    assert idle.session.when_stopped == "Stopped. --from-height 41 goes on from here."


def test_a_node_that_goes_back_in_time_is_not_believed() -> None:
    watch = Watch()
    assert watch.play(Node([[event(43, "a"), event(42, "b")]])) is Code.UNTRUSTED_ANSWER
    assert watch.shown == ["a"]

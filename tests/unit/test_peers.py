"""Links between replicas: one stream a peer, bounded queues, and no place for peers that misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from huzheng.v1 import consensus_pb2, replica_service_pb2

from ledger.crypto import ReplicaId
from ledger.errors import Code, HuzhengError
from node import peers as peers_module
from node.clock import NetworkClock, wall_clock_ms
from node.peer_messages import write_message
from node.peers import FAULT_MAX_MS, FAULT_MIN_MS, MAX_OUTBOX_BYTES, Admission, Link, Outbox, Peer, Peers

STATUS = write_message(consensus_pb2.ReplicaStatus(stored_height=1))


class Listener:
    """Counts how many streams are up at a time."""

    def __init__(self) -> None:
        self.up = 0
        self.most = 0
        self.streams = 0

    def on_peer_connected(self, peer: ReplicaId) -> None:
        self.up += 1
        self.streams += 1
        self.most = max(self.most, self.up)

    def on_peer_lost(self, peer: ReplicaId) -> None:
        self.up -= 1

    async def on_peer_message(self, peer: ReplicaId, message: replica_service_pb2.PeerMessage) -> None:
        pass


async def silent() -> bytes:
    await asyncio.Event().wait()
    return b""


async def faulty() -> bytes:
    return b"hostile"


async def swallow(_: list[bytes]) -> None:
    pass


def new_link(listener: Listener) -> Link:
    return Link(Peer(ReplicaId(2), "tax", "127.0.0.1:1"), listener)


def test_of_many_streams_at_once_one_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Admission, "opened", lambda *_: None)

    async def scenario() -> None:
        listener = Listener()
        link = new_link(listener)
        runs = [asyncio.ensure_future(link.run(silent, swallow)) for _ in range(20)]
        await asyncio.sleep(0.2)
        assert [listener.most, listener.up, sum(not run.done() for run in runs)] == [1, 1, 1]
        link.end()
        await asyncio.gather(*runs)

    asyncio.run(scenario())


@pytest.mark.parametrize("turns", range(5))
def test_a_stream_that_waits_for_the_one_before_does_not_outlive_the_link(turns: int) -> None:
    async def scenario() -> None:
        listener = Listener()
        link = new_link(listener)
        first = asyncio.ensure_future(link.run(silent, swallow))
        await asyncio.sleep(0.01)
        second = asyncio.ensure_future(link.run(silent, swallow))
        for _ in range(turns):
            await asyncio.sleep(0)
        link.end()
        async with asyncio.timeout(5):
            await asyncio.gather(first, second, return_exceptions=True)
        assert listener.up == 0

    asyncio.run(scenario())


def test_a_peer_whose_message_can_not_be_read_is_lost() -> None:
    async def scenario() -> None:
        listener = Listener()
        with pytest.raises(HuzhengError, match="not a message between replicas"):
            await new_link(listener).run(faulty, swallow)
        assert (listener.streams, listener.up) == (1, 0)

    asyncio.run(scenario())


def test_a_peer_that_connects_again_and_again_has_to_wait() -> None:
    async def scenario() -> None:
        listener = Listener()
        link = new_link(listener)
        refused = 0
        for _ in range(300):
            run = asyncio.ensure_future(link.run(silent, swallow))
            await asyncio.sleep(0.001)
            run.cancel()
            [outcome] = await asyncio.gather(run, return_exceptions=True)
            refused += isinstance(outcome, HuzhengError)
        assert listener.streams < 10
        assert refused > 280

    asyncio.run(scenario())


def test_a_peer_at_fault_loses_its_stream_and_has_to_wait() -> None:
    async def scenario() -> None:
        link = new_link(Listener())
        with pytest.raises(HuzhengError, match="not a message between replicas"):
            await link.run(faulty, swallow)
        assert 0 < link.wait_ms <= FAULT_MIN_MS
        with pytest.raises(HuzhengError) as refused:
            await link.run(silent, swallow)
        assert refused.value.code is Code.OVERLOADED

    asyncio.run(scenario())


def test_a_fault_found_later_ends_the_stream_with_its_reason() -> None:
    async def scenario() -> None:
        link = new_link(Listener())
        run = asyncio.ensure_future(link.run(silent, swallow))
        await asyncio.sleep(0.01)
        link.fault(HuzhengError(Code.BAD_SIGNATURE, "transaction"))
        link.fault(HuzhengError(Code.BAD_SIGNATURE, "once more"))
        with pytest.raises(HuzhengError) as ended:
            await run
        assert (ended.value.code, ended.value.detail) == (Code.BAD_SIGNATURE, "transaction")

    asyncio.run(scenario())


def test_the_wait_grows_with_each_fault_up_to_a_limit_and_is_forgotten() -> None:
    admission = Admission()
    waits = []
    now_ms = 0
    for _ in range(8):
        now_ms = admission.not_before_ms
        admission.fault(now_ms)
        waits.append(admission.not_before_ms - now_ms)
    assert waits == [1_000, 2_000, 4_000] + 5 * [FAULT_MAX_MS]
    admission.fault(now_ms + 100_000)
    assert admission.not_before_ms == now_ms + 100_000 + FAULT_MIN_MS


def test_messages_for_a_peer_that_does_not_read_are_bounded_in_number_too() -> None:
    async def scenario() -> None:
        outbox = Outbox()
        for _ in range(200_000):
            outbox.put(STATUS)
        assert 0 < 200_000 - outbox.dropped <= MAX_OUTBOX_BYTES // 500

    asyncio.run(scenario())


def test_a_liar_about_the_time_moves_no_clock() -> None:
    clock = NetworkClock(max_faulty=1)
    for lie in (0, 2**63, 2**64 - 1):
        clock.heard(ReplicaId(4), lie)
        assert clock.offset_ms == 0
        clock.heard(ReplicaId(2), wall_clock_ms() + 20)
        assert -100 <= clock.offset_ms <= 120
        clock.heard(ReplicaId(3), wall_clock_ms() - 20)
        assert -120 <= clock.offset_ms <= 120
        clock.forget(ReplicaId(2))
        clock.forget(ReplicaId(3))


def test_a_wrong_clock_is_set_right_by_a_quorum() -> None:
    clock = NetworkClock(max_faulty=1)
    ahead_ms = 3 * 3_600_000
    for replica in (1, 2):
        clock.heard(ReplicaId(replica), wall_clock_ms() + ahead_ms)
    assert abs(clock.offset_ms - ahead_ms) < 1_000


class Unanswered:
    """A channel into a network that loses all packets."""

    opened = 0

    def __init__(self) -> None:
        Unanswered.opened += 1

    def stream_stream(self, *_: object) -> Callable[[], Any]:
        return lambda: self

    async def initial_metadata(self) -> None:
        await asyncio.Event().wait()

    async def close(self, grace: float | None) -> None:
        pass


def test_a_peer_that_does_not_answer_is_soon_called_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers_module, "CONNECT_TIMEOUT_S", 0.05)

    async def scenario() -> None:
        channel: Any = Unanswered
        peers = Peers(ReplicaId(1), [Peer(ReplicaId(2), "tax", "")], Listener(), lambda _: channel())
        peers.start()
        async with asyncio.timeout(10):
            while Unanswered.opened < 3:
                await asyncio.sleep(0.01)
        await peers.stop()

    asyncio.run(scenario())

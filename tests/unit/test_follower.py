"""A replica without a vote: it fetches, says where it stands, and signs nothing."""

from __future__ import annotations

import pytest
from huzheng.v1 import consensus_pb2

from consensus.events import BlockStored, FetchBlocks, FetchEnded, PeerConnected, StatusReceived, TimePassed
from consensus.follower import POLL_MS, STATUS_MS, Follower
from consensus.votes import Checkpoint
from ledger.crypto import Height, ReplicaId
from tests.one_replica import membership_of

ANYBODY = FetchBlocks(Height(1), ())


def status(height: int) -> consensus_pb2.ReplicaStatus:
    return consensus_pb2.ReplicaStatus(stored_height=height)


def follower() -> Follower:
    made = Follower(membership_of(4), Height(0), 0)
    made.step(TimePassed(), 0)
    return made


def test_it_asks_anybody_as_long_as_nobody_says_that_there_is_more() -> None:
    core = follower()
    assert core.ready().fetch == ANYBODY
    core.step(TimePassed(), POLL_MS)
    assert core.ready().fetch is None, "one fetch at a time"
    core.step(FetchEnded(), POLL_MS)
    assert core.next_deadline() == min(2 * POLL_MS, STATUS_MS)
    core.step(TimePassed(), 2 * POLL_MS - 1)
    assert core.ready().fetch is None
    core.step(TimePassed(), 2 * POLL_MS)
    assert core.ready().fetch == ANYBODY


def test_who_brought_something_is_followed_by_another_fetch_at_once() -> None:
    core = follower()
    core.ready()
    core.step(BlockStored(Checkpoint(Height(5), b"h" * 32, b"")), 10)
    core.step(FetchEnded(ReplicaId(2)), 10)
    assert core.ready().fetch == FetchBlocks(Height(6), ())
    assert core.stored == 5


def test_members_that_say_they_have_more_are_asked_and_others_are_not_believed() -> None:
    core = follower()
    core.ready()
    core.step(FetchEnded(), 0)
    core.step(StatusReceived(ReplicaId(9), status(1_000)), 1)
    assert core.network_height == 0
    core.step(StatusReceived(ReplicaId(2), status(50)), 1)
    assert core.ready().fetch == FetchBlocks(Height(1), (ReplicaId(2),))
    assert core.network_height == 0, "one may lie"
    core.step(StatusReceived(ReplicaId(3), status(40)), 2)
    assert core.network_height == 40
    assert core.peer_height(ReplicaId(2)) == 50


def test_it_says_where_it_stands_and_never_signs_nor_proposes() -> None:
    core = follower()
    core.ready()
    core.step(PeerConnected(ReplicaId(2)), 1)
    core.step(TimePassed(), STATUS_MS)
    ready = core.ready()
    assert [send.to for send in ready.sends] == [ReplicaId(2), None]
    for send in ready.sends:
        assert isinstance(send.payload, consensus_pb2.ReplicaStatus)
        assert not send.payload.wants_greeting
    assert ready.votes == ()
    assert not core.wants_batch(10, 1_000, STATUS_MS)
    assert not core.may_vote


@pytest.mark.parametrize("now_ms", [0, 7])
def test_time_never_runs_backwards(now_ms: int) -> None:
    core = Follower(membership_of(4), Height(0), 100)
    core.step(TimePassed(), now_ms)
    assert core.next_deadline() >= 100

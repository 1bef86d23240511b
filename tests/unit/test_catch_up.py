"""Whom a replica fetches blocks from: peers that lie about their height or send nothing are not in the way."""

from __future__ import annotations

from itertools import pairwise

from consensus.catch_up import FAR_BEHIND, MAX_BACK_OFF_MS, STUCK_MS, CatchUp
from consensus.events import FetchEnded
from ledger.crypto.types import Height, ReplicaId

HONEST, OTHER, LIAR = ReplicaId(2), ReplicaId(3), ReplicaId(4)


def behind() -> CatchUp:
    catch_up = CatchUp(Height(0), 0)
    catch_up.heard(HONEST, Height(100))
    catch_up.heard(OTHER, Height(90))
    catch_up.heard(LIAR, Height(2**64 - 1))
    return catch_up


def asked(catch_up: CatchUp, now_ms: int) -> tuple[ReplicaId, ...]:
    fetch = catch_up.next_fetch(now_ms)
    return () if fetch is None else fetch.peers


def test_one_liar_does_not_raise_the_networks_height() -> None:
    assert behind().vouched_height(1) == 100
    assert behind().vouched_height(0) == 2**64 - 1
    assert CatchUp(Height(5), 0).vouched_height(1) == 0


def test_who_claims_most_is_asked_first_once() -> None:
    catch_up = behind()
    assert asked(catch_up, 1_000) == (LIAR, HONEST, OTHER)
    assert asked(catch_up, 1_000) == ()
    catch_up.ended(FetchEnded(HONEST), 2_000)
    assert asked(catch_up, 2_000) == (HONEST, OTHER)
    catch_up.ended(FetchEnded(HONEST), 3_000)
    assert asked(catch_up, 3_000) == (HONEST, OTHER, LIAR)


def test_who_sends_slowly_comes_after_the_others() -> None:
    catch_up = behind()
    assert asked(catch_up, 1_000)[0] == LIAR
    catch_up.ended(FetchEnded(LIAR, complete=False), 21_000)
    assert asked(catch_up, 21_000) == (HONEST, OTHER, LIAR)


def test_a_liar_alone_is_asked_less_and_less_often() -> None:
    catch_up = CatchUp(Height(0), 0)
    catch_up.heard(LIAR, Height(2**64 - 1))
    turns = []
    for now_ms in range(0, 400_000, 100):
        if asked(catch_up, now_ms):
            turns.append(now_ms)
            catch_up.ended(FetchEnded(), now_ms)
    pauses = [later - earlier for earlier, later in pairwise(turns)]
    assert pauses[:4] == [500, 1_000, 2_000, 4_000]
    assert set(pauses[7:]) == {MAX_BACK_OFF_MS}


def test_nobody_is_asked_when_nobody_is_ahead() -> None:
    catch_up = CatchUp(Height(100), 0)
    catch_up.heard(HONEST, Height(100))
    assert asked(catch_up, 10_000) == ()
    assert not catch_up.is_behind


def test_a_replica_that_makes_progress_waits_unless_it_is_far_behind() -> None:
    catch_up = CatchUp(Height(0), 0)
    catch_up.stored(Height(10), 1_000)
    catch_up.heard(HONEST, Height(10 + FAR_BEHIND - 1))
    assert asked(catch_up, 1_000 + STUCK_MS - 1) == ()
    assert asked(catch_up, 1_000 + STUCK_MS) == (HONEST,)
    catch_up.ended(FetchEnded(HONEST), 1_600)
    catch_up.stored(Height(20), 1_600)
    assert asked(catch_up, 1_600) == ()
    catch_up.heard(OTHER, Height(20 + FAR_BEHIND))
    assert asked(catch_up, 1_600) == (OTHER, HONEST)


def test_a_peer_that_went_back_is_believed() -> None:
    catch_up = CatchUp(Height(0), 0)
    catch_up.heard(HONEST, Height(100))
    catch_up.heard(HONEST, Height(0))
    assert catch_up.peer_height(HONEST) == 0
    assert asked(catch_up, 10_000) == ()

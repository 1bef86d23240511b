"""What a backup blames its primary for, and what not (docs/protocol.md C14)."""

from __future__ import annotations

import pytest

from consensus.batching import MOST_REST_MS
from consensus.slot import Stage
from consensus.suspicion import BASE_TIMEOUT_MS, BLOCKS_FOR_OTHERS, MAX_SLOW_PROPOSALS, MOST_TIMEOUTS, Suspicion
from ledger.crypto import Height

HEARTBEAT_MS = 10_000
PIPELINE = 2
EXCUSED = [Stage.CHECKING, Stage.DECIDED, Stage.EXECUTED, Stage.CERTIFIED]
NOT_EXCUSED = [Stage.EARLY, Stage.VOTED, Stage.PREPARED]


def owed_since(since_ms: int | None) -> Suspicion:
    suspicion = Suspicion(HEARTBEAT_MS, PIPELINE, 0)
    suspicion.work_waits(since_ms, since_ms or 0)
    return suspicion


def test_work_that_nobody_begins_is_blamed_when_the_timeout_is_over() -> None:
    suspicion = owed_since(50)
    assert suspicion.deadline_ms() == 50 + BASE_TIMEOUT_MS
    assert not suspicion.is_due(50 + BASE_TIMEOUT_MS - 1)
    assert suspicion.is_due(50 + BASE_TIMEOUT_MS)


def test_nothing_but_the_heartbeat_is_due_where_nothing_waits() -> None:
    assert owed_since(None).deadline_ms() == HEARTBEAT_MS + BASE_TIMEOUT_MS


@pytest.mark.parametrize("stage", EXCUSED)
def test_nobody_is_blamed_while_this_replica_works_on_the_next_block_or_only_seals_are_awaited(stage: Stage) -> None:
    suspicion = owed_since(0)
    suspicion.next_block_is(Height(1), stage, 400)
    assert suspicion.deadline_ms() is None
    assert not suspicion.is_due(1_000_000)
    suspicion.next_block_is(Height(1), Stage(stage + 1) if stage < Stage.CERTIFIED else stage, 900_000)
    assert not suspicion.is_due(900_000)


@pytest.mark.parametrize("stage", NOT_EXCUSED)
def test_a_step_of_the_next_block_restarts_the_time_and_then_the_others_are_waited_for(stage: Stage) -> None:
    suspicion = owed_since(0)
    suspicion.next_block_is(Height(1), stage, 700)
    assert suspicion.deadline_ms() == 700 + BASE_TIMEOUT_MS
    suspicion.next_block_is(Height(1), stage, 1_600)
    assert suspicion.is_due(1_700), "standing still is no step"


def test_a_proposal_looked_at_again_and_again_stops_the_clock_only_meanwhile() -> None:
    suspicion, now_ms = owed_since(0), 0
    suspicion.next_block_is(Height(1), Stage.CHECKING, now_ms)
    for _ in range(4):
        suspicion.next_block_is(Height(1), Stage.EARLY, now_ms := now_ms + 10)
        suspicion.next_block_is(Height(1), Stage.CHECKING, now_ms := now_ms + 240)
    suspicion.next_block_is(Height(1), Stage.EARLY, now_ms := now_ms + 10)
    assert suspicion.deadline_ms() == BASE_TIMEOUT_MS + 5 * 10


def test_a_stage_reached_before_is_no_step() -> None:
    suspicion = owed_since(0)
    suspicion.next_block_is(Height(1), Stage.PREPARED, 100)
    suspicion.next_block_is(Height(1), Stage.AWAITED, 200)
    suspicion.next_block_is(Height(1), Stage.VOTED, 900)
    assert suspicion.deadline_ms() == 100 + BASE_TIMEOUT_MS


def test_steps_of_the_next_block_give_only_so_much_time_in_all() -> None:
    suspicion, now_ms, step = owed_since(0), 0, 0
    while not suspicion.is_due(now_ms):
        suspicion.next_block_is(Height(1 + step // 4), [Stage.AWAITED, *NOT_EXCUSED][step % 4], now_ms)
        now_ms, step = now_ms + 900, step + 1
        assert now_ms < 2 * MOST_TIMEOUTS * BASE_TIMEOUT_MS
    assert suspicion.deadline_ms() == MOST_TIMEOUTS * BASE_TIMEOUT_MS


def test_time_that_stood_still_before_other_work_became_the_oldest_is_not_counted_against_the_primary() -> None:
    suspicion = owed_since(0)
    suspicion.next_block_is(Height(1), Stage.DECIDED, 200)
    suspicion.block_stored(3_200, nothing_open=False)
    suspicion.next_block_is(Height(2), Stage.VOTED, 3_200)
    suspicion.work_waits(100, 3_200)
    suspicion.next_block_is(Height(2), Stage.PREPARED, 4_000)
    suspicion.next_block_is(Height(2), Stage.DECIDED, 4_800)
    suspicion.next_block_is(Height(3), Stage.VOTED, 5_000)
    suspicion.next_block_is(Height(3), Stage.PREPARED, 5_900)
    assert suspicion.deadline_ms() == 5_900 + BASE_TIMEOUT_MS
    suspicion.next_block_is(Height(4), Stage.AWAITED, 6_800)
    assert suspicion.deadline_ms() == 100 + MOST_TIMEOUTS * BASE_TIMEOUT_MS + 3_000 + 200


def test_time_that_stood_still_before_work_came_gives_the_primary_none() -> None:
    suspicion = owed_since(None)
    suspicion.next_block_is(Height(1), Stage.DECIDED, 200)
    suspicion.next_block_is(Height(1), Stage.AWAITED, 3_200)
    suspicion.work_waits(4_000, 4_000)
    assert suspicion.deadline_ms() == 4_000 + BASE_TIMEOUT_MS


def test_one_that_serves_others_for_too_many_blocks_is_blamed_though_each_came_soon() -> None:
    suspicion = owed_since(0)
    for height in range(1, PIPELINE + BLOCKS_FOR_OTHERS):
        suspicion.block_stored(500 * height, nothing_open=True)
        suspicion.next_block_is(Height(height + 1), Stage.CHECKING, 500 * height)
        assert suspicion.deadline_ms() is None
    suspicion.block_stored(4_000, nothing_open=True)
    assert suspicion.owing_since_ms() == 0
    assert suspicion.is_due(4_000)


def test_blocks_from_before_the_work_came_do_not_count_against_it() -> None:
    suspicion = owed_since(None)
    for height in range(1, PIPELINE + BLOCKS_FOR_OTHERS + 1):
        suspicion.block_stored(10 * height, nothing_open=True)
        suspicion.next_block_is(Height(height + 1), Stage.AWAITED, 10 * height)
    suspicion.work_waits(60, 140)
    assert suspicion.owing_since_ms() == 60
    suspicion.next_block_is(Height(PIPELINE + BLOCKS_FOR_OTHERS + 1), Stage.VOTED, 500)
    assert suspicion.owing_since_ms() == 500


def test_a_new_view_starts_with_all_its_time() -> None:
    suspicion = owed_since(0)
    suspicion.next_block_is(Height(1), Stage.PREPARED, 100)
    suspicion.view_entered(900)
    assert suspicion.deadline_ms() == 900 + BASE_TIMEOUT_MS
    suspicion.next_block_is(Height(1), Stage.VOTED, 1_200)
    assert suspicion.deadline_ms() == 1_200 + BASE_TIMEOUT_MS, "what was reached in the view before does not count"


@pytest.mark.parametrize(("late_by_ms", "blamed"), [(-1, False), (0, True)])
def test_proposals_that_are_late_again_and_again_are_blamed_but_not_for_the_rest_that_a_primary_may_take(
    late_by_ms: int, blamed: bool
) -> None:
    suspicion, now_ms = owed_since(0), 0
    for height in range(1, MAX_SLOW_PROPOSALS + 1):
        suspicion.next_block_is(Height(height), Stage.AWAITED, now_ms)
        suspicion.block_stored(now_ms, nothing_open=True)
        suspicion.work_waits(now_ms, now_ms)
        now_ms += MOST_REST_MS + BASE_TIMEOUT_MS // 2 + late_by_ms
        suspicion.proposal_came(now_ms)
    assert suspicion.is_due(now_ms) == blamed

"""When a primary proposes (docs/protocol.md C3)."""

from __future__ import annotations

import pytest

from consensus.batching import MOST_REST_MS, BatchingPolicy, Pace

POLICY = BatchingPolicy(pipeline_depth=3, heartbeat_ms=10_000, full_bytes=1_000, worthwhile_transactions=32)


@pytest.mark.parametrize("pending", [1, 2, 1_000])
def test_an_idle_primary_proposes_at_once_whatever_waits(pending: int) -> None:
    assert POLICY.wants_batch([], pending, 1, idle_ms=0, expected=0)


def test_nothing_is_proposed_when_nothing_waits() -> None:
    assert not POLICY.wants_batch([], 0, 0, idle_ms=9_999, expected=0)
    assert not POLICY.wants_batch([10], 0, 0, idle_ms=1_000_000, expected=0)


def test_an_idle_chain_gets_a_heartbeat() -> None:
    assert POLICY.wants_batch([], 0, 0, idle_ms=10_000, expected=0)


def test_with_batches_in_flight_a_further_one_is_filled_first() -> None:
    assert not POLICY.wants_batch([10], 31, 999, idle_ms=1_000_000, expected=0)
    assert POLICY.wants_batch([10], 32, 999, idle_ms=0, expected=0), "enough transactions"
    assert POLICY.wants_batch([10, 10], 1, 1_000, idle_ms=0, expected=0), "enough bytes"


def test_the_more_is_in_flight_the_fuller_the_next_one() -> None:
    assert not POLICY.wants_batch([300, 100], 100, 399, idle_ms=1_000_000, expected=0)
    assert POLICY.wants_batch([300, 100], 100, 400, idle_ms=0, expected=0)
    assert POLICY.wants_batch([3_000, 3_000], 100, 1_000, idle_ms=0, expected=0), "it is full, whatever the others are"
    assert POLICY.wants_batch([3_000, 3_000], 256, 999, idle_ms=0, expected=0), "it has as many as any"


@pytest.mark.parametrize("count", [3, 4, 100])
def test_the_pipeline_is_never_deeper_than_agreed(count: int) -> None:
    assert not POLICY.wants_batch([1] * count, 1_000_000, 1_000_000_000, idle_ms=1_000_000, expected=0)


# --- the rest after a block ---


def test_in_a_rest_as_many_are_awaited_as_are_expected() -> None:
    assert not POLICY.wants_batch([], 19, 1, idle_ms=0, expected=20)
    assert POLICY.wants_batch([], 20, 1, idle_ms=0, expected=20)
    assert POLICY.wants_batch([], 1, 1_000, idle_ms=0, expected=20), "they fill a batch"
    assert POLICY.wants_batch([], 256, 1, idle_ms=0, expected=300), "more don't go into one"
    assert POLICY.wants_batch([], 0, 0, idle_ms=10_000, expected=20), "the heartbeat is due"


def test_for_few_there_is_no_rest() -> None:
    assert POLICY.wants_batch([], 1, 1, idle_ms=0, expected=POLICY.few_transactions)
    assert not POLICY.wants_batch([], 0, 0, idle_ms=0, expected=POLICY.few_transactions)


def test_half_as_many_are_expected_with_each_smaller_batch() -> None:
    pace = Pace(0)
    expected = []
    for transactions in (64, 1, 1, 40, 1):
        pace.proposed(1, transactions, 0)
        expected.append(pace.expected)
    assert expected == [64, 32, 16, 40, 20]


def test_a_rest_is_as_long_as_the_block_took_but_never_long() -> None:
    pace = Pace(0)
    pace.proposed(7, 64, 1_000)
    assert pace.rest_ends_ms(7, 1_030) == 1_060
    assert pace.rest_ends_ms(7, 3_000) == 3_000 + MOST_REST_MS
    assert pace.rest_ends_ms(7, 500) == 500, "the certificate of that block was not seen here"
    assert pace.rest_ends_ms(8, 1_030) == 0, "another's block, in a later view"

"""When the primary owes a node something (docs/protocol.md C14)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.patience import FAIR_MS, Patience


def ids(*names: str) -> list[bytes]:
    return [name.encode() for name in names]


def of(*arrivals: tuple[str, str, int]) -> Patience:
    patience = Patience()
    for name, department, at_ms in arrivals:
        patience.arrived(name.encode(), department, at_ms)
    return patience


def test_nothing_waits_nothing_is_owed() -> None:
    patience = of(("a", "tax", 5))
    assert patience.owed_since_ms() == 5
    patience.ordered(ids("a"), 9)
    assert patience.owed_since_ms() is None


def test_progress_in_turn_starts_the_time_again() -> None:
    patience = of(("a", "tax", 0), ("b", "tax", 10), ("c", "tax", 20))
    patience.ordered(ids("a"), 900)
    assert patience.owed_since_ms() == 900


def test_one_transaction_passed_over_is_noticed_though_its_department_is_served() -> None:
    patience = of(("ignored", "tax", 0), ("near", "tax", FAIR_MS), ("later", "tax", FAIR_MS + 1))
    patience.ordered(ids("near"), 1_500)
    assert patience.owed_since_ms() == 1_500, "another order of arrival is no ill will"
    patience.ordered(ids("later"), 2_000)
    assert patience.owed_since_ms() == 1_500


def test_one_department_passed_over_is_noticed_though_others_are_served() -> None:
    patience = of(("a", "tax", 0), ("b", "police", 1), ("c", "police", 2))
    patience.ordered(ids("b"), 700)
    assert patience.owed_since_ms() == 0


def test_what_never_came_here_is_no_progress_and_what_expired_is_no_debt() -> None:
    patience = of(("a", "tax", 0), ("b", "tax", 50))
    patience.ordered(ids("unknown"), 700)
    assert patience.owed_since_ms() == 0
    patience.forget(ids("a", "unknown"))
    assert patience.owed_since_ms() == 50


@given(st.lists(st.integers(0, 300), min_size=1, max_size=60), st.integers(1, 5))
def test_a_primary_that_orders_what_came_first_owes_for_no_longer_than_between_two_blocks(
    gaps: list[int], per_block: int
) -> None:
    patience, waiting, now_ms, last_block_ms = Patience(), list[bytes](), 0, 0
    for number, gap_ms in enumerate(gaps):
        now_ms += gap_ms
        waiting.append(number.to_bytes(4, "big"))
        patience.arrived(waiting[-1], "tax", now_ms)
        if number % 3 == 0:
            done, waiting = waiting[:per_block], waiting[per_block:]
            patience.ordered(done, now_ms)
            last_block_ms = now_ms
        owed_ms = patience.owed_since_ms()
        assert owed_ms is None or owed_ms >= last_block_ms

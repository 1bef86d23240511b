"""What is pending: bounded for each department, taken by turns, forgotten when final or expired."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from huzheng.v1 import genesis_pb2, transaction_pb2
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ledger.errors import Code, HuzhengError
from ledger.transaction import WellFormedTransaction, check_transaction
from node.mempool import BATCH_OVERHEAD_BYTES, Mempool
from tests.builders import DEPARTMENTS, Consortium

CONSORTIUM = Consortium()
BIG = 1 << 30


def transaction(
    nonce: int, department: str = "planning", expires_ms: int | None = None, records: int = 1
) -> WellFormedTransaction:
    built = [CONSORTIUM.record(number) for number in range(1, records + 1)]
    raw = CONSORTIUM.transaction(built, department=department, nonce=nonce, expires_ms=expires_ms)
    return check_transaction(raw, CONSORTIUM.genesis)


def mempool(max_transactions: int = 100, max_bytes: int = BIG) -> Mempool:
    return Mempool(max_transactions, max_bytes)


def nonces(transactions: list[WellFormedTransaction]) -> list[int]:
    return [int.from_bytes(item.body.nonce, "big") for item in transactions]


def test_a_transaction_is_here_once() -> None:
    pool, one = mempool(), transaction(1)
    assert pool.add(one)
    assert not pool.add(one)
    assert one.id in pool
    assert pool.verified(one.raw) is one
    assert pool.get(one.id) is one
    assert pool.verified(one.raw[:-1]) is None
    assert (pool.pending_count, pool.pending_bytes) == (1, len(one.raw) + BATCH_OVERHEAD_BYTES)


def test_a_full_department_is_refused_and_the_others_are_not() -> None:
    pool = mempool(max_transactions=2)
    pool.add(transaction(1))
    pool.add(transaction(2))
    with pytest.raises(HuzhengError) as refused:
        pool.add(transaction(3))
    assert refused.value.code is Code.OVERLOADED
    assert pool.add(transaction(3, "tax"))
    assert pool.count_by_department() == {"planning": 2, "tax": 1}


def test_bytes_count_too() -> None:
    one, two = transaction(1), transaction(2)
    pool = mempool(max_bytes=len(one.raw) + BATCH_OVERHEAD_BYTES + 10)
    pool.add(one)
    with pytest.raises(HuzhengError, match="OVERLOADED"):
        pool.add(two)
    pool.remove([one.id])
    assert pool.add(two)


def test_what_is_in_flight_still_counts_for_the_share() -> None:
    pool = mempool(max_transactions=1)
    pool.add(transaction(1))
    pool.take(BIG, 10)
    assert pool.pending_count == 0
    with pytest.raises(HuzhengError, match="OVERLOADED"):
        pool.add(transaction(2))


def test_departments_take_turns_and_each_keeps_its_order() -> None:
    pool = mempool()
    for nonce in range(4):
        pool.add(transaction(nonce))
    for nonce in range(10, 12):
        pool.add(transaction(nonce, "tax"))
    assert nonces(pool.take(BIG, 100)) == [0, 10, 1, 11, 2, 3]


def test_turns_go_on_with_the_next_batch() -> None:
    pool = mempool()
    for nonce in range(3):
        pool.add(transaction(nonce))
        pool.add(transaction(10 + nonce, "tax"))
    assert nonces(pool.take(BIG, 1)) == [0]
    assert nonces(pool.take(BIG, 1)) == [10]
    assert nonces(pool.take(BIG, 3)) == [1, 11, 2]


def test_what_does_not_fit_comes_first_the_next_time() -> None:
    pool = mempool()
    big = transaction(1, records=20)
    pool.add(big)
    for nonce in range(10, 14):
        pool.add(transaction(nonce, "tax"))
    room = len(big.raw)
    assert nonces(pool.take(room, 100)) == [10, 11, 12, 13]
    for nonce in range(20, 24):
        pool.add(transaction(nonce, "tax"))
    assert nonces(pool.take(room + BATCH_OVERHEAD_BYTES, 100)) == [1]


def test_a_batch_never_exceeds_its_bytes() -> None:
    pool = mempool()
    for nonce in range(50):
        pool.add(transaction(nonce, DEPARTMENTS[nonce % 4], records=1 + nonce % 7))
    while taken := pool.take(5_000, 100):
        assert sum(len(item.raw) + BATCH_OVERHEAD_BYTES for item in taken) <= 5_000
    assert pool.pending_count == 0


def test_what_would_live_too_long_waits() -> None:
    pool = mempool()
    now = CONSORTIUM.now_ms
    pool.add(transaction(1, expires_ms=now + 2_000))
    pool.add(transaction(2, "tax", expires_ms=now + 1_000))
    assert nonces(pool.take(BIG, 10, latest_expiry_ms=now + 1_999)) == [2]
    assert nonces(pool.take(BIG, 10, latest_expiry_ms=now + 2_000)) == [1]


def test_requeued_transactions_go_before_what_came_later() -> None:
    pool = mempool()
    for nonce in range(4):
        pool.add(transaction(nonce))
    assert nonces(pool.take(BIG, 2)) == [0, 1]
    pool.requeue_in_flight()
    pool.add(transaction(9))
    assert pool.pending_count == 5
    assert nonces(pool.take(BIG, 100)) == [0, 1, 2, 3, 9]


def test_removed_transactions_leave_nothing_behind() -> None:
    pool = mempool()
    items = [transaction(nonce, DEPARTMENTS[nonce % 4]) for nonce in range(8)]
    for item in items:
        pool.add(item)
    pool.take(BIG, 3)
    pool.remove([item.id for item in items] + [b"unknown"])
    assert (len(pool), pool.pending_count, pool.pending_bytes) == (0, 0, 0)
    assert pool.count_by_department() == {}
    assert all(pool.verified(item.raw) is None for item in items)


def test_the_expired_are_dropped_in_flight_or_not() -> None:
    pool = mempool()
    now = CONSORTIUM.now_ms
    items = [transaction(nonce, expires_ms=now + nonce) for nonce in range(5)]
    for item in items:
        pool.add(item)
    pool.take(BIG, 2)
    assert pool.drop_expired(now + 2) == [item.id for item in items[:3]]
    assert pool.drop_expired(now + 2) == []
    assert items[3].id in pool
    assert len(pool) == 2


def test_memory_does_not_grow_with_what_has_passed_through() -> None:
    pool = mempool()
    items = [transaction(nonce) for nonce in range(20)]
    for _ in range(300):
        for item in items:
            pool.add(item)
        pool.remove([item.id for item in items])
    assert len(pool._expiries) < 2_000


def test_an_id_that_came_twice_expires_once() -> None:
    pool, one = mempool(), transaction(1, expires_ms=CONSORTIUM.now_ms + 5)
    pool.add(one)
    pool.remove([one.id])
    pool.add(one)
    assert pool.drop_expired(one.expires_ms) == [one.id]


def test_all_pending_has_what_is_in_flight_too() -> None:
    pool = mempool()
    for nonce in range(4):
        pool.add(transaction(nonce))
    pool.take(BIG, 2)
    assert nonces(list(pool.all_pending())) == [0, 1, 2, 3]


def test_pending_key_changes_are_known_by_department() -> None:
    pool = mempool()
    key = genesis_pb2.SigningKey(public_key=bytes(32), role=genesis_pb2.KEY_ROLE_SYSTEM)
    operation = transaction_pb2.Operation(add_key=transaction_pb2.AddKey(key=key))
    raw = CONSORTIUM.transaction(operations=[operation], department="tax")
    item = check_transaction(raw, CONSORTIUM.genesis)
    pool.add(item)
    assert pool.has_operations_of("tax")
    assert not pool.has_operations_of("planning")
    pool.remove([item.id])
    assert not pool.has_operations_of("tax")


class MempoolMachine(RuleBasedStateMachine):
    """The pool against plain lists."""

    items = tuple(
        transaction(nonce, DEPARTMENTS[nonce % 3], CONSORTIUM.now_ms + 10 * (nonce % 5)) for nonce in range(24)
    )

    def __init__(self) -> None:
        super().__init__()
        self.pool = mempool(max_transactions=5)
        self.waiting: list[WellFormedTransaction] = []
        self.in_flight: list[WellFormedTransaction] = []

    def of(self, department: str) -> Iterator[WellFormedTransaction]:
        return (item for item in self.waiting + self.in_flight if item.department == department)

    @rule(index=st.integers(0, 23))
    def add(self, index: int) -> None:
        item = self.items[index]
        here = item in self.waiting + self.in_flight
        if not here and len(list(self.of(item.department))) == 5:
            with pytest.raises(HuzhengError):
                self.pool.add(item)
            return
        assert self.pool.add(item) is not here
        if not here:
            self.waiting.append(item)

    @rule(count=st.integers(0, 4))
    def take(self, count: int) -> None:
        taken = self.pool.take(BIG, count)
        assert len(taken) == min(count, len(self.waiting))
        for item in taken:
            assert next(other for other in self.waiting if other.department == item.department) is item
            self.waiting.remove(item)
        self.in_flight += taken

    @rule()
    def requeue(self) -> None:
        self.pool.requeue_in_flight()
        self.waiting = self.in_flight + self.waiting
        self.in_flight = []

    @rule(indexes=st.lists(st.integers(0, 23), max_size=4))
    def remove(self, indexes: list[int]) -> None:
        self.pool.remove([self.items[index].id for index in indexes])
        gone = [self.items[index] for index in indexes]
        self.waiting = [item for item in self.waiting if item not in gone]
        self.in_flight = [item for item in self.in_flight if item not in gone]

    @rule(step=st.integers(0, 3))
    def expire(self, step: int) -> None:
        now = CONSORTIUM.now_ms + 10 * step
        expected = {item.id for item in self.waiting + self.in_flight if item.expires_ms <= now}
        assert set(self.pool.drop_expired(now)) == expected
        self.waiting = [item for item in self.waiting if item.id not in expected]
        self.in_flight = [item for item in self.in_flight if item.id not in expected]

    @invariant()
    def counts_agree(self) -> None:
        assert self.pool.pending_count == len(self.waiting)
        assert self.pool.pending_bytes == sum(len(item.raw) + BATCH_OVERHEAD_BYTES for item in self.waiting)
        assert len(self.pool) == len(self.waiting) + len(self.in_flight)


TestMempoolMachine = MempoolMachine.TestCase
TestMempoolMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

"""What is spread to all replicas when the primary does nothing for it (docs/protocol.md C19)."""

from __future__ import annotations

from typing import cast

import pytest
from huzheng.v1 import transaction_pb2

from ledger.crypto import Membership, ReplicaId
from ledger.transaction import WellFormedTransaction
from node.forwarding import MAX_SPREAD, MAX_SPREAD_BYTES, SPREAD_AFTER_MS, SPREAD_AGAIN_MS, Forwarding
from node.mempool import Mempool
from node.peer_messages import read_message
from node.peers import Peers
from node.seat import Core


class OwingCore:
    """A primary somewhere else that has owed something for a while."""

    is_primary = False
    primary = ReplicaId(1)
    membership = cast(Membership, None)
    since_ms: int | None = 0

    def owing_since_ms(self) -> int | None:
        return self.since_ms


class Heard(Peers):
    """Notes what is broadcast."""

    def __init__(self) -> None:
        self.spread: list[list[bytes]] = []

    def send(self, to: ReplicaId, message: bytes) -> None:
        """Not of interest."""

    def broadcast(self, message: bytes, among: Membership | None = None) -> None:
        self.spread.append(list(read_message(message).forwarded.transactions))


def transaction(department: str, number: int, size: int = 100) -> WellFormedTransaction:
    raw = f"{department} {number} ".encode().ljust(size, b".")
    body = transaction_pb2.TransactionBody(department=department, expires_ms=10**15)
    return WellFormedTransaction(raw[:32].ljust(32), raw, b"", body, b"", ())


def spreading(*waiting: WellFormedTransaction) -> tuple[Forwarding, OwingCore]:
    pool, core = Mempool(10_000, 1 << 30), OwingCore()
    for item in waiting:
        pool.add(item)
    return Forwarding(lambda: cast(Core, core), pool, 0), core


def spread(forwarding: Forwarding, times: int) -> list[list[str]]:
    """The departments whose transactions went out, each time."""
    heard = Heard()
    for turn in range(times):
        forwarding.send(heard, SPREAD_AFTER_MS + turn * SPREAD_AGAIN_MS)
    return [[raw.split()[0].decode() for raw in group] for group in heard.spread]


def test_every_department_has_a_turn_however_many_there_are() -> None:
    names = [f"d{number:02}" for number in range(MAX_SPREAD + 4)]
    forwarding, _ = spreading(*(transaction(name, number) for name in names for number in range(3)))
    first, second = spread(forwarding, 2)
    assert first == names[:MAX_SPREAD]
    assert second == names[MAX_SPREAD:] + names[: MAX_SPREAD - 4]


@pytest.mark.parametrize("size", [MAX_SPREAD_BYTES + 1, MAX_SPREAD_BYTES - 150])
def test_a_large_transaction_of_one_department_keeps_no_other_from_being_heard(size: int) -> None:
    forwarding, _ = spreading(transaction("a", 1, size), transaction("b", 1), transaction("c", 1))
    heard = spread(forwarding, 3)
    assert {name for group in heard for name in group} == {"a", "b", "c"}
    assert ["a"] in heard or ["a", "b"] in heard


def test_what_is_one_s_own_fault_is_not_spread() -> None:
    forwarding, core = spreading(transaction("a", 1))
    core.since_ms = None
    assert spread(forwarding, 3) == []
    assert forwarding.next_ms() is None
    core.since_ms = 0
    assert spread(forwarding, 1) == [["a"]]

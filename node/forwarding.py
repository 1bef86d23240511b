"""Hands pending transactions on: to the primary at once, and to all replicas when it does nothing for them (docs/protocol.md C19)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from huzheng.v1 import replica_service_pb2

from ledger.transaction import WellFormedTransaction
from node.mempool import Mempool
from node.peer_messages import MAX_FORWARDED, write_message
from node.peers import Peers
from node.seat import Core

AGAIN_MS = 5_000
"""All that still waits is handed to the primary again this often."""
SPREAD_AFTER_MS = 250
"""Once the primary has left something undone for so long (C14), all replicas hear of what waits, and grow impatient too."""
SPREAD_AGAIN_MS = 1_000
MAX_SPREAD = 16
"""So many of the oldest transactions at a time: enough to make others impatient, for which one is enough."""
MAX_SPREAD_BYTES = 256 * 1024
"""Unless the first one is larger."""
MAX_GROUP_BYTES = 2 * 1024 * 1024


class Forwarding:
    """Belongs to one runtime."""

    def __init__(self, core: Callable[[], Core], mempool: Mempool, now_ms: int) -> None:
        """`core`: that of the epoch in force."""
        self._core = core
        self._mempool = mempool
        self._new: list[bytes] = []
        self._forwarded_ms = now_ms
        self._spread_ms = now_ms - SPREAD_AGAIN_MS
        self._last_turn = ""
        """The department that the last transaction is of that was spread."""

    def add(self, transaction: WellFormedTransaction) -> None:
        """A client brought a transaction here."""
        if not self._core().is_primary:
            self._new.append(transaction.raw)

    def hand_over(self) -> None:
        """The primary is new, or back: it gets all that waits."""
        self._new.extend(transaction.raw for transaction in self._mempool.all_pending())

    def next_ms(self) -> int | None:
        """When something must be spread if nothing happens; None if nothing is owed."""
        since_ms = self._core().owing_since_ms()
        return None if since_ms is None else max(since_ms + SPREAD_AFTER_MS, self._spread_ms + SPREAD_AGAIN_MS)

    def send(self, peers: Peers, now_ms: int) -> None:
        """Sends what is due."""
        self._spread(peers, now_ms)
        if self._core().is_primary:
            self._new.clear()
            return
        if now_ms - self._forwarded_ms >= AGAIN_MS:
            self._forwarded_ms = now_ms
            self.hand_over()
        for message in _messages(self._new):
            peers.send(self._core().primary, message)
        self._new.clear()

    def _spread(self, peers: Peers, now_ms: int) -> None:
        due_ms = self.next_ms()
        if due_ms is None or now_ms < due_ms:
            return
        self._spread_ms = now_ms
        oldest = _first(self._mempool.oldest(MAX_SPREAD, self._last_turn), MAX_SPREAD_BYTES)
        if oldest:
            self._last_turn = oldest[-1].department
            peers.broadcast(_message([transaction.raw for transaction in oldest]), self._core().membership)


def _first(transactions: Sequence[WellFormedTransaction], max_bytes: int) -> Sequence[WellFormedTransaction]:
    """As many as fit, or one."""
    sizes = itertools.accumulate(len(transaction.raw) for transaction in transactions)
    return transactions[: max(1, sum(size <= max_bytes for size in sizes))]


def _messages(raws: Iterable[bytes]) -> Iterator[bytes]:
    group: list[bytes] = []
    size = 0
    for raw in raws:
        group.append(raw)
        size += len(raw)
        if size >= MAX_GROUP_BYTES or len(group) >= MAX_FORWARDED:
            yield _message(group)
            group, size = [], 0
    if group:
        yield _message(group)


def _message(group: Sequence[bytes]) -> bytes:
    return write_message(replica_service_pb2.ForwardedTransactions(transactions=group))

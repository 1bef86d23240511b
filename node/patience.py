"""Since when the primary owes this node's pending transactions a block (docs/protocol.md C14)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

FAIR_MS = 1_000
"""A block with a transaction that came so much later than one that still waits is no progress for its department."""


@dataclass(slots=True)
class _Queue:
    """One department's pending transactions."""

    arrivals: OrderedDict[bytes, int] = field(default_factory=OrderedDict)
    """When each came, by id, in order."""
    progress_ms: int = 0

    @property
    def oldest_ms(self) -> int:
        return next(iter(self.arrivals.values()))

    @property
    def owed_since_ms(self) -> int:
        return max(self.oldest_ms, self.progress_ms)


class Patience:
    """Knows the pending transactions by id and department, and nothing else of them. Times are of the node's own clock, in ms.

    A primary that orders what came first does not make anyone impatient, however much waits or however far it is; one that
    passes over a department, or a single transaction, does.
    """

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}
        self._departments: dict[bytes, str] = {}
        self._owed_ms: int | None = None
        self._is_known = True
        """Whether `_owed_ms` is of now: it is asked for much more often than it changes."""

    def arrived(self, transaction_id: bytes, department: str, now_ms: int) -> None:
        """A transaction came that may be proposed now."""
        if transaction_id not in self._departments:
            self._departments[transaction_id] = department
            self._is_known = False
            self._queues.setdefault(department, _Queue()).arrivals[transaction_id] = now_ms

    def ordered(self, ids: Iterable[bytes], now_ms: int) -> None:
        """A block holds these; ids that never came here are passed over."""
        earliest: dict[str, int] = {}
        for transaction_id in ids:
            gone = self._take(transaction_id)
            if gone is not None:
                department, arrival_ms = gone
                earliest[department] = min(arrival_ms, earliest.get(department, arrival_ms))
        for department, arrival_ms in earliest.items():
            queue = self._queues.get(department)
            if queue is not None and arrival_ms <= queue.oldest_ms + FAIR_MS:
                queue.progress_ms = now_ms

    def forget(self, ids: Iterable[bytes]) -> None:
        """These wait no more, without a block."""
        for transaction_id in ids:
            self._take(transaction_id)

    def owed_since_ms(self) -> int | None:
        """The earliest time of all departments; None when nothing waits."""
        if not self._is_known:
            self._owed_ms = min((queue.owed_since_ms for queue in self._queues.values()), default=None)
            self._is_known = True
        return self._owed_ms

    def _take(self, transaction_id: bytes) -> tuple[str, int] | None:
        department = self._departments.pop(transaction_id, None)
        if department is None:
            return None
        self._is_known = False
        queue = self._queues[department]
        arrival_ms = queue.arrivals.pop(transaction_id)
        if not queue.arrivals:
            del self._queues[department]
        return department, arrival_ms

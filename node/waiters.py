"""Who waits for which transaction to become final."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial

from ledger.errors import Code, HuzhengError
from node.clock import monotonic_ms
from node.receipts import FinalTransaction

Final = asyncio.Future[FinalTransaction]
Group = Mapping[Final, int]
"""Those who wait for one transaction, and since when (monotonic milliseconds)."""
_COMPACT_AT = 1024


class Waiters:
    """Futures by transaction id, bounded for each department. Belongs to one event loop."""

    def __init__(self, max_per_department: int) -> None:
        self._max = max_per_department
        self._waiting: dict[bytes, dict[Final, int]] = {}
        self._expires_ms: dict[bytes, int] = {}
        self._expiries: list[tuple[int, bytes]] = []
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._counts.total()

    def add(self, transaction_id: bytes, department: str, expires_ms: int) -> Final:
        """A future for the transaction. Whoever cancels it, because a client went away, has left.

        Raises:
            HuzhengError: OVERLOADED if too many of the department's calls wait.
        """
        if self._counts[department] >= self._max:
            raise HuzhengError(Code.OVERLOADED, "too many calls wait for transactions of the department")
        final: Final = asyncio.get_running_loop().create_future()
        self._counts[department] += 1
        if transaction_id not in self._waiting:
            self._expires_ms[transaction_id] = expires_ms
            heapq.heappush(self._expiries, (expires_ms, transaction_id))
        self._waiting.setdefault(transaction_id, {})[final] = monotonic_ms()
        final.add_done_callback(partial(self._left, transaction_id, department))
        return final

    def _left(self, transaction_id: bytes, department: str, final: Final) -> None:
        self._counts[department] -= 1
        waiting = self._waiting.get(transaction_id, {})
        waiting.pop(final, None)
        if not waiting:
            self._take(transaction_id)

    def _take(self, transaction_id: bytes) -> Group:
        self._expires_ms.pop(transaction_id, None)
        if len(self._expiries) > 2 * len(self._expires_ms) + _COMPACT_AT:
            self._expiries = [(expires_ms, waiting) for waiting, expires_ms in self._expires_ms.items()]
            heapq.heapify(self._expiries)
        return self._waiting.pop(transaction_id, {})

    def claim(self, ids: Iterable[bytes]) -> dict[bytes, Group]:
        """Those who wait for any of the ids; the caller answers them. Nobody else will, not even at the expiry."""
        return {transaction_id: self._take(transaction_id) for transaction_id in ids if transaction_id in self._waiting}

    def expire(self, now_ms: int, error: HuzhengError) -> None:
        """Tells all whose transaction no block of this time or later can accept."""
        while self._expiries and self._expiries[0][0] <= now_ms:
            expires_ms, transaction_id = heapq.heappop(self._expiries)
            # The entry of an id that nobody waits for stays in the heap until its time or the next clearing.
            if self._expires_ms.get(transaction_id) == expires_ms:
                fail(self._take(transaction_id), error)

    def fail_all(self, error: HuzhengError) -> None:
        """The node stops."""
        for transaction_id in list(self._waiting):
            fail(self._take(transaction_id), error)


def resolve(group: Group, outcome: FinalTransaction) -> list[int]:
    """Answers a group; returns how long each who is still there has waited, in milliseconds."""
    now_ms = monotonic_ms()
    waited: list[int] = []
    for final, since_ms in group.items():
        if not final.done():
            final.set_result(outcome)
            waited.append(now_ms - since_ms)
    return waited


def fail(group: Group, error: HuzhengError) -> None:
    """Tells a group that there is no answer, and why."""
    for final in group:
        if not final.done():
            # Its own copy: a traceback grows with each await that raises it.
            final.set_exception(HuzhengError(error.code, error.detail))

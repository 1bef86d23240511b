"""Who waits for which transaction to become final."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from functools import partial

from ledger.errors import Code, HuzhengError
from node.clock import monotonic_ms
from node.receipts import FinalTransaction

Final = asyncio.Future[FinalTransaction]


class Waiters:
    """Futures by transaction id, bounded for each department. Belongs to one event loop."""

    def __init__(self, max_per_department: int) -> None:
        self._max = max_per_department
        self._waiting: dict[bytes, dict[Final, int]] = {}
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._counts.total()

    def add(self, transaction_id: bytes, department: str) -> Final:
        """A future for the transaction. Whoever cancels it, because a client went away, has left.

        Raises:
            HuzhengError: OVERLOADED if too many of the department's calls wait.
        """
        if self._counts[department] >= self._max:
            raise HuzhengError(Code.OVERLOADED, "too many calls wait for transactions of the department")
        final: Final = asyncio.get_running_loop().create_future()
        self._counts[department] += 1
        self._waiting.setdefault(transaction_id, {})[final] = monotonic_ms()
        final.add_done_callback(partial(self._left, transaction_id, department))
        return final

    def _left(self, transaction_id: bytes, department: str, final: Final) -> None:
        self._counts[department] -= 1
        waiting = self._waiting.get(transaction_id)
        if waiting is not None:
            waiting.pop(final, None)
            if not waiting:
                del self._waiting[transaction_id]

    def among(self, ids: Iterable[bytes]) -> list[bytes]:
        """Those of the ids that someone waits for."""
        return [transaction_id for transaction_id in ids if transaction_id in self._waiting]

    def resolve(self, outcome: FinalTransaction) -> list[int]:
        """Answers all who wait for it; returns how long each has waited, in milliseconds."""
        now_ms = monotonic_ms()
        waited: list[int] = []
        for final, since_ms in self._waiting.pop(outcome.id, {}).items():
            if not final.done():
                final.set_result(outcome)
                waited.append(now_ms - since_ms)
        return waited

    def fail(self, transaction_id: bytes, error: HuzhengError) -> None:
        """Tells all who wait for it that it will not become final."""
        for final in self._waiting.pop(transaction_id, {}):
            if not final.done():
                final.set_exception(HuzhengError(error.code, error.detail))

    def fail_all(self, error: HuzhengError) -> None:
        """The node stops."""
        for transaction_id in list(self._waiting):
            self.fail(transaction_id, error)

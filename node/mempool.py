"""Transactions that are well formed but not yet final at this node, bounded for each department.

A department that sends more than its share gets OVERLOADED and takes nothing from the others: batches are filled by
turns.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, zip_longest

from ledger.errors import Code, HuzhengError
from ledger.transaction import WellFormedTransaction
from node.clock import monotonic_ms
from node.patience import Patience

BATCH_OVERHEAD_BYTES = 5
"""What a transaction costs in a batch besides its own bytes: a tag and a length."""
_COMPACT_AT = 1024


class _Share:
    """One department's part: what waits, in order of arrival, and what is in a batch of this node."""

    __slots__ = ("bytes", "in_flight", "operations", "waiting")

    def __init__(self) -> None:
        self.waiting: OrderedDict[bytes, WellFormedTransaction] = OrderedDict()
        self.in_flight: OrderedDict[bytes, WellFormedTransaction] = OrderedDict()
        self.bytes = 0
        self.operations = 0

    def __len__(self) -> int:
        return len(self.waiting) + len(self.in_flight)


class Mempool:
    """Belongs to one event loop; only `verified` may be called from other threads."""

    def __init__(
        self,
        max_transactions_per_department: int,
        max_bytes_per_department: int,
        now_ms: Callable[[], int] = monotonic_ms,
    ) -> None:
        """`now_ms`: the clock that the primary's patience is measured by."""
        self._now_ms = now_ms
        self._patience = Patience()
        self._max_transactions = max_transactions_per_department
        self._max_bytes = max_bytes_per_department
        # In the order of whose turn it is.
        self._shares: OrderedDict[str, _Share] = OrderedDict()
        self._by_id: dict[bytes, WellFormedTransaction] = {}
        self._by_raw: dict[bytes, WellFormedTransaction] = {}
        self._expiries: list[tuple[int, bytes]] = []
        self._pending_count = 0
        self._pending_bytes = 0

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, transaction_id: object) -> bool:
        return transaction_id in self._by_id

    @property
    def pending_count(self) -> int:
        """Transactions that are not in flight."""
        return self._pending_count

    @property
    def pending_bytes(self) -> int:
        """Bytes that the transactions not in flight would take in a batch."""
        return self._pending_bytes

    def count_by_department(self) -> Mapping[str, int]:
        """Transactions of each department, in flight or not."""
        return {department: len(share) for department, share in self._shares.items()}

    def get(self, transaction_id: bytes) -> WellFormedTransaction | None:
        """The transaction with this id, or None."""
        return self._by_id.get(transaction_id)

    def verified(self, raw: bytes) -> WellFormedTransaction | None:
        """The transaction with exactly these bytes, if it is here: its signature need not be checked again.

        A single look-up, so worker threads may call it.
        """
        return self._by_raw.get(raw)

    def has_operations_of(self, department: str) -> bool:
        """Whether something here may change the department's keys."""
        share = self._shares.get(department)
        return share is not None and share.operations > 0

    def add(self, transaction: WellFormedTransaction) -> bool:
        """Takes a transaction in; False if it is here already.

        Raises:
            HuzhengError: OVERLOADED if the department's share is full.
        """
        if transaction.id in self._by_id:
            return False
        department = transaction.body.department
        share = self._shares.get(department) or _Share()
        size = len(transaction.raw) + BATCH_OVERHEAD_BYTES
        if len(share) >= self._max_transactions or share.bytes + size > self._max_bytes:
            raise HuzhengError(Code.OVERLOADED, "the department's share of pending transactions is full")
        self._shares[department] = share
        share.waiting[transaction.id] = transaction
        share.bytes += size
        share.operations += bool(transaction.body.operations)
        self._by_id[transaction.id] = transaction
        self._by_raw[transaction.raw] = transaction
        self._pending_count += 1
        self._pending_bytes += size
        heapq.heappush(self._expiries, (transaction.body.expires_ms, transaction.id))
        self._patience.arrived(transaction.id, department, self._now_ms())
        return True

    def take(self, max_bytes: int, max_count: int, latest_expiry_ms: int | None = None) -> list[WellFormedTransaction]:
        """Transactions for a batch, now in flight: of each department by turns, in order of arrival within one.

        A department whose next transaction does not fit, or expires after `latest_expiry_ms` (docs/protocol.md T4), is
        passed over and has the first turn the next time.
        """
        taken: list[WellFormedTransaction] = []
        passed_over: list[str] = []
        room = max_bytes
        turns = deque(department for department, share in self._shares.items() if share.waiting)
        while turns and len(taken) < max_count:
            department = turns.popleft()
            transaction = self._next(department, room, latest_expiry_ms)
            if transaction is None:
                passed_over.append(department)
                continue
            taken.append(transaction)
            room -= len(transaction.raw) + BATCH_OVERHEAD_BYTES
            self._shares.move_to_end(department)
            if self._shares[department].waiting:
                turns.append(department)
        for department in reversed(passed_over):
            self._shares.move_to_end(department, last=False)
        return taken

    def _next(self, department: str, room: int, latest_expiry_ms: int | None) -> WellFormedTransaction | None:
        share = self._shares[department]
        transaction = next(iter(share.waiting.values()))
        size = len(transaction.raw) + BATCH_OVERHEAD_BYTES
        if size > room or (latest_expiry_ms is not None and transaction.body.expires_ms > latest_expiry_ms):
            return None
        del share.waiting[transaction.id]
        share.in_flight[transaction.id] = transaction
        self._pending_count -= 1
        self._pending_bytes -= size
        return transaction

    def requeue_in_flight(self) -> None:
        """What this node had in its batches waits again, before what came later: those batches may never be decided."""
        for share in self._shares.values():
            while share.in_flight:
                transaction_id, transaction = share.in_flight.popitem()
                share.waiting[transaction_id] = transaction
                share.waiting.move_to_end(transaction_id, last=False)
                self._pending_count += 1
                self._pending_bytes += len(transaction.raw) + BATCH_OVERHEAD_BYTES

    def ordered(self, ids: Sequence[bytes]) -> None:
        """A stored block holds these transactions."""
        self._patience.ordered(ids, self._now_ms())
        self.remove(ids)

    def owed_since_ms(self) -> int | None:
        """Since when the primary owes what is here a block (C14); None when nothing is here."""
        return self._patience.owed_since_ms()

    def oldest(self, count: int, after: str = "") -> list[WellFormedTransaction]:
        """Up to so many transactions, of each department by turns, in order of arrival within one.

        The first turn has the department whose name follows `after`, so that whoever goes on there passes over nobody for ever.
        """
        names = sorted(self._shares)
        start = bisect_right(names, after)
        shares = [self._shares[name] for name in names[start:] + names[:start]]
        by_turns = zip_longest(*(chain(share.in_flight.values(), share.waiting.values()) for share in shares))
        return list(islice((found for found in chain.from_iterable(by_turns) if found is not None), count))

    def remove(self, ids: Iterable[bytes]) -> None:
        """Forgets transactions; ids that are not here are passed over."""
        for transaction_id in ids:
            transaction = self._by_id.pop(transaction_id, None)
            if transaction is not None:
                del self._by_raw[transaction.raw]
                self._patience.forget([transaction_id])
                self._leave_share(transaction)
        if len(self._expiries) > 2 * len(self._by_id) + _COMPACT_AT:
            self._expiries = [(item.body.expires_ms, item.id) for item in self._by_id.values()]
            heapq.heapify(self._expiries)

    def _leave_share(self, transaction: WellFormedTransaction) -> None:
        department = transaction.body.department
        share = self._shares[department]
        size = len(transaction.raw) + BATCH_OVERHEAD_BYTES
        if share.waiting.pop(transaction.id, None) is not None:
            self._pending_count -= 1
            self._pending_bytes -= size
        else:
            del share.in_flight[transaction.id]
        share.bytes -= size
        share.operations -= bool(transaction.body.operations)
        if not len(share):
            del self._shares[department]

    def drop_expired(self, now_ms: int) -> list[bytes]:
        """Forgets what no block of this time or later can accept (docs/protocol.md X3); returns the ids.

        `now_ms`: the time of a stored block. Blocks' times never run backwards, so the ids' fate is sealed.
        """
        expired: list[bytes] = []
        while self._expiries and self._expiries[0][0] <= now_ms:
            expires_ms, transaction_id = heapq.heappop(self._expiries)
            transaction = self._by_id.get(transaction_id)
            # The entry of a transaction that is gone stays in the heap until its time or the next clearing.
            if transaction is not None and transaction.body.expires_ms == expires_ms:
                expired.append(transaction_id)
        # An id that left and came back has two entries.
        expired = list(dict.fromkeys(expired))
        self.remove(expired)
        return expired

    def all_pending(self) -> Iterator[WellFormedTransaction]:
        """Everything here, in flight or not, by department and in order of arrival: for a new primary."""
        for share in self._shares.values():
            yield from share.in_flight.values()
            yield from share.waiting.values()

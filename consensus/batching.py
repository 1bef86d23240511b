"""When a primary proposes: at once when idle, in fuller batches while others are in flight, after a short rest when many come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST_TRANSACTIONS = 256
"""In a batch: more would save little of what a block costs by itself, and on a slow machine take so long that others lose patience."""
MOST_REST_MS = 100
"""However long a block took: longer is not the machine's work, but the way between the replicas."""


@dataclass(slots=True)
class Pace:
    """What a primary proposed last, and for how much it rests when that is certified.

    Who was answered sends the next transaction soon, and what comes in a rest shares one block's cost. A rest is no longer than the last
    block took, and ends when as many wait as that had; of batches before it, half as many, and so on.
    """

    proposed_ms: int
    """When the last batch was proposed."""
    sequence: int = 0
    """Where."""
    expected: int = 0
    """Transactions."""

    def proposed(self, sequence: int, transactions: int, now_ms: int) -> None:
        """A batch with so many goes out."""
        self.proposed_ms = now_ms
        self.sequence = sequence
        self.expected = max(transactions, self.expected // 2)

    def rest_ends_ms(self, certified: int, certified_ms: int) -> int:
        """Given the last block that was certified, and when. There is no rest after one that another proposed."""
        if certified != self.sequence:
            return 0
        return certified_ms + max(0, min(MOST_REST_MS, certified_ms - self.proposed_ms))


@dataclass(frozen=True, slots=True)
class BatchingPolicy:
    """Latency is low at low load and batches are large at high load, with no linger time to tune."""

    pipeline_depth: int
    heartbeat_ms: int
    full_bytes: int
    """Pending bytes that fill a batch by themselves."""
    worthwhile_transactions: int = 32
    """Pending transactions that are worth a further batch while others are in flight."""
    few_transactions: int = 8
    """So many that come back save less than the rest for them costs."""

    def wants_batch(
        self, in_flight: Sequence[int], pending_transactions: int, pending_bytes: int, idle_ms: int, expected: int
    ) -> bool:
        """Whether to propose now, given the bytes of each batch in flight, what waits, the time since the last proposal, and, during a
        rest, how many transactions are expected.
        """
        if len(in_flight) >= self.pipeline_depth:
            return False
        if pending_bytes >= self.full_bytes or pending_transactions >= MOST_TRANSACTIONS:
            return True
        if not in_flight:
            awaited = expected if expected > self.few_transactions else 1
            return pending_transactions >= awaited or idle_ms >= self.heartbeat_ms
        # As much as is in flight: what a block costs by itself is shared by ever more transactions, the more there are.
        return pending_transactions >= self.worthwhile_transactions and pending_bytes >= sum(in_flight)

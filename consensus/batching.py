"""When a primary proposes: at once when idle, in fuller batches while others are in flight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST_TRANSACTIONS = 256
"""In a batch: more would save little of what a block costs by itself, and on a slow machine take so long that others lose patience."""


@dataclass(frozen=True, slots=True)
class BatchingPolicy:
    """Latency is low at low load and batches are large at high load, with no linger time to tune."""

    pipeline_depth: int
    heartbeat_ms: int
    full_bytes: int
    """Pending bytes that fill a batch by themselves."""
    worthwhile_transactions: int = 32
    """Pending transactions that are worth a further batch while others are in flight."""

    def wants_batch(
        self, in_flight: Sequence[int], pending_transactions: int, pending_bytes: int, idle_ms: int
    ) -> bool:
        """Whether to propose now, given the bytes of each batch in flight, what waits, and the time since the last proposal."""
        if not in_flight:
            return pending_transactions > 0 or idle_ms >= self.heartbeat_ms
        if len(in_flight) >= self.pipeline_depth:
            return False
        if pending_bytes >= self.full_bytes or pending_transactions >= MOST_TRANSACTIONS:
            return True
        # As much as is in flight: what a block costs by itself is shared by ever more transactions, the more there are.
        return pending_transactions >= self.worthwhile_transactions and pending_bytes >= sum(in_flight)

"""When a primary proposes: at once when idle, in fuller batches while others are in flight."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchingPolicy:
    """Latency is low at low load and batches are large at high load, with no linger time to tune."""

    pipeline_depth: int
    heartbeat_ms: int
    full_bytes: int
    """Pending bytes that fill a batch by themselves."""
    worthwhile_transactions: int = 32
    """Pending transactions that are worth a further batch while others are in flight."""

    def wants_batch(self, in_flight: int, pending_transactions: int, pending_bytes: int, idle_ms: int) -> bool:
        """Whether to propose now, given the batches in flight, what waits, and the time since the last proposal."""
        if in_flight == 0:
            return pending_transactions > 0 or idle_ms >= self.heartbeat_ms
        if in_flight >= self.pipeline_depth:
            return False
        return pending_transactions >= self.worthwhile_transactions or pending_bytes >= self.full_bytes

"""Tells the log when this machine's clock is wrong: its operator must not learn it from the others."""

from __future__ import annotations

import structlog

from node.clock import NetworkClock

AGAIN_MS = 600_000
"""A clock that stays wrong is told of so often."""

log = structlog.get_logger("clock")


class ClockWatch:
    """Compares this machine's clock with the network's."""

    def __init__(self, clock: NetworkClock, clock_bound_ms: int) -> None:
        self._clock = clock
        self._limit_ms = clock_bound_ms // 2
        self._told_ms: int | None = None

    def look(self, now_ms: int) -> None:
        """To be called now and then; `now_ms` never runs backwards."""
        ahead_ms = -self._clock.offset_ms
        if abs(ahead_ms) <= self._limit_ms:
            if self._told_ms is not None:
                log.info("clock right again")
            self._told_ms = None
        elif self._told_ms is None or now_ms - self._told_ms >= AGAIN_MS:
            self._told_ms = now_ms
            log.warning("clock wrong", ahead_s=round(ahead_ms / 1000, 1))

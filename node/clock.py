"""Clocks: the one place where the daemon reads time.

A replica with a wrong clock must neither halt nor steer the chain, so the time it proposes and judges proposals by is its own clock corrected by the
median of what all replicas' clocks say, its own included: up to f liars move it no further than between two correct clocks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median_low

from ledger.crypto.membership import Membership
from ledger.crypto.types import ReplicaId


def wall_clock_ms() -> int:
    """This machine's clock, milliseconds since 1970-01-01T00:00:00Z."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """Milliseconds that never run backwards, for timers and durations."""
    return time.monotonic_ns() // 1_000_000


class NetworkClock:
    """This machine's clock, corrected by the median offset of all replicas heard from.

    While so few are heard that f liars could be half of them, it is not corrected: without a quorum nothing is decided anyway.
    """

    def __init__(self, max_faulty: int, wall_ms: Callable[[], int] = wall_clock_ms) -> None:
        """`max_faulty`: f of the membership. `wall_ms`: this machine's clock."""
        self._wall_ms = wall_ms
        self._enough = 2 * max_faulty + 1
        self._offsets_ms: dict[ReplicaId, int] = {}

    def follow(self, membership: Membership) -> None:
        """From now on these replicas' clocks count."""
        self._enough = 2 * membership.f + 1
        self._offsets_ms = {r: ms for r, ms in self._offsets_ms.items() if membership.member(r) is not None}

    def heard(self, replica: ReplicaId, clock_ms: int) -> None:
        """A peer just said what its clock shows."""
        self._offsets_ms[replica] = clock_ms - self._wall_ms()

    def forget(self, replica: ReplicaId) -> None:
        """A peer is gone; its clock no longer counts."""
        self._offsets_ms.pop(replica, None)

    @property
    def offset_ms(self) -> int:
        """How far the network's clocks are ahead of this one: the median over all replicas, this one's 0 included."""
        offsets_ms = [0, *self._offsets_ms.values()]
        return median_low(offsets_ms) if len(offsets_ms) >= self._enough else 0

    def now_ms(self) -> int:
        """The network's time."""
        return self._wall_ms() + self.offset_ms

"""The wall clocks of simulated machines: wrong by a little, by a lot, or all of a sudden."""

from __future__ import annotations

from collections.abc import Callable

from ledger.crypto import ReplicaId
from node.clock import NetworkClock

TELL_MS = 5_000
"""How often machines tell one another what their clocks show."""


class SimulatedClock(NetworkClock):
    """The production clock, which corrects a machine's own by the median of all, on top of a simulated one."""

    def __init__(self, max_faulty: int, wall_ms: Callable[[], int]) -> None:
        super().__init__(max_faulty)
        self._wall_ms = wall_ms

    def heard(self, replica: ReplicaId, clock_ms: int) -> None:
        """A peer just said what its clock shows."""
        self._offsets_ms[replica] = clock_ms - self._wall_ms()

    def now_ms(self) -> int:
        """The network's time."""
        return self._wall_ms() + self.offset_ms

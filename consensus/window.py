"""The watermark window: the slots above the last stored block, and nothing beyond it (docs/protocol.md C4)."""

from __future__ import annotations

from collections.abc import Iterator

from consensus.slot import Slot
from ledger.crypto.types import Height, Seq


class Window:
    """The open slots of the heights from `stored` + 1 to `high`: memory is bounded whatever peers send."""

    def __init__(self, stored: Height, size: int, last: Height | None = None) -> None:
        """`last`: the last height of this epoch, as soon as it is known."""
        self.stored = stored
        self.size = size
        self.last = last
        self._slots: dict[Seq, Slot] = {}

    @property
    def high(self) -> Height:
        """The high watermark: the last height that slots may be opened for."""
        high = self.stored + self.size
        return Height(high if self.last is None else min(high, self.last))

    def __len__(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[Slot]:
        """The open slots in ascending order of sequence."""
        for sequence in sorted(self._slots):
            yield self._slots[sequence]

    def covers(self, sequence: int) -> bool:
        """Whether stored height < sequence ≤ high watermark."""
        return self.stored < sequence <= self.high

    def get(self, sequence: int) -> Slot | None:
        """The open slot of a sequence number, if there is one."""
        return self._slots.get(Seq(sequence))

    def open(self, sequence: int, now_ms: int) -> Slot:
        """The slot of a sequence number, opened now if it was not. Raises ValueError for one outside the window."""
        slot = self._slots.get(Seq(sequence))
        if slot is None:
            if not self.covers(sequence):
                raise ValueError(f"no slot for {sequence} in a window from {self.stored} to {self.high}")
            slot = self._slots[Seq(sequence)] = Slot(Seq(sequence), now_ms)
        return slot

    def advance(self, stored: Height) -> None:
        """A block was stored: forgets the slots up to it."""
        self.stored = max(self.stored, stored)
        for sequence in [sequence for sequence in self._slots if sequence <= self.stored]:
            del self._slots[sequence]

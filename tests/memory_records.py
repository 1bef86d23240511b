"""Record files of the state tree, in memory."""

from __future__ import annotations

from collections.abc import Iterable


class MemoryRecords:
    """Storage that is gone with the process."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._zeros = bytes(size)
        self._records: dict[int, bytes] = {}

    def read(self, index: int) -> bytes:
        """One record."""
        return self._records.get(index, self._zeros)

    def used(self) -> Iterable[int]:
        """Of all that were written."""
        return self._records.keys()

    def reserve(self, count: int) -> None:
        """Nothing to do."""

    def write(self, records: Iterable[tuple[int, bytes]]) -> None:
        """Some records."""
        self._records.update(records)

    def flush(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""

"""Files of records of one size, read and written in place through a memory map. Which pages are in memory is the system's affair."""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterable
from pathlib import Path

from ledger.errors import Code, HuzhengError

GROWTH_BYTES = 64 * 1024


class RecordFile:
    """A `RecordStorage` that grows as it is written."""

    def __init__(self, path: Path, size: int) -> None:
        """`size`: bytes of a record. Raises HuzhengError(STORE_DISK_FULL, STORE_WRITE_FAILED)."""
        self.size = size
        self._name = path.name
        try:
            self._file = path.open("r+b" if path.exists() else "w+b")
            self._length = path.stat().st_size
            if not self._length:
                self._length = GROWTH_BYTES
                os.posix_fallocate(self._file.fileno(), 0, self._length)
            self._map = mmap.mmap(self._file.fileno(), self._length)
        except OSError as error:
            raise self._failed(error) from error

    def read(self, index: int) -> bytes:
        """One record."""
        size = self.size
        raw = self._map[index * size : (index + 1) * size]
        return raw if len(raw) == size else bytes(size)

    def used(self) -> Iterable[int]:
        """All that have room in the file."""
        return range(self._length // self.size)

    def reserve(self, count: int) -> None:
        """Grows the file where it is too short for so many."""
        length = count * self.size
        if length <= self._length:
            return
        # In proportion, so that a growing file is not mapped anew again and again.
        length = max(length, self._length + max(GROWTH_BYTES, self._length // 4))
        try:
            # Not a hole: a full disk must be found out now, and not by a signal when the page is written.
            os.posix_fallocate(self._file.fileno(), self._length, length - self._length)
            self._map.resize(length)
        except OSError as error:
            raise self._failed(error) from error
        self._length = length

    def write(self, records: Iterable[tuple[int, bytes]]) -> None:
        """Some records, for which there is room."""
        size, target = self.size, self._map
        for index, raw in records:
            start = index * size
            target[start : start + size] = raw

    def flush(self) -> None:
        """From any thread; others go on meanwhile."""
        try:
            # A map's pages are the file's; unlike msync in Python, this lets other threads run.
            os.fdatasync(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Without flushing."""
        self._map.close()
        self._file.close()

    def _failed(self, error: OSError) -> HuzhengError:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        return HuzhengError(
            Code.STORE_DISK_FULL if full else Code.STORE_WRITE_FAILED, f"{self._name}: {error.strerror}"
        )

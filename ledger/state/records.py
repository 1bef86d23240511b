"""Files of records of one size, read and written in place through a memory map.

What blocks change stays in memory until they are stored. Which pages of a file are in memory is the system's affair.
"""

from __future__ import annotations

import mmap
import os
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from ledger.errors import Code, HuzhengError

GROWTH_BYTES = 1024 * 1024
_INDEX_BYTES = 8
_FIRST = 1
"""Record 0 says which indexes are free."""


class RecordFile:
    """A file that grows as it is written. What was never written reads as zeros."""

    def __init__(self, path: Path, size: int) -> None:
        """`size`: bytes of a record. Raises HuzhengError(STORE_WRITE_FAILED)."""
        self.size = size
        try:
            self._file = path.open("r+b" if path.exists() else "w+b")
            self._length = path.stat().st_size
            if not self._length:
                self._length = GROWTH_BYTES
                os.posix_fallocate(self._file.fileno(), 0, self._length)
            self._map = mmap.mmap(self._file.fileno(), self._length)
        except OSError as error:
            raise HuzhengError(Code.STORE_WRITE_FAILED, f"{path.name}: {error.strerror}") from error

    def read(self, index: int) -> bytes:
        """One record."""
        start = index * self.size
        end = start + self.size
        return self._map[start:end] if end <= self._length else bytes(self.size)

    def write(self, records: Mapping[int, bytes]) -> None:
        """Some records. Raises HuzhengError(STORE_WRITE_FAILED) if the disk is full."""
        if not records:
            return
        size = self.size
        self._reserve((max(records) + 1) * size)
        target = self._map
        for index, raw in records.items():
            start = index * size
            target[start : start + size] = raw

    def flush(self) -> None:
        """All that was written is on disk when this returns. Raises HuzhengError(STORE_WRITE_FAILED)."""
        try:
            self._map.flush()
        except OSError as error:
            raise HuzhengError(Code.STORE_WRITE_FAILED, f"{error.strerror}") from error

    def close(self) -> None:
        """Without flushing."""
        self._map.close()
        self._file.close()

    def _reserve(self, length: int) -> None:
        if length <= self._length:
            return
        # In proportion, so that a growing file is not mapped anew again and again.
        length = max(length, self._length + max(GROWTH_BYTES, self._length // 4))
        try:
            # Not a hole: a full disk must be found out now, and not by a signal when the page is written.
            os.posix_fallocate(self._file.fileno(), self._length, length - self._length)
            self._map.resize(length)
        except OSError as error:
            raise HuzhengError(Code.STORE_WRITE_FAILED, f"{error.strerror}") from error
        self._length = length


class Records:
    """Records as the newest executed block leaves them, over those of the last stored block in the file."""

    def __init__(self, file: RecordFile) -> None:
        self._file = file
        self._newest: dict[int, bytes] = {}
        """What blocks that are not stored have changed."""
        self._block: dict[int, bytes] = {}
        self._blocks: deque[dict[int, bytes]] = deque()

    def get(self, index: int) -> bytes:
        """A record; zeros if it was never set."""
        raw = self._newest.get(index)
        return self._file.read(index) if raw is None else raw

    def set(self, index: int, raw: bytes) -> None:
        """Changes a record in the block that is being executed."""
        self._newest[index] = self._block[index] = raw

    def add(self, raw: bytes) -> int:
        """Sets a record that is not in use; its index, from 1 on."""
        unused, free = self._allocation()
        if free:
            index, free = free, int.from_bytes(self.get(free)[:_INDEX_BYTES], "big")
        else:
            index, unused = unused, unused + 1
        self._allocate(unused, free)
        self.set(index, raw)
        return index

    def free(self, index: int) -> None:
        """A record is no longer in use."""
        unused, free = self._allocation()
        self.set(index, free.to_bytes(_INDEX_BYTES, "big").ljust(self._file.size, b"\0"))
        self._allocate(unused, index)

    def _allocation(self) -> tuple[int, int]:
        """The first index that was never used, and the first of those that are free again: each names the next, 0 is the end."""
        raw = self.get(0)
        unused = int.from_bytes(raw[:_INDEX_BYTES], "big")
        return unused or _FIRST, int.from_bytes(raw[_INDEX_BYTES : 2 * _INDEX_BYTES], "big")

    def _allocate(self, unused: int, free: int) -> None:
        raw = unused.to_bytes(_INDEX_BYTES, "big") + free.to_bytes(_INDEX_BYTES, "big")
        self.set(0, raw.ljust(self._file.size, b"\0"))

    # --- blocks ---

    def end_block(self) -> Mapping[int, bytes]:
        """The records that a block changed, as it left them."""
        block, self._block = self._block, {}
        self._blocks.append(block)
        return block

    def store_block(self) -> None:
        """Writes the oldest block's records to the file. Raises HuzhengError(STORE_WRITE_FAILED)."""
        block = self._blocks[0]
        self._file.write(block)
        self._blocks.popleft()
        for index, raw in block.items():
            if self._newest[index] is raw:
                del self._newest[index]

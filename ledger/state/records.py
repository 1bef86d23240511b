"""Records of one size, as each of the newest blocks left them, over a file that has those of the last stored block.

Only one thread changes them. Others may read any height that is kept meanwhile: what was there before a change is noted before it is made,
and looked for after the newest was read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol

from ledger.crypto.types import Height
from ledger.state.noted import Noted

Pending = tuple[Noted, bytearray]
"""Records that a block changed: as they were before, and as `Records.after` says."""

INDEX_BYTES = 8
_FIRST = 1
"""Record 0 says which indexes are free."""


class RecordStorage(Protocol):
    """Where stored records are. What was never written reads as zeros."""

    @property
    def size(self) -> int:
        """Bytes of a record."""
        ...

    def read(self, index: int) -> bytes:
        """One record."""
        ...

    def used(self) -> Iterable[int]:
        """The indexes of all records that may not be zeros."""
        ...

    def reserve(self, count: int) -> None:
        """Makes sure that there is room for so many records. Raises HuzhengError(STORE_DISK_FULL, STORE_WRITE_FAILED)."""
        ...

    def write(self, records: Iterable[tuple[int, bytes]]) -> None:
        """Some records, for which there is room."""
        ...

    def flush(self) -> None:
        """All that was written before is on disk when this returns. Raises HuzhengError(STORE_DISK_FULL, STORE_WRITE_FAILED)."""
        ...

    def close(self) -> None:
        """Without flushing."""
        ...


class Records:
    """See the module. Blocks are numbered by their height."""

    def __init__(self, storage: RecordStorage) -> None:
        self.storage = storage
        self._undos: dict[Height, Noted] = {}
        """What each block changed, as it was before; ascending."""
        self._pending: tuple[Pending, ...] = ()
        """What each block that is not stored changed; the newest first."""
        self.before = Noted(storage.size)
        """What the block that is being executed has changed, as it was before."""
        self.after = bytearray()
        """The same, as it is now: of each record its index (8 bytes), then the record."""

    def get(self, index: int) -> bytes:
        """A record as the newest block leaves it."""
        return self._get(index, self._pending)

    def reader(self) -> Callable[[int], bytes]:
        """As `get`, for records that the block that is being executed has not changed."""
        earlier = self._pending[1:]
        return partial(self._get, pending=earlier) if earlier else self.storage.read

    def _get(self, index: int, pending: Sequence[Pending]) -> bytes:
        for before, after in pending:
            place = before.place(index)
            if place is not None:
                start = place * (INDEX_BYTES + before.size) + INDEX_BYTES
                return bytes(after[start : start + before.size])
        return self.storage.read(index)

    def at(self, index: int, height: Height) -> bytes:
        """A record as a block that is kept left it. From any thread."""
        raw = self.get(index)
        for later in tuple(self._undos):
            undo = self._undos.get(later) if later > height else None
            before = undo.find(index) if undo is not None else None
            if before is not None:
                return before
        return raw

    def change(self, index: int, raw: bytes, before: bytes) -> None:
        """Changes a record for the first time in the block that is being executed. `before`: what `get` says."""
        self.after += index.to_bytes(INDEX_BYTES, "big") + raw
        self.before.add(index, before)

    def _set(self, index: int, raw: bytes, before: bytes) -> None:
        """As `change`, for the first time or not."""
        place = self.before.place(index)
        if place is None:
            self.change(index, raw, before)
        else:
            start = place * (INDEX_BYTES + self.storage.size) + INDEX_BYTES
            self.after[start : start + self.storage.size] = raw

    def add(self, raw: bytes) -> int:
        """Sets a record that is not in use; its index, from 1 on."""
        unused, free = self._allocation()
        if free:
            index, before = free, self.get(free)
            free = int.from_bytes(before[:INDEX_BYTES], "big")
        else:
            index, before = unused, self.get(unused)
            unused += 1
        self._allocate(unused, free)
        self._set(index, raw, before)
        return index

    def free(self, index: int) -> None:
        """A record is no longer in use."""
        unused, free = self._allocation()
        self._set(index, free.to_bytes(INDEX_BYTES, "big").ljust(self.storage.size, b"\0"), self.get(index))
        self._allocate(unused, index)

    def _allocation(self) -> tuple[int, int]:
        """The first index that was never used, and the first of those that are free again: each names the next, 0 is the end."""
        raw = self.get(0)
        unused = int.from_bytes(raw[:INDEX_BYTES], "big")
        return unused or _FIRST, int.from_bytes(raw[INDEX_BYTES : 2 * INDEX_BYTES], "big")

    def _allocate(self, unused: int, free: int) -> None:
        raw = unused.to_bytes(INDEX_BYTES, "big") + free.to_bytes(INDEX_BYTES, "big")
        self._set(0, raw.ljust(self.storage.size, b"\0"), self.get(0))

    # --- blocks ---

    def begin(self, height: Height) -> None:
        """What is changed from now on belongs to this block, the next one."""
        self.before = self._undos[height] = Noted(self.storage.size)
        self.after = bytearray()
        self._pending = ((self.before, self.after), *self._pending)

    def revert(self, height: Height) -> None:
        """Takes the newest block back, which is not stored."""
        self._pending = self._pending[1:]
        del self._undos[height]

    def changes(self, height: Height) -> bytes:
        """What a block that is not stored changed, as it left it, in the form of `after`. There is room for it in storage then.

        Raises:
            HuzhengError: STORE_DISK_FULL, STORE_WRITE_FAILED.
        """
        undo = self._undos[height]
        [after] = [after for before, after in self._pending if before is undo]
        self.storage.reserve(max(undo.indexes, default=-1) + 1)
        return bytes(after)

    def store(self, changes: bytes) -> None:
        """Writes the `changes` of the oldest block that is not stored."""
        self.storage.write(split(changes, self.storage.size))
        # Only now: others read meanwhile.
        self._pending = self._pending[:-1]

    def changed_by(self, height: Height) -> int:
        """How many records are kept of what a block changed."""
        return len(self._undos.get(height, ()))

    def forget(self, height: Height) -> None:
        """What was before a stored block is not asked for any more."""
        self._undos.pop(height, None)


def split(changes: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    """The records, of this size, in `Records.changes`. Raises struct.error if these are no whole records."""
    return struct.iter_unpack(f">Q{size}s", changes)

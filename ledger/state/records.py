"""Records of one size, as each of the newest blocks left them, over a file that has those of the last stored block.

Only one thread changes them. Others may read any height that is kept meanwhile: what was there before a change is noted before it is made,
and looked for after the newest was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from ledger.crypto.types import Height

_INDEX_BYTES = 8
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

    def reserve(self, records: Mapping[int, bytes]) -> None:
        """Makes sure that there is room for writing these. Raises HuzhengError(STORE_DISK_FULL, STORE_WRITE_FAILED)."""
        ...

    def write(self, records: Mapping[int, bytes]) -> None:
        """Some records. Raises as `reserve`."""
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
        self._newest: dict[int, bytes] = {}
        """What blocks that are not stored have changed."""
        self._undos: dict[Height, dict[int, bytes]] = {}
        """What each block changed, as it was before; ascending."""
        self._undo: dict[int, bytes] = {}
        """Of the block that is being executed."""

    def get(self, index: int) -> bytes:
        """A record as the newest block leaves it."""
        raw = self._newest.get(index)
        return self.storage.read(index) if raw is None else raw

    def at(self, index: int, height: Height) -> bytes:
        """A record as a block that is kept left it. From any thread."""
        raw = self.get(index)
        for later in tuple(self._undos):
            undo = self._undos.get(later)
            if later > height and undo is not None and index in undo:
                return undo[index]
        return raw

    def set(self, index: int, raw: bytes, before: bytes) -> None:
        """Changes a record in the block that is being executed. `before`: what `get` says."""
        if index not in self._undo:
            self._undo[index] = before
        self._newest[index] = raw

    def add(self, raw: bytes) -> int:
        """Sets a record that is not in use; its index, from 1 on."""
        unused, free = self._allocation()
        if free:
            index, before = free, self.get(free)
            free = int.from_bytes(before[:_INDEX_BYTES], "big")
        else:
            index, before = unused, self.get(unused)
            unused += 1
        self._allocate(unused, free)
        self.set(index, raw, before)
        return index

    def free(self, index: int) -> None:
        """A record is no longer in use."""
        unused, free = self._allocation()
        self.set(index, free.to_bytes(_INDEX_BYTES, "big").ljust(self.storage.size, b"\0"), self.get(index))
        self._allocate(unused, index)

    def _allocation(self) -> tuple[int, int]:
        """The first index that was never used, and the first of those that are free again: each names the next, 0 is the end."""
        raw = self.get(0)
        unused = int.from_bytes(raw[:_INDEX_BYTES], "big")
        return unused or _FIRST, int.from_bytes(raw[_INDEX_BYTES : 2 * _INDEX_BYTES], "big")

    def _allocate(self, unused: int, free: int) -> None:
        raw = unused.to_bytes(_INDEX_BYTES, "big") + free.to_bytes(_INDEX_BYTES, "big")
        self.set(0, raw.ljust(self.storage.size, b"\0"), self.get(0))

    # --- blocks ---

    def begin(self, height: Height) -> None:
        """What is set from now on belongs to this block, the next one."""
        self._undo = self._undos[height] = {}

    def revert(self, height: Height, stored: Height) -> None:
        """Takes the newest block back, which is not stored. `stored`: the last one that is."""
        undo = self._undos[height]
        for index, before in undo.items():
            if any(index in self._undos[earlier] for earlier in self._undos if stored < earlier < height):
                self._newest[index] = before
            else:
                del self._newest[index]
        del self._undos[height]

    def after(self, height: Height) -> dict[int, bytes]:
        """The records that a block changed, as it left them."""
        later = [undo for other, undo in self._undos.items() if other > height]
        if not later:
            return {index: self.get(index) for index in self._undos[height]}
        return {index: self.at(index, height) for index in self._undos[height]}

    def store(self, height: Height, records: Mapping[int, bytes]) -> None:
        """Writes what the oldest block that is not stored left. Raises HuzhengError(STORE_DISK_FULL, STORE_WRITE_FAILED)."""
        self.storage.write(records)
        later: set[int] = set().union(*(undo for other, undo in self._undos.items() if other > height))
        if not later:
            # All that is not stored is of this block.
            self._newest.clear()
            return
        for index in records:
            if index not in later:
                del self._newest[index]

    def changed_by(self, height: Height) -> int:
        """How many records are kept of what a block changed."""
        return len(self._undos.get(height, ()))

    def forget(self, height: Height) -> None:
        """What was before a stored block is not asked for any more."""
        self._undos.pop(height, None)

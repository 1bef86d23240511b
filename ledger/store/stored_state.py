"""The state as the database has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ledger.state import HEADS_PREFIX, SEEN_PREFIX
from ledger.store import layout
from ledger.store.engine import Reader


@dataclass(slots=True)
class LastHeads:
    """The last key in the state that has heads, or a later one. After them come the seen ids, of which many were deleted a while ago."""

    key: bytes = b""


class StoredState:
    """The state after the last stored block: a `ledger.state.StateReader`."""

    __slots__ = ("_last_heads", "_reader", "_seen_floor")

    def __init__(self, reader: Reader, last_heads: LastHeads | None = None) -> None:
        """`last_heads`: of this state or a later one; no heads after it are looked for."""
        self._reader = reader
        self._last_heads = last_heads
        self._seen_floor = b""

    def skip_seen_below(self, key: bytes) -> None:
        """No seen id below this key is left, nor ever will be: ids are dropped in the order of their keys (X4).

        Scans for the oldest seen ids then need not pass over all that were dropped since LevelDB compacted them last.
        """
        self._seen_floor = key

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None."""
        last = self._last_heads
        if last is not None and key[:1] == HEADS_PREFIX and key > last.key:
            return None
        return self._reader.get(layout.STATE + key)

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys from `start` up to `stop`, exclusive, in ascending order, with their values."""
        if start == SEEN_PREFIX:
            start = max(start, self._seen_floor)
        for key, value in self._reader.scan(layout.STATE + start, layout.STATE + stop):
            yield key[1:], value

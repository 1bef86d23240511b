"""Simulated disks: what LevelDB promises, and no more. The production store runs on top.

A synchronous write is there whole once it returned, and all writes before it; a write that the power failed in is there whole or not
at all; writes that were not synchronous may be lost at a crash, the last ones first.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from ledger.genesis import Genesis
from ledger.state.tree import RECORD_SIZES
from ledger.store import ChainStore, layout, opening
from ledger.store.engine import Engine
from ledger.store.high_water import HighWater
from ledger.store.state_tree import open_tree
from tests.memory_records import MemoryRecords

Change = tuple[bytes, bytes | None]
"""A key set (a value) or removed (None)."""

_VOTES = (layout.VOTE, layout.VOTE_WRITES_KEY)


class PowerFailure(Exception):
    """The machine dies here."""


class Disk:
    """One machine's disk, from its first life to its last."""

    def __init__(self, dice: random.Random, fails: Callable[[], bool]) -> None:
        """`fails`: asked at each write, whether the power fails now."""
        self.dice = dice
        self.fails = fails
        self.is_torn = False
        """A write of votes that the power failed in may be there in part: less than the store promises."""
        self.loses_votes = False
        """The last write of votes before a crash is lost though it was synced: what no replica can bear."""
        self.entries: dict[bytes, bytes] = {}
        self.keys: list[bytes] = []
        """Of the entries, in ascending order."""
        self.notes: dict[int, int] = {}
        """The numbers of the high water mark, which are written without sync."""
        self._old_notes: dict[int, int] = {}
        self._unsynced: list[list[Change]] = []
        """What undoes each write since the last synchronous one, oldest first."""
        self.records = {name: SimulatedRecords(size, dice) for name, size in RECORD_SIZES.items()}
        """The files of the state tree."""
        self._last_votes: tuple[list[Change], dict[int, int]] | None = None
        """What undoes the last write of votes."""

    def write(self, changes: Sequence[Change], *, sync: bool) -> None:
        """One atomic write. Raises PowerFailure."""
        is_votes = all(key.startswith(_VOTES) for key, _ in changes)
        if self.fails():
            whole = len(changes)
            part = self.dice.randint(0, whole) if self.is_torn and is_votes else whole
            self._apply(changes[: self.dice.choice((0, part))])
            raise PowerFailure
        before = dict(self.notes)
        undone = self._apply(changes)
        if sync:
            self._unsynced.clear()
        else:
            self._unsynced.append(undone)
        self._last_votes = (undone, before) if is_votes and self.loses_votes else None
        if self.fails():
            raise PowerFailure

    def values(self, prefix: bytes) -> list[bytes]:
        """The values of all keys that start so, in order."""
        first = bisect_left(self.keys, prefix)
        last = bisect_left(self.keys, layout.after_prefix(prefix))
        return [self.entries[key] for key in self.keys[first:last]]

    def note(self, slot: int, number: int) -> None:
        """Writes a number beside the database, without sync."""
        self._old_notes = dict(self.notes)
        self.notes[slot] = number

    def put_back(self, prefix: bytes, entries: Mapping[bytes, bytes]) -> None:
        """Somebody puts back a copy of all that lies under a prefix."""
        gone: list[Change] = [(key, None) for key in self.keys if key.startswith(prefix) and key not in entries]
        self._apply([*gone, *entries.items()])

    def become(self, other: Disk) -> None:
        """A new disk, on which the chain of another's is put together anew, and no votes."""
        lost: list[Change] = [(key, None) for key in self.keys]
        kept = [(key, value) for key, value in other.entries.items() if not layout.is_own(key)]
        self._apply([*lost, *kept])
        self.remove_records()
        self.notes.clear()
        self._old_notes.clear()
        self._unsynced.clear()

    def remove_records(self) -> None:
        """Somebody deletes the files of the state tree."""
        for file in self.records.values():
            file.clear()

    def under(self, prefix: bytes) -> dict[bytes, bytes]:
        """All entries whose keys start so."""
        return {key: self.entries[key] for key in self.keys if key.startswith(prefix)}

    def crash(self) -> None:
        """The power is gone: what was not synced may be lost."""
        kept = self.dice.randint(0, len(self._unsynced)) if self._unsynced else 0
        for undone in reversed(self._unsynced[kept:]):
            self._apply(undone)
        self._unsynced.clear()
        for file in self.records.values():
            file.crash()
        if self.dice.random() < 0.5:
            self.notes = dict(self._old_notes)
        if self._last_votes is not None:
            undone, self.notes = self._last_votes
            self._apply(undone)
            self._last_votes = None

    def _apply(self, changes: Sequence[Change]) -> list[Change]:
        """Returns what undoes them."""
        undone: list[Change] = []
        for key, value in changes:
            undone.append((key, self.entries.get(key)))
            if value is not None:
                if key not in self.entries:
                    insort(self.keys, key)
                self.entries[key] = value
            elif self.entries.pop(key, None) is not None:
                del self.keys[bisect_left(self.keys, key)]
        undone.reverse()
        return undone


class SimulatedRecords(MemoryRecords):
    """A record file. What was written since it was last flushed may be lost at a crash, record by record, or be there in part."""

    def __init__(self, size: int, dice: random.Random) -> None:
        super().__init__(size)
        self._dice = dice
        self._unflushed: dict[int, bytes] = {}
        """What was there before."""

    def write(self, records: Iterable[tuple[int, bytes]]) -> None:
        """Some records."""
        for index, raw in records:
            self._unflushed.setdefault(index, self.read(index))
            super().write([(index, raw)])

    def flush(self) -> None:
        """A crash does not touch what was written before."""
        self._unflushed.clear()

    def crash(self) -> None:
        """The power is gone."""
        for index, before in self._unflushed.items():
            written = self._dice.choice((0, self.size, self._dice.randint(0, self.size)))
            super().write([(index, self.read(index)[:written] + before[written:])])
        self._unflushed.clear()

    def clear(self) -> None:
        """Somebody deletes the file."""
        self._records.clear()
        self._unflushed.clear()


class _Reads:
    """Reads of a database or a snapshot, as plyvel offers them."""

    def __init__(self, entries: dict[bytes, bytes], keys: list[bytes]) -> None:
        self._entries = entries
        self._keys = keys

    def get(self, key: bytes, **_options: Any) -> bytes | None:
        return self._entries.get(key)

    def iterator(self, start: bytes, stop: bytes | None = None, *, reverse: bool = False, **_options: Any) -> _Iterator:
        first = bisect_left(self._keys, start)
        last = len(self._keys) if stop is None else bisect_left(self._keys, stop)
        found = [(key, self._entries[key]) for key in self._keys[first:last]]
        return _Iterator(found[::-1] if reverse else found)

    def raw_iterator(self, **_options: Any) -> _RawIterator:
        return _RawIterator(self._entries, self._keys)

    def close(self) -> None:
        """Nothing to do: the disk stays."""


class _RawIterator:
    """Goes to keys at random."""

    def __init__(self, entries: dict[bytes, bytes], keys: list[bytes]) -> None:
        self._entries = entries
        self._keys = keys
        self._place = len(keys)

    def seek(self, key: bytes) -> None:
        self._place = bisect_left(self._keys, key)

    def valid(self) -> bool:
        return self._place < len(self._keys)

    def key(self) -> bytes:
        return self._keys[self._place]

    def value(self) -> bytes:
        return self._entries[self.key()]

    def close(self) -> None:
        """Nothing to do."""


class _Iterator:
    """Entries as of when it was made."""

    def __init__(self, found: list[tuple[bytes, bytes]]) -> None:
        self._found = found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to do."""

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._found)


class Database(_Reads):
    """Stands where `plyvel.DB` stands."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk.entries, disk.keys)
        self._disk = disk

    def write_batch(self, *, sync: bool) -> _WriteBatch:
        return _WriteBatch(self._disk, sync)

    def snapshot(self) -> _Reads:
        return _Reads(dict(self._entries), list(self._keys))


class _WriteBatch:
    def __init__(self, disk: Disk, sync: bool) -> None:
        self._disk = disk
        self._sync = sync
        self._changes: list[Change] = []

    def put(self, key: bytes, value: bytes) -> None:
        self._changes.append((key, value))

    def delete(self, key: bytes) -> None:
        self._changes.append((key, None))

    def write(self) -> None:
        self._disk.write(self._changes, sync=self._sync)


class _Notes(HighWater):
    """The high water mark on a simulated disk."""

    __slots__ = ("_disk",)

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def close(self) -> None:
        """Nothing to do."""

    def _read(self, slot: int) -> int:
        return self._disk.notes.get(slot, 0)

    def _write(self, slot: int, number: int) -> None:
        self._disk.note(slot, number)


def open_store(disk: Disk, genesis: Genesis) -> ChainStore:
    """The production store on a simulated disk, opened with the same checks. Raises HuzhengError, PowerFailure."""
    engine = Engine(Database(disk), sync=True)
    if not disk.entries:
        opening.create_in(engine, genesis)
    opening._check_meta(engine, genesis)
    tip, counts = opening.read_tip(engine, genesis)
    high_water = _Notes(disk)
    opening._check_high_water(high_water, engine, tip)
    tree = open_tree(engine, genesis.suite, tip, lambda: disk.records, disk.remove_records)
    return ChainStore(Path("simulated"), genesis, opening.OpenedStore(engine, high_water, tip, counts, tree))

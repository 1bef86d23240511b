"""LevelDB, as the store uses it: the only module that touches plyvel."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

import plyvel

from ledger.errors import Code, HuzhengError

Entry = tuple[bytes, bytes]
"""A key and a value."""

_OPTIONS: Final[dict[str, Any]] = {
    # Errors in files show at once, instead of silently losing what follows them.
    "paranoid_checks": True,
    # A block with its indexes has up to some MB, and the vote log writes each batch once more: larger tables in memory
    # mean fewer compactions (19 µs a record instead of 37 with LevelDB's 4 MiB). At most two of them are held.
    "write_buffer_size": 16 * 1024 * 1024,
    # Indexes by hash are read at random: most of their blocks should stay in memory.
    "lru_cache_size": 32 * 1024 * 1024,
    # Spares reading a table for a key it does not have: 10 bits a key err once in a hundred.
    "bloom_filter_bits": 10,
    # Keys share prefixes and the texts of transactions repeat: a third less on disk, and no slower.
    "compression": "snappy",
    # Fewer, larger files: some hundred open files must do for any size of chain.
    "max_file_size": 8 * 1024 * 1024,
    "max_open_files": 256,
}

_SCRUB_ROUNDS: Final = 3
"""A compaction leaves the lowest table as it is that has a key of the range, with all its old values: the first brings what was just
written into one, the second merges that with another. The third drops the files that were still read after the second."""

_SCRUB_TOGETHER_BYTES: Final = 64 * 1024 * 1024
"""Ranges of keys that lie within so much of the files are seen to as one: each by itself costs some tables at each level, whatever is in it,
and what lies between two costs no more than being read and written once."""

_FULL: Final = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), os.strerror(errno.EFBIG))
_DENIED: Final = tuple(os.strerror(number) for number in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR))


class Reader(Protocol):
    """Reads of a database, or of a snapshot of it. Every method may be called from any thread."""

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        ...

    def scan(self, start: bytes, stop: bytes | None = None, *, fill_cache: bool = True) -> Iterator[Entry]:
        """Entries from `start` to before `stop` (None: the end), in ascending order of keys, as of the first one."""
        ...


class _Readers:
    """Who reads more than one entry: for them LevelDB keeps old values, and files that were replaced."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._begun = 0
        self._reading: set[int] = set()
        self.is_waiting_over = False

    def begin(self) -> int:
        """The number of a new reader."""
        with self._changed:
            self._begun += 1
            self._reading.add(self._begun)
            return self._begun

    def end(self, number: int) -> None:
        """A reader is done."""
        with self._changed:
            self._reading.discard(number)
            self._changed.notify_all()

    def wait_for_all(self, timeout_s: float) -> bool:
        """Waits for all who read now; False if some do not end, or once nobody is to wait any more."""
        with self._changed:
            last = self._begun
            self._changed.wait_for(lambda: self.is_waiting_over or not self._has_up_to(last), timeout_s)
            return not self.is_waiting_over and not self._has_up_to(last)

    def _has_up_to(self, last: int) -> bool:
        return min(self._reading, default=last + 1) <= last

    def wait_no_more(self) -> None:
        """Whoever waits is told so at once, and whoever would."""
        with self._changed:
            self.is_waiting_over = True
            self._changed.notify_all()


class _Source:
    """Reads from a plyvel database or snapshot; LevelDB checks every block it loads against its checksum."""

    __slots__ = ("_get", "_iterator", "_readers")

    def __init__(self, source: Any, readers: _Readers) -> None:
        self._readers = readers
        self._get: Callable[..., bytes | None] = source.get
        self._iterator: Callable[..., Any] = source.iterator

    def get(self, key: bytes) -> bytes | None:
        try:
            return self._get(key, verify_checksums=True)
        except plyvel.Error as error:
            raise _read_error(error) from error

    def scan(self, start: bytes, stop: bytes | None = None, *, fill_cache: bool = True) -> Iterator[Entry]:
        number = self._readers.begin()
        try:
            with self._iterator(start=start, stop=stop, verify_checksums=True, fill_cache=fill_cache) as iterator:
                yield from iterator
        except plyvel.Error as error:
            raise _read_error(error) from error
        finally:
            self._readers.end(number)

    def last_key(self, start: bytes, stop: bytes) -> bytes | None:
        """The last key from `start` to before `stop`, if there is one."""
        try:
            with self._iterator(start=start, stop=stop, reverse=True, verify_checksums=True) as iterator:
                return next((key for key, _ in iterator), None)
        except plyvel.Error as error:
            raise _read_error(error) from error


class Snapshot(_Source):
    """The database as it was at one moment; close it soon, it keeps old values from being dropped.

    Many look-ups are best made in one: LevelDB merges a table into the next level after it was looked into in vain a few hundred times,
    some 16 KiB for each time, and an iterator's seeks hardly count for that. With a million records that was several times the work of
    all else, since nearly every look-up is for something new. But a seek goes on to the next key that there is, past all that were deleted
    in between: don't look for what may lie before many of those.
    """

    __slots__ = ("_lock", "_number", "_seeker", "_snapshot")

    def __init__(self, db: Any, readers: _Readers) -> None:
        self._number = readers.begin()
        self._snapshot = db.snapshot()
        self._lock = threading.Lock()
        self._seeker: Any = None
        super().__init__(self._snapshot, readers)

    def get(self, key: bytes) -> bytes | None:
        with self._lock:
            try:
                return self._find(key)
            except plyvel.Error as error:
                # It would tell of the same error for every other key.
                self._close_seeker()
                raise _read_error(error) from error

    def _find(self, key: bytes) -> bytes | None:
        if self._seeker is None:
            self._seeker = self._snapshot.raw_iterator(verify_checksums=True)
        seeker = self._seeker
        seeker.seek(key)
        if not seeker.valid() or seeker.key() != key:
            return None
        value: bytes = seeker.value()
        return value

    def _close_seeker(self) -> None:
        if self._seeker is not None:
            self._seeker.close()
            self._seeker = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_seeker()
        self._snapshot.close()
        self._readers.end(self._number)


class Batch:
    """Changes that take effect together or not at all."""

    __slots__ = ("_batch", "delete", "put")

    def __init__(self, batch: Any) -> None:
        self._batch = batch
        self.put: Callable[[bytes, bytes], None] = batch.put
        self.delete: Callable[[bytes], None] = batch.delete

    def write(self) -> None:
        """Makes the changes. Raises HuzhengError(STORE_DISK_FULL, STORE_WRITE_FAILED)."""
        try:
            self._batch.write()
        except plyvel.Error as error:
            text = _text(error)
            full = any(sign in text for sign in _FULL)
            raise HuzhengError(Code.STORE_DISK_FULL if full else Code.STORE_WRITE_FAILED, text) from error


class Engine(_Source):
    """An open LevelDB database."""

    __slots__ = ("_db", "_sync")

    def __init__(self, db: Any, *, sync: bool) -> None:
        super().__init__(db, _Readers())
        self._db = db
        self._sync = sync

    @classmethod
    def open(cls, path: Path, *, create: bool, sync: bool = True) -> Engine:
        """Opens the database and locks it against other processes.

        Raises HuzhengError: STORE_LOCKED, STORE_CORRUPT, STORE_ACCESS, STORE_DISK_FULL.
        """
        try:
            return cls(plyvel.DB(str(path), create_if_missing=create, **_OPTIONS), sync=sync)
        except plyvel.Error as error:
            raise _open_error(error) from error

    @staticmethod
    def destroy(path: Path) -> None:
        """Deletes a database's files."""
        try:
            plyvel.destroy_db(str(path))
        except plyvel.Error as error:
            raise _open_error(error) from error

    def batch(self) -> Batch:
        """An empty batch; durable once written, unless the database was opened without `sync`."""
        return Batch(self._db.write_batch(sync=self._sync))

    def snapshot(self) -> Snapshot:
        """The database as it is now."""
        return Snapshot(self._db, self._readers)

    def scrub(self, ranges: Sequence[tuple[bytes, bytes]], timeout_s: float) -> bool:
        """Removes from the files what was overwritten or deleted in ranges of keys, which ascend, and at whose ends no key is.

        Takes as long as it takes to write some tables anew. False if somebody has read for so long that not all could be removed, or
        once `stop_scrub` was called.

        Raises HuzhengError(STORE_DISK_FULL, STORE_WRITE_FAILED).
        """
        for _ in range(_SCRUB_ROUNDS):
            if not self._readers.wait_for_all(timeout_s):
                return False
            # Anew in each round: nothing was in a file yet of what was in memory alone.
            together = self._together(ranges)
            self._cover(together)
            for start, stop in together:
                if self._readers.is_waiting_over:
                    return False
                self._db.compact_range(start=start, stop=stop)
        # LevelDB tells of an error in its background only when something is written.
        self._cover(ranges[:1])
        return True

    def stop_scrub(self) -> None:
        """A scrub that goes on in another thread ends soon, and no further one comes to anything."""
        self._readers.wait_no_more()

    def _together(self, ranges: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Fewer ranges, which have all keys of these."""
        together = list(ranges[:1])
        for start, stop in ranges[1:]:
            first, _ = together[-1]
            if self._db.approximate_size(first, stop) <= _SCRUB_TOGETHER_BYTES:
                together[-1] = first, stop
            else:
                together.append((start, stop))
        return together

    def _cover(self, ranges: Sequence[tuple[bytes, bytes]]) -> None:
        """Deletes keys that are not there: a table that reaches over a range is merged with all below it."""
        batch = self.batch()
        for start, stop in ranges:
            batch.delete(start)
            batch.delete(stop)
        batch.write()

    def compact(self, first: bytes, last: bytes) -> None:
        """Rewrites the tables with keys from `first` to `last`, so that what was deleted there is no longer in them."""
        self._db.compact_range(start=first, stop=last)

    def close(self) -> None:
        """Unlocks the database. No other thread may be reading or writing."""
        self._db.close()


def _text(error: Exception) -> str:
    first = error.args[0] if error.args else b""
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)


def _read_error(error: Exception) -> HuzhengError:
    return HuzhengError(Code.STORE_CORRUPT, _text(error))


def _open_error(error: Exception) -> HuzhengError:
    text = _text(error)
    if "already held by process" in text or ("/LOCK: " in text and os.strerror(errno.EAGAIN) in text):
        return HuzhengError(Code.STORE_LOCKED, text)
    if any(sign in text for sign in _FULL):
        return HuzhengError(Code.STORE_DISK_FULL, text)
    if any(sign in text for sign in _DENIED):
        return HuzhengError(Code.STORE_ACCESS, text)
    return HuzhengError(Code.STORE_CORRUPT, text)

"""The vote log's entries in the database (docs/protocol.md C10, S5). Only the consensus core knows what they mean."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from ledger.errors import Code, HuzhengError
from ledger.store import layout
from ledger.store.engine import Batch, Engine, Entry

_PREFIX = layout.VOTE
_KEPT = 0
"""The sequence number under which lies what is never trimmed."""


class VoteLog:
    """Keys are a sequence number (8 bytes) and more; those of sequence 0 stay for good.

    The keys are held in memory, a few for each height in the watermark window: looking in the database for what to trim
    would pass over all that was trimmed since its last compaction.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = threading.Lock()
        self._lock = threading.Lock()
        self._keys: dict[int, set[bytes]] = {}
        self._writes = self._read_count()
        self._remember(key[len(_PREFIX) :] for key, _ in self._scan())

    def entries(self) -> list[Entry]:
        """All entries, in ascending order of keys."""
        return [(key[len(_PREFIX) :], value) for key, value in self._scan()]

    def write(self, entries: Sequence[Entry]) -> int:
        """Makes entries durable together; returns the new write count.

        Raises HuzhengError(STORE_DISK_FULL, STORE_WRITE_FAILED).
        """
        if any(len(key) < layout.VOTE_SEQUENCE_BYTES for key, _ in entries):
            raise ValueError("a vote log key starts with a sequence number of 8 bytes")
        with self._writing:
            batch = self._engine.batch()
            for key, value in entries:
                batch.put(_PREFIX + key, value)
            batch.put(layout.VOTE_WRITES_KEY, layout.encode_height(self._writes + 1))
            batch.write()
            self._writes += 1
            # Only now: whoever trims in between finds these keys the next time.
            self._remember(key for key, _ in entries)
            return self._writes

    def trim(self, batch: Batch, height: int) -> None:
        """Adds to the batch the deletion of all entries with a sequence from 1 to `height`."""
        with self._lock:
            trimmed = [self._keys.pop(sequence) for sequence in sorted(self._keys) if _KEPT < sequence <= height]
        for keys in trimmed:
            for key in sorted(keys):
                batch.delete(_PREFIX + key)

    def _scan(self) -> list[Entry]:
        return list(self._engine.scan(_PREFIX, layout.after_prefix(_PREFIX), fill_cache=False))

    def _read_count(self) -> int:
        value = self._engine.get(layout.VOTE_WRITES_KEY)
        if value is None:
            return 0
        if len(value) != layout.VOTE_SEQUENCE_BYTES:
            raise HuzhengError(Code.STORE_CORRUPT, "count of vote writes")
        return layout.decode_height(value)

    def _remember(self, keys: Iterable[bytes]) -> None:
        with self._lock:
            for key in keys:
                sequence = int.from_bytes(key[: layout.VOTE_SEQUENCE_BYTES], "big")
                if sequence != _KEPT:
                    self._keys.setdefault(sequence, set()).add(key)

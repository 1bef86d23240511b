"""Encrypted entries in a LevelDB database, each under a key of its own that can be given up for good.

An erasure goes in this order: what is to be erased is noted in the database; the keyring without the keys of these entries
is durable, in both its copies; the entries are deleted and their tables compacted; the note is deleted. Whoever opens the
database finishes what a note says. Every method may be called from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from google.protobuf.message import Message
from huzheng.v1 import vault_pb2 as pb

from ledger.crypto import strict
from ledger.errors import Code, HuzhengError
from ledger.store.engine import Engine, Reader, Snapshot
from node.vault import layout
from node.vault.keyring import INDICES, Keyring
from node.vault.keyring_file import KeyringFile, KeyringState

M = TypeVar("M", bound=Message)

# How many indices the keyring file is written for at once. What is left of them when the vault is closed is never used.
_RESERVED_AT_ONCE: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class Changes:
    """What becomes of keys whose values are not encrypted."""

    put: Collection[bytes] = ()
    delete: Collection[bytes] = ()


NO_CHANGES: Final = Changes()


class Entries:
    """The open entries of a vault."""

    __slots__ = ("_engine", "_keyring_file", "_limit", "_lock", "_next", "_state")

    def __init__(self, engine: Engine, keyring_file: KeyringFile, state: KeyringState) -> None:
        """Takes the database over, which `opening` has found fit to be used."""
        self._engine = engine
        self._keyring_file = keyring_file
        self._state = state
        self._lock = threading.RLock()
        # Indices that were reserved before may be those of entries in a newer copy of this database: none is used again.
        self._next = self._limit = max(state.reserved, read_state(engine).reserved)

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Held by whoever reads and then writes what hangs on it."""
        return self._lock

    @property
    def keyring(self) -> Keyring:
        """What keys there are now."""
        return self._state.keyring

    def close(self) -> None:
        """Closes the database. No other thread may be using it."""
        with self._lock:
            self._engine.close()

    def get(self, key: bytes) -> bytes | None:
        """An entry's message.

        Raises:
            HuzhengError: VAULT_CORRUPT with the entry's kind and id, STORE_CORRUPT.
        """
        # The keyring first: an older one opens what a newer one does, so this needs no lock and waits for no erasure.
        keyring = self.keyring
        value = self._engine.get(key)
        return None if value is None else layout.decrypt(keyring, key, value)

    def has(self, key: bytes) -> bool:
        """Whether there is such a key; raises HuzhengError(STORE_CORRUPT)."""
        return self._engine.get(key) is not None

    def keys(self, start: bytes, stop: bytes) -> list[bytes]:
        """Keys from `start` to before `stop`; raises HuzhengError(STORE_CORRUPT)."""
        return [key for key, _ in self._engine.scan(start, stop, fill_cache=False)]

    def has_any(self, kind: bytes) -> bool:
        """Whether there are keys of a kind; raises HuzhengError(STORE_CORRUPT)."""
        return next(self._engine.scan(kind, layout.after(kind)), None) is not None

    def scan(self, kind: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All entries of a kind with their messages, as of the first one; raises as `get`."""
        snapshot, keyring = self.snapshot()
        with snapshot:
            for key, value in snapshot.scan(kind, layout.after(kind), fill_cache=False):
                yield key, layout.decrypt(keyring, key, value)

    def check(self, kind: bytes) -> tuple[int, list[str]]:
        """How many entries of a kind are whole, and the names of those that are damaged. Raises HuzhengError(STORE_CORRUPT)."""
        snapshot, keyring = self.snapshot()
        whole, damaged = 0, []
        with snapshot:
            for key, value in snapshot.scan(kind, layout.after(kind), fill_cache=False):
                if layout.is_whole(keyring, key, value):
                    whole += 1
                else:
                    damaged.append(layout.name_of(key))
        return whole, damaged

    def put(self, messages: Mapping[bytes, bytes], changes: Changes = NO_CHANGES) -> None:
        """Stores messages under keys that have none yet, or another one, all or nothing; durable when this returns.

        Raises:
            HuzhengError: STORE_DISK_FULL, STORE_WRITE_FAILED, VAULT_EXHAUSTED; as `KeyringFile.replace`.
        """
        with self._lock:
            index = {key: self._index_of(key) for key in messages}
            fresh = iter(self._take(sum(place is None for place in index.values())))
            batch = self._engine.batch()
            for key, message in messages.items():
                place = index[key]
                batch.put(key, layout.encrypt(self.keyring, key, next(fresh) if place is None else place, message))
            for key in changes.put:
                batch.put(key, b"")
            for key in changes.delete:
                batch.delete(key)
            batch.write()

    def erase(self, keys: Iterable[bytes], changes: Changes = NO_CHANGES) -> int:
        """Gives up the keys of these entries for good and deletes them; how many there were. Changes are made with it.

        Raises:
            HuzhengError: VAULT_CORRUPT; STORE_DISK_FULL, STORE_WRITE_FAILED; as `KeyringFile.replace`. What was begun is
                finished by the next call, whatever that erases, and at the next opening.
        """
        with self._lock:
            self.finish_erasure()
            indices = {key: index for key in keys if (index := self._proved_index_of(key)) is not None}
            if indices:
                self._begin_erasure(indices, changes)
                self.finish_erasure()
            elif changes.put or changes.delete:
                self.put({}, changes)
            return len(indices)

    def finish_erasure(self) -> None:
        """Does what a note of an erasure says, if there is one; raises as `erase`."""
        raw = self._engine.get(layout.ERASURE_KEY)
        if raw is None:
            return
        erasure = read_message(pb.VaultErasure, raw)
        if self._state.generation < erasure.generation:
            keyring = self.keyring.puncture(entry.index for entry in erasure.entries)
            self._replace(replace(self._state, generation=erasure.generation, keyring=keyring))
        batch = self._engine.batch()
        for key in [*(entry.key for entry in erasure.entries), *erasure.delete]:
            batch.delete(key)
        for key in erasure.put:
            batch.put(key, b"")
        batch.write()
        # Nobody can read what this leaves behind; it goes all the same.
        self._engine.compact(min(entry.key for entry in erasure.entries), max(entry.key for entry in erasure.entries))
        done = self._engine.batch()
        done.delete(layout.ERASURE_KEY)
        done.write()

    def snapshot(self) -> tuple[Snapshot, Keyring]:
        """The database as it is now, and the keyring that opens it. The caller closes the snapshot."""
        with self._lock:
            return self._engine.snapshot(), self.keyring

    def _begin_erasure(self, indices: Mapping[bytes, int], changes: Changes) -> None:
        generation = self._state.generation + 1
        note = pb.VaultErasure(
            generation=generation,
            entries=[pb.VaultErasedEntry(key=key, index=index) for key, index in indices.items()],
            put=changes.put,
            delete=changes.delete,
        )
        batch = self._engine.batch()
        batch.put(layout.ERASURE_KEY, strict.write(note))
        state = read_state(self._engine)
        state.generation = generation
        batch.put(layout.STATE_KEY, strict.write(state))
        batch.write()

    def _index_of(self, key: bytes) -> int | None:
        value = self._engine.get(key)
        return None if value is None else layout.parse(key, value).index

    def _proved_index_of(self, key: bytes) -> int | None:
        """An index that was tampered with would give up another entry's key, so the entry is decrypted first."""
        return None if self.get(key) is None else self._index_of(key)

    def _take(self, count: int) -> range:
        if self._next + count > self._limit:
            self._reserve(count)
        first, self._next = self._next, self._next + count
        return range(first, self._next)

    def _reserve(self, count: int) -> None:
        limit = min(self._next + max(count, _RESERVED_AT_ONCE), INDICES)
        if self._next + count > limit:
            raise HuzhengError(Code.VAULT_EXHAUSTED)
        # The database first: one that knows of fewer than its keyring is an older copy.
        batch = self._engine.batch()
        state = read_state(self._engine)
        state.reserved = limit
        batch.put(layout.STATE_KEY, strict.write(state))
        batch.write()
        self._replace(replace(self._state, reserved=limit))
        self._limit = limit

    def _replace(self, state: KeyringState) -> None:
        self._keyring_file.replace(state)
        self._state = state


def read_state(source: Reader) -> pb.VaultState:
    """Where a database stands. Raises HuzhengError(VAULT_CORRUPT)."""
    raw = source.get(layout.STATE_KEY)
    if raw is None:
        raise HuzhengError(Code.VAULT_CORRUPT, "no state")
    return read_message(pb.VaultState, raw)


def read_message(message_type: type[M], raw: bytes) -> M:
    """A message that this software wrote. Raises HuzhengError(VAULT_CORRUPT)."""
    try:
        return strict.read(message_type, raw)
    except HuzhengError as error:
        raise HuzhengError(Code.VAULT_CORRUPT, error.detail) from None

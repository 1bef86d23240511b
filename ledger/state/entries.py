"""The state: a map from byte keys to byte values (docs/protocol.md X1), as execution sees it."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from huzheng.v1 import genesis_pb2, state_pb2

from ledger.block import ExecutedBlock
from ledger.crypto import strict
from ledger.crypto.types import Height

Changes = Mapping[bytes, bytes | None]
"""Keys set (a value) or removed (None)."""

SEEN_PREFIX = b"i"


class StateReader(Protocol):
    """The state as it is read."""

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None."""
        ...

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys from `start` up to `stop`, exclusive, in ascending order, with their values."""
        ...


class LedgerState(StateReader, Protocol):
    """What blocks are executed on: the state, and the tree over it."""

    def root_after(self, height: Height, leaves: Mapping[bytes, bytes | None]) -> bytes:
        """The tree's root after the next block, given what it changes there. Nothing that can be read changes.

        Raises HuzhengError(STORE_CORRUPT) if the tree is damaged.
        """
        ...


def signing_key_key(public_key: bytes) -> bytes:
    """Where what is known of a key is kept, as a `KeyState`."""
    return b"k" + public_key


def seen_key(expires_ms: int, transaction_id: bytes) -> bytes:
    """Present, with an empty value, while a transaction's id is seen. Ordered by expiry."""
    return SEEN_PREFIX + expires_ms.to_bytes(8, "big") + transaction_id


def admin_keys_key(department: str) -> bytes:
    """Where the number of a department's active admin keys is kept, in 4 bytes."""
    return b"n" + department.encode()


@dataclass(frozen=True, slots=True)
class RegisteredKey:
    """What is known of a department's key; a `KeyState`, read."""

    department: str
    role: genesis_pb2.KeyRole.ValueType
    revoked: bool = False

    def encode(self) -> bytes:
        """The `KeyState` in strict form."""
        return strict.write(state_pb2.KeyState(department=self.department, role=self.role, revoked=self.revoked))


def read_key(state: StateReader, public_key: bytes) -> RegisteredKey | None:
    """What is known of a key, or None."""
    raw = state.get(signing_key_key(public_key))
    return None if raw is None else _decode_key(raw)


@lru_cache(maxsize=1024)
def _decode_key(raw: bytes) -> RegisteredKey:
    # Every transaction asks, and there are but a few different values.
    message = strict.read(state_pb2.KeyState, raw)
    return RegisteredKey(message.department, message.role, message.revoked)


class Overlay:
    """Changes on top of a state, readable together with it."""

    __slots__ = ("_base", "changes")

    def __init__(self, base: StateReader) -> None:
        self._base = base
        self.changes: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """The changed value, or the base's."""
        if key in self.changes:
            return self.changes[key]
        return self._base.get(key)

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """As `StateReader.scan`, over both."""
        return _merged(self._base.scan(start, stop), self.changes, start, stop)

    def set(self, key: bytes, value: bytes | None) -> None:
        """Sets a key, or removes it."""
        self.changes[key] = value

    def absorb(self, other: Overlay) -> None:
        """Takes over the changes of an overlay on top of this one."""
        self.changes.update(other.changes)


class PendingState:
    """The stored state with the changes of blocks that are executed but not yet stored. Look-ups are O(1)."""

    def __init__(self, base: LedgerState) -> None:
        self._base = base
        self._stored: StateReader = base
        self._blocks: deque[ExecutedBlock] = deque()
        self._changes: dict[bytes, tuple[Height, bytes | None]] = {}

    def get(self, key: bytes) -> bytes | None:
        """The newest value of a key, or None."""
        pending = self._changes.get(key)
        return self._stored.get(key) if pending is None else pending[1]

    @contextmanager
    def reading(self, stored: StateReader) -> Iterator[None]:
        """Meanwhile keys are looked up in another view of the same stored state."""
        self._stored = stored
        try:
            yield
        finally:
            self._stored = self._base

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """As `StateReader.scan`."""
        changes = {key: value for key, (_, value) in self._changes.items() if start <= key < stop}
        return _merged(self._base.scan(start, stop), changes, start, stop)

    def root_after(self, height: Height, leaves: Mapping[bytes, bytes | None]) -> bytes:
        """As `LedgerState.root_after`."""
        return self._base.root_after(height, leaves)

    def push(self, block: ExecutedBlock) -> None:
        """Puts an executed block's changes on top."""
        self._blocks.append(block)
        self._changes.update({key: (block.height, value) for key, value in block.changes.items()})

    def pop_stored(self, height: Height) -> None:
        """Forgets the changes of the oldest block here, which the base now has."""
        block = self._blocks.popleft()
        if block.height != height:
            raise ValueError(f"block {height} stored before block {block.height}")
        for key in block.changes:
            if self._changes[key][0] == height:
                del self._changes[key]


def _merged(
    base: Iterator[tuple[bytes, bytes]], changes: Changes, start: bytes, stop: bytes
) -> Iterator[tuple[bytes, bytes]]:
    changed = sorted((key, value) for key, value in changes.items() if start <= key < stop and value is not None)
    unchanged = ((key, value) for key, value in base if key not in changes)
    return heapq.merge(unchanged, changed)

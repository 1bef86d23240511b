"""The state tree: a binary sparse Merkle tree over paths and digests (docs/protocol.md section 11, ADR 14).

The levels from the root down to the 65,536 slots are an array in memory, made again from the slots when the tree is opened;
the tries below the slots are in files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from ledger.crypto import HASH_BYTES, Suite
from ledger.state.proof import EMPTY, NODE, TOP_LEVELS, Walk, bit
from ledger.state.records import RecordFile, Records
from ledger.state.trie import LEAF_BYTES, NODE_BYTES, POINTER_BYTES, Item, Tries

SLOTS = 1 << TOP_LEVELS
SLOT_BYTES = HASH_BYTES + POINTER_BYTES
"""The hash of what is below, then where it is."""
_SLOT_PREFIX = TOP_LEVELS // 8


class StateTree:
    """Executed blocks change it one after the other; stored ones are written to its files in the same order."""

    def __init__(self, suite: Suite, directory: Path) -> None:
        """Opens the files in a directory, or makes them. Raises HuzhengError(STORE_WRITE_FAILED)."""
        self._hash = suite.plain_hash
        self._files = {
            "slots": RecordFile(directory / "slots", SLOT_BYTES),
            "nodes": RecordFile(directory / "nodes", NODE_BYTES),
            "leaves": RecordFile(directory / "leaves", LEAF_BYTES),
        }
        self._records = {name: Records(file) for name, file in self._files.items()}
        self._slots = self._records["slots"]
        self._tries = Tries(suite, self._records["nodes"], self._records["leaves"])
        self._top = self._make_top()

    def close(self) -> None:
        """Closes the files."""
        for file in self._files.values():
            file.close()

    @property
    def root(self) -> bytes:
        """After the last executed block."""
        return self._top[1]

    def update(self, changes: Mapping[bytes, bytes | None]) -> bytes:
        """Sets paths to digests, or removes them (None), as one block does; the root after it."""
        changed: list[int] = []
        for prefix, items in groupby(sorted(changes.items()), lambda item: item[0][:_SLOT_PREFIX]):
            changed.append(SLOTS + self._update_slot(int.from_bytes(prefix, "big"), list(items)))
        self._update_top(changed)
        for records in self._records.values():
            records.end_block()
        return self.root

    def store_block(self) -> None:
        """The oldest executed block that is not stored yet is stored now. Raises HuzhengError(STORE_WRITE_FAILED)."""
        for records in self._records.values():
            records.store_block()

    def walk(self, path: bytes) -> Walk:
        """The way to a path, after the last executed block."""
        siblings: list[bytes] = []
        number = 1
        while number < SLOTS:
            if self._top[number] == EMPTY:
                return Walk(tuple(siblings), None)
            number = 2 * number + bit(path, len(siblings))
            siblings.append(self._top[number ^ 1])
        pointer = int.from_bytes(self._slots.get(number - SLOTS)[HASH_BYTES:], "big")
        while pointer and not pointer & 1:
            node = self._tries.node(pointer)
            (pointer, _), (_, sibling) = (
                (node.right, node.left) if bit(path, len(siblings)) else (node.left, node.right)
            )
            siblings.append(sibling)
        if not pointer:
            return Walk(tuple(siblings), None)
        raw = self._tries.leaf(pointer)
        return Walk(tuple(siblings), (raw[:HASH_BYTES], raw[HASH_BYTES:]))

    def _update_slot(self, slot: int, items: Sequence[Item]) -> int:
        raw = self._slots.get(slot)
        before, pointer = raw[:HASH_BYTES], int.from_bytes(raw[HASH_BYTES:], "big")
        pointer, after = self._tries.put(pointer, before, items, TOP_LEVELS)
        self._slots.set(slot, after + pointer.to_bytes(POINTER_BYTES, "big"))
        self._top[SLOTS + slot] = after
        return slot

    def _update_top(self, changed: list[int]) -> None:
        """`changed`: array positions of one level, ascending."""
        top, hash_ = self._top, self._hash
        for _ in range(TOP_LEVELS):
            parents: list[int] = []
            last = 0
            for number in changed:
                parent = number >> 1
                if parent == last:
                    continue
                last = parent
                parents.append(parent)
                children = top[2 * parent] + top[2 * parent + 1]
                top[parent] = EMPTY if children == _NO_CHILDREN else hash_(NODE + children)
            changed = parents

    def _make_top(self) -> list[bytes]:
        top = [EMPTY] * (2 * SLOTS)
        used = []
        for slot in range(SLOTS):
            raw = self._slots.get(slot)[:HASH_BYTES]
            if raw != EMPTY:
                top[SLOTS + slot] = raw
                used.append(SLOTS + slot)
        self._top = top
        self._update_top(used)
        return top


_NO_CHILDREN = EMPTY + EMPTY

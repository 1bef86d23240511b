"""The lower part of the state tree: below each of its 65,536 slots a binary trie of nodes and leaves (docs/protocol.md K2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.crypto import Suite
from ledger.errors import Code, HuzhengError
from ledger.state.proof import EMPTY, LEAF, NODE
from ledger.state.records import Records

Item = tuple[bytes, bytes | None]
"""A path and its new digest, or None: it is to be removed."""
Found = tuple[int, bytes]
"""A subtree: where it is, and its hash."""

NOTHING: Found = (0, EMPTY)

POINTER_BYTES = 8
NODE_BYTES = 80
"""Hash of the left child and of the right one, then where they are."""
LEAF_BYTES = 64
"""Path and digest."""


def is_leaf(pointer: int) -> bool:
    """Otherwise a node, or 0: nothing."""
    return bool(pointer & 1)


@dataclass(frozen=True, slots=True)
class Node:
    """A subtree with two keys or more."""

    left: Found
    right: Found

    @classmethod
    def decode(cls, raw: bytes) -> Node:
        """From its record."""
        left, right = int.from_bytes(raw[64:72], "big"), int.from_bytes(raw[72:80], "big")
        return cls((left, raw[:32]), (right, raw[32:64]))


class Tries:
    """All of them. What is read is checked against its hash. A pointer is twice the index of a record, and one more if that is a leaf's."""

    def __init__(self, suite: Suite, nodes: Records, leaves: Records) -> None:
        self._hash = suite.plain_hash
        self._nodes = nodes
        self._leaves = leaves

    def put(self, pointer: int, before: bytes, items: Sequence[Item], depth: int) -> Found:
        """The subtree with some keys set or removed, given where it was and its hash. `items`: ascending, each path once, at least one."""
        if len(items) == 1:
            return self._put_one(pointer, before, items, depth)
        if pointer & 1 or not pointer:
            return self._put_at_end(pointer, before, items, depth)
        raw = self._read_node(pointer, before)
        left, left_hash = int.from_bytes(raw[64:72], "big"), raw[:32]
        right, right_hash = int.from_bytes(raw[72:80], "big"), raw[32:64]
        middle = _middle(items, depth)
        if middle:
            left, left_hash = self.put(left, left_hash, items[:middle], depth + 1)
        if middle < len(items):
            right, right_hash = self.put(right, right_hash, items[middle:], depth + 1)
        return self._set_node(pointer, left, right, left_hash + right_hash, raw)

    def _put_one(self, pointer: int, before: bytes, items: Sequence[Item], depth: int) -> Found:
        """As `put`, for one: nearly all there is to do, and so without recursion."""
        path, read = items[0][0], self._read_node
        way: list[tuple[int, bytes, int]] = []
        while pointer and not pointer & 1:
            raw = read(pointer, before)
            right = path[depth >> 3] & (0x80 >> (depth & 7))
            way.append((pointer, raw, right))
            if right:
                pointer, before = int.from_bytes(raw[72:80], "big"), raw[32:64]
            else:
                pointer, before = int.from_bytes(raw[64:72], "big"), raw[:32]
            depth += 1
        pointer, after = self._put_at_end(pointer, before, items, depth)
        for above, raw, right in reversed(way):
            if right:
                left = int.from_bytes(raw[64:72], "big")
                pointer, after = self._set_node(above, left, pointer, raw[:32] + after, raw)
            else:
                other = int.from_bytes(raw[72:80], "big")
                pointer, after = self._set_node(above, pointer, other, after + raw[32:64], raw)
        return pointer, after

    def _read_node(self, pointer: int, expected: bytes) -> bytes:
        raw = self._nodes.get(pointer >> 1)
        if self._hash(NODE + raw[:64]) != expected:
            raise _damaged("node", pointer >> 1)
        return raw

    def _set_node(self, pointer: int, left: int, right: int, hashes: bytes, before: bytes) -> Found:
        """What is left of a node whose children are these."""
        if not (left and right):
            only = left or right
            if only & 1 or not only:
                # A subtree with one key is that key's leaf.
                self._nodes.free(pointer >> 1)
                return only, (hashes[:32] if left else hashes[32:])
        self._nodes.set(pointer >> 1, hashes + left.to_bytes(8, "big") + right.to_bytes(8, "big"), before)
        return pointer, self._hash(NODE + hashes)

    def _put_at_end(self, pointer: int, before: bytes, items: Sequence[Item], depth: int) -> Found:
        """As `put`, where there is a leaf or nothing."""
        if not pointer:
            return self._make([item for item in items if item[1] is not None], depth)
        index = pointer >> 1
        raw = self._leaves.get(index)
        if self._hash(LEAF + raw) != before:
            raise _damaged("leaf", index)
        path, digest = items[0]
        if len(items) == 1 and digest is not None and raw.startswith(path):
            new = path + digest
            self._leaves.set(index, new, raw)
            return pointer, self._hash(LEAF + new)
        keys = {raw[:32]: raw[32:], **dict(items)}
        kept = sorted((path, digest) for path, digest in keys.items() if digest is not None)
        if kept == [(raw[:32], raw[32:])]:
            return pointer, before
        self._leaves.free(index)
        return self._make(kept, depth)

    def _make(self, items: Sequence[Item], depth: int) -> Found:
        """A subtree with these keys and no others."""
        if not items:
            return NOTHING
        if len(items) == 1:
            path, digest = items[0]
            assert digest is not None
            raw = path + digest
            return self._leaves.add(raw) << 1 | 1, self._hash(LEAF + raw)
        middle = _middle(items, depth)
        left, left_hash = self._make(items[:middle], depth + 1)
        right, right_hash = self._make(items[middle:], depth + 1)
        hashes = left_hash + right_hash
        index = self._nodes.add(hashes + left.to_bytes(8, "big") + right.to_bytes(8, "big"))
        return index << 1, self._hash(NODE + hashes)


def _damaged(what: str, index: int) -> HuzhengError:
    return HuzhengError(Code.STORE_CORRUPT, f"state tree, {what} {index}")


def _middle(items: Sequence[Item], depth: int) -> int:
    """How many of them are on the left."""
    byte, mask = depth >> 3, 0x80 >> (depth & 7)
    for number, item in enumerate(items):
        if item[0][byte] & mask:
            return number
    return len(items)

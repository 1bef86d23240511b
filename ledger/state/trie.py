"""The lower part of the state tree: below each of its 65,536 slots a binary trie of nodes and leaves (docs/protocol.md K2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from struct import Struct

from ledger.crypto import Suite
from ledger.errors import Code, HuzhengError
from ledger.state.proof import EMPTY, LEAF, NODE, TOP_LEVELS
from ledger.state.records import Records

Item = tuple[bytes, bytes | None]
"""A path and its new digest, or None: it is to be removed."""
Found = tuple[int, bytes]
"""A subtree: where it is, and its hash."""

NOTHING: Found = (0, EMPTY)

POINTER_BYTES = 8
SLOT_BYTES = 40
"""The hash of what is below, then where it is."""
NODE_BYTES = 80
"""Hash of the left child and of the right one, then where they are."""
LEAF_BYTES = 64
"""Path and digest."""
_CHANGED_NODE = Struct(">Q64s16s")
"""Index, hashes, pointers."""


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

    def __init__(self, suite: Suite, slots: Records, nodes: Records, leaves: Records) -> None:
        self._hash = suite.plain_hash
        self._node_state = suite.plain_state(NODE)
        self._leaf_state = suite.plain_state(LEAF)
        self._slots = slots
        self._nodes = nodes
        self._leaves = leaves
        self._read_node = nodes.reader()
        self._read_leaf = leaves.reader()

    def update(self, keys: Mapping[bytes, bytes | None]) -> dict[int, bytes]:
        """Sets paths to digests, or removes them (None); the hashes of their slots then.

        All that is read here was there before the block, and comes up once.
        """
        self._read_node, self._read_leaf = self._nodes.reader(), self._leaves.reader()
        alone, several = _by_slot(keys)
        hashes = self._update_alone(alone, keys)
        for slot, paths in several.items():
            raw = self._slots.get(slot)
            items = [(path, keys[path]) for path in paths]
            pointer, after = self.put(int.from_bytes(raw[32:], "big"), raw[:32], items, TOP_LEVELS)
            self._slots.change(slot, after + pointer.to_bytes(POINTER_BYTES, "big"), raw)
            hashes[slot] = after
        return hashes

    def _update_alone(self, slots: Mapping[int, bytes], keys: Mapping[bytes, bytes | None]) -> dict[int, bytes]:
        """As `update`, where there is one path in a slot: nearly always so, and so in one loop, with `Records.change` written out for nodes."""
        read_slot, read_node, read_leaf = self._slots.reader(), self._read_node, self._read_leaf
        change_slot, change_leaf, from_bytes = self._slots.change, self._leaves.change, int.from_bytes
        node_state, leaf_state = self._node_state.copy, self._leaf_state.copy
        nodes, pack = self._nodes, _CHANGED_NODE.pack
        changed, raws, indexes = nodes.after, nodes.before.raws, nodes.before.indexes
        hashes = {}
        for slot, path in slots.items():
            digest, slot_raw = keys[path], read_slot(slot)
            before, pointer = slot_raw[:32], from_bytes(slot_raw[32:], "big")
            way: list[tuple[int, bytes, int]] = []
            depth = TOP_LEVELS
            while pointer and not pointer & 1:
                index = pointer >> 1
                raw = read_node(index)
                state = node_state()
                state.update(raw[:64])
                if state.digest() != before:
                    raise _damaged("node", index)
                right = path[depth >> 3] & (0x80 >> (depth & 7))
                way.append((index, raw, right))
                if right:
                    pointer, before = from_bytes(raw[72:], "big"), raw[32:64]
                else:
                    pointer, before = from_bytes(raw[64:72], "big"), raw[:32]
                depth += 1
            raw = read_leaf(pointer >> 1)
            if digest is None or not pointer or raw[:32] != path:
                pointer, after = self._put_at_end(pointer, before, [(path, digest)], depth)
                pointer, after = self._set_way(way, pointer, after)
                change_slot(slot, after + pointer.to_bytes(POINTER_BYTES, "big"), slot_raw)
                hashes[slot] = after
                continue
            state = leaf_state()
            state.update(raw)
            if state.digest() != before:
                raise _damaged("leaf", pointer >> 1)
            change_leaf(pointer >> 1, path + digest, raw)
            state = leaf_state()
            state.update(path + digest)
            after = state.digest()
            for index, raw, right in reversed(way):
                pair = raw[:32] + after if right else after + raw[32:64]
                state = node_state()
                state.update(pair)
                after = state.digest()
                changed += pack(index, pair, raw[64:])
                raws += raw
                indexes.append(index)
            change_slot(slot, after + slot_raw[32:], slot_raw)
            hashes[slot] = after
        return hashes

    def put(self, pointer: int, before: bytes, items: Sequence[Item], depth: int) -> Found:
        """The subtree with some keys set or removed, given where it was and its hash. `items`: ascending, each path once, at least one."""
        if pointer & 1 or not pointer:
            return self._put_at_end(pointer, before, items, depth)
        raw = self._checked_node(pointer, before)
        left, left_hash = int.from_bytes(raw[64:72], "big"), raw[:32]
        right, right_hash = int.from_bytes(raw[72:80], "big"), raw[32:64]
        middle = _middle(items, depth)
        if middle:
            left, left_hash = self.put(left, left_hash, items[:middle], depth + 1)
        if middle < len(items):
            right, right_hash = self.put(right, right_hash, items[middle:], depth + 1)
        return self._set_node(pointer, left, right, left_hash + right_hash, raw)

    def _set_way(self, way: Sequence[tuple[int, bytes, int]], pointer: int, after: bytes) -> Found:
        """The subtree from the first of the nodes on. Below the last one there is another subtree now."""
        for index, raw, right in reversed(way):
            if right:
                left = int.from_bytes(raw[64:72], "big")
                pointer, after = self._set_node(index << 1, left, pointer, raw[:32] + after, raw)
            else:
                other = int.from_bytes(raw[72:80], "big")
                pointer, after = self._set_node(index << 1, pointer, other, after + raw[32:64], raw)
        return pointer, after

    def _checked_node(self, pointer: int, expected: bytes) -> bytes:
        raw = self._read_node(pointer >> 1)
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
        self._nodes.change(pointer >> 1, hashes + left.to_bytes(8, "big") + right.to_bytes(8, "big"), before)
        return pointer, self._hash(NODE + hashes)

    def _put_at_end(self, pointer: int, before: bytes, items: Sequence[Item], depth: int) -> Found:
        """As `put`, where there is a leaf or nothing."""
        if not pointer:
            return self._make([item for item in items if item[1] is not None], depth)
        index = pointer >> 1
        raw = self._read_leaf(index)
        if self._hash(LEAF + raw) != before:
            raise _damaged("leaf", index)
        path, digest = items[0]
        if len(items) == 1 and digest is not None and raw.startswith(path):
            new = path + digest
            self._leaves.change(index, new, raw)
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


def _by_slot(paths: Iterable[bytes]) -> tuple[dict[int, bytes], dict[int, list[bytes]]]:
    """The slots with one path, and those with several; slots and paths ascending."""
    alone: dict[int, bytes] = {}
    several: dict[int, list[bytes]] = {}
    for path in sorted(paths):
        slot = path[0] << 8 | path[1]
        if slot not in alone:
            alone[slot] = path
        elif slot in several:
            several[slot].append(path)
        else:
            several[slot] = [alone[slot], path]
    for slot in several:
        del alone[slot]
    return alone, several


def _damaged(what: str, index: int) -> HuzhengError:
    return HuzhengError(Code.STORE_CORRUPT, f"state tree, {what} {index}")


def _middle(items: Sequence[Item], depth: int) -> int:
    """How many of them are on the left."""
    byte, mask = depth >> 3, 0x80 >> (depth & 7)
    for number, item in enumerate(items):
        if item[0][byte] & mask:
            return number
    return len(items)

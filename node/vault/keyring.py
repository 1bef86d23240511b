"""Keys of entries that can be given up one by one: a puncturable pseudo-random function.

A GGM tree (Goldreich, Goldwasser, Micali, "How to construct random functions", JACM 1986): the root is a random seed, a
node's children are the halves of a one-way function of its seed, and a leaf is an entry's key. To *puncture* it at a leaf
(Boneh & Waters, "Constrained pseudorandom functions", ASIACRYPT 2013) is to keep, instead of the nodes above the leaf, the
siblings of the way down to it: all other keys still follow, that one does not, from nothing that is left.
"""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from ledger.errors import Code, HuzhengError

SEED_BYTES: Final = 32
KEY_BYTES: Final = 32
DEPTH: Final = 32
INDICES: Final = 1 << DEPTH
"""Indices are from 0 to before this."""

_NODE_TAG: Final = b"huzheng/vault/1/node"
_ENTRY_TAG: Final = b"huzheng/vault/1/entry key"
_PACKED: Final = struct.Struct(">BI32s")
# Nodes over 1,024 indices each: from there a key takes ten steps instead of up to 32. At most some MB.
_CACHED_DEPTH: Final = 22
_CACHED_NODES: Final = 4096

Range = tuple[int, int]
"""Indices from the first number to before the second."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the tree: all keys below it follow from its seed. `prefix` is the way from the root, in `depth` bits."""

    depth: int
    prefix: int
    seed: bytes = field(repr=False)

    @property
    def start(self) -> int:
        """The first index below it."""
        return self.prefix << (DEPTH - self.depth)

    @property
    def stop(self) -> int:
        """The first index after those below it."""
        return (self.prefix + 1) << (DEPTH - self.depth)

    def children(self) -> tuple[Node, Node]:
        """Left and right."""
        seeds = hashlib.blake2b(_NODE_TAG, key=self.seed, digest_size=2 * SEED_BYTES).digest()
        depth, prefix = self.depth + 1, self.prefix << 1
        return Node(depth, prefix, seeds[:SEED_BYTES]), Node(depth, prefix | 1, seeds[SEED_BYTES:])


class Keyring:
    """What keys can still be derived. Never changed: a puncture gives another one.

    It may be read from any thread. Seeds stay in Python's memory until that is used again; they can't be wiped there.
    """

    __slots__ = ("_cache", "_nodes", "_starts")

    def __init__(self, nodes: Iterable[Node]) -> None:
        """Nodes from left to right, none above another.

        Raises:
            HuzhengError: VAULT_CORRUPT.
        """
        self._nodes = tuple(nodes)
        self._starts = [node.start for node in self._nodes]
        self._cache: dict[int, Node] = {}
        if any(left.stop > right.start for left, right in pairwise(self._nodes)):
            raise HuzhengError(Code.VAULT_CORRUPT, "keyring: nodes overlap")

    @classmethod
    def new(cls, seed: bytes) -> Keyring:
        """All keys that follow from a root seed of 32 random bytes."""
        if len(seed) != SEED_BYTES:
            raise ValueError("a seed has 32 bytes")
        return cls([Node(0, 0, seed)])

    @classmethod
    def unpack(cls, data: bytes) -> Keyring:
        """What `pack` wrote.

        Raises:
            HuzhengError: VAULT_CORRUPT.
        """
        if len(data) % _PACKED.size:
            raise HuzhengError(Code.VAULT_CORRUPT, "keyring: length")
        nodes = [Node(*parts) for parts in _PACKED.iter_unpack(data)]
        if any(node.depth > DEPTH or node.prefix >> node.depth for node in nodes):
            raise HuzhengError(Code.VAULT_CORRUPT, "keyring: a node outside of the tree")
        return cls(nodes)

    def pack(self) -> bytes:
        """37 bytes a node. They are secret."""
        return b"".join(_PACKED.pack(node.depth, node.prefix, node.seed) for node in self._nodes)

    def __len__(self) -> int:
        """The number of nodes."""
        return len(self._nodes)

    def __contains__(self, index: int) -> bool:
        """Whether the key of an index can still be derived."""
        return self._above(index) is not None

    def key(self, index: int) -> bytes | None:
        """The 32-byte key of an index; None if it was punctured."""
        node = self._above(index)
        if node is None:
            return None
        if node.depth < _CACHED_DEPTH:
            node = self._cached(node, index)
        return hashlib.blake2b(_ENTRY_TAG, key=_descend(node, index, DEPTH).seed, digest_size=KEY_BYTES).digest()

    def puncture(self, indices: Iterable[int]) -> Keyring:
        """The keyring without the keys of these indices; those that it does not have are passed over."""
        return self.puncture_ranges((index, index + 1) for index in indices)

    def puncture_ranges(self, ranges: Iterable[Range]) -> Keyring:
        """The keyring without the keys of all indices in these ranges, in any order."""
        return Keyring(_without(self._nodes, _merged(ranges)))

    def restrict(self, kept: Iterable[int], below: int) -> Keyring:
        """The keyring without the keys of all indices before `below` except those kept."""
        gaps, start = [], 0
        for index in sorted(index for index in kept if index < below):
            gaps.append((start, index))
            start = index + 1
        return self.puncture_ranges([*gaps, (start, below)])

    def _above(self, index: int) -> Node | None:
        if not 0 <= index < INDICES:
            raise ValueError("no index")
        place = bisect_right(self._starts, index) - 1
        return self._nodes[place] if place >= 0 and index < self._nodes[place].stop else None

    def _cached(self, node: Node, index: int) -> Node:
        prefix = index >> (DEPTH - _CACHED_DEPTH)
        found = self._cache.get(prefix)
        if found is None:
            found = _descend(node, index, _CACHED_DEPTH)
            if len(self._cache) >= _CACHED_NODES:
                self._cache.clear()
            self._cache[prefix] = found
        return found


def _descend(node: Node, index: int, depth: int) -> Node:
    while node.depth < depth:
        node = node.children()[index >> (DEPTH - 1 - node.depth) & 1]
    return node


def _merged(ranges: Iterable[Range]) -> list[Range]:
    """Ascending, none empty, none touching another."""
    merged: list[Range] = []
    for start, stop in sorted(ranges):
        if not 0 <= start <= stop <= INDICES:
            raise ValueError("no range of indices")
        if start == stop:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def _without(nodes: Sequence[Node], ranges: Sequence[Range]) -> Iterator[Node]:
    """What is left of nodes (from left to right) when ranges (merged) are cut out of them."""
    place = 0
    for node in nodes:
        while place < len(ranges) and ranges[place][1] <= node.start:
            place += 1
        if place == len(ranges) or ranges[place][0] >= node.stop:
            yield node
        elif not (ranges[place][0] <= node.start and node.stop <= ranges[place][1]):
            # It lies partly in a range, so it is no leaf.
            yield from _without(node.children(), ranges[place : _place_after(ranges, node.stop)])


def _place_after(ranges: Sequence[Range], index: int) -> int:
    return bisect_right(ranges, (index - 1, INDICES))

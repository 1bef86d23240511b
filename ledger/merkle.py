"""Merkle trees of RFC 9162, section 2.1: roots, inclusion and consistency proofs (docs/protocol.md B5).

A node (level, index) covers the leaves from `index << level` up to `(index + 1) << level`, exclusive. It is *complete*
when the tree has them all; complete nodes never change when the tree grows, so they can be stored. Everything here is
iterative and, but for what takes all the leaves, O(log size).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ledger.crypto import HASH_BYTES, Suite
from ledger.errors import Code, HuzhengError

_LEAF = b"\x00"
_NODE = b"\x01"

Node = tuple[int, int, bytes]
"""A complete node: level (0 for leaves), index, hash."""

GetNode = Callable[[int, int], bytes]
"""Gives the hash of the complete node (level, index)."""


def levels(suite: Suite, leaves: Sequence[bytes]) -> list[list[bytes]]:
    """All nodes: `levels[l][i]` is node (l, i); the last level holds the root alone. No levels without leaves.

    A last node without a sibling goes up unchanged, which yields the tree of the RFC's recursive definition.
    """
    if not leaves:
        return []
    plain_hash = suite.plain_hash
    level = [plain_hash(_LEAF + leaf) for leaf in leaves]
    result = [level]
    while len(level) > 1:
        pairs = iter(level)
        parents = [plain_hash(_NODE + left + right) for left, right in zip(pairs, pairs, strict=False)]
        if len(level) % 2:
            parents.append(level[-1])
        level = parents
        result.append(level)
    return result


def root(suite: Suite, leaves: Sequence[bytes]) -> bytes:
    """The root hash, 32 bytes. Leaves are hashed with 0x00 inside."""
    return levels(suite, leaves)[-1][0] if leaves else suite.plain_hash(b"")


def inclusion_path(suite: Suite, leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of one leaf, from its sibling upwards.

    For many leaves of one tree use `levels` with `inclusion_path_from_nodes`.
    """
    return inclusion_path_from_nodes(suite, _node_of(levels(suite, leaves)), index, len(leaves))


def inclusion_path_from_nodes(suite: Suite, get_node: GetNode, index: int, size: int) -> list[bytes]:
    """The audit path of a leaf in the tree of the first `size` leaves, from stored complete nodes.

    Raises:
        IndexError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise IndexError("no such leaf")
    return _siblings(suite, get_node, 0, index, size)


def root_from_path(suite: Suite, leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that an audit path leads to (RFC 9162, 2.1.3.2). The caller compares it with the root it trusts.

    Raises:
        HuzhengError: BAD_PROOF if no tree of this size has such a path.
    """
    if not 0 <= index < size:
        raise HuzhengError(Code.BAD_PROOF, "no such leaf in a tree of this size")
    _check_hashes(path)
    node, last, current = index, size - 1, suite.plain_hash(_LEAF + leaf)
    for sibling in path:
        if not last:
            raise HuzhengError(Code.BAD_PROOF, "the path is too long")
        if node & 1 or node == last:
            current = suite.plain_hash(_NODE + sibling + current)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            current = suite.plain_hash(_NODE + current + sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise HuzhengError(Code.BAD_PROOF, "the path is too short")
    return current


def consistency_path(suite: Suite, leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """The proof that the tree over the first `old_size` leaves is a prefix of the tree over all (RFC 9162, 2.1.4.1)."""
    return consistency_path_from_nodes(suite, _node_of(levels(suite, leaves)), old_size, len(leaves))


def consistency_path_from_nodes(suite: Suite, get_node: GetNode, old_size: int, size: int) -> list[bytes]:
    """The same from stored complete nodes. Empty where the old tree has no leaves or is the whole.

    Raises:
        IndexError: the old tree would be larger than the new one.
    """
    if not 0 <= old_size <= size:
        raise IndexError("the old tree is no prefix")
    if old_size in (0, size):
        return []
    # The old tree's last complete subtree is a node of both trees: the proof starts there and goes up as an audit path.
    level = (old_size & -old_size).bit_length() - 1
    index = (old_size >> level) - 1
    path = _siblings(suite, get_node, level, index, size)
    return path if index == 0 else [get_node(level, index), *path]


def verify_consistency(
    suite: Suite, old_size: int, size: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]
) -> None:
    """Accept a proof that the tree with `old_root` is a prefix of the tree with `new_root` (RFC 9162, 2.1.4.2).

    Raises:
        HuzhengError: BAD_PROOF.
    """
    if not 0 <= old_size <= size:
        raise HuzhengError(Code.BAD_PROOF, "the old tree is no prefix")
    _check_hashes(path)
    if old_size in (0, size):
        expected = new_root if old_size else suite.plain_hash(b"")
        if path or old_root != expected:
            raise HuzhengError(Code.BAD_PROOF, "the trees differ")
        return
    nodes = list(path)
    if old_size & (old_size - 1) == 0:
        nodes.insert(0, old_root)
    if not nodes or _fold_consistency(suite, old_size, size, nodes) != (old_root, new_root):
        raise HuzhengError(Code.BAD_PROOF, "the trees differ")


class Frontier:
    """An append-only tree that keeps only the roots of its complete subtrees: O(log size) state."""

    __slots__ = ("_hashes", "_size", "_suite")

    def __init__(self, suite: Suite, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        """Start empty, or go on from the `size` and `hashes` of another frontier.

        Raises:
            HuzhengError: BAD_PROOF if there are not as many hashes as such a tree has complete subtrees.
        """
        self._suite = suite
        self._size = size
        self._hashes = list(hashes)
        if size < 0 or len(self._hashes) != size.bit_count():
            raise HuzhengError(Code.BAD_PROOF, "a frontier has one hash for each bit set in its size")
        _check_hashes(self._hashes)

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """Roots of the complete subtrees, the largest first."""
        return tuple(self._hashes)

    def copy(self) -> Frontier:
        """Another frontier with the same leaves."""
        return Frontier(self._suite, self._size, self._hashes)

    def append(self, leaf: bytes) -> list[Node]:
        """Add a leaf. Returns the nodes it completes, its own (level 0) first."""
        current = self._suite.plain_hash(_LEAF + leaf)
        level, index = 0, self._size
        completed = [(level, index, current)]
        while index & 1:
            current = self._suite.plain_hash(_NODE + self._hashes.pop() + current)
            level, index = level + 1, index >> 1
            completed.append((level, index, current))
        self._hashes.append(current)
        self._size += 1
        return completed

    def root(self) -> bytes:
        """The root hash of the tree so far."""
        if not self._hashes:
            return self._suite.plain_hash(b"")
        current = self._hashes[-1]
        for left in reversed(self._hashes[:-1]):
            current = self._suite.plain_hash(_NODE + left + current)
        return current


def _node_of(tree: list[list[bytes]]) -> GetNode:
    return lambda level, index: tree[level][index]


def _check_hashes(hashes: Sequence[bytes]) -> None:
    # A longer "hash" could hide two nodes, a leaf's content for instance.
    if any(len(item) != HASH_BYTES for item in hashes):
        raise HuzhengError(Code.BAD_PROOF, "a node has not the length of a hash")


def _siblings(suite: Suite, get_node: GetNode, level: int, index: int, size: int) -> list[bytes]:
    """The siblings of a complete node on its way to the root of the tree with `size` leaves."""
    path = []
    last = (size - 1) >> level
    while last:
        sibling = index ^ 1
        if sibling <= last:
            # Only the last node of a level can be incomplete.
            edge = sibling == last
            path.append(_right_edge(suite, get_node, level, size) if edge else get_node(level, sibling))
        level, index, last = level + 1, index >> 1, last >> 1
    return path


def _right_edge(suite: Suite, get_node: GetNode, level: int, size: int) -> bytes:
    """The hash of the last node of a level, complete or not: its complete subtrees joined, the smallest first."""
    start, end = (size - 1) >> level << level, size
    current = b""
    while end > start:
        lowest = ((end - start) & (start - end)).bit_length() - 1
        end -= 1 << lowest
        node = get_node(lowest, end >> lowest)
        current = suite.plain_hash(_NODE + node + current) if current else node
    return current


def _fold_consistency(suite: Suite, old_size: int, size: int, nodes: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The old and the new root that a consistency path leads to, or None if its length is wrong."""
    node, last = old_size - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = nodes[0]
    for sibling in nodes[1:]:
        if not last:
            return None
        if node & 1 or node == last:
            old = suite.plain_hash(_NODE + sibling + old)
            new = suite.plain_hash(_NODE + sibling + new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = suite.plain_hash(_NODE + new + sibling)
        node, last = node >> 1, last >> 1
    return None if last else (old, new)

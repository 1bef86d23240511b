"""RFC 9162, section 2.1, as its recursive definitions say it: slow, and apart from the code under test."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    k = 1
    while k * 2 < size:
        k *= 2
    return k


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\x00" + leaf).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """MTH(D_n), 2.1.1."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    k = _split(len(leaves))
    return _node(root(leaves[:k]), root(leaves[k:]))


def inclusion_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D_n), 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = _split(len(leaves))
    if index < k:
        return [*inclusion_path(index, leaves[:k]), root(leaves[k:])]
    return [*inclusion_path(index - k, leaves[k:]), root(leaves[:k])]


def consistency_path(old_size: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D_n), 2.1.4.1, for 0 < m <= n."""
    return _subproof(old_size, leaves, True)


def _subproof(m: int, leaves: Sequence[bytes], whole: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [root(leaves)]
    k = _split(len(leaves))
    if m <= k:
        return [*_subproof(m, leaves[:k], whole), root(leaves[k:])]
    return [*_subproof(m - k, leaves[k:], False), root(leaves[:k])]


def includes(leaf: bytes, index: int, size: int, path: Sequence[bytes], expected: bytes) -> bool:
    """Whether the path is PATH(index, D) of some D of this size with this leaf and root."""
    if not 0 <= index < size or any(len(node) != 32 for node in path):
        return False
    return _climb(leaf_hash(leaf), index, size, path) == expected


def _climb(current: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    if size == 1 or not path:
        return current if size == 1 and not path else None
    k = _split(size)
    left = index < k
    below = _climb(current, index if left else index - k, k if left else size - k, path[:-1])
    if below is None:
        return None
    return _node(below, path[-1]) if left else _node(path[-1], below)


def consistent(old_size: int, size: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the path is PROOF(old_size, D) of some D of this size with these roots. The empty tree needs no proof."""
    if not 0 <= old_size <= size or any(len(node) != 32 for node in path):
        return False
    if old_size == 0:
        return not path and old_root == sha256(b"").digest() and (size > 0 or new_root == old_root)
    return _rebuild(old_size, size, old_root, path, True) == (old_root, new_root)


def _rebuild(m: int, size: int, old_root: bytes, path: Sequence[bytes], whole: bool) -> tuple[bytes, bytes] | None:
    """The roots of the first m leaves and of all, read off a _subproof; `old_root` where the proof leaves it out."""
    if m == size:
        if len(path) != (0 if whole else 1):
            return None
        known = old_root if whole else path[0]
        return known, known
    if not path:
        return None
    k = _split(size)
    if m <= k:
        below = _rebuild(m, k, old_root, path[:-1], whole)
        return below and (below[0], _node(below[1], path[-1]))
    below = _rebuild(m - k, size - k, old_root, path[:-1], False)
    return below and (_node(path[-1], below[0]), _node(path[-1], below[1]))

"""Proofs against a state root: that a path has a digest, or that it is not there (docs/protocol.md section 11).

Needs no node, no network, no database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from huzheng.v1 import state_pb2

from ledger.crypto import HASH_BYTES, Suite
from ledger.errors import Code, HuzhengError

LEAF = b"\x02"
NODE = b"\x03"
EMPTY = bytes(HASH_BYTES)
"""The hash of a subtree without keys."""
TOP_LEVELS = 16
"""No leaf is higher than so many levels below the root."""
MAX_DEPTH = 8 * HASH_BYTES


def bit(path: bytes, depth: int) -> int:
    """Whether a path goes right at a node this deep."""
    return path[depth >> 3] >> (7 - (depth & 7)) & 1


def leaf_hash(suite: Suite, path: bytes, digest: bytes) -> bytes:
    """The hash of a subtree with one key."""
    return suite.plain_hash(LEAF + path + digest)


def tree_root(suite: Suite, leaves: Mapping[bytes, bytes | None]) -> bytes:
    """The root of a tree that has these paths with these digests (K2, K3), made from nothing: for small ones."""
    return _subtree(suite, [(path, digest) for path, digest in leaves.items() if digest is not None], 0)


def _subtree(suite: Suite, items: Sequence[tuple[bytes, bytes]], depth: int) -> bytes:
    if not items:
        return EMPTY
    if len(items) == 1 and depth >= TOP_LEVELS:
        return leaf_hash(suite, *items[0])
    sides: tuple[list[tuple[bytes, bytes]], list[tuple[bytes, bytes]]] = ([], [])
    for item in items:
        sides[bit(item[0], depth)].append(item)
    left, right = (_subtree(suite, side, depth + 1) for side in sides)
    return suite.plain_hash(NODE + left + right)


@dataclass(frozen=True, slots=True)
class Walk:
    """The way from the root down to the subtree in which a path ends."""

    siblings: tuple[bytes, ...]
    """Of each level, from the root on; EMPTY where there are no keys."""
    leaf: tuple[bytes, bytes] | None
    """Path and digest of the one key of that subtree; None if it has none."""

    def to_proof(self, path: bytes) -> state_pb2.StateProof:
        """The proof of what the path has, or that it is not there."""
        depth, occupied = len(self.siblings), 0
        for sibling in self.siblings:
            occupied = occupied << 1 | (sibling != EMPTY)
        proof = state_pb2.StateProof(
            depth=depth,
            occupied=(occupied << -depth % 8).to_bytes((depth + 7) // 8, "big"),
            siblings=b"".join(sibling for sibling in self.siblings if sibling != EMPTY),
        )
        if self.leaf is not None and self.leaf[0] != path:
            proof.other_path, proof.other_digest = self.leaf
        return proof


def root_from_proof(suite: Suite, path: bytes, digest: bytes | None, proof: state_pb2.StateProof) -> bytes:
    """The root that a proof leads to, if the path has this digest, or None: is not there. The caller compares it with the root it trusts.

    Raises:
        HuzhengError: BAD_PROOF if no tree has such a proof.
    """
    siblings = _siblings(proof)
    current = _end(suite, path, digest, proof)
    for depth in range(proof.depth - 1, -1, -1):
        sibling = siblings[depth]
        current = suite.plain_hash(NODE + (sibling + current if bit(path, depth) else current + sibling))
    return current


def _siblings(proof: state_pb2.StateProof) -> list[bytes]:
    """One for each level, from the root on."""
    if proof.depth > MAX_DEPTH or len(proof.occupied) != (proof.depth + 7) // 8:
        raise HuzhengError(Code.BAD_PROOF, "a depth that no path has")
    occupied = [bit(proof.occupied, depth) for depth in range(8 * len(proof.occupied))]
    if any(occupied[proof.depth :]) or len(proof.siblings) != HASH_BYTES * sum(occupied):
        raise HuzhengError(Code.BAD_PROOF, "siblings that do not fit the depth")
    hashes = (proof.siblings[start : start + HASH_BYTES] for start in range(0, len(proof.siblings), HASH_BYTES))
    return [next(hashes) if is_occupied else EMPTY for is_occupied in occupied[: proof.depth]]


def _end(suite: Suite, path: bytes, digest: bytes | None, proof: state_pb2.StateProof) -> bytes:
    """The hash of the subtree in which the path ends."""
    other = proof.other_path
    if len(path) != HASH_BYTES or (digest is not None and len(digest) != HASH_BYTES):
        raise HuzhengError(Code.BAD_PROOF, "no path or digest of a state tree")
    if not other and not proof.other_digest:
        if digest is None:
            return EMPTY
        if proof.depth < TOP_LEVELS:
            raise HuzhengError(Code.BAD_PROOF, "a leaf higher than any is")
        return leaf_hash(suite, path, digest)
    if digest is not None or len(other) != HASH_BYTES or len(proof.other_digest) != HASH_BYTES:
        raise HuzhengError(Code.BAD_PROOF, "another key where the path's own is")
    same = all(bit(path, depth) == bit(other, depth) for depth in range(proof.depth))
    if proof.depth < TOP_LEVELS or other == path or not same:
        raise HuzhengError(Code.BAD_PROOF, "another key that is not on the path")
    return leaf_hash(suite, other, proof.other_digest)

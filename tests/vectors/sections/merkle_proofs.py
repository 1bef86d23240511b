"""Inclusion and consistency proofs, sound and corrupted, judged by RFC 9162's definitions (docs/protocol.md B5)."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

from tests.naive import merkle

_OTHER = sha256(b"other").digest()
_INCLUSION = [(0, 1), (0, 8), (5, 8), (6, 7), (2, 3), (4, 5), (64, 65)]
_CONSISTENCY = [(1, 1), (1, 2), (1, 8), (4, 8), (6, 8), (2, 5), (6, 7), (40, 65)]

_Path = list[bytes]


def _leaves(size: int) -> list[bytes]:
    return [sha256(b"leaf %d" % index).digest() for index in range(size)]


def _corrupt_paths(path: _Path, root: bytes) -> Iterator[tuple[str, _Path]]:
    yield "path with the root added", [*path, root]
    yield "path with a node added", [*path, _OTHER]
    yield "path with a node put in front", [_OTHER, *path]
    yield "path with an empty node added", [*path, b""]
    if not path:
        return
    yield "path empty", []
    yield "path without its last node", path[:-1]
    yield "path without its first node", path[1:]
    yield "path with its first node twice", [path[0], *path]
    yield "first node a byte short", [path[0][:-1], *path[1:]]
    yield "first node a byte long", [path[0] + b"\x00", *path[1:]]
    if len(path) > 1:
        yield "first and last node swapped", [path[-1], *path[1:-1], path[0]]
        yield "two nodes in one", [path[0] + path[1], *path[2:]]
    for place, node in enumerate(path):
        flipped = bytes([node[0] ^ 8]) + node[1:]
        yield f"bit flipped in node {place}", [*path[:place], flipped, *path[place + 1 :]]


def _inclusion(index: int, size: int) -> Iterator[dict[str, object]]:
    leaves = _leaves(size)
    leaf, root, path = leaves[index], merkle.root(leaves), merkle.inclusion_path(index, leaves)
    probes: list[tuple[str, bytes, int, int, _Path, bytes]] = [
        ("sound", leaf, index, size, path, root),
        ("index one less", leaf, index - 1, size, path, root),
        ("index one more", leaf, index + 1, size, path, root),
        ("index two away", leaf, index ^ 2, size, path, root),
        ("index is the size", leaf, size, size, path, root),
        ("size zero", leaf, index, 0, path, root),
        ("size halved", leaf, index, size // 2, path, root),
        ("size doubled", leaf, index, size * 2, path, root),
        ("size of 2^64", leaf, index, 2**64, path, root),
        ("leaf of another", _OTHER, index, size, path, root),
        ("leaf hash in the place of the leaf", merkle.leaf_hash(leaf), index, size, path, root),
        ("root of another tree", leaf, index, size, path, _OTHER),
        ("root of no leaves", leaf, index, size, path, merkle.root([])),
    ]
    probes += [(name, leaf, index, size, corrupt, root) for name, corrupt in _corrupt_paths(path, root)]
    if index % 2 == 0 and path and index + 1 < size:
        # Without the prefixes, a node's two children would pass for a leaf of a tree one level lower.
        inner = merkle.leaf_hash(leaf) + path[0]
        probes.append(("inner node in the place of a leaf", inner, index // 2, (size + 1) // 2, path[1:], root))
    for name, datum, at, of, proof, expected in probes:
        yield {
            "name": f"leaf {index} of {size}: {name}",
            "leaf": datum.hex(),
            "index": at,
            "size": of,
            "path": [node.hex() for node in proof],
            "root": expected.hex(),
            "valid": merkle.includes(datum, at, of, proof, expected),
        }


def _consistency(old_size: int, size: int) -> Iterator[dict[str, object]]:
    leaves = _leaves(size)
    old, new = merkle.root(leaves[:old_size]), merkle.root(leaves)
    path = merkle.consistency_path(old_size, leaves)
    probes: list[tuple[str, int, int, bytes, bytes, _Path]] = [
        ("sound", old_size, size, old, new, path),
        ("old size one less", old_size - 1, size, old, new, path),
        ("old size one more", old_size + 1, size, old, new, path),
        ("old size two away", old_size ^ 2, size, old, new, path),
        ("old size zero", 0, size, old, new, path),
        ("old tree larger", size + 1, size, old, new, path),
        ("size doubled", old_size, size * 2, old, new, path),
        ("size halved", old_size, size // 2, old, new, path),
        ("old root of another tree", old_size, size, _OTHER, new, path),
        ("new root of another tree", old_size, size, old, _OTHER, path),
    ]
    if old_size != size:
        probes.append(("both roots of another tree", old_size, size, _OTHER, _OTHER, path))
        probes.append(("roots swapped", old_size, size, new, old, path))
    corrupt_paths = [*_corrupt_paths(path, new), ("path with the old root put in front", [old, *path])]
    probes += [(name, old_size, size, old, new, corrupt) for name, corrupt in corrupt_paths]
    for name, of_old, of_new, old_root, new_root, proof in probes:
        yield {
            "name": f"from {old_size} to {size}: {name}",
            "old_size": of_old,
            "size": of_new,
            "old_root": old_root.hex(),
            "new_root": new_root.hex(),
            "path": [node.hex() for node in proof],
            "valid": merkle.consistent(of_old, of_new, old_root, new_root, proof),
        }


def _merkle_proofs() -> dict[str, object]:
    return {
        "about": "Proofs in SHA-256 trees: sound ones, and others named after what is corrupted.",
        "rule": "B5",
        "inclusion": [case for place in _INCLUSION for case in _inclusion(*place)],
        "consistency": [case for sizes in _CONSISTENCY for case in _consistency(*sizes)],
    }


VECTORS = {"merkle_proofs.json": _merkle_proofs}

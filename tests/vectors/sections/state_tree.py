"""State trees and their proofs, sound and corrupted, judged by a second reading of the definitions (docs/protocol.md K1 to K4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from hashlib import sha256

from tests.naive import state_tree
from tests.naive.state_tree import Proof

Keys = Mapping[bytes, bytes]

_OTHER = sha256(b"other").digest()
_NEAR = bytes(31)
"""What the paths of the crowded slot begin with."""


def _keys(*paths: bytes) -> dict[bytes, bytes]:
    return {path: sha256(b"digest" + path).digest() for path in paths}


def _spread(count: int) -> dict[bytes, bytes]:
    return _keys(*(sha256(b"path %d" % number).digest() for number in range(count)))


_TREES: Mapping[str, Keys] = {
    "no keys": {},
    "one key": _spread(1),
    "two keys": _spread(2),
    "seven keys": _spread(7),
    "a hundred keys": _spread(100),
    "two keys that differ in the last bit": _keys(_NEAR + b"\x00", _NEAR + b"\x01"),
    "keys that differ in the 17th bit": _keys(bytes(32), b"\x00\x00\x80" + bytes(29)),
    "the first and the last path": _keys(bytes(32), b"\xff" * 32),
    "three in one slot among a hundred": {**_spread(100), **_keys(_NEAR + b"\x00", _NEAR + b"\x80", _NEAR + b"\x81")},
}
_ASKED = {
    "no keys": [_OTHER],
    "one key": [next(iter(_spread(1))), _OTHER],
    "a hundred keys": [*list(_spread(3)), _OTHER],
    "two keys that differ in the last bit": [_NEAR + b"\x01", b"\x00" * 30 + b"\x01\x00", _OTHER],
    "three in one slot among a hundred": [_NEAR + b"\x80", _NEAR + b"\x40", bytes(8) + b"\x01" + bytes(23)],
}


def _trees() -> Iterator[dict[str, object]]:
    for name, keys in _TREES.items():
        listed = {path.hex(): digest.hex() for path, digest in sorted(keys.items())}
        yield {"name": name, "keys": listed, "root": state_tree.root(keys).hex()}


def _corrupt(proof: Proof, path: bytes) -> Iterator[tuple[str, Proof]]:
    yield "a level more", replace(proof, depth=proof.depth + 1)
    yield "a level more, with room for it", _with_level(proof)
    yield "deeper than a path is long", replace(proof, depth=257, occupied=proof.occupied.ljust(33, b"\0"))
    yield "a byte of levels too much", replace(proof, occupied=proof.occupied + b"\0")
    yield "a sibling too much", replace(proof, siblings=proof.siblings + _OTHER)
    yield "a byte too much of siblings", replace(proof, siblings=proof.siblings + b"\0")
    if not proof.other_path:
        yield "another key besides", replace(proof, other_path=_OTHER, other_digest=_OTHER)
        yield "another key without a digest", replace(proof, other_path=_OTHER)
        yield "a digest without another key", replace(proof, other_digest=_OTHER)
    else:
        yield "without the other key", replace(proof, other_path=b"", other_digest=b"")
        yield "with the key itself as the other one", replace(proof, other_path=path)
        yield "another key that is not on the way", replace(proof, other_path=bytes([path[0] ^ 128]) + path[1:])
        yield "the other key a byte short", replace(proof, other_path=proof.other_path[:-1])
        yield "the other digest a byte long", replace(proof, other_digest=proof.other_digest + b"\0")
        yield "another digest of the other key", replace(proof, other_digest=_OTHER)
    if proof.depth:
        yield "a level less", replace(proof, depth=proof.depth - 1)
        yield "without levels", Proof(0, b"", b"", proof.other_path, proof.other_digest)
        yield "a level's bit flipped", replace(proof, occupied=bytes([proof.occupied[0] ^ 128]) + proof.occupied[1:])
    if proof.depth % 8:
        yield "a bit beyond the depth", replace(proof, occupied=proof.occupied[:-1] + bytes([proof.occupied[-1] | 1]))
    if proof.siblings:
        yield "without siblings", replace(proof, siblings=b"")
        yield "the last sibling missing", replace(proof, siblings=proof.siblings[:-32])
        yield "a sibling of zeros", replace(proof, siblings=bytes(32) + proof.siblings[32:])
        yield "a bit of a sibling flipped", replace(proof, siblings=bytes([proof.siblings[0] ^ 8]) + proof.siblings[1:])
    if len(proof.siblings) > 32:
        swapped = proof.siblings[32:64] + proof.siblings[:32] + proof.siblings[64:]
        yield "two siblings swapped", replace(proof, siblings=swapped)


def _with_level(proof: Proof) -> Proof:
    """With one more level, of which the sibling has no keys."""
    length = (proof.depth + 8) // 8
    return replace(proof, depth=proof.depth + 1, occupied=proof.occupied.ljust(length, b"\0"))


def _probes(keys: Keys, path: bytes) -> Iterator[tuple[str, bytes, bytes | None, Proof, bytes]]:
    proof, root, digest = state_tree.proof(keys, path), state_tree.root(keys), keys.get(path)
    yield "sound", path, digest, proof, root
    if proof.depth:
        yield "for a path that goes the other way at the root", bytes([path[0] ^ 128]) + path[1:], digest, proof, root
    yield "of another digest", path, _OTHER, proof, root
    yield "against another root", path, digest, proof, _OTHER
    yield "against the root of no keys", path, digest, proof, bytes(32) if keys else _OTHER
    yield "a path a byte short", path[:-1], digest, proof, root
    if digest is not None:
        yield "that it is not there", path, None, proof, root
        yield "a digest a byte short", path, digest[:-1], proof, root
        neighbour = path[:-1] + bytes([path[-1] ^ 1])
        yield "that its neighbour is not there", neighbour, None, replace(proof, other_path=path), root
    for name, corrupt in _corrupt(proof, path):
        yield name, path, digest, corrupt, root


def _proofs() -> Iterator[dict[str, object]]:
    for tree, paths in _ASKED.items():
        for number, asked in enumerate(paths):
            for name, path, digest, proof, root in _probes(_TREES[tree], asked):
                fields = {
                    key: value.hex() if isinstance(value, bytes) else value for key, value in asdict(proof).items()
                }
                yield {
                    "name": f"{tree}, {number}: {name}",
                    "path": path.hex(),
                    "digest": None if digest is None else digest.hex(),
                    "proof": fields,
                    "root": root.hex(),
                    "valid": len(path) == 32 and state_tree.proves(path, digest, proof, root),
                }


def _state_tree() -> dict[str, object]:
    return {
        "about": "State trees with SHA-256, and proofs in them: sound ones, and others named after what is corrupted.",
        "rule": "K1 to K4",
        "trees": list(_trees()),
        "proofs": list(_proofs()),
    }


VECTORS = {"state_tree.json": _state_tree}

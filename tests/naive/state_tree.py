"""The state tree as section 11 of docs/protocol.md says it: slow, and apart from the code under test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

EMPTY = bytes(32)


def _is_right(path: bytes, depth: int) -> bool:
    return bool(int.from_bytes(path, "big") >> (255 - depth) & 1)


def root(keys: Mapping[bytes, bytes], depth: int = 0) -> bytes:
    """K2."""
    if not keys:
        return EMPTY
    if len(keys) == 1 and depth >= 16:
        [(path, digest)] = keys.items()
        return sha256(b"\x02" + path + digest).digest()
    left = {path: digest for path, digest in keys.items() if not _is_right(path, depth)}
    right = {path: digest for path, digest in keys.items() if _is_right(path, depth)}
    return sha256(b"\x03" + root(left, depth + 1) + root(right, depth + 1)).digest()


@dataclass(frozen=True)
class Proof:
    """The fields of a `StateProof`."""

    depth: int
    occupied: bytes
    siblings: bytes
    other_path: bytes = b""
    other_digest: bytes = b""


def proof(keys: Mapping[bytes, bytes], path: bytes) -> Proof:
    """K4, of what the path has or that it is not there."""
    depth, siblings, here = 0, list[bytes](), dict(keys)
    while here and not (len(here) == 1 and depth >= 16):
        right = _is_right(path, depth)
        siblings.append(root({p: d for p, d in here.items() if _is_right(p, depth) != right}, depth + 1))
        here = {p: d for p, d in here.items() if _is_right(p, depth) == right}
        depth += 1
    bits = "".join("0" if sibling == EMPTY else "1" for sibling in siblings)
    padded = bits + "0" * (-len(bits) % 8)
    occupied = bytes(int(padded[start : start + 8], 2) for start in range(0, len(padded), 8))
    joined = b"".join(sibling for sibling in siblings if sibling != EMPTY)
    [(other_path, other_digest)] = here.items() if here and path not in here else [(b"", b"")]
    return Proof(depth, occupied, joined, other_path, other_digest)


def proves(path: bytes, digest: bytes | None, claim: Proof, expected: bytes) -> bool:
    """Whether a proof shows that the path has this digest, or None: is not there."""
    bits = "".join(f"{byte:08b}" for byte in claim.occupied)
    if claim.depth > 256 or len(bits) != (claim.depth + 7) // 8 * 8 or "1" in bits[claim.depth :]:
        return False
    if len(claim.siblings) != 32 * bits.count("1"):
        return False
    if claim.other_path or claim.other_digest:
        if digest is not None or (len(claim.other_path), len(claim.other_digest)) != (32, 32):
            return False
        if claim.other_path == path or claim.depth < 16:
            return False
        if any(_is_right(path, depth) != _is_right(claim.other_path, depth) for depth in range(claim.depth)):
            return False
        current = sha256(b"\x02" + claim.other_path + claim.other_digest).digest()
    elif digest is None:
        current = EMPTY
    elif claim.depth < 16:
        return False
    else:
        current = sha256(b"\x02" + path + digest).digest()
    rest = claim.siblings
    for depth in reversed(range(claim.depth)):
        sibling = EMPTY
        if bits[depth] == "1":
            rest, sibling = rest[:-32], rest[-32:]
        pair = sibling + current if _is_right(path, depth) else current + sibling
        current = sha256(b"\x03" + pair).digest()
    return current == expected

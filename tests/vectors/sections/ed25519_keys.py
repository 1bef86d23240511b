"""Which public keys are admissible, computed from the curve's equation (docs/protocol.md B4)."""

from __future__ import annotations

from hashlib import sha512

from tests.naive import ed25519

_SIGN = 1 << 255


def _torsion_point() -> ed25519.Point:
    """A point of order 8."""
    y = 0
    while True:
        y += 1
        point = ed25519.decode(y.to_bytes(32, "little"))
        if point is None:
            continue
        small = ed25519.multiply(ed25519.L, point)
        if ed25519.multiply(4, small) != ed25519.NEUTRAL:
            return small


def _secret_scalar(seed: bytes) -> int:
    """RFC 8032, 5.1.5."""
    scalar = int.from_bytes(sha512(seed).digest()[:32], "little")
    return scalar & (2**254 - 8) | 2**254


def _number(value: int) -> bytes:
    return value.to_bytes(32, "little")


def _keys() -> list[tuple[str, bytes]]:
    torsion = _torsion_point()
    good = ed25519.multiply(_secret_scalar(bytes(32)), ed25519.base_point())
    keys = [("key of the seed of zeros", ed25519.encode(good)), ("base point", ed25519.encode(ed25519.base_point()))]
    for k in range(8):
        point = ed25519.multiply(k, torsion)
        keys.append((f"small order: {k} times a point of order 8", ed25519.encode(point)))
    for k in range(1, 8):
        mixed = ed25519.add(good, ed25519.multiply(k, torsion))
        keys.append((f"mixed order: a good key plus {k} times a point of order 8", ed25519.encode(mixed)))
    for y in range(19):
        for sign in (0, _SIGN):
            data = _number(ed25519.P + y + sign)
            if ed25519.decode(data) is not None:
                keys.append((f"not canonical: y = p + {y}, sign {sign >> 255}", data))
    keys += [
        ("not canonical: x = 0 with the sign bit, y = 1", _number(1 + _SIGN)),
        ("not canonical: x = 0 with the sign bit, y = -1", _number(ed25519.P - 1 + _SIGN)),
        ("not on the curve", _number(next(y for y in range(2, 99) if ed25519.decode(_number(y)) is None))),
        ("all bits set", b"\xff" * 32),
        ("a byte short", ed25519.encode(good)[:-1]),
        ("a byte long", ed25519.encode(good) + b"\x00"),
        ("empty", b""),
    ]
    return keys


def _ed25519_keys() -> dict[str, object]:
    cases = [{"name": name, "key": key.hex(), "admissible": ed25519.is_admissible_key(key)} for name, key in _keys()]
    return {"about": "Ed25519 public keys, and whether one may be registered.", "rule": "B4", "cases": cases}


VECTORS = {"ed25519_keys.json": _ed25519_keys}

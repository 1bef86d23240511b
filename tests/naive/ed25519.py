"""Edwards25519 by the curve equation, in affine coordinates: slow, and apart from libsodium. Never for secrets."""

from __future__ import annotations

from hashlib import sha512

P = 2**255 - 19
"""The field's prime."""

L = 2**252 + 27742317777372353535851937790883648493
"""The order of the prime-order group."""

_D = -121665 * pow(121666, -1, P) % P

Point = tuple[int, int]
NEUTRAL: Point = (0, 1)


def add(a: Point, b: Point) -> Point:
    product = _D * a[0] * b[0] * a[1] * b[1] % P
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, P)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P)
    return x % P, y % P


def multiply(scalar: int, point: Point) -> Point:
    result = NEUTRAL
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


def encode(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def decode(data: bytes) -> Point | None:
    """The point, also of a non-canonical encoding, or None if there is none on the curve."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, (number & (2**255 - 1)) % P
    square = (y * y - 1) * pow(_D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square:
        return None
    return (P - x if x & 1 != sign and x else x), y


def base_point() -> Point:
    point = decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    if point is None:
        raise ValueError("the base point is on the curve")
    return point


def is_canonical(data: bytes) -> bool:
    point = decode(data)
    return point is not None and encode(point) == data


def is_small_order(point: Point) -> bool:
    return multiply(8, point) == NEUTRAL


def is_admissible_key(data: bytes) -> bool:
    """Canonical and of prime order (docs/protocol.md B4)."""
    point = decode(data) if len(data) == 32 else None
    return point is not None and is_canonical(data) and point != NEUTRAL and multiply(L, point) == NEUTRAL


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """RFC 8032 without cofactor, with canonical S, A and R, and small-order A and R refused (docs/protocol.md B4)."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    a, r, s = decode(public_key), decode(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L or not is_canonical(public_key) or not is_canonical(signature[:32]):
        return False
    if is_small_order(a) or is_small_order(r):
        return False
    k = int.from_bytes(sha512(signature[:32] + public_key + message).digest(), "little") % L
    return multiply(s, base_point()) == add(r, multiply(k, a))

"""P1 of docs/protocol.md, by hashlib alone: commitments to confidential fields, their root and paths."""

from __future__ import annotations

from collections.abc import Sequence

from tests.naive import merkle
from tests.naive.ledger import tagged_hash

Secret = tuple[int, str, bytes]
"""Number, value (empty: none), salt."""


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def field_value(number: int, value: str) -> bytes:
    """A FieldValue in strict form: what is unset is not there."""
    content = value.encode()
    numbered = b"\x08" + _varint(number) if number else b""
    return numbered + (b"\x12" + _varint(len(content)) + content if content else b"")


def leaf(number: int, value: str, salt: bytes) -> bytes:
    """The commitment to one field."""
    return tagged_hash("confidential", salt + field_value(number, value))


def leaves(secrets: Sequence[Secret]) -> list[bytes]:
    """The commitments to all fields of a record."""
    return [leaf(*secret) for secret in secrets]


def root(secrets: Sequence[Secret]) -> bytes:
    """`confidential_root`."""
    return merkle.root(leaves(secrets))


def path(place: int, secrets: Sequence[Secret]) -> list[bytes]:
    """The path of the leaf at a place."""
    return merkle.inclusion_path(place, leaves(secrets))

"""Encodings that are not the strict form (docs/protocol.md B2) of what they may say."""

from __future__ import annotations

import random
from collections.abc import Callable

Chunks = list[bytes]
"""A message's fields as they are encoded, one after the other."""

_UNKNOWN = (b"\x78\x01", b"\xfa\x07\x01x", b"\x7b\x7c", b"\x7d\x00\x00\x00\x00", b"\x79" + bytes(8))
"""Fields that no message has: a varint, bytes, a group, four and eight bytes."""


def split(raw: bytes) -> Chunks | None:
    """The fields of a message; None if it has none that can be told apart."""
    chunks, start = list[bytes](), 0
    while start < len(raw):
        tag, end = _varint(raw, start)
        if tag & 7 == 0:
            _, end = _varint(raw, end)
        elif tag & 7 == 2:
            length, end = _varint(raw, end)
            end += length
        else:
            return None
        if end > len(raw):
            return None
        chunks.append(raw[start:end])
        start = end
    return chunks or None


def _varint(raw: bytes, start: int) -> tuple[int, int]:
    value = 0
    for count, byte in enumerate(raw[start : start + 10]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value, start + count + 1
    return 0, len(raw) + 1


def loosen(raw: bytes, dice: random.Random) -> bytes:
    """The same fields in a way that may not be strict."""
    chunks = split(raw)
    if chunks is None:
        return raw + dice.choice(_UNKNOWN)
    dice.choice(_WAYS)(chunks, dice)
    return b"".join(chunks)


def _swap(chunks: Chunks, dice: random.Random) -> None:
    first, second = dice.randrange(len(chunks)), dice.randrange(len(chunks))
    chunks[first], chunks[second] = chunks[second], chunks[first]


def _repeat(chunks: Chunks, dice: random.Random) -> None:
    place = dice.randrange(len(chunks))
    chunks[place:place] = [chunks[place]] * dice.choice((1, 1, 2, 100))


def _leave_out(chunks: Chunks, dice: random.Random) -> None:
    del chunks[dice.randrange(len(chunks))]


def _add_unknown(chunks: Chunks, dice: random.Random) -> None:
    chunks.insert(dice.randint(0, len(chunks)), dice.choice(_UNKNOWN))


def _add_default(chunks: Chunks, dice: random.Random) -> None:
    place = dice.randrange(len(chunks))
    chunks.insert(place, chunks[place][:1] + b"\0")


def _lengthen_tag(chunks: Chunks, dice: random.Random) -> None:
    """The tag in more bytes than it takes."""
    place = dice.randrange(len(chunks))
    chunk = chunks[place]
    if chunk[0] < 0x80:
        chunks[place] = bytes([chunk[0] | 0x80]) + b"\x80" * dice.randint(0, 3) + b"\0" + chunk[1:]


def _lengthen_value(chunks: Chunks, dice: random.Random) -> None:
    """The varint after the tag in more bytes than it takes."""
    place = dice.randrange(len(chunks))
    chunk = chunks[place]
    end = next((at for at in range(1, len(chunk)) if chunk[at] < 0x80), None)
    if chunk[0] < 0x80 and end is not None:
        chunks[place] = chunk[:end] + bytes([chunk[end] | 0x80, 0]) + chunk[end + 1 :]


_WAYS: tuple[Callable[[Chunks, random.Random], None], ...] = (
    _swap,
    _repeat,
    _leave_out,
    _add_unknown,
    _add_default,
    _lengthen_tag,
    _lengthen_value,
)


def mangle(raw: bytes, dice: random.Random) -> bytes:
    """Some bytes changed, left out, put in or moved, whatever they are."""
    place, length = dice.randint(0, len(raw)), dice.choice((1, 1, 2, 4, 16, 64))
    way = dice.randrange(6)
    if way == 0 and raw:
        place %= len(raw)
        return raw[:place] + bytes([raw[place] ^ 1 << dice.randrange(8)]) + raw[place + 1 :]
    if way == 1:
        return raw[:place] + raw[place + length :]
    if way == 2:
        return raw[:place] + dice.randbytes(length) + raw[place:]
    if way == 3:
        return raw[:place]
    if way == 4:
        return raw[:place] + raw[place : place + length] * dice.choice((2, 3, 50)) + raw[place + length :]
    start = dice.randint(0, len(raw))
    return raw[:place] + raw[start : start + length] + raw[place + length :]

"""What is inside of recorded connections: TLS records, and the gRPC messages in HTTP/2 frames (RFC 8446 section 5.1, RFC 9113 section 4.1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_RECORD_HEADER_BYTES = 5
_RECORD_TYPES = range(20, 24)
_RECORD_VERSIONS = (b"\3\1", b"\3\3")
_FRAME_HEADER_BYTES = 9
_DATA = 0
_PADDED = 8
_PREFIX_BYTES = 5


def tls_records(stream: bytes) -> int:
    """How many TLS records one direction of a connection is made of; the last may have been cut off.

    Raises:
        ValueError: something in it is no TLS record.
    """
    count = at = 0
    while at + _RECORD_HEADER_BYTES <= len(stream):
        if stream[at] not in _RECORD_TYPES or stream[at + 1 : at + 3] not in _RECORD_VERSIONS:
            raise ValueError(f"no TLS record at byte {at}")
        at += _RECORD_HEADER_BYTES + int.from_bytes(stream[at + 3 : at + 5])
        count += 1
    return count


def grpc_messages(stream: bytes) -> Iterator[bytes]:
    """The messages of one direction of a decrypted connection, put together again from the frames that they came in; the last may have been cut off.

    Raises:
        ValueError: a message is compressed, or a frame padded, as gRPC does neither here.
    """
    for call in _data_of_calls(stream.removeprefix(PREFACE)).values():
        at = 0
        while at + _PREFIX_BYTES <= len(call):
            if call[at]:
                raise ValueError("a compressed message")
            start = at + _PREFIX_BYTES
            at = start + int.from_bytes(call[at + 1 : start])
            yield bytes(call[start:at])


def _data_of_calls(stream: bytes) -> dict[bytes, bytearray]:
    """By HTTP/2 stream."""
    found: dict[bytes, bytearray] = defaultdict(bytearray)
    at = 0
    while at + _FRAME_HEADER_BYTES <= len(stream):
        kind, flags, call = stream[at + 3], stream[at + 4], stream[at + 5 : at + 9]
        start = at + _FRAME_HEADER_BYTES
        at = start + int.from_bytes(stream[at : at + 3])
        if kind != _DATA:
            continue
        if flags & _PADDED:
            raise ValueError("a padded frame")
        found[call] += stream[start:at]
    return found

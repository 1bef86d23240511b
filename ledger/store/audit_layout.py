"""Keys and values of the audit index: who read what, under which grant, and who relies on whom (docs/protocol.md S12).

The first byte of a key is `layout.AUDIT`, the second says by what the entries lie. A place at the end of a key puts them in the order in
which they were executed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from ledger.crypto.types import HASH_BYTES, Height
from ledger.store.layout import AUDIT, Place, encode_record_place

BY_SUBJECT: Final = AUDIT + b"s"
BY_READER: Final = AUDIT + b"d"
BY_OWNER: Final = AUDIT + b"o"
BY_GRANT: Final = AUDIT + b"g"
BY_RECORD: Final = AUDIT + b"r"
HOLDER: Final = AUDIT + b"h"
UNACKNOWLEDGED: Final = AUDIT + b"u"
COUNTS: Final = AUDIT + b"n"
GRANT: Final = AUDIT + b"a"
GRANT_BY_APPLICANT: Final = AUDIT + b"p"
GRANT_BY_OWNER: Final = AUDIT + b"w"
ERASURE: Final = AUDIT + b"e"
OPEN_ERASURE: Final = AUDIT + b"f"
RELIANCE: Final = AUDIT + b"l"
NEWEST: Final = AUDIT + b"t"

HOUR_MS: Final = 3_600_000
MAX_SUBJECT_BYTES: Final = 256
"""No subject that fits a resource has more (F6)."""

_RESULT: Final = struct.Struct(">HI")
_COUNTS: Final = struct.Struct(">QQ")
_PLACE: Final = struct.Struct(">QII")
_NEWEST: Final = struct.Struct(">Q?")


@dataclass(frozen=True, slots=True, order=True)
class OperationPlace:
    """Where an operation is: its block, its transaction's position there, its own in the transaction, all from 0."""

    height: Height
    transaction: int
    operation: int

    @property
    def transaction_place(self) -> Place:
        """The place of the transaction that holds it."""
        return Place(self.height, self.transaction)

    def encode(self) -> bytes:
        """16 bytes, in whose order places lie."""
        return encode_record_place(self.height, self.transaction, self.operation)


@dataclass(frozen=True, slots=True)
class HourCount:
    """Reads of a department in an hour of block time."""

    accepted: int = 0
    refused: int = 0

    def encode(self) -> bytes:
        """16 bytes."""
        return _COUNTS.pack(self.accepted, self.refused)


@dataclass(frozen=True, slots=True)
class NewestWrite:
    """When something was last written in a resource; if nothing ever was, when it was published."""

    height: Height
    is_record: bool

    def encode(self) -> bytes:
        """9 bytes."""
        return _NEWEST.pack(self.height, self.is_record)


def subject_prefix(resource: str, subject: str) -> bytes:
    """Of the reads of a subject. Neither can hold a zero byte."""
    return b"%s%s\0%s\0" % (BY_SUBJECT, resource.encode(), subject.encode())


def department_prefix(by: bytes, department: str) -> bytes:
    """Of what lies by a department: BY_READER, BY_OWNER, GRANT_BY_APPLICANT, GRANT_BY_OWNER."""
    return b"%s%s\0" % (by, department.encode())


def hash_prefix(by: bytes, value: bytes) -> bytes:
    """Of what lies by a hash: BY_GRANT, BY_RECORD, HOLDER, RELIANCE."""
    return by + value


def holder_key(record_id: bytes, reader: str) -> bytes:
    """Value is the record's owner: a department whose read of the record was accepted has its values, or had."""
    return hash_prefix(HOLDER, record_id) + reader.encode()


def unacknowledged_key(height: int, read: bytes) -> bytes:
    """Value is empty: a read that was accepted in this block and has not been acknowledged."""
    return UNACKNOWLEDGED + height.to_bytes(8, "big") + read


def counts_key(reader: str, hour: int) -> bytes:
    """Value is an HourCount; hours are numbered from 1970 on."""
    return department_prefix(COUNTS, reader) + hour.to_bytes(4, "big")


def open_erasure_key(height: int, department: str, record_id: bytes) -> bytes:
    """Value is empty: an erasure ordered in this block that not all of the record's holders have acknowledged."""
    return b"%s%s%s\0%s" % (OPEN_ERASURE, height.to_bytes(8, "big"), department.encode(), record_id)


def newest_key(resource: str) -> bytes:
    """Value is a NewestWrite."""
    return NEWEST + resource.encode()


def after(prefix: bytes) -> bytes:
    """The first key after all that start with a prefix, whatever its last byte is; some byte of it is below 0xff."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1])


def encode_result(code: int, index: int) -> bytes:
    """How the transaction of a read ended: 6 bytes."""
    return _RESULT.pack(code, index)


def decode_result(value: bytes) -> tuple[int, int]:
    """Code and index. Raises struct.error unless there are 6 bytes."""
    code, index = _RESULT.unpack(value)
    return code, index


def decode_counts(value: bytes) -> HourCount:
    """Raises struct.error unless there are 16 bytes."""
    return HourCount(*_COUNTS.unpack(value))


def decode_newest(value: bytes) -> NewestWrite:
    """Raises struct.error unless there are 9 bytes."""
    height, is_record = _NEWEST.unpack(value)
    return NewestWrite(Height(height), is_record)


def place_at_end(key: bytes) -> OperationPlace:
    """The place that a key ends with. Raises struct.error if it is too short."""
    height, transaction, operation = _PLACE.unpack(key[-_PLACE.size :])
    return OperationPlace(Height(height), transaction, operation)


def height_at_start(key: bytes) -> Height:
    """The height after the two bytes of a kind. Raises struct.error if the key is too short."""
    return Height(struct.unpack(">Q", key[2:10])[0])


def split_open_erasure(key: bytes) -> tuple[str, bytes]:
    """Department and record of an open erasure. Raises ValueError if the key is none."""
    department, _, record_id = key[10:].partition(b"\0")
    if len(record_id) != HASH_BYTES:
        raise ValueError("no open erasure")
    return department.decode(), record_id

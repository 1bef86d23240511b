"""Encodings that are, and that are not, in strict form (docs/protocol.md B2)."""

from __future__ import annotations

VARINT, FIXED64, BYTES, START_GROUP, END_GROUP, FIXED32 = range(6)


def varint(value: int, padding: int = 0) -> bytes:
    """A varint, with `padding` superfluous bytes."""
    groups = []
    while True:
        groups.append(value & 0x7F)
        value >>= 7
        if not value:
            break
    groups += [0] * padding
    return bytes(group | 0x80 for group in groups[:-1]) + bytes([groups[-1]])


def tag(number: int, wire: int) -> bytes:
    return varint(number << 3 | wire)


def number(field: int, value: int, padding: int = 0) -> bytes:
    return tag(field, VARINT) + varint(value, padding)


def text(field: int, content: bytes, padding: int = 0) -> bytes:
    return tag(field, BYTES) + varint(len(content), padding) + content


_HASH = bytes(range(32))
_TRANSACTION, _BODY = "huzheng.v1.Transaction", "huzheng.v1.TransactionBody"
_RECORD, _HEAD, _KEY = "huzheng.v1.Record", "huzheng.v1.Head", "huzheng.v1.KeyState"
_OPERATION, _LOG, _SEALS = "huzheng.v1.Operation", "huzheng.v1.VoteLogEntry", "huzheng.v1.Certificate"
_FIELD, _PACKED = "huzheng.v1.FieldSpec", "google.protobuf.SourceCodeInfo.Location"

_TERMS, _STATE, _READ = "huzheng.v1.GrantTerms", "huzheng.v1.ResourceState", "huzheng.v1.ReadFields"

_RESOURCE = text(1, b"property.ownership")
_ADD = text(1, text(1, text(1, _HASH) + number(2, 1)))
_REVOKE = text(2, text(1, _HASH))
_SEAL_1 = text(1, number(1, 1) + text(2, b"s" * 64))
_SEAL_2 = text(1, number(1, 2) + text(2, b"s" * 64))

_STRICT: list[tuple[str, str, bytes]] = [
    ("nothing set", _TRANSACTION, b""),
    ("record", _RECORD, _RESOURCE + text(2, b"subject") + number(3, 1) + number(5, 1) + number(6, 1) + text(7, _HASH)),
    ("transaction", _TRANSACTION, text(1, b"body") + text(2, b"s" * 64) + text(3, b"record") + text(4, b"payload")),
    ("empty element of a repeated field", _TRANSACTION, text(4, b"")),
    ("elements side by side", _SEALS, _SEAL_1 + _SEAL_2),
    ("empty element of a repeated message", _SEALS, text(1, b"")),
    ("member of a oneof at its default", _LOG, text(7, b"")),
    ("message set but empty", _OPERATION, text(1, b"")),
    ("member of a oneof", _OPERATION, _ADD),
    ("largest uint64", _BODY, number(5, 2**64 - 1)),
    ("largest uint32", _BODY, number(7, 2**32 - 1)),
    ("length of two bytes", _RECORD, text(4, b"x" * 128)),
    ("enum value that the schema lacks", _HEAD, number(3, 99)),
    ("negative enum value in ten bytes", _HEAD, number(3, 2**64 - 1)),
    ("largest code point", _RECORD, text(2, b"\xf4\x8f\xbf\xbf")),
    ("zero byte in text", _RECORD, text(2, b"\x00")),
    ("packed", _PACKED, text(1, b"\x01\x02")),
    ("list of numbers", _TERMS, _RESOURCE + text(2, b"\x02\x04\x05") + text(4, b"case") + number(5, 1)),
    ("list of one number", _READ, text(4, b"\x07")),
    ("list of numbers with zeros", _TERMS, text(2, b"\x00\x01\x00")),
    ("list of zero alone", _TERMS, text(2, b"\x00")),
    ("list of numbers in any order, one twice", _STATE, text(4, b"\x03\x01\x03")),
    ("list of numbers of several bytes", _TERMS, text(2, varint(300) + varint(2**32 - 1) + b"\x01")),
    ("list of numbers, in a message in a message", _OPERATION, text(8, text(1, text(2, b"\x01\x02")))),
]

_NOT_STRICT: list[tuple[str, str, bytes]] = [
    ("varint not minimal in a value", _HEAD, number(1, 1, padding=1)),
    ("varint not minimal in a value by many bytes", _HEAD, number(1, 1, padding=8)),
    ("varint not minimal in a length", _RECORD, text(1, b"resource", padding=1)),
    ("varint not minimal in a tag", _HEAD, varint(1 << 3, 1) + b"\x01"),
    ("varint not minimal in a nested message", _SEALS, text(1, number(1, 1, padding=1) + text(2, b"s" * 64))),
    ("varint of eleven bytes", _HEAD, tag(1, VARINT) + b"\xff" * 10 + b"\x01"),
    ("varint above 64 bits", _HEAD, tag(1, VARINT) + b"\xff" * 9 + b"\x02"),
    ("varint cut off", _HEAD, tag(1, VARINT) + b"\x80"),
    ("uint32 above 32 bits", _BODY, number(7, 2**32 + 1)),
    ("bool of 2", _KEY, number(3, 2)),
    ("negative enum value in five bytes", _HEAD, number(3, 2**32 - 1)),
    ("enum value above 32 bits", _HEAD, number(3, 2**32 + 1)),
    ("default number present", _HEAD, number(1, 0)),
    ("default enum value present", _HEAD, number(3, 0)),
    ("default bool present", _KEY, number(3, 0)),
    ("empty bytes present", _RECORD, text(4, b"")),
    ("empty text present", _RECORD, text(1, b"")),
    ("fields out of order", _RECORD, text(2, b"subject") + _RESOURCE),
    ("nested fields out of order", _SEALS, text(1, text(2, b"s" * 64) + number(1, 1))),
    ("field twice", _RECORD, _RESOURCE + _RESOURCE),
    ("number twice", _HEAD, number(1, 1) + number(1, 1)),
    ("message in two parts", _LOG, text(3, number(1, 1)) + text(3, number(2, 1))),
    ("elements apart", _TRANSACTION, text(3, b"r") + text(4, b"p") + text(3, b"r")),
    ("unknown field at the end", _RECORD, _RESOURCE + number(15, 1)),
    ("unknown field before known ones", _TRANSACTION, number(0x1FFF, 1) + text(1, b"body")),
    ("unknown field alone", _TRANSACTION, number(9, 1)),
    ("unknown field in a nested message", _OPERATION, text(1, text(1, text(1, _HASH) + number(2, 1) + number(3, 1)))),
    ("unknown field in a repeated message", _SEALS, text(1, number(1, 1) + text(2, b"s" * 64) + number(9, 1))),
    ("largest field number, unknown", _TRANSACTION, number(2**29 - 1, 1)),
    ("field number zero", _TRANSACTION, number(0, 1)),
    ("field number above the largest", _TRANSACTION, varint(2**32) + b"\x01"),
    ("both members of a oneof", _OPERATION, _ADD + _REVOKE),
    ("both members of a oneof, reversed", _OPERATION, _REVOKE + _ADD),
    ("member of a oneof twice", _OPERATION, _ADD + _ADD),
    ("text not UTF-8", _RECORD, text(1, b"\xff")),
    ("text UTF-8 over-long", _RECORD, text(1, b"\xc0\x80")),
    ("text UTF-8 surrogate", _RECORD, text(1, b"\xed\xa0\x80")),
    ("text UTF-8 beyond the last code point", _RECORD, text(1, b"\xf4\x90\x80\x80")),
    ("text UTF-8 cut off", _RECORD, text(1, b"\xe4\xba")),
    ("repeated text not UTF-8", _FIELD, text(9, b"\xff")),
    ("trailing zero byte", _RECORD, _RESOURCE + b"\x00"),
    ("trailing garbage", _RECORD, _RESOURCE + b"\xde\xad\xbe\xef"),
    ("tag without a value", _RECORD, _RESOURCE + tag(2, BYTES)),
    ("length beyond the end", _RECORD, tag(1, BYTES) + b"\x09resource"),
    ("length of 2 GiB", _RECORD, tag(1, BYTES) + varint(2**31 - 1) + b"resource"),
    ("length of 2^64 - 1", _RECORD, tag(1, BYTES) + varint(2**64 - 1) + b"resource"),
    ("nested length beyond its message", _SEALS, text(1, number(1, 1) + tag(2, BYTES) + b"\x41" + b"s" * 64)),
    ("group", _RECORD, tag(1, START_GROUP) + tag(1, END_GROUP)),
    ("unknown group", _RECORD, tag(9, START_GROUP) + number(1, 1) + tag(9, END_GROUP)),
    ("unknown groups, 200 deep", _RECORD, tag(9, START_GROUP) * 200 + tag(9, END_GROUP) * 200),
    ("unknown groups, 2000 deep and never ended", _RECORD, tag(9, START_GROUP) * 2000),
    ("end of a group that never began", _RECORD, tag(9, END_GROUP)),
    ("wire type 6", _RECORD, tag(9, 6)),
    ("number as bytes", _HEAD, text(1, b"\x01")),
    ("number as fixed64", _HEAD, tag(1, FIXED64) + (1).to_bytes(8, "little")),
    ("number as fixed32", _HEAD, tag(1, FIXED32) + (1).to_bytes(4, "little")),
    ("bytes as number", _RECORD, number(1, 1)),
    ("packed field unpacked", _PACKED, number(1, 1) + number(1, 2)),
    ("packed field in two parts", _PACKED, text(1, b"\x01") + text(1, b"\x02")),
    ("packed field empty", _PACKED, text(1, b"")),
    ("packed field with a varint not minimal", _PACKED, text(1, b"\x81\x00")),
    ("packed field cut off", _PACKED, text(1, b"\x80")),
    ("list of numbers empty", _TERMS, _RESOURCE + text(2, b"")),
    ("list of numbers split in two", _TERMS, text(2, b"\x02") + text(2, b"\x04\x05")),
    ("list of numbers split in two, one part empty", _TERMS, text(2, b"\x02\x04") + text(2, b"")),
    ("list of numbers split by another field", _TERMS, text(2, b"\x02") + text(4, b"case") + text(2, b"\x04")),
    ("list of numbers not packed", _TERMS, number(2, 2) + number(2, 4)),
    ("list of one number not packed", _READ, number(4, 7)),
    ("list of numbers in part not packed", _TERMS, text(2, b"\x02") + number(2, 4)),
    ("list of numbers with a varint not minimal", _TERMS, text(2, b"\x02\x84\x00")),
    ("list of numbers with a zero not minimal", _TERMS, text(2, b"\x80\x00")),
    ("list of numbers with a length not minimal", _TERMS, text(2, b"\x02", padding=1)),
    ("list of numbers cut off", _TERMS, text(2, b"\x02\x84")),
    ("list of numbers with a number above 32 bits", _TERMS, text(2, varint(2**32))),
    ("list of numbers with a number above 64 bits", _TERMS, text(2, b"\xff" * 9 + b"\x02")),
    ("list of numbers longer than its message", _TERMS, tag(2, BYTES) + b"\x03\x02\x04"),
    ("list of numbers after a later field", _TERMS, text(4, b"case") + text(2, b"\x02")),
    ("list of numbers split, in a message in a message", _OPERATION, text(8, text(1, text(2, b"\x01") * 2))),
    ("unpacked field packed", _FIELD, text(7, b"\x01")),
]


def _strict_form() -> dict[str, object]:
    cases = [
        {"name": name, "message": message, "bytes": data.hex(), "strict": strict}
        for strict, group in ((True, _STRICT), (False, _NOT_STRICT))
        for name, message, data in group
    ]
    return {"about": "Encodings in strict form, and others named after what is wrong.", "rule": "B2", "cases": cases}


VECTORS = {"strict_form.json": _strict_form}

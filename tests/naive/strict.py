"""Rule B2 of docs/protocol.md, read off the wire byte by byte: slow, and apart from protobuf's own serializer."""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor, FieldDescriptor

_VARINT_32 = {FieldDescriptor.TYPE_UINT32}
_VARINT_64 = {FieldDescriptor.TYPE_UINT64}
_SIGNED = {FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_ENUM}
_LENGTH = {FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE}


class NotStrictError(Exception):
    """Why, in a few words."""


def check(descriptor: Descriptor, data: bytes) -> None:
    """Raise NotStrictError unless the bytes are the strict form of a message. Knows the field types of the schema."""
    position, previous, oneofs = 0, 0, set[str]()
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        field = descriptor.fields_by_number.get(number)
        if field is None or tag >= 2**32:
            raise NotStrictError("unknown field")
        if number < previous or (number == previous and (not field.is_repeated or field.is_packed)):
            raise NotStrictError("order")
        previous = number
        if field.containing_oneof:
            if field.containing_oneof.name in oneofs:
                raise NotStrictError("two members of a oneof")
            oneofs.add(field.containing_oneof.name)
        position = _value(field, wire, data, position)


def _value(field: FieldDescriptor, wire: int, data: bytes, position: int) -> int:
    if wire == 0 and field.type not in _LENGTH and not field.is_packed:
        value, position = _varint(data, position)
        _check_number(field, value)
        return position
    if wire != 2 or not (field.type in _LENGTH or field.is_packed):
        raise NotStrictError("wire type")
    length, position = _varint(data, position)
    content = data[position : position + length]
    if len(content) != length:
        raise NotStrictError("truncated")
    if field.is_packed:
        _check_packed(field, content)
    elif field.message_type is not None:
        check(field.message_type, content)
    else:
        _check_content(field, content)
    return position + length


def _check_number(field: FieldDescriptor, value: int) -> None:
    if value == 0 and not field.has_presence and not field.is_repeated:
        raise NotStrictError("default value")
    if field.type == FieldDescriptor.TYPE_BOOL:
        limit_fits = value <= 1
    elif field.type in _VARINT_32:
        limit_fits = value < 2**32
    elif field.type in _VARINT_64 or field.type == FieldDescriptor.TYPE_INT64:
        limit_fits = value < 2**64
    elif field.type in _SIGNED:
        limit_fits = value < 2**31 or 2**64 - 2**31 <= value < 2**64
    else:
        raise NotImplementedError(field.full_name)
    if not limit_fits:
        raise NotStrictError("out of range")


def _check_packed(field: FieldDescriptor, content: bytes) -> None:
    if not content:
        raise NotStrictError("default value")
    position = 0
    while position < len(content):
        value, position = _varint(content, position)
        _check_number(field, value)


def _check_content(field: FieldDescriptor, content: bytes) -> None:
    if not content and not field.has_presence and not field.is_repeated:
        raise NotStrictError("default value")
    if field.type == FieldDescriptor.TYPE_STRING:
        try:
            content.decode("utf-8")
        except UnicodeDecodeError:
            raise NotStrictError("UTF-8") from None


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise NotStrictError("truncated")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:
                raise NotStrictError("varint not minimal")
            return value, position
    raise NotStrictError("varint too long")

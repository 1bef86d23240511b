"""Strict form: the one encoding of a message (docs/protocol.md B2)."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from ledger.errors import Code, HuzhengError

M = TypeVar("M", bound=Message)


def read(message_type: type[M], data: bytes) -> M:
    """Parse bytes that are in strict form.

    Protobuf's deterministic serializer writes the strict form, so whatever differs from what it writes back is
    not strict. Memory use is bounded by a constant times the size of `data`; the caller limits that size.

    Raises:
        HuzhengError: NOT_STRICT, the detail being the message type's name.
    """
    message = message_type()
    try:
        message.ParseFromString(data)
    except (DecodeError, UnicodeDecodeError, RecursionError):  # the last two by protobuf's pure-Python backend
        raise HuzhengError(Code.NOT_STRICT, message_type.DESCRIPTOR.name) from None
    # Unknown fields would be written back as they came.
    message.DiscardUnknownFields()
    if message.SerializeToString(deterministic=True) != data:
        raise HuzhengError(Code.NOT_STRICT, message_type.DESCRIPTOR.name)
    return message


def write(message: Message) -> bytes:
    """The message's strict form."""
    return message.SerializeToString(deterministic=True)

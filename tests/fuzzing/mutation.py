"""Changes messages where they are messages: field by field, and inside of the bytes that hold another message (docs/protocol.md B1)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from huzheng.v1 import block_pb2, genesis_pb2, membership_pb2, state_pb2, statement_pb2, transaction_pb2

from tests.fuzzing.wire import loosen, mangle

CARRIED: dict[str, type[Message]] = {
    "header": block_pb2.BlockHeader,
    "old_header": block_pb2.BlockHeader,
    "other_header": block_pb2.BlockHeader,
    "certificate": block_pb2.Certificate,
    "old_certificate": block_pb2.Certificate,
    "other_certificate": block_pb2.Certificate,
    "body": transaction_pb2.TransactionBody,
    "result": transaction_pb2.TransactionResult,
    "record": transaction_pb2.Record,
    "payload": transaction_pb2.Payload,
    "head": state_pb2.Head,
    "change": membership_pb2.MembershipChange,
    "replica": genesis_pb2.Replica,
    "receipt": block_pb2.Receipt,
    "catalogue": statement_pb2.Statement,
}
"""What fields of bytes with these names hold."""

_TEXTS = ("", "\0", "a", "demo", "demo\0AB1234", "\u200b", "地块", "\U0001f600", "x" * 300, "-0", "0" * 40)
_LENGTHS = (0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 1_000)
_COUNTS = (2, 2, 3, 40, 300)
_KEPT_DONORS = 200


def inner_type(field: FieldDescriptor) -> type[Message] | None:
    """The type of what is inside of a field, if that is a message."""
    if field.message_type is not None:
        return GetMessageClass(field.message_type)
    return CARRIED.get(field.name) if field.type == FieldDescriptor.TYPE_BYTES else None


def carried(message: Message) -> Iterator[tuple[type[Message], bytes]]:
    """All messages that are inside of bytes, however deep, with their types."""
    for field, value in message.ListFields():
        inner = inner_type(field)
        if inner is None:
            continue
        for item in value if field.is_repeated else (value,):
            if isinstance(item, Message):
                yield from carried(item)
                continue
            yield inner, item
            try:
                yield from carried(inner.FromString(item))
            except DecodeError:
                continue


def write(message: Message) -> bytes:
    """The strict form, unless there are unknown fields."""
    return message.SerializeToString(deterministic=True)


class Mutator:
    """Knows what values there are for each field, from messages to start with."""

    def __init__(self, seeds: Iterable[tuple[type[Message], bytes]]) -> None:
        self._donors: dict[str, list[Any]] = {}
        for message_type, raw in seeds:
            try:
                self._learn(message_type.FromString(raw))
            except DecodeError:
                continue

    def _learn(self, message: Message) -> None:
        for field, value in message.ListFields():
            known = self._donors.setdefault(field.full_name, [])
            for item in value if field.is_repeated else (value,):
                if item not in known and len(known) < _KEPT_DONORS:
                    known.append(item)
                inner = inner_type(field)
                if inner is not None:
                    self._learn(item if isinstance(item, Message) else _parsed(inner, item))

    def mutate(self, message_type: type[Message], raw: bytes, dice: random.Random) -> bytes:
        """Something like the message, but not quite."""
        try:
            message = message_type.FromString(raw)
        except DecodeError:
            return mangle(raw, dice)
        if dice.random() < 0.08:
            return mangle(raw, dice)
        for _ in range(dice.choice((1, 1, 1, 2, 2, 3, 5))):
            self.change(message, dice)
        return self._written(message, dice)

    def _written(self, message: Message, dice: random.Random) -> bytes:
        raw = write(message)
        return loosen(raw, dice) if dice.random() < 0.08 else raw

    def change(self, message: Message, dice: random.Random) -> None:
        """One change, somewhere inside."""
        present: list[FieldDescriptor] = [field for field, _ in message.ListFields()]
        fields: Sequence[Any] = message.DESCRIPTOR.fields
        if not fields:
            return
        field: FieldDescriptor = dice.choice(present if present and dice.random() < 0.9 else fields)
        if field.is_repeated:
            self._change_list(message, field, dice)
        elif field in present and inner_type(field) is not None and dice.random() < 0.85:
            value = getattr(message, field.name)
            if isinstance(value, Message):
                self.change(value, dice)
            else:
                setattr(message, field.name, self._inside(field, value, dice))
        elif field.message_type is not None:
            self._replace_message(message, field, dice)
        else:
            setattr(message, field.name, self._scalar(field, getattr(message, field.name), dice))

    def _inside(self, field: FieldDescriptor, raw: bytes, dice: random.Random) -> bytes:
        """Bytes that hold a message, changed in there."""
        inner = inner_type(field)
        if inner is None:
            return mangle(raw, dice)
        try:
            message = inner.FromString(raw)
        except DecodeError:
            return mangle(raw, dice)
        self.change(message, dice)
        return self._written(message, dice)

    def _replace_message(self, message: Message, field: FieldDescriptor, dice: random.Random) -> None:
        message.ClearField(field.name)
        way = dice.randrange(3)
        if way and (donor := self._donor(field, dice)) is not None:
            getattr(message, field.name).CopyFrom(donor)
        elif way:
            getattr(message, field.name).SetInParent()

    def _change_list(self, message: Message, field: FieldDescriptor, dice: random.Random) -> None:
        items = getattr(message, field.name)
        if items and dice.random() < 0.7:
            place = dice.randrange(len(items))
            if field.message_type is not None:
                self.change(items[place], dice)
            else:
                items[place] = self._scalar(field, items[place], dice)
            return
        changed = self._rearranged(list(items), field, dice)
        del items[:]
        items.extend(changed)

    def _rearranged(self, items: list[Any], field: FieldDescriptor, dice: random.Random) -> list[Any]:
        way = dice.randrange(5) if items else 4
        if way == 0:
            del items[dice.randrange(len(items))]
        elif way == 1:
            items[dice.randint(0, len(items)) :] = []
        elif way == 2:
            items += [dice.choice(items)] * dice.choice(_COUNTS)
        elif way == 3:
            dice.shuffle(items)
        elif (donor := self._donor(field, dice)) is not None:
            items.insert(dice.randint(0, len(items)), donor)
        return items

    def _donor(self, field: FieldDescriptor, dice: random.Random) -> Any:
        known = self._donors.get(field.full_name)
        return dice.choice(known) if known else None

    def _scalar(self, field: FieldDescriptor, value: Any, dice: random.Random) -> Any:
        donor = self._donor(field, dice)
        if donor is not None and dice.random() < 0.4:
            return donor
        if isinstance(value, bool):
            return not value
        if isinstance(value, int):
            return _number(field, value, dice)
        if isinstance(value, str):
            return _text(value, dice)
        if inner_type(field) is not None and dice.random() < 0.5:
            return self._inside(field, value, dice)
        return _bytes(value, dice)


def _parsed(message_type: type[Message], raw: bytes) -> Message:
    try:
        return message_type.FromString(raw)
    except DecodeError:
        return message_type()


def _number(field: FieldDescriptor, value: int, dice: random.Random) -> int:
    if field.type == FieldDescriptor.TYPE_ENUM:
        return dice.choice((0, 1, 2, 3, value + 1 if value < 1_000 else 0, 99, 2**31 - 1, -1, -(2**31)))
    limit = 2**32 if field.type == FieldDescriptor.TYPE_UINT32 else 2**64
    near = value + dice.choice((-2, -1, 1, 2, 16, 256))
    return dice.choice((0, 1, near, near, value << 1, 255, 256, limit >> 1, limit - 1, dice.randrange(limit))) % limit


def _text(value: str, dice: random.Random) -> str:
    place = dice.randint(0, len(value))
    more = dice.choice(_TEXTS)
    return dice.choice((more, value[:place], value[:place] + more + value[place:], value.swapcase(), value + more))


def _bytes(value: bytes, dice: random.Random) -> bytes:
    if dice.random() < 0.7:
        return mangle(value, dice)
    length = dice.choice(_LENGTHS)
    return dice.choice((bytes(length), b"\xff" * length, dice.randbytes(length), value[:length], value.ljust(length)))

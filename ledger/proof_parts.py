"""Receipts, disclosures, statements and proofs of history taken apart: every field as it travels, for whoever wants to follow a proof by hand.

Checks nothing but the strict form: `ledger.receipt`, `ledger.disclosure`, `ledger.statement` and `ledger.history` verify.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from huzheng.v1 import block_pb2, disclosure_pb2, history_pb2, state_pb2, statement_pb2, transaction_pb2

from ledger.crypto import strict
from ledger.disclosure import is_disclosure
from ledger.errors import Code, HuzhengError
from ledger.state_entry import StateEntry, read_entry

_WITHIN: Mapping[str, type[Message]] = {
    "header": block_pb2.BlockHeader,
    "old_header": block_pb2.BlockHeader,
    "other_header": block_pb2.BlockHeader,
    "certificate": block_pb2.Certificate,
    "old_certificate": block_pb2.Certificate,
    "other_certificate": block_pb2.Certificate,
    "body": transaction_pb2.TransactionBody,
    "result": transaction_pb2.TransactionResult,
    "head": state_pb2.Head,
    "payload": transaction_pb2.Payload,
    "receipt": block_pb2.Receipt,
    "catalogue": statement_pb2.Statement,
}
"""What the bytes fields of proofs hold. `record` is a Record where it is bytes, and a message elsewhere."""
_KINDS: tuple[type[Message], ...] = (
    statement_pb2.Statement,
    block_pb2.Receipt,
    # Only the genesis block has no certificate and, under block 1, no path: else a fork could be read as a proof of history.
    history_pb2.Fork,
    history_pb2.HistoryProof,
    history_pb2.Anchor,
    statement_pb2.EpochBundle,
)
_TELLING = {
    "Statement": ("leaves", "entries"),
    "Receipt": ("result",),
    "HistoryProof": ("old_header",),
    "Fork": ("other_certificate",),
}
"""Fields of which a message of this kind always has one."""


def read_proof(raw: bytes) -> Message:
    """A proof, whichever kind it is. Raises HuzhengError(NOT_STRICT) if it is none."""
    # Without fields it could be read as an anchor.
    if is_disclosure(raw):
        return strict.read(disclosure_pb2.Disclosure, raw)
    for kind in _KINDS:
        try:
            message = strict.read(kind, raw)
        except HuzhengError:
            continue
        telling = _TELLING.get(kind.DESCRIPTOR.name)
        if raw and (telling is None or any(getattr(message, name) for name in telling)):
            return message
    raise HuzhengError(Code.NOT_STRICT, "neither a receipt nor a disclosure nor a statement nor a proof of history")


def part_sizes(message: Message) -> dict[str, int]:
    """Bytes of each field of a proof, with the bytes that tell fields apart; together they are the whole file."""
    sizes = {}
    for field, _ in message.ListFields():
        alone = type(message)()
        alone.MergeFrom(message)
        for other, _ in message.ListFields():
            if other.name != field.name:
                alone.ClearField(other.name)
        sizes[field.name] = alone.ByteSize()
    return sizes


def to_dict(message: Message) -> dict[str, Any]:
    """All fields that are set: bytes in hex, or taken apart where they hold a message in strict form; enums by name."""
    fields = {field.name: _value(field, value) for field, value in message.ListFields()}
    if isinstance(message, statement_pb2.EntryProof):
        fields["says"] = entry_to_dict(read_entry(message.key, message.value or None))
    return fields


def entry_to_dict(entry: StateEntry) -> dict[str, Any]:
    """An entry of the state, with its kind and what its key names; `state` is null where it is not there, or can't be read."""
    return {"kind": entry.kind, **entry.about, "state": None if entry.value is None else to_dict(entry.value)}


def _value(field: FieldDescriptor, value: Any) -> Any:
    if field.is_repeated:
        return [_single(field, item) for item in value]
    return _single(field, value)


def _single(field: FieldDescriptor, value: Any) -> Any:
    if isinstance(value, Message):
        return to_dict(value)
    if isinstance(value, bytes):
        return _bytes(field.name, value)
    if field.enum_type is not None:
        named = field.enum_type.values_by_number.get(value)
        return value if named is None else named.name
    return value


def _bytes(name: str, value: bytes) -> Any:
    kind = transaction_pb2.Record if name == "record" else _WITHIN.get(name)
    if kind is None:
        return value.hex()
    try:
        return to_dict(strict.read(kind, value))
    except HuzhengError:
        return value.hex()

"""Strict form (docs/protocol.md B2): vectors, and the same verdict as a byte by byte reading of the rule."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
from huzheng.v1 import (
    block_pb2,
    catalogue_pb2,
    consensus_pb2,
    disclosure_pb2,
    genesis_pb2,
    sharing_pb2,
    state_pb2,
    transaction_pb2,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.crypto import strict
from ledger.errors import Code, HuzhengError
from tests.naive import strict as naive
from tests.vectors import load

SCHEMA = (
    block_pb2,
    catalogue_pb2,
    consensus_pb2,
    disclosure_pb2,
    genesis_pb2,
    sharing_pb2,
    state_pb2,
    transaction_pb2,
)
SOURCE = descriptor_pb2.SourceCodeInfo  # imported for its packed field of signed numbers: our own schema has none
CASES = load("strict_form.json")["cases"]


def _message_type(name: str) -> type[Message]:
    return message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))


def _is_strict(message_type: type[Message], data: bytes) -> bool:
    try:
        strict.read(message_type, data)
    except HuzhengError as error:
        assert error.code == Code.NOT_STRICT
        assert error.detail == message_type.DESCRIPTOR.name
        return False
    return True


def _follows_the_rule(message_type: type[Message], data: bytes) -> bool:
    descriptor: Any = message_type.DESCRIPTOR
    try:
        naive.check(descriptor, data)
    except naive.NotStrictError:
        return False
    return True


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_vectors(case: dict[str, Any]) -> None:
    message_type, data = _message_type(case["message"]), bytes.fromhex(case["bytes"])
    assert _is_strict(message_type, data) == case["strict"]
    assert _follows_the_rule(message_type, data) == case["strict"]


SEEDS = [(case["message"], bytes.fromhex(case["bytes"])) for case in CASES if case["message"].startswith("huzheng.v1.")]


@st.composite
def _mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    name, data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(data)))
        cut = draw(st.integers(0, 3))
        put = draw(st.one_of(st.binary(max_size=3), st.sampled_from([data[:20], data[place : place + 40]])))
        data = data[:place] + put + data[place + cut :]
    return name, data


@given(_mutated())
@settings(max_examples=1000, deadline=None)
def test_same_verdict_as_the_rule_read_byte_by_byte(named: tuple[str, bytes]) -> None:
    name, data = named
    assert _is_strict(_message_type(name), data) == _follows_the_rule(_message_type(name), data)


@given(st.sampled_from(SEEDS), st.binary(max_size=60))
@example(SEEDS[0], b"\x08\x01")
@settings(max_examples=300, deadline=None)
def test_what_is_read_is_written_back_to_the_byte(seed: tuple[str, bytes], data: bytes) -> None:
    message_type = _message_type(seed[0])
    for candidate in (seed[1], data):
        if _is_strict(message_type, candidate):
            assert strict.write(strict.read(message_type, candidate)) == candidate


def test_every_field_type_of_the_schema_is_known_to_the_reading_of_the_rule() -> None:
    known = {"TYPE_UINT32", "TYPE_UINT64", "TYPE_BOOL", "TYPE_ENUM", "TYPE_BYTES", "TYPE_STRING", "TYPE_MESSAGE"}
    names = {value: name for name, value in vars(type(_fields()[0])).items() if name.startswith("TYPE_")}
    assert {names[field.type] for field in _fields()} <= known


def _fields() -> list[Any]:
    messages = [message for module in SCHEMA for message in module.DESCRIPTOR.message_types_by_name.values()]
    return [field for message in messages for field in message.fields]


def test_nothing_that_is_signed_can_nest_without_bound() -> None:
    def depth(descriptor: Any, seen: tuple[str, ...]) -> int:
        assert descriptor.full_name not in seen
        below = [
            depth(field.message_type, (*seen, descriptor.full_name))
            for field in descriptor.fields
            if field.message_type
        ]
        return 1 + max(below, default=0)

    messages = [message for module in SCHEMA for message in module.DESCRIPTOR.message_types_by_name.values()]
    assert max(depth(message, ()) for message in messages) < 20


@pytest.mark.parametrize("size", [10**5, 3 * 10**6])
@pytest.mark.parametrize("filler", [b"\x0a\x00", b"\x4b", b"\x4b\x4c", b"\x80", b"\xff", b"\x00"])
def test_hostile_fillers_are_refused_without_a_traceback(filler: bytes, size: int) -> None:
    assert not _is_strict(transaction_pb2.Record, filler * (size // len(filler)))

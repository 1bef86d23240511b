"""Answers to reads: opened by the key of their read alone, and believed only if they are about what was asked for (docs/protocol.md G7)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from huzheng.v1 import disclosure_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto import strict
from ledger.disclosure import build_disclosure
from ledger.errors import Code, HuzhengError
from node.sharing.sealing import AskedFor, ReaderKey, open_answer, seal
from tests.confidential import (
    NOTE,
    OWNER,
    PRICE,
    SHARE,
    VALUES,
    consortium,
    dwelling_record,
    receipt_of,
)

CONSORTIUM = consortium()
KEY = ReaderKey.new()
RECORD = dwelling_record(CONSORTIUM)
ASKED = AskedFor(b"r" * 32, RECORD.id, (OWNER, SHARE))
RECEIPT = receipt_of(CONSORTIUM, RECORD)


def disclosure(*numbers: int) -> bytes:
    return build_disclosure(CONSORTIUM.genesis, RECEIPT, RECORD.secrets, numbers)


def answer(content: bytes, read: bytes = ASKED.read_id, key: ReaderKey = KEY) -> bytes:
    return seal(strict.write(disclosure_pb2.ReadAnswer(read=read, disclosure=content)), key.public)


SEALED = answer(disclosure(OWNER, SHARE))


def code_of(sealed: bytes, key: ReaderKey = KEY, asked: AskedFor = ASKED) -> Code:
    with pytest.raises(HuzhengError) as caught:
        open_answer(CONSORTIUM.genesis, sealed, key, asked)
    assert not any(value in str(caught.value) for value in VALUES.values())
    return caught.value.code


def test_the_reader_gets_the_disclosure_and_what_it_proves() -> None:
    raw, verdict = open_answer(CONSORTIUM.genesis, SEALED, KEY, ASKED)
    assert raw == disclosure(OWNER, SHARE)
    assert verdict.values == {OWNER: VALUES["OWNER"], SHARE: ""}


def test_nobody_else_can_open_it_and_no_two_look_alike() -> None:
    assert code_of(SEALED, ReaderKey.new()) is Code.BAD_ANSWER
    assert VALUES["OWNER"].encode() not in SEALED
    assert answer(disclosure(OWNER, SHARE)) != SEALED


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_each_changed_byte_is_noticed(at: int, change: int) -> None:
    assert code_of(SEALED[:at] + bytes([SEALED[at] ^ change]) + SEALED[at + 1 :]) is Code.BAD_ANSWER


@pytest.mark.parametrize("length", [0, 1, 31, 47, 48, len(SEALED) - 1])
def test_each_cut_is_noticed(length: int) -> None:
    assert code_of(SEALED[:length]) is Code.BAD_ANSWER


def test_the_answer_to_another_read_with_the_same_key_is_not_taken() -> None:
    assert code_of(answer(disclosure(OWNER, SHARE), read=b"s" * 32)) is Code.BAD_ANSWER
    assert code_of(answer(disclosure(OWNER, SHARE), read=b"")) is Code.BAD_ANSWER


@pytest.mark.parametrize("numbers", [(), (OWNER,), (SHARE,), (OWNER, PRICE), (OWNER, NOTE, SHARE)])
def test_other_fields_than_were_asked_for_are_not_taken(numbers: tuple[int, ...]) -> None:
    assert code_of(answer(disclosure(*numbers))) is Code.BAD_ANSWER


def test_another_record_than_the_one_that_was_read_is_not_taken() -> None:
    """It may be an older version about the same subject, just as genuine (G6)."""
    assert code_of(SEALED, asked=replace(ASKED, record_id=b"o" * 32)) is Code.BAD_ANSWER


def test_fields_that_the_record_s_schema_version_lacks_are_left_out_and_may_be_all() -> None:
    later = replace(ASKED, fields=(OWNER, SHARE, 100))
    assert open_answer(CONSORTIUM.genesis, SEALED, KEY, later)[1].values == {OWNER: VALUES["OWNER"], SHARE: ""}
    none = replace(ASKED, fields=(100, 101))
    assert open_answer(CONSORTIUM.genesis, answer(disclosure()), KEY, none)[1].values == {}


def test_values_that_the_record_does_not_commit_to_are_not_taken() -> None:
    message = strict.read(disclosure_pb2.Disclosure, disclosure(OWNER, SHARE))
    message.fields[0].value = "李四"
    assert code_of(answer(strict.write(message))) is Code.BAD_PROOF


@pytest.mark.parametrize("public_key", [bytes(32), b"\x01" + bytes(31), bytes(31), bytes(33), b""])
def test_nothing_is_sealed_to_a_key_that_nobody_can_have(public_key: bytes) -> None:
    with pytest.raises(HuzhengError) as caught:
        seal(b"message", public_key)
    assert caught.value.code is Code.BAD_OPERATION


def test_no_repr_shows_a_reader_s_secret_key() -> None:
    assert KEY.secret.hex() not in repr(KEY)
    assert repr(KEY.secret) not in repr(KEY)

"""The texts of printed codes: a statement's parts and back, and nothing else (docs/protocol.md Q7)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import base45
import pytest
from huzheng.v1 import statement_pb2
from hypothesis import given
from hypothesis import strategies as st

from ledger.crypto import strict
from ledger.errors import Code, HuzhengError
from ledger.statement import verify_statement
from node.certificate.codes import MAX_CODE_CHARACTERS, MAX_PART_BYTES, from_codes, to_codes
from tests.certificates import ALL_FIELDS, Property

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Property]:
    made = Property(tmp_path_factory.mktemp("codes") / "db", ALL_FIELDS)
    yield made
    made.store.close()


def text_of(part: bytes) -> str:
    encoded: bytes = base45.b45encode(part)
    return "HZ1:" + encoded.decode()


def refusal(*texts: str) -> str:
    """Why texts are no statement's codes."""
    with pytest.raises(HuzhengError) as caught:
        from_codes(texts)
    assert caught.value.code is Code.BAD_FILE
    return caught.value.detail


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581"), (b"ietf!", "QED8WEX0")],
)
def test_base45_is_that_of_rfc_9285(content: bytes, text: str) -> None:
    assert base45.b45encode(content).decode() == text
    assert base45.b45decode(text.encode()) == content


def test_a_statement_comes_back_from_its_codes_in_any_order(owned: Property) -> None:
    raw = owned.statement()
    codes = to_codes(raw)
    assert len(codes) == 2
    assert all(set(code) <= set(ALPHABET) for code in codes)
    for order in permutations(codes):
        assert from_codes(order) == raw


def test_the_first_code_is_a_statement_by_itself(owned: Property) -> None:
    raw = owned.statement()
    first = from_codes(to_codes(raw)[:1])
    assert first == owned.statement(with_records=False)
    assert verify_statement(first, owned.genesis).answers.keys() == verify_statement(raw, owned.genesis).answers.keys()


def test_one_without_records_has_one_code(owned: Property) -> None:
    raw = owned.statement(with_records=False)
    [code] = to_codes(raw)
    assert from_codes([code]) == raw


def test_proofs_of_epochs_are_not_printed(owned: Property) -> None:
    raw = owned.statement()
    with_epochs = statement_pb2.Statement.FromString(raw)
    with_epochs.epochs.add(header=bytes(5_000))
    assert from_codes(to_codes(strict.write(with_epochs))) == raw


def test_what_does_not_fit_into_a_code_is_refused() -> None:
    def with_header(size: int) -> bytes:
        return strict.write(statement_pb2.Statement(header=bytes(size)))

    largest = with_header(MAX_PART_BYTES - 3)
    assert len(largest) == MAX_PART_BYTES
    [code] = to_codes(largest)
    assert len(code) <= MAX_CODE_CHARACTERS
    assert from_codes([code]) == largest
    with pytest.raises(HuzhengError) as caught:
        to_codes(with_header(MAX_PART_BYTES - 2))
    assert caught.value.code is Code.TOO_LARGE


def test_only_a_statement_in_strict_form_is_printed(owned: Property) -> None:
    with pytest.raises(HuzhengError) as caught:
        to_codes(owned.statement() + b"\x0a\x00")
    assert caught.value.code is Code.NOT_STRICT


def test_codes_that_do_not_fit_together_are_refused(owned: Property) -> None:
    first, second = to_codes(owned.statement())
    [other_first] = to_codes(owned.among(16))[:1]
    assert "same part" in refusal(first, other_first, second)
    assert "same part" in refusal(first, first)
    assert "same part" in refusal(first, second, second)
    assert "missing" in refusal(second)
    assert "missing" in refusal()


def test_the_records_of_another_statement_prove_nothing(owned: Property, tmp_path: Path) -> None:
    other = Property(tmp_path / "db", mortgaged=False)
    first, second = to_codes(owned.statement())[0], to_codes(other.statement())[1]
    with pytest.raises(HuzhengError) as caught:
        verify_statement(from_codes([first, second]), owned.genesis)
    assert caught.value.code is Code.BAD_PROOF
    other.store.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "HZ1:",
        "HZ1",
        "HZ2:BB8",
        "hz1:BB8",
        " HZ1:BB8",
        "BB8",
        "https://example.org/",
        "HZ1:B",
        "HZ1:BB8B",
        "HZ1:bb8",
        "HZ1:BB8\n",
        "HZ1:\nBB8",
        "HZ1:BB8=",
        "HZ1:GGW",
        "HZ1::::",
        "HZ1:::",
        "HZ1:不动产",
        "HZ1:BB8\0",
        "HZ1:\ud800",
        "HZ1:" + "BB8" * 2_000,
    ],
)
def test_a_text_that_is_none_of_ours_is_refused_and_not_repeated(owned: Property, text: str) -> None:
    first = to_codes(owned.statement())[0]
    detail = refusal(first, text)
    assert "code" in detail
    assert len(text) < 5 or text not in detail


@given(st.text(alphabet=ALPHABET, max_size=60))
def test_no_two_texts_are_read_as_the_same(text: str) -> None:
    """So a code can't be altered without altering what it holds."""
    try:
        joined = from_codes([text_of(b"\x0a"), "HZ1:" + text])
    except HuzhengError as error:
        assert error.code is Code.BAD_FILE
        return
    part = joined[1:] if joined[0] == 0x0A else joined[:-1]
    assert text_of(part) == "HZ1:" + text


@given(st.binary(max_size=40))
def test_any_bytes_that_start_as_a_statement_come_back(rest: bytes) -> None:
    assert from_codes([text_of(b"\x0a" + rest)]) == b"\x0a" + rest


@pytest.mark.parametrize("siblings", [20, 21], ids=["a million", "two million"])
def test_among_a_million_keys_a_part_has_at_most_1500_bytes(owned: Property, siblings: int) -> None:
    """With four replicas, every field of the ownership, a mortgage, and a notice that was withdrawn."""
    raw = owned.among(siblings)
    proof = from_codes(to_codes(raw)[:1])
    assert 1_400 < len(proof) <= 1_500
    assert 900 < len(raw) - len(proof) <= 1_000

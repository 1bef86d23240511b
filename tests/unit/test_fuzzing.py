"""The fuzzer's readers over some thousand inputs that are always the same, without the fuzzer: see scripts/fuzz."""

from __future__ import annotations

from collections import Counter

import pytest
from google.protobuf.message import DecodeError, Message
from huzheng.v1 import statement_pb2

from ledger.catalogue import CompiledResource
from ledger.crypto import strict
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.proven_record import ProvenRecord
from ledger.published import compiled
from tests.fuzzing.targets import TARGETS, VALID, FuzzFailure, inputs

INPUTS = 2_500
MET = {
    "receipt": "NOT_STRICT WRONG_CHAIN PROTOCOL_UNKNOWN EPOCH_UNKNOWN BAD_CERTIFICATE BAD_PROOF BAD_SIGNATURE UNKNOWN_FIELD",
    "statement": "TOO_LARGE NOT_STRICT WRONG_CHAIN PROTOCOL_UNKNOWN EPOCH_UNKNOWN BAD_CERTIFICATE BAD_PROOF",
    "disclosure": "NOT_STRICT WRONG_CHAIN PROTOCOL_UNKNOWN EPOCH_UNKNOWN BAD_CERTIFICATE BAD_PROOF BAD_SIGNATURE UNKNOWN_FIELD "
    "SCHEMA_UNKNOWN BAD_FIELD MISSING_FIELD",
    "history": "TOO_LARGE NOT_STRICT WRONG_CHAIN PROTOCOL_UNKNOWN EPOCH_UNKNOWN BAD_CERTIFICATE BAD_PROOF",
    "anchor": "TOO_LARGE NOT_STRICT WRONG_CHAIN PROTOCOL_UNKNOWN EPOCH_UNKNOWN BAD_CERTIFICATE BAD_PROOF",
    "fork": "NOT_STRICT WRONG_CHAIN PROTOCOL_UNKNOWN EPOCH_UNKNOWN BAD_CERTIFICATE BAD_PROOF",
    "genesis": "BAD_GENESIS SUITE_UNKNOWN SUITE_REFUSED BAD_CATALOGUE",
    "strict": "NOT_STRICT",
}
"""What the inputs must meet, or they are no test."""


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_refuses_as_it_says_and_accepts_what_is_proved(name: str) -> None:
    said = Counter(map(TARGETS[name].check, inputs(TARGETS[name], seed=1, count=INPUTS)))
    assert said.keys() >= {VALID, *MET[name].split()}


def lax_read(message_type: type[Message], data: bytes) -> Message:
    """As `strict.read`, of any encoding."""
    try:
        return message_type.FromString(data)
    except DecodeError:
        raise HuzhengError(Code.NOT_STRICT) from None


def nothing(*_: object) -> None:
    """A check that is not made."""


def refuse_strangely(*_: object) -> None:
    """With a code that no verifier has."""
    raise HuzhengError(Code.STORE_LOCKED)


class Anywhere:
    """Equals every root."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


def proved_by_the_first_entry(statement: bytes) -> CompiledResource:
    """Whatever else the statement says."""
    return compiled(strict.read(statement_pb2.Statement, statement).entries[0].value)


def proved_or_known(genesis: Genesis, record: ProvenRecord, proved: CompiledResource | None) -> CompiledResource:
    """Whether or not a proof is called for."""
    found = proved or genesis.version(record.resource, record.schema_version)
    if found is None:
        raise HuzhengError(Code.SCHEMA_UNKNOWN)
    return found


BREAKS: list[tuple[str, str, object]] = [
    ("receipt", "ledger.crypto.strict.read", lax_read),
    ("receipt", "ledger.receipt.verify_leaf", nothing),
    ("receipt", "ledger.sealed_block.verify_certificate", nothing),
    ("receipt", "ledger.crypto.ed25519.verify_raw", lambda *_: True),
    ("receipt", "ledger.crypto.strict.DecodeError", LookupError),
    ("statement", "ledger.crypto.strict.read", lax_read),
    ("statement", "ledger.sealed_block.verify_certificate", nothing),
    ("statement", "ledger.statement.root_from_proof", lambda *_: Anywhere()),
    ("statement", "ledger.statement._check_order", nothing),
    ("statement", "ledger.crypto.strict.DecodeError", LookupError),
    ("statement", "ledger.statement.verify_sealed", refuse_strangely),
    ("statement", "ledger.statement.require_last", nothing),
    ("disclosure", "ledger.crypto.strict.read", lax_read),
    ("disclosure", "ledger.sealed_block.verify_certificate", nothing),
    ("disclosure", "ledger.disclosure.verify_statement", nothing),
    ("disclosure", "ledger.disclosure._proved_version", proved_by_the_first_entry),
    ("disclosure", "ledger.disclosure._definition", proved_or_known),
    ("disclosure", "ledger.disclosure._check_order", nothing),
    ("disclosure", "ledger.disclosure.merkle.root_from_path", lambda *_: Anywhere()),
    ("history", "ledger.history.verify_link", nothing),
    ("history", "ledger.history.require_last", nothing),
    ("anchor", "ledger.sealed_block.verify_certificate", nothing),
    ("fork", "ledger.sealed_block.verify_certificate", nothing),
    ("genesis", "ledger.crypto.strict.read", lax_read),
    ("strict", "ledger.crypto.strict.read", lax_read),
]


@pytest.mark.parametrize(("name", "place", "instead"), BREAKS)
def test_a_reader_that_is_broken_is_noticed(
    name: str, place: str, instead: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, instead)
    with pytest.raises((FuzzFailure, DecodeError)):
        Counter(map(TARGETS[name].check, inputs(TARGETS[name], seed=1, count=INPUTS)))

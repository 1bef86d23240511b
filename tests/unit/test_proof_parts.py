"""Proofs taken apart: the kind is told by what is in the file, nothing is left out, and the sizes add up."""

from __future__ import annotations

from typing import Any

import pytest
from huzheng.v1 import disclosure_pb2

from ledger.crypto import strict
from ledger.disclosure import is_disclosure
from ledger.errors import Code, HuzhengError
from ledger.proof_parts import part_sizes, read_proof, to_dict
from tests.vectors import load


def sound(file: str, cases: str, field: str) -> bytes:
    return next(bytes.fromhex(case[field]) for case in load(file)[cases] if case["code"] is None)


FILES = {
    "Receipt": sound("receipts.json", "cases", "receipt"),
    "Statement": sound("statements.json", "cases", "statement"),
    "HistoryProof": sound("history.json", "proofs", "proof"),
    "Anchor": sound("history.json", "anchors", "anchor"),
    "Fork": sound("history.json", "forks", "fork"),
}
DISCLOSURES = [
    bytes.fromhex(case["disclosure"])
    for file in ("confidential.json", "disclosed_catalogue.json")
    for case in load(file)["disclosures"]
    if case["code"] is None
]


@pytest.mark.parametrize("kind", FILES)
def test_a_proof_is_told_by_what_is_in_it_and_its_parts_are_all_of_it(kind: str) -> None:
    message = read_proof(FILES[kind])
    assert message.DESCRIPTOR.name == kind
    assert sum(part_sizes(message).values()) == len(FILES[kind])
    parts = to_dict(message)
    assert len(parts["header"]["chain_id"]) == 64
    assert isinstance(parts["certificate"]["seals"][0]["replica"], int)


@pytest.mark.parametrize("raw", DISCLOSURES)
def test_a_disclosure_is_told_from_all_others_however_many_fields_it_shows(raw: bytes) -> None:
    message = read_proof(raw)
    assert message.DESCRIPTOR.name == "Disclosure"
    assert sum(part_sizes(message).values()) == len(raw)
    parts = to_dict(message)
    assert parts["receipt"]["result"]["code"] == "RESULT_CODE_ACCEPTED"
    assert all(len(field["salt"]) == 32 for field in parts.get("fields", []))


def test_no_other_proof_is_taken_for_a_disclosure() -> None:
    assert {len(strict.read(disclosure_pb2.Disclosure, raw).fields) for raw in DISCLOSURES} >= {0, 1, 5}
    assert all(map(is_disclosure, DISCLOSURES))
    others = [
        bytes.fromhex(case[field])
        for file, cases, field in (
            ("receipts.json", "cases", "receipt"),
            ("statements.json", "cases", "statement"),
            ("statement_entries.json", "cases", "statement"),
            ("history.json", "proofs", "proof"),
            ("history.json", "anchors", "anchor"),
            ("history.json", "forks", "fork"),
        )
        for case in load(file)[cases]
    ]
    bundles = [bytes.fromhex(case["epochs"]) for case in load("history.json")["over"]]
    assert not any(map(is_disclosure, [*others, *filter(None, bundles)]))


def test_bytes_that_hold_a_message_are_taken_apart() -> None:
    parts: dict[str, Any] = to_dict(read_proof(FILES["Receipt"]))
    assert parts["result"]["code"] == "RESULT_CODE_ACCEPTED"
    assert parts["body"]["chain_id"] == parts["header"]["chain_id"]
    slots = to_dict(read_proof(FILES["Statement"]))["leaves"][0]["groups"][0]["slots"]
    assert slots[0]["head"]["version"] == 2


@pytest.mark.parametrize("raw", [b"", b"\x00", b"{}", FILES["Receipt"][:-1]])
def test_what_is_no_proof_is_said_to_be_none(raw: bytes) -> None:
    with pytest.raises(HuzhengError) as caught:
        read_proof(raw)
    assert caught.value.code is Code.NOT_STRICT

"""Of disclosures the verifier for browsers says what the Python one says (docs/protocol.md section 15)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from huzheng.v1 import disclosure_pb2

from ledger.crypto import strict
from ledger.disclosure import build_disclosure, verify_disclosure
from ledger.genesis import Genesis
from tests.confidential import NOTE, OWNER, SHARE, consortium, dwelling_record, receipt_of
from tests.javascript_verifier import ask, code_or, same_keys
from tests.unit.test_javascript_verifier import damaged
from tests.vectors import load

VECTORS = load("confidential.json")
CASES = VECTORS["disclosures"]
GENESIS = Genesis.read(bytes.fromhex(VECTORS["genesis"]))
SOUND = [bytes.fromhex(case["disclosure"]) for case in CASES if case["code"] is None]


def compare(raws: Sequence[bytes]) -> Counter[str]:
    """How often each code was said, and "valid"; all of it by both."""
    said = ask({"ask": "disclosure", "genesis": VECTORS["genesis"], "bytes": raw.hex()} for raw in raws)
    counted = Counter[str]()
    for raw, answer in zip(raws, said, strict=True):
        right = code_or(lambda raw=raw: verify_disclosure(raw, GENESIS).to_dict())  # type: ignore[misc]
        assert same_keys(answer, right) == right, raw.hex()
        counted[right.get("code", "valid")] += 1
    return counted


def test_the_vectors() -> None:
    counted = compare([bytes.fromhex(case["disclosure"]) for case in CASES])
    assert counted == Counter(case["code"] or "valid" for case in CASES)
    assert set(counted) >= {"valid", "BAD_FIELD", "MISSING_FIELD", "SCHEMA_UNKNOWN", "UNKNOWN_FIELD", "BAD_PROOF"}


def test_what_is_damaged_or_put_together_from_others() -> None:
    dice = random.Random(3)
    raws = [damaged(dice.choice(SOUND), dice) for _ in range(500)]
    messages = [strict.read(disclosure_pb2.Disclosure, raw) for raw in SOUND]
    shown = [field for message in messages for field in message.fields]
    for _ in range(500):
        fields = [disclosure_pb2.DisclosedField.FromString(dice.choice(shown).SerializeToString()) for _ in range(2)]
        first, second = fields
        change = dice.randrange(5)
        if change == 0:
            first.number = second.number
        elif change == 1:
            first.value = second.value
        elif change == 2:
            first.path[:] = second.path
        kept = sorted(fields, key=lambda field: field.number) if dice.random() < 0.9 else fields
        receipt = dice.choice(messages).receipt
        raws.append(strict.write(disclosure_pb2.Disclosure(receipt=receipt, fields=kept[: dice.randint(1, 2)])))
    counted = compare(raws)
    assert counted["valid"] > 20
    assert counted["BAD_PROOF"] > 100
    assert counted["NOT_STRICT"] > 100


@pytest.mark.parametrize("unit", ["00", "80", "0a00", "1200", "12020801", "1a00"])
def test_of_bytes_without_sense_it_soon_says_what_python_says(unit: str) -> None:
    limit = GENESIS.parameters.max_transaction_bytes + 2**16 + 4 * 2**20 + 64 * 66_560
    counts = [0, 1, 1_000, limit // (len(unit) // 2), limit + 1]
    said = ask(
        {"ask": "filled", "of": "disclosure", "genesis": VECTORS["genesis"], "unit": unit, "count": count}
        for count in counts
    )
    right = [
        code_or(lambda count=count: verify_disclosure(bytes.fromhex(unit) * count, GENESIS))  # type: ignore[misc]
        for count in counts
    ]
    assert said == right


def test_its_kind_is_told_by_what_is_in_it() -> None:
    shown = [raw for raw in SOUND if strict.read(disclosure_pb2.Disclosure, raw).fields]
    said = ask({"ask": "proof", "genesis": VECTORS["genesis"], "bytes": raw.hex()} for raw in shown)
    assert [verdict["kind"] for verdict in said] == ["disclosure"] * len(shown)
    odd: list[Any] = [None, "", 7, {}, [1]]
    questions = (
        {"ask": "misused", "of": "verifyDisclosure", "genesis": VECTORS["genesis"], "value": value} for value in odd
    )
    assert ask(questions) == [{"code": "NOT_STRICT"}] * 5


def test_it_is_told_in_both_languages() -> None:
    of = consortium()
    record = dwelling_record(of)
    raw = build_disclosure(of.genesis, receipt_of(of, record), record.secrets, [OWNER, NOTE, SHARE])
    [(english, chinese)] = ask([{"ask": "described", "genesis": of.genesis.raw.hex(), "bytes": raw.hex()}])
    assert english.splitlines()[-3:] == ["Owner: 张三", "Note: paid in two parts", "Share: no value"]
    assert chinese.splitlines()[-3:] == ["权利人：张三", "备注：paid in two parts", "份额：无"]
    assert "Valid: accepted" in english

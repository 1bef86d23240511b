"""Of disclosures the verifier for browsers says what the Python one says (docs/protocol.md section 15)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from huzheng.v1 import catalogue_pb2, disclosure_pb2

from ledger.catalogue_rules import resource_problems
from ledger.crypto import strict
from ledger.disclosure import build_disclosure, max_disclosure_bytes, verify_disclosure
from ledger.errors import HuzhengError
from ledger.genesis import Genesis
from tests.confidential import NOTE, OWNER, SHARE, consortium, dwelling_record, receipt_of
from tests.fuzzing.mutation import Mutator
from tests.fuzzing.targets import TARGETS, inputs
from tests.javascript_verifier import ask, code_or, same_keys
from tests.unit.test_javascript_verifier import damaged
from tests.vectors import load

VECTORS = load("confidential.json")
CASES = [*VECTORS["disclosures"], *load("disclosed_catalogue.json")["disclosures"]]
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
        whose = dice.choice(messages)
        catalogue = whose.catalogue if dice.random() < 0.8 else dice.choice(messages).catalogue
        raws.append(
            strict.write(
                disclosure_pb2.Disclosure(receipt=whose.receipt, fields=kept[: dice.randint(1, 2)], catalogue=catalogue)
            )
        )
    counted = compare(raws)
    assert counted["valid"] > 20
    assert counted["BAD_PROOF"] > 100
    assert counted["NOT_STRICT"] > 100


@pytest.mark.parametrize("unit", ["00", "80", "0a00", "1200", "12020801", "1a00"])
def test_of_bytes_without_sense_it_soon_says_what_python_says(unit: str) -> None:
    limit = max_disclosure_bytes(GENESIS)
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
    said = ask({"ask": "proof", "genesis": VECTORS["genesis"], "bytes": raw.hex()} for raw in SOUND)
    assert [verdict["kind"] for verdict in said] == ["disclosure"] * len(SOUND)
    assert {} in [verdict["confidential"] for verdict in said]
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


def test_of_one_without_fields_it_tells_that_it_shows_none() -> None:
    raws = [case["disclosure"] for case in CASES if case["name"] == "no field"]
    said = ask({"ask": "described", "genesis": VECTORS["genesis"], "bytes": raw} for raw in raws)
    assert [english.splitlines()[-1] for english, _ in said] == ["It shows no confidential field."] * 2


def test_of_a_later_schema_version_it_tells_the_titles_that_are_proved() -> None:
    case = next(case for case in CASES if case["name"] == "resource that came later")
    said = ask([{"ask": "described", "genesis": VECTORS["genesis"], "bytes": case["disclosure"]}])
    [(english, chinese)] = said
    assert "Dwelling, AB1234: version 1." in english
    assert english.splitlines()[-1] == "OWNER: 李四"
    assert "住宅，AB1234：第 1 版。" in chinese


def changed_definitions(count: int) -> list[bytes]:
    """Definitions of resources as they are published, and changed at random."""
    dice, mutator = random.Random(7), Mutator([])
    seeds = [strict.write(resource.message) for resource in GENESIS.catalogue.values()]
    return [*seeds, *(mutator.mutate(catalogue_pb2.Resource, dice.choice(seeds), dice) for _ in range(count))]


def is_strict(raw: bytes) -> bool:
    try:
        strict.read(catalogue_pb2.Resource, raw)
    except HuzhengError:
        return False
    return True


def test_what_makes_a_definition_valid_is_judged_alike() -> None:
    raws = changed_definitions(3_000)
    readable = [raw for raw in raws if is_strict(raw)]
    said = ask({"ask": "is_resource", "bytes": raw.hex()} for raw in readable)
    right = [not resource_problems(strict.read(catalogue_pb2.Resource, raw)) for raw in readable]
    assert {raw.hex(): (js, py) for raw, js, py in zip(readable, said, right, strict=True) if js != py} == {}
    assert min(Counter(right).values()) > 200


def test_what_the_fuzzer_makes_and_has_sealed() -> None:
    counted = compare(list(inputs(TARGETS["disclosure"], seed=2, count=4_000)))
    assert counted.keys() >= {"valid", "BAD_FIELD", "MISSING_FIELD", "SCHEMA_UNKNOWN", "EPOCH_UNKNOWN", "BAD_SIGNATURE"}

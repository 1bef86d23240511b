"""The verifier for browsers takes for a value what the Python one takes for one (docs/protocol.md F1 to F5)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from huzheng.v1 import catalogue_pb2 as pb

from ledger.errors import HuzhengError
from ledger.fields.codes import CERTIFICATE_AREAS, SOCIAL_CREDIT_ALPHABET
from ledger.fields.pattern import MAX_STATES, compile_pattern
from ledger.fields.values import FORBIDDEN_IN_TEXT, compile_spec
from tests.javascript_verifier import ask
from tests.unit.test_field_values import spec_of
from tests.vectors import load

VECTORS = load("field_values.json")
TYPES = [number for number in pb.FieldType.values() if number]


def fits(spec: pb.FieldSpec, values: Sequence[str]) -> dict[str, Any]:
    """A question."""
    raw = spec.SerializeToString(deterministic=True).hex()
    return {"ask": "fits", "spec": raw, "values": [value.encode().hex() for value in values]}


def differing(values: Sequence[str], said: Sequence[bool], right: Sequence[bool]) -> list[tuple[str, bool]]:
    """Those of which the two say otherwise, and what is said of them."""
    return [(value, found) for value, found, like in zip(values, said, right, strict=True) if found is not like]


# --- the vectors ---


def test_values() -> None:
    said = ask(fits(spec_of(vector), [vector["value"]]) for vector in VECTORS["values"])
    assert [answer[0] for answer in said] == [vector["fits"] for vector in VECTORS["values"]]


def test_patterns() -> None:
    cases = VECTORS["patterns"]
    said = ask({"ask": "matches", "pattern": case["pattern"], "values": [case["value"]]} for case in cases)
    assert [answer[0] for answer in said] == [case["matches"] for case in cases]


def test_bad_patterns_are_refused_where_they_are_bad_and_for_the_same_reason() -> None:
    cases = VECTORS["bad_patterns"]
    said = ask({"ask": "bad_pattern", "pattern": case["pattern"]} for case in cases)
    assert said == [refusal(case["pattern"]) for case in cases]
    assert all(f"position {case['position']}: " in detail for case, (_, detail) in zip(cases, said, strict=True))


def refusal(pattern: str) -> list[str] | None:
    try:
        compile_pattern(pattern)
    except HuzhengError as error:
        return [error.code, error.detail]
    return None


# --- what comes of changing them ---

_ODD = (
    "\x00\x1f\x7f\x9f\u00a0\u0131\u0406\u200a\u200b\u200f\u2010\u2027\u202e\u202f\u205f\u2060\u206f\u2070\ufeff\uff10"
)
STRANGE = [*_ODD, "\ue000", "\u4dff", "\u4e00", "\u9fff", "\ua000", "\U00020000", "\U0010ffff", "０", "Ａ", "А", "ı"]
LETTERS = [*"0123456789AGJZWFLQXYabz-+.()[]{}?*\\ 京国第号不动产权证明", *STRANGE]


def changed(value: str, dice: random.Random) -> str:
    """With a character put in, taken out, or another in its place; several times over now and then."""
    for _ in range(dice.choice((1, 1, 1, 2, 5))):
        at = dice.randint(0, len(value))
        value = value[:at] + dice.choice(["", dice.choice(LETTERS)]) + value[at + dice.choice((0, 1)) :]
    return value


@pytest.mark.parametrize("number", TYPES, ids=[pb.FieldType.Name(number) for number in TYPES])
def test_values_that_resemble_the_vectors(number: pb.FieldType.ValueType) -> None:
    dice = random.Random(number)
    vectors = [(spec_of(vector), vector["value"]) for vector in VECTORS["values"]]
    specs = {spec.SerializeToString(deterministic=True): spec for spec, _ in vectors if spec.type == number}
    seeds = [value for spec, value in vectors if spec.type == number]
    near = [changed(dice.choice(seeds), dice) for _ in range(4_000)]
    values = [*near, *(value for _, value in vectors), *STRANGE]
    said = ask(fits(spec, values) for spec in specs.values())
    rights = [[compile_spec(spec).fits(value) for value in values] for spec in specs.values()]
    assert not [differing(values, *pair) for pair in zip(said, rights, strict=True) if pair[0] != pair[1]]
    assert any(map(any, rights))


def test_a_text_s_every_character_is_judged_alike() -> None:
    spec = pb.FieldSpec(type=pb.FIELD_TYPE_TEXT, max_bytes=6)
    characters = [chr(code) for code in (*range(0xD800), *range(0xE000, 0x10000), 0x10000, 0x1F600, 0x10FFFF)]
    values = [f"a{character}b" for character in characters]
    [said] = ask([fits(spec, values)])
    assert not differing(values, said, [compile_spec(spec).fits(value) for value in values])
    assert said.count(False) == len(FORBIDDEN_IN_TEXT) - 0x800


def test_a_text_is_as_long_as_its_bytes() -> None:
    values = [character * count for character in ("a", "é", "产", "\U00020000") for count in range(8)]
    for limit in (1, 5, 6, 12):
        spec = pb.FieldSpec(type=pb.FIELD_TYPE_TEXT, max_bytes=limit)
        [said] = ask([fits(spec, values)])
        assert said == [0 < len(value.encode()) <= limit for value in values]


def test_every_check_character_of_a_credit_code() -> None:
    dice = random.Random(18)
    bodies = ["".join(dice.choices(SOCIAL_CREDIT_ALPHABET, k=2)) for _ in range(40)]
    bodies = [
        f"{body}{dice.randrange(10**6):06}{''.join(dice.choices(SOCIAL_CREDIT_ALPHABET, k=9))}" for body in bodies
    ]
    values = [body + check for body in bodies for check in SOCIAL_CREDIT_ALPHABET]
    spec = pb.FieldSpec(type=pb.FIELD_TYPE_SOCIAL_CREDIT_CODE)
    [said] = ask([fits(spec, values)])
    assert said == [compile_spec(spec).fits(value) for value in values]
    assert sum(said) == len(bodies)


def test_the_areas_of_certificate_numbers() -> None:
    areas = [chr(code) for code in range(0x4E00, 0xA000)]
    values = [f"{area}(2020)海不动产权第0012345号" for area in areas]
    [said] = ask([fits(pb.FieldSpec(type=pb.FIELD_TYPE_CERTIFICATE_NUMBER), values)])
    assert {area for area, found in zip(areas, said, strict=True) if found} == CERTIFICATE_AREAS


def test_every_day_of_four_hundred_years_and_those_that_are_none() -> None:
    values = [
        f"{year:04}-{month:02}-{day:02}"
        for year in (0, 1, 4, *range(1896, 2001, 4), 2100, 9999)
        for month in range(14)
        for day in range(33)
    ]
    spec = pb.FieldSpec(type=pb.FIELD_TYPE_DATE)
    [said] = ask([fits(spec, values)])
    assert not differing(values, said, [compile_spec(spec).fits(value) for value in values])


# --- patterns ---

ATOMS = ["a", "b", "-", "0", "[ab]", "[a-b0]", "[0-9]", "\\-", "\\a", "[\\-a]", "[ -~]"]
COUNTS = ["", "", "?", "*", "+", "{1}", "{3}", "{0,1}", "{1,2}", "{0,3}", "{2,5}"]


def some_pattern(dice: random.Random) -> str:
    return "".join(dice.choice(ATOMS) + dice.choice(COUNTS) for _ in range(dice.randint(1, 6)))


def test_patterns_match_alike() -> None:
    dice = random.Random(5)
    patterns = [some_pattern(dice) for _ in range(600)]
    values = ["".join(dice.choices("aab-0~é", k=dice.randint(0, 9))) for _ in range(120)]
    said = ask({"ask": "matches", "pattern": pattern, "values": values} for pattern in patterns)
    rights = [[compile_pattern(pattern).matches(value) for value in values] for pattern in patterns]
    found = zip(patterns, said, rights, strict=True)
    assert not {pattern: differing(values, *pair) for pattern, *pair in found if pair[0] != pair[1]}
    assert 0.02 < sum(map(sum, rights)) / (600 * 120) < 0.5


def test_patterns_are_refused_alike() -> None:
    dice = random.Random(6)
    seeds = [case["pattern"] for case in VECTORS["patterns"] + VECTORS["bad_patterns"] if len(case["pattern"]) < 99]
    seeds += [some_pattern(dice) for _ in range(50)]
    patterns = [changed(dice.choice(seeds), dice) for _ in range(3_000)]
    said = ask({"ask": "bad_pattern", "pattern": pattern} for pattern in patterns)
    assert said == list(map(refusal, patterns))
    assert 500 < said.count(None) < 2_500
    assert len({detail.partition(": ")[2] for _, detail in filter(None, said)}) > 12


@pytest.mark.parametrize(
    "pattern",
    ["a?" * 256 + "a" * 256, "a*" * 512, "[ab]*a[ab]{0,255}[ab]{0,254}", "a{0,256}a{0,256}", "[ -~]*[ -~]*x"],
    ids=["optional then fixed", "many stars", "long memory", "two counts", "two wide stars"],
)
def test_a_hostile_pattern_is_soon_done_with(pattern: str) -> None:
    """One that takes much longer than it should runs into the time limit of tests."""
    values = ["a" * 65_536, "a" * 65_536 + "x", "a" * MAX_STATES, "b" * 300]
    [said] = ask([{"ask": "matches", "pattern": pattern, "values": values}])
    assert said == list(map(compile_pattern(pattern).matches, values))


# --- specifications ---


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        (pb.FieldSpec(), "BAD_CATALOGUE"),
        (pb.FieldSpec(type=9), "BAD_CATALOGUE"),  # type: ignore[arg-type]
        (pb.FieldSpec(type=-1), "BAD_CATALOGUE"),  # type: ignore[arg-type]
        (pb.FieldSpec(type=pb.FIELD_TYPE_TEXT, max_bytes=6, pattern="[A-"), "BAD_PATTERN"),
    ],
    ids=["no type", "a type to come", "a negative type", "a bad pattern"],
)
def test_a_specification_that_says_nothing_is_refused(spec: pb.FieldSpec, code: str) -> None:
    assert ask([fits(spec, ["x"])]) == [{"code": code}]

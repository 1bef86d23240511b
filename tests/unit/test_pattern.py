"""The pattern language (docs/protocol.md F5): vectors, agreement with `re`, and patterns made to be slow."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import Code, HuzhengError
from ledger.fields.pattern import MAX_STATES, SlicedPattern, StateSetPattern, compile_pattern, parse_pattern
from tests.vectors import load

VECTORS = load("field_values.json")


@pytest.mark.parametrize("vector", VECTORS["patterns"], ids=lambda v: f"{v['pattern'][:20]} on {v['value'][:12]!r}")
def test_a_pattern_matches_or_not(vector: dict[str, Any]) -> None:
    assert compile_pattern(vector["pattern"]).matches(vector["value"]) is vector["matches"]
    assert StateSetPattern.of(parse_pattern(vector["pattern"])).matches(vector["value"]) is vector["matches"]


@pytest.mark.parametrize("vector", VECTORS["bad_patterns"], ids=lambda vector: vector["name"])
def test_a_bad_pattern_is_refused_at_its_position(vector: dict[str, Any]) -> None:
    with pytest.raises(HuzhengError) as caught:
        compile_pattern(vector["pattern"])
    assert caught.value.code == Code.BAD_PATTERN
    assert caught.value.detail.startswith(f"position {vector['position']}: ")


LETTERS = "ab-0"
ATOMS = st.one_of(
    st.sampled_from(LETTERS),
    st.sampled_from(["[ab]", "[a-b0]", "[0-9]", "\\-", "\\a", "[\\-a]"]),
)
COUNTS = st.one_of(
    st.sampled_from(["", "", "?", "*", "+"]),
    st.integers(1, 3).map(lambda n: f"{{{n}}}"),
    st.tuples(st.integers(0, 2), st.integers(0, 2)).map(lambda t: f"{{{t[0]},{t[0] + max(t[1], t[0] == 0)}}}"),
)
PATTERNS = st.lists(st.tuples(ATOMS, COUNTS).map("".join), min_size=1, max_size=6).map("".join)


def as_regular_expression(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("\\a", "a"))


@settings(max_examples=500)
@given(PATTERNS, st.data())
def test_matching_agrees_with_re_on_the_common_subset(pattern: str, data: st.DataObject) -> None:
    oracle = as_regular_expression(pattern)
    near = st.from_regex(oracle, fullmatch=True, alphabet=st.sampled_from(LETTERS))
    value = data.draw(st.one_of(st.text(LETTERS, max_size=12), near))
    expected = oracle.fullmatch(value) is not None
    assert compile_pattern(pattern).matches(value) is expected
    assert StateSetPattern.of(parse_pattern(pattern)).matches(value) is expected


@given(st.text(max_size=30))
def test_any_text_compiles_or_is_refused_as_a_bad_pattern(text: str) -> None:
    try:
        compile_pattern(text)
    except HuzhengError as error:
        assert error.code == Code.BAD_PATTERN


def test_slices_serve_patterns_with_at_most_one_variable_count() -> None:
    assert isinstance(compile_pattern("[0-9]{4}-[A-Z]*x"), SlicedPattern)
    assert isinstance(compile_pattern("a?b?"), StateSetPattern)


@pytest.mark.parametrize(
    "pattern",
    ["a?" * 256 + "a" * 256, "a*" * 512, "[ab]*a[ab]{0,255}[ab]{0,254}", "a{0,256}a{0,256}", "[ -~]*[ -~]*x"],
    ids=["optional then fixed", "many stars", "long memory", "two counts", "two wide stars"],
)
def test_a_hostile_pattern_takes_linear_time(pattern: str) -> None:
    compiled = compile_pattern(pattern)
    value = "a" * 65_536
    started = time.process_time()
    compiled.matches(value)
    assert time.process_time() - started < 2.0


def test_the_longest_patterns_are_accepted() -> None:
    assert compile_pattern("a{256}" * (MAX_STATES // 256)).matches("a" * MAX_STATES)

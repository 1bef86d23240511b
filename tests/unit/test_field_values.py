"""Every field type, by vectors written by hand; the same file serves verifiers in other languages."""

from __future__ import annotations

import ast
import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from huzheng.v1 import catalogue_pb2 as pb
from hypothesis import given
from hypothesis import strategies as st

from ledger.fields.dates import is_date
from ledger.fields.values import compile_spec, is_decimal, is_integer
from tests.vectors import load

VECTORS = load("field_values.json")["values"]


def spec_of(vector: dict[str, Any]) -> pb.FieldSpec:
    fields = dict(vector["spec"])
    return pb.FieldSpec(type=pb.FieldType.Value(f"FIELD_TYPE_{fields.pop('type')}"), name="F", **fields)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_value_fits_or_not(vector: dict[str, Any]) -> None:
    assert compile_spec(spec_of(vector)).fits(vector["value"]) is vector["fits"]


def test_every_type_has_good_and_bad_vectors() -> None:
    seen = {(vector["spec"]["type"], vector["fits"]) for vector in VECTORS}
    types = [name.removeprefix("FIELD_TYPE_") for name, number in pb.FieldType.items() if number]
    assert seen == {(name, fits) for name in types for fits in (True, False)}


def test_vector_names_are_distinct() -> None:
    names = [vector["name"] for vector in VECTORS]
    assert len(names) == len(set(names))


@given(st.dates())
def test_every_calendar_day_is_a_date(day: datetime.date) -> None:
    assert is_date(day.isoformat())


@given(st.integers(0, 9999), st.integers(0, 99), st.integers(0, 99))
def test_dates_agree_with_the_calendar(year: int, month: int, day: int) -> None:
    try:
        datetime.date(year, month, day)
        expected = True
    except ValueError:
        expected = False
    assert is_date(f"{year:04}-{month:02}-{day:02}") is expected


@given(st.integers(-(2**65), 2**65))
def test_integers_fit_exactly_within_64_bits(number: int) -> None:
    assert is_integer(str(number)) is (-(2**63) <= number < 2**63)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**15), max_value=10**15))
def test_plain_decimals_fit(number: Decimal) -> None:
    text = format(number, "f")
    assert is_decimal(text, 2) is (text != "-0.00")


@given(st.text(max_size=40), st.sampled_from(list(pb.FieldType.values())[1:]))
def test_no_text_makes_a_check_fail_with_an_exception(text: str, field_type: Any) -> None:
    spec = pb.FieldSpec(type=field_type, max_bytes=20, codes=["1"], scale=2)
    assert compile_spec(spec).fits(text) in (True, False)


def test_no_validity_decision_hangs_on_a_library_that_changes() -> None:
    folder = Path(compile_spec.__code__.co_filename).parent
    deciding = [folder / name for name in ("codes.py", "dates.py", "pattern.py", "values.py")]
    deciding += [folder.parent / "catalogue.py", folder.parent / "catalogue_rules.py"]
    for path in deciding:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imports |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert imports.isdisjoint({"re", "locale", "unicodedata", "datetime", "decimal"}), path.name
        constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        assert not any(isinstance(value, float) for value in constants), path.name

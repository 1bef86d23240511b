"""Codes with check characters, by their published examples and by every single error that the check must find."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.fields import codes

CREDIT_CODE = "91512081MA62K0260E"
CITIZEN_ID = "11010519491231002X"


def test_the_example_of_gb_32100_has_check_character_e() -> None:
    assert codes.social_credit_check(CREDIT_CODE[:17]) == "E"
    assert codes.is_social_credit_code(CREDIT_CODE)


def test_the_organisation_code_within_it_has_check_character_0() -> None:
    assert codes.organisation_check("MA62K026") == "0"


def test_the_example_of_gb_11643_has_check_character_x() -> None:
    assert codes.citizen_id_check(CITIZEN_ID[:17]) == "X"
    assert codes.looks_like_citizen_id(CITIZEN_ID)
    assert codes.looks_like_citizen_id(CITIZEN_ID.lower())


@given(st.integers(0, 17), st.sampled_from(codes.SOCIAL_CREDIT_ALPHABET))
def test_any_one_wrong_character_of_a_credit_code_is_found(position: int, character: str) -> None:
    changed = CREDIT_CODE[:position] + character + CREDIT_CODE[position + 1 :]
    assert codes.is_social_credit_code(changed) is (changed == CREDIT_CODE)


@given(st.integers(0, 17), st.sampled_from("0123456789X"))
def test_any_one_wrong_character_of_a_citizen_id_is_found(position: int, character: str) -> None:
    changed = CITIZEN_ID[:position] + character + CITIZEN_ID[position + 1 :]
    assert codes.looks_like_citizen_id(changed) is (changed == CITIZEN_ID)


@given(st.text(codes.SOCIAL_CREDIT_ALPHABET, min_size=9, max_size=9), st.integers(0, 999_999))
def test_every_computed_credit_code_is_valid(organisation: str, region: int) -> None:
    body = f"91{region:06}{organisation}"
    assert codes.is_social_credit_code(body + codes.social_credit_check(body))


@pytest.mark.parametrize(
    "text",
    ["", "11010519491331002X", "11010517991231002X", "0101051949123100", "1101051949123100２X", CITIZEN_ID + "1"],
    ids=["empty", "no such day", "before 1800", "too short", "full-width digit", "too long"],
)
def test_what_is_no_citizen_id(text: str) -> None:
    if len(text) == 18 and text[:17].isascii():
        text = text[:17] + codes.citizen_id_check(text[:17])
    assert not codes.looks_like_citizen_id(text)


def test_the_areas_of_certificates_are_the_31_provinces_and_seven_more() -> None:
    assert len(codes.CERTIFICATE_AREAS) == 38
    assert set("京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼") < codes.CERTIFICATE_AREAS

"""Codes with an inner structure: property units, organisations, certificates, citizens (docs/protocol.md F2 to F4).

All checks look at ASCII characters and fixed tables only, so that every machine decides alike.
"""

from __future__ import annotations

from functools import lru_cache
from operator import mul

from ledger.fields.dates import is_date

SOCIAL_CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
# The 31 provinces, the second short names of five of them, the Corps (兵) and the ministry's own registry (国).
CERTIFICATE_AREAS = frozenset("京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵云藏陕甘青宁新" + "蜀黔滇秦陇" + "兵国")

_SOCIAL_CREDIT_VALUES = {character: value for value, character in enumerate(SOCIAL_CREDIT_ALPHABET)}
_SOCIAL_CREDIT_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
_CITIZEN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CITIZEN_CHECKS = "10X98765432"
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_PARCEL_FEATURES = frozenset(first + second for first in "GJZ" for second in "ABSXCDEFHGWY")
_CERTIFICATE_KINDS = ("不动产权第", "不动产证明第")
_FIRST_IDEOGRAPH, _LAST_IDEOGRAPH = "\u4e00", "\u9fff"


def are_digits(text: str) -> bool:
    """Whether the text is one or more ASCII digits (`str.isdigit` alone takes other scripts' digits too)."""
    return text.isascii() and text.isdigit()


def is_property_unit_code(text: str) -> bool:
    """不动产单元代码, 28 characters (GB/T 37346; docs/protocol.md F2)."""
    if len(text) != 28 or not text.isascii():
        return False
    if not text[:12].isdigit() or text[12:14] not in _PARCEL_FEATURES:
        return False
    serial, fixture, unit = text[14:19], text[19], text[20:]
    if not serial.isdigit() or serial == "00000" or not unit.isdigit():
        return False
    return fixture in "FLQ" or (fixture == "W" and unit == "00000000")


def social_credit_check(body: str) -> str:
    """The check character for the first 17 characters of a unified social credit code (GB 32100, annex B)."""
    values = map(_SOCIAL_CREDIT_VALUES.__getitem__, body)
    return SOCIAL_CREDIT_ALPHABET[-sum(map(mul, values, _SOCIAL_CREDIT_WEIGHTS)) % 31]


@lru_cache(maxsize=4096)
def is_social_credit_code(text: str) -> bool:
    """统一社会信用代码, 18 characters with its check character (GB 32100; docs/protocol.md F3)."""
    if len(text) != 18 or text.strip(SOCIAL_CREDIT_ALPHABET) or not text[2:8].isdigit():
        return False
    return text[17] == social_credit_check(text[:17])


def organisation_check(body: str) -> str:
    """The check character for the first 8 characters of an organisation code (GB 11714)."""
    total = sum(int(character, 36) * weight for character, weight in zip(body, _ORGANISATION_WEIGHTS, strict=True))
    return "0123456789X"[(11 - total % 11) % 11]


def is_certificate_number(text: str) -> bool:
    """不动产权证号 or 不动产证明号, such as 京(2020)海不动产权第0012345号 (docs/protocol.md F4)."""
    if text[:1] not in CERTIFICATE_AREAS or text[1:2] + text[6:7] != "()" or not are_digits(text[2:6]):
        return False
    # Read from the end: a registrar's name may hold any ideographs, these words too.
    numbered = text[7:-1]
    stem = numbered.rstrip("0123456789")
    if text[-1] != "号" or not 6 <= len(numbered) - len(stem) <= 8:
        return False
    return any(stem.endswith(kind) and _is_registrar(stem[: -len(kind)]) for kind in _CERTIFICATE_KINDS)


def _is_registrar(text: str) -> bool:
    return 1 <= len(text) <= 8 and min(text) >= _FIRST_IDEOGRAPH and max(text) <= _LAST_IDEOGRAPH


def citizen_id_check(body: str) -> str:
    """The check character for the first 17 digits of a citizen's ID number (GB 11643)."""
    total = sum(int(digit) * weight for digit, weight in zip(body, _CITIZEN_WEIGHTS, strict=True))
    return _CITIZEN_CHECKS[total % 11]


def looks_like_citizen_id(text: str) -> bool:
    """Whether these 18 characters are a citizen's ID number: digits, a birth date in 1800 to 2099, the right check.

    Never part of a validity decision: only synthetic data and the guard against personal data ask.
    """
    if len(text) != 18 or not are_digits(text[:17]) or text[0] == "0":
        return False
    if text[17].upper() != citizen_id_check(text[:17]):
        return False
    birth = f"{text[6:10]}-{text[10:12]}-{text[12:14]}"
    return "1800" <= text[6:10] <= "2099" and is_date(birth)

"""The field types: which text is a value's one canonical form (docs/protocol.md F1 to F5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from huzheng.v1 import catalogue_pb2 as pb

from ledger.fields.codes import are_digits, is_certificate_number, is_property_unit_code, is_social_credit_code
from ledger.fields.dates import is_date
from ledger.fields.pattern import compile_pattern

MAX_DECIMAL_DIGITS = 18
_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**63 - 1

# Controls, line separators, surrogates and what is invisible or turns the reading direction: a text reads as it is.
_FORBIDDEN_RANGES = (
    (0x00, 0x1F),
    (0x7F, 0x9F),
    (0x200B, 0x200F),
    (0x2028, 0x202E),
    (0x2060, 0x206F),
    (0xD800, 0xDFFF),
    (0xFEFF, 0xFEFF),
)
FORBIDDEN_IN_TEXT = frozenset(chr(code) for first, last in _FORBIDDEN_RANGES for code in range(first, last + 1))

Fits = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class CompiledField:
    """A field specification made ready for checking: `fits(value)` decides, `expected` says in words what fits."""

    number: int
    name: str
    type: pb.FieldType.ValueType
    required: bool
    fits: Fits
    expected: str
    confidential: bool = False


def compile_spec(spec: pb.FieldSpec) -> CompiledField:
    """Compiles a specification that `ledger.catalogue.validate_resource` accepts."""
    fits, expected = _FITS[spec.type](spec)
    return CompiledField(spec.number, spec.name, spec.type, spec.required, fits, expected, spec.confidential)


def is_plain_text(value: str) -> bool:
    """Whether the text is not empty and has no control characters, line separators or invisible characters (F1)."""
    if value.isascii():
        return value.isprintable() and value != ""
    return FORBIDDEN_IN_TEXT.isdisjoint(value)


def is_integer(value: str) -> bool:
    """`0` or `-?[1-9][0-9]*` within 64 bits, signed."""
    digits = value[1:] if value[:1] == "-" else value
    if not are_digits(digits) or len(digits) > 19:
        return False
    if digits[0] == "0":
        return value == "0"
    return len(digits) < 19 or _MIN_INTEGER <= int(value) <= _MAX_INTEGER


def is_decimal(value: str, scale: int) -> bool:
    """An integer part, and perhaps a point and 1 to `scale` digits; at most 18 digits in all; no negative zero."""
    if not value.isascii():
        return False
    whole, point, fraction = value.partition(".")
    negative = whole[:1] == "-"
    if negative:
        whole = whole[1:]
    if not whole.isdigit() or (whole[0] == "0" and whole != "0"):
        return False
    if point and not (fraction.isdigit() and len(fraction) <= scale):
        return False
    if len(whole) + len(fraction) > MAX_DECIMAL_DIGITS:
        return False
    return not negative or (whole + fraction).strip("0") != ""


def _text(spec: pb.FieldSpec) -> tuple[Fits, str]:
    limit = spec.max_bytes
    if spec.pattern:
        matches = compile_pattern(spec.pattern).matches
        return (lambda value: 0 < len(value) <= limit and matches(value)), (
            f"text of at most {limit} characters that fits the pattern {spec.pattern}"
        )

    def fits(value: str) -> bool:
        if value.isascii():
            return 0 < len(value) <= limit and value.isprintable()
        return len(value) <= limit and FORBIDDEN_IN_TEXT.isdisjoint(value) and len(value.encode()) <= limit

    return fits, f"printable text of 1 to {limit} bytes in UTF-8"


def _decimal(spec: pb.FieldSpec) -> tuple[Fits, str]:
    scale = spec.scale
    return (lambda value: is_decimal(value, scale)), (
        f"a decimal such as 12.5, with at most {scale} digits after the point and {MAX_DECIMAL_DIGITS} in all"
    )


def _code(spec: pb.FieldSpec) -> tuple[Fits, str]:
    codes = tuple(spec.codes)
    return frozenset(codes).__contains__, f"one of the codes {', '.join(codes)}"


def _fixed(fits: Fits, expected: str) -> Callable[[pb.FieldSpec], tuple[Fits, str]]:
    return lambda spec: (fits, expected)


_FITS: dict[pb.FieldType.ValueType, Callable[[pb.FieldSpec], tuple[Fits, str]]] = {
    pb.FIELD_TYPE_TEXT: _text,
    pb.FIELD_TYPE_INTEGER: _fixed(is_integer, "a whole number without leading zeros, within 64 bits"),
    pb.FIELD_TYPE_DECIMAL: _decimal,
    pb.FIELD_TYPE_DATE: _fixed(is_date, "a date YYYY-MM-DD"),
    pb.FIELD_TYPE_CODE: _code,
    pb.FIELD_TYPE_PROPERTY_UNIT_CODE: _fixed(
        is_property_unit_code, "a property unit code of 28 characters (GB/T 37346)"
    ),
    pb.FIELD_TYPE_SOCIAL_CREDIT_CODE: _fixed(
        is_social_credit_code, "a unified social credit code of 18 characters with its check character (GB 32100)"
    ),
    pb.FIELD_TYPE_CERTIFICATE_NUMBER: _fixed(
        is_certificate_number, "a certificate number such as 京(2020)海不动产权第0012345号"
    ),
}

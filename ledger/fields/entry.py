"""From what people and programs write to a value's canonical text form. Convenience at the edges, never validity.

Only what cannot be misread is converted: the printed form of a property unit code has spaces, a certificate number is
often typed with full-width parentheses, JSON has numbers. Whatever comes out is still checked against the field.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from huzheng.v1 import catalogue_pb2 as pb

InputValue = str | int | Decimal | date

_FULL_WIDTH = str.maketrans({0xFF08: "(", 0xFF09: ")"} | {0xFF10 + digit: str(digit) for digit in range(10)})
_MAX_EXPONENT = 18


def canonical(field_type: pb.FieldType.ValueType, value: InputValue) -> str | None:
    """The canonical text form of a value as people write it; None if it is of a kind that the type never takes.

    Binary floating point is refused: read JSON with `parse_float=Decimal`.
    """
    if isinstance(value, str):
        return _from_text(field_type, value)
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value) if field_type in _NUMBERS or field_type == pb.FIELD_TYPE_CODE else None
    if isinstance(value, Decimal):
        return _from_decimal(value) if field_type in _NUMBERS else None
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat() if field_type == pb.FIELD_TYPE_DATE else None
    return None


_NUMBERS = frozenset((pb.FIELD_TYPE_INTEGER, pb.FIELD_TYPE_DECIMAL))
_UPPER_CASE = frozenset((pb.FIELD_TYPE_PROPERTY_UNIT_CODE, pb.FIELD_TYPE_SOCIAL_CREDIT_CODE))


def _from_text(field_type: pb.FieldType.ValueType, value: str) -> str:
    if field_type == pb.FIELD_TYPE_TEXT:
        return value
    text = value.strip()
    if field_type in _UPPER_CASE:
        return text.replace(" ", "").upper()
    if field_type == pb.FIELD_TYPE_CERTIFICATE_NUMBER:
        return text.replace(" ", "").translate(_FULL_WIDTH)
    return text


def _from_decimal(value: Decimal) -> str | None:
    if not value.is_finite() or abs(value.adjusted()) > _MAX_EXPONENT:
        return None
    text = format(value, "f")
    return text if value else text.removeprefix("-")

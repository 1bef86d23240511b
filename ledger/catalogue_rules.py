"""What makes a resource's definition valid (docs/protocol.md F6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

from huzheng.v1 import catalogue_pb2 as pb

from ledger.errors import HuzhengError
from ledger.fields.pattern import compile_pattern
from ledger.fields.values import MAX_DECIMAL_DIGITS, is_plain_text

_Ordered = TypeVar("_Ordered", int, str, bytes)

MAX_NAME_BYTES = 64
MAX_TITLE_BYTES = 256
MAX_FIELDS = 256
MAX_FIELD_NUMBER = 1023
MAX_TEXT_BYTES = 65_536
MAX_SUBJECT_BYTES = 256
MAX_CODES = 1024
MAX_CONFIDENTIAL = 64
MAX_CYCLE_DAYS = 3660
MAX_LEGAL_BYTES = 1024
MAX_TABLE_NAME_BYTES = 128

_NAME_PART = compile_pattern("[a-z][a-z0-9_]*")
_DEPARTMENT = compile_pattern("[a-z][a-z0-9\\-]{1,31}")
_FIELD_NAME = compile_pattern("[A-Za-z][A-Za-z0-9_]{0,63}")
_DUTY_CODE = compile_pattern("[A-Za-z0-9][A-Za-z0-9\\.\\-]{0,63}")


def is_resource_name(name: str) -> bool:
    """A dotted name, [a-z][a-z0-9_]*(\\.[a-z][a-z0-9_]*)+, of at most 64 bytes."""
    parts = name.split(".")
    return len(parts) >= 2 and len(name) <= MAX_NAME_BYTES and all(_NAME_PART.matches(part) for part in parts)


def is_register_name(name: str) -> bool:
    """What a resource's name may start with: [a-z][a-z0-9_]*, of at most 64 bytes."""
    return len(name) <= MAX_NAME_BYTES and _NAME_PART.matches(name)


def is_field_name(name: str) -> bool:
    """[A-Za-z][A-Za-z0-9_]{0,63}, such as BDCDYH."""
    return _FIELD_NAME.matches(name)


def is_duty_code(code: str) -> bool:
    """[A-Za-z0-9][A-Za-z0-9.-]{0,63} (docs/protocol.md D1)."""
    return _DUTY_CODE.matches(code)


def is_text(text: str, max_bytes: int) -> bool:
    """Whether this is printable text of 1 to `max_bytes` bytes (F1)."""
    return is_plain_text(text) and len(text.encode()) <= max_bytes


def is_duty(duty: pb.Duty) -> bool:
    """Whether a duty's definition is valid (D1); whose it is, is not looked at."""
    return not duty_problems(duty)


def duty_problems(duty: pb.Duty) -> list[str]:
    """Everything that is wrong with a duty's definition; empty if it is valid."""
    problems = list(_title_problems(duty.title_zh, duty.title_en))
    if not is_duty_code(duty.code):
        problems.append(
            "code must be letters, digits, points and hyphens, at most 64, and not start with a point or hyphen"
        )
    if not is_text(duty.legal_basis, MAX_LEGAL_BYTES):
        problems.append(f"legal_basis must be printable text of 1 to {MAX_LEGAL_BYTES} bytes")
    return problems


def is_table(table: pb.DataTable) -> bool:
    """Whether a table's definition is valid (D5), as far as it can be told without the resource."""
    return not table_problems(table)


def table_problems(table: pb.DataTable) -> list[str]:
    """Everything that is wrong with a table's definition, as far as it can be told without the resource; empty if it is valid."""
    numbers = [column.field for column in table.columns]
    problems = [
        f"{what} must be printable text of 1 to {MAX_TABLE_NAME_BYTES} bytes"
        for what, names in (
            ("system", [table.system]),
            ("name", [table.name]),
            ("each column", [column.name for column in table.columns]),
        )
        if not all(is_text(name, MAX_TABLE_NAME_BYTES) for name in names)
    ]
    if not 1 <= len(numbers) <= MAX_FIELDS or not is_ascending(numbers):
        problems.append(f"there must be 1 to {MAX_FIELDS} columns, in strictly ascending order of fields")
    return problems


def resource_problems(resource: pb.Resource) -> list[str]:
    """Everything that is wrong with a resource's definition, each with its place; empty if it is valid."""
    return [f"{resource.name or 'a resource without a name'}: {problem}" for problem in _resource_problems(resource)]


def _resource_problems(resource: pb.Resource) -> Iterator[str]:
    if not is_resource_name(resource.name):
        yield f"name must be dotted, lower case and at most {MAX_NAME_BYTES} bytes, such as property.ownership"
    yield from _title_problems(resource.title_zh, resource.title_en)
    if not _DEPARTMENT.matches(resource.department):
        yield "department must be a department's id"
    if resource.sharing_class not in _SHARING_CLASSES:
        yield "sharing_class must be unconditional, conditional or none"
    if resource.schema_version < 1:
        yield "schema_version must be at least 1"
    if resource.duty and not is_duty_code(resource.duty):
        yield "duty must be a duty's code"
    if resource.update_cycle_days > MAX_CYCLE_DAYS:
        yield f"update_cycle_days must be at most {MAX_CYCLE_DAYS}"
    yield from (f"subject: {problem}" for problem in _subject_problems(resource.subject))
    yield from _field_list_problems(resource.fields)
    for spec in resource.fields:
        yield from (f"field {spec.name or spec.number}: {problem}" for problem in _field_problems(spec))


_SHARING_CLASSES = (pb.SHARING_CLASS_UNCONDITIONAL, pb.SHARING_CLASS_CONDITIONAL, pb.SHARING_CLASS_NONE)


def _title_problems(title_zh: str, title_en: str) -> Iterator[str]:
    for name, title in (("title_zh", title_zh), ("title_en", title_en)):
        if not is_plain_text(title) or len(title.encode()) > MAX_TITLE_BYTES:
            yield f"{name} must be printable text of 1 to {MAX_TITLE_BYTES} bytes"


def _subject_problems(subject: pb.FieldSpec) -> Iterator[str]:
    if subject.number or subject.name:
        yield "number and name must be unset"
    if not subject.required:
        yield "must be required"
    if subject.confidential:
        yield "must not be confidential"
    yield from _title_problems(subject.title_zh, subject.title_en)
    yield from _type_problems(subject, MAX_SUBJECT_BYTES)


def _field_list_problems(fields: Sequence[pb.FieldSpec]) -> Iterator[str]:
    if len(fields) > MAX_FIELDS:
        yield f"at most {MAX_FIELDS} fields"
    if sum(spec.confidential for spec in fields) > MAX_CONFIDENTIAL:
        yield f"at most {MAX_CONFIDENTIAL} confidential fields"
    numbers = [spec.number for spec in fields]
    if not is_ascending(numbers):
        yield "the fields' numbers must be strictly ascending"
    names = [spec.name for spec in fields]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        yield f"field names used more than once: {', '.join(repeated)}"


def _field_problems(spec: pb.FieldSpec) -> Iterator[str]:
    if not 1 <= spec.number <= MAX_FIELD_NUMBER:
        yield f"number must be 1 to {MAX_FIELD_NUMBER}"
    if not is_field_name(spec.name):
        yield "name must be a letter, then at most 63 letters, digits and underscores"
    yield from _title_problems(spec.title_zh, spec.title_en)
    yield from _type_problems(spec, MAX_TEXT_BYTES)


def _type_problems(spec: pb.FieldSpec, max_bytes: int) -> Iterator[str]:
    is_text = spec.type == pb.FIELD_TYPE_TEXT
    if spec.type == pb.FIELD_TYPE_UNSPECIFIED or spec.type not in pb.FieldType.values():
        yield "type must be one that this version knows"
    if is_text and not 1 <= spec.max_bytes <= max_bytes:
        yield f"max_bytes must be 1 to {max_bytes}"
    if spec.max_bytes and not is_text:
        yield "max_bytes is for text only"
    if spec.pattern:
        yield from _pattern_problems(spec.pattern) if is_text else ["pattern is for text only"]
    if spec.codes or spec.type == pb.FIELD_TYPE_CODE:
        yield from _code_problems(spec)
    if spec.scale and spec.type != pb.FIELD_TYPE_DECIMAL:
        yield "scale is for decimals only"
    if spec.scale >= MAX_DECIMAL_DIGITS:
        yield f"scale must be below {MAX_DECIMAL_DIGITS}"


def _pattern_problems(pattern: str) -> Iterator[str]:
    try:
        compile_pattern(pattern)
    except HuzhengError as error:
        yield f"pattern: {error.detail}"


def _code_problems(spec: pb.FieldSpec) -> Iterator[str]:
    if spec.type != pb.FIELD_TYPE_CODE:
        yield "codes are for codes only"
        return
    if not 1 <= len(spec.codes) <= MAX_CODES:
        yield f"there must be 1 to {MAX_CODES} codes"
    if not all(is_plain_text(code) and len(code.encode()) <= MAX_NAME_BYTES for code in spec.codes):
        yield f"each code must be printable text of 1 to {MAX_NAME_BYTES} bytes"
    if not is_ascending([code.encode() for code in spec.codes]):
        yield "codes must be strictly ascending"


def is_ascending(values: Sequence[_Ordered]) -> bool:
    """Strictly."""
    return all(a < b for a, b in pairwise(values))

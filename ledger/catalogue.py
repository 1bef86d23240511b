"""What a record in a resource looks like, checked by every replica alike (docs/protocol.md X5, F1 to F6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from huzheng.v1 import catalogue_pb2, transaction_pb2
from huzheng.v1.transaction_pb2 import (
    RESULT_CODE_ACCEPTED,
    RESULT_CODE_BAD_FIELD,
    RESULT_CODE_BAD_PAYLOAD,
    RESULT_CODE_MISSING_FIELD,
    RESULT_CODE_UNKNOWN_FIELD,
    FieldValue,
    Payload,
)

from ledger.catalogue_rules import is_field_name, resource_problems
from ledger.crypto import strict
from ledger.errors import Code, HuzhengError
from ledger.fields.entry import InputValue, canonical
from ledger.fields.values import CompiledField, compile_spec

SALT_BYTES = 16

_REFUSAL_ORDER = (Code.UNKNOWN_FIELD, Code.BAD_FIELD, Code.MISSING_FIELD)


class CompiledResource:
    """A resource made ready for checking records. Raises BAD_CATALOGUE if its definition is not valid."""

    __slots__ = (
        "_checks",
        "_required",
        "confidential",
        "department",
        "fields",
        "message",
        "name",
        "public",
        "schema_version",
        "subject",
    )

    def __init__(self, resource: catalogue_pb2.Resource) -> None:
        validate_resource(resource)
        self.message = catalogue_pb2.Resource.FromString(strict.write(resource))
        self.name: str = resource.name
        self.department: str = resource.department
        self.schema_version: int = resource.schema_version
        self.subject: CompiledField = compile_spec(resource.subject)
        self.fields: tuple[CompiledField, ...] = tuple(compile_spec(spec) for spec in resource.fields)
        self.public = tuple(field for field in self.fields if not field.confidential)
        self.confidential = tuple(field for field in self.fields if field.confidential)
        self._checks = {field.number: (field.fits, field.required) for field in self.public}
        self._required = sum(field.required for field in self.public)

    def subject_fits(self, subject: str) -> bool:
        """Whether the subject fits the resource's subject specification."""
        return self.subject.fits(subject)

    def check_payload(self, raw: bytes) -> transaction_pb2.ResultCode.ValueType:
        """Whether an asserting record's payload fits (X5): ACCEPTED, or the first refusal in the order of X3."""
        try:
            payload = strict.read(Payload, raw)
        except HuzhengError:
            return RESULT_CODE_BAD_PAYLOAD
        if len(payload.salt) != SALT_BYTES:
            return RESULT_CODE_BAD_PAYLOAD
        previous, missing, unknown, misfit = -1, self._required, False, False
        for field in payload.fields:
            number = field.number
            if number <= previous:
                return RESULT_CODE_BAD_PAYLOAD
            previous = number
            check = self._checks.get(number)
            if check is None:
                unknown = True
            elif check[0](field.value):
                missing -= check[1]
            else:
                misfit = True
        if unknown:
            return RESULT_CODE_UNKNOWN_FIELD
        if misfit:
            return RESULT_CODE_BAD_FIELD
        return RESULT_CODE_MISSING_FIELD if missing else RESULT_CODE_ACCEPTED


def validate_resource(resource: catalogue_pb2.Resource) -> None:
    """Raises BAD_CATALOGUE, with everything that is wrong, unless the resource keeps docs/protocol.md F6."""
    problems = resource_problems(resource)
    if problems:
        raise HuzhengError(Code.BAD_CATALOGUE, "; ".join(problems))


def encode_payload(resource: CompiledResource, values: Mapping[str, InputValue], salt: bytes) -> bytes:
    """The payload, in strict form, of an asserting record with these public fields.

    Values may be written as people write them (see `ledger.fields.entry.canonical`). `None` is a field left out.
    Raises UNKNOWN_FIELD, BAD_FIELD or MISSING_FIELD; the detail names every field concerned and never a value.
    """
    if len(salt) != SALT_BYTES:
        raise HuzhengError(Code.BAD_PAYLOAD, f"the salt has {SALT_BYTES} bytes")
    texts = canonical_values(resource, resource.public, values)
    return strict.write(
        Payload(salt=salt, fields=[FieldValue(number=number, value=text) for number, text in texts.items()])
    )


def canonical_values(
    resource: CompiledResource, fields: Sequence[CompiledField], values: Mapping[str, InputValue]
) -> dict[int, str]:
    """Values of some of a resource's fields in canonical form, by number and in order; `None` is a field left out.

    Raises UNKNOWN_FIELD, BAD_FIELD or MISSING_FIELD; the detail names every field concerned and never a value.
    """
    problems: list[tuple[Code, str]] = []
    given = {name: value for name, value in values.items() if value is not None}
    names = {field.name for field in fields}
    problems += [(Code.UNKNOWN_FIELD, _unknown(resource, name)) for name in given if name not in names]
    texts: dict[int, str] = {}
    for field in fields:
        if field.name in given:
            text = canonical(field.type, given[field.name])
            if text is not None and field.fits(text):
                texts[field.number] = text
            else:
                problems.append((Code.BAD_FIELD, f"{field.name}: must be {field.expected}"))
        elif field.required:
            problems.append((Code.MISSING_FIELD, f"{field.name}: is required"))
    if problems:
        code = min((code for code, _ in problems), key=_REFUSAL_ORDER.index)
        raise HuzhengError(code, "; ".join(text for _, text in problems))
    return texts


def _unknown(resource: CompiledResource, name: str) -> str:
    for field in resource.fields:
        if field.name == name:
            return f"{name}: is {'confidential' if field.confidential else 'public'} in {resource.name}"
    shown = name if is_field_name(name) else "a field whose name is not shown"
    return f"{shown}: is not a field of {resource.name}"


def read_fields(
    resource: CompiledResource | catalogue_pb2.Resource | None, raw: bytes, other: CompiledResource | None = None
) -> dict[str, str]:
    """The fields of a payload that was accepted, by name.

    Where the definition is not known, a field has the name that another version of the resource has for its number, as numbers
    keep their names (D4), or it is called by its number, as `#12`.

    Raises NOT_STRICT, or UNKNOWN_FIELD where the payload follows another schema version.
    """
    if resource is not None:
        return decode_payload(resource, raw)
    names = {} if other is None else {field.number: field.name for field in other.public}
    return {names.get(field.number, f"#{field.number}"): field.value for field in strict.read(Payload, raw).fields}


def decode_payload(resource: CompiledResource | catalogue_pb2.Resource, raw: bytes) -> dict[str, str]:
    """The fields of a payload that was accepted, by name and in order of number.

    Raises NOT_STRICT, or UNKNOWN_FIELD where the payload follows another schema version.
    """
    names = {field.number: field.name for field in resource.fields}
    values: dict[str, str] = {}
    for field in strict.read(Payload, raw).fields:
        if field.number not in names:
            raise HuzhengError(Code.UNKNOWN_FIELD, f"{resource.name} has no field {field.number}")
        values[names[field.number]] = field.value
    return values

"""Reads records from JSON or JSON Lines. Every line is checked against the catalogue before anything is sent."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

from ledger.catalogue import SALT_BYTES, CompiledResource, canonical_values, encode_payload
from ledger.errors import Code, HuzhengError
from ledger.fields.entry import InputValue, canonical
from node.catalogue import Catalogue
from node.cli.submission.reliance import InputReliance, read_reliance, reliance_problem
from node.personal_data import find_personal_data

# A line longer than this is no record: the largest payload allowed is far smaller.
MAX_LINE_BYTES = 4 << 20
# A JSON document, unlike JSON Lines, is held in memory whole.
MAX_DOCUMENT_BYTES = 256 << 20
ASSERT, REVOKE = "assert", "revoke"
_KEYS = {"resource", "subject", "action", "version", "replaces", "fields", "confidential", "relies_on"}
_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class InputRecord:
    """One record as the input states it."""

    # From 1: the how-manieth record of the input.
    position: int
    resource: str
    subject: str
    action: str
    fields: Mapping[str, InputValue]
    # What the input itself says about the version; filled in otherwise.
    version: int | None
    replaces: bytes | None
    # SHA-256 of the record's content, so that the journal notices another input. Nothing of confidential values is in it: they could
    # be found out by trying.
    digest: bytes
    # Never on chain: kept in the department's vault.
    confidential: Mapping[str, InputValue] = field(default_factory=dict, repr=False)
    relies_on: tuple[InputReliance, ...] = ()

    @property
    def about(self) -> tuple[str, str]:
        """What the versions count."""
        return (self.resource, self.subject)


class RecordSource:
    """Records that can be gone through more than once. JSON Lines files are never held in memory whole."""

    def __init__(self, stream: BinaryIO, where: str) -> None:
        """`stream`: seekable, from its start; `where`: its name for errors.

        Raises:
            HuzhengError: BAD_FILE.
        """
        self._stream = stream
        self._where = where
        self._document = self._read_document()

    @classmethod
    def open(cls, path: Path) -> RecordSource:
        """The records of a file.

        Raises:
            HuzhengError: FILE_ACCESS, BAD_FILE.
        """
        try:
            return cls(path.open("rb"), str(path))
        except OSError as error:
            raise HuzhengError(Code.FILE_ACCESS, f"{path}: {error.strerror}") from None

    def __iter__(self) -> Iterator[InputRecord]:
        values = self._document if self._document is not None else self._lines()
        for position, value in enumerate(values, 1):
            yield _record(value, position, self._where)

    def _read_document(self) -> list[Any] | None:
        """The records of a JSON document; None if the input is JSON Lines."""
        start = self._stream.read(4096).decode("utf-8-sig", "ignore").lstrip()
        self._stream.seek(0)
        if not start:
            raise HuzhengError(Code.BAD_FILE, f"{self._where}: there is no record in it")
        if start[0] == "{" and _is_json(start.split("\n", 1)[0]):
            return None
        if start[0] not in "[{":
            raise HuzhengError(Code.BAD_FILE, f"{self._where}: neither JSON nor JSON Lines")
        data = self._stream.read(MAX_DOCUMENT_BYTES + 1)
        if len(data) > MAX_DOCUMENT_BYTES:
            raise HuzhengError(Code.BAD_FILE, f"{self._where}: too large for one JSON document; use JSON Lines")
        if start[0] == "{" and b"\n" in data.strip() and _looks_like_lines(data):
            return None
        document = parse_json(data, self._where)
        return document if isinstance(document, list) else [document]

    def _lines(self) -> Iterator[Any]:
        self._stream.seek(0)
        number = 0
        while line := self._stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise HuzhengError(Code.BAD_FILE, f"{self._where}, line {number}: the line is too long")
            if line.strip():
                yield parse_json(line, f"{self._where}, line {number}")


class InputCheck:
    """Checks records against the catalogue as it is known here; each error names its line."""

    def __init__(self, catalogue: Catalogue, department: str) -> None:
        self._catalogue = catalogue
        self._department = department

    def check(self, record: InputRecord) -> None:
        """Raises UNKNOWN_RESOURCE, NOT_OWNER, BAD_SUBJECT, PERSONAL_DATA, or what `encode_payload` raises."""
        resource = definition_for(self._catalogue, record)
        if resource is None and self._catalogue.newest(record.resource) is not None:
            raise _at(record, Code.SCHEMA_MISMATCH, f"{record.resource} is withdrawn")
        if resource is None:
            raise _at(record, Code.UNKNOWN_RESOURCE)
        if resource.department != self._department:
            raise _at(record, Code.NOT_OWNER, f"{resource.name} belongs to {resource.department}")
        if not resource.subject_fits(subject_text(resource, record)):
            raise _at(record, Code.BAD_SUBJECT, f"must be {resource.subject.expected}")
        if find_personal_data("\n".join((record.subject, *map(str, record.fields.values())))):
            found = [name for name, value in record.fields.items() if find_personal_data(str(value))]
            raise _at(record, Code.PERSONAL_DATA, ", ".join(_known(resource, found)) or "subject")
        self._check_reliance(record)
        if record.action == ASSERT:
            try:
                encode_payload(resource, record.fields, bytes(SALT_BYTES))
                canonical_values(resource, resource.confidential, record.confidential)
            except HuzhengError as error:
                raise _at(record, error.code, error.detail) from None

    def _check_reliance(self, record: InputRecord) -> None:
        abouts: set[tuple[str, str]] = set()
        for relied in record.relies_on:
            resource = self._catalogue.newest(relied.resource)
            if resource is None:
                raise _at(record, Code.UNKNOWN_RESOURCE, "relies_on")
            subject = subject_text(resource, relied)
            if not resource.subject_fits(subject):
                raise _at(record, Code.BAD_SUBJECT, f"relies_on, {resource.name}: must be {resource.subject.expected}")
            if find_personal_data(relied.subject):
                raise _at(record, Code.PERSONAL_DATA, "relies_on")
            if (resource.name, subject) in abouts:
                raise _at(record, Code.BAD_FILE, f"it relies twice on one subject of {resource.name}")
            abouts.add((resource.name, subject))


def _known(resource: CompiledResource, names: list[str]) -> list[str]:
    """The names, as far as they are the catalogue's: an invented one may itself be personal data."""
    known = {field.name for field in resource.fields}
    return [name if name in known else "an unknown field" for name in names]


def definition_for(catalogue: Catalogue, record: InputRecord) -> CompiledResource | None:
    """The schema version that the record cites; what revokes may cite one that is withdrawn."""
    found = catalogue.to_write(record.resource)
    return catalogue.newest(record.resource) if found is None and record.action == REVOKE else found


def subject_text(resource: CompiledResource, stated: InputRecord | InputReliance) -> str:
    """The subject in canonical form, which is what goes on chain."""
    return canonical(resource.subject.type, stated.subject) or stated.subject


def parse_json(data: bytes, where: str) -> Any:
    """JSON that means one thing only: no key twice, no NaN, decimals as written.

    Raises:
        HuzhengError: BAD_FILE.
    """
    try:
        return json.loads(
            data.decode("utf-8-sig"),
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique_keys,
        )
    except (ValueError, ArithmeticError, RecursionError) as error:
        place = f", character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
        reason = str(error) if isinstance(error, _NotPlainError) else "not JSON in UTF-8"
        raise HuzhengError(Code.BAD_FILE, f"{where}{place}: {reason}") from None


class _NotPlainError(ValueError):
    """JSON that could be read in two ways."""


def _refuse_constant(_: str) -> Any:
    raise _NotPlainError("NaN and Infinity are no values")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _NotPlainError("a key stands twice in one object")
    return result


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _looks_like_lines(data: bytes) -> bool:
    """Whether a first line that isn't JSON is a mistake in JSON Lines, not the start of one pretty-printed object."""
    first = data.strip().split(b"\n", 1)[0].strip()
    return first.endswith(b"}")


def _record(value: Any, position: int, where: str) -> InputRecord:
    place = f"{where}, record {position}"
    if not isinstance(value, dict):
        raise HuzhengError(Code.BAD_FILE, f"{place}: a record is a JSON object")
    unknown = sorted(set(value) - _KEYS)
    if unknown:
        raise HuzhengError(Code.BAD_FILE, f"{place}: only these keys are known: {', '.join(sorted(_KEYS))}")
    action, fields = value.get("action", ASSERT), value.get("fields", {})
    version, replaces = value.get("version"), value.get("replaces")
    confidential, relies_on = value.get("confidential", {}), value.get("relies_on", [])
    problem = (
        _shape_problem(value, action, fields, version, replaces)
        or _confidential_problem(action, confidential)
        or reliance_problem(relies_on)
    )
    if problem:
        raise HuzhengError(Code.BAD_FILE, f"{place}: {problem}")
    return InputRecord(
        position,
        value["resource"],
        value["subject"],
        action,
        fields,
        version,
        None if replaces is None else bytes.fromhex(replaces),
        _digest(value),
        confidential,
        read_reliance(relies_on),
    )


def _digest(value: Mapping[str, Any]) -> bytes:
    public = {key: item for key, item in value.items() if key != "confidential"}
    if value.get("confidential"):
        public["confidential"] = sorted(name for name, item in value["confidential"].items() if item is not None)
    return hashlib.sha256(json.dumps(public, sort_keys=True, default=str).encode()).digest()


def _confidential_problem(action: Any, confidential: Any) -> str:
    if not isinstance(confidential, dict) or not all(map(_is_value, confidential.values())):
        return "confidential maps field names to text or numbers"
    return "a revoking record has no confidential fields" if action == REVOKE and confidential else ""


def _is_value(item: Any) -> bool:
    return isinstance(item, str | int | Decimal | None)


def _shape_problem(value: Mapping[str, Any], action: Any, fields: Any, version: Any, replaces: Any) -> str:
    problems = {
        "resource and subject must be there, as text": not (
            isinstance(value.get("resource"), str) and isinstance(value.get("subject"), str)
        ),
        f"action is {ASSERT} or {REVOKE}": action not in (ASSERT, REVOKE),
        "fields maps field names to text or numbers": not (
            isinstance(fields, dict) and all(map(_is_value, fields.values()))
        ),
        "a revoking record has no fields": action == REVOKE and bool(fields),
        "version is a number from 1": version is not None and not (isinstance(version, int) and 1 <= version < 1 << 63),
        "replaces is a record id, 64 hexadecimal digits": replaces is not None
        and not (isinstance(replaces, str) and _ID.fullmatch(replaces)),
    }
    return next((problem for problem, found in problems.items() if found), "")


def _at(record: InputRecord, code: Code, detail: str = "") -> HuzhengError:
    return HuzhengError(code, f"record {record.position}" + (f": {detail}" if detail else ""))

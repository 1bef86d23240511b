"""Catalogue files: what `network init` puts into the genesis, written in TOML.

A file has code lists (`[codes.QSZT]`, code = { zh, en }) and resources (`[[resource]]`); node/catalogues/property.toml
is the one that comes with Huzheng and the example to follow. All that is wrong with a file is reported at once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from huzheng.v1 import catalogue_pb2 as pb

from ledger.catalogue_rules import resource_problems
from ledger.errors import Code, HuzhengError

MAX_FILE_BYTES = 1 << 20

_Number = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
_TYPES = {name.removeprefix("FIELD_TYPE_").lower(): number for name, number in pb.FieldType.items() if number}
_SHARING = {
    "unconditional": pb.SHARING_CLASS_UNCONDITIONAL,
    "conditional": pb.SHARING_CLASS_CONDITIONAL,
    "none": pb.SHARING_CLASS_NONE,
}


class Title(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a code means, for people."""

    zh: str
    en: str


class _Subject(msgspec.Struct, frozen=True):
    zh: str
    en: str
    type: str
    max_bytes: _Number = 0
    pattern: str = ""
    codes: str = ""
    scale: _Number = 0


class _Field(_Subject, frozen=True, kw_only=True):
    number: _Number
    name: str
    required: bool = False


class _Resource(msgspec.Struct, frozen=True):
    name: str
    zh: str
    en: str
    department: str
    sharing: Literal["unconditional", "conditional", "none"]
    schema_version: _Number
    subject: dict[str, Any]
    field: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """A catalogue ready for a genesis: resources in order of name, and titles of the codes by list and code."""

    resources: tuple[pb.Resource, ...]
    code_titles: Mapping[str, Mapping[str, Title]]


def default_catalogue() -> CatalogueFile:
    """The property catalogue that comes with Huzheng."""
    return read_catalogue(files("node").joinpath("catalogues", "property.toml").read_text("utf-8"), "property.toml")


def load_catalogue(path: Path) -> CatalogueFile:
    """Reads a catalogue file; raises BAD_CATALOGUE with the file's name and everything that is wrong in it."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise HuzhengError(Code.BAD_CATALOGUE, f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise HuzhengError(Code.BAD_CATALOGUE, f"{path}: is larger than {MAX_FILE_BYTES} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise HuzhengError(Code.BAD_CATALOGUE, f"{path}: is not UTF-8 at byte {error.start}") from None
    return read_catalogue(text, str(path))


def read_catalogue(text: str, origin: str) -> CatalogueFile:
    """Reads a catalogue from TOML; `origin` names it in errors. Raises BAD_CATALOGUE with everything that is wrong."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise HuzhengError(Code.BAD_CATALOGUE, f"{origin}: is not TOML: {error}") from None
    reader = _Reader()
    catalogue = reader.catalogue(table)
    if reader.problems:
        raise HuzhengError(Code.BAD_CATALOGUE, f"{origin}: {'; '.join(reader.problems)}")
    return catalogue


_Struct = TypeVar("_Struct", bound=msgspec.Struct)


@dataclass(slots=True)
class _Reader:
    """Turns tables into messages and gathers what is wrong with them."""

    problems: list[str] = field(default_factory=list)
    code_titles: dict[str, dict[str, Title]] = field(default_factory=dict)

    def catalogue(self, table: Mapping[str, Any]) -> CatalogueFile:
        known = ("codes", "resource")
        self.problems += [f"{key}: is not a setting of a catalogue" for key in table if key not in known]
        self._code_lists(table.get("codes", {}))
        entries = table.get("resource", [])
        if not isinstance(entries, list) or not entries:
            self.problems.append("there must be at least one [[resource]]")
            entries = []
        resources = [self._resource(entry, f"resource {index}") for index, entry in enumerate(entries, 1)]
        named = {resource.name: resource for resource in resources if resource is not None}
        if len(named) < sum(resource is not None for resource in resources):
            self.problems.append("a resource's name is used more than once")
        return CatalogueFile(tuple(named[name] for name in sorted(named)), self.code_titles)

    def _code_lists(self, table: Any) -> None:
        for name, codes in self._items(table, "codes"):
            entries = self._items(codes, f"codes.{name}")
            titles = {code: self._struct(Title, title, f"codes.{name}.{code}") for code, title in entries}
            self.code_titles[name] = {code: title for code, title in titles.items() if title is not None}

    def _resource(self, table: Any, place: str) -> pb.Resource | None:
        if isinstance(table, dict) and isinstance(table.get("name"), str):
            place = table["name"]
        entry = self._struct(_Resource, table, place)
        if entry is None:
            return None
        before = len(self.problems)
        subject = self._struct(_Subject, entry.subject, f"{place}: subject")
        fields = [
            self._struct(_Field, item, f"{place}: field {item.get('name', index)}")
            for index, item in enumerate(entry.field, 1)
        ]
        specs = [self._spec(item, f"{place}: field {item.name}") for item in fields if item is not None]
        resource = pb.Resource(
            name=entry.name,
            title_zh=entry.zh,
            title_en=entry.en,
            department=entry.department,
            sharing_class=_SHARING[entry.sharing],
            schema_version=entry.schema_version,
            fields=specs,
        )
        if subject is not None:
            resource.subject.CopyFrom(self._spec(subject, f"{place}: subject"))
            resource.subject.required = True
        if len(self.problems) == before:
            self.problems += resource_problems(resource)
        return resource

    def _spec(self, entry: _Subject, place: str) -> pb.FieldSpec:
        if entry.type not in _TYPES:
            self.problems.append(f"{place}: type must be one of {', '.join(_TYPES)}")
        if entry.codes and entry.codes not in self.code_titles:
            self.problems.append(f"{place}: there is no code list of that name")
        spec = pb.FieldSpec(
            title_zh=entry.zh,
            title_en=entry.en,
            type=_TYPES.get(entry.type, pb.FIELD_TYPE_UNSPECIFIED),
            max_bytes=entry.max_bytes,
            pattern=entry.pattern,
            codes=sorted(self.code_titles.get(entry.codes, {}), key=str.encode),
            scale=entry.scale,
        )
        if isinstance(entry, _Field):
            spec.number, spec.name, spec.required = entry.number, entry.name, entry.required
        return spec

    def _items(self, table: Any, place: str) -> list[tuple[str, Any]]:
        if isinstance(table, dict):
            return list(table.items())
        self.problems.append(f"{place}: must be a table")
        return []

    def _struct(self, kind: type[_Struct], table: Any, place: str) -> _Struct | None:
        """The table as a structure; None after noting each setting that is missing, unknown or of the wrong kind."""
        if not isinstance(table, dict):
            self.problems.append(f"{place}: must be a table")
            return None
        settings = {info.name: info for info in msgspec.structs.fields(kind)}
        problems = [f"{place}: {name} is not a setting here" for name in table if name not in settings]
        for name, info in settings.items():
            if name in table:
                problems += _misfit(table[name], info.type, f"{place}: {name}")
            elif info.required:
                problems.append(f"{place}: {name} is missing")
        self.problems += problems
        return None if problems else kind(**table)


def _misfit(value: Any, kind: Any, place: str) -> list[str]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return [f"{place}: {error}"]
    return []

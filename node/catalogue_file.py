"""Catalogue files: what `network init` puts into the genesis, written in TOML.

A file has code lists (`[codes.QSZT]`, code = { zh, en }) and resources (`[[resource]]`); node/catalogues/property.toml
is the one that comes with Huzheng and the example to follow. All mistakes in a file are reported at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from huzheng.v1 import catalogue_pb2 as pb

from ledger.catalogue_rules import resource_problems
from ledger.errors import Code
from node.toml_file import TomlFile

_Number = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
_TypeName = Literal[
    "text",
    "integer",
    "decimal",
    "date",
    "code",
    "property_unit_code",
    "social_credit_code",
    "certificate_number",
]
_TYPES = {name.removeprefix("FIELD_TYPE_").lower(): number for name, number in pb.FieldType.items()}
_SHARING = {
    "unconditional": pb.SHARING_CLASS_UNCONDITIONAL,
    "conditional": pb.SHARING_CLASS_CONDITIONAL,
    "none": pb.SHARING_CLASS_NONE,
}


class Title(msgspec.Struct, frozen=True):
    """What a code means, for people."""

    zh: str
    en: str


class _Subject(msgspec.Struct, frozen=True):
    zh: str
    en: str
    type: _TypeName
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


_CodeTitles = Mapping[str, Mapping[str, Title]]


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """A catalogue ready for a genesis: resources in order of name, and titles of the codes by list and code."""

    resources: tuple[pb.Resource, ...]
    code_titles: _CodeTitles
    code_lists: Mapping[tuple[str, str], str]
    """By resource and field, the list of its codes."""


def default_catalogue() -> CatalogueFile:
    """The property catalogue that comes with Huzheng."""
    with as_file(files("node") / "catalogues" / "property.toml") as path:
        return load_catalogue(path)


def load_catalogue(path: Path) -> CatalogueFile:
    """Reads a catalogue file.

    Raises:
        HuzhengError: CONFIG_MISSING; CONFIG_INVALID if it is no TOML; BAD_CATALOGUE with every mistake, one a line.
    """
    toml = TomlFile.read(path)
    code_titles = {name: _code_list(toml, name, table) for name, table in toml.named_tables("codes").items()}
    entries = toml.list_of_sections("resource", _Resource)
    toml.refuse_other_sections()
    resources: dict[str, pb.Resource] = {}
    for entry in entries:
        if entry.name in resources:
            toml.problem(entry.name, "there are two resources of this name")
        resources[entry.name] = _resource(toml, entry, code_titles)
    if not resources:
        toml.problem("[[resource]]", "there must be at least one")
    toml.raise_problems(Code.BAD_CATALOGUE)
    code_lists = {
        (entry.name, field["name"]): field["codes"] for entry in entries for field in entry.field if field.get("codes")
    }
    return CatalogueFile(tuple(resources[name] for name in sorted(resources)), code_titles, code_lists)


def _code_list(toml: TomlFile, name: str, table: object) -> dict[str, Title]:
    if not isinstance(table, dict):
        toml.problem(f"[codes.{name}]", "not a section")
        return {}
    titles = {code: toml.convert(f"codes.{name}.{code}", title, Title) for code, title in table.items()}
    return {code: title for code, title in titles.items() if title is not None}


def _resource(toml: TomlFile, entry: _Resource, code_titles: _CodeTitles) -> pb.Resource:
    fields = [toml.convert(f"{entry.name}: field {i}", table, _Field) for i, table in enumerate(entry.field, 1)]
    subject = toml.convert(f"{entry.name}: subject", entry.subject, _Subject)
    resource = pb.Resource(
        name=entry.name,
        title_zh=entry.zh,
        title_en=entry.en,
        department=entry.department,
        sharing_class=_SHARING[entry.sharing],
        schema_version=entry.schema_version,
    )
    if subject is None or None in fields:
        return resource
    resource.subject.CopyFrom(_spec(toml, f"{entry.name}: subject", subject, code_titles))
    resource.subject.required = True
    for field in fields:
        if field is not None:
            spec = resource.fields.add(number=field.number, name=field.name, required=field.required)
            spec.MergeFrom(_spec(toml, f"{entry.name}: field {field.name}", field, code_titles))
    for problem in resource_problems(resource):
        place, _, text = problem.partition(": ")
        toml.problem(place, text)
    return resource


def _spec(toml: TomlFile, place: str, entry: _Subject, code_titles: _CodeTitles) -> pb.FieldSpec:
    if entry.codes and entry.codes not in code_titles:
        toml.problem(place, f"there is no section [codes.{entry.codes}]")
    return pb.FieldSpec(
        title_zh=entry.zh,
        title_en=entry.en,
        type=_TYPES[entry.type],
        max_bytes=entry.max_bytes,
        pattern=entry.pattern,
        codes=sorted(code_titles.get(entry.codes, {}), key=str.encode),
        scale=entry.scale,
    )

"""Catalogue files: what `network init` puts into the genesis and `catalogue publish` on chain, in TOML or YAML.

A file has code lists (`[codes.QSZT]`, code = { zh, en }), duties (`[[duty]]`), resources (`[[resource]]`) and tables (`[[table]]`);
node/catalogues/property.toml is the one that comes with Huzheng and the example to follow. YAML has the same structure. All
mistakes in a file are reported at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from huzheng.v1 import catalogue_pb2 as pb

from ledger.catalogue_rules import duty_problems, resource_problems, table_problems
from ledger.errors import Code
from node.toml_file import TomlFile
from node.yaml_file import YamlFile, write_yaml

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
    # The name of a code list, or the codes themselves.
    codes: str | list[str] = ""
    scale: _Number = 0


class _Field(_Subject, frozen=True, kw_only=True):
    number: _Number
    name: str
    required: bool = False
    confidential: bool = False


class _Duty(msgspec.Struct, frozen=True):
    code: str
    department: str
    zh: str
    en: str
    legal_basis: str


class _Table(msgspec.Struct, frozen=True):
    resource: str
    system: str
    name: str
    # Column by field.
    columns: dict[str, str]


class _Resource(msgspec.Struct, frozen=True):
    name: str
    zh: str
    en: str
    department: str
    sharing: Literal["unconditional", "conditional", "none"]
    schema_version: _Number
    subject: dict[str, Any]
    field: list[dict[str, Any]]
    duty: str = ""
    update_cycle_days: _Number = 0


_CodeTitles = Mapping[str, Mapping[str, Title]]


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """A catalogue ready for a genesis or to be published: all in order of their keys, and titles of the codes by list and code."""

    resources: tuple[pb.Resource, ...]
    duties: tuple[pb.Duty, ...]
    tables: tuple[pb.DataTable, ...]
    """Not for a genesis, which has none."""
    code_titles: _CodeTitles
    code_lists: Mapping[tuple[str, str], str]
    """By resource and field, the list of its codes."""


def default_catalogue() -> CatalogueFile:
    """The property catalogue that comes with Huzheng."""
    with as_file(files("node") / "catalogues" / "property.toml") as path:
        return load_catalogue(path)


def load_catalogue(path: Path) -> CatalogueFile:
    """Reads a catalogue file: YAML if its name ends so, otherwise TOML.

    Raises:
        HuzhengError: CONFIG_MISSING; CONFIG_INVALID if it is neither; BAD_CATALOGUE with every mistake, one a line.
    """
    toml = YamlFile.read(path) if path.suffix in (".yaml", ".yml") else TomlFile.read(path)
    code_titles = {name: _code_list(toml, name, table) for name, table in toml.named_tables("codes").items()}
    entries = toml.list_of_sections("resource", _Resource)
    duties = _duties(toml)
    table_entries = toml.list_of_sections("table", _Table)
    toml.refuse_other_sections()
    resources: dict[str, pb.Resource] = {}
    for entry in entries:
        if entry.name in resources:
            toml.problem(entry.name, "there are two resources of this name")
        resources[entry.name] = _resource(toml, entry, code_titles)
    tables = _tables(toml, table_entries, resources)
    if not (resources or duties):
        toml.problem("[[resource]]", "there must be at least one, or a duty")
    toml.raise_problems(Code.BAD_CATALOGUE)
    code_lists = {
        (entry.name, field["name"]): field["codes"]
        for entry in entries
        for field in entry.field
        if isinstance(field.get("codes"), str)
    }
    return CatalogueFile(
        tuple(resources[name] for name in sorted(resources)),
        tuple(duties[key] for key in sorted(duties)),
        tuple(tables[key] for key in sorted(tables)),
        code_titles,
        code_lists,
    )


def _duties(toml: TomlFile) -> dict[tuple[str, str], pb.Duty]:
    found: dict[tuple[str, str], pb.Duty] = {}
    for entry in toml.list_of_sections("duty", _Duty):
        duty = pb.Duty(
            code=entry.code,
            department=entry.department,
            title_zh=entry.zh,
            title_en=entry.en,
            legal_basis=entry.legal_basis,
        )
        for problem in duty_problems(duty):
            toml.problem(f"duty {entry.code}", problem)
        if (entry.department, entry.code) in found:
            toml.problem(f"duty {entry.code}", "there are two duties of this code and department")
        found[entry.department, entry.code] = duty
    return found


def _tables(
    toml: TomlFile, entries: list[_Table], resources: Mapping[str, pb.Resource]
) -> dict[tuple[str, str, str], pb.DataTable]:
    found: dict[tuple[str, str, str], pb.DataTable] = {}
    for entry in entries:
        place = f"table {entry.name}"
        if entry.resource not in resources:
            toml.problem(place, f"there is no resource {entry.resource} in the file")
            continue
        numbers = {spec.name: spec.number for spec in resources[entry.resource].fields}
        for name in entry.columns:
            if name not in numbers:
                toml.problem(place, f"{entry.resource} has no field {name}")
        columns = {numbers[name]: column for name, column in entry.columns.items() if name in numbers}
        table = pb.DataTable(
            resource=entry.resource,
            system=entry.system,
            name=entry.name,
            columns=[pb.Column(field=number, name=columns[number]) for number in sorted(columns)],
        )
        for problem in table_problems(table):
            toml.problem(place, problem)
        if (entry.resource, entry.system, entry.name) in found:
            toml.problem(place, "there are two tables of this name in this system")
        found[entry.resource, entry.system, entry.name] = table
    return found


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
        duty=entry.duty,
        update_cycle_days=entry.update_cycle_days,
    )
    if subject is None or None in fields:
        return resource
    resource.subject.CopyFrom(_spec(toml, f"{entry.name}: subject", subject, code_titles))
    resource.subject.required = True
    for field in fields:
        if field is not None:
            spec = resource.fields.add(
                number=field.number, name=field.name, required=field.required, confidential=field.confidential
            )
            spec.MergeFrom(_spec(toml, f"{entry.name}: field {field.name}", field, code_titles))
    for problem in resource_problems(resource):
        place, _, text = problem.partition(": ")
        toml.problem(place, text)
    return resource


def _spec(toml: TomlFile, place: str, entry: _Subject, code_titles: _CodeTitles) -> pb.FieldSpec:
    if isinstance(entry.codes, str) and entry.codes and entry.codes not in code_titles:
        toml.problem(place, f"there is no section [codes.{entry.codes}]")
    codes = code_titles.get(entry.codes, {}) if isinstance(entry.codes, str) else entry.codes
    return pb.FieldSpec(
        title_zh=entry.zh,
        title_en=entry.en,
        type=_TYPES[entry.type],
        max_bytes=entry.max_bytes,
        pattern=entry.pattern,
        codes=sorted(codes, key=str.encode),
        scale=entry.scale,
    )


def to_yaml(resources: Iterable[pb.Resource], duties: Iterable[pb.Duty], tables: Iterable[pb.DataTable]) -> str:
    """A catalogue file that `load_catalogue` reads as these again; what codes mean is on no chain, and so not in it."""
    definitions = {resource.name: resource for resource in resources}
    document = {
        "duty": [_duty_section(duty) for duty in duties],
        "resource": [_resource_section(resource) for resource in definitions.values()],
        "table": [_table_section(table, definitions[table.resource]) for table in tables],
    }
    return write_yaml({name: sections for name, sections in document.items() if sections})


def _duty_section(duty: pb.Duty) -> dict[str, Any]:
    return {
        "code": duty.code,
        "department": duty.department,
        "zh": duty.title_zh,
        "en": duty.title_en,
        "legal_basis": duty.legal_basis,
    }


def _resource_section(resource: pb.Resource) -> dict[str, Any]:
    sharing = {number: name for name, number in _SHARING.items()}
    section: dict[str, Any] = {
        "name": resource.name,
        "zh": resource.title_zh,
        "en": resource.title_en,
        "department": resource.department,
        "sharing": sharing[resource.sharing_class],
        "schema_version": resource.schema_version,
    }
    if resource.duty:
        section["duty"] = resource.duty
    if resource.update_cycle_days:
        section["update_cycle_days"] = resource.update_cycle_days
    section["subject"] = _spec_section(resource.subject)
    section["field"] = [
        {"number": spec.number, "name": spec.name}
        | _spec_section(spec)
        | {name: True for name in ("required", "confidential") if getattr(spec, name)}
        for spec in resource.fields
    ]
    return section


def _spec_section(spec: pb.FieldSpec) -> dict[str, Any]:
    types = {number: name for name, number in _TYPES.items()}
    section: dict[str, Any] = {"zh": spec.title_zh, "en": spec.title_en, "type": types[spec.type]}
    section |= {name: getattr(spec, name) for name in ("max_bytes", "pattern", "scale") if getattr(spec, name)}
    return section | ({"codes": list(spec.codes)} if spec.codes else {})


def _table_section(table: pb.DataTable, resource: pb.Resource) -> dict[str, Any]:
    names = {spec.number: spec.name for spec in resource.fields}
    # A column may hold a field that a later version dropped.
    columns = {names[column.field]: column.name for column in table.columns if column.field in names}
    return {"resource": table.resource, "system": table.system, "name": table.name, "columns": columns}

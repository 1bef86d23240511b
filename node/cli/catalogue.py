"""`huzheng catalogue`: what departments have, on what grounds, and what may be had of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.errors import Code, HuzhengError
from node.cli import publish, withdrawing
from node.cli.connection import with_client
from node.cli.files import write_bytes
from node.cli.output import printable
from node.cli.session import Session, command, group
from node.cli.show import department_name

if TYPE_CHECKING:
    from huzheng.v1 import catalogue_pb2, state_pb2

    from ledger.genesis import Genesis
    from node.client import LedgerClient
    from node.publication import CatalogueOnChain

app = group(
    "The catalogue: duties, resources with their fields, and tables; publish and withdraw your department's own."
)

DepartmentOption = Annotated[
    str | None, typer.Option("--department", metavar="ID", help="Only what is this department's.")
]


async def fetch(client: LedgerClient, resource: str = "") -> tuple[CatalogueOnChain, Genesis]:
    """The catalogue, or one resource's part of it, as the node tells it.

    Raises:
        HuzhengError: UNKNOWN_RESOURCE, and what the node answers.
    """
    from node.publication import CatalogueOnChain

    try:
        found = CatalogueOnChain.of(await client.learn(resource))
    except HuzhengError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        raise HuzhengError(Code.UNKNOWN_RESOURCE, ", ".join(client.catalogue.names())) from None
    return found, client.genesis


@command(app, "list", online=True)
def list_all(session: Session, department: DepartmentOption = None) -> None:
    """List duties, resources and tables."""
    found, genesis = with_client(session, fetch)
    duties = [duty for (owner, _), duty in sorted(found.duties.items()) if department in (None, owner)]
    resources = sorted(name for name, state in found.resources.items() if department in (None, state.department))
    tables = [key for key in sorted(found.tables) if key[0] in resources]
    if session.out.is_json:
        session.out.json(
            {
                "duties": [_duty_to_dict(duty) for duty in duties],
                "resources": [_resource_to_dict(found, name) for name in resources],
                "tables": [_table_to_dict(found.tables[key]) for key in tables],
            }
        )
        return
    t, language, out = session.t, session.language, session.out
    rows: list[tuple[object, ...]] = [
        (
            printable(state.duty.code),
            printable(_title(state.duty, session)),
            department_name(genesis, state.duty.department, language),
            printable(state.duty.legal_basis),
            t("withdrawn") if state.withdrawn else t("in force"),
        )
        for state in duties
    ]
    if rows:
        out.table(t("Duties"), [t("Duty"), t("Title"), t("Department"), t("Legal basis"), t("State")], rows)
    rows = [_resource_row(session, genesis, found, name) for name in resources]
    columns = [t("Resource"), t("Title"), t("Written by"), t("Sharing"), t("Versions"), t("Cycle"), t("Public")]
    out.table(t("Resources"), [*columns, t("Confidential")], rows, numbers=[6, 7])
    rows = [(printable(key[0]), printable(key[1]), printable(key[2]), len(found.tables[key].columns)) for key in tables]
    if rows:
        out.table(t("Tables"), [t("Resource"), t("System"), t("Table"), t("Columns")], rows, numbers=[3])
    out.note(t("Not verified: this is the node's word."), "yellow")


def _resource_row(session: Session, genesis: Genesis, found: CatalogueOnChain, name: str) -> tuple[object, ...]:
    state, newest = found.resources[name], found.newest(name)
    secret = sum(spec.confidential for spec in newest.fields)
    return (
        printable(name),
        printable(_title(newest, session)),
        department_name(genesis, state.department, session.language),
        sharing_name(session, newest),
        versions_text(session, state),
        _cycle(session, newest),
        len(newest.fields) - secret,
        secret,
    )


@command(app, "show", online=True)
def show(
    session: Session, name: Annotated[str, typer.Argument(metavar="RESOURCE", help="Such as property.ownership.")]
) -> None:
    """Show a resource: its fields, versions, duty and tables."""

    async def ask(client: LedgerClient) -> tuple[CatalogueOnChain, Genesis]:
        found, genesis = await fetch(client, name)
        if found.newest(name).duty:
            found.duties = CatalogueOnChain.of(await client.learn()).duties
        return found, genesis

    from node.publication import CatalogueOnChain

    found, genesis = with_client(session, ask)
    state, newest = found.resources[name], found.newest(name)
    duty = found.duties.get((state.department, newest.duty))
    if session.out.is_json:
        view = _resource_to_dict(found, name) | {"fields": [_field_to_dict(spec) for spec in newest.fields]}
        tables = [_table_to_dict(table) for _, table in sorted(found.tables.items())]
        session.out.json(view | {"duty": None if duty is None else _duty_to_dict(duty), "tables": tables})
        return
    _show_resource(session, genesis, (newest, state, duty))
    t = session.t
    names = {spec.number: spec.name for spec in newest.fields}
    for (_, system, table_name), table in sorted(found.tables.items()):
        rows = [(names.get(column.field, f"#{column.field}"), printable(column.name)) for column in table.columns]
        session.out.table(f"{printable(system)} {printable(table_name)}", [t("Field"), t("Column")], rows)
    session.out.note(t("Not verified: this is the node's word."), "yellow")


def _show_resource(
    session: Session,
    genesis: Genesis,
    parts: tuple[catalogue_pb2.Resource, state_pb2.ResourceState, state_pb2.DutyState | None],
) -> None:
    from ledger.catalogue import CompiledResource

    newest, state, duty = parts
    t, compiled = session.t, CompiledResource(newest)
    pairs: list[tuple[str, object]] = [
        (t("Written by"), department_name(genesis, state.department, session.language)),
        (t("Sharing"), sharing_name(session, newest)),
        (t("Schema version"), f"{newest.schema_version}; {t('open')}: {versions_text(session, state)}"),
        (t("Update cycle"), _cycle(session, newest)),
        (t("Subject"), f"{printable(_title(newest.subject, session))}: {compiled.subject.expected}"),
    ]
    if duty is not None:
        about = f"{duty.duty.code} {_title(duty.duty, session)}, {duty.duty.legal_basis}"
        pairs.append((t("Duty"), printable(about) + (f" ({t('withdrawn')})" if duty.withdrawn else "")))
    session.out.pairs(f"{printable(_title(newest, session))} ({newest.name})", pairs)
    rows = [
        (
            spec.number,
            spec.name,
            printable(_title(spec, session)),
            t("confidential") if spec.confidential else t("public"),
            t("yes") if spec.required else "",
            field.expected,
        )
        for spec, field in zip(newest.fields, compiled.fields, strict=True)
    ]
    columns = [t("No."), t("Field"), t("Title"), t("Seen by"), t("Required"), t("Value")]
    session.out.table("", columns, rows, numbers=[0])


@command(app, "export", online=True)
def export(
    session: Session,
    out: Annotated[Path, typer.Argument(metavar="FILE", help="The new YAML file; - is standard output.")],
    department: DepartmentOption = None,
) -> None:
    """Write the catalogue as YAML, which `huzheng catalogue publish` reads: the newest versions, without what is withdrawn."""
    from node.catalogue_file import to_yaml

    found, _ = with_client(session, fetch)
    is_theirs = {name for name, state in found.resources.items() if department in (None, state.department)}
    names = [name for name in sorted(is_theirs) if found.resources[name].open_versions]
    duties = [
        state.duty
        for (owner, _), state in sorted(found.duties.items())
        if department in (None, owner) and not state.withdrawn
    ]
    tables = [found.shown_table(key) for key in sorted(found.tables) if key[0] in names]
    text = to_yaml(map(found.newest, names), duties, [table for table in tables if table.columns])
    write_bytes(out, text.encode())
    if str(out) == "-":
        return
    if session.out.is_json:
        session.out.json({"file": str(out), "duties": len(duties), "resources": len(names), "tables": len(tables)})
        return
    text = session.t(
        "{file}: {d} duties, {r} resources, {n} tables.", file=out, d=len(duties), r=len(names), n=len(tables)
    )
    session.out.line(text, "bold green")


def sharing_name(session: Session, resource: catalogue_pb2.Resource) -> str:
    """How a resource is shared, for people."""
    from huzheng.v1 import catalogue_pb2

    t = session.t
    return {
        catalogue_pb2.SHARING_CLASS_UNCONDITIONAL: t("unconditional"),
        catalogue_pb2.SHARING_CLASS_CONDITIONAL: t("conditional"),
        catalogue_pb2.SHARING_CLASS_NONE: t("not shared"),
    }.get(resource.sharing_class, "")


def versions_text(session: Session, state: state_pb2.ResourceState) -> str:
    """The schema versions that records may cite."""
    return ", ".join(map(str, state.open_versions)) or session.t("withdrawn")


def _cycle(session: Session, resource: catalogue_pb2.Resource) -> str:
    days = resource.update_cycle_days
    return session.t("{n} days", n=days) if days else session.t("none stated")


def _title(titled: Any, session: Session) -> str:
    title: str = titled.title_zh if session.language == "zh" else titled.title_en
    return title


def _duty_to_dict(state: state_pb2.DutyState) -> dict[str, Any]:
    duty = state.duty
    return {
        "code": duty.code,
        "department": duty.department,
        "title_zh": duty.title_zh,
        "title_en": duty.title_en,
        "legal_basis": duty.legal_basis,
        "withdrawn": state.withdrawn,
    }


def _resource_to_dict(found: CatalogueOnChain, name: str) -> dict[str, Any]:
    from huzheng.v1 import catalogue_pb2

    state, newest = found.resources[name], found.newest(name)
    sharing = catalogue_pb2.SharingClass.Name(newest.sharing_class)
    return {
        "name": name,
        "title_zh": newest.title_zh,
        "title_en": newest.title_en,
        "department": state.department,
        "sharing": sharing.removeprefix("SHARING_CLASS_").lower(),
        "newest_version": state.newest_version,
        "open_versions": list(state.open_versions),
        "duty": newest.duty or None,
        "update_cycle_days": newest.update_cycle_days or None,
        "public_fields": sum(not spec.confidential for spec in newest.fields),
        "confidential_fields": sum(spec.confidential for spec in newest.fields),
    }


def _field_to_dict(spec: catalogue_pb2.FieldSpec) -> dict[str, Any]:
    from huzheng.v1 import catalogue_pb2

    return {
        "number": spec.number,
        "name": spec.name,
        "title_zh": spec.title_zh,
        "title_en": spec.title_en,
        "type": catalogue_pb2.FieldType.Name(spec.type).removeprefix("FIELD_TYPE_").lower(),
        "required": spec.required,
        "confidential": spec.confidential,
    }


def _table_to_dict(table: catalogue_pb2.DataTable) -> dict[str, Any]:
    columns = [{"field": column.field, "name": column.name} for column in table.columns]
    return {"resource": table.resource, "system": table.system, "name": table.name, "columns": columns}


publish.add_to(app)
app.add_typer(withdrawing.app, name="withdraw")

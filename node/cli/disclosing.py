"""`huzheng vault disclose`: shows confidential fields of one's own department's records, with proof for whoever holds the genesis file."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.errors import Code, HuzhengError
from node.cli.about import AboutArgument, VersionOption, find_record
from node.cli.catalogued import field_numbers
from node.cli.connection import with_believed_node
from node.cli.files import write_bytes
from node.cli.session import Session, command
from node.cli.show_disclosure import disclosure_for_people

if TYPE_CHECKING:
    from huzheng.v1 import ledger_service_pb2 as pb

    from ledger.disclosure import DisclosureVerdict
    from ledger.genesis import Genesis
    from node.client import LedgerClient


def add_to(app: typer.Typer) -> None:
    """Adds the command to the group of the vault."""
    command(app, "disclose", online=True)(disclose)


def disclose(
    session: Session,
    about: AboutArgument,
    field: Annotated[
        list[str], typer.Option("--field", "-f", help="A confidential field, by name or number; may be repeated.")
    ],
    version: VersionOption = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Keep the disclosure in this file; - is standard output."),
    ] = None,
) -> None:
    """Show confidential fields of a record of your own department, with proof that the record commits to them.

    The values come from the vault of your department's node, for its systems and clerks alone. The proof says nothing of
    other fields, and needs the genesis file and nothing else (`huzheng verify`).
    """
    department = session.profile().client.department

    async def ask(client: LedgerClient) -> tuple[bytes, DisclosureVerdict, Genesis]:
        from node.own_vault import OwnVault

        located = await find_record(client, about, version)
        numbers = await _numbers(client, located, field)
        raw, verdict = await OwnVault(client, department).disclose(located.record_id, numbers)
        return raw, verdict, client.genesis

    raw, verdict, genesis = with_believed_node(session, ask)
    if out is not None:
        write_bytes(out, raw)
        if str(out) == "-":
            return
    if session.out.is_json:
        where = {"file": str(out)} if out is not None else {"disclosure": base64.b64encode(raw).decode()}
        session.out.json(where | verdict.to_dict())
        return
    disclosure_for_people(session.out, genesis, verdict, asked=False)
    if out is not None:
        session.out.line(session.t("Disclosure kept in {file}, {n} bytes.", file=out, n=len(raw)))


async def _numbers(client: LedgerClient, located: pb.LocatedRecord, names: list[str]) -> list[int]:
    """Of these fields of the record's schema version, in ascending order.

    Raises:
        HuzhengError: UNKNOWN_FIELD; SCHEMA_UNKNOWN where the node does not tell the schema version.
    """
    from huzheng.v1 import transaction_pb2

    await client.learn_of([located.record])
    record = transaction_pb2.Record.FromString(located.record)
    definition = client.catalogue.version(record.resource, record.schema_version)
    if definition is None:
        raise HuzhengError(Code.SCHEMA_UNKNOWN, f"{record.resource}, version {record.schema_version}")
    return field_numbers(definition, names)

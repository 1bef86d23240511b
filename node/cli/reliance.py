"""`huzheng reliance`: who relied on a record, whether it is still in force, and what becomes of those that one's own records rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ledger.errors import Code, HuzhengError
from node.cli.connection import with_client
from node.cli.files import parse_hash
from node.cli.output import local_time, printable
from node.cli.session import Session, command, group
from node.cli.show import current_name, department_name, located_pairs, located_to_dict, resource_title

if TYPE_CHECKING:
    from huzheng.v1 import ledger_service_pb2 as pb

    from node.catalogue import Catalogue
    from node.client import LedgerClient

app = group("See which records rely on others, and what becomes of these.")


@command(app, "list", online=True)
def list_reliance(
    session: Session, record_id: Annotated[str, typer.Argument(metavar="ID", help="The record's id.")]
) -> None:
    """List all records that rely on a record, with their departments, and say whether it is still in force."""
    relied_id = parse_hash(record_id, "ID")

    async def ask(client: LedgerClient) -> tuple[pb.LocatedRecord, list[pb.LocatedRecord], Catalogue]:
        relied, records = await fetch_reliance(client, relied_id)
        await client.learn_of([relied.record, *(located.record for located in records)])
        return relied, records, client.catalogue

    relied, records, catalogue = with_client(session, ask)
    relied_view = located_to_dict(catalogue, relied)
    in_force = relied_view["current"] and relied_view["action"] == "assert"
    views = [located_to_dict(catalogue, located) for located in records]
    if session.out.is_json:
        session.out.json({"relied": relied_view, "in_force": in_force, "records": views})
        return
    t, language = session.t, session.language
    session.out.pairs("", located_pairs(session.out, catalogue, relied))
    if in_force:
        session.out.line(t("The record is in force."), "bold green")
    else:
        session.out.line(
            t("The record is NOT IN FORCE any more: what relies on it has to be looked at."), "bold yellow"
        )
    rows = [
        (
            department_name(catalogue.genesis, view["department"], language),
            resource_title(catalogue.genesis, view["resource"], language),
            printable(view["subject"]),
            f"{view['version']}, {current_name(session.out, view)}",
            local_time(located.time_ms),
            view["record_id"],
        )
        for view, located in zip(views, records, strict=True)
    ]
    if rows:
        columns = [t("Department"), t("Resource"), t("Subject"), t("Version"), t("Time"), t("Record id")]
        session.out.table("", columns, rows)
    else:
        session.out.line(t("No record relies on it."))
    session.out.note(t("Not verified: this is the node's word."), "yellow")


@command(app, "watch", online=True)
def watch(
    session: Session,
    from_height: Annotated[
        int, typer.Option("--from-height", min=0, help="Start with this block; 0 is the next new one.")
    ] = 0,
    department: Annotated[
        str, typer.Option("--department", help="Whose records rely; your own department's if it is not given.")
    ] = "",
    count: Annotated[int, typer.Option("--count", min=0, help="Stop after this many events; 0 is never.")] = 0,
) -> None:
    """Follow what happens to records that your department's records rely on, until Ctrl-C.

    One line for each record of theirs that relies on one which was replaced or revoked: it has to be looked at. A connection
    that is lost is opened again, and nothing is left out. Shown as the node tells it.
    """
    from node.cli.reliance_watch import RelianceWatch

    with_client(session, RelianceWatch(session, from_height, department, count).run)


async def fetch_reliance(client: LedgerClient, record_id: bytes) -> tuple[pb.LocatedRecord, list[pb.LocatedRecord]]:
    """A record, and all that rely on it, oldest first.

    Raises:
        HuzhengError: NOT_FOUND, UNTRUSTED_ANSWER, and what the node answers.
    """
    from huzheng.v1 import ledger_service_pb2 as pb

    request = pb.ListRelianceRequest(record_id=record_id)
    records: list[pb.LocatedRecord] = []
    while True:
        page = await client.reliance(request)
        records += page.records
        if not page.HasField("next_after"):
            return page.relied, records
        if request.HasField("after") and _position(page.next_after) <= _position(request.after):
            raise HuzhengError(Code.UNTRUSTED_ANSWER, "a page that leads nowhere")
        request.after.CopyFrom(page.next_after)


def _position(position: pb.RecordPosition) -> tuple[int, int, int]:
    return position.height, position.transaction_index, position.record_index

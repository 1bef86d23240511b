"""`huzheng audit`: who read what, when, on which grounds, and what should be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.errors import Code, HuzhengError
from node.cli.audit_views import alert_lines, alerts_to_dict, read_row, read_to_dict, to_csv
from node.cli.connection import with_client
from node.cli.files import parse_hash, write_bytes
from node.cli.moment import parse_time
from node.cli.output import local_time
from node.cli.session import Ended, Session, command, group
from node.errors import ExitStatus

if TYPE_CHECKING:
    from huzheng.v1 import audit_pb2 as pb

    from ledger.genesis import Genesis
    from node.audit import ReadList
    from node.client import LedgerClient

app = group("See who read what, when and on which grounds, and what should be looked at.")


@command(app, "reads", online=True)
def reads(
    session: Session,
    subject: Annotated[
        tuple[str, str] | None, typer.Option("--subject", metavar="RESOURCE SUBJECT", help="Of this subject.")
    ] = None,
    department: Annotated[str | None, typer.Option("--department", metavar="ID", help="By this department.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="ID", help="Of this department's data.")] = None,
    grant: Annotated[str | None, typer.Option("--grant", metavar="ID", help="Under this grant.")] = None,
    record: Annotated[
        str | None, typer.Option("--record", metavar="ID", help="Of this record; accepted reads only.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only from this time on; such as 2021-03-01.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Only before this time.")] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Also write a table to this file; - is standard output."),
    ] = None,
) -> None:
    """List reads of confidential fields, accepted and refused, oldest first.

    With --subject or --grant, and without times, the list is checked to be complete: exit status 4 if it is not.
    """
    request = _request(subject, department, owner, grant, record)
    request.since_ms = parse_time(since, "--since") if since else 0
    request.until_ms = parse_time(until, "--until") if until else 0

    async def ask(client: LedgerClient) -> tuple[ReadList, int | None, Genesis]:
        from node.audit import fetch_reads, require_complete

        _make_canonical(client.genesis, request)
        with session.out.progress(session.t("Reading")) as progress:
            bar = progress.task_ids[0]
            found = await fetch_reads(client, request, lambda count: progress.update(bar, completed=count))
        if found.account is None:
            return found, None, client.genesis
        return found, require_complete(client.genesis.suite, found.reads, found.account), client.genesis

    found, complete, genesis = with_client(session, ask)
    if csv is not None:
        write_bytes(csv, to_csv(found.reads))
        if str(csv) == "-":
            return
    _show(session, genesis, found, complete)


def _show(session: Session, genesis: Genesis, found: ReadList, complete: int | None) -> None:
    account = found.account
    if session.out.is_json:
        proof: dict[str, Any] | None = None
        if account is not None:
            proof = {"accepted": complete, "height": account.height, "proven": account.is_proven}
        session.out.json({"reads": [read_to_dict(listed) for listed in found.reads], "complete": proof})
        return
    t = session.t
    columns = [
        t("Time"),
        t("Read by"),
        t("Whose"),
        t("Resource"),
        t("Subject"),
        t("Fields"),
        t("Case"),
        t("Purpose and legal basis"),
        t("Status"),
    ]
    if found.reads:
        session.out.table("", columns, [read_row(session.out, genesis, listed) for listed in found.reads])
    else:
        session.out.line(t("Nobody asked for anything there."))
    if account is None:
        session.out.note(t("Not verified: this is the node's word."), "yellow")
        return
    text = t(
        "Complete: no accepted read is missing, as of block {height}. Accepted reads: {n}.",
        height=account.height,
        n=complete,
    )
    session.out.line(text, "bold green")
    if not account.is_proven:
        session.out.note(t("What the list was compared with is the node's word."), "yellow")


def _request(
    subject: tuple[str, str] | None, department: str | None, owner: str | None, grant: str | None, record: str | None
) -> pb.ListReadsRequest:
    from huzheng.v1 import audit_pb2 as pb

    if sum(value is not None for value in (subject, department, owner, grant, record)) != 1:
        needed = "one of --subject, --department, --owner, --grant and --record is needed"
        raise HuzhengError(Code.INVALID_REQUEST, needed)
    if subject is not None:
        return pb.ListReadsRequest(subject=pb.ReadSubject(resource=subject[0], subject=subject[1]))
    if department is not None:
        return pb.ListReadsRequest(reader=department)
    if owner is not None:
        return pb.ListReadsRequest(owner=owner)
    if grant is not None:
        return pb.ListReadsRequest(grant=parse_hash(grant, "--grant"))
    return pb.ListReadsRequest(record_id=parse_hash(record or "", "--record"))


def _make_canonical(genesis: Genesis, request: pb.ListReadsRequest) -> None:
    """A subject as it is written on chain, where the genesis tells how."""
    from ledger.fields.entry import canonical

    definition = genesis.catalogue.get(request.subject.resource)
    if request.HasField("subject") and definition is not None:
        given = request.subject.subject
        request.subject.subject = canonical(definition.subject.type, given) or given


@command(app, "alerts", online=True)
def alerts(session: Session) -> None:
    """Show what should be looked at: overdue updates, unusual and refused reads, and what nobody acknowledged.

    Exit status 4 if there is anything.
    """

    async def ask(client: LedgerClient) -> tuple[pb.GetAlertsResponse, Genesis]:
        return await client.alerts(), client.genesis

    found, genesis = with_client(session, ask)
    lines = list(alert_lines(session.out, genesis, found))
    if session.out.is_json:
        session.out.json(alerts_to_dict(found))
    elif lines:
        t = session.t
        session.out.table("", [t("What"), t("Department"), t("Details")], lines)
    else:
        text = session.t(
            "Nothing to look at, as of block {height}, {time}.", height=found.height, time=local_time(found.time_ms)
        )
        session.out.line(text, "bold green")
    if lines:
        raise Ended(ExitStatus.NOT_PROVEN)

"""`huzheng audit`: who read what, when, on which grounds, and what should be looked at."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.errors import Code, HuzhengError
from node.cli.about import resource_and_subject
from node.cli.audit_proofs import make_empty, read_proofs, write_proofs
from node.cli.audit_views import Listing, alert_lines, alerts_to_dict, listing_to_dict, read_row, to_csv
from node.cli.connection import with_client
from node.cli.files import GenesisOption, chosen_genesis, parse_hash, write_bytes
from node.cli.light import with_light_client
from node.cli.moment import parse_time
from node.cli.output import local_time
from node.cli.session import Ended, Session, command, group
from node.errors import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from huzheng.v1 import audit_pb2 as pb

    from ledger.genesis import Genesis
    from node.client import LedgerClient
    from node.light_client import LightClient
    from node.sharing.proving import ProvenReads

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
    proofs: Annotated[
        Path | None,
        typer.Option(
            "--proofs",
            metavar="DIR",
            help="Also keep the list with its proofs in this directory, for anyone to verify.",
        ),
    ] = None,
    verified: Annotated[
        bool, typer.Option("--verified/--unverified", help="Have each read proved, instead of believing the node.")
    ] = True,
) -> None:
    """List reads of confidential fields, accepted and refused, oldest first, each of them proved.

    With --subject or --grant, and without times, that no accepted read is missing is proved too. Exit status 4 if it is not.
    """
    if proofs is not None and not verified:
        raise HuzhengError(Code.INVALID_REQUEST, "--proofs does not go with --unverified")
    request = _request(subject, department, owner, grant, record)
    request.since_ms = parse_time(since, "--since") if since else 0
    request.until_ms = parse_time(until, "--until") if until else 0
    if proofs is not None:
        make_empty(proofs)
    with session.out.progress(session.t("Reading")) as progress:
        bar = progress.task_ids[0]

        def on_page(count: int) -> None:
            progress.update(bar, completed=count)

        ask = partial(_prove, proofs=proofs) if verified else _ask
        listing, genesis = ask(session, request, on_page)
    if csv is not None:
        write_bytes(csv, to_csv(listing.reads))
        if str(csv) == "-":
            return
    _show(session, genesis, listing)
    if proofs is not None and not session.out.is_json:
        session.out.line(session.t("Kept in {directory}, for `huzheng audit verify`.", directory=proofs))


@command(app, "verify")
def verify(
    session: Session,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="What `huzheng audit reads --proofs` has written.")],
    genesis: GenesisOption = None,
) -> None:
    """Verify a list of reads with its proofs offline: needs no node, only the genesis file.

    Exit status 4 if something that the list says is not proved by the files beside it.
    """
    trusted = chosen_genesis(session, genesis)
    _show(session, trusted, read_proofs(directory, trusted))


def _prove(
    session: Session, request: pb.ListReadsRequest, on_page: Callable[[int], None], *, proofs: Path | None
) -> tuple[Listing, Genesis]:
    async def ask(light: LightClient, _client: LedgerClient) -> tuple[ProvenReads, Genesis]:
        from node.sharing.proving import prove_reads

        await _make_canonical(light, request)
        return await prove_reads(light, request, on_page, whole=proofs is not None), light.genesis

    found, genesis = with_light_client(session, ask)
    listing = Listing(request, found.reads, found.account, is_proven=True)
    if proofs is not None:
        write_proofs(proofs, listing, found)
    return listing, genesis


def _ask(session: Session, request: pb.ListReadsRequest, on_page: Callable[[int], None]) -> tuple[Listing, Genesis]:
    async def ask(client: LedgerClient) -> tuple[Listing, Genesis]:
        from node.audit import fetch_reads, require_complete

        await _make_canonical(client, request)
        found = await fetch_reads(client, request, on_page)
        if found.account is not None:
            require_complete(client.genesis.suite, found.reads, found.account)
        return Listing(request, found.reads, found.account, is_proven=False), client.genesis

    return with_client(session, ask)


async def _make_canonical(client: LedgerClient | LightClient, request: pb.ListReadsRequest) -> None:
    """A subject as it is written on chain."""
    if request.HasField("subject"):
        about = request.subject
        about.resource, about.subject = await resource_and_subject(client, [about.resource, about.subject])


def _show(session: Session, genesis: Genesis, listing: Listing) -> None:
    if session.out.is_json:
        session.out.json(listing_to_dict(listing))
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
    if listing.reads:
        session.out.table("", columns, [read_row(session.out, genesis, listed) for listed in listing.reads])
    else:
        session.out.line(t("Nobody asked for anything there."))
    account = listing.account
    if account is not None:
        text = t(
            "Complete: no accepted read is missing, as of block {height}. Accepted reads: {n}.",
            height=account.height,
            n=account.reads.count,
        )
        session.out.line(text, "bold green")
    _say_what_is_proved(session, listing)


def _say_what_is_proved(session: Session, listing: Listing) -> None:
    t, is_whole = session.t, listing.account is not None
    if listing.is_proven and is_whole:
        session.out.note(
            t(
                "Each read is proved, and so is that no accepted one is missing; whether a refused one is missing is not."
            )
        )
    elif listing.is_proven:
        session.out.note(t("Each read is proved; whether one is missing is not."), "yellow")
    elif is_whole:
        session.out.note(t("What the list was compared with is the node's word."), "yellow")
    else:
        session.out.note(t("Not verified: this is the node's word."), "yellow")


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

"""`huzheng record`: reads records from a node, and checks what it says by receipts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ledger.errors import Code, HuzhengError
from node.cli.about import AboutArgument, VersionOption, find_record, resource_and_subject
from node.cli.connection import with_client
from node.cli.output import local_time, printable, short
from node.cli.session import Session, command, group
from node.cli.show import action_name, located_pairs, located_to_dict

if TYPE_CHECKING:
    from huzheng.v1 import ledger_service_pb2 as pb

    from ledger.genesis import Genesis
    from node.client import LedgerClient

app = group("Read records: one, the history of a subject, or a whole resource.")

ResourceArgument = Annotated[str, typer.Argument(metavar="RESOURCE", help="Such as property.ownership.")]
SubjectArgument = Annotated[str, typer.Argument(metavar="SUBJECT", help="Such as a property unit code.")]
VerifyOption = Annotated[
    bool,
    typer.Option(
        "--verify/--no-verify", help="Check each record's receipt against the genesis instead of believing the node."
    ),
]


@command(app, "get", online=True)
def get(session: Session, about: AboutArgument, version: VersionOption = 0, verify: VerifyOption = True) -> None:
    """Show one record: the newest about a subject, an older version, or one by its id."""

    async def ask(client: LedgerClient) -> tuple[pb.LocatedRecord, Genesis]:
        located = await find_record(client, about, version)
        if verify:
            await check_located(client, located)
        return located, client.genesis

    located, genesis = with_client(session, ask)
    if session.out.is_json:
        session.out.json(located_to_dict(genesis, located) | {"verified": verify})
        return
    session.out.pairs("", located_pairs(session.out, genesis, located))
    view = located_to_dict(genesis, located)
    if view["current"] and view["action"] == "revoke":
        session.out.line(session.t("Nothing is in force: the newest statement was withdrawn."), "bold yellow")
    if verify:
        text = session.t(
            "Verified against chain {id}…; that it is the newest is this node's word.", id=short(genesis.chain_id)
        )
        session.out.note(text, "green")
    else:
        session.out.note(session.t("Not verified: this is the node's word."), "yellow")


@command(app, "history", online=True)
def history(
    session: Session, resource: ResourceArgument, subject: SubjectArgument, verify: VerifyOption = False
) -> None:
    """List all versions about a subject, oldest first."""

    async def ask(client: LedgerClient) -> tuple[list[pb.LocatedRecord], Genesis]:
        name, about = resource_and_subject(client, [resource, subject])
        found = [located async for located in client.history(name, about)]
        if not found:
            raise HuzhengError(Code.NOT_FOUND)
        if verify:
            await check_history(client, found)
        return found, client.genesis

    found, genesis = with_client(session, ask)
    views = [located_to_dict(genesis, located) for located in found]
    if session.out.is_json:
        session.out.json({"records": views, "verified": verify})
        return
    t = session.t
    rows = [
        (
            view["version"],
            action_name(session.out, view),
            local_time(located.time_ms),
            view["height"],
            view["record_id"],
        )
        for view, located in zip(views, found, strict=True)
    ]
    session.out.table("", [t("Version"), t("Action"), t("Time"), t("Block"), t("Record id")], rows, numbers=[0, 3])
    if verify:
        session.out.note(t("All {n} verified against chain {id}….", n=len(found), id=short(genesis.chain_id)), "green")


@command(app, "list", online=True)
def list_records(
    session: Session,
    resource: ResourceArgument,
    prefix: Annotated[str, typer.Option("--prefix", help="Only subjects that start with this.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="At most this many.")] = 50,
) -> None:
    """List the newest record of each subject in a resource, by subject."""

    async def ask(client: LedgerClient) -> tuple[list[pb.LocatedRecord], Genesis]:
        if resource not in client.genesis.catalogue:
            raise HuzhengError(Code.UNKNOWN_RESOURCE, ", ".join(sorted(client.genesis.catalogue)))
        found: list[pb.LocatedRecord] = []
        async for located in client.records(resource, prefix, min(limit + 1, 1000)):
            found.append(located)
            if len(found) > limit:
                break
        return found, client.genesis

    found, genesis = with_client(session, ask)
    more, found = len(found) > limit, found[:limit]
    views = [located_to_dict(genesis, located) for located in found]
    if session.out.is_json:
        session.out.json({"records": views, "more": more})
        return
    t = session.t
    rows = [
        (
            printable(view["subject"]),
            view["version"],
            action_name(session.out, view),
            local_time(located.time_ms),
            view["height"],
        )
        for view, located in zip(views, found, strict=True)
    ]
    session.out.table("", [t("Subject"), t("Version"), t("Action"), t("Time"), t("Block")], rows, numbers=[1, 4])
    if more:
        session.out.note(t("There are more: raise --limit or narrow down with --prefix."))


async def check_located(client: LedgerClient, located: pb.LocatedRecord) -> None:
    """Fetches and checks the receipt of a record that a node told, and compares all that was shown.

    Raises:
        HuzhengError: UNTRUSTED_ANSWER.
    """
    view = located_to_dict(client.genesis, located)
    _, verdict = await client.record_receipt(located.record_id)
    record = verdict.record
    told = (view["resource"], view["subject"], view["version"], view["action"] == "revoke", view["fields"])
    proved = record and (record.resource, record.subject, record.version, record.revokes, record.values)
    place = (verdict.height, verdict.time_ms, verdict.department, verdict.transaction_id)
    if told != proved or place != (located.height, located.time_ms, located.department, located.transaction_id):
        raise HuzhengError(Code.UNTRUSTED_ANSWER, "the record is not the one its receipt proves")
    if not verdict.accepted:
        raise HuzhengError(Code.UNTRUSTED_ANSWER, "the record's transaction was refused")


async def check_history(client: LedgerClient, found: list[pb.LocatedRecord]) -> None:
    """Checks each version's receipt, and that the versions follow one another without a gap.

    Raises:
        HuzhengError: UNTRUSTED_ANSWER.
    """
    previous = b""
    for number, located in enumerate(found, 1):
        await check_located(client, located)
        view = located_to_dict(client.genesis, located)
        if view["version"] != number or view["replaces"] != previous.hex():
            raise HuzhengError(Code.UNTRUSTED_ANSWER, f"version {number} is missing or out of line")
        previous = located.record_id

"""`huzheng record`: reads records from a node, and has it prove what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ledger.errors import Code, HuzhengError
from node.cli.about import AboutArgument, VersionOption, find_record, resource_and_subject
from node.cli.connection import with_believed_node
from node.cli.expunging import add_to as add_expunge
from node.cli.light import with_light_client
from node.cli.moment import parse_moment
from node.cli.output import local_time, printable
from node.cli.proved import (
    AsOf,
    Found,
    as_of_to_dict,
    prove_history,
    prove_newest_at,
    prove_record,
    say_how_far_proved,
    say_until_when,
)
from node.cli.session import Session, command, group
from node.cli.show import action_name, lacks_contents, located_pairs, located_to_dict, removal

if TYPE_CHECKING:
    from huzheng.v1 import ledger_service_pb2 as pb

    from node.catalogue import Catalogue
    from node.client import LedgerClient
    from node.light_client import LightClient

app = group("Read records: one, the history of a subject, or a whole resource.")
add_expunge(app)

ResourceArgument = Annotated[str, typer.Argument(metavar="RESOURCE", help="Such as property.ownership.")]
SubjectArgument = Annotated[str, typer.Argument(metavar="SUBJECT", help="Such as a property unit code.")]
VerifiedOption = Annotated[
    bool,
    typer.Option(
        "--verified/--unverified",
        help="Have everything proved, also that there is nothing newer, instead of believing the node.",
    ),
]


@command(app, "get", online=True)
def get(
    session: Session,
    about: AboutArgument,
    version: VersionOption = 0,
    verified: VerifiedOption = True,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="HEIGHT|TIME", help="The version that was the newest then, proved; such as 2021-03-01."
        ),
    ] = None,
) -> None:
    """Show one record: the newest about a subject, an older version, or one by its id."""
    moment = None if at is None else parse_moment(at)
    if moment is not None and (version or not verified):
        raise HuzhengError(Code.INVALID_REQUEST, "--at goes with neither --version nor --unverified")

    async def ask(light: LightClient, client: LedgerClient) -> Found:
        if moment is not None:
            found = await prove_newest_at(light, client, about, moment)
        elif verified:
            found = await prove_record(light, client, about, version)
        else:
            found = Found(await find_record(client, about, version), client.catalogue, None)
            await client.learn_of([found.located.record])
        return found

    found = with_light_client(session, ask)
    view = located_to_dict(found.catalogue, found.located)
    if session.out.is_json:
        until = {} if moment is None else {"replaced_at": as_of_to_dict(found.replaced_at)}
        session.out.json(view | {"verified": found.as_of is not None, "as_of": as_of_to_dict(found.as_of)} | until)
        return
    session.out.pairs("", located_pairs(session.out, found.catalogue, found.located))
    if view["current"] and view["action"] == "revoke":
        session.out.line(session.t("Nothing is in force: the newest statement was withdrawn."), "bold yellow")
    if moment is not None:
        say_until_when(session, found)
    say_how_far_proved(session, found.catalogue.genesis, found.as_of, newest=view["current"])


@command(app, "history", online=True)
def history(
    session: Session, resource: ResourceArgument, subject: SubjectArgument, verified: VerifiedOption = True
) -> None:
    """List all versions about a subject, oldest first."""

    async def ask(light: LightClient, client: LedgerClient) -> tuple[list[pb.LocatedRecord], Catalogue, AsOf | None]:
        if verified:
            found, as_of = await prove_history(light, client, *await resource_and_subject(light, [resource, subject]))
            return found, client.catalogue, as_of
        name, about = await resource_and_subject(client, [resource, subject])
        found = [located async for located in client.history(name, about)]
        if not found:
            raise HuzhengError(Code.NOT_FOUND)
        await client.learn_of(located.record for located in found)
        return found, client.catalogue, None

    found, catalogue, as_of = with_light_client(session, ask)
    views = [located_to_dict(catalogue, located) for located in found]
    if session.out.is_json:
        session.out.json({"records": views, "verified": as_of is not None, "as_of": as_of_to_dict(as_of)})
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
    for view, located in zip(views, found, strict=True):
        if lacks_contents(view):
            how = removal(session.out, located)
            session.out.line(t("Version {n}: contents {how}", n=view["version"], how=how), "yellow")
    say_how_far_proved(session, catalogue.genesis, as_of)


@command(app, "list", online=True)
def list_records(
    session: Session,
    resource: ResourceArgument,
    prefix: Annotated[str, typer.Option("--prefix", help="Only subjects that start with this.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="At most this many.")] = 50,
) -> None:
    """List the newest record of each subject in a resource, by subject."""

    async def ask(client: LedgerClient) -> tuple[list[pb.LocatedRecord], Catalogue]:
        await client.resource(resource)
        found: list[pb.LocatedRecord] = []
        async for located in client.records(resource, prefix, min(limit + 1, 1000)):
            found.append(located)
            if len(found) > limit:
                break
        await client.learn_of(located.record for located in found)
        return found, client.catalogue

    found, catalogue = with_believed_node(session, ask)
    more, found = len(found) > limit, found[:limit]
    views = [located_to_dict(catalogue, located) for located in found]
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
    session.out.note(t("Not verified: this is the node's word."), "yellow")
    if more:
        session.out.note(t("There are more: raise --limit or narrow down with --prefix."))

"""`huzheng read`: reads confidential fields of another department under a grant, on the record."""

from __future__ import annotations

from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.catalogued import field_numbers
from node.cli.connection import with_client
from node.cli.files import parse_hash, write_bytes
from node.cli.grant import FieldOption, find_grant
from node.cli.light import anchors_of
from node.cli.output import printable
from node.cli.session import Session, command, group
from node.cli.signing import load_system

if TYPE_CHECKING:
    from node.client import LedgerClient
    from node.profile import ClientProfile
    from node.sharing.asking import Answered, PendingRead, Reads

app = group("Read confidential fields of another department under a grant; each read is on the chain first.")
DIRECTORY = "reads"
"""Beside the profile: reads that are not acknowledged yet."""

OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FILE", help="Write the disclosure there: proof of the values, as `huzheng verify` reads it."
    ),
]
KeepOption = Annotated[
    bool,
    typer.Option(
        "--keep/--no-keep", help="Keep the values in your own department's vault, where an erasure finds them."
    ),
]


@command(app, "ask", online=True)
def ask(
    session: Session,
    grant: Annotated[str, typer.Argument(metavar="GRANT", help="A grant's id.")],
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="Such as a property unit code.")],
    case: Annotated[str, typer.Option("--case", help="The case that the values are needed for.")],
    field: FieldOption = None,
    out: OutOption = None,
    keep: KeepOption = True,
) -> None:
    """Read fields about a subject: ordered on chain, then given out by the owner, checked, acknowledged.

    Signed with the profile's key for records. If it is cut off at any point, `huzheng read resume` goes on with it.
    """
    from node.sharing.asking import Reads, Request

    identifier = parse_hash(grant, "GRANT")
    profile = session.profile()
    reads = Reads(profile.file.parent / DIRECTORY)

    async def work(client: LedgerClient) -> Answered:
        from ledger.fields.entry import canonical

        state = (await find_grant(client, identifier)).state
        resource = await client.resource(state.granted.resource or state.applied.resource)
        fields = field_numbers(resource, field) if field else list(state.granted.fields)
        about = canonical(resource.subject.type, subject) or subject
        request = Request(identifier, state.owner, resource.name, about, case, tuple(fields))
        signer = load_system(profile, client.genesis)
        pending = reads.begin(client, signer, profile.client.department, request, _expiry(client))
        return await _go_on(session, client, reads, pending, keep=keep)

    session.when_stopped = session.t("Stopped. `huzheng read resume` goes on with what was begun.")
    _show(session, with_client(session, work), out)


@command(app, "resume", online=True)
def resume(
    session: Session,
    read: Annotated[str, typer.Argument(metavar="READ", help="A read's id, as `huzheng read pending` lists it.")],
    out: OutOption = None,
    keep: KeepOption = True,
) -> None:
    """Go on with a read that was begun: it is ordered if it was not, and its answer fetched again."""
    from node.sharing.asking import Reads

    reads = Reads(session.profile().file.parent / DIRECTORY)
    pending = reads.load(parse_hash(read, "READ"))
    answered = with_client(session, lambda client: _go_on(session, client, reads, pending, keep=keep))
    _show(session, answered, out)


@command(app, "pending", online=True)
def pending_reads(session: Session) -> None:
    """List the reads that were begun and not finished."""
    from node.sharing.asking import Reads

    reads = Reads(session.profile().file.parent / DIRECTORY)
    found = [reads.load(identifier) for identifier in reads.pending()]
    if session.out.is_json:
        session.out.json({"reads": [{"read": item.id.hex(), "subject": item.request.subject} for item in found]})
        return
    rows = [(item.id.hex(), item.request.resource, printable(item.request.subject)) for item in found]
    session.out.table("", [session.t("Read"), session.t("Resource"), session.t("Subject")], rows)


@command(app, "forget", online=True)
def forget(
    session: Session,
    read: Annotated[str, typer.Argument(metavar="READ", help="A read's id, as `huzheng read pending` lists it.")],
) -> None:
    """Give up a read that was begun and can't be finished, as one that a node refused or whose time is over.

    Its key is destroyed: no answer to it can be opened any more. What is on the chain of it stays.
    """
    from node.sharing.asking import Reads

    reads = Reads(session.profile().file.parent / DIRECTORY)
    pending = reads.load(parse_hash(read, "READ"))
    reads.forget(pending)
    if session.out.is_json:
        session.out.json({"forgotten": pending.id.hex()})
    else:
        session.out.line(session.t("Forgotten: no answer to this read can be opened any more."), "bold green")


def _expiry(client: LedgerClient) -> int:
    return int(time() * 1000) + client.genesis.parameters.max_lifetime_ms // 2


async def _go_on(session: Session, client: LedgerClient, reads: Reads, pending: PendingRead, *, keep: bool) -> Answered:
    from node.light_client import LightClient
    from node.own_vault import OwnVault
    from node.sharing.asking import acknowledge, carry_out

    profile: ClientProfile = session.profile()
    light = LightClient(client, anchors_of(session, client))
    answered = await carry_out(light, reads, pending, session.timeout_s)
    if keep:
        await OwnVault(client, profile.client.department).keep(pending.id, answered.disclosure)
    signer = load_system(profile, client.genesis)
    await acknowledge(client, signer, profile.client.department, pending.id, _expiry(client))
    reads.forget(pending)
    return answered


def _show(session: Session, answered: Answered, out: Path | None) -> None:
    if out is not None:
        write_bytes(out, answered.disclosure)
    request, verdict = answered.pending.request, answered.verdict
    if session.out.is_json:
        view: dict[str, Any] = {
            "read": answered.pending.id.hex(),
            "height": answered.height,
            "resource": request.resource,
            "subject": request.subject,
            "record_id": verdict.record.id.hex(),
            "fields": {shown.name: shown.value or None for shown in verdict.fields},
        }
        session.out.json(view)
        return
    t = session.t
    session.out.line(t("Read, checked and acknowledged."), "bold green")
    titles = {spec.number: _title(session, spec) for spec in verdict.definition.message.fields}
    session.out.pairs(
        "",
        [
            (t("Read"), answered.pending.id.hex()),
            (t("Block"), answered.height),
            (t("Record id"), verdict.record.id.hex()),
            *(
                (f"{shown.name} {titles.get(shown.number, '')}", printable(shown.value) or t("no value"))
                for shown in verdict.fields
            ),
        ],
    )


def _title(session: Session, spec: Any) -> str:
    return str(spec.title_zh if session.language == "zh" else spec.title_en)

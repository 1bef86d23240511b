"""`huzheng grant`: asks for confidential fields of another department, decides on what is asked for, and ends it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.errors import Code, HuzhengError
from node.cli.catalogued import field_numbers
from node.cli.connection import with_client
from node.cli.files import parse_hash
from node.cli.light import with_light_client
from node.cli.moment import parse_end
from node.cli.output import local_time, printable
from node.cli.session import Session, command, group
from node.cli.signing import submit_operation, submit_signed

if TYPE_CHECKING:
    from huzheng.v1 import audit_pb2, sharing_pb2

    from node.client import Final, LedgerClient
    from node.light_client import LightClient
    from node.sharing.proving import ProvenGrant

app = group("Grants: apply for confidential fields, decide on applications, end what was granted.")

GrantArgument = Annotated[str, typer.Argument(metavar="GRANT", help="A grant's id.")]
FieldOption = Annotated[
    list[str] | None, typer.Option("--field", "-f", help="A confidential field, by name or number; may be repeated.")
]
SubjectOption = Annotated[
    list[str] | None, typer.Option("--subject", help="Only about this subject; may be repeated. Without: about any.")
]
CaseOption = Annotated[str, typer.Option("--case", help="Only for this case number. Without: for any.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for all to read. No personal data.")]


@command(app, "apply", online=True)
def apply(
    session: Session,
    resource: Annotated[str, typer.Argument(metavar="RESOURCE", help="Such as property.owner.")],
    purpose: Annotated[str, typer.Option("--purpose", help="What the fields are needed for.")],
    legal_basis: Annotated[str, typer.Option("--legal-basis", help="By which law they may be asked for.")],
    until: Annotated[
        str, typer.Option("--until", metavar="DATE|DAYSd", help="When it is to expire: a date, or days such as 90d.")
    ],
    field: FieldOption = None,
    subject: SubjectOption = None,
    case: CaseOption = "",
    reads: Annotated[int, typer.Option("--reads", min=1, max=1_000_000_000, help="How many reads at most.")] = 1_000,
) -> None:
    """Apply for confidential fields of another department's resource, signed with the profile's admin key.

    Where the resource is shared unconditionally, the grant is there at once.
    """
    from huzheng.v1 import sharing_pb2, transaction_pb2

    from ledger.sharing.granting import grant_id

    expires_ms = parse_end(until)

    async def work(client: LedgerClient) -> tuple[bytes, Final]:
        terms = sharing_pb2.GrantTerms(
            resource=resource,
            fields=field_numbers(await client.resource(resource), field or []),
            subjects=sorted(set(subject or []), key=str.encode),
            case_number=case,
            max_reads=reads,
            expires_ms=expires_ms,
        )
        operation = sharing_pb2.ApplyGrant(terms=terms, purpose=purpose, legal_basis=legal_basis)
        final = await submit_signed(session, client, transaction_pb2.Operation(apply_grant=operation))
        return grant_id(client.genesis.suite, final.transaction_id, 0), final

    grant, final = with_client(session, work)
    if session.out.is_json:
        session.out.json({"grant": grant.hex(), **final.verdict.to_dict()})
        return
    session.out.line(session.t("Applied for."), "bold green")
    session.out.pairs("", [(session.t("Grant"), grant.hex()), (session.t("Block"), final.verdict.height)])


@command(app, "approve", online=True)
def approve(
    session: Session,
    grant: GrantArgument,
    field: FieldOption = None,
    subject: SubjectOption = None,
    case: CaseOption = "",
    reads: Annotated[int, typer.Option("--reads", min=0, help="How many reads at most; 0: as applied for.")] = 0,
    until: Annotated[str, typer.Option("--until", metavar="DATE|DAYSd", help="When it is to expire instead.")] = "",
) -> None:
    """Grant what was applied for, or less of it, signed with the profile's admin key."""
    from huzheng.v1 import sharing_pb2, transaction_pb2

    identifier = parse_hash(grant, "GRANT")

    async def work(client: LedgerClient) -> Final:
        operation = sharing_pb2.ApproveGrant(grant=identifier)
        if field or subject or case or reads or until:
            applied = (await find_grant(client, identifier)).state.applied
            terms = operation.terms
            terms.CopyFrom(applied)
            if field:
                del terms.fields[:]
                terms.fields.extend(field_numbers(await client.resource(applied.resource), field))
            if subject:
                del terms.subjects[:]
                terms.subjects.extend(sorted(set(subject), key=str.encode))
            terms.case_number = case or terms.case_number
            terms.max_reads = reads or terms.max_reads
            terms.expires_ms = parse_end(until) if until else terms.expires_ms
        return await submit_signed(session, client, transaction_pb2.Operation(approve_grant=operation))

    final = with_client(session, work)
    _say_done(session, final, session.t("Granted."))


@command(app, "refuse", online=True)
def refuse(session: Session, grant: GrantArgument, reason: ReasonOption) -> None:
    """Refuse what was applied for, signed with the profile's admin key."""
    from huzheng.v1 import sharing_pb2, transaction_pb2

    refused = sharing_pb2.RefuseGrant(grant=parse_hash(grant, "GRANT"), reason=reason)
    submit_operation(session, transaction_pb2.Operation(refuse_grant=refused), session.t("Refused."))


@command(app, "revoke", online=True)
def revoke(session: Session, grant: GrantArgument, reason: ReasonOption) -> None:
    """End a grant or withdraw an application, as applicant or owner, signed with the profile's admin key.

    Reads that were ordered before are still answered.
    """
    from huzheng.v1 import sharing_pb2, transaction_pb2

    ended = sharing_pb2.EndGrant(grant=parse_hash(grant, "GRANT"), reason=reason)
    submit_operation(session, transaction_pb2.Operation(end_grant=ended), session.t("Ended."))


def _say_done(session: Session, final: Final, done: str) -> None:
    if session.out.is_json:
        session.out.json(final.verdict.to_dict())
        return
    session.out.line(done, "bold green")
    pairs = [(session.t("Transaction"), final.transaction_id.hex()), (session.t("Block"), final.verdict.height)]
    session.out.pairs("", pairs)


@command(app, "list", online=True)
def list_grants(
    session: Session,
    department: Annotated[
        str | None, typer.Option("--department", help="Whose; otherwise those of the profile's department.")
    ] = None,
    owner: Annotated[
        bool, typer.Option("--owner", help="Those for the department's own data, instead of those it applied for.")
    ] = False,
) -> None:
    """List grants, oldest application first: what is asked for, what is granted, what is left of it.

    Each is proved; whether one is missing is not.
    """
    from huzheng.v1 import audit_pb2

    whose = department or session.profile().client.department

    async def work(light: LightClient, client: LedgerClient) -> list[ProvenGrant]:
        from node.sharing.proving import prove_grants

        request = audit_pb2.ListGrantsRequest(owner=whose) if owner else audit_pb2.ListGrantsRequest(applicant=whose)
        told = [item.grant async for item in client.grants(request)]
        try:
            found = await prove_grants(light, told)
        except HuzhengError as error:
            if error.code is Code.NOT_FOUND:
                raise HuzhengError(Code.UNTRUSTED_ANSWER, error.detail) from None
            raise
        if any(whose != (item.state.owner if owner else item.state.applicant) for item in found):
            raise HuzhengError(Code.UNTRUSTED_ANSWER, "a grant of another department")
        return found

    found = with_light_client(session, work)
    if session.out.is_json:
        session.out.json({"grants": [_to_dict(item) for item in found], "proven": True})
        return
    t = session.t
    rows = [
        (
            item.id.hex(),
            _status(session, item.state),
            item.state.applicant,
            item.terms.resource,
            ", ".join(item.field_names),
            f"{item.state.reads.count}/{item.terms.max_reads}",
            local_time(item.terms.expires_ms),
        )
        for item in found
    ]
    columns = [t("Grant"), t("Status"), t("Applicant"), t("Resource"), t("Fields"), t("Reads"), t("Expires")]
    session.out.table("", columns, rows, numbers=[5])
    session.out.note(t("Each grant is proved; whether one is missing is not."), "yellow")


@command(app, "show", online=True)
def show(session: Session, grant: GrantArgument) -> None:
    """Show a grant, proved: who, what, on which grounds, and where it stands."""
    identifier = parse_hash(grant, "GRANT")

    async def work(light: LightClient, _client: LedgerClient) -> ProvenGrant:
        from node.sharing.proving import prove_grants

        [found] = await prove_grants(light, [identifier])
        return found

    item = with_light_client(session, work)
    if session.out.is_json:
        session.out.json(_to_dict(item) | {"proven": True})
        return
    session.out.pairs("", list(_pairs(session, item)))
    session.out.note(session.t("Proved, as of block {height}.", height=item.height), "green")


async def find_grant(client: LedgerClient, grant: bytes) -> audit_pb2.ListedGrant:
    """A grant as the node tells it. Raises HuzhengError(UNKNOWN_GRANT)."""
    from huzheng.v1 import audit_pb2

    found = [item async for item in client.grants(audit_pb2.ListGrantsRequest(grant=grant))]
    if not found:
        raise HuzhengError(Code.UNKNOWN_GRANT)
    return found[0]


def _status(session: Session, state: sharing_pb2.GrantState) -> str:
    from huzheng.v1 import sharing_pb2

    names = {
        sharing_pb2.GRANT_STATUS_APPLIED: session.t("applied for"),
        sharing_pb2.GRANT_STATUS_ACTIVE: session.t("granted"),
        sharing_pb2.GRANT_STATUS_REFUSED: session.t("refused"),
        sharing_pb2.GRANT_STATUS_ENDED: session.t("ended"),
    }
    return names.get(state.status, "?")


def _pairs(session: Session, item: ProvenGrant) -> Iterator[tuple[str, object]]:
    t, state, terms = session.t, item.state, item.terms
    yield t("Grant"), item.id.hex()
    yield t("Status"), _status(session, state)
    yield t("Applicant"), state.applicant
    yield t("Owner"), state.owner
    yield t("Resource"), terms.resource
    yield t("Fields"), ", ".join(item.field_names)
    yield t("Subjects"), ", ".join(map(printable, terms.subjects)) or t("any")
    yield t("Case"), printable(terms.case_number) or t("any")
    yield t("Purpose"), printable(state.purpose)
    yield t("Legal basis"), printable(state.legal_basis)
    yield t("Reads"), f"{state.reads.count}/{terms.max_reads}"
    yield t("Expires"), local_time(terms.expires_ms)
    yield t("Applied for at"), local_time(state.applied_ms)
    if state.decided_ms:
        yield t("Decided at"), local_time(state.decided_ms)
    if state.ended_ms:
        yield t("Ended at"), f"{local_time(state.ended_ms)} ({state.ended_by})"
    if state.reason:
        yield t("Reason"), printable(state.reason)


def _to_dict(item: ProvenGrant) -> dict[str, Any]:
    from huzheng.v1 import sharing_pb2

    state, terms = item.state, item.terms
    return {
        "grant": item.id.hex(),
        "status": sharing_pb2.GrantStatus.Name(state.status).removeprefix("GRANT_STATUS_").lower(),
        "applicant": state.applicant,
        "owner": state.owner,
        "resource": terms.resource,
        "fields": item.field_names,
        "subjects": list(terms.subjects),
        "case": terms.case_number,
        "purpose": state.purpose,
        "legal_basis": state.legal_basis,
        "reads": state.reads.count,
        "max_reads": terms.max_reads,
        "expires_ms": terms.expires_ms,
        "applied_ms": state.applied_ms,
        "decided_ms": state.decided_ms,
        "ended_ms": state.ended_ms,
        "ended_by": state.ended_by,
        "reason": state.reason,
        "height": item.height,
    }

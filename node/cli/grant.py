"""`huzheng grant`: asks for confidential fields of another department, decides on what is asked for, and ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ledger.errors import Code, HuzhengError
from node.cli.catalogued import field_numbers
from node.cli.connection import with_client
from node.cli.files import parse_hash
from node.cli.moment import parse_end
from node.cli.session import Session, command, group
from node.cli.signing import submit_operation, submit_signed

if TYPE_CHECKING:
    from huzheng.v1 import sharing_pb2, transaction_pb2

    from node.client import Final, LedgerClient

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

    expires_ms = parse_end(until)

    async def work(client: LedgerClient) -> Final:
        terms = sharing_pb2.GrantTerms(
            resource=resource,
            fields=await field_numbers(client, resource, field or []),
            subjects=sorted(set(subject or []), key=str.encode),
            case_number=case,
            max_reads=reads,
            expires_ms=expires_ms,
        )
        operation = sharing_pb2.ApplyGrant(terms=terms, purpose=purpose, legal_basis=legal_basis)
        return await submit_signed(session, client, transaction_pb2.Operation(apply_grant=operation))

    final = with_client(session, work)
    grant = _grant_id(session, final)
    if session.out.is_json:
        session.out.json({"grant": grant.hex(), **final.verdict.to_dict()})
        return
    session.out.line(session.t("Applied for."), "bold green")
    session.out.pairs("", [(session.t("Grant"), grant.hex()), (session.t("Block"), final.verdict.height)])


def _grant_id(session: Session, final: Final) -> bytes:
    from ledger.crypto import ED25519_SHA256
    from ledger.sharing.granting import grant_id

    return grant_id(ED25519_SHA256, final.transaction_id, 0)


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
            applied = (await find_grant(client, identifier)).applied
            terms = operation.terms
            terms.CopyFrom(applied)
            if field:
                del terms.fields[:]
                terms.fields.extend(await field_numbers(client, applied.resource, field))
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

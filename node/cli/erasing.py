"""`huzheng vault erase`: orders that confidential values be destroyed wherever they are, and shows who has done so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.errors import Code, HuzhengError
from node.cli.about import AboutArgument, resource_and_subject
from node.cli.connection import with_believed_node, with_client
from node.cli.files import parse_hash
from node.cli.output import local_time
from node.cli.session import Session, command
from node.cli.signing import submit_signed

if TYPE_CHECKING:
    from huzheng.v1 import audit_pb2

    from node.client import Final, LedgerClient


def add_to(app: typer.Typer) -> None:
    """Adds the commands to the group of the vault."""
    command(app, "erase", online=True)(erase)
    command(app, "erasures", online=True)(erasures)


def erase(
    session: Session,
    about: AboutArgument,
    legal_basis: Annotated[str, typer.Option("--legal-basis", help="By which law, for all to read. No personal data.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Order that the confidential values of a record, or of all versions about a subject, be destroyed for good.

    Your department's node and those of all departments that read them destroy the values and every key to them, and say so
    on chain. The chain goes on to verify. Signed with the profile's admin key.
    """
    from huzheng.v1 import sharing_pb2, transaction_pb2

    async def work(client: LedgerClient) -> tuple[list[bytes], Final]:
        records = await _records(client, about)
        question = session.t("Destroy the confidential values of {n} records, for good?", n=len(records))
        if not yes and not typer.confirm(question, err=True):
            raise HuzhengError(Code.INTERRUPTED, "nothing was ordered")
        order = sharing_pb2.OrderErasure(records=sorted(records), legal_basis=legal_basis)
        return records, await submit_signed(session, client, transaction_pb2.Operation(order_erasure=order))

    records, final = with_client(session, work)
    if session.out.is_json:
        session.out.json({"records": [record.hex() for record in records], **final.verdict.to_dict()})
        return
    session.out.line(session.t("Ordered. `huzheng vault erasures` shows who has carried it out."), "bold green")
    session.out.pairs("", [(session.t("Records"), len(records)), (session.t("Block"), final.verdict.height)])


async def _records(client: LedgerClient, about: list[str]) -> list[bytes]:
    """Ids of the records that commit to confidential fields."""
    from huzheng.v1 import transaction_pb2

    if len(about) == 1:
        return [parse_hash(about[0], "ID")]
    resource, subject = await resource_and_subject(client, about)
    found = [located async for located in client.history(resource, subject)]
    committed = [
        located.record_id for located in found if transaction_pb2.Record.FromString(located.record).confidential_root
    ]
    if not committed:
        raise HuzhengError(Code.NOT_FOUND, "no record about it has confidential fields")
    return committed


def erasures(
    session: Session,
    department: Annotated[str, typer.Option("--department", help="Only what this department has ordered.")] = "",
) -> None:
    """List what was ordered to be erased, and which departments have said that they have done so."""

    async def work(client: LedgerClient) -> list[audit_pb2.ListedErasure]:
        return [order async for order in client.erasures(department)]

    orders = with_believed_node(session, work)
    if session.out.is_json:
        session.out.json({"erasures": [_to_dict(order) for order in orders]})
        return
    t = session.t
    rows = [
        (
            local_time(order.time_ms),
            order.department,
            record.record_id.hex(),
            ", ".join(item.department for item in record.done) or t("nobody yet"),
            ", ".join(_owed(order, record)),
        )
        for order in orders
        for record in order.records
    ]
    columns = [t("Time"), t("Department"), t("Record id"), t("Erased by"), t("Still owed by")]
    session.out.table("", columns, rows)


def _owed(order: audit_pb2.ListedErasure, record: audit_pb2.ErasedRecord) -> list[str]:
    done = {item.department for item in record.done}
    return sorted({order.department, *record.holders} - done)


def _to_dict(order: audit_pb2.ListedErasure) -> dict[str, Any]:
    return {
        "time_ms": order.time_ms,
        "height": order.position.height,
        "department": order.department,
        "legal_basis": order.legal_basis,
        "records": [
            {
                "record_id": record.record_id.hex(),
                "erased_by": {item.department: item.time_ms for item in record.done},
                "owed_by": _owed(order, record),
            }
            for record in order.records
        ],
    }

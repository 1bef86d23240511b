"""`huzheng record expunge`: has the contents of a record removed from all nodes for good."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.errors import Code, HuzhengError
from node.cli.connection import with_client
from node.cli.files import parse_hash
from node.cli.session import Ended, Session, command
from node.cli.show import payload_pairs
from node.cli.signing import submit_operation
from node.errors import ExitStatus

if TYPE_CHECKING:
    from huzheng.v1 import transaction_pb2

    from node.catalogue import Catalogue
    from node.client import LedgerClient


@dataclass(frozen=True, slots=True)
class Doomed:
    """A record whose contents are to be removed."""

    catalogue: Catalogue
    record: transaction_pb2.Record
    payload: bytes
    is_gone: bool
    """Whether there was a payload that the node does not show."""
    department: str
    """Whose transaction it is in."""
    transaction_id: bytes
    position: int


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "expunge", online=True)(expunge)


def expunge(
    session: Session,
    record_id: Annotated[
        str, typer.Argument(metavar="RECORD-ID", help="64 hexadecimal digits, of a record of your department.")
    ],
    legal_basis: Annotated[
        str,
        typer.Option(
            "--legal-basis",
            metavar="TEXT",
            help="On what ground. It stays on the chain for good: no personal data in it.",
        ),
    ],
    transaction: Annotated[
        str,
        typer.Option(
            "--transaction",
            metavar="ID",
            help="The transaction that the record is in, if it was refused or the record is in several.",
        ),
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Have the contents of a record removed from all nodes for good, signed with the profile's admin key.

    For what should never have been on the chain. The record itself, its hashes and all proofs stay: they show that there was something, not what.
    """
    from huzheng.v1 import sharing_pb2, transaction_pb2

    identifier = parse_hash(record_id, "RECORD-ID")
    within = parse_hash(transaction, "--transaction") if transaction else b""
    doomed = with_client(session, lambda client: _find(client, identifier, within))
    department = session.profile().client.department
    _require_removable(doomed, department)
    _confirm(session, doomed, yes=yes)
    order = sharing_pb2.Expunge(
        transaction_id=doomed.transaction_id, record_index=doomed.position, legal_basis=legal_basis
    )
    submit_operation(
        session,
        transaction_pb2.Operation(expunge=order),
        session.t("Ordered. Every node removes the contents with this block, or as soon as it gets it."),
    )


async def _find(client: LedgerClient, record_id: bytes, transaction_id: bytes) -> Doomed:
    """The record, in a transaction that is checked; the first that the node has it in, unless one is named."""
    from node.cli.transactions import fetch_transaction

    if not transaction_id:
        transaction_id = (await client.record(record_id)).transaction_id
    found, catalogue = await fetch_transaction(client, transaction_id)
    for position, item in enumerate(found.transaction.records):
        if item.id == record_id:
            department = found.transaction.department
            is_gone = item.removed is not None
            return Doomed(catalogue, item.record, item.payload, is_gone, department, transaction_id, position)
    raise HuzhengError(Code.NOT_FOUND, "this record in this transaction")


def _require_removable(doomed: Doomed, department: str) -> None:
    if doomed.department != department:
        raise HuzhengError(Code.NOT_OWNER, f"the transaction is of {doomed.department}")
    # That they are gone is the node's word: it may have left them out, while all others have them. The chain knows of an order.
    if not doomed.payload and not doomed.is_gone:
        raise HuzhengError(Code.INVALID_REQUEST, "the record has no contents, as one that revokes")


def _confirm(session: Session, doomed: Doomed, *, yes: bool) -> None:
    if yes:
        return
    if session.out.is_json or not sys.stdin.isatty():
        raise HuzhengError(Code.INVALID_REQUEST, "--yes is needed where nobody can be asked")
    t = session.t
    _show(session, doomed)
    session.out.line(
        t("All nodes will remove these contents, and nobody can bring them back. Hashes and proofs stay."),
        "bold yellow",
    )
    if not typer.confirm(t("Remove them?"), default=False):
        session.out.line(t("Nothing was done."))
        raise Ended(ExitStatus.OK)


def _show(session: Session, doomed: Doomed) -> None:
    t = session.t
    session.out.pairs(
        "",
        [
            *payload_pairs(session.out, doomed.catalogue, doomed.record, doomed.payload),
            (t("Contents"), t("removed or not shown") if doomed.is_gone else t("{n} bytes", n=len(doomed.payload))),
            (t("Transaction"), doomed.transaction_id.hex()),
            (t("Position"), doomed.position),
        ],
    )

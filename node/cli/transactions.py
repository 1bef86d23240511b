"""Fetches a transaction with the proof of how it ended, and shows both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from huzheng.v1 import catalogue_pb2, genesis_pb2, sharing_pb2, transaction_pb2

from ledger.chain_export import transaction_line
from ledger.crypto import strict
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.receipt import Verdict
from ledger.transaction import WellFormedTransaction, check_transaction
from node.cli.output import local_time, printable, short
from node.cli.show import department_name, replica_names

if TYPE_CHECKING:
    from node.catalogue import Catalogue
    from node.cli.session import Session
    from node.client import LedgerClient


@dataclass(frozen=True, slots=True)
class FoundTransaction:
    """A transaction that was checked, and what its receipt proves."""

    transaction: WellFormedTransaction
    verdict: Verdict

    def to_dict(self, catalogue: Catalogue) -> dict[str, Any]:
        """For programs, in the form of `huzheng chain export`."""
        verdict = self.verdict
        result = transaction_pb2.TransactionResult(
            transaction_id=verdict.transaction_id, code=verdict.code, index=verdict.index
        )
        place = {"height": verdict.height, "time_ms": verdict.time_ms, "sealed_by": list(verdict.sealed_by)}
        return (
            transaction_line(catalogue.genesis, catalogue.version, self.transaction.raw, strict.write(result)) | place
        )


async def fetch_transaction(client: LedgerClient, identifier: bytes) -> tuple[FoundTransaction, Catalogue]:
    """Fetches a transaction and its receipt, and checks both.

    Raises:
        HuzhengError: NOT_FOUND, UNTRUSTED_ANSWER.
    """
    answer = await client.transaction(identifier)
    _, verdict = await client.transaction_receipt(identifier)
    result = transaction_pb2.TransactionResult(code=verdict.code, index=verdict.index)
    try:
        # Payloads may have been removed: the result is proved.
        transaction = check_transaction(answer.transaction, client.genesis, result)
    except HuzhengError as error:
        raise HuzhengError(Code.UNTRUSTED_ANSWER, str(error)) from None
    if transaction.id != identifier:
        raise HuzhengError(Code.UNTRUSTED_ANSWER, "another transaction than the one asked for")
    await client.learn_of(item.raw for item in transaction.records)
    return FoundTransaction(transaction, verdict), client.catalogue


def show_transaction(session: Session, found: FoundTransaction, genesis: Genesis) -> None:
    """For people."""
    t, out, transaction, verdict = session.t, session.out, found.transaction, found.verdict
    if verdict.refusal is None:
        out.line(t("ACCEPTED"), "bold green")
    else:
        refused = HuzhengError(verdict.refusal)
        text = t("REFUSED: {code}, at position {n}.", code=verdict.refusal, n=verdict.index)
        out.line(f"{text} {refused.message(session.language)}", "bold yellow")
    out.pairs(
        "",
        [
            (t("Transaction"), transaction.id.hex()),
            (t("Department"), department_name(genesis, transaction.department, session.language)),
            (t("Signed with"), transaction.body.public_key.hex()),
            (t("Block"), verdict.height),
            (t("Time"), local_time(verdict.time_ms)),
            (t("Sealed by"), replica_names(genesis, verdict.membership, verdict.sealed_by, session.language)),
        ],
    )
    rows = [
        (
            n,
            item.record.resource,
            item.record.subject,
            item.record.version,
            _action(session, item.record),
            item.id.hex(),
        )
        for n, item in enumerate(transaction.records)
    ]
    if rows:
        columns = [t("No."), t("Resource"), t("Subject"), t("Version"), t("Action"), t("Record id")]
        out.table("", columns, rows, numbers=[0, 3])
    for n, item in enumerate(transaction.records):
        if item.removed is not None:
            out.line(t("Record {n}: its contents were removed or are not shown.", n=n), "yellow")
    for operation in transaction.body.operations:
        out.line(_operation(session, operation))
    out.note(t("Verified against chain {id}….", id=short(genesis.chain_id)), "green")


def _action(session: Session, record: transaction_pb2.Record) -> str:
    revokes = record.action == transaction_pb2.RECORD_ACTION_REVOKE
    return session.t("revokes") if revokes else session.t("asserts")


def _operation(session: Session, operation: transaction_pb2.Operation) -> str:
    if operation.HasField("add_key"):
        key = operation.add_key.key
        role = "admin" if key.role == genesis_pb2.KEY_ROLE_ADMIN else "system"
        return session.t("registers the {role} key {key}", role=role, key=key.public_key.hex())
    if operation.HasField("change_membership"):
        approvers = ", ".join(approval.department for approval in operation.change_membership.approvals)
        return session.t("changes the membership, approved by {departments}", departments=approvers)
    if operation.HasField("revoke_key"):
        return session.t("revokes the key {key}", key=operation.revoke_key.public_key.hex())
    if operation.HasField("expunge"):
        order = operation.expunge
        return session.t(
            "orders that the contents of record {n} of transaction {id} be removed, on the ground of: {basis}",
            n=order.record_index,
            id=order.transaction_id.hex(),
            basis=printable(order.legal_basis),
        )
    return _catalogue_operation(session, operation) or (operation.WhichOneof("operation") or "")


def _catalogue_operation(session: Session, operation: transaction_pb2.Operation) -> str:
    t, kind = session.t, operation.WhichOneof("operation")
    if kind == "publish_duty":
        return t("publishes the duty {code}", code=printable(operation.publish_duty.duty.code))
    if kind == "publish_resource":
        resource = operation.publish_resource.resource
        return t("publishes {name}, schema version {n}", name=printable(resource.name), n=resource.schema_version)
    if kind == "publish_table":
        table = operation.publish_table.table
        return t("publishes the table {name} of {resource}", **_named(table))
    if kind != "withdraw":
        return ""
    withdrawn = operation.withdraw
    if withdrawn.HasField("duty"):
        return t("withdraws the duty {code}", code=printable(withdrawn.duty.code))
    if withdrawn.HasField("table"):
        return t("withdraws the table {name} of {resource}", **_named(withdrawn.table))
    if withdrawn.resource.schema_version:
        name, n = printable(withdrawn.resource.resource), withdrawn.resource.schema_version
        return t("withdraws {name}, schema version {n}", name=name, n=n)
    return t("withdraws {name}", name=printable(withdrawn.resource.resource))


def _named(table: sharing_pb2.TableName | catalogue_pb2.DataTable) -> dict[str, str]:
    return {"name": printable(table.name), "resource": printable(table.resource)}

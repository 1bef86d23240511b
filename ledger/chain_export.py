"""A chain as plain dicts, for JSON Lines: hashes and keys in hex, times in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from huzheng.v1 import block_pb2, genesis_pb2, membership_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.catalogue import CompiledResource, read_fields
from ledger.crypto import Domain, Height, strict
from ledger.errors import Code, HuzhengError
from ledger.expunged import is_removed
from ledger.genesis import Genesis
from ledger.membership_change import read_seat
from ledger.proof_parts import to_dict
from ledger.proven_record import relied_by
from ledger.store import ChainReader

Line = dict[str, Any]
Versions = Callable[[str, int], CompiledResource | None]
"""Definitions by name and schema version. Fields of a record whose definition is not known are shown by number."""


def export_blocks(chain: ChainReader, genesis: Genesis, first: int = 0, last: int | None = None) -> Iterator[Line]:
    """One dict a block, in order of heights, with its transactions and their records. Memory for one block.

    Raises:
        HuzhengError: NOT_FOUND if the chain does not have these heights; STORE_CORRUPT.
    """
    versions = chain.published().version
    for height in _heights(chain, first, last):
        yield block_line(genesis, versions, chain.block(height), chain.results(height))


def block_line(genesis: Genesis, versions: Versions, block: bytes, results: Sequence[bytes]) -> Line:
    """A block with the results of its transactions as a dict. Checks nothing: whoever calls it has done so.

    Fields of records that did not take effect are left out (None): they were never checked, and must not be spread. Those of payloads that
    were removed are not there any more.
    """
    message = strict.read(block_pb2.Block, block)
    header = strict.read(block_pb2.BlockHeader, message.header)
    certificate = strict.read(block_pb2.Certificate, message.certificate)
    return {
        "height": header.height,
        "hash": genesis.suite.digest(Domain.BLOCK, message.header).hex(),
        "parent_hash": header.parent_hash.hex(),
        "epoch": header.epoch,
        "proposer": header.proposer,
        "time_ms": header.time_ms,
        "protocol_version": header.protocol_version,
        "transactions_root": header.transactions_root.hex(),
        "results_root": header.results_root.hex(),
        "state_root": header.state_root.hex(),
        "history_root": header.history_root.hex(),
        "sealed_by": [seal.replica for seal in certificate.seals],
        "transactions": [
            transaction_line(genesis, versions, raw, result)
            for raw, result in zip(message.transactions, results, strict=True)
        ],
    }


def _heights(chain: ChainReader, first: int, last: int | None) -> Iterator[Height]:
    end = chain.tip.height if last is None else last
    if first < 0 or end > chain.tip.height:
        raise HuzhengError(Code.NOT_FOUND, f"the chain has blocks 0 to {chain.tip.height}")
    return (Height(height) for height in range(first, end + 1))


def transaction_line(genesis: Genesis, versions: Versions, raw: bytes, raw_result: bytes) -> Line:
    """A transaction with how it ended as a dict. Checks nothing, as `block_line`."""
    transaction = strict.read(pb.Transaction, raw)
    body = strict.read(pb.TransactionBody, transaction.body)
    result = strict.read(pb.TransactionResult, raw_result)
    accepted = result.code == pb.RESULT_CODE_ACCEPTED
    return {
        "transaction_id": result.transaction_id.hex(),
        "department": body.department,
        "public_key": body.public_key.hex(),
        "expires_ms": body.expires_ms,
        "code": pb.ResultCode.Name(result.code).removeprefix("RESULT_CODE_"),
        "index": result.index,
        "operations": [_operation(operation) for operation in body.operations],
        "records": [
            _record(genesis, versions, record, payload, accepted=accepted)
            for record, payload in zip(transaction.records, transaction.payloads, strict=True)
        ],
    }


def _operation(operation: pb.Operation) -> Line:
    if operation.HasField("add_key"):
        key = operation.add_key.key
        role = "admin" if key.role == genesis_pb2.KEY_ROLE_ADMIN else "system"
        return {"operation": "add_key", "role": role, "public_key": key.public_key.hex()}
    if operation.HasField("revoke_key"):
        return {"operation": "revoke_key", "public_key": operation.revoke_key.public_key.hex()}
    kind = operation.WhichOneof("operation") or ""
    if kind != "change_membership":
        return {"operation": kind} | to_dict(getattr(operation, kind))
    carried = operation.change_membership
    change = strict.read(membership_pb2.MembershipChange, carried.change)
    return {
        "operation": "change_membership",
        "epoch": change.epoch,
        "actions": [_action(action) for action in change.actions],
        "approved_by": [approval.department for approval in carried.approvals],
    }


def _action(action: membership_pb2.MembershipAction) -> Line:
    which = action.WhichOneof("action") or ""
    if which == "add_department":
        return {"action": which, "department": action.add_department.id}
    if which == "remove_replica":
        return {"action": which, "replica": action.remove_replica.replica}
    if which == "activate_protocol":
        return {"action": which, "version": action.activate_protocol.version}
    member = read_seat(action.add_replica if which == "add_replica" else action.replace_key)
    return {
        "action": which,
        "replica": member.replica,
        "department": member.department,
        "public_key": member.public_key.hex(),
    }


def _record(genesis: Genesis, versions: Versions, raw: bytes, payload: bytes, *, accepted: bool) -> Line:
    record = strict.read(pb.Record, raw)
    is_told = accepted and bool(payload)
    return {
        "record_id": genesis.suite.digest(Domain.RECORD, raw).hex(),
        "resource": record.resource,
        "subject": record.subject,
        "version": record.version,
        "replaces": record.replaces.hex(),
        "action": "revoke" if record.action == pb.RECORD_ACTION_REVOKE else "assert",
        "schema_version": record.schema_version,
        "fields": read_fields(versions(record.resource, record.schema_version), payload) if is_told else None,
        "removed": is_removed(genesis.suite, record, payload),
        "relies_on": [relied.to_dict() for relied in relied_by(record)],
    }

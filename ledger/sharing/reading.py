"""Reads of confidential fields, ordered before anything is given out (docs/protocol.md G6, G8 and G9)."""

from __future__ import annotations

from huzheng.v1 import sharing_pb2 as sharing
from huzheng.v1 import transaction_pb2 as pb

from ledger.catalogue_rules import is_ascending
from ledger.crypto import HASH_BYTES, Domain, Suite, strict
from ledger.sharing.context import Context
from ledger.sharing.erasing import is_erased
from ledger.sharing.granting import MAX_CASE_BYTES, MAX_FIELDS, known_grant, open_resource, put_grant
from ledger.state import read_head
from ledger.state.entries import StateReader

READER_KEY_BYTES = 32
READ_PREFIX = b"r"
ACCOUNT_PREFIX = b"a"
NO_READS = bytes(HASH_BYTES)
"""The digest of no reads."""


def read_key(read: bytes) -> bytes:
    """Where a read is kept, as a `ReadState`."""
    return READ_PREFIX + read


def account_key(resource: str, subject: str) -> bytes:
    """Where the account of a subject's reads is kept, as `Reads`."""
    return b"%s%s\0%s" % (ACCOUNT_PREFIX, resource.encode(), subject.encode())


def find_read(state: StateReader, read: bytes) -> sharing.ReadState | None:
    """A read that was accepted, or None. Raises HuzhengError(NOT_STRICT) if the state is damaged there."""
    raw = state.get(read_key(read))
    return None if raw is None else strict.read(sharing.ReadState, raw)


def find_account(state: StateReader, resource: str, subject: str) -> sharing.Reads:
    """The account of a subject's reads; an empty one if there was none. Raises HuzhengError(NOT_STRICT)."""
    raw = state.get(account_key(resource, subject))
    return sharing.Reads() if raw is None else strict.read(sharing.Reads, raw)


def count_in(suite: Suite, reads: sharing.Reads, read: bytes) -> None:
    """Enters one more read in an account (G8)."""
    reads.count += 1
    reads.digest = suite.digest(Domain.READS, reads.digest or NO_READS, read)


def read_id(suite: Suite, transaction_id: bytes, index: int) -> bytes:
    """Of the operation at a position of a transaction (G1)."""
    return suite.digest(Domain.READ, transaction_id, bytes([index]))


def read_fields(context: Context, operation: sharing.ReadFields) -> None:
    """G6, G8."""
    context.require_text(operation.case_number, MAX_CASE_BYTES)
    context.require(1 <= len(operation.fields) <= MAX_FIELDS and is_ascending(operation.fields))
    context.require(len(operation.reader_key) == READER_KEY_BYTES)
    grant = known_grant(context, operation.grant)
    _check_grant(context, grant, operation)
    terms = grant.granted
    open_resource(context, terms.resource)
    record_id = _record_in_force(context, terms.resource, operation.subject)
    context.require(not is_erased(context.state, grant.owner, record_id), pb.RESULT_CODE_ERASED)
    suite = context.genesis.suite
    read = read_id(suite, context.transaction_id, context.index)
    state = sharing.ReadState(
        grant=operation.grant,
        reader=context.department,
        owner=grant.owner,
        resource=terms.resource,
        subject=operation.subject,
        record_id=record_id,
        case_number=operation.case_number,
        fields=operation.fields,
        reader_key=operation.reader_key,
        height=context.height,
        time_ms=context.time_ms,
    )
    context.state.set(read_key(read), strict.write(state))
    account = find_account(context.state, terms.resource, operation.subject)
    for reads in (account, grant.reads):
        count_in(suite, reads, read)
    context.state.set(account_key(terms.resource, operation.subject), strict.write(account))
    put_grant(context, operation.grant, grant)


def _check_grant(context: Context, grant: sharing.GrantState, operation: sharing.ReadFields) -> None:
    terms = grant.granted
    context.require(grant.applicant == context.department, pb.RESULT_CODE_NOT_PARTY)
    context.require(grant.status == sharing.GRANT_STATUS_ACTIVE, pb.RESULT_CODE_WRONG_GRANT_STATE)
    context.require(context.time_ms < terms.expires_ms, pb.RESULT_CODE_GRANT_EXPIRED)
    context.require(grant.reads.count < terms.max_reads, pb.RESULT_CODE_GRANT_USED_UP)
    is_within = (
        set(operation.fields) <= set(terms.fields)
        and (not terms.subjects or operation.subject in terms.subjects)
        and terms.case_number in ("", operation.case_number)
    )
    context.require(is_within, pb.RESULT_CODE_OUTSIDE_GRANT)


def _record_in_force(context: Context, resource: str, subject: str) -> bytes:
    slot = context.published.slot(resource)
    head = None if slot is None else read_head(context.state, slot, subject)
    if head is None or head.action != pb.RECORD_ACTION_ASSERT:
        raise context.refuse(pb.RESULT_CODE_NOTHING_TO_READ)
    return head.record_id


def acknowledge_read(context: Context, operation: sharing.AcknowledgeRead) -> None:
    """G9."""
    context.require_hash(operation.read)
    state = find_read(context.state, operation.read)
    if state is None:
        raise context.refuse(pb.RESULT_CODE_UNKNOWN_READ)
    context.require(state.reader == context.department, pb.RESULT_CODE_NOT_PARTY)
    context.require(not state.acknowledged_ms, pb.RESULT_CODE_ALREADY_DONE)
    state.acknowledged_ms = context.time_ms
    context.state.set(read_key(operation.read), strict.write(state))

"""Applying for a grant, deciding on it and ending it (docs/protocol.md G1 to G5)."""

from __future__ import annotations

from huzheng.v1 import catalogue_pb2
from huzheng.v1 import sharing_pb2 as sharing
from huzheng.v1 import transaction_pb2 as pb

from ledger.catalogue import CompiledResource
from ledger.catalogue_rules import MAX_LEGAL_BYTES, is_ascending
from ledger.crypto import Domain, Suite, strict
from ledger.sharing.context import Context
from ledger.state.entries import StateReader

MAX_FIELDS = 64
MAX_SUBJECTS = 64
MAX_CASE_BYTES = 128
MAX_PURPOSE_BYTES = 512
MAX_REASON_BYTES = 512
MAX_READS = 1_000_000_000
MAX_GRANT_MS = 10 * 366 * 86_400_000
"""The longest time until a grant expires."""
GRANT_PREFIX = b"g"


def grant_key(grant: bytes) -> bytes:
    """Where a grant is kept, as a `GrantState`."""
    return GRANT_PREFIX + grant


def grant_id(suite: Suite, transaction_id: bytes, index: int) -> bytes:
    """Of the operation at a position of a transaction (G1)."""
    return suite.digest(Domain.GRANT, transaction_id, bytes([index]))


def read_grant(state: StateReader, grant: bytes) -> sharing.GrantState | None:
    """A grant, or None. Raises HuzhengError(NOT_STRICT) if the state is damaged there."""
    raw = state.get(grant_key(grant))
    return None if raw is None else strict.read(sharing.GrantState, raw)


def apply_grant(context: Context, operation: sharing.ApplyGrant) -> None:
    """G2, G3."""
    terms = operation.terms
    _check_form(context, terms)
    context.require_text(operation.purpose, MAX_PURPOSE_BYTES)
    context.require_text(operation.legal_basis, MAX_LEGAL_BYTES)
    resource = open_resource(context, terms.resource)
    is_shared = resource.message.sharing_class != catalogue_pb2.SHARING_CLASS_NONE
    context.require(is_shared and resource.department != context.department, pb.RESULT_CODE_NOT_SHARED)
    confidential = {field.number for field in resource.confidential}
    context.require(confidential.issuperset(terms.fields), pb.RESULT_CODE_UNKNOWN_FIELD)
    context.require(all(map(resource.subject_fits, terms.subjects)), pb.RESULT_CODE_BAD_SUBJECT)
    _check_expiry(context, terms)
    state = sharing.GrantState(
        applicant=context.department,
        owner=resource.department,
        status=sharing.GRANT_STATUS_APPLIED,
        purpose=operation.purpose,
        legal_basis=operation.legal_basis,
        applied=terms,
        applied_ms=context.time_ms,
    )
    if resource.message.sharing_class == catalogue_pb2.SHARING_CLASS_UNCONDITIONAL:
        _activate(context, state, terms)
    put_grant(context, grant_id(context.genesis.suite, context.transaction_id, context.index), state)


def put_grant(context: Context, grant: bytes, state: sharing.GrantState) -> None:
    """Enters a grant as it stands now."""
    context.state.set(grant_key(grant), strict.write(state))


def open_resource(context: Context, name: str) -> CompiledResource:
    """The newest version of a resource of which a version is open."""
    state = context.published.find(name)
    newest = context.published.newest(name)
    if state is None or newest is None or not state.open_versions:
        raise context.refuse(pb.RESULT_CODE_UNKNOWN_RESOURCE)
    return newest


def _check_form(context: Context, terms: sharing.GrantTerms) -> None:
    """G2."""
    context.require(bool(terms.resource))
    context.require(1 <= len(terms.fields) <= MAX_FIELDS and is_ascending(terms.fields))
    context.require(len(terms.subjects) <= MAX_SUBJECTS and is_ascending(terms.subjects))
    if terms.case_number:
        context.require_text(terms.case_number, MAX_CASE_BYTES)
    context.require(1 <= terms.max_reads <= MAX_READS)
    context.require(terms.expires_ms <= context.time_ms + MAX_GRANT_MS)


def _check_expiry(context: Context, terms: sharing.GrantTerms) -> None:
    context.require(terms.expires_ms > context.time_ms, pb.RESULT_CODE_GRANT_EXPIRED)


def _activate(context: Context, state: sharing.GrantState, terms: sharing.GrantTerms) -> None:
    state.status = sharing.GRANT_STATUS_ACTIVE
    state.granted.CopyFrom(terms)
    state.decided_ms = context.time_ms


def known_grant(context: Context, grant: bytes) -> sharing.GrantState:
    """A grant that must be there."""
    context.require_hash(grant)
    state = read_grant(context.state, grant)
    if state is None:
        raise context.refuse(pb.RESULT_CODE_UNKNOWN_GRANT)
    return state


def approve_grant(context: Context, operation: sharing.ApproveGrant) -> None:
    """G2, G4."""
    terms = operation.terms if operation.HasField("terms") else None
    if terms is not None:
        _check_form(context, terms)
    state = _to_decide(context, operation.grant)
    granted = state.applied if terms is None else terms
    context.require(_is_within(granted, state.applied), pb.RESULT_CODE_TOO_WIDE)
    _check_expiry(context, granted)
    _activate(context, state, granted)
    put_grant(context, operation.grant, state)


def refuse_grant(context: Context, operation: sharing.RefuseGrant) -> None:
    """G2, G4."""
    context.require_text(operation.reason, MAX_REASON_BYTES)
    state = _to_decide(context, operation.grant)
    state.status, state.reason, state.decided_ms = sharing.GRANT_STATUS_REFUSED, operation.reason, context.time_ms
    put_grant(context, operation.grant, state)


def _to_decide(context: Context, grant: bytes) -> sharing.GrantState:
    state = known_grant(context, grant)
    context.require(state.owner == context.department, pb.RESULT_CODE_NOT_PARTY)
    context.require(state.status == sharing.GRANT_STATUS_APPLIED, pb.RESULT_CODE_WRONG_GRANT_STATE)
    return state


def _is_within(granted: sharing.GrantTerms, applied: sharing.GrantTerms) -> bool:
    """Whether these terms allow no more than those applied for."""
    if granted.resource != applied.resource or not set(granted.fields) <= set(applied.fields):
        return False
    if applied.subjects and not (granted.subjects and set(granted.subjects) <= set(applied.subjects)):
        return False
    if applied.case_number and granted.case_number != applied.case_number:
        return False
    return granted.max_reads <= applied.max_reads and granted.expires_ms <= applied.expires_ms


def end_grant(context: Context, operation: sharing.EndGrant) -> None:
    """G2, G5."""
    context.require_text(operation.reason, MAX_REASON_BYTES)
    state = known_grant(context, operation.grant)
    context.require(context.department in (state.applicant, state.owner), pb.RESULT_CODE_NOT_PARTY)
    may_end = state.status in (sharing.GRANT_STATUS_APPLIED, sharing.GRANT_STATUS_ACTIVE)
    context.require(may_end, pb.RESULT_CODE_WRONG_GRANT_STATE)
    state.status, state.reason = sharing.GRANT_STATUS_ENDED, operation.reason
    state.ended_by, state.ended_ms = context.department, context.time_ms
    put_grant(context, operation.grant, state)

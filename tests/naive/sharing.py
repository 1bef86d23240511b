"""A model of grants, reads and erasures as plain values (docs/protocol.md sections 16 and 17), hashing by hashlib alone.

Takes every text for a good one, and every form that has no length of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from huzheng.v1 import sharing_pb2 as sharing
from huzheng.v1 import transaction_pb2 as pb

from tests.naive.ledger import Refused, Result, tagged_hash

TEN_YEARS_MS = 10 * 366 * 86_400_000


@dataclass
class Shared:
    """A resource."""

    owner: str
    is_free: bool
    is_closed: bool
    confidential: set[int]
    fits: Callable[[str], bool]
    is_open: bool = True


@dataclass
class Grant:
    applicant: str
    owner: str
    applied: dict[str, Any]
    status: str = "applied"
    granted: dict[str, Any] | None = None
    reads: list[bytes] = field(default_factory=list)


@dataclass
class Read:
    grant: bytes
    reader: str
    resource: str
    subject: str
    record: bytes
    is_acknowledged: bool = False


@dataclass
class SharingModel:
    """What is true after some blocks. Heads are given from outside: (resource, subject) to record id, None where it is revoked."""

    resources: dict[str, Shared]
    heads: dict[tuple[str, str], bytes | None] = field(default_factory=dict)
    grants: dict[bytes, Grant] = field(default_factory=dict)
    reads: dict[bytes, Read] = field(default_factory=dict)
    erasures: dict[tuple[str, bytes], list[str]] = field(default_factory=dict)

    def transaction(self, department: str, identifier: bytes, operations: list[pb.Operation], time_ms: int) -> Result:
        """One with operations alone, by a key that may."""
        before = copy.deepcopy((self.grants, self.reads, self.erasures))
        for index, operation in enumerate(operations):
            kind = operation.WhichOneof("operation") or ""
            try:
                step = getattr(self, f"_{kind}")
                step(department, identifier + bytes([index]), getattr(operation, kind), time_ms)
            except Refused as refused:
                self.grants, self.reads, self.erasures = before
                return refused.result[0], index
        return "ACCEPTED", 0

    def account(self, resource: str, subject: str) -> tuple[int, bytes]:
        """G8."""
        about = [i for i, r in self.reads.items() if (r.resource, r.subject) == (resource, subject)]
        return digest(about)

    # --- the operations ---

    def _apply_grant(self, department: str, place: bytes, operation: sharing.ApplyGrant, time_ms: int) -> None:
        terms = _terms(operation.terms, time_ms)
        shared = self.resources.get(terms["resource"])
        if shared is None or not shared.is_open:
            raise Refused("UNKNOWN_RESOURCE")
        if shared.is_closed or shared.owner == department:
            raise Refused("NOT_SHARED")
        if terms["fields"] - shared.confidential:
            raise Refused("UNKNOWN_FIELD")
        if not all(shared.fits(subject) for subject in terms["subjects"]):
            raise Refused("BAD_SUBJECT")
        if terms["expires_ms"] <= time_ms:
            raise Refused("GRANT_EXPIRED")
        grant = self.grants[tagged_hash("grant", place)] = Grant(department, shared.owner, terms)
        if shared.is_free:
            grant.status, grant.granted = "active", terms

    def _approve_grant(self, department: str, _place: bytes, operation: sharing.ApproveGrant, time_ms: int) -> None:
        terms = _terms(operation.terms, time_ms) if operation.HasField("terms") else None
        grant = self._undecided(department, operation.grant)
        granted, applied = terms or grant.applied, grant.applied
        too_wide = (
            granted["resource"] != applied["resource"]
            or granted["fields"] - applied["fields"]
            or (applied["subjects"] and not granted["subjects"])
            or (applied["subjects"] and granted["subjects"] - applied["subjects"])
            or (applied["case"] and applied["case"] != granted["case"])
            or granted["max_reads"] > applied["max_reads"]
            or granted["expires_ms"] > applied["expires_ms"]
        )
        if too_wide:
            raise Refused("TOO_WIDE")
        if granted["expires_ms"] <= time_ms:
            raise Refused("GRANT_EXPIRED")
        grant.status, grant.granted = "active", granted

    def _refuse_grant(self, department: str, _place: bytes, operation: sharing.RefuseGrant, _time_ms: int) -> None:
        self._undecided(department, operation.grant).status = "refused"

    def _undecided(self, department: str, identifier: bytes) -> Grant:
        grant = self.grants.get(identifier)
        if grant is None:
            raise Refused("UNKNOWN_GRANT")
        if grant.owner != department:
            raise Refused("NOT_PARTY")
        if grant.status != "applied":
            raise Refused("WRONG_GRANT_STATE")
        return grant

    def _end_grant(self, department: str, _place: bytes, operation: sharing.EndGrant, _time_ms: int) -> None:
        grant = self.grants.get(operation.grant)
        if grant is None:
            raise Refused("UNKNOWN_GRANT")
        if department not in (grant.owner, grant.applicant):
            raise Refused("NOT_PARTY")
        if grant.status not in ("applied", "active"):
            raise Refused("WRONG_GRANT_STATE")
        grant.status = "ended"

    def _read_fields(self, department: str, place: bytes, operation: sharing.ReadFields, time_ms: int) -> None:
        grant = self.grants.get(operation.grant)
        if grant is None:
            raise Refused("UNKNOWN_GRANT")
        if grant.applicant != department:
            raise Refused("NOT_PARTY")
        if grant.status != "active" or grant.granted is None:
            raise Refused("WRONG_GRANT_STATE")
        terms = grant.granted
        if time_ms >= terms["expires_ms"]:
            raise Refused("GRANT_EXPIRED")
        if len(grant.reads) >= terms["max_reads"]:
            raise Refused("GRANT_USED_UP")
        other_case = terms["case"] and terms["case"] != operation.case_number
        other_subject = terms["subjects"] and operation.subject not in terms["subjects"]
        if set(operation.fields) - terms["fields"] or other_case or other_subject:
            raise Refused("OUTSIDE_GRANT")
        if not self.resources[terms["resource"]].is_open:
            raise Refused("UNKNOWN_RESOURCE")
        record = self.heads.get((terms["resource"], operation.subject))
        if record is None:
            raise Refused("NOTHING_TO_READ")
        if (grant.owner, record) in self.erasures:
            raise Refused("ERASED")
        identifier = tagged_hash("read", place)
        self.reads[identifier] = Read(operation.grant, department, terms["resource"], operation.subject, record)
        grant.reads.append(identifier)

    def _acknowledge_read(
        self, department: str, _place: bytes, operation: sharing.AcknowledgeRead, _time_ms: int
    ) -> None:
        read = self.reads.get(operation.read)
        if read is None:
            raise Refused("UNKNOWN_READ")
        if read.reader != department:
            raise Refused("NOT_PARTY")
        if read.is_acknowledged:
            raise Refused("ALREADY_DONE")
        read.is_acknowledged = True

    def _order_erasure(self, department: str, _place: bytes, operation: sharing.OrderErasure, _time_ms: int) -> None:
        for record in operation.records:
            if (department, record) in self.erasures:
                raise Refused("ALREADY_DONE")
            self.erasures[department, record] = []

    def _acknowledge_erasure(
        self, department: str, _place: bytes, operation: sharing.AcknowledgeErasure, _time_ms: int
    ) -> None:
        done = self.erasures.get((operation.department, operation.record))
        if done is None:
            raise Refused("NOT_PUBLISHED")
        if department in done:
            raise Refused("ALREADY_DONE")
        done.append(department)


def digest(ids: list[bytes]) -> tuple[int, bytes]:
    """The count and digest of these reads; the digest of none is empty."""
    value = b""
    for identifier in ids:
        value = tagged_hash("reads", (value or bytes(32)) + identifier)
    return len(ids), value


def _terms(message: sharing.GrantTerms, time_ms: int) -> dict[str, Any]:
    fields, subjects = list(message.fields), list(message.subjects)
    is_formed = (
        message.resource
        and 1 <= len(fields) <= 64
        and fields == sorted(set(fields))
        and subjects == sorted(set(subjects))
        and 1 <= message.max_reads <= 1_000_000_000
        and message.expires_ms <= time_ms + TEN_YEARS_MS
    )
    if not is_formed:
        raise Refused("BAD_OPERATION")
    return {
        "resource": message.resource,
        "fields": set(fields),
        "subjects": set(subjects),
        "case": message.case_number,
        "max_reads": message.max_reads,
        "expires_ms": message.expires_ms,
    }

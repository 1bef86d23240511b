"""Grants, reads and erasures in the chain of the example consortium: blocks, how each transaction ends, and what an accepted one changes (sections 16, 17)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from huzheng.v1 import catalogue_pb2, sharing_pb2, state_pb2
from huzheng.v1 import transaction_pb2 as pb

from tests.naive.ledger import tagged_hash
from tests.vectors import example
from tests.vectors.example import Built, revoking, transaction, write

Ended = tuple[str, bytes, str, int]
FILE, OPEN, SEALED = "vault.file", "vault.open", "vault.sealed"
NAMES = (FILE, OPEN, SEALED)
"""Alpha's: shared on conditions, without, and not at all. All of one register, in the order in which they are published."""
START_MS = example.EXPIRES_MS
EXPIRES_MS = START_MS + 30_000
GRANT_MS = START_MS + 2_000
"""When the first grant expires."""
PLOT, OTHER_PLOT = "AB1234", "CD5678"
ROOT = b"\x21" * 32


def _resource(name: str, sharing_class: int) -> catalogue_pb2.Resource:
    spec, kind = catalogue_pb2.FieldSpec, catalogue_pb2.FieldType

    def titled(**values: Any) -> catalogue_pb2.FieldSpec:
        return spec(title_zh="Title", title_en="Title", **values)

    subject = titled(type=kind.FIELD_TYPE_TEXT, required=True, max_bytes=6, pattern="[A-Z]{2}[0-9]{4}")
    secret = {"type": kind.FIELD_TYPE_TEXT, "max_bytes": 32, "confidential": True}
    return catalogue_pb2.Resource(
        name=name,
        title_zh="Title",
        title_en="Title",
        department="alpha",
        sharing_class=sharing_class,  # type: ignore[arg-type]
        schema_version=1,
        subject=subject,
        fields=[
            titled(number=1, name="KIND", type=kind.FIELD_TYPE_CODE, required=True, codes=["a", "b"]),
            titled(number=2, name="OWNER", **secret),
            titled(number=3, name="PRICE", **secret),
        ],
    )


RESOURCES = [_resource(name, sharing_class) for name, sharing_class in ((FILE, 2), (OPEN, 1), (SEALED, 3))]


def _file(subject: str = PLOT, **fields: Any) -> Built:
    values = {"resource": FILE, "subject": subject, "schema_version": 1, "confidential_root": ROOT}
    return Built(example.payload((1, "a")), **(values | fields))


FIRST, SECOND = _file(), _file(OTHER_PLOT)
CORRECTED = _file(version=2, replaces=FIRST.id)
REVOKING = revoking(SECOND, resource=FILE, subject=OTHER_PLOT, schema_version=1)


def _terms(**fields: Any) -> sharing_pb2.GrantTerms:
    values: dict[str, Any] = {"resource": FILE, "fields": [2, 3], "max_reads": 2, "expires_ms": GRANT_MS}
    return sharing_pb2.GrantTerms(**(values | fields))


def _apply(**fields: Any) -> pb.Operation:
    operation = sharing_pb2.ApplyGrant(terms=_terms(**fields), purpose="契税", legal_basis="契税法第十三条")
    return pb.Operation(apply_grant=operation)


def _approve(grant: bytes, **fields: Any) -> pb.Operation:
    terms = _terms(**fields) if fields else None
    return pb.Operation(approve_grant=sharing_pb2.ApproveGrant(grant=grant, terms=terms))


def _refuse(grant: bytes) -> pb.Operation:
    return pb.Operation(refuse_grant=sharing_pb2.RefuseGrant(grant=grant, reason="理由"))


def _end(grant: bytes) -> pb.Operation:
    return pb.Operation(end_grant=sharing_pb2.EndGrant(grant=grant, reason="结案"))


def _read(grant: bytes, subject: str = PLOT, **fields: Any) -> pb.Operation:
    values: dict[str, Any] = {"case_number": "案1", "fields": [2], "reader_key": b"\x07" * 32}
    return pb.Operation(read_fields=sharing_pb2.ReadFields(grant=grant, subject=subject, **(values | fields)))


def _acknowledge(read: bytes) -> pb.Operation:
    return pb.Operation(acknowledge_read=sharing_pb2.AcknowledgeRead(read=read))


def _erase(record: bytes) -> pb.Operation:
    order = sharing_pb2.OrderErasure(records=[record], legal_basis="个人信息保护法第四十七条")
    return pb.Operation(order_erasure=order)


def _erased(record: bytes) -> pb.Operation:
    return pb.Operation(acknowledge_erasure=sharing_pb2.AcknowledgeErasure(department="alpha", record=record))


class _Transactions:
    """Numbers them, so that none is another's twin."""

    def __init__(self) -> None:
        self._number = 100

    def __call__(self, key: str, *operations: pb.Operation, records: tuple[Built, ...] = ()) -> bytes:
        self._number += 1
        nonce = self._number.to_bytes(16, "big")
        return transaction(*records, key=key, operations=operations, nonce=nonce, expires_ms=EXPIRES_MS)


def _id(kind: str, raw: bytes, index: int = 0) -> bytes:
    """G1."""
    return tagged_hash(kind, example.transaction_id(raw) + bytes([index]))


def plan() -> Iterator[tuple[str, list[Ended], int]]:
    """Name, transactions and proposed time of each block."""
    new = _Transactions()
    publish = [pb.Operation(publish_resource=sharing_pb2.PublishResource(resource=resource)) for resource in RESOURCES]
    no_root = _file("EF0009", confidential_root=b"")
    relied = {"resource": FILE, "subject": PLOT}
    stale = _file("EF0001", relies_on=[pb.Reliance(record_id=example.OTHER, **relied)])
    relying = _file("EF0001", relies_on=[pb.Reliance(record_id=FIRST.id, **relied)])
    applied = new("beta admin", _apply(), _apply(subjects=[PLOT], case_number="案1"), _apply(resource=OPEN))
    grant, narrow, free = (_id("grant", applied, index) for index in range(3))
    first_read = new("beta system", _read(grant), _read(grant, OTHER_PLOT, fields=[2, 3], case_number="案2"))
    reads = [_id("read", first_read, index) for index in range(2)]
    yield (
        "resources with confidential fields, and records that rely on others",
        [
            ("published", new("alpha admin", *publish), "ACCEPTED", 0),
            ("confidential records", new("alpha system", records=(FIRST, SECOND)), "ACCEPTED", 0),
            ("no commitment", new("alpha system", records=(no_root,)), "BAD_COMMITMENT", 0),
            ("relies on what is not there", new("alpha system", records=(stale,)), "RELIED_NOT_CURRENT", 0),
        ],
        START_MS,
    )
    yield (
        "grants are applied for",
        [
            ("relies on what is in force", new("alpha system", records=(relying,)), "ACCEPTED", 0),
            ("three grants, of which one is active at once", applied, "ACCEPTED", 0),
            ("terms that are none", new("beta admin", _apply(), _apply(max_reads=0)), "BAD_OPERATION", 1),
            ("not shared", new("beta admin", _apply(resource=SEALED)), "NOT_SHARED", 0),
        ],
        START_MS,
    )
    yield (
        "applications that are refused",
        [
            ("of one's own", new("alpha admin", _apply()), "NOT_SHARED", 0),
            ("a public field", new("beta admin", _apply(fields=[1])), "UNKNOWN_FIELD", 0),
            ("no subject", new("beta admin", _apply(subjects=["x"])), "BAD_SUBJECT", 0),
            ("expired", new("beta admin", _apply(expires_ms=START_MS)), "GRANT_EXPIRED", 0),
        ],
        START_MS,
    )
    yield (
        "decisions",
        [
            ("unknown", new("alpha admin", _approve(example.OTHER)), "UNKNOWN_GRANT", 0),
            ("by the applicant", new("beta admin", _approve(grant)), "NOT_PARTY", 0),
            ("more than was applied for", new("alpha admin", _approve(narrow, case_number="案2")), "TOO_WIDE", 0),
            ("as applied for", new("alpha admin", _approve(grant)), "ACCEPTED", 0),
        ],
        START_MS,
    )
    yield (
        "reads",
        [
            ("two reads", first_read, "ACCEPTED", 0),
            ("used up", new("beta system", _read(grant)), "GRANT_USED_UP", 0),
            ("not active", new("beta system", _read(narrow)), "WRONG_GRANT_STATE", 0),
            ("of another's grant", new("alpha system", _read(grant)), "NOT_PARTY", 0),
        ],
        START_MS,
    )
    yield (
        "acknowledgements, and a decision that narrows",
        [
            ("acknowledged", new("beta system", _acknowledge(reads[0])), "ACCEPTED", 0),
            ("acknowledged again", new("beta system", _acknowledge(reads[0])), "ALREADY_DONE", 0),
            ("no read", new("beta system", _acknowledge(example.OTHER)), "UNKNOWN_READ", 0),
            (
                "narrowed",
                new("alpha admin", _approve(narrow, fields=[3], subjects=[PLOT], case_number="案1", max_reads=1)),
                "ACCEPTED",
                0,
            ),
        ],
        START_MS + 1,
    )
    erase = new("alpha admin", _erase(CORRECTED.id))
    yield (
        "a record is corrected, and the correction erased before it is read",
        [
            ("outside the grant", new("beta system", _read(narrow)), "OUTSIDE_GRANT", 0),
            ("corrected and revoked", new("alpha system", records=(CORRECTED, REVOKING)), "ACCEPTED", 0),
            ("erasure ordered", erase, "ACCEPTED", 0),
            ("erased", new("beta system", _read(narrow, fields=[3])), "ERASED", 0),
        ],
        START_MS + 1,
    )
    yield (
        "erasures are acknowledged",
        [
            ("by the owner", new("alpha system", _erased(CORRECTED.id)), "ACCEPTED", 0),
            ("by another", new("beta system", _erased(CORRECTED.id)), "ACCEPTED", 0),
            ("ordered again", new("alpha admin", _erase(CORRECTED.id)), "ALREADY_DONE", 0),
            ("of what was not ordered", new("beta system", _erased(FIRST.id)), "NOT_PUBLISHED", 0),
        ],
        START_MS + 2,
    )
    late = new("beta system", _read(narrow, fields=[3]))
    applied_again = new("beta admin", _apply(expires_ms=EXPIRES_MS))
    yield (
        "a grant that has expired, one that is ended, and nothing to read",
        [
            ("at its expiry", late, "GRANT_EXPIRED", 0),
            ("nothing about the subject", new("beta system", _read(free, OTHER_PLOT)), "GRANT_EXPIRED", 0),
            ("ended", new("beta admin", _end(narrow)), "ACCEPTED", 0),
            ("applied for again", applied_again, "ACCEPTED", 0),
        ],
        GRANT_MS,
    )
    again = _id("grant", applied_again)
    yield (
        "a read that comes before the end of its grant, and one after it",
        [
            ("granted again", new("alpha admin", _approve(again)), "ACCEPTED", 0),
            ("revoked record", new("beta system", _read(again, OTHER_PLOT)), "NOTHING_TO_READ", 0),
            ("before", new("beta system", _read(again, "EF0001")), "ACCEPTED", 0),
            ("end", new("alpha admin", _end(again)), "ACCEPTED", 0),
        ],
        GRANT_MS,
    )
    yield (
        "after the end, and a refusal",
        [
            ("after", new("beta system", _read(again, "EF0001")), "WRONG_GRANT_STATE", 0),
            ("refused after the end", new("alpha admin", _refuse(again)), "WRONG_GRANT_STATE", 0),
        ],
        GRANT_MS,
    )


# --- what an accepted operation changes, by the rules' text ---


@dataclass(frozen=True)
class At:
    """Where an operation is carried out."""

    department: str
    place: bytes
    """The transaction's id and the operation's index (1 byte)."""
    height: int
    time_ms: int


def effects(state: Mapping[bytes, bytes], at: At, operation: pb.Operation) -> dict[bytes, bytes]:
    """Of one operation of sections 16 and 17."""
    kind = operation.WhichOneof("operation") or ""
    changed: dict[bytes, bytes] = EFFECTS[kind](state, at, getattr(operation, kind))
    return changed


def _applied(_state: Mapping[bytes, bytes], at: At, operation: sharing_pb2.ApplyGrant) -> dict[bytes, bytes]:
    grant = sharing_pb2.GrantState(
        applicant=at.department,
        owner="alpha",
        status=sharing_pb2.GRANT_STATUS_APPLIED,
        purpose=operation.purpose,
        legal_basis=operation.legal_basis,
        applied=operation.terms,
        applied_ms=at.time_ms,
    )
    if operation.terms.resource == OPEN:
        grant.status, grant.decided_ms = sharing_pb2.GRANT_STATUS_ACTIVE, at.time_ms
        grant.granted.CopyFrom(operation.terms)
    return {b"g" + tagged_hash("grant", at.place): write(grant)}


def _approved(state: Mapping[bytes, bytes], at: At, operation: sharing_pb2.ApproveGrant) -> dict[bytes, bytes]:
    grant = sharing_pb2.GrantState.FromString(state[b"g" + operation.grant])
    grant.status, grant.decided_ms = sharing_pb2.GRANT_STATUS_ACTIVE, at.time_ms
    grant.granted.CopyFrom(operation.terms if operation.HasField("terms") else grant.applied)
    return {b"g" + operation.grant: write(grant)}


def _ended(state: Mapping[bytes, bytes], at: At, operation: sharing_pb2.EndGrant) -> dict[bytes, bytes]:
    grant = sharing_pb2.GrantState.FromString(state[b"g" + operation.grant])
    grant.status, grant.reason = sharing_pb2.GRANT_STATUS_ENDED, operation.reason
    grant.ended_by, grant.ended_ms = at.department, at.time_ms
    return {b"g" + operation.grant: write(grant)}


def _was_read(state: Mapping[bytes, bytes], at: At, operation: sharing_pb2.ReadFields) -> dict[bytes, bytes]:
    grant = sharing_pb2.GrantState.FromString(state[b"g" + operation.grant])
    resource = grant.granted.resource
    read = tagged_hash("read", at.place)
    account_key = f"a{resource}\0{operation.subject}".encode()
    account = sharing_pb2.Reads.FromString(state.get(account_key, b""))
    for reads in (account, grant.reads):
        reads.count += 1
        reads.digest = tagged_hash("reads", (reads.digest or bytes(32)) + read)
    heads = state_pb2.Heads.FromString(state[f"hvault\0{operation.subject}\0".encode() + b"\0"])
    head = state_pb2.Head.FromString(next(item.head for item in heads.heads if item.slot == NAMES.index(resource)))
    found = sharing_pb2.ReadState(
        grant=operation.grant,
        reader=at.department,
        owner=grant.owner,
        resource=resource,
        subject=operation.subject,
        record_id=head.record_id,
        case_number=operation.case_number,
        fields=operation.fields,
        reader_key=operation.reader_key,
        height=at.height,
        time_ms=at.time_ms,
    )
    return {b"r" + read: write(found), account_key: write(account), b"g" + operation.grant: write(grant)}


def _acknowledged(state: Mapping[bytes, bytes], at: At, operation: sharing_pb2.AcknowledgeRead) -> dict[bytes, bytes]:
    found = sharing_pb2.ReadState.FromString(state[b"r" + operation.read])
    found.acknowledged_ms = at.time_ms
    return {b"r" + operation.read: write(found)}


def _ordered(_state: Mapping[bytes, bytes], at: At, operation: sharing_pb2.OrderErasure) -> dict[bytes, bytes]:
    order = sharing_pb2.ErasureState(height=at.height, time_ms=at.time_ms, legal_basis=operation.legal_basis)
    return {f"x{at.department}\0".encode() + record: write(order) for record in operation.records}


def _carried_out(state: Mapping[bytes, bytes], at: At, operation: sharing_pb2.AcknowledgeErasure) -> dict[bytes, bytes]:
    key = f"x{operation.department}\0".encode() + operation.record
    order = sharing_pb2.ErasureState.FromString(state[key])
    done = [*order.done, sharing_pb2.ErasureDone(department=at.department, time_ms=at.time_ms)]
    del order.done[:]
    order.done.extend(sorted(done, key=lambda item: item.department))
    return {key: write(order)}


EFFECTS: Mapping[str, Any] = {
    "apply_grant": _applied,
    "approve_grant": _approved,
    "end_grant": _ended,
    "read_fields": _was_read,
    "acknowledge_read": _acknowledged,
    "order_erasure": _ordered,
    "acknowledge_erasure": _carried_out,
}

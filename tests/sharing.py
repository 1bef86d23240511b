"""Departments that share data: a chain on which planning has published a resource with confidential fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

from huzheng.v1 import catalogue_pb2 as cat
from huzheng.v1 import sharing_pb2 as sharing
from huzheng.v1 import transaction_pb2 as pb

from ledger.block import ExecutedBlock
from ledger.building import BuiltRecord
from ledger.crypto import ED25519_SHA256, Domain, Suite, strict
from ledger.sharing.operations import kind_of
from tests.builders import START_MS, Chain, Consortium
from tests.naive.ledger import Result

REGISTER = "planning.register"
"""Planning's, shared on conditions; fields 2 to 4 are confidential."""
CONFIDENTIAL = (2, 3, 4)
FREE, CLOSED = "planning.free", "planning.closed"
"""Planning's too; shared without conditions, and not at all."""
SUBJECTS = ("AB0001", "AB0002", "AB0003")
T0_MS = START_MS + 10_000
"""When everything is published."""
DAY_MS = 86_400_000
_OF_SYSTEMS = {"read_fields", "acknowledge_read", "acknowledge_erasure"}
CONDITIONAL = cat.SHARING_CLASS_CONDITIONAL
ROOT = b"\x11" * 32


def resource(
    name: str = REGISTER, sharing_class: cat.SharingClass.ValueType = CONDITIONAL, **fields: Any
) -> cat.Resource:
    """A resource of planning's, or of another's if `fields` say so."""
    spec, kind = cat.FieldSpec, cat.FieldType

    def titled(**values: Any) -> cat.FieldSpec:
        return spec(title_zh="题", title_en="title", **values)

    secret = {"type": kind.FIELD_TYPE_TEXT, "max_bytes": 64, "confidential": True}
    values: dict[str, Any] = {
        "name": name,
        "title_zh": "题",
        "title_en": "title",
        "department": "planning",
        "sharing_class": sharing_class,
        "schema_version": 1,
        "subject": titled(type=kind.FIELD_TYPE_TEXT, required=True, max_bytes=6, pattern="[A-Z]{2}[0-9]{4}"),
        "fields": [
            titled(number=1, name="KIND", type=kind.FIELD_TYPE_CODE, required=True, codes=["a", "b"]),
            titled(number=2, name="OWNER", **secret),
            titled(number=3, name="PRICE", **secret),
            titled(number=4, name="NOTE", **secret),
        ],
    }
    return cat.Resource(**(values | fields))


def publish(definition: cat.Resource) -> pb.Operation:
    return pb.Operation(publish_resource=sharing.PublishResource(resource=definition))


def withdraw(name: str = REGISTER) -> pb.Operation:
    return pb.Operation(withdraw=sharing.Withdraw(resource=sharing.SchemaVersion(resource=name)))


def terms(**fields: Any) -> sharing.GrantTerms:
    """Two fields of any subject, for any case, ten times, for a day."""
    values: dict[str, Any] = {"resource": REGISTER, "fields": [2, 3], "max_reads": 10, "expires_ms": T0_MS + DAY_MS}
    return sharing.GrantTerms(**(values | fields))


def apply_for(asked: sharing.GrantTerms | None = None, **fields: Any) -> pb.Operation:
    values: dict[str, Any] = {"terms": asked or terms(), "purpose": "契税", "legal_basis": "契税法第十三条"}
    return pb.Operation(apply_grant=sharing.ApplyGrant(**(values | fields)))


def approve(grant: bytes, granted: sharing.GrantTerms | None = None) -> pb.Operation:
    return pb.Operation(approve_grant=sharing.ApproveGrant(grant=grant, terms=granted))


def refuse(grant: bytes, reason: str = "理由") -> pb.Operation:
    return pb.Operation(refuse_grant=sharing.RefuseGrant(grant=grant, reason=reason))


def end(grant: bytes, reason: str = "结案") -> pb.Operation:
    return pb.Operation(end_grant=sharing.EndGrant(grant=grant, reason=reason))


def read(grant: bytes, subject: str = SUBJECTS[0], **fields: Any) -> pb.Operation:
    values: dict[str, Any] = {"case_number": "案1", "fields": [2], "reader_key": b"\x07" * 32}
    return pb.Operation(read_fields=sharing.ReadFields(grant=grant, subject=subject, **(values | fields)))


def acknowledge(identifier: bytes) -> pb.Operation:
    return pb.Operation(acknowledge_read=sharing.AcknowledgeRead(read=identifier))


def order_erasure(*records: bytes, legal_basis: str = "个人信息保护法第四十七条") -> pb.Operation:
    order = sharing.OrderErasure(records=sorted(records), legal_basis=legal_basis)
    return pb.Operation(order_erasure=order)


def acknowledge_erasure(record: bytes, department: str = "planning") -> pb.Operation:
    return pb.Operation(acknowledge_erasure=sharing.AcknowledgeErasure(department=department, record=record))


class Sharing:
    """A chain in memory with three resources of planning's and records about three subjects of the first two."""

    def __init__(self, suite: Suite = ED25519_SHA256, consortium: Consortium | None = None) -> None:
        self.consortium = consortium or Consortium(suite)
        self.chain: Chain = self.consortium.chain()
        self.now_ms = T0_MS
        self.records: dict[tuple[str, str], list[BuiltRecord]] = {}
        self._nonces = count()
        free = resource(FREE, cat.SHARING_CLASS_UNCONDITIONAL)
        closed = resource(CLOSED, cat.SHARING_CLASS_NONE)
        self.must("planning", publish(resource()), publish(free), publish(closed))
        for name in (REGISTER, FREE):
            for subject in SUBJECTS:
                self.must("planning", records=[self.record(subject, name)])

    # --- building ---

    def record(
        self,
        subject: str = SUBJECTS[0],
        name: str = REGISTER,
        *,
        revoke: bool = False,
        relies_on: Sequence[pb.Reliance] = (),
        **fields: Any,
    ) -> BuiltRecord:
        """The next version about a subject, taken for accepted."""
        suite = self.consortium.suite
        before = self.records.setdefault((name, subject), [])
        message = pb.Payload(salt=bytes(16), fields=[pb.FieldValue(number=1, value="a")])
        payload = b"" if revoke else strict.write(message)
        values: dict[str, Any] = {
            "resource": name,
            "subject": subject,
            "version": len(before) + 1,
            "replaces": before[-1].id if before else b"",
            "action": pb.RECORD_ACTION_REVOKE if revoke else pb.RECORD_ACTION_ASSERT,
            "schema_version": 1,
            "payload_digest": suite.digest(Domain.PAYLOAD, payload),
            "confidential_root": b"" if revoke else ROOT,
            "relies_on": relies_on,
        }
        raw = strict.write(pb.Record(**(values | fields)))
        built = BuiltRecord(suite.digest(Domain.RECORD, raw), raw, payload)
        before.append(built)
        return built

    def newest(self, subject: str = SUBJECTS[0], name: str = REGISTER) -> bytes:
        """The id of the newest record about a subject."""
        return self.records[name, subject][-1].id

    def relies(self, *subjects: str, name: str = REGISTER) -> list[pb.Reliance]:
        """On the newest records about these subjects."""
        return [pb.Reliance(resource=name, subject=s, record_id=self.newest(s, name)) for s in sorted(subjects)]

    def transaction(
        self,
        department: str,
        *operations: pb.Operation,
        records: Sequence[BuiltRecord] = (),
        by: str | None = None,
    ) -> bytes:
        """Signed by the department's key for what is in it, or by the one that is named: `system` or `admin`."""
        kinds = {kind_of(operation) for operation in operations}
        role = by or ("system" if records or kinds <= _OF_SYSTEMS else "admin")
        signers = self.consortium.system_signers if role == "system" else self.consortium.admin_signers
        return self.consortium.transaction(
            records,
            operations,
            department=department,
            signer=signers[department],
            expires_ms=self.now_ms + 60_000,
            nonce=next(self._nonces),
        )

    # --- executing ---

    def block(self, *transactions: bytes, time_ms: int | None = None) -> list[Result]:
        """Executes a block at a time, by default the one of the block before."""
        self.now_ms = self.now_ms if time_ms is None else time_ms
        block = self.chain.add(*transactions, time_ms=self.now_ms)
        return [_result(raw) for raw in block.results]

    def one(self, department: str, *operations: pb.Operation, time_ms: int | None = None, **fields: Any) -> Result:
        """Executes one transaction."""
        if time_ms is not None:
            self.now_ms = time_ms
        [result] = self.block(self.transaction(department, *operations, **fields))
        return result

    def must(self, department: str, *operations: pb.Operation, **fields: Any) -> bytes:
        """Executes one transaction that must be accepted; returns its id."""
        result = self.one(department, *operations, **fields)
        if result != ("ACCEPTED", 0):
            raise AssertionError(result)
        return self.chain.blocks[-1].transactions[0].id

    def grant(
        self, asked: sharing.GrantTerms | None = None, granted: sharing.GrantTerms | None = None, by: str = "tax"
    ) -> bytes:
        """A grant that is active."""
        grant = self.applied(asked, by)
        self.must("planning", approve(grant, granted))
        return grant

    def applied(self, asked: sharing.GrantTerms | None = None, by: str = "tax") -> bytes:
        """A grant that was applied for."""
        return self.grant_id(self.must(by, apply_for(asked)))

    def read(self, grant: bytes, subject: str = SUBJECTS[0], by: str = "tax", **fields: Any) -> bytes:
        """A read that is accepted; its id."""
        return self.read_id(self.must(by, read(grant, subject, **fields)))

    def grant_id(self, transaction_id: bytes, index: int = 0) -> bytes:
        """G1."""
        return self.consortium.suite.digest(Domain.GRANT, transaction_id, bytes([index]))

    def read_id(self, transaction_id: bytes, index: int = 0) -> bytes:
        """G1."""
        return self.consortium.suite.digest(Domain.READ, transaction_id, bytes([index]))

    # --- the state ---

    def grant_state(self, grant: bytes) -> sharing.GrantState:
        return sharing.GrantState.FromString(self.chain.state[b"g" + grant])

    def read_state(self, identifier: bytes) -> sharing.ReadState:
        return sharing.ReadState.FromString(self.chain.state[b"r" + identifier])

    def account(self, subject: str = SUBJECTS[0], name: str = REGISTER) -> sharing.Reads:
        return sharing.Reads.FromString(self.chain.state.get(f"a{name}\0{subject}".encode(), b""))

    def erasure(self, record: bytes, department: str = "planning") -> sharing.ErasureState:
        """An empty one if it was not ordered."""
        raw = self.chain.state.get(b"x" + department.encode() + b"\0" + record, b"")
        return sharing.ErasureState.FromString(raw)

    @property
    def blocks(self) -> Iterator[ExecutedBlock]:
        """Those after the genesis'."""
        return iter(self.chain.blocks[1:])


def _result(raw: bytes) -> Result:
    message = pb.TransactionResult.FromString(raw)
    return pb.ResultCode.Name(message.code).removeprefix("RESULT_CODE_"), message.index

"""A small chain on which departments share: a resource that came later, a grant, reads, an erasure."""

from __future__ import annotations

from dataclasses import dataclass, field

from huzheng.v1 import catalogue_pb2, sharing_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.block import ExecutedBlock
from ledger.building import BuiltRecord
from ledger.crypto import Domain, Suite, strict
from tests.builders import OBJECTION, Chain, Consortium, objection_fields, unit_code

LATER = "property.zoning"
"""Planning's, in a register of the genesis; with a confidential field."""
NEW_REGISTER = "survey.plot"
"""Planning's, in a register of its own."""
SUBJECT = unit_code(1)
READER_KEY = bytes(range(32))


def _spec(number: int, name: str, *, confidential: bool = False) -> catalogue_pb2.FieldSpec:
    return catalogue_pb2.FieldSpec(
        number=number,
        name=name,
        title_zh="楼层",
        title_en=name.title(),
        type=catalogue_pb2.FIELD_TYPE_INTEGER,
        confidential=confidential,
    )


@dataclass
class SharingChain:
    """The chain, with the ids of what is on it. Each step is a block."""

    consortium: Consortium
    chain: Chain = field(init=False)
    grant: bytes = b""
    reads: list[bytes] = field(default_factory=list)
    records: dict[str, BuiltRecord] = field(default_factory=dict)
    _nonce: int = 1_000

    def __post_init__(self) -> None:
        self.chain = self.consortium.chain()

    @property
    def suite(self) -> Suite:
        return self.consortium.suite

    def resource(self, name: str, schema_version: int = 1) -> catalogue_pb2.Resource:
        """One that planning publishes; its subjects are property units. Of OBJECTION, a version with one field more."""
        known = self.consortium.genesis.catalogue[OBJECTION].message
        found = catalogue_pb2.Resource.FromString(strict.write(known))
        found.name, found.schema_version = name, schema_version
        found.title_zh, found.title_en = "规划用途", "Zoning"
        if name == OBJECTION:
            found.fields.append(_spec(found.fields[-1].number + 1, "FLOORS"))
            return found
        found.sharing_class = catalogue_pb2.SHARING_CLASS_CONDITIONAL
        del found.fields[:]
        found.fields.extend([_spec(1, "FLOORS"), _spec(2, "OWNERS", confidential=True)])
        return found

    def publish(self, name: str, schema_version: int = 1) -> None:
        resource = self.resource(name, schema_version)
        self.operate("planning", pb.Operation(publish_resource=sharing_pb2.PublishResource(resource=resource)))

    def write(self, name: str, subject: str = SUBJECT, schema_version: int = 1, replaces: bytes = b"") -> BuiltRecord:
        """The first or second record in a resource that was published here: FLOORS is 12."""
        resource = self.resource(name, schema_version)
        known = objection_fields() | {"FLOORS": "12"}
        public = [spec for spec in resource.fields if not spec.confidential and spec.name in known]
        fields = [pb.FieldValue(number=spec.number, value=known[spec.name]) for spec in public]
        payload = strict.write(pb.Payload(salt=bytes(16), fields=fields))
        record = pb.Record(
            resource=name,
            subject=subject,
            version=2 if replaces else 1,
            replaces=replaces,
            action=pb.RECORD_ACTION_ASSERT,
            schema_version=schema_version,
            payload_digest=self.suite.digest(Domain.PAYLOAD, payload),
            confidential_root=b"" if name == OBJECTION else bytes(32),
        )
        raw = strict.write(record)
        built = BuiltRecord(self.suite.digest(Domain.RECORD, raw), raw, payload)
        self.add(self.consortium.transaction([built], nonce=self._next()))
        self.records[name] = built
        return built

    def operate(self, department: str, operation: pb.Operation, *, system: bool = False) -> bytes:
        """Returns the transaction's id."""
        signers = self.consortium.system_signers if system else self.consortium.admin_signers
        raw = self.consortium.transaction(
            operations=[operation], department=department, signer=signers[department], nonce=self._next()
        )
        return self.add(raw).transactions[0].id

    def apply(self) -> None:
        """By tax; planning grants it."""
        expires_ms = self.consortium.now_ms + 86_400_000
        terms = sharing_pb2.GrantTerms(resource=LATER, fields=[2], max_reads=5, expires_ms=expires_ms)
        asked = sharing_pb2.ApplyGrant(terms=terms, purpose="核税 Tax assessment", legal_basis="契税法")
        transaction = self.operate("tax", pb.Operation(apply_grant=asked))
        self.grant = self.suite.digest(Domain.GRANT, transaction, b"\0")
        self.operate("planning", pb.Operation(approve_grant=sharing_pb2.ApproveGrant(grant=self.grant)))

    def read(self) -> bytes:
        """By tax, under the grant; returns the read's id."""
        asked = sharing_pb2.ReadFields(
            grant=self.grant, subject=SUBJECT, case_number="2020-17", fields=[2], reader_key=READER_KEY
        )
        transaction = self.operate("tax", pb.Operation(read_fields=asked), system=True)
        self.reads.append(self.suite.digest(Domain.READ, transaction, b"\0"))
        return self.reads[-1]

    def erase(self, record_id: bytes) -> None:
        order = sharing_pb2.OrderErasure(records=[record_id], legal_basis="个人信息保护法")
        self.operate("planning", pb.Operation(order_erasure=order))

    def _next(self) -> int:
        self._nonce += 1
        return self._nonce

    def add(self, raw: bytes) -> ExecutedBlock:
        """A block with this transaction alone, which is accepted."""
        block = self.chain.add(raw)
        result = pb.TransactionResult.FromString(block.results[0])
        if result.code != pb.RESULT_CODE_ACCEPTED:
            raise AssertionError(pb.ResultCode.Name(result.code))
        return block


def shared(consortium: Consortium) -> SharingChain:
    """A grant of a later resource, two reads of one subject, the first of which is acknowledged, and an erasure thereafter."""
    sharing = SharingChain(consortium)
    # A leaf that is written before its page gets wider.
    sharing.add(consortium.transaction([consortium.record(2)], nonce=1))
    for number in range(4):
        sharing.publish(f"property.extra{number}")
    for name in (LATER, NEW_REGISTER):
        sharing.publish(name)
        sharing.write(name)
    sharing.apply()
    first, _ = sharing.read(), sharing.read()
    sharing.operate("tax", pb.Operation(acknowledge_read=sharing_pb2.AcknowledgeRead(read=first)), system=True)
    sharing.erase(sharing.records[LATER].id)
    return sharing

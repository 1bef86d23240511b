"""Grants, reads and erasures against a model that holds plain values: whatever is submitted, both say the same (docs/protocol.md sections 16, 17)."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import Any

from huzheng.v1 import sharing_pb2 as sharing
from huzheng.v1 import transaction_pb2 as pb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.block import ExecutedBlock, read_header
from ledger.building import BuiltRecord
from ledger.execution import batch_of_block
from ledger.transaction import WellFormedBatch
from tests.naive.sharing import Grant, Read, Shared, SharingModel, digest
from tests.sharing import (
    CLOSED,
    CONFIDENTIAL,
    FREE,
    REGISTER,
    SUBJECTS,
    T0_MS,
    Sharing,
    acknowledge,
    acknowledge_erasure,
    apply_for,
    approve,
    end,
    order_erasure,
    read,
    refuse,
    terms,
)

DEPARTMENTS = ("housing", "planning", "tax")
STATUSES = {
    "applied": sharing.GRANT_STATUS_APPLIED,
    "active": sharing.GRANT_STATUS_ACTIVE,
    "refused": sharing.GRANT_STATUS_REFUSED,
    "ended": sharing.GRANT_STATUS_ENDED,
}
START = Sharing()
"""Copied for each run."""
UNKNOWN = b"\x01" * 32


def _fits(subject: str) -> bool:
    return re.fullmatch("[A-Z]{2}[0-9]{4}", subject) is not None


def _model() -> SharingModel:
    def shared(*, is_free: bool = False, is_closed: bool = False) -> Shared:
        return Shared("planning", is_free, is_closed, set(CONFIDENTIAL), _fits)

    model = SharingModel({REGISTER: shared(), FREE: shared(is_free=True), CLOSED: shared(is_closed=True)})
    model.heads = {key: built[-1].id for key, built in START.records.items()}
    return model


def _world() -> Sharing:
    world = copy.copy(START)
    world.chain = START.consortium.chain()
    for block in START.blocks:
        world.chain.add_batch(_batch(block))
    world.records = {key: list(built) for key, built in START.records.items()}
    return world


def _batch(block: ExecutedBlock) -> WellFormedBatch:
    return batch_of_block(read_header(block.header), block.transactions)


@dataclass
class Run:
    """A chain and its model, side by side, and how what is submitted is drawn."""

    data: st.DataObject
    world: Sharing
    model: SharingModel

    def draw(self, *values: Any) -> Any:
        return self.data.draw(st.sampled_from(values))

    def terms(self) -> sharing.GrantTerms:
        """Mostly such as may be applied for."""
        return terms(
            resource=self.draw(REGISTER, REGISTER, REGISTER, FREE, FREE, CLOSED, "planning.none", ""),
            fields=self.draw([2], [2, 3], [2, 3], [3, 4], [2, 3, 4], [1], [3, 2], []),
            subjects=self.draw([], [], [SUBJECTS[0]], list(SUBJECTS[:2]), ["AB1"]),
            case_number=self.draw("", "", "案1", "案2"),
            max_reads=self.draw(1, 2, 3, 3, 0),
            expires_ms=self.world.now_ms + self.draw(2, 5, 1_000, 1_000, 0, -1),
        )

    def grant(self) -> bytes:
        return self.draw(*self.model.grants, UNKNOWN)  # type: ignore[no-any-return]

    def narrowed(self, grant: bytes) -> sharing.GrantTerms | None:
        """What was applied for with one change, or nothing."""
        if grant not in self.model.grants or self.draw(True, False):
            return None
        changed = self.world.grant_state(grant).applied
        name = self.draw("fields", "subjects", "case_number", "max_reads", "expires_ms", "resource")
        other = self.terms()
        changed.ClearField(name)
        changed.MergeFrom(sharing.GrantTerms(**{name: getattr(other, name)}))
        return changed

    def admin_operation(self) -> pb.Operation:
        kind = self.draw("apply", "apply", "approve", "approve", "approve", "refuse", "end", "erase")
        if kind == "apply":
            return apply_for(self.terms())
        if kind == "erase":
            return order_erasure(self.draw(UNKNOWN, *(built[-1].id for built in self.world.records.values())))
        grant = self.grant()
        if kind == "approve":
            return approve(grant, self.narrowed(grant))
        return refuse(grant) if kind == "refuse" else end(grant)

    def system_operation(self) -> pb.Operation:
        kind = self.draw("read", "read", "read", "acknowledge", "erased")
        if kind == "acknowledge":
            return acknowledge(self.draw(*self.model.reads, UNKNOWN))
        if kind == "erased":
            owner, record = self.draw(*self.model.erasures, ("planning", UNKNOWN))
            return acknowledge_erasure(record, owner)
        subject, case = self.draw(*SUBJECTS, "AB9999"), self.draw("案1", "案1", "案2")
        return read(self.grant(), subject, case_number=case, fields=self.draw([2], [2], [3], [2, 3], [4]))

    def department(self, operation: pb.Operation) -> str:
        """Mostly one that may."""
        applies = operation.HasField("apply_grant") or operation.HasField("read_fields")
        likely = "tax" if applies or operation.HasField("acknowledge_read") else "planning"
        return self.draw(likely, likely, likely, likely, *DEPARTMENTS)  # type: ignore[no-any-return]

    def transaction(self) -> tuple[str, list[pb.Operation], list[BuiltRecord]]:
        """Operations of one role, or a record."""
        if self.draw(*range(12)) == 0:
            name, subject = self.draw(REGISTER, FREE), self.draw(*SUBJECTS)
            newest = pb.Record.FromString(self.world.records[name, subject][-1].raw)
            revoke = newest.action == pb.RECORD_ACTION_ASSERT and self.draw(True, False)
            return "planning", [], [self.world.record(subject, name, revoke=revoke)]
        make = self.draw(self.admin_operation, self.system_operation)
        operations = [make() for _ in range(self.draw(1, 1, 2, 3))]
        return self.department(operations[0]), operations, []

    def block(self, time_ms: int) -> None:
        """Executes a batch on both sides and compares all they hold."""
        self.world.now_ms = time_ms
        drawn = [self.transaction() for _ in range(self.draw(1, 1, 2, 3))]
        raws = [self.world.transaction(department, *ops, records=records) for department, ops, records in drawn]
        found = self.world.block(*raws)
        done = self.world.chain.blocks[-1].transactions
        for (department, operations, records), result, item in zip(drawn, found, done, strict=True):
            if records:
                assert result == ("ACCEPTED", 0)
                record = pb.Record.FromString(records[0].raw)
                asserts = record.action == pb.RECORD_ACTION_ASSERT
                self.model.heads[record.resource, record.subject] = records[0].id if asserts else None
            else:
                assert result == self.model.transaction(department, item.id, operations, time_ms)
        self.compare()

    def compare(self) -> None:
        state, model = self.world.chain.state, self.model
        assert {key[1:] for key in state if key[:1] == b"g"} == set(model.grants)
        assert {key[1:] for key in state if key[:1] == b"r"} == set(model.reads)
        for identifier, grant in model.grants.items():
            self.compare_grant(self.world.grant_state(identifier), grant)
        for identifier, wanted in model.reads.items():
            self.compare_read(self.world.read_state(identifier), wanted)
        accounts = {key for key in state if key[:1] == b"a"}
        read_about = {(item.resource, item.subject) for item in model.reads.values()}
        assert accounts == {f"a{name}\0{subject}".encode() for name, subject in read_about}
        for name, subject in read_about:
            account = self.world.account(subject, name)
            assert (account.count, account.digest) == model.account(name, subject)
        erasures = {key for key in state if key[:1] == b"x"}
        assert erasures == {b"x" + owner.encode() + b"\0" + record for owner, record in model.erasures}
        for (owner, record), done in model.erasures.items():
            assert [item.department for item in self.world.erasure(record, owner).done] == sorted(done)

    def compare_grant(self, found: sharing.GrantState, grant: Grant) -> None:
        assert (found.applicant, found.owner, found.status) == (grant.applicant, grant.owner, STATUSES[grant.status])
        assert found.HasField("granted") is (grant.granted is not None)
        if grant.granted is not None:
            assert set(found.granted.fields) == grant.granted["fields"]
            assert set(found.granted.subjects) == grant.granted["subjects"]
            assert found.granted.max_reads == grant.granted["max_reads"]
        assert (found.reads.count, found.reads.digest) == digest(grant.reads)

    def compare_read(self, found: sharing.ReadState, wanted: Read) -> None:
        assert (found.grant, found.reader, found.record_id) == (wanted.grant, wanted.reader, wanted.record)
        assert bool(found.acknowledged_ms) is wanted.is_acknowledged


@given(data=st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_grants_reads_and_erasures_end_as_the_model_says(data: st.DataObject) -> None:
    run = Run(data, _world(), _model())
    time_ms = T0_MS
    for _ in range(data.draw(st.integers(1, 12))):
        time_ms += data.draw(st.sampled_from([0, 0, 1, 2, 500]))
        run.block(time_ms)

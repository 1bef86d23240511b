"""What a block adds to the audit index (docs/protocol.md S12). A block without operations and reliance adds next to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from huzheng.v1 import sharing_pb2 as sharing
from huzheng.v1 import transaction_pb2 as pb

from ledger.block import ExecutedBlock
from ledger.crypto import HASH_BYTES, Domain, Height, Suite, strict
from ledger.sharing.erasing import erasure_key
from ledger.sharing.granting import GRANT_PREFIX, grant_key
from ledger.sharing.operations import kind_of
from ledger.sharing.reading import read_id, read_key
from ledger.store import audit_layout, layout
from ledger.store.audit_layout import HourCount, NewestWrite, OperationPlace
from ledger.store.engine import Batch, Reader
from ledger.transaction import INCONCLUSIVE, WellFormedTransaction

UNATTRIBUTED = frozenset({*INCONCLUSIVE, pb.RESULT_CODE_UNKNOWN_KEY})
"""With these nobody knows that it was the department that asked, or the transaction has another result that counts."""
_READ = frozenset({"read_fields"})


class AuditWriter:
    """Adds to one batch, and knows what blocks before have put there, which the database does not have yet."""

    def __init__(self, batch: Batch, reader: Reader, suite: Suite) -> None:
        self._batch = batch
        self._reader = reader
        self._suite = suite
        self._written: dict[bytes, bytes] = {}
        """Audit entries and states of grants that may be asked for again."""

    # --- called while a block's entries are put ---

    def newest(self, heights: Mapping[str, int]) -> None:
        """In which block the newest record of each resource is."""
        for resource, height in heights.items():
            self._batch.put(audit_layout.newest_key(resource), NewestWrite(Height(height), True).encode())

    def relies(self, record: pb.Record, place: bytes) -> None:
        """On which records an accepted one relies; `place` is encoded."""
        for relied in record.relies_on:
            self._batch.put(audit_layout.hash_prefix(audit_layout.RELIANCE, relied.record_id) + place, b"")

    def operations(self, block: ExecutedBlock, index: int) -> None:
        """The operations of a block's transaction, accepted or refused."""
        transaction, code = block.transactions[index], block.codes[index]
        accepted = code == pb.RESULT_CODE_ACCEPTED
        if not accepted and code in UNATTRIBUTED:
            return
        for position, operation in enumerate(transaction.body.operations):
            kind = kind_of(operation)
            put = _PUT.get(kind)
            if put is not None and (accepted or kind in _READ):
                place = OperationPlace(block.height, index, position)
                put(self, block, transaction, place, getattr(operation, kind))

    def finish(self, block: ExecutedBlock) -> None:
        """After the last transaction of a block with operations."""
        for key, value in block.changes.items():
            if key.startswith(GRANT_PREFIX) and value is not None:
                self._written[layout.STATE + key] = value

    # --- each kind of operation ---

    def _read(
        self, block: ExecutedBlock, transaction: WellFormedTransaction, place: OperationPlace, asked: sharing.ReadFields
    ) -> None:
        code = block.codes[place.transaction]
        accepted, reader = code == pb.RESULT_CODE_ACCEPTED, transaction.department
        index = 0 if accepted else _index_of(block, place.transaction)
        value = audit_layout.encode_result(code, index)
        for prefix in self._lists_of(block, reader, asked):
            self._batch.put(prefix + place.encode(), value)
        hour = block.time_ms // audit_layout.HOUR_MS
        key = audit_layout.counts_key(reader, hour)
        known = self._get(key)
        counted = HourCount() if known is None else audit_layout.decode_counts(known)
        self._put(key, HourCount(counted.accepted + accepted, counted.refused + (not accepted)).encode())
        if accepted:
            self._accepted(block, place, read_id(self._suite, transaction.id, place.operation), value)

    def _lists_of(self, block: ExecutedBlock, reader: str, asked: sharing.ReadFields) -> Iterator[bytes]:
        """What the keys start with under which a read is listed, be it accepted or not."""
        yield audit_layout.department_prefix(audit_layout.BY_READER, reader)
        if len(asked.grant) != HASH_BYTES:
            return
        yield audit_layout.hash_prefix(audit_layout.BY_GRANT, asked.grant)
        grant = self._grant(block, asked.grant)
        if grant is None:
            return
        yield audit_layout.department_prefix(audit_layout.BY_OWNER, grant.owner)
        # What was refused may be about anything.
        if "\0" not in asked.subject and len(asked.subject.encode()) <= audit_layout.MAX_SUBJECT_BYTES:
            yield audit_layout.subject_prefix(grant.applied.resource, asked.subject)

    def _accepted(self, block: ExecutedBlock, place: OperationPlace, read: bytes, value: bytes) -> None:
        state = strict.read(sharing.ReadState, block.changes[read_key(read)] or b"")
        self._batch.put(audit_layout.hash_prefix(audit_layout.BY_RECORD, state.record_id) + place.encode(), value)
        self._put(audit_layout.holder_key(state.record_id, state.reader), state.owner.encode())
        self._batch.put(audit_layout.unacknowledged_key(block.height, read), b"")

    def _acknowledge(
        self,
        block: ExecutedBlock,
        _transaction: WellFormedTransaction,
        _place: OperationPlace,
        done: sharing.AcknowledgeRead,
    ) -> None:
        state = strict.read(sharing.ReadState, block.changes[read_key(done.read)] or b"")
        self._batch.delete(audit_layout.unacknowledged_key(state.height, done.read))

    def _apply(
        self,
        block: ExecutedBlock,
        transaction: WellFormedTransaction,
        place: OperationPlace,
        _applied: sharing.ApplyGrant,
    ) -> None:
        grant = self._suite.digest(Domain.GRANT, transaction.id, bytes([place.operation]))
        state = strict.read(sharing.GrantState, block.changes[grant_key(grant)] or b"")
        for prefix in (
            audit_layout.GRANT,
            audit_layout.department_prefix(audit_layout.GRANT_BY_APPLICANT, state.applicant),
            audit_layout.department_prefix(audit_layout.GRANT_BY_OWNER, state.owner),
        ):
            self._batch.put(prefix + place.encode(), grant)

    def _order(
        self,
        block: ExecutedBlock,
        transaction: WellFormedTransaction,
        place: OperationPlace,
        order: sharing.OrderErasure,
    ) -> None:
        self._batch.put(audit_layout.ERASURE + place.encode(), b"")
        for record_id in order.records:
            if self._holders(record_id, transaction.department):
                self._batch.put(audit_layout.open_erasure_key(block.height, transaction.department, record_id), b"")

    def _erased(
        self,
        block: ExecutedBlock,
        _transaction: WellFormedTransaction,
        _place: OperationPlace,
        done: sharing.AcknowledgeErasure,
    ) -> None:
        raw = block.changes[erasure_key(done.department, done.record)]
        state = strict.read(sharing.ErasureState, raw or b"")
        if self._holders(done.record, done.department) <= {item.department for item in state.done}:
            self._batch.delete(audit_layout.open_erasure_key(state.height, done.department, done.record))

    def _publish(
        self,
        block: ExecutedBlock,
        _transaction: WellFormedTransaction,
        _place: OperationPlace,
        published: sharing.PublishResource,
    ) -> None:
        # Records in this block, if there are any, are noted after it.
        if published.resource.schema_version == 1:
            key = audit_layout.newest_key(published.resource.name)
            self._batch.put(key, NewestWrite(block.height, False).encode())

    # --- within ---

    def _holders(self, record_id: bytes, owner: str) -> set[str]:
        """Who had values of a record that is this department's."""
        prefix = audit_layout.hash_prefix(audit_layout.HOLDER, record_id)
        found = dict(self._reader.scan(prefix, audit_layout.after(prefix)))
        found |= {key: value for key, value in self._written.items() if key.startswith(prefix)}
        return {key[len(prefix) :].decode() for key, value in found.items() if value == owner.encode()}

    def _grant(self, block: ExecutedBlock, grant: bytes) -> sharing.GrantState | None:
        """As the block leaves it."""
        key = grant_key(grant)
        raw = block.changes.get(key) or self._get(layout.STATE + key)
        return None if raw is None else strict.read(sharing.GrantState, raw)

    def _put(self, key: bytes, value: bytes) -> None:
        self._written[key] = value
        self._batch.put(key, value)

    def _get(self, key: bytes) -> bytes | None:
        written = self._written.get(key)
        return self._reader.get(key) if written is None else written


def _index_of(block: ExecutedBlock, index: int) -> int:
    return strict.read(pb.TransactionResult, block.results[index]).index


_Put = Callable[[AuditWriter, ExecutedBlock, WellFormedTransaction, OperationPlace, Any], None]
_PUT: Mapping[str, _Put] = MappingProxyType(
    {
        "read_fields": AuditWriter._read,
        "acknowledge_read": AuditWriter._acknowledge,
        "apply_grant": AuditWriter._apply,
        "order_erasure": AuditWriter._order,
        "acknowledge_erasure": AuditWriter._erased,
        "publish_resource": AuditWriter._publish,
    }
)

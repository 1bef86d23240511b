"""What callers may ask about reads, grants, erasures and reliance, as answers of LedgerService. They read the database: in worker threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import dropwhile
from typing import Final

from huzheng.v1 import audit_pb2 as audit
from huzheng.v1 import ledger_service_pb2 as pb
from huzheng.v1 import sharing_pb2, transaction_pb2

from ledger.crypto import Height, strict
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.published import Published
from ledger.store import (
    AuditIndex,
    ChainStore,
    ErasedRecord,
    OperationPlace,
    Place,
    RecordPlace,
    StoredErasure,
    StoredGrant,
    StoredRead,
    StoredRecord,
    audit_layout,
)
from node.alerts import find_alerts
from node.paging import MAX_PAGE, page_of, page_size, require_hash, required

MAX_LOOKED_AT: Final = 1_000
"""Of erasures and of records that rely on one, for one page or message; a page that comes short has a next one."""
_LONGEST_NAME: Final = 1_024
Located = Callable[[StoredRecord], pb.LocatedRecord]


@dataclass(frozen=True, slots=True)
class RelianceCursor:
    """How far into a block a watcher is."""

    changed: RecordPlace
    after: RecordPlace
    """Of those that rely on what this one replaced, the last that was looked at."""


class AuditQueries:
    """Answers from one chain. Every method may be called from any thread.

    All raise HuzhengError: INVALID_REQUEST, NOT_FOUND, STORE_CORRUPT.
    """

    def __init__(self, genesis: Genesis, chain: ChainStore, located: Located) -> None:
        self._genesis = genesis
        self._chain = chain
        self._located = located
        self._alerts = audit.GetAlertsResponse()

    # --- reads ---

    def reads(self, request: audit.ListReadsRequest) -> audit.ListReadsResponse:
        """A page of reads, and the account of the subject or grant as of the same block."""
        prefix = _prefix_of_reads(request)
        with self._chain.snapshot() as chain:
            index = chain.audit
            since = index.first_at(request.since_ms) if request.since_ms else 0
            until = index.first_at(request.until_ms) if request.until_ms else None
            after = _place(request.after) if request.HasField("after") else None
            stored = index.reads(prefix, after, since, until)
            published = chain.published()
            page = page_of(stored, lambda read: _listed_read(read, published), page_size(request.page_size), MAX_PAGE)
            return audit.ListReadsResponse(
                reads=page.messages,
                next_after=None if page.last is None else _position(page.last.place),
                height=index.height,
                account=_account(index, request),
            )

    # --- grants ---

    def grants(self, request: audit.ListGrantsRequest) -> audit.ListGrantsResponse:
        """A page of grants as they stand, or one."""
        index, selector = self._chain.audit, request.WhichOneof("selector")
        if selector == "grant":
            require_hash(request.grant, "grant")
            state = required(index.grant(request.grant), "grant")
            return audit.ListGrantsResponse(grants=[audit.ListedGrant(grant=request.grant, state=state)])
        if selector == "applicant":
            prefix = _by_department(audit_layout.GRANT_BY_APPLICANT, request.applicant)
        elif selector == "owner":
            prefix = _by_department(audit_layout.GRANT_BY_OWNER, request.owner)
        else:
            prefix = audit_layout.GRANT
        after = _place(request.after) if request.HasField("after") else None
        page = page_of(index.grants(prefix, after), _listed_grant, page_size(request.page_size), MAX_PAGE)
        return audit.ListGrantsResponse(
            grants=page.messages, next_after=None if page.last is None else _position(page.last.place)
        )

    # --- erasures ---

    def erasures(self, request: audit.ListErasuresRequest) -> audit.ListErasuresResponse:
        """A page of orders to erase, of all departments or of one."""
        after = _place(request.after) if request.HasField("after") else None

        def encode(erasure: StoredErasure) -> audit.ListedErasure | None:
            return _listed_erasure(erasure) if request.department in ("", erasure.department) else None

        stored = self._chain.audit.erasures(after)
        page = page_of(stored, encode, page_size(request.page_size), MAX_LOOKED_AT)
        return audit.ListErasuresResponse(
            erasures=page.messages, next_after=None if page.last is None else _position(page.last.place)
        )

    # --- alerts ---

    def alerts(self, _request: audit.GetAlertsRequest) -> audit.GetAlertsResponse:
        """What should be looked at, as of the newest block; found once a block."""
        known = self._alerts
        if known.height != self._chain.tip.height or not known.time_ms:
            with self._chain.snapshot() as chain:
                known = self._alerts = find_alerts(self._genesis, chain)
        return known

    # --- reliance ---

    def reliance(self, request: pb.ListRelianceRequest) -> pb.ListRelianceResponse:
        """A page of the records that rely on one, and that one."""
        require_hash(request.record_id, "record_id")
        place = required(self._chain.record_place(request.record_id), "no record has this id")
        at = request.after
        after = None
        if request.HasField("after"):
            after = RecordPlace(Height(at.height), at.transaction_index, at.record_index)
        page = page_of(
            self._chain.audit.relying(request.record_id, after),
            lambda relying: self._located(self._chain.record(relying)),
            page_size(request.page_size),
            MAX_PAGE,
        )
        return pb.ListRelianceResponse(
            relied=self._located(self._chain.record(place)),
            records=page.messages,
            next_after=None if page.last is None else _record_position(page.last),
        )

    def watched_reliance(
        self, height: Height, department: str, cursor: RelianceCursor | None
    ) -> tuple[pb.WatchRelianceResponse, RelianceCursor | None]:
        """What happens in a block to records that a department's records rely on: a message, and where the next one of the block starts."""
        events = self._reliance_events(height, cursor)

        def encode(event: tuple[StoredRecord, RecordPlace]) -> pb.RelianceEvent | None:
            changed, place = event
            relying = self._chain.record(place)
            if relying.department != department:
                return None
            return pb.RelianceEvent(
                relied=changed.record.replaces, changed=self._located(changed), relying=self._located(relying)
            )

        page = page_of(events, encode, MAX_PAGE, MAX_LOOKED_AT)
        following = None if page.last is None else RelianceCursor(page.last[0].place, page.last[1])
        return pb.WatchRelianceResponse(height=height, events=page.messages), following

    def _reliance_events(
        self, height: Height, cursor: RelianceCursor | None
    ) -> Iterator[tuple[StoredRecord, RecordPlace]]:
        changed = self._changes(height)
        if cursor is not None:
            changed = dropwhile(lambda record: record.place < cursor.changed, changed)
        for record in changed:
            after = cursor.after if cursor is not None and record.place == cursor.changed else None
            for place in self._chain.audit.relying(record.record.replaces, after):
                yield record, place

    def _changes(self, height: Height) -> Iterator[StoredRecord]:
        """The accepted records of a block that replace another."""
        for index, raw in enumerate(self._chain.results(height)):
            if strict.read(transaction_pb2.TransactionResult, raw).code != transaction_pb2.RESULT_CODE_ACCEPTED:
                continue
            transaction = self._chain.verified_transaction(Place(height, index))
            for position in range(len(transaction.record_ids)):
                stored = self._chain.record(RecordPlace(height, index, position))
                if stored.record.replaces:
                    yield stored


def _prefix_of_reads(request: audit.ListReadsRequest) -> bytes:
    selector = request.WhichOneof("selector")
    if selector == "subject":
        resource, subject = request.subject.resource, request.subject.subject
        _require_name(resource, "resource")
        _require_name(subject, "subject")
        return audit_layout.subject_prefix(resource, subject)
    if selector == "reader":
        return _by_department(audit_layout.BY_READER, request.reader)
    if selector == "owner":
        return _by_department(audit_layout.BY_OWNER, request.owner)
    if selector == "grant":
        require_hash(request.grant, "grant")
        return audit_layout.hash_prefix(audit_layout.BY_GRANT, request.grant)
    if selector == "record_id":
        require_hash(request.record_id, "record_id")
        return audit_layout.hash_prefix(audit_layout.BY_RECORD, request.record_id)
    raise HuzhengError(Code.INVALID_REQUEST, "one of subject, reader, owner, grant and record_id is needed")


def _by_department(kind: bytes, department: str) -> bytes:
    _require_name(department, "department")
    return audit_layout.department_prefix(kind, department)


def _require_name(value: str, name: str) -> None:
    if not value or "\0" in value or len(value.encode()) > _LONGEST_NAME:
        raise HuzhengError(Code.INVALID_REQUEST, name)


def _account(index: AuditIndex, request: audit.ListReadsRequest) -> sharing_pb2.Reads | None:
    selector = request.WhichOneof("selector")
    if selector == "subject":
        return index.account(request.subject.resource, request.subject.subject)
    if selector == "grant":
        return required(index.grant(request.grant), "grant").reads
    return None


def _listed_read(stored: StoredRead, published: Published) -> audit.ListedRead:
    listed = audit.ListedRead(
        read_id=stored.id,
        position=_position(stored.place),
        time_ms=stored.time_ms,
        transaction_id=stored.transaction_id,
        reader=stored.reader,
        asked=stored.asked,
        code=stored.code,
        code_index=stored.code_index,
        state=stored.state,
    )
    if stored.grant is not None:
        grant = stored.grant
        listed.owner, listed.resource = grant.owner, grant.applied.resource
        listed.purpose, listed.legal_basis = grant.purpose, grant.legal_basis
        newest = published.newest(grant.applied.resource)
        names = {} if newest is None else {spec.number: spec.name for spec in newest.message.fields}
        listed.field_names.extend(names.get(number, "") for number in stored.asked.fields)
    return listed


def _listed_grant(stored: StoredGrant) -> audit.ListedGrant:
    return audit.ListedGrant(grant=stored.id, state=stored.state, position=_position(stored.place))


def _listed_erasure(stored: StoredErasure) -> audit.ListedErasure:
    return audit.ListedErasure(
        position=_position(stored.place),
        time_ms=stored.time_ms,
        transaction_id=stored.transaction_id,
        department=stored.department,
        legal_basis=stored.legal_basis,
        records=map(_erased_record, stored.records),
    )


def _erased_record(record: ErasedRecord) -> audit.ErasedRecord:
    return audit.ErasedRecord(record_id=record.record_id, done=record.done, holders=record.holders)


def _place(position: audit.OperationPosition) -> OperationPlace:
    return OperationPlace(Height(position.height), position.transaction_index, position.operation_index)


def _position(place: OperationPlace) -> audit.OperationPosition:
    return audit.OperationPosition(
        height=place.height, transaction_index=place.transaction, operation_index=place.operation
    )


def _record_position(place: RecordPlace) -> pb.RecordPosition:
    return pb.RecordPosition(height=place.height, transaction_index=place.transaction, record_index=place.record)

"""What callers may ask of the stored chain, as answers of LedgerService. They read the database: in worker threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from huzheng.v1 import ledger_service_pb2 as pb
from huzheng.v1 import statement_pb2, transaction_pb2

from ledger.block import read_header
from ledger.crypto import Height, strict
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.sharing.reading import ACCOUNT_PREFIX
from ledger.stated_entries import MAX_ENTRIES, is_provable
from ledger.statement import Question
from ledger.store import ChainStore, Place, RecordPlace, StoredRecord
from node.audit_queries import AuditQueries
from node.catalogue_pages import catalogue_page
from node.paging import MAX_PAGE_BYTES, page_size, require_hash, required
from node.receipts import record_receipt, transaction_receipt

MAX_SUBJECT_BYTES = 1024
MAX_QUESTIONS = 512
"""Of one statement: all slots of as many leaves as it may have."""
MAX_KEY_BYTES = 512
"""Of an entry of the state that is asked for: more than any has."""


class Queries:
    """Answers from one chain. Every method may be called from any thread.

    All raise HuzhengError: INVALID_REQUEST, NOT_FOUND, STORE_CORRUPT.
    """

    def __init__(self, genesis: Genesis, chain: ChainStore) -> None:
        self._genesis = genesis
        self._chain = chain
        self.audit = AuditQueries(genesis, chain, self.located)
        """What is asked of reads, grants, erasures and reliance."""

    # --- records ---

    def record(self, request: pb.GetRecordRequest) -> pb.GetRecordResponse:
        """One record, by id, or by resource, subject and version."""
        if request.record_id:
            require_hash(request.record_id, "record_id")
            place, what = self._chain.record_place(request.record_id), "no record has this id"
        else:
            self._require_subject(request.resource, request.subject, "subject")
            if request.version:
                place = self._chain.version(request.resource, request.subject, request.version)
                what = "no such version of this subject in this resource"
            else:
                place = self._chain.current(request.resource, request.subject)
                what = "nothing about this subject in this resource"
        return pb.GetRecordResponse(record=self.located(self._chain.record(required(place, what))))

    def history(self, request: pb.ListHistoryRequest) -> pb.ListHistoryResponse:
        """A page of versions about one subject, oldest first."""
        self._require_subject(request.resource, request.subject, "subject")
        first = request.from_version or 1
        places = self._chain.history(request.resource, request.subject, first, page_size(request.page_size) + 1)
        if not places and self._chain.current(request.resource, request.subject) is None:
            raise HuzhengError(Code.NOT_FOUND, "nothing about this subject in this resource")
        page, complete = self._page_of(places, page_size(request.page_size))
        return pb.ListHistoryResponse(records=page, next_version=0 if complete else first + len(page))

    def records(self, request: pb.ListRecordsRequest) -> pb.ListRecordsResponse:
        """A page of the records in force in a resource, by subject."""
        self._require_subject(request.resource, request.subject_prefix, "subject_prefix")
        self._require_subject(request.resource, request.after_subject, "after_subject")
        size = page_size(request.page_size)
        found = self._chain.list_current(request.resource, request.subject_prefix, request.after_subject, size)
        page, complete = self._page_of(found.places, size)
        following = found.next_after or ""
        if not complete:
            following = strict.read(transaction_pb2.Record, page[-1].record).subject
        return pb.ListRecordsResponse(records=page, next_after_subject=following)

    def _page_of(self, places: Sequence[RecordPlace], limit: int) -> tuple[list[pb.LocatedRecord], bool]:
        """As many records as a page may hold, and whether they are all."""
        page: list[pb.LocatedRecord] = []
        size = 0
        for place in places[:limit]:
            page.append(self.located(self._chain.record(place)))
            size += page[-1].ByteSize()
            if size >= MAX_PAGE_BYTES:
                break
        return page, len(page) == len(places)

    def located(self, stored: StoredRecord) -> pb.LocatedRecord:
        """A record with what is said around it."""
        place = stored.place
        return pb.LocatedRecord(
            record_id=stored.id,
            record=stored.raw,
            payload=stored.payload,
            transaction_id=stored.transaction_id,
            height=place.height,
            transaction_index=place.transaction,
            record_index=place.record,
            time_ms=self._time_ms(place.height),
            department=stored.department,
            current=self._chain.current(stored.record.resource, stored.record.subject) == place,
            expunged=self._chain.expunge_of(stored),
        )

    def _time_ms(self, height: Height) -> int:
        return read_header(self._chain.header(height)).time_ms

    # --- transactions and blocks ---

    def transaction(self, request: pb.GetTransactionRequest) -> pb.GetTransactionResponse:
        """A transaction and its first result."""
        place = self._transaction_place(request.transaction_id)
        return pb.GetTransactionResponse(
            transaction=self._chain.transaction(place),
            result=self._chain.results(place.height)[place.index],
            height=place.height,
            index=place.index,
            time_ms=self._time_ms(place.height),
        )

    def block(self, request: pb.GetBlockRequest) -> pb.GetBlockResponse:
        """A block and its results, by height or hash, or the newest."""
        height = self._height(request)
        return pb.GetBlockResponse(
            block=self._chain.block(height), hash=self._chain.block_hash(height), results=self._chain.results(height)
        )

    def _height(self, request: pb.GetBlockRequest) -> Height:
        selector = request.WhichOneof("selector")
        if selector == "height":
            return Height(request.height)
        if selector == "hash":
            require_hash(request.hash, "hash")
            return required(self._chain.height_of(request.hash), "block")
        if selector == "latest" and request.latest:
            return self._chain.tip.height
        raise HuzhengError(Code.INVALID_REQUEST, "one of height, hash and latest is needed")

    def membership(self, request: pb.GetMembershipRequest) -> pb.GetMembershipResponse:
        """How the membership changed from the genesis, or from some epoch on."""
        # First, so that the block of each change is there.
        height = self._chain.tip.height
        proofs = self._chain.epoch_proofs(self._chain.newest_epoch.epoch)[request.after_epoch :]
        return pb.GetMembershipResponse(epochs=proofs, height=height)

    def catalogue(self, request: pb.GetCatalogueRequest) -> pb.GetCatalogueResponse:
        """A page of duties, resources with all their versions, and tables."""
        return catalogue_page(self._chain.published(), request)

    # --- what a light client asks ---

    def statement(self, request: pb.GetStatementRequest) -> pb.GetStatementResponse:
        """What is the newest about subjects, and what keys of the state have, as of the last block, and how that block goes on from
        what the caller knows.

        Asked for nothing it is no statement (Q1), but shows the last block all the same. Raises BAD_SUBJECT too.
        """
        if len(request.questions) > MAX_QUESTIONS:
            raise HuzhengError(Code.INVALID_REQUEST, f"questions: at most {MAX_QUESTIONS}")
        # Before what is said of resources, of which a node that is behind may not know yet.
        if self._chain.tip.height < request.seen_height:
            raise HuzhengError(
                Code.NODE_BEHIND, f"block {self._chain.tip.height}; block {request.seen_height} was seen"
            )
        for question in request.questions:
            self._require_fitting(question.resource, question.subject)
        self._require_entries(request.entries)
        questions = [Question(question.resource, question.subject) for question in request.questions]
        raw = self._chain.statement(questions, request.entries, with_records=request.with_records)
        header = read_header(strict.read(statement_pb2.Statement, raw).header)
        seen, height = Height(request.seen_height), Height(header.height)
        return pb.GetStatementResponse(
            statement=raw,
            epochs=self._chain.epoch_proofs(header.epoch)[request.known_epoch :],
            history=self._chain.history_proof(seen, height, with_certificates=False) if seen < height else b"",
        )

    def history_proof(self, request: pb.GetHistoryRequest) -> pb.GetHistoryResponse:
        """That a block is in the history of a later one."""
        under = Height(request.under or self._chain.tip.height)
        return pb.GetHistoryResponse(proof=self._chain.history_proof(Height(request.height), under))

    def receipt(self, request: pb.GetReceiptRequest) -> pb.GetReceiptResponse:
        """The receipt of a record or of a transaction."""
        selector = request.WhichOneof("selector")
        if selector == "record_id":
            require_hash(request.record_id, "record_id")
            place = required(self._chain.record_place(request.record_id), "no record has this id")
            return pb.GetReceiptResponse(receipt=record_receipt(self._genesis, self._chain, place))
        if selector == "transaction_id":
            transaction_place = self._transaction_place(request.transaction_id)
            return pb.GetReceiptResponse(receipt=transaction_receipt(self._genesis, self._chain, transaction_place))
        raise HuzhengError(Code.INVALID_REQUEST, "one of record_id and transaction_id is needed")

    # --- watching ---

    def watched_block(self, height: Height) -> pb.WatchBlocksResponse:
        """One block, as watchers get it."""
        return pb.WatchBlocksResponse(block=self._chain.block(height), hash=self._chain.block_hash(height))

    def watched_records(self, height: Height, resource: str) -> list[pb.WatchRecordsResponse]:
        """The accepted records of a block, of one resource if it is named, in as many messages as they need."""
        messages: list[pb.WatchRecordsResponse] = []
        size = MAX_PAGE_BYTES
        for record in self._accepted(height, resource):
            if size >= MAX_PAGE_BYTES:
                messages.append(pb.WatchRecordsResponse(height=height))
                size = 0
            messages[-1].records.append(record)
            size += record.ByteSize()
        return messages

    def _accepted(self, height: Height, resource: str) -> Iterator[pb.LocatedRecord]:
        for index, raw in enumerate(self._chain.results(height)):
            if strict.read(transaction_pb2.TransactionResult, raw).code != transaction_pb2.RESULT_CODE_ACCEPTED:
                continue
            transaction = self._chain.verified_transaction(Place(height, index))
            for position in range(len(transaction.record_ids)):
                stored = self._chain.record(RecordPlace(height, index, position))
                if resource in ("", stored.record.resource):
                    yield self.located(stored)

    def require_resource(self, resource: str) -> None:
        """Refuses what is not in the catalogue."""
        if resource not in self._genesis.catalogue and self._chain.published().find(resource) is None:
            raise HuzhengError(Code.NOT_FOUND, "resource")

    # --- within ---

    def _require_subject(self, resource: str, subject: str, name: str) -> None:
        self.require_resource(resource)
        if len(subject.encode()) > MAX_SUBJECT_BYTES or "\0" in subject:
            raise HuzhengError(Code.INVALID_REQUEST, name)

    def _require_fitting(self, resource: str, subject: str, name: str = "questions") -> None:
        """Else the answer would be a statement that proves nothing (Q2, Q8)."""
        definition = self._genesis.catalogue.get(resource) or self._chain.published().newest(resource)
        if definition is None:
            raise HuzhengError(Code.NOT_FOUND, "resource")
        if not definition.subject_fits(subject):
            raise HuzhengError(Code.BAD_SUBJECT, f"{name}, {resource}: must be {definition.subject.expected}")

    def _require_entries(self, keys: Sequence[bytes]) -> None:
        if len(keys) > MAX_ENTRIES:
            raise HuzhengError(Code.INVALID_REQUEST, f"entries: at most {MAX_ENTRIES}")
        for key in keys:
            if not is_provable(key) or len(key) > MAX_KEY_BYTES:
                raise HuzhengError(Code.INVALID_REQUEST, "entries: no key, or one of heads or of a seen id")
            if key.startswith(ACCOUNT_PREFIX):
                self._require_account(key[len(ACCOUNT_PREFIX) :])

    def _require_account(self, about: bytes) -> None:
        try:
            resource, _, subject = about.decode().partition("\0")
        except UnicodeDecodeError:
            raise HuzhengError(Code.INVALID_REQUEST, "entries: an account of what is no text") from None
        self._require_fitting(resource, subject, "entries")

    def _transaction_place(self, transaction_id: bytes) -> Place:
        require_hash(transaction_id, "transaction_id")
        return required(self._chain.transaction_place(transaction_id), "transaction")

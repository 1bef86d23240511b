"""What can be asked of a stored chain.

Whatever is read back is checked against a hash before it is given out (docs/protocol.md S6).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from huzheng.v1 import block_pb2, history_pb2, sharing_pb2, state_pb2, store_pb2, transaction_pb2

from ledger import merkle
from ledger.block import Tip
from ledger.crypto import Domain, Height, Membership, strict
from ledger.epochs import EpochTerms, departments, epoch_at, epoch_numbered, last_height, newest_epoch
from ledger.errors import Code, HuzhengError
from ledger.expunged import removed_positions
from ledger.genesis import Department, Genesis
from ledger.published import Published
from ledger.receipt import build_epoch_proof
from ledger.sharing.erasing import find_expunge
from ledger.state import read_head
from ledger.store import layout
from ledger.store.audit import AuditIndex
from ledger.store.engine import Reader
from ledger.store.layout import Place, RecordPlace
from ledger.store.stored_state import LastHeads, StoredState
from ledger.store.verified import (
    VerifiedBlock,
    VerifiedCache,
    VerifiedTransaction,
    verify_block,
    verify_transaction,
)

M = TypeVar("M", bound=Message)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """An accepted record with what is said around it."""

    id: bytes
    place: RecordPlace
    raw: bytes
    record: transaction_pb2.Record
    payload: bytes
    transaction_id: bytes
    department: str


@dataclass(frozen=True, slots=True)
class CurrentPage:
    """Some of the records in force in a resource, in ascending order of subjects."""

    places: tuple[RecordPlace, ...]
    next_after: str | None
    """The subject after which the next page starts; None at the end."""


class ChainReader:
    """A chain as one reader sees it. Every method may be called from any thread.

    All methods raise HuzhengError(STORE_CORRUPT) when what they read is not what was stored, and NOT_FOUND for heights
    and places that the chain does not have (yet); look-ups by id or name give None instead.
    """

    def __init__(
        self,
        genesis: Genesis,
        reader: Reader,
        tip: Tip,
        counts: store_pb2.StoredTip,
        cache: VerifiedCache,
        cached_at: int | None = None,
        last_heads: LastHeads | None = None,
    ) -> None:
        """`cached_at`: what a snapshot reads may be kept in the cache unless this has passed, see `VerifiedCache.generation`.

        `last_heads`: see `StoredState`.
        """
        self._genesis = genesis
        self._cached_at = cached_at
        self._reader = reader
        self._tip = tip
        self._counts = counts
        self._cache = cache
        self.state = StoredState(reader, last_heads)

    @property
    def tip(self) -> Tip:
        """The last block."""
        return self._tip

    @property
    def transaction_count(self) -> int:
        """How many transactions were ordered, refused ones included."""
        return self._counts.transaction_count

    @property
    def record_count(self) -> int:
        """How many records took effect."""
        return self._counts.record_count

    def published(self) -> Published:
        """The catalogue after the last block."""
        return Published(self._genesis, self.state)

    @property
    def audit(self) -> AuditIndex:
        """Who read what, under which grant, and who relies on whom."""
        return AuditIndex(self._genesis, self, self._reader)

    # --- epochs ---

    def epoch_at(self, height: Height) -> EpochTerms:
        """The epoch that governs the block at a height, as far as the last block tells."""
        return self._of_state(lambda: epoch_at(self._genesis, self.state, height))

    def membership_at(self, height: Height) -> Membership:
        """Who seals the block at a height."""
        return self.epoch_at(height).membership

    @property
    def newest_epoch(self) -> EpochTerms:
        """The last epoch that was decided, be it in force yet or not."""
        return self._of_state(lambda: newest_epoch(self._genesis, self.state))

    def epoch_numbered(self, epoch: int) -> EpochTerms:
        """The epoch with this number. Raises NOT_FOUND if it has not been decided."""
        terms = self._of_state(lambda: epoch_numbered(self._genesis, self.state, epoch))
        if terms is None:
            raise HuzhengError(Code.NOT_FOUND, f"epoch {epoch}")
        return terms

    def last_height_of(self, terms: EpochTerms) -> Height | None:
        """The last height of an epoch; None while no change has ended it."""
        return self._of_state(lambda: last_height(self._genesis, self.state, terms))

    def departments(self) -> Mapping[str, Department]:
        """All departments, those that joined later with the keys they joined with."""
        return self._of_state(lambda: departments(self._genesis, self.state))

    def epoch_proofs(self, epoch: int) -> tuple[block_pb2.EpochProof, ...]:
        """How the membership changed from the genesis to an epoch."""
        proofs = self._cache.epochs
        for number in range(len(proofs) + 1, epoch + 1):
            # Appended in their order, whichever thread gets there first.
            proofs[number] = self._epoch_proof(number)
        return tuple(proofs[number] for number in range(1, epoch + 1))

    def _epoch_proof(self, epoch: int) -> block_pb2.EpochProof:
        terms = self.epoch_numbered(epoch)
        if terms.change is None:
            raise HuzhengError(Code.NOT_FOUND, f"epoch {epoch}")
        height, index = terms.change
        body = _parse(transaction_pb2.Transaction, self.transaction(Place(height, index)), "transaction", height).body
        return build_epoch_proof(self._genesis, self.verified_block(height).proofs, index, body)

    def _of_state(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except HuzhengError as error:
            if error.code in (Code.NOT_STRICT, Code.BAD_GENESIS):
                raise HuzhengError(Code.STORE_CORRUPT, f"state: {error.detail}") from None
            raise

    # --- blocks ---

    def header(self, height: Height) -> bytes:
        """The BlockHeader, checked against the history tree's leaf for it."""
        return self._stored_block(height).header

    def certificate(self, height: Height) -> bytes:
        """The Certificate; empty for the genesis block."""
        return self._stored_block(height).certificate

    def block_hash(self, height: Height) -> bytes:
        """The block's hash."""
        return self._genesis.suite.digest(Domain.BLOCK, self.header(height))

    def results(self, height: Height) -> tuple[bytes, ...]:
        """The TransactionResults in their order, checked against the header."""
        return self.verified_block(height).results

    def transactions(self, height: Height) -> tuple[bytes, ...]:
        """The Transactions in their order, as ordered but for payloads that were removed; each one's id is checked against the header."""
        return tuple(raw for raw, _ in self._read_transactions(height))

    def _read_transactions(self, height: Height) -> list[tuple[bytes, transaction_pb2.Transaction]]:
        ids = self.verified_block(height).transaction_ids
        start, stop = layout.transaction_key(height, 0), layout.transaction_key(height + 1, 0)
        found = [
            (raw, _parse(transaction_pb2.Transaction, raw, "transaction", height))
            for _, raw in self._reader.scan(start, stop)
        ]
        if tuple(self._id_of(message) for _, message in found) != ids:
            raise _corrupt("transactions", height)
        return found

    def block(self, height: Height) -> bytes:
        """The Block, as replicas and clients fetch it."""
        stored, transactions = self._stored_block(height), self._read_transactions(height)
        block = block_pb2.Block(
            header=stored.header, certificate=stored.certificate, transactions=[raw for raw, _ in transactions]
        )
        if any(self._lacks_payloads(message, height) for _, message in transactions):
            block.results.extend(self.results(height))
        return strict.write(block)

    def _lacks_payloads(self, message: transaction_pb2.Transaction, height: Height) -> bool:
        if all(message.payloads):
            return False
        try:
            return any(True for _ in removed_positions(self._genesis.suite, message))
        except HuzhengError:
            raise _corrupt("transaction", height) from None

    def height_of(self, block_hash: bytes) -> Height | None:
        """The height of the block with this hash, or None."""
        if not layout.is_hash(block_hash):
            return None
        height = self._decoded(layout.block_hash_key(block_hash), layout.decode_height)
        if height is not None and self.block_hash(height) != block_hash:
            raise _corrupt("block hash index", height)
        return height

    def verified_block(self, height: Height) -> VerifiedBlock:
        """The block's results, checked against its header, with the trees that proofs need; kept in memory."""
        known = self._cache.blocks.get(height)
        if known is not None:
            return known
        stored = self._stored_block(height)
        raw = self._reader.get(layout.results_key(height))
        results = _parse(store_pb2.StoredResults, raw, "results", height).results if raw is not None else ()
        try:
            epochs = self.epoch_proofs(self.epoch_at(height).epoch)
            verified = verify_block(self._genesis, stored.header, stored.certificate, results, epochs)
        except HuzhengError:
            raise _corrupt("results", height) from None
        self._cache.blocks.put(height, verified)
        return verified

    def history_proof(self, height: Height, under: Height, *, with_certificates: bool = True) -> bytes:
        """The `HistoryProof` that a block is in the history of a later one; without proofs of epochs.

        Raises:
            HuzhengError: INVALID_REQUEST unless `height` is below `under`; NOT_FOUND, STORE_CORRUPT.
        """
        if height >= under:
            raise HuzhengError(Code.INVALID_REQUEST, "the earlier block is not the lower one")
        new, old = self._stored_block(under), self._stored_block(height)
        suite = self._genesis.suite
        proof = history_pb2.HistoryProof(
            header=new.header,
            old_header=old.header,
            inclusion=merkle.inclusion_path_from_nodes(suite, self._history_node, height, under),
            consistency=merkle.consistency_path_from_nodes(suite, self._history_node, height, under),
        )
        if with_certificates:
            proof.certificate, proof.old_certificate = new.certificate, old.certificate
        return strict.write(proof)

    # --- transactions and records ---

    def transaction_place(self, transaction_id: bytes) -> Place | None:
        """Where the transaction had its first result, or None."""
        return self._decoded(layout.transaction_id_key(transaction_id), layout.decode_place)

    def transaction(self, place: Place) -> bytes:
        """The Transaction's bytes as ordered; the hash of its body is checked to be the id that belongs here."""
        raw = self._reader.get(layout.transaction_key(place.height, place.index))
        if raw is None:
            self._require(place)
            raise _corrupt("transaction", place.height)
        self._check_transaction_id(self._transaction_id(raw), place)
        return raw

    def transaction_id_of(self, body: bytes) -> bytes:
        """T2."""
        return self._genesis.suite.digest(Domain.TRANSACTION, body)

    def record_place(self, record_id: bytes) -> RecordPlace | None:
        """Where the record is, or None; only records that took effect have a place."""
        return self._decoded(layout.record_key(record_id), layout.decode_record_place)

    def verified_transaction(self, place: Place) -> VerifiedTransaction:
        """The transaction at a place, checked to the last record, with the tree that proofs need; kept in memory."""
        known = self._cache.transactions.get(place)
        if known is not None:
            return known
        # Before anything is read: a payload that is removed meanwhile must not come into the cache.
        generation = self._cache.generation if self._cached_at is None else self._cached_at
        try:
            verified = verify_transaction(self._genesis, self.transaction(place))
        except HuzhengError as error:
            if error.code is Code.BAD_PROOF:
                raise _corrupt("transaction", place.height) from None
            raise
        self._cache.keep_transaction(place, verified, generation)
        return verified

    def record(self, place: RecordPlace) -> StoredRecord:
        """The record at a place that the indexes gave."""
        transaction = self.verified_transaction(place.transaction_place)
        if not 0 <= place.record < len(transaction.record_ids):
            raise HuzhengError(Code.NOT_FOUND, f"record {place.record} of a transaction in block {place.height}")
        raw = transaction.message.records[place.record]
        return StoredRecord(
            id=transaction.record_ids[place.record],
            place=place,
            raw=raw,
            record=_parse(transaction_pb2.Record, raw, "record", place.height),
            payload=transaction.message.payloads[place.record],
            transaction_id=transaction.id,
            department=transaction.department,
        )

    def expunge_of(self, stored: StoredRecord) -> sharing_pb2.ExpungeState | None:
        """The order by which a record's payload was removed, or None."""
        if stored.payload:
            return None
        return self._of_state(
            lambda: find_expunge(self.state, stored.department, stored.transaction_id, stored.place.record)
        )

    def contents(self, record_id: bytes) -> tuple[bytes, bytes]:
        """A record that a head names, and its payload, which is empty if it was removed."""
        place = self.record_place(record_id)
        if place is None:
            raise HuzhengError(Code.STORE_CORRUPT, "a head names a record that is not in the index")
        stored = self.record(place)
        return stored.raw, stored.payload

    def current(self, resource: str, subject: str) -> RecordPlace | None:
        """Where the newest record about a subject is, be it asserting or revoking; None if there never was one."""
        head = self._head(resource, subject)
        return None if head is None else self._place_of_head(head)

    def version(self, resource: str, subject: str, version: int) -> RecordPlace | None:
        """Where one version about a subject is, or None."""
        if not 0 < version < 1 << 64:
            return None
        return self._decoded(layout.version_key(resource, subject, version), layout.decode_record_place)

    def history(self, resource: str, subject: str, from_version: int = 1, limit: int = 100) -> list[RecordPlace]:
        """Where the versions about a subject are, oldest first: at most `limit`, from `from_version` on."""
        prefix = layout.version_prefix(resource, subject)
        start = prefix + min(max(from_version, 0), (1 << 64) - 1).to_bytes(8, "big")
        return [
            _decode(value, layout.decode_record_place, "version index")
            for (_, value), _ in zip(self._reader.scan(start, layout.after_prefix(prefix)), range(limit), strict=False)
        ]

    def list_current(self, resource: str, prefix: str = "", after: str = "", limit: int = 100) -> CurrentPage:
        """The records in force in a resource, by subject: at most `limit`.

        Only of subjects that start with `prefix` and come after `after`. Looks at no more than `limit` + 1000 versions,
        so a page can be short and still have a next one.
        """
        places: list[RecordPlace] = []
        start = max(
            layout.subjects_prefix(resource, prefix), layout.after_prefix(layout.version_prefix(resource, after))
        )
        stop = layout.after_prefix(layout.subjects_prefix(resource, prefix))
        previous = ""
        for looked_at, (key, _) in enumerate(self._reader.scan(start, stop)):
            subject = layout.subject_in(key)
            if subject == previous:
                continue
            if len(places) >= limit or looked_at >= limit + 1000:
                return CurrentPage(tuple(places), previous)
            previous = subject
            head = self._head(resource, subject)
            if head is not None and head.action == transaction_pb2.RECORD_ACTION_ASSERT:
                places.append(self._place_of_head(head))
        return CurrentPage(tuple(places), None)

    # --- within ---

    def _stored_block(self, height: Height) -> store_pb2.StoredBlock:
        # What came after a snapshot, others may have read.
        known = self._cache.sealed.get(height) if height <= self._tip.height else None
        if known is not None:
            return known
        raw = self._reader.get(layout.block_key(height)) if 0 <= height < 1 << 64 else None
        if raw is None:
            raise self._no_block(height)
        stored = _parse(store_pb2.StoredBlock, raw, "block", height)
        suite = self._genesis.suite
        leaf = self._reader.get(layout.history_node_key(0, height))
        if leaf != merkle.root(suite, (suite.digest(Domain.BLOCK, stored.header),)):
            raise _corrupt("header", height)
        self._cache.sealed.put(height, stored)
        return stored

    def _no_block(self, height: Height) -> HuzhengError:
        if 0 <= height <= self._tip.height:
            return _corrupt("block", height)
        return HuzhengError(Code.NOT_FOUND, f"block {height}")

    def _require(self, place: Place) -> None:
        header = _parse(block_pb2.BlockHeader, self.header(place.height), "header", place.height)
        if not 0 <= place.index < header.transaction_count:
            raise HuzhengError(Code.NOT_FOUND, f"transaction {place.index} of block {place.height}")

    def _transaction_id(self, raw: bytes) -> bytes:
        return self._id_of(_parse(transaction_pb2.Transaction, raw, "transaction"))

    def _id_of(self, message: transaction_pb2.Transaction) -> bytes:
        return self._genesis.suite.digest(Domain.TRANSACTION, message.body)

    def _check_transaction_id(self, transaction_id: bytes, place: Place) -> None:
        if self.transaction_place(transaction_id) == place:
            return
        # A repeated transaction: the index has the place of its first result.
        if transaction_id not in self.verified_block(place.height).transaction_ids[place.index : place.index + 1]:
            raise _corrupt("transaction", place.height)

    def _head(self, resource: str, subject: str) -> state_pb2.Head | None:
        try:
            slot = self.published().slot(resource)
            return None if slot is None else read_head(self.state, slot, subject)
        except HuzhengError:
            raise HuzhengError(Code.STORE_CORRUPT, "heads are not in strict form") from None

    def _place_of_head(self, head: state_pb2.Head) -> RecordPlace:
        place = self.record_place(head.record_id)
        if place is None:
            raise HuzhengError(Code.STORE_CORRUPT, "a head names a record that is not in the index")
        return place

    def _history_node(self, level: int, index: int) -> bytes:
        node = self._reader.get(layout.history_node_key(level, index))
        if node is None or not layout.is_hash(node):
            raise HuzhengError(Code.STORE_CORRUPT, f"history node {level}, {index}")
        return node

    def _decoded(self, key: bytes, decode: Callable[[bytes], T]) -> T | None:
        value = self._reader.get(key)
        return None if value is None else _decode(value, decode, layout.KINDS[key[:1]])


def _decode(value: bytes, decode: Callable[[bytes], T], what: str) -> T:
    try:
        return decode(value)
    except struct.error:
        raise HuzhengError(Code.STORE_CORRUPT, what) from None


def _parse(message_type: type[M], raw: bytes, what: str, height: int | None = None) -> M:
    message = message_type()
    try:
        message.ParseFromString(raw)
    except (DecodeError, RecursionError):
        raise _corrupt(what, height) from None
    return message


def _corrupt(what: str, height: int | None = None) -> HuzhengError:
    return HuzhengError(Code.STORE_CORRUPT, what if height is None else f"{what}, block {height}")

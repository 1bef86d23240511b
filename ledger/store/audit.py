"""What can be asked of the audit index: reads, grants, erasures, and who relies on a record (docs/protocol.md S12)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from huzheng.v1 import sharing_pb2 as sharing
from huzheng.v1 import store_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.block import read_header
from ledger.crypto import Height, strict
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.sharing.erasing import find_erasure
from ledger.sharing.granting import read_grant
from ledger.sharing.reading import find_account, find_read, read_id
from ledger.store import audit_layout
from ledger.store.audit_layout import HourCount, NewestWrite, OperationPlace
from ledger.store.engine import Entry, Reader
from ledger.store.layout import TIP_KEY, Place, RecordPlace, decode_record_place

if TYPE_CHECKING:
    from ledger.store.reader import ChainReader

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoredRead:
    """A read that somebody asked for, and how that ended."""

    id: bytes
    place: OperationPlace
    time_ms: int
    """The block's."""
    transaction_id: bytes
    reader: str
    asked: sharing.ReadFields
    code: pb.ResultCode.ValueType
    code_index: int
    """The operation that the whole transaction was refused for."""
    state: sharing.ReadState | None
    """None if it was refused."""
    grant: sharing.GrantState | None
    """None if there is no such grant."""


@dataclass(frozen=True, slots=True)
class StoredGrant:
    """A grant as it stands now."""

    id: bytes
    place: OperationPlace
    """Where it was applied for."""
    state: sharing.GrantState


@dataclass(frozen=True, slots=True)
class ErasedRecord:
    """A record whose erasure was ordered."""

    record_id: bytes
    done: tuple[sharing.ErasureDone, ...]
    holders: tuple[str, ...]
    """The departments whose reads of it were accepted."""

    @property
    def owed(self) -> tuple[str, ...]:
        """The holders that have not said that they have erased it."""
        done = {item.department for item in self.done}
        return tuple(name for name in self.holders if name not in done)


@dataclass(frozen=True, slots=True)
class StoredErasure:
    """An order to erase, and who has carried it out."""

    place: OperationPlace
    time_ms: int
    transaction_id: bytes
    department: str
    legal_basis: str
    records: tuple[ErasedRecord, ...]


@dataclass(frozen=True, slots=True)
class OpenErasure:
    """A record that some holder has not erased yet."""

    height: Height
    """Of the order."""
    department: str
    record: ErasedRecord


class AuditIndex:
    """One chain's, as its reader sees it. Every method may be called from any thread, and raises HuzhengError(STORE_CORRUPT).

    Lists are in the order in which things were executed, of what comes after a place if one is named; `since` is the first height that is
    wanted, `until` the first that is not.
    """

    __slots__ = ("_chain", "_genesis", "_reader")

    def __init__(self, genesis: Genesis, chain: ChainReader, reader: Reader) -> None:
        self._genesis = genesis
        self._chain = chain
        self._reader = reader

    # --- reads ---

    def reads(
        self, prefix: bytes, after: OperationPlace | None = None, since: int = 0, until: int | None = None
    ) -> Iterator[StoredRead]:
        """The reads under a prefix of `audit_layout`."""
        for key, value in self._listed(prefix, after, since, until):
            yield self._read(_decoded(audit_layout.place_at_end, key), *_decoded(audit_layout.decode_result, value))

    def _read(self, place: OperationPlace, code: int, index: int) -> StoredRead:
        transaction_id, department, operation = self._operation(place)
        asked = operation.read_fields
        read = read_id(self._genesis.suite, transaction_id, place.operation)
        state = self._state_of(read)
        if (state is not None) != (code == pb.RESULT_CODE_ACCEPTED):
            raise _corrupt(place.height)
        return StoredRead(
            id=read,
            place=place,
            time_ms=self.time_ms(place.height),
            transaction_id=transaction_id,
            reader=department,
            asked=asked,
            code=pb.ResultCode.ValueType(code),
            code_index=index,
            state=state,
            grant=self.grant(asked.grant),
        )

    def _state_of(self, read: bytes) -> sharing.ReadState | None:
        return _of_state(lambda: find_read(self._chain.state, read))

    def account(self, resource: str, subject: str) -> sharing.Reads:
        """How many reads of a subject there were, and the digest over them (G8)."""
        return _of_state(lambda: find_account(self._chain.state, resource, subject))

    def counts(self, reader: str, from_hour: int) -> dict[int, HourCount]:
        """How many reads a department asked for, by the hour of block time, from one on; hours without any are not there."""
        prefix = audit_layout.department_prefix(audit_layout.COUNTS, reader)
        start = audit_layout.counts_key(reader, max(0, from_hour))
        return {
            int.from_bytes(key[len(prefix) :], "big"): _decoded(audit_layout.decode_counts, value)
            for key, value in self._reader.scan(start, audit_layout.after(prefix))
        }

    def unacknowledged(self, since: int, until: int, limit: int) -> list[tuple[bytes, sharing.ReadState]]:
        """Reads accepted in these blocks (`until` exclusive) that are not acknowledged: ids and states, oldest first."""
        found = []
        for key, _ in islice(self._between(audit_layout.UNACKNOWLEDGED, since, until), limit):
            read = key[10:]
            state = self._state_of(read)
            if state is None:
                raise _corrupt(audit_layout.height_at_start(key))
            found.append((read, state))
        return found

    # --- grants ---

    def grant(self, grant: bytes) -> sharing.GrantState | None:
        """A grant by its id, or None."""
        return _of_state(lambda: read_grant(self._chain.state, grant))

    def grants(self, prefix: bytes, after: OperationPlace | None = None) -> Iterator[StoredGrant]:
        """The grants under a prefix of `audit_layout`, in the order in which they were applied for."""
        for key, grant in self._listed(prefix, after):
            place = _decoded(audit_layout.place_at_end, key)
            state = self.grant(grant)
            if state is None:
                raise _corrupt(place.height)
            yield StoredGrant(grant, place, state)

    # --- erasures ---

    def erasures(self, after: OperationPlace | None = None) -> Iterator[StoredErasure]:
        """All orders."""
        for key, _ in self._listed(audit_layout.ERASURE, after):
            place = _decoded(audit_layout.place_at_end, key)
            transaction_id, department, operation = self._operation(place)
            order = operation.order_erasure
            records = tuple(self.erased(department, record_id) for record_id in order.records)
            yield StoredErasure(
                place, self.time_ms(place.height), transaction_id, department, order.legal_basis, records
            )

    def erased(self, department: str, record_id: bytes) -> ErasedRecord:
        """What became of a record whose erasure this department has ordered."""
        state = _of_state(lambda: find_erasure(self._chain.state, department, record_id))
        done = () if state is None else tuple(state.done)
        return ErasedRecord(record_id, done, self.holders(record_id, department))

    def holders(self, record_id: bytes, owner: str) -> tuple[str, ...]:
        """The departments whose reads of a record were accepted, in ascending order."""
        prefix = audit_layout.hash_prefix(audit_layout.HOLDER, record_id)
        entries = self._reader.scan(prefix, audit_layout.after(prefix))
        return tuple(key[len(prefix) :].decode() for key, value in entries if value == owner.encode())

    def open_erasures(self, until: int, limit: int) -> list[OpenErasure]:
        """Records that some holder has not erased yet, ordered in blocks before this one, oldest first."""
        found = []
        for key, _ in islice(self._between(audit_layout.OPEN_ERASURE, 0, until), limit):
            department, record_id = _decoded(audit_layout.split_open_erasure, key)
            found.append(OpenErasure(audit_layout.height_at_start(key), department, self.erased(department, record_id)))
        return found

    # --- reliance and the newest records ---

    def relying(self, record_id: bytes, after: RecordPlace | None = None) -> Iterator[RecordPlace]:
        """Where the accepted records are that rely on a record."""
        start = None if after is None else OperationPlace(after.height, after.transaction, after.record)
        for key, _ in self._listed(audit_layout.hash_prefix(audit_layout.RELIANCE, record_id), start):
            yield _decoded(decode_record_place, key[-16:])

    def newest_write(self, resource: str) -> NewestWrite | None:
        """The block with the newest record of a resource, or where it was published; None for one of the genesis without records."""
        value = self._reader.get(audit_layout.newest_key(resource))
        return None if value is None else _decoded(audit_layout.decode_newest, value)

    # --- times ---

    @property
    def height(self) -> Height:
        """Of the newest block that is seen here: of a snapshot, exactly the one that its state is of."""
        raw = self._reader.get(TIP_KEY) or b""
        return Height(_of_state(lambda: strict.read(store_pb2.StoredTip, raw)).height)

    def time_ms(self, height: int) -> int:
        """A block's time."""
        return read_header(self._chain.header(Height(height))).time_ms

    def first_at(self, time_ms: int) -> Height:
        """The first block of this time or later; the height after the last one if there is none. Time never runs backwards (X2)."""
        low, high = 0, self._chain.tip.height + 1
        while low < high:
            middle = (low + high) // 2
            if self.time_ms(middle) < time_ms:
                low = middle + 1
            else:
                high = middle
        return Height(low)

    # --- within ---

    def _listed(
        self, prefix: bytes, after: OperationPlace | None, since: int = 0, until: int | None = None
    ) -> Iterator[Entry]:
        start = prefix + since.to_bytes(8, "big")
        if after is not None:
            start = max(start, prefix + after.encode() + b"\0")
        stop = audit_layout.after(prefix) if until is None else prefix + until.to_bytes(8, "big")
        return self._reader.scan(start, stop)

    def _between(self, kind: bytes, since: int, until: int) -> Iterator[Entry]:
        return self._reader.scan(kind + since.to_bytes(8, "big"), kind + until.to_bytes(8, "big"))

    def _operation(self, place: OperationPlace) -> tuple[bytes, str, pb.Operation]:
        """The id and department of a transaction, and one of its operations; checked as far as its id goes."""
        raw = self._chain.transaction(Place(place.height, place.transaction))
        try:
            body_raw = strict.read(pb.Transaction, raw).body
            body = strict.read(pb.TransactionBody, body_raw)
            operation = body.operations[place.operation]
        except (HuzhengError, IndexError):
            raise _corrupt(place.height) from None
        return self._chain.transaction_id_of(body_raw), body.department, operation


def _decoded(decode: Callable[[bytes], T], raw: bytes) -> T:
    try:
        return decode(raw)
    except (struct.error, ValueError):
        raise HuzhengError(Code.STORE_CORRUPT, "audit index") from None


def _of_state(read: Callable[[], T]) -> T:
    try:
        return read()
    except HuzhengError as error:
        if error.code is Code.NOT_STRICT:
            raise HuzhengError(Code.STORE_CORRUPT, f"state: {error.detail}") from None
        raise


def _corrupt(height: int) -> HuzhengError:
    return HuzhengError(Code.STORE_CORRUPT, f"audit index, block {height}")

"""Which records go into which transaction, and which version each of them is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from huzheng.v1 import transaction_pb2 as pb

from ledger.building import BuiltRecord, build_record, build_transaction, transaction_id
from ledger.catalogue import CompiledResource
from ledger.crypto import Domain, Signer
from ledger.errors import Code, HuzhengError
from node.catalogue import Catalogue
from node.cli.submission.journal import Entry, State
from node.cli.submission.reading import ASSERT, InputCheck, InputRecord, definition_for, subject_text

# What a record and its payload cost in a transaction besides their bytes, rounded up: two tags and two lengths.
_FRAME_BYTES = 16
# The body with its signature, rounded up.
_BODY_BYTES = 512
# So many records at fault are named before an input is given up.
FAULTS_NAMED = 10

About = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Head:
    """The newest version about a subject."""

    version: int
    record_id: bytes
    asserts: bool = True
    """Whether it can be relied on; it can be replaced in any case."""


@dataclass(frozen=True, slots=True)
class PlannedRecord:
    """A record ready to be signed for, and what becomes the current version with it."""

    position: int
    about: About
    head: Head
    built: BuiltRecord
    relies_on: tuple[About, ...] = ()


@dataclass(frozen=True, slots=True)
class Touched:
    """The subjects that records are about, and those of the records that they rely on."""

    written: frozenset[About]
    relied: frozenset[About]

    def order_matters(self, other: Touched) -> bool:
        """Whether what becomes of these records depends on whether others are executed before or after them."""
        return not (
            self.written.isdisjoint(other.written)
            and self.written.isdisjoint(other.relied)
            and self.relied.isdisjoint(other.written)
        )


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed transaction with what is known of its records."""

    entry: Entry
    records: tuple[PlannedRecord, ...]

    @property
    def touched(self) -> Touched:
        """What its records are about."""
        relied = frozenset(about for record in self.records for about in record.relies_on)
        return Touched(frozenset(record.about for record in self.records), relied)


class Planner:
    """Builds and signs transactions. Knows nothing of nodes: current versions are handed in."""

    def __init__(self, catalogue: Catalogue, department: str, signer: Signer, lifetime_ms: int) -> None:
        """`lifetime_ms`: from signing to expiry; at most half of what the network allows, as clocks may differ."""
        self._catalogue = catalogue
        self._genesis = genesis = catalogue.genesis
        self._department = department
        self._signer = signer
        self.lifetime_ms = min(lifetime_ms, genesis.parameters.max_lifetime_ms // 2)

    @property
    def department(self) -> str:
        """In whose name it signs."""
        return self._department

    def canonical(self, record: InputRecord) -> About:
        """Resource and subject as they are on chain."""
        return (record.resource, subject_text(self._definition(record), record))

    def _definition(self, record: InputRecord) -> CompiledResource:
        found = definition_for(self._catalogue, record)
        if found is None:
            raise HuzhengError(Code.UNKNOWN_RESOURCE, f"record {record.position}")
        return found

    def relied(self, record: InputRecord) -> dict[About, bytes | None]:
        """What a record relies on, as it is on chain, with the ids as far as the input states them."""
        found = {}
        for relied in record.relies_on:
            definition = self._catalogue.newest(relied.resource)
            if definition is None:
                raise HuzhengError(Code.UNKNOWN_RESOURCE, f"record {record.position}")
            found[definition.name, subject_text(definition, relied)] = relied.record_id
        return found

    def touched(self, records: Iterable[InputRecord]) -> Touched:
        """What records that are not built yet are about."""
        written: set[About] = set()
        relied: set[About] = set()
        for record in records:
            written.add(self.canonical(record))
            relied |= self.relied(record).keys()
        return Touched(frozenset(written), frozenset(relied))

    def build(self, record: InputRecord, heads: Mapping[About, Head | None]) -> PlannedRecord:
        """The record as the successor of its subject's head, relying on the heads of what the input names without an id.

        Raises:
            HuzhengError: VERSION_CONFLICT where the input names another version; NOTHING_TO_REVOKE; RELIED_NOT_CURRENT.
        """
        about = self.canonical(record)
        head = heads.get(about)
        version, replaces = (head.version + 1, head.record_id) if head else (1, b"")
        place = f"record {record.position}"
        if record.version not in (None, version) or record.replaces not in (None, replaces):
            raise HuzhengError(Code.VERSION_CONFLICT, f"{place}: the next version is {version}")
        if head is None and record.action != ASSERT:
            raise HuzhengError(Code.NOTHING_TO_REVOKE, place)
        fields = record.fields if record.action == ASSERT else None
        relied = self._reliance(record, heads)
        built = build_record(
            self._genesis,
            self._definition(record),
            about[1],
            version,
            replaces,
            fields,
            confidential=record.confidential,
            relies_on=relied,
        )
        relied_abouts = tuple((one.resource, one.subject) for one in relied)
        return PlannedRecord(
            record.position, about, Head(version, built.id, record.action == ASSERT), built, relied_abouts
        )

    def _reliance(self, record: InputRecord, heads: Mapping[About, Head | None]) -> list[pb.Reliance]:
        found = []
        for (resource, subject), record_id in self.relied(record).items():
            if record_id is None:
                head = heads.get((resource, subject))
                if head is None or not head.asserts:
                    detail = f"record {record.position}: nothing is in force in {resource} about {subject}"
                    raise HuzhengError(Code.RELIED_NOT_CURRENT, detail)
                record_id = head.record_id
            found.append(pb.Reliance(resource=resource, subject=subject, record_id=record_id))
        return found

    def fitting(self, records: Sequence[PlannedRecord]) -> int:
        """How many of the first records fit into one transaction; at least one."""
        limit = self._genesis.parameters.max_transaction_bytes - _BODY_BYTES
        for count, record in enumerate(records):
            limit -= len(record.built.raw) + len(record.built.payload) + _FRAME_BYTES
            if limit < 0:
                return max(count, 1)
        return len(records)

    def sign(self, inputs: Sequence[InputRecord], records: Sequence[PlannedRecord], now_ms: int) -> Signed:
        """One transaction with these records, which belong to these lines of the input."""
        expires_ms = now_ms + self.lifetime_ms
        built = [record.built for record in records]
        raw = build_transaction(self._genesis, self._signer, self._department, expires_ms, records=built)
        identifier = transaction_id(self._genesis, raw)
        entry = Entry(identifier, inputs[0].position, inputs[-1].position, digest_of(inputs), raw, expires_ms)
        return Signed(entry, tuple(records))

    def rebuilt(self, entry: Entry) -> Signed:
        """A transaction from the journal with what is known of its records, to be sent again as it is."""
        transaction = pb.Transaction.FromString(entry.transaction)
        records = []
        for offset, (raw, payload) in enumerate(zip(transaction.records, transaction.payloads, strict=True)):
            record = pb.Record.FromString(raw)
            built = BuiltRecord(self._genesis.suite.digest(Domain.RECORD, raw), raw, payload)
            head = head_of(record, built.id)
            relied = tuple((one.resource, one.subject) for one in record.relies_on)
            records.append(PlannedRecord(entry.first + offset, (record.resource, record.subject), head, built, relied))
        return Signed(entry, tuple(records))


@dataclass(frozen=True, slots=True)
class Survey:
    """What going through the whole input once has shown."""

    count: int
    # How many of them the journal has as accepted already.
    standing_accepted: int


def survey(records: Iterable[InputRecord], standing: Sequence[Entry], check: InputCheck) -> Survey:
    """Checks every record, and that the journal's are still those it was made for. Nothing has been sent before.

    Raises:
        HuzhengError: what `InputCheck.check` raises, for the first records it finds fault with; JOURNAL_MISMATCH.
    """
    count = covered = 0
    faults: list[HuzhengError] = []
    pending = list(standing)
    open_entry: list[InputRecord] = []
    for record in records:
        count += 1
        try:
            check.check(record)
        except HuzhengError as fault:
            faults.append(fault)
            if len(faults) == FAULTS_NAMED:
                break
        if faults:
            continue
        if pending and pending[0].first <= record.position <= pending[0].last:
            covered += pending[0].state is State.ACCEPTED
            open_entry.append(record)
            if record.position == pending[0].last:
                _same_input(pending.pop(0), open_entry)
                open_entry = []
    if faults:
        raise _all_in_one(faults)
    if pending:
        raise HuzhengError(Code.JOURNAL_MISMATCH, f"record {pending[0].first} has changed or is gone")
    if not count:
        raise HuzhengError(Code.BAD_FILE, "there is no record in it")
    return Survey(count, covered)


def _all_in_one(faults: Sequence[HuzhengError]) -> HuzhengError:
    """The first fault, naming the others too, so that an input is not corrected one record at a time."""
    if len(faults) == 1:
        return faults[0]
    lines = [f"{fault.code}, {fault.detail}" for fault in faults]
    if len(faults) == FAULTS_NAMED:
        lines.append("the records after these have not been checked")
    return HuzhengError(faults[0].code, "\n".join(["", *lines]))


def groups(
    records: Iterable[InputRecord], settled: Sequence[tuple[int, int]], size: int
) -> Iterator[list[InputRecord]]:
    """The records outside the ranges of positions that are settled, in groups of neighbours of at most `size`."""
    done = list(settled)
    group: list[InputRecord] = []
    for record in records:
        while done and done[0][1] < record.position:
            done.pop(0)
        is_done = bool(done) and done[0][0] <= record.position
        if group and (is_done or len(group) >= size):
            yield group
            group = []
        if not is_done:
            group.append(record)
    if group:
        yield group


def digest_of(records: Sequence[InputRecord]) -> bytes:
    """What the journal remembers of the lines of a transaction."""
    return hashlib.sha256(b"".join(record.digest for record in records)).digest()


def head_of(record: pb.Record, record_id: bytes) -> Head:
    """What a record is as the newest about its subject."""
    return Head(record.version, record_id, record.action == pb.RECORD_ACTION_ASSERT)


def settled_heads(records: Iterable[PlannedRecord]) -> Mapping[About, Head]:
    """The current versions once these records are accepted."""
    return {record.about: record.head for record in records}


def _same_input(entry: Entry, records: Sequence[InputRecord]) -> None:
    if digest_of(records) != entry.digest:
        raise HuzhengError(Code.JOURNAL_MISMATCH, f"records {entry.first} to {entry.last} are not what was signed")

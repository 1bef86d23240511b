"""Statements: what is the newest about a subject, what else is in the state, and what there is not, as of one block (docs/protocol.md section 12).

Verified with the genesis, and how the membership changed since if it did. Needs no node, no network, no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Any

from huzheng.v1 import state_pb2, statement_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.anchor import check_against
from ledger.crypto import HASH_BYTES, Domain, Suite, strict
from ledger.epoch_proof import MAX_EPOCHS_BYTES, check_sizes, epoch_among, require_last, require_not_over, verify_epochs
from ledger.epochs import EpochTerms
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.proven_record import ProvenRecord, read_proven, record_id
from ledger.registers import GROUP_SLOTS, PAGE_SLOTS
from ledger.sealed_block import BlockVerdict, SealedBlock, verify_sealed
from ledger.state import leaf_path
from ledger.state.heads import BLIND_BYTES, group_hashes, page_key, slot_hash
from ledger.state.proof import root_from_proof
from ledger.stated_entries import Entries, Page, StatedCatalogue, check_accounts, verify_entries

STATEMENT_OVERHEAD_BYTES = 64 * 1024
"""More than all of a statement besides the records in it."""
MAX_LEAVES = 32
"""Subjects, registers and pages of one statement."""

_ACTIONS = (pb.RECORD_ACTION_ASSERT, pb.RECORD_ACTION_REVOKE)


@dataclass(frozen=True, slots=True, order=True)
class Question:
    """What is the newest about a subject in a resource?"""

    resource: str
    subject: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement says to one question."""

    question: Question
    version: int
    """0 if there never was one."""
    record_id: bytes
    """Of that version; empty if there never was one."""
    is_in_force: bool
    """Whether that version asserts: otherwise there was one, and it has been revoked, or there never was one."""
    record: ProvenRecord | None = None
    """What that version says, if the statement shows it."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON: hashes in hex."""
        return {
            "resource": self.question.resource,
            "subject": self.question.subject,
            "version": self.version,
            "record_id": self.record_id.hex(),
            "in_force": self.is_in_force,
            "record": None if self.record is None else self.record.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class StatementVerdict(BlockVerdict):
    """What a valid statement proves was so after its block, at its time. Only `verify_statement` makes one."""

    answers: Mapping[Question, Answer]
    entries: Entries
    """What keys of the state have; None: they are not there."""

    def check_age(self, now_ms: int, max_age_ms: int) -> None:
        """Raises HuzhengError(STALE) unless the block is at most so old; one ahead of the reader's clock is not old."""
        age_ms = now_ms - self.time_ms
        if age_ms > max_age_ms:
            raise HuzhengError(Code.STALE, f"{age_ms // 1000} s old, at most {max_age_ms // 1000} s asked for")

    def to_dict(self) -> dict[str, Any]:
        """For JSON: hashes in hex, the time in ISO 8601."""
        answers = [answer.to_dict() for _, answer in sorted(self.answers.items())]
        entries = [{"key": key.hex(), "value": value and value.hex()} for key, value in self.entries.items()]
        return {"valid": True, **super(StatementVerdict, self).to_dict(), "answers": answers, "entries": entries}


def max_statement_bytes(genesis: Genesis) -> int:
    """Of a statement without its proofs of epochs (Q1)."""
    return genesis.parameters.max_transaction_bytes + STATEMENT_OVERHEAD_BYTES


def verify_bundle(raw: bytes, genesis: Genesis) -> tuple[EpochTerms, ...]:
    """The epochs that an `EpochBundle` proves, from the first on (R8); none but that for an empty one.

    Raises:
        HuzhengError: TOO_LARGE, and as `verify_epochs`.
    """
    if len(raw) > MAX_EPOCHS_BYTES:
        raise HuzhengError(Code.TOO_LARGE, "epochs")
    return verify_epochs(genesis, strict.read(statement_pb2.EpochBundle, raw).epochs)


def verify_statement(
    raw: bytes,
    genesis: Genesis,
    epochs: Iterable[EpochTerms] = (),
    anchor: SealedBlock | None = None,
    history: bytes = b"",
) -> StatementVerdict:
    """What the statement proves, trusting the genesis alone (Q1 to Q8), and, if one is given, that it is of the anchor's chain.

    `epochs`: those that are known besides the first, from `verify_bundle` or `verify_epochs`; not needed where the
    statement has its own, or is of the anchor's epoch. `history`: the `HistoryProof` that links its block with the anchor.

    Raises:
        HuzhengError: with the reason why it proves nothing: TOO_LARGE, NOT_STRICT, WRONG_CHAIN, PROTOCOL_UNKNOWN,
            EPOCH_UNKNOWN, BAD_CERTIFICATE, BAD_PROOF, BAD_SUBJECT, UNKNOWN_FIELD, MALFORMED_TRANSACTION; FORKED.
    """
    statement = _read(raw, genesis)
    known = () if anchor is None else (anchor.terms,)
    own, apart = verify_epochs(genesis, statement.epochs), tuple(epochs)
    proved_by, terms = _epoch_of(statement.header, own, apart, known)
    require_last(own, terms)
    require_not_over(apart, statement.header)
    block = verify_sealed(genesis, terms, statement.header, statement.certificate)
    _check_order(statement)
    entries = verify_entries(genesis.suite, block.header.state_root, statement.entries)
    catalogue = StatedCatalogue(genesis, entries)
    check_accounts(catalogue, entries)
    answers: dict[Question, Answer] = {}
    for leaf in statement.leaves:
        found = _verify_leaf(genesis.suite, catalogue, block.header.state_root, leaf)
        answers.update((answer.question, answer) for answer in found)
    _add_records(genesis, catalogue, answers, statement.records)
    if anchor is not None:
        check_against(genesis, anchor, block, history, proved_by)
    return StatementVerdict(block, anchor, answers, entries)


def _epoch_of(header: bytes, *known: tuple[EpochTerms, ...]) -> tuple[tuple[EpochTerms, ...], EpochTerms]:
    """Of epochs that are known in several ways, the first that have a header's among them, and that one."""
    terms = epoch_among(chain.from_iterable(known), header)
    return next(epochs for epochs in known if terms in epochs), terms


def _read(raw: bytes, genesis: Genesis) -> statement_pb2.Statement:
    """Q1; the proofs of epochs have a limit of their own (R8)."""
    limit = max_statement_bytes(genesis)
    if len(raw) > limit + MAX_EPOCHS_BYTES:
        raise HuzhengError(Code.TOO_LARGE, "statement")
    statement = strict.read(statement_pb2.Statement, raw)
    check_sizes("statement", len(raw), statement.epochs, limit)
    return statement


def _add_records(
    genesis: Genesis,
    catalogue: StatedCatalogue,
    answers: dict[Question, Answer],
    stated: Sequence[statement_pb2.StatedRecord],
) -> None:
    """Q6."""
    named = {answer.record_id: answer for answer in answers.values() if answer.version}
    previous = b""
    for item in stated:
        identifier = record_id(genesis, item.record)
        if identifier <= previous:
            raise HuzhengError(Code.BAD_PROOF, "records that are not in order")
        previous = identifier
        answer = named.get(identifier)
        if answer is None:
            raise HuzhengError(Code.BAD_PROOF, "a record that no head names")
        record = read_proven(genesis, item.record, item.payload, accepted=True, versions=catalogue.version)
        if _about(record) != (answer.question, answer.version, not answer.is_in_force):
            raise HuzhengError(Code.BAD_PROOF, "a record that is not what its head says")
        answers[answer.question] = replace(answer, record=record)


def _about(record: ProvenRecord) -> tuple[Question, int, bool]:
    return Question(record.resource, record.subject), record.version, record.revokes


def _check_order(statement: statement_pb2.Statement) -> None:
    places = [(leaf.register, leaf.subject, leaf.page) for leaf in statement.leaves]
    if len(places) > MAX_LEAVES:
        raise HuzhengError(Code.BAD_PROOF, f"more than {MAX_LEAVES} leaves")
    if not places and not statement.entries:
        raise HuzhengError(Code.BAD_PROOF, "neither leaves nor entries")
    if any(before >= after for before, after in pairwise(places)):
        raise HuzhengError(Code.BAD_PROOF, "leaves that are not in order")


def _verify_leaf(
    suite: Suite, catalogue: StatedCatalogue, root: bytes, leaf: statement_pb2.LeafProof
) -> Iterator[Answer]:
    """Q2 to Q4."""
    page = _page(catalogue, leaf)
    groups = [_verify_group(suite, group) for group in leaf.groups]
    digest = suite.digest(Domain.STATE_HEADS, *(group.hash for group in groups)) if groups else None
    path = leaf_path(suite, page_key(leaf.register, leaf.subject, leaf.page))
    if root_from_proof(suite, path, digest, leaf.path) != root:
        raise HuzhengError(Code.BAD_PROOF, "a path that does not lead to the block's state root")
    about = {number: name for number, name in page.resources.items() if _fits(catalogue, name, leaf.subject)}
    # That there is nothing about what only looks like a subject must not be taken for that there is nothing about the subject.
    if not about:
        raise HuzhengError(Code.BAD_SUBJECT, "what no record can be about")
    for number, resource in about.items():
        # A leaf that was written when its page had fewer resources holds nothing of those that came later.
        if number >= GROUP_SLOTS * len(groups):
            yield Answer(Question(resource, leaf.subject), 0, b"", is_in_force=False)
    for index, group in enumerate(groups):
        for offset, head in group.open.items():
            resource = _resource_of(page, about, index * GROUP_SLOTS + offset)
            yield _answer(Question(resource, leaf.subject), head)


def _resource_of(page: Page, about: Mapping[int, str], number: int) -> str:
    """That of a slot which is shown (Q3)."""
    if number not in page.resources:
        raise HuzhengError(Code.BAD_PROOF, "a slot of a resource that neither the genesis nor the entries name")
    if number not in about:
        raise HuzhengError(Code.BAD_SUBJECT, "a slot of a resource that the subject does not fit")
    return about[number]


def _fits(catalogue: StatedCatalogue, resource: str, subject: str) -> bool:
    specification = catalogue.subject(resource)
    return specification is not None and specification.fits(subject)


def _page(catalogue: StatedCatalogue, leaf: statement_pb2.LeafProof) -> Page:
    """The leaf's. It has as many groups as the page had when the leaf was written: perhaps fewer than now."""
    page = catalogue.page(leaf.register, leaf.page)
    if page is None:
        raise HuzhengError(Code.BAD_PROOF, "a page of which neither the genesis nor the entries name a resource")
    if leaf.groups and not page.least_groups <= len(leaf.groups) <= PAGE_SLOTS // GROUP_SLOTS:
        raise HuzhengError(Code.BAD_PROOF, "a leaf with another width than its page can have")
    return page


@dataclass(frozen=True, slots=True)
class _Group:
    hash: bytes
    open: Mapping[int, bytes | None]
    """The heads of those slots that are shown, by their place in the group; None where there is none."""


def _verify_group(suite: Suite, group: statement_pb2.GroupProof) -> _Group:
    if group.hash:
        if len(group.hash) != HASH_BYTES or group.slots:
            raise HuzhengError(Code.BAD_PROOF, "a group that is both hidden and shown")
        return _Group(group.hash, {})
    if len(group.slots) != GROUP_SLOTS:
        raise HuzhengError(Code.BAD_PROOF, f"a group that has not {GROUP_SLOTS} slots")
    hashes, shown = [], dict[int, bytes | None]()
    for number, slot in enumerate(group.slots):
        if slot.hash:
            if len(slot.hash) != HASH_BYTES or slot.blind or slot.head:
                raise HuzhengError(Code.BAD_PROOF, "a slot that is both hidden and shown")
            hashes.append(slot.hash)
            continue
        if len(slot.blind) != BLIND_BYTES:
            raise HuzhengError(Code.BAD_PROOF, "a slot without blind")
        shown[number] = slot.head or None
        hashes.append(slot_hash(suite, slot.blind, shown[number]))
    return _Group(group_hashes(suite, hashes)[0], shown)


def _answer(question: Question, raw: bytes | None) -> Answer:
    if raw is None:
        return Answer(question, 0, b"", is_in_force=False)
    head = strict.read(state_pb2.Head, raw)
    if head.version < 1 or len(head.record_id) != HASH_BYTES or head.action not in _ACTIONS:
        raise HuzhengError(Code.BAD_PROOF, "a head that no block makes")
    return Answer(question, head.version, head.record_id, is_in_force=head.action == pb.RECORD_ACTION_ASSERT)

"""Statements: what is the newest about a subject, and what there is not, as of one block (docs/protocol.md section 12).

Verified with the genesis, and how the membership changed since if it did. Needs no node, no network, no database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from huzheng.v1 import block_pb2, state_pb2, statement_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.crypto import HASH_BYTES, Domain, Height, Membership, Suite, strict
from ledger.epoch_proof import MAX_EPOCHS_BYTES, verify_epochs, verify_header
from ledger.epochs import EpochTerms
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.registers import GROUP_SLOTS, Slot
from ledger.state import leaf_path
from ledger.state.heads import (
    BLIND_BYTES,
    blinds,
    group_hashes,
    heads_digest,
    heads_key,
    page_key,
    slot_hash,
    slot_hashes,
)
from ledger.state.proof import Walk, root_from_proof

MAX_STATEMENT_BYTES = 64 * 1024
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


@dataclass(frozen=True, slots=True)
class StatementVerdict:
    """What a valid statement proves. Only `verify_statement` makes one."""

    chain_id: bytes
    """The anchor: the genesis that was trusted."""
    height: Height
    block_hash: bytes
    time_ms: int
    """Of the block: what the statement says was so then."""
    membership: Membership
    sealed_by: tuple[int, ...]
    answers: Mapping[Question, Answer]


# --- making ---


@dataclass(frozen=True, slots=True)
class Source:
    """A state and its tree after one block."""

    header: bytes
    certificate: bytes
    heads: Callable[[bytes], state_pb2.Heads | None]
    """By key of the state."""
    walk: Callable[[bytes], Walk]
    """By path in the tree."""


def build_statement(genesis: Genesis, source: Source, questions: Iterable[Question]) -> bytes:
    """The statement that answers these questions and shows nothing else.

    Raises:
        HuzhengError: UNKNOWN_RESOURCE; TOO_LARGE if there are too many; STORE_CORRUPT if what the source has is not what the header says.
    """
    root = strict.read(block_pb2.BlockHeader, source.header).state_root
    leaves = [
        _build_leaf(genesis.suite, source, root, slot, subject, numbers)
        for slot, subject, numbers in _by_leaf(genesis, questions)
    ]
    if len(leaves) > MAX_LEAVES:
        raise HuzhengError(Code.TOO_LARGE, f"{len(leaves)} subjects and registers, at most {MAX_LEAVES}")
    statement = statement_pb2.Statement(header=source.header, certificate=source.certificate, leaves=leaves)
    return strict.write(statement)


def _by_leaf(genesis: Genesis, questions: Iterable[Question]) -> Iterator[tuple[Slot, str, set[int]]]:
    asked: dict[tuple[str, str, int], list[Slot]] = {}
    for question in questions:
        slot = genesis.slots.get(question.resource)
        if slot is None:
            raise HuzhengError(Code.UNKNOWN_RESOURCE)
        asked.setdefault((slot.register, question.subject, slot.page), []).append(slot)
    for (_, subject, _), slots in sorted(asked.items(), key=lambda item: item[0]):
        yield slots[0], subject, {slot.number for slot in slots}


def _build_leaf(
    suite: Suite, source: Source, root: bytes, slot: Slot, subject: str, numbers: set[int]
) -> statement_pb2.LeafProof:
    key = heads_key(slot, subject)
    path = leaf_path(suite, key)
    heads = source.heads(key)
    groups = [] if heads is None else _build_groups(suite, heads, numbers)
    digest = None if heads is None else heads_digest(suite, heads)
    proof = source.walk(path).to_proof(path)
    if not _leads_to(suite, root, path, digest, proof):
        raise HuzhengError(Code.STORE_CORRUPT, "state tree, a proof")
    return statement_pb2.LeafProof(register=slot.register, subject=subject, page=slot.page, path=proof, groups=groups)


def _leads_to(suite: Suite, root: bytes, path: bytes, digest: bytes | None, proof: state_pb2.StateProof) -> bool:
    try:
        return root_from_proof(suite, path, digest, proof) == root
    except HuzhengError:
        return False


def _build_groups(suite: Suite, heads: state_pb2.Heads, numbers: set[int]) -> list[statement_pb2.GroupProof]:
    held = {item.slot: item.head for item in heads.heads}
    hashes, hiding = slot_hashes(suite, heads), list(blinds(suite, heads))
    groups = []
    for index, group in enumerate(group_hashes(suite, hashes)):
        members = range(index * GROUP_SLOTS, (index + 1) * GROUP_SLOTS)
        if numbers.isdisjoint(members):
            groups.append(statement_pb2.GroupProof(hash=group))
            continue
        slots = [
            statement_pb2.SlotProof(blind=hiding[number], head=held.get(number, b""))
            if number in numbers
            else statement_pb2.SlotProof(hash=hashes[number])
            for number in members
        ]
        groups.append(statement_pb2.GroupProof(slots=slots))
    return groups


# --- verifying ---


def verify_bundle(raw: bytes, genesis: Genesis) -> tuple[EpochTerms, ...]:
    """The epochs that an `EpochBundle` proves, from the first on (R8); none but that for an empty one.

    Raises:
        HuzhengError: TOO_LARGE, and as `verify_epochs`.
    """
    if len(raw) > MAX_EPOCHS_BYTES:
        raise HuzhengError(Code.TOO_LARGE, "epochs")
    return verify_epochs(genesis, strict.read(statement_pb2.EpochBundle, raw).epochs)


def verify_statement(raw: bytes, genesis: Genesis, epochs: Sequence[EpochTerms] = ()) -> StatementVerdict:
    """What the statement proves, trusting the genesis alone (Q1 to Q5). `epochs`: from `verify_bundle`.

    Raises:
        HuzhengError: with the reason why it proves nothing: TOO_LARGE, NOT_STRICT, WRONG_CHAIN, PROTOCOL_UNKNOWN,
            EPOCH_UNKNOWN, BAD_CERTIFICATE, BAD_PROOF.
    """
    if len(raw) > MAX_STATEMENT_BYTES:
        raise HuzhengError(Code.TOO_LARGE, "statement")
    statement = strict.read(statement_pb2.Statement, raw)
    terms = _epoch_of(statement.header, epochs or verify_epochs(genesis, ()))
    header, block_hash = verify_header(genesis, terms, statement.header, statement.certificate)
    answers: dict[Question, Answer] = {}
    _check_order(statement.leaves)
    for leaf in statement.leaves:
        answers.update((answer.question, answer) for answer in _verify_leaf(genesis, header.state_root, leaf))
    certificate = strict.read(block_pb2.Certificate, statement.certificate)
    return StatementVerdict(
        chain_id=genesis.chain_id,
        height=Height(header.height),
        block_hash=block_hash,
        time_ms=header.time_ms,
        membership=terms.membership,
        sealed_by=tuple(seal.replica for seal in certificate.seals),
        answers=answers,
    )


def _epoch_of(header: bytes, epochs: Sequence[EpochTerms]) -> EpochTerms:
    epoch = strict.read(block_pb2.BlockHeader, header).epoch
    if epoch >= len(epochs):
        raise HuzhengError(Code.EPOCH_UNKNOWN, f"epoch {epoch}")
    return epochs[epoch]


def _check_order(leaves: Sequence[statement_pb2.LeafProof]) -> None:
    places = [(leaf.register, leaf.subject, leaf.page) for leaf in leaves]
    if not 1 <= len(places) <= MAX_LEAVES:
        raise HuzhengError(Code.BAD_PROOF, f"not 1 to {MAX_LEAVES} leaves")
    if any(before >= after for before, after in pairwise(places)):
        raise HuzhengError(Code.BAD_PROOF, "leaves that are not in order")


def _verify_leaf(genesis: Genesis, root: bytes, leaf: statement_pb2.LeafProof) -> Iterator[Answer]:
    """Q2 to Q4."""
    suite = genesis.suite
    resources = _resources(genesis, leaf)
    groups = [_verify_group(suite, group) for group in leaf.groups]
    digest = suite.digest(Domain.STATE_HEADS, *(group.hash for group in groups)) if groups else None
    path = leaf_path(suite, page_key(leaf.register, leaf.subject, leaf.page))
    if root_from_proof(suite, path, digest, leaf.path) != root:
        raise HuzhengError(Code.BAD_PROOF, "a path that does not lead to the block's state root")
    if not groups:
        for resource in resources.values():
            yield Answer(Question(resource, leaf.subject), 0, b"", is_in_force=False)
    for index, group in enumerate(groups):
        for offset, head in group.open.items():
            number = index * GROUP_SLOTS + offset
            if number not in resources:
                raise HuzhengError(Code.BAD_PROOF, "a slot that no resource has")
            yield _answer(Question(resources[number], leaf.subject), head)


def _resources(genesis: Genesis, leaf: statement_pb2.LeafProof) -> dict[int, str]:
    """By slot, those of the leaf's page. Its width must be theirs."""
    of_page = {
        name: slot for name, slot in genesis.slots.items() if (slot.register, slot.page) == (leaf.register, leaf.page)
    }
    widths = {slot.width for slot in of_page.values()}
    if not of_page or (leaf.groups and widths != {GROUP_SLOTS * len(leaf.groups)}):
        raise HuzhengError(Code.BAD_PROOF, "a register that the genesis does not have")
    return {slot.number: name for name, slot in of_page.items()}


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

"""Making statements: what is the newest about subjects, and what there is not, as of one block (docs/protocol.md section 12)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from huzheng.v1 import block_pb2, state_pb2, statement_pb2

from ledger.crypto import Suite, strict
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.registers import GROUP_SLOTS, Slot
from ledger.state import leaf_path
from ledger.state.heads import blinds, group_hashes, heads_digest, heads_key, slot_hashes
from ledger.state.proof import Walk, root_from_proof
from ledger.statement import MAX_LEAVES, Question, max_statement_bytes


@dataclass(frozen=True, slots=True)
class Source:
    """A state and its tree after one block."""

    header: bytes
    certificate: bytes
    heads: Callable[[bytes], state_pb2.Heads | None]
    """By key of the state."""
    walk: Callable[[bytes], Walk]
    """By path in the tree."""
    contents: Callable[[bytes], tuple[bytes, bytes]] | None = None
    """A record and its payload, by record id, if they are to be in the statement."""


def build_statement(genesis: Genesis, source: Source, questions: Iterable[Question]) -> bytes:
    """The statement that answers these questions and shows nothing else; without proofs of epochs.

    Raises:
        HuzhengError: UNKNOWN_RESOURCE; TOO_LARGE if there are too many; STORE_CORRUPT if what the source has is not what the header says.
    """
    root = strict.read(block_pb2.BlockHeader, source.header).state_root
    asked = list(_by_leaf(genesis, questions))
    if len(asked) > MAX_LEAVES:
        raise HuzhengError(Code.TOO_LARGE, f"{len(asked)} subjects and registers, at most {MAX_LEAVES}")
    builder = _Builder(genesis.suite, source, root)
    leaves = [builder.leaf(slot, subject, numbers) for slot, subject, numbers in asked]
    statement = statement_pb2.Statement(
        header=source.header, certificate=source.certificate, leaves=leaves, records=builder.records()
    )
    raw = strict.write(statement)
    if len(raw) > max_statement_bytes(genesis):
        raise HuzhengError(Code.TOO_LARGE, "statement")
    return raw


def _by_leaf(genesis: Genesis, questions: Iterable[Question]) -> Iterator[tuple[Slot, str, set[int]]]:
    asked: dict[tuple[str, str, int], list[Slot]] = {}
    for question in questions:
        slot = genesis.slots.get(question.resource)
        if slot is None:
            raise HuzhengError(Code.UNKNOWN_RESOURCE)
        asked.setdefault((slot.register, question.subject, slot.page), []).append(slot)
    for (_, subject, _), slots in sorted(asked.items(), key=lambda item: item[0]):
        yield slots[0], subject, {slot.number for slot in slots}


class _Builder:
    """Of the leaves of one statement, and of the records that their heads name."""

    def __init__(self, suite: Suite, source: Source, root: bytes) -> None:
        self._suite = suite
        self._source = source
        self._root = root
        self._named: set[bytes] = set()

    def records(self) -> list[statement_pb2.StatedRecord]:
        """The contents of those that were named, if they are wanted."""
        if self._source.contents is None:
            return []
        found = [self._source.contents(record_id) for record_id in sorted(self._named)]
        return [statement_pb2.StatedRecord(record=record, payload=payload) for record, payload in found]

    def leaf(self, slot: Slot, subject: str, numbers: set[int]) -> statement_pb2.LeafProof:
        key = heads_key(slot, subject)
        path = leaf_path(self._suite, key)
        heads = self._source.heads(key)
        groups = [] if heads is None else self._groups(heads, numbers)
        digest = None if heads is None else heads_digest(self._suite, heads)
        proof = self._source.walk(path).to_proof(path)
        if not _leads_to(self._suite, self._root, path, digest, proof):
            raise HuzhengError(Code.STORE_CORRUPT, "state tree, a proof")
        return statement_pb2.LeafProof(
            register=slot.register, subject=subject, page=slot.page, path=proof, groups=groups
        )

    def _groups(self, heads: state_pb2.Heads, numbers: set[int]) -> list[statement_pb2.GroupProof]:
        held = {item.slot: item.head for item in heads.heads}
        hashes, hiding = slot_hashes(self._suite, heads), list(blinds(self._suite, heads))
        groups = []
        for index, group in enumerate(group_hashes(self._suite, hashes)):
            members = range(index * GROUP_SLOTS, (index + 1) * GROUP_SLOTS)
            if numbers.isdisjoint(members):
                groups.append(statement_pb2.GroupProof(hash=group))
                continue
            slots = [
                self._open(hiding[number], held.get(number, b""))
                if number in numbers
                else statement_pb2.SlotProof(hash=hashes[number])
                for number in members
            ]
            groups.append(statement_pb2.GroupProof(slots=slots))
        return groups

    def _open(self, blind: bytes, head: bytes) -> statement_pb2.SlotProof:
        if head:
            self._named.add(strict.read(state_pb2.Head, head).record_id)
        return statement_pb2.SlotProof(blind=blind, head=head)


def _leads_to(suite: Suite, root: bytes, path: bytes, digest: bytes | None, proof: state_pb2.StateProof) -> bool:
    try:
        return root_from_proof(suite, path, digest, proof) == root
    except HuzhengError:
        return False

"""Making statements: what is the newest about subjects, what else is in the state, and what there is not, as of one block (docs/protocol.md section 12)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from huzheng.v1 import block_pb2, state_pb2, statement_pb2, transaction_pb2

from ledger.crypto import Suite, strict
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.published import Published, resource_key, version_key
from ledger.registers import GROUP_SLOTS, Slot
from ledger.sharing.reading import ACCOUNT_PREFIX
from ledger.state import StateReader, leaf_digest, leaf_path
from ledger.state.heads import blinds, group_hashes, groups_digest, heads_key, slot_hashes
from ledger.state.proof import Walk, root_from_proof
from ledger.stated_entries import MAX_ENTRIES, is_provable
from ledger.statement import MAX_LEAVES, Question, max_statement_bytes


@dataclass(frozen=True, slots=True)
class Source:
    """A state and its tree after one block."""

    header: bytes
    certificate: bytes
    state: StateReader
    walk: Callable[[bytes], Walk]
    """By path in the tree."""
    contents: Callable[[bytes], tuple[bytes, bytes]] | None = None
    """A record and its payload, by record id, if they are to be in the statement."""


def build_statement(
    genesis: Genesis, source: Source, questions: Iterable[Question], keys: Iterable[bytes] = ()
) -> bytes:
    """The statement that answers these questions and says what these keys have; without proofs of epochs.

    It shows nothing else but those entries of the catalogue that a verifier needs besides the genesis to understand it.

    Raises:
        HuzhengError: UNKNOWN_RESOURCE; TOO_LARGE if there are too many; INVALID_REQUEST if a key is that of heads or a seen id;
            STORE_CORRUPT if what the source has is not what the header says.
    """
    root = strict.read(block_pb2.BlockHeader, source.header).state_root
    needed = _Needed(genesis, Published(genesis, source.state), keys)
    asked = list(_by_leaf(needed, questions))
    if len(asked) > MAX_LEAVES:
        raise HuzhengError(Code.TOO_LARGE, f"{len(asked)} subjects and registers, at most {MAX_LEAVES}")
    builder = _Builder(genesis.suite, source, root)
    leaves = [builder.leaf(slot, subject, numbers) for slot, subject, numbers in asked]
    records = builder.records()
    needed.for_records(records)
    if len(needed.keys) > MAX_ENTRIES:
        raise HuzhengError(Code.TOO_LARGE, f"{len(needed.keys)} entries, at most {MAX_ENTRIES}")
    statement = statement_pb2.Statement(
        header=source.header,
        certificate=source.certificate,
        leaves=leaves,
        records=records,
        entries=[builder.entry(key) for key in sorted(needed.keys)],
    )
    raw = strict.write(statement)
    if len(raw) > max_statement_bytes(genesis):
        raise HuzhengError(Code.TOO_LARGE, "statement")
    return raw


class _Needed:
    """The keys of the entries of a statement: those asked for, and those of the catalogue without which it is not understood."""

    def __init__(self, genesis: Genesis, published: Published, keys: Iterable[bytes]) -> None:
        self._genesis = genesis
        self._published = published
        self.keys = set(keys)
        if not all(map(is_provable, self.keys)):
            raise HuzhengError(Code.INVALID_REQUEST, "entries: a key of heads or of a seen id")
        for key in sorted(self.keys):
            if key.startswith(ACCOUNT_PREFIX):
                self._for_account(key)

    def _for_account(self, key: bytes) -> None:
        name = key[len(ACCOUNT_PREFIX) :].partition(b"\0")[0].decode(errors="replace")
        if self._published.find(name) is not None:
            self.slot(name)

    def slot(self, resource: str) -> Slot:
        """Where a resource's heads are. Raises UNKNOWN_RESOURCE."""
        slot, state = self._published.slot(resource), self._published.find(resource)
        if slot is None or state is None:
            raise HuzhengError(Code.UNKNOWN_RESOURCE)
        if resource not in self._genesis.catalogue:
            self.keys |= {resource_key(resource), version_key(resource, state.newest_version)}
        return slot

    def for_records(self, stated: Iterable[statement_pb2.StatedRecord]) -> None:
        """Schema versions of what is asserted."""
        for item in stated:
            record = strict.read(transaction_pb2.Record, item.record)
            revokes = record.action == transaction_pb2.RECORD_ACTION_REVOKE
            if not revokes and self._genesis.version(record.resource, record.schema_version) is None:
                self.keys.add(version_key(record.resource, record.schema_version))


def _by_leaf(needed: _Needed, questions: Iterable[Question]) -> Iterator[tuple[Slot, str, set[int]]]:
    asked: dict[tuple[str, str, int], list[Slot]] = {}
    for question in questions:
        slot = needed.slot(question.resource)
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
        raw = self._source.state.get(key)
        heads = None if raw is None else strict.read(state_pb2.Heads, raw)
        digest, groups = (None, []) if heads is None else self._opened(heads, numbers)
        proof = self._proof(path, digest)
        return statement_pb2.LeafProof(
            register=slot.register, subject=subject, page=slot.page, path=proof, groups=groups
        )

    def entry(self, key: bytes) -> statement_pb2.EntryProof:
        """What a key has."""
        value = self._source.state.get(key)
        proof = self._proof(leaf_path(self._suite, key), leaf_digest(self._suite, key, value))
        return statement_pb2.EntryProof(key=key, value=value or b"", path=proof)

    def _proof(self, path: bytes, digest: bytes | None) -> state_pb2.StateProof:
        proof = self._source.walk(path).to_proof(path)
        if not _leads_to(self._suite, self._root, path, digest, proof):
            raise HuzhengError(Code.STORE_CORRUPT, "state tree, a proof")
        return proof

    def _opened(self, heads: state_pb2.Heads, numbers: set[int]) -> tuple[bytes, list[statement_pb2.GroupProof]]:
        """The digest of a leaf, and its groups with these slots open."""
        held = {item.slot: item.head for item in heads.heads}
        hiding = list(blinds(self._suite, heads))
        hashes = slot_hashes(self._suite, heads, hiding)
        closed = group_hashes(self._suite, hashes)
        groups = []
        for index, group in enumerate(closed):
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
        return groups_digest(self._suite, closed), groups

    def _open(self, blind: bytes, head: bytes) -> statement_pb2.SlotProof:
        if head:
            self._named.add(strict.read(state_pb2.Head, head).record_id)
        return statement_pb2.SlotProof(blind=blind, head=head)


def _leads_to(suite: Suite, root: bytes, path: bytes, digest: bytes | None, proof: state_pb2.StateProof) -> bool:
    try:
        return root_from_proof(suite, path, digest, proof) == root
    except HuzhengError:
        return False

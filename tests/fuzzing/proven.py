"""What the sound vectors prove, piece by piece: whatever else is found valid is a forgery, or a second encoding of the same.

Pieces that are proved each by itself may be put together otherwise by anybody, and hidden by whoever sees them (docs/protocol.md sections 9
and 12): another quorum's seals, a receipt without its record or with another record of the same transaction, a statement with fewer leaves, a slot
or a payload that is not shown.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.message import DecodeError, Message
from huzheng.v1 import block_pb2, state_pb2, statement_pb2, transaction_pb2

from tests.fuzzing.mutation import write
from tests.fuzzing.sealing import group_hash, is_certificate, leaf_key, slot_hash
from tests.naive import state_tree
from tests.naive.ledger import tagged_hash

_Place = tuple[bytes, str, str, int, bytes]
"""Header, register, subject and page of a leaf, and its path."""


_INVISIBLE = re.compile("[\\0-\\x1f\\x7f-\\x9f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff]")
_CERTIFICATES = {"header": "certificate", "old_header": "old_certificate", "other_header": "other_certificate"}
"""By the field of the header that each is of."""


class Proven:
    """What some sound messages of one type prove, each as a whole: only the seals may be of another quorum."""

    def __init__(self, message_type: type[Message], sound: Iterable[bytes]) -> None:
        messages = [message_type.FromString(raw) for raw in sound]
        self._rest = {_without(message, *_CERTIFICATES.values()) for message in messages}
        self._unsealed = {
            header for message in messages for header, certificate in _headers(message) if not certificate
        }

    def __call__(self, message: Message) -> bool:
        """Whether it says nothing that these do not say in the same bytes."""
        return _without(message, *_CERTIFICATES.values()) in self._rest and all(
            is_certificate(header, certificate) if certificate else header in self._unsealed
            for header, certificate in _headers(message)
        )


class ProvenReceipts:
    """Of the receipts that prove something."""

    def __init__(self, sound: Iterable[bytes]) -> None:
        sound = list(sound)
        receipts = [block_pb2.Receipt.FromString(raw) for raw in sound]
        self._records = {
            (receipt.body, write(shown))
            for receipt in receipts
            if receipt.HasField("record")
            for shown in (receipt.record, _without_payload(receipt.record))
        }
        self._rest = Proven(block_pb2.Receipt, [_without(r, "record") for r in receipts])

    def __call__(self, receipt: Any) -> bool:
        """Whether it says nothing that these do not say in the same bytes."""
        if receipt.HasField("record") and (receipt.body, write(receipt.record)) not in self._records:
            return False
        return self._rest(block_pb2.Receipt.FromString(_without(receipt, "record")))


def _without_payload(proof: Any) -> Any:
    """What anybody may hide of a record that asserts (R6, Q6)."""
    hidden = type(proof).FromString(write(proof))
    if transaction_pb2.Record.FromString(proof.record).action == transaction_pb2.RECORD_ACTION_ASSERT:
        hidden.ClearField("payload")
    return hidden


def _headers(message: Message) -> list[tuple[bytes, bytes]]:
    """Each header with its certificate."""
    pairs = [(name, _CERTIFICATES[name]) for name in _CERTIFICATES if name in message.DESCRIPTOR.fields_by_name]
    return [(getattr(message, header), getattr(message, certificate)) for header, certificate in pairs]


def _without(message: Message, *fields: str) -> bytes:
    rest = type(message).FromString(write(message))
    for name in fields:
        if name in rest.DESCRIPTOR.fields_by_name:
            rest.ClearField(name)
    return write(rest)


class ProvenStatements:
    """Of the statements that prove something."""

    def __init__(self, sound: Sequence[bytes], unsound: Sequence[bytes]) -> None:
        """`unsound`: may have sound proofs of absence in what is otherwise wrong."""
        self._headers: set[bytes] = set()
        self._others: set[tuple[bytes, str, bytes]] = set()
        self._entries: set[tuple[bytes, bytes]] = set()
        """Headers, and entries that are there."""
        self._absences: set[tuple[bytes, bytes]] = set()
        """Headers, and paths that lead to nothing or another key."""
        self._groups: dict[_Place, list[set[bytes]]] = {}
        """Of each leaf, what each of its groups may be."""
        self._slots: dict[tuple[_Place, int], list[set[bytes]]] = defaultdict(lambda: [set(), set(), set(), set()])
        """Of each group, what each of its slots may be."""
        for raw in sound:
            statement = statement_pb2.Statement.FromString(raw)
            self._headers.add(statement.header)
            self._others.update(_others(statement))
            self._others.update(
                (statement.header, "records", write(_without_payload(item))) for item in statement.records
            )
            self._entries.update((statement.header, write(entry)) for entry in statement.entries if entry.value)
            for leaf in statement.leaves:
                self._learn(_place(statement.header, leaf), leaf)
        for raw in (*sound, *unsound):
            self._learn_absences(raw)

    def _learn_absences(self, raw: bytes) -> None:
        try:
            statement = statement_pb2.Statement.FromString(raw)
        except DecodeError:
            return
        proofs = [(leaf_key(leaf), leaf.path) for leaf in statement.leaves if not leaf.groups]
        proofs += [(entry.key, entry.path) for entry in statement.entries if not entry.value]
        for key, path in proofs:
            if _proves_absence(statement.header, key, path):
                self._absences.add((statement.header, write(path)))

    def _learn(self, place: _Place, leaf: statement_pb2.LeafProof) -> None:
        groups = self._groups.setdefault(place, [set() for _ in leaf.groups])
        for number, group in enumerate(leaf.groups):
            groups[number].add(group.hash or group_hash(group))
            for known, slot in zip(self._slots[place, number], group.slots, strict=False):
                known.add(write(slot))
                known.add(write(statement_pb2.SlotProof(hash=slot.hash or slot_hash(slot))))

    def __call__(self, statement: Any) -> bool:
        """Whether it says nothing that these do not say in the same bytes."""
        return (
            statement.header in self._headers
            and is_certificate(statement.header, statement.certificate)
            and _others(statement) <= self._others
            and bool(statement.leaves or statement.entries)
            and _is_ascending([(leaf.register, leaf.subject, leaf.page) for leaf in statement.leaves])
            and _is_ascending([entry.key for entry in statement.entries])
            and all(self._is_known_entry(statement.header, entry) for entry in statement.entries)
            and all(self._is_known(statement.header, leaf) for leaf in statement.leaves)
        )

    def _is_known(self, header: bytes, leaf: statement_pb2.LeafProof) -> bool:
        if leaf.groups:
            return self._is_known_leaf(_place(header, leaf), leaf)
        return self._is_absent(header, leaf_key(leaf), leaf.path) and _is_subject(leaf.subject)

    def _is_known_entry(self, header: bytes, entry: statement_pb2.EntryProof) -> bool:
        if entry.value:
            return (header, write(entry)) in self._entries
        if entry.key[:1] in (b"", b"h", b"i") or not self._is_absent(header, entry.key, entry.path):
            return False
        return entry.key[:1] != b"a" or _is_account(entry.key)

    def _is_absent(self, header: bytes, key: bytes, path: state_pb2.StateProof) -> bool:
        # The same proof serves for all keys whose paths end in the same subtree.
        return (header, write(path)) in self._absences and _proves_absence(header, key, path)

    def _is_known_leaf(self, place: _Place, leaf: statement_pb2.LeafProof) -> bool:
        groups = self._groups.get(place)
        if groups is None or len(groups) != len(leaf.groups):
            return False
        for number, group in enumerate(leaf.groups):
            if group.hash:
                if group.hash not in groups[number] or group.slots:
                    return False
                continue
            slots = self._slots[place, number]
            if len(slots) != len(group.slots):
                return False
            if any(write(slot) not in known for slot, known in zip(group.slots, slots, strict=True)):
                return False
        return True


def _is_ascending(places: Sequence[Any]) -> bool:
    """Q1, Q8: one order, and so one statement of the same leaves and entries."""
    return list(places) == sorted(set(places))


def _is_account(key: bytes) -> bool:
    """Of a subject that its resource can have, as far as all resources of the example can (Q8)."""
    subject = key.partition(b"\0")[2]
    try:
        return _is_subject(subject.decode())
    except UnicodeDecodeError:
        return False


def _is_subject(text: str) -> bool:
    """Of some resource of the example genesis (Q2): any that `demo.deed` can have, `demo.levy` can have too."""
    return 1 <= len(text.encode()) <= 16 and _INVISIBLE.search(text) is None


def _proves_absence(header: bytes, key: bytes, path: state_pb2.StateProof) -> bool:
    """K4, by its definition."""
    try:
        root = block_pb2.BlockHeader.FromString(header).state_root
    except DecodeError:
        return False
    return state_tree.proves(tagged_hash("state-key", key), None, _claim(path), root)


def _claim(proof: state_pb2.StateProof) -> state_tree.Proof:
    return state_tree.Proof(proof.depth, proof.occupied, proof.siblings, proof.other_path, proof.other_digest)


def _place(header: bytes, leaf: statement_pb2.LeafProof) -> _Place:
    return header, leaf.register, leaf.subject, leaf.page, write(leaf.path)


def _others(statement: statement_pb2.Statement) -> set[tuple[bytes, str, bytes]]:
    """All fields but those that are looked at one by one."""
    return {
        (statement.header, field.name, write(item))
        for field, value in statement.ListFields()
        if field.name not in ("header", "certificate", "leaves", "entries")
        for item in value
    }

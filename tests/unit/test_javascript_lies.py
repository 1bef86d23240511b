"""Of statements that only a quorum of liars would seal, the verifier for browsers says what the Python one says (docs/protocol.md Q2 to Q6)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from typing import Any

from huzheng.v1 import block_pb2, state_pb2, statement_pb2

from ledger.crypto import ED25519_SHA256
from ledger.genesis import Genesis
from ledger.state.proof import root_from_proof
from ledger.statement import verify_statement
from tests.javascript_verifier import ask, code_or, same_keys
from tests.naive import merkle
from tests.naive.ledger import tagged_hash
from tests.vectors import example
from tests.vectors.example import LEVY, OTHER, Built, revoking, write
from tests.vectors.example_chain import certificate

GENESIS = Genesis.read(example.GENESIS)
SUBJECT = "AB1234"
BLINDS = [bytes([number]) * 16 for number in range(4)]
RECORD = Built()
PATH = state_pb2.StateProof(depth=16, occupied=b"\x80\0", siblings=OTHER)

Slots = Sequence[statement_pb2.SlotProof]


def slot_hash(number: int, head: bytes) -> bytes:
    """K6."""
    return sha256((b"\x05" if head else b"\x04") + BLINDS[number] + head).digest()


def open_slot(number: int, head: bytes = b"") -> statement_pb2.SlotProof:
    return statement_pb2.SlotProof(blind=BLINDS[number], head=head)


def hidden_slot(number: int, head: bytes = b"") -> statement_pb2.SlotProof:
    return statement_pb2.SlotProof(hash=slot_hash(number, head))


def head(record: Built = RECORD, **fields: Any) -> bytes:
    values: dict[str, Any] = {"version": 1, "record_id": record.id, "action": 1}
    return write(state_pb2.Head(**(values | fields)))


def heads(deed: bytes = b"", levy: bytes = b"") -> list[statement_pb2.SlotProof]:
    """A page's two resources shown, and the two slots that no resource has hidden."""
    return [open_slot(0, deed), open_slot(1, levy), hidden_slot(2), hidden_slot(3)]


def group(slots: Slots) -> statement_pb2.GroupProof:
    return statement_pb2.GroupProof(slots=slots)


def group_hash(slots: Slots) -> bytes:
    hashes = [slot.hash or slot_hash(number, slot.head) for number, slot in enumerate(slots)]
    return sha256(b"\x06" + b"".join(hashes)).digest()


def statement(
    slots: Slots,
    *records: Built,
    groups: Sequence[statement_pb2.GroupProof] | None = None,
    digest: bytes | None = None,
    **leaf_fields: Any,
) -> bytes:
    """Sealed, whatever it says. The root fits the slots, or the digest that is given."""
    if digest is None:
        digest = tagged_hash("state-heads", group_hash(slots))
    fields: dict[str, Any] = {"register": "demo", "subject": SUBJECT} | leaf_fields
    key = b"h" + fields["register"].encode() + b"\0" + fields["subject"].encode() + b"\0\0"
    root = root_from_proof(ED25519_SHA256, tagged_hash("state-key", key), digest, PATH)
    header = write(
        block_pb2.BlockHeader(
            chain_id=example.CHAIN_ID,
            height=9,
            time_ms=example.NOW_MS,
            protocol_version=3,
            state_root=root,
            history_root=merkle.root([]),
        )
    )
    leaf = statement_pb2.LeafProof(path=PATH, groups=[group(slots)] if groups is None else groups, **fields)
    stated = [
        statement_pb2.StatedRecord(record=record.raw, payload=record.payload)
        for record in sorted(records, key=lambda record: record.id)
    ]
    seals = certificate(9, tagged_hash("block", header))
    return write(statement_pb2.Statement(header=header, certificate=seals, leaves=[leaf], records=stated))


def of(record: Built, **fields: Any) -> bytes:
    """A statement whose head names the record, with what it says."""
    return statement(heads(head(record, **fields)), record)


def hashes_besides(place: int) -> list[statement_pb2.SlotProof]:
    """Both shown and hidden, with the hash that it has."""
    slots = heads(head())
    slots[place].hash = slot_hash(place, slots[place].head)
    return slots


def cases() -> dict[str, tuple[str | None, bytes]]:
    slots = heads(head())
    whole = group_hash(slots)
    hidden_with_blind = [*slots[:2], statement_pb2.SlotProof(hash=slots[2].hash, blind=BLINDS[2]), slots[3]]
    hidden_with_head = [*slots[:2], statement_pb2.SlotProof(hash=slots[2].hash, head=head()), slots[3]]
    twice = statement_pb2.GroupProof(hash=whole, slots=slots)
    two, five_groups = tagged_hash("state-heads", whole + OTHER), tagged_hash("state-heads", whole + OTHER * 4)
    long = [*slots[:3], statement_pb2.SlotProof(hash=slots[3].hash + OTHER)]
    short_blind = [*slots[:1], statement_pb2.SlotProof(blind=b"x" * 15), *slots[2:]]
    short_hash = sha256(b"\x04" + b"x" * 15).digest()
    with_short = sha256(b"\x06" + slot_hash(0, head()) + short_hash + slots[2].hash + slots[3].hash).digest()
    five = [*slots, hidden_slot(3)]
    revoked = revoking(RECORD)
    strange = Built(action=3)
    accepted = {
        "sound": statement(slots),
        "with its record": of(RECORD),
        "of two resources": statement(heads(head(), head(Built(resource=LEVY)))),
        "revoked": of(revoked, version=2, action=2),
        # Since the genesis its page may have got more resources.
        "two groups of a page that has one in the genesis": statement(
            slots, groups=[group(slots), statement_pb2.GroupProof(hash=OTHER)], digest=two
        ),
        "all hidden": statement(slots, groups=[statement_pb2.GroupProof(hash=whole)]),
        "the largest version": statement(heads(head(version=2**64 - 1))),
        "a record with the largest version": of(Built(version=2**64 - 1), version=2**64 - 1),
        "a subject that one resource can have": statement([hidden_slot(0), open_slot(1), *slots[2:]], subject="ab1234"),
        "a subject that one resource can have, all hidden": statement(
            slots, groups=[statement_pb2.GroupProof(hash=whole)], subject="ab1234"
        ),
        # A head asserts or revokes; that its record does either, nobody has seen to but those who sealed.
        "a record with an action that is none": of(strange),
        "two records": statement(
            heads(head(), head(Built(example.payload((1, "-1")), resource=LEVY))),
            RECORD,
            Built(example.payload((1, "-1")), resource=LEVY),
        ),
        "fields that the rules do not admit": of(Built(example.payload((1, "\0"), (1, "twice"), salt=b""))),
    }
    refused = {
        "version 0": statement(heads(head(version=0))),
        "a record id a byte short": statement(heads(head(record_id=OTHER[1:]))),
        "a record id a byte long": statement(heads(head(record_id=OTHER + b"\0"))),
        "no record id": statement(heads(head(record_id=b""))),
        "no action": statement(heads(head(action=0))),
        "an action that is none": statement(heads(head(action=3))),
        "a negative action": statement(heads(head(action=-1))),
        "a shown slot that is hidden too": statement(hashes_besides(0)),
        "a shown slot without head that is hidden too": statement(hashes_besides(1)),
        "a hidden slot with a blind": statement(hidden_with_blind),
        "a hidden slot with a head": statement(hidden_with_head),
        "a group both hidden and shown": statement(slots, groups=[twice]),
        "a hidden group with a hash too long": statement(
            slots,
            groups=[statement_pb2.GroupProof(hash=whole + OTHER)],
            digest=tagged_hash("state-heads", whole + OTHER),
        ),
        "five groups": statement(
            slots, groups=[group(slots), *[statement_pb2.GroupProof(hash=OTHER)] * 4], digest=five_groups
        ),
        "a slot's hash too long": statement(long),
        "a blind too short": statement(short_blind, digest=tagged_hash("state-heads", with_short)),
        "five slots": statement(five),
        "a slot that no resource has, shown": statement([*slots[:2], open_slot(2), slots[3]]),
        "a register that is none": statement(slots, register="other"),
        "the record of another subject": of(Built(subject="XY0000")),
        "the record of another resource": of(Built(example.payload((1, "-1")), resource=LEVY)),
        "a record of another version": of(RECORD, version=2),
        "an asserting record that is revoked": of(RECORD, action=2),
        "a revoking record that is in force": of(revoked, version=2, action=1),
        "a record whose head is hidden": statement([hidden_slot(0, head()), *slots[1:]], RECORD),
        "a payload that is not the record's": of(Built(payload_digest=OTHER)),
        "a record of a resource that is none": of(Built(resource="demo.none")),
        "a record twice": statement(slots, RECORD, RECORD),
    }
    unfit = {
        "a subject that no rule admits": statement(slots, subject="\ufeff\u200b\0"),
        "no subject": statement(slots, subject=""),
        "a subject that no rule admits, all hidden": statement(
            slots, groups=[statement_pb2.GroupProof(hash=whole)], subject="AB1234\u200b"
        ),
        "a head of a resource that can't have the subject": statement(
            [open_slot(0, head()), hidden_slot(1), *slots[2:]], subject="ab1234"
        ),
        "no head of a resource that can't have the subject": statement(
            [open_slot(0), open_slot(1, head()), *slots[2:]], subject="ab1234"
        ),
        "a subject that no rule admits, and a head that no block makes": statement(
            heads(head(version=0)), subject="\ufeff"
        ),
    }
    others: dict[str, tuple[str | None, bytes]] = {
        "a field that the resource has not": ("UNKNOWN_FIELD", of(Built(example.payload((9, "x"))))),
        "a field without number": ("UNKNOWN_FIELD", of(Built(example.payload((0, "x"))))),
        "a payload in another form": ("NOT_STRICT", of(Built(b"\xff"))),
        "a head in another form": ("NOT_STRICT", statement(heads(head() + b"\x20\x01"))),
        "a record in another form": ("NOT_STRICT", of(odd_record())),
    }
    found: dict[str, tuple[str | None, bytes]] = {name: (None, raw) for name, raw in accepted.items()}
    found |= {name: ("BAD_SUBJECT", raw) for name, raw in unfit.items()}
    return found | {name: ("BAD_PROOF", raw) for name, raw in refused.items()} | others


def odd_record() -> Built:
    odd = Built()
    odd.raw += b"\x40\x01"
    return odd


def verdict(raw: bytes) -> dict[str, Any]:
    return verify_statement(raw, GENESIS).to_dict()


def test_statements_that_liars_sealed() -> None:
    tries = cases()
    said = ask({"ask": "statement", "genesis": example.GENESIS.hex(), "bytes": raw.hex()} for _, raw in tries.values())
    for (name, (code, raw)), answer in zip(tries.items(), said, strict=True):
        right = code_or(partial(verdict, raw))
        assert same_keys(answer, right) == right, name
        assert answer.get("code") == code, name

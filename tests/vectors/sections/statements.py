"""Statements that prove something, and others named after what is wrong (docs/protocol.md section 12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import sha256

from huzheng.v1 import block_pb2, state_pb2, statement_pb2

from tests.naive import state_tree
from tests.naive.ledger import blind, heads_place, leaf, tagged_hash
from tests.vectors import example
from tests.vectors.example import DEED, LEVY, OTHER, Built, write
from tests.vectors.example_chain import (
    AGAIN,
    CORRECTED,
    FIRST,
    Block,
    certificate,
    chain,
    corrupt_certificates,
)
from tests.vectors.sections.membership import first_change

_Cases = dict[str, tuple[str, bytes]]
_NAMES = [resource.name for resource in example.resources()]
_HEIGHT = 2
_REGISTERED, _REVOKED, _UNKNOWN = "AB1234", "CD5678", "ZZ9999"
_LEVIED, _NEITHER = "地块 7", "AB1234\u200b"
"""What `demo.levy` can be about and `demo.deed` can't; what neither can, and looks like what is registered."""
_BY_CHARACTER = ("\uffee", "\U0001f600")


@cache
def state_after(height: int) -> dict[bytes, bytes]:
    """After a block of the example chain."""
    state: dict[bytes, bytes] = {}
    for block in chain()[: height + 1]:
        state |= {key: value for key, value in block.changes.items() if value is not None}
        state = {key: value for key, value in state.items() if block.changes.get(key, value) is not None}
    return state


def _keys(height: int) -> dict[bytes, bytes]:
    """Of the tree: digests by path."""
    return dict(leaf(key, value) for key, value in state_after(height).items() if key[:1] != b"i")


def _leaf(subject: str, shown: Sequence[str], height: int = _HEIGHT) -> statement_pb2.LeafProof:
    """With the slots of these resources."""
    key, _, _ = heads_place(DEED, subject, _NAMES)
    path = tagged_hash("state-key", key)
    proof = state_tree.proof(_keys(height), path)
    found = statement_pb2.LeafProof(
        register="demo",
        subject=subject,
        path=state_pb2.StateProof(
            depth=proof.depth,
            occupied=proof.occupied,
            siblings=proof.siblings,
            other_path=proof.other_path,
            other_digest=proof.other_digest,
        ),
    )
    raw = state_after(height).get(key)
    if raw is not None:
        heads = state_pb2.Heads.FromString(raw)
        held = {item.slot: item.head for item in heads.heads}
        open_slots = {heads_place(name, subject, _NAMES)[1] for name in shown}
        group = found.groups.add()
        for slot in range(heads.width):
            hiding = blind(heads.seed, slot)
            if slot in open_slots:
                group.slots.add(blind=hiding, head=held.get(slot, b""))
            else:
                start = b"\x05" if slot in held else b"\x04"
                group.slots.add(hash=sha256(start + hiding + held.get(slot, b"")).digest())
    return found


def absent_leaf(height: int) -> statement_pb2.LeafProof:
    """That nothing was ever said about a subject, as of a block of the example chain."""
    return _leaf(_UNKNOWN, [], height)


def _statement(*leaves: statement_pb2.LeafProof, block: Block | None = None, seals: bytes | None = None) -> bytes:
    """As of the example chain's block 2, unless another is given."""
    block = block or chain()[_HEIGHT]
    sealed = certificate(block.height, block.hash) if seals is None else seals
    return write(statement_pb2.Statement(header=block.header, certificate=sealed, leaves=leaves))


def _good() -> statement_pb2.LeafProof:
    return _leaf(_REGISTERED, [DEED, LEVY])


def _with_records(leaf_proof: statement_pb2.LeafProof, *records: statement_pb2.StatedRecord) -> bytes:
    """In this order, whatever it is."""
    return _statement(leaf_proof) + write(statement_pb2.Statement(records=records))


def _stated(built: Built) -> statement_pb2.StatedRecord:
    return statement_pb2.StatedRecord(record=built.raw, payload=built.payload)


def _answers(
    *answers: tuple[str, str, int, bool], fields: Mapping[str, dict[str, str] | None] | None = None
) -> list[dict[str, object]]:
    """`fields`: of those records that are shown, by subject."""
    return [
        {"resource": resource, "subject": subject, "version": version, "in_force": in_force}
        | ({"fields": fields[subject]} if fields and version and subject in fields else {})
        for resource, subject, version, in_force in answers
    ]


def _sound() -> list[dict[str, object]]:
    registered = [(DEED, _REGISTERED, 2, True), (LEVY, _REGISTERED, 0, False)]
    unknown = [(DEED, _UNKNOWN, 0, False), (LEVY, _UNKNOWN, 0, False)]
    [levied] = _answers((LEVY, _LEVIED, 1, True))
    cases = [
        ("all of a page", _statement(_good()), _answers(*registered)),
        ("one slot, the others hidden", _statement(_leaf(_REGISTERED, [DEED])), _answers(registered[0])),
        ("nothing there, the others hidden", _statement(_leaf(_REGISTERED, [LEVY])), _answers(registered[1])),
        ("all hidden", _statement(_leaf(_REGISTERED, [])), []),
        ("a subject nobody ever heard of", _statement(_leaf(_UNKNOWN, [])), _answers(*unknown)),
        ("a subject of the one resource that can have it", _statement(_leaf(_LEVIED, [LEVY])), [levied]),
        ("all hidden of a subject of one resource", _statement(_leaf(_LEVIED, [])), []),
        (
            "a subject nobody ever heard of, which one resource can have",
            _statement(_leaf("ab1234", [])),
            _answers((LEVY, "ab1234", 0, False)),
        ),
        (
            "subjects in the order of their characters, which is not that of UTF-16",
            _statement(*(_leaf(subject, []) for subject in _BY_CHARACTER)),
            _answers(*((LEVY, subject, 0, False) for subject in _BY_CHARACTER)),
        ),
        (
            "three subjects",
            _statement(_good(), _leaf(_REVOKED, [DEED]), _leaf(_UNKNOWN, [])),
            _answers(*registered, (DEED, _REVOKED, 3, True), *unknown),
        ),
        (
            "with what the record says",
            _with_records(_good(), _stated(CORRECTED)),
            _answers(*registered, fields={_REGISTERED: {"KIND": "gift", "AREA": "0"}}),
        ),
        (
            "with a record whose payload is not there",
            _with_records(_good(), statement_pb2.StatedRecord(record=CORRECTED.raw)),
            _answers(*registered, fields={_REGISTERED: None}),
        ),
        (
            "two subjects, with what one of the records says",
            _statement(_good(), _leaf(_REVOKED, [DEED])) + write(statement_pb2.Statement(records=[_stated(AGAIN)])),
            _answers(
                *registered,
                (DEED, _REVOKED, 3, True),
                fields={_REVOKED: {"KIND": "sale", "AREA": "88.80", "DAY": "2020-02-29"}},
            ),
        ),
    ]
    return [{"name": name, "statement": raw.hex(), "code": None, "answers": answers} for name, raw, answers in cases]


def _changed(change: Callable[[statement_pb2.LeafProof], object]) -> bytes:
    wrong = _good()
    change(wrong)
    return _statement(wrong)


def _set(**fields: object) -> Callable[[statement_pb2.LeafProof], None]:
    def change(target: statement_pb2.LeafProof) -> None:
        for name, value in fields.items():
            setattr(target, name, value)

    return change


def _path(**fields: object) -> Callable[[statement_pb2.LeafProof], None]:
    return lambda target: _set(**fields)(target.path)  # type: ignore[arg-type]


def _slot(number: int, **fields: object) -> Callable[[statement_pb2.LeafProof], None]:
    return lambda target: _set(**fields)(target.groups[0].slots[number])  # type: ignore[arg-type]


def _cleared(number: int) -> Callable[[statement_pb2.LeafProof], None]:
    return lambda target: target.groups[0].slots[number].Clear()


def _hidden_group(value: bytes) -> Callable[[statement_pb2.LeafProof], None]:
    def change(target: statement_pb2.LeafProof) -> None:
        target.groups[0].Clear()
        target.groups[0].hash = value

    return change


def _each(*changes: Callable[[statement_pb2.LeafProof], object]) -> Callable[[statement_pb2.LeafProof], None]:
    def change(target: statement_pb2.LeafProof) -> None:
        for one in changes:
            one(target)

    return change


def _without_groups(target: statement_pb2.LeafProof) -> None:
    del target.groups[:]


def _swapped(target: statement_pb2.LeafProof) -> None:
    slots = target.groups[0].slots
    first, second = slots[0].SerializeToString(), slots[1].SerializeToString()
    slots[0].ParseFromString(second)
    slots[1].ParseFromString(first)


def _about_form() -> _Cases:
    good = _statement(_good())
    parsed = statement_pb2.Statement.FromString(good)
    cut = write(statement_pb2.Statement(header=parsed.header, certificate=parsed.certificate))
    return {
        "empty": ("WRONG_CHAIN", b""),
        "last byte missing": ("NOT_STRICT", good[:-1]),
        "a byte too much": ("NOT_STRICT", good + b"\x00"),
        "an unknown field": ("NOT_STRICT", good + b"\x30\x01"),
        "an unknown field of a leaf": ("NOT_STRICT", cut + b"\x1a\x02\x30\x01"),
        "twice over": ("NOT_STRICT", good + good),
        "fields out of order": ("NOT_STRICT", good[len(good) - 1 :] + good[: len(good) - 1]),
        "a length that is not in its shortest form": ("NOT_STRICT", cut + b"\x1a\x80\x00"),
        "too large": (
            "TOO_LARGE",
            good + write(statement_pb2.Statement(records=[statement_pb2.StatedRecord(record=bytes(32_768 + 65_536))])),
        ),
        "no leaves": ("BAD_PROOF", cut),
        "a leaf twice": ("BAD_PROOF", _statement(_good(), _good())),
        "leaves out of order": ("BAD_PROOF", _statement(_leaf(_UNKNOWN, []), _good())),
        "leaves in the order of UTF-16": (
            "BAD_PROOF",
            _statement(*(_leaf(subject, []) for subject in reversed(_BY_CHARACTER))),
        ),
        "33 leaves": ("BAD_PROOF", _statement(*(_leaf(f"ZZ{number:04}", []) for number in range(33)))),
    }


def _about_the_header() -> _Cases:
    block = chain()[_HEIGHT]
    sound = block_pb2.BlockHeader.FromString(block.header)
    unsealed: dict[str, tuple[str, object]] = {
        "chain_id": ("WRONG_CHAIN", OTHER),
        "height": ("BAD_CERTIFICATE", 3),
        "parent_hash": ("BAD_CERTIFICATE", OTHER),
        "epoch": ("EPOCH_UNKNOWN", 1),
        "proposer": ("BAD_CERTIFICATE", 5),
        "time_ms": ("BAD_CERTIFICATE", sound.time_ms + 1),
        "protocol_version": ("PROTOCOL_UNKNOWN", 1),
        "transaction_count": ("BAD_CERTIFICATE", 9),
        "transactions_root": ("BAD_CERTIFICATE", OTHER),
        "results_root": ("BAD_CERTIFICATE", OTHER),
        "state_root": ("BAD_CERTIFICATE", OTHER),
        "history_root": ("BAD_CERTIFICATE", OTHER),
    }
    seals = certificate(block.height, block.hash)
    cases = {}
    for name, (code, value) in unsealed.items():
        header = block_pb2.BlockHeader.FromString(block.header)
        setattr(header, name, value)
        wrong = Block("", b"", [], write(header))
        cases[f"header with another {name}"] = (code, _statement(_good(), block=wrong, seals=seals))
        if code != "BAD_CERTIFICATE" or name == "state_root":
            expected = "BAD_PROOF" if name == "state_root" else code
            cases[f"header with another {name}, sealed"] = (expected, _statement(_good(), block=wrong))
    odd = Block("", b"", [], block.header + b"\x68\x01")
    cases["header with an unknown field, sealed"] = ("NOT_STRICT", write(_raw(odd)))
    cases["header of the block before"] = ("BAD_PROOF", _statement(_good(), block=chain()[1]))
    cases["header of the genesis block"] = ("BAD_CERTIFICATE", _statement(_good(), block=chain()[0], seals=b""))
    return cases


def _raw(block: Block) -> statement_pb2.Statement:
    """Of a block whose header can't be read."""
    seals = certificate(_HEIGHT, block.hash)
    return statement_pb2.Statement(header=block.header, certificate=seals, leaves=[_good()])


def _about_the_certificate() -> _Cases:
    block, after = chain()[_HEIGHT], chain()[_HEIGHT + 1]
    certificates = corrupt_certificates(block, after)
    return {
        f"certificate {name}": ("BAD_CERTIFICATE", _statement(_good(), seals=raw)) for name, raw in certificates.items()
    }


def _about_the_leaf() -> _Cases:
    good, other, unknown = _good(), _leaf(_REVOKED, [DEED, LEVY]), _leaf(_UNKNOWN, [])
    path = good.path
    flipped = bytes([path.siblings[0] ^ 1]) + path.siblings[1:]
    head = good.groups[0].slots[0].head
    newer = write(state_pb2.Head(version=3, record_id=OTHER, action=1))  # type: ignore[arg-type]
    changes: dict[str, Callable[[statement_pb2.LeafProof], object]] = {
        "another subject": _set(subject=_REVOKED),
        "a subject nobody ever heard of": _set(subject=_UNKNOWN),
        "no subject": _set(subject=""),
        "a register that is none": _set(register="other"),
        "no register": _set(register=""),
        "another page": _set(page=1),
        "a page beyond a byte": _set(page=256),
        "a path a level deeper": _path(depth=path.depth + 1),
        "a path a level higher": _path(depth=path.depth - 1),
        "a path deeper than there is": _path(depth=257),
        "a path whose levels are others": _path(occupied=bytes([path.occupied[0] ^ 0x40]) + path.occupied[1:]),
        "a path without siblings": _path(siblings=b""),
        "a path with a sibling too much": _path(siblings=path.siblings + OTHER),
        "a path with a bit of a sibling flipped": _path(siblings=flipped),
        "a path with half a sibling": _path(siblings=path.siblings[:-16]),
        "a path that ends at another key": _path(other_path=OTHER, other_digest=OTHER),
        "the path of another subject": lambda target: target.path.CopyFrom(other.path),
        "no path": lambda target: target.ClearField("path"),
        "no groups where there is a leaf": _without_groups,
        "the absence of another subject": _each(_without_groups, lambda target: target.path.CopyFrom(unknown.path)),
        "the leaf of another subject": _each(
            _without_groups,
            lambda target: target.groups.append(other.groups[0]),
            lambda target: target.path.CopyFrom(other.path),
        ),
        "a group too much": lambda target: target.groups.add(hash=OTHER),
        "a group that is empty": lambda target: target.groups[0].ClearField("slots"),
        "a group both hidden and shown": lambda target: setattr(target.groups[0], "hash", OTHER),
        "a group that hides another": _hidden_group(OTHER),
        "a group's hash a byte short": _hidden_group(OTHER[1:]),
        "a slot too few": lambda target: target.groups[0].slots.pop(),
        "a slot too many": lambda target: target.groups[0].slots.add(hash=OTHER),
        "slots changed over": _swapped,
        "a slot both hidden and shown": _slot(0, hash=OTHER),
        "a slot neither hidden nor shown": _cleared(2),
        "a slot that hides another": _each(_cleared(1), _slot(1, hash=OTHER)),
        "a slot's hash a byte short": _slot(2, hash=OTHER[1:]),
        "a blind a byte short": _slot(0, blind=good.groups[0].slots[0].blind[1:]),
        "a blind of another slot": _slot(0, blind=good.groups[0].slots[1].blind),
        "a head left out": _slot(0, head=b""),
        "a head where there is none": _slot(1, head=head),
        "a head of a later version": _slot(0, head=newer),
        "a head of an earlier version": _slot(0, head=_leaf(_REGISTERED, [DEED], 1).groups[0].slots[0].head),
        "a head with an unknown field": _slot(0, head=head + b"\x20\x01"),
        "a shown slot that no resource has": _each(_cleared(2), _slot(2, blind=blind(_seed(), 2))),
    }
    return {name: ("BAD_PROOF", _changed(change)) for name, change in changes.items()}


def _about_the_subject() -> _Cases:
    """All of them true, and sealed by correct replicas, but for the last one."""
    subjects = {
        "with a character that can't be seen": _NEITHER,
        "with a line break": "AB1234\n",
        "with NUL": "AB\x001234",
        "of 17 bytes": "AB1234 AB1234 AB1",
        "of 18 bytes in 6 characters": "地块地块地块",
        "of no characters": "",
    }
    cases = {f"a subject {name}": ("BAD_SUBJECT", _statement(_leaf(text, []))) for name, text in subjects.items()}
    odd = _leaf(_NEITHER, [])
    odd.path.CopyFrom(_good().path)
    return cases | {
        "a subject among others that is none": ("BAD_SUBJECT", _statement(_good(), _leaf(_NEITHER, []))),
        "nothing, in a resource that can't have the subject": ("BAD_SUBJECT", _statement(_leaf(_LEVIED, [DEED]))),
        "a page, with a resource that can't have the subject": (
            "BAD_SUBJECT",
            _statement(_leaf(_LEVIED, [DEED, LEVY])),
        ),
        "a subject that is none, of which nothing is proved": ("BAD_PROOF", _statement(odd)),
    }


def _about_the_records() -> _Cases:
    good, other = _stated(CORRECTED), _stated(AGAIN)
    both = sorted((CORRECTED, AGAIN), key=lambda built: built.id)
    two = _statement(_good(), _leaf(_REVOKED, [DEED]))

    def records(*stated: statement_pb2.StatedRecord) -> bytes:
        return write(statement_pb2.Statement(records=stated))

    def changed(**fields: bytes) -> statement_pb2.StatedRecord:
        wrong = statement_pb2.StatedRecord.FromString(write(good))
        for name, value in fields.items():
            setattr(wrong, name, value)
        return wrong

    hidden = _statement(_leaf(_REGISTERED, [LEVY]))
    return {
        "a record that no head names": ("BAD_PROOF", _with_records(_good(), other)),
        "the version before": ("BAD_PROOF", _with_records(_good(), _stated(FIRST))),
        "a record whose head is hidden": ("BAD_PROOF", hidden + records(good)),
        "a record twice": ("BAD_PROOF", _with_records(_good(), good, good)),
        "records out of order": ("BAD_PROOF", two + records(*(_stated(built) for built in reversed(both)))),
        "a record with a bit flipped": ("BAD_PROOF", _with_records(_good(), changed(record=_flip(good.record)))),
        "a record with an unknown field": (
            "BAD_PROOF",
            _with_records(_good(), changed(record=good.record + b"\x98\x01\x01")),
        ),
        "no record": ("BAD_PROOF", _with_records(_good(), changed(record=b""))),
        "a payload with a bit flipped": ("BAD_PROOF", _with_records(_good(), changed(payload=_flip(good.payload)))),
        "the payload of another record": ("BAD_PROOF", _with_records(_good(), changed(payload=other.payload))),
        "a stated record with an unknown field": (
            "NOT_STRICT",
            _statement(_good())
            + b"\x22"
            + bytes([len(write(good)) + 2 & 127 | 128, len(write(good)) + 2 >> 7])
            + write(good)
            + b"\x18\x01",
        ),
        "proofs of epochs that are none": ("NOT_STRICT", _statement(_good()) + b"\x2a\x02\x08\x01"),
        "a proof of an epoch that proves nothing": ("WRONG_CHAIN", _statement(_good()) + b"\x2a\x00"),
        "a proof of an epoch too many": (
            "EPOCH_UNKNOWN",
            _statement(_good()) + write(statement_pb2.Statement(epochs=[first_change()])),
        ),
    }


def _flip(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


def _seed() -> bytes:
    key, _, _ = heads_place(DEED, _REGISTERED, _NAMES)
    return state_pb2.Heads.FromString(state_after(_HEIGHT)[key]).seed


def _statements() -> dict[str, object]:
    corrupt: _Cases = {}
    for group in (
        _about_form(),
        _about_the_header(),
        _about_the_certificate(),
        _about_the_leaf(),
        _about_the_subject(),
        _about_the_records(),
    ):
        corrupt |= group
    cases = _sound() + [{"name": name, "statement": raw.hex(), "code": code} for name, (code, raw) in corrupt.items()]
    return {
        "about": "Statements: sound ones with what they answer, and others named after what is wrong. "
        "'Sealed' are those over which a quorum's seals are good, which no correct replicas would have made.",
        "rule": "Q1 to Q6",
        "genesis": example.GENESIS.hex(),
        "cases": cases,
    }


VECTORS = {"statements.json": _statements}

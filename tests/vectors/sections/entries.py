"""Statements with entries of the state, and about resources that came after the genesis (docs/protocol.md Q8).

The states are put together by hand: blocks that make such ones are in other files. `World` is one of them, sealed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256

from huzheng.v1 import block_pb2, catalogue_pb2, sharing_pb2, state_pb2, statement_pb2

from tests.naive import state_tree
from tests.naive.ledger import blind, leaf, settle, state_root, tagged_hash
from tests.vectors import example
from tests.vectors.example import DEED, LEVY, NOW_MS, OTHER, Built, write
from tests.vectors.example_chain import CORRECTED, Block, certificate
from tests.vectors.sections.statements import state_after

_Cases = dict[str, tuple[str, bytes]]
_BEFORE, _HEIGHT = 2, 20
_REGISTERED, _LATER, _UNKNOWN = "AB1234", "XY0001", "ZZ9999"
_PERMIT, _OTHER, _SURVEY = "demo.permit", "demo.zoning", "survey.plot"
"""Came after the genesis: in the third slot of its page, in the fifth, for which the page got wider, and in a register of its own."""
_NUMBERS = {_PERMIT: 2, "demo.unused": 3, _OTHER: 4, _SURVEY: 0}
_GRANT, _READ = sha256(b"grant").digest(), sha256(b"read").digest()


def _resource(name: str, schema_version: int = 1, field: str = "FLOORS") -> catalogue_pb2.Resource:
    """Subjects are those of a deed."""
    deed = example.resources()[0]
    spec = catalogue_pb2.FieldSpec(
        number=7, name=field, title_zh=field, title_en=field, type=catalogue_pb2.FIELD_TYPE_INTEGER
    )
    found = catalogue_pb2.Resource()
    found.CopyFrom(deed)
    found.name, found.schema_version = name, schema_version
    del found.fields[:]
    found.fields.append(spec)
    return found


def _version_key(name: str, version: int = 1) -> bytes:
    return b"c" + name.encode() + b"\0" + version.to_bytes(4, "big")


def _key(name: str) -> bytes:
    return b"c" + name.encode()


def _account(resource: str, subject: str) -> bytes:
    return f"a{resource}\0{subject}".encode()


_ERASURE = b"xalpha\0" + CORRECTED.id
FLOORS = Built(example.payload((7, "12")), resource=_OTHER, subject=_LATER, schema_version=1)
AMENDED = Built(example.payload((7, "3")), subject=_LATER, schema_version=4)
PLOTS = Built(example.payload((7, "1")), resource=_SURVEY, subject=_LATER, schema_version=1)


def _head(record: Built) -> bytes:
    return write(state_pb2.Head(version=1, record_id=record.id, action=1))  # type: ignore[arg-type]


def _heads(width: int, **held: bytes) -> bytes:
    """By slot: `_0` and so on."""
    items = [state_pb2.HeldHead(slot=int(slot[1:]), head=head) for slot, head in sorted(held.items())]
    return write(state_pb2.Heads(width=width, heads=items))


@cache
def _state() -> dict[bytes, bytes]:
    """That of the example chain's block 2, with what departments did thereafter."""
    terms = sharing_pb2.GrantTerms(resource=DEED, fields=[2], max_reads=5, expires_ms=NOW_MS + 1_000_000)
    reads = sharing_pb2.Reads(count=1, digest=tagged_hash("reads", bytes(32) + _READ))
    grant = sharing_pb2.GrantState(
        applicant="beta",
        owner="alpha",
        status=sharing_pb2.GRANT_STATUS_ACTIVE,
        purpose="核税 Tax assessment",
        legal_basis="契税法",
        applied=terms,
        granted=terms,
        applied_ms=NOW_MS,
        decided_ms=NOW_MS + 1,
        reads=reads,
    )
    read = sharing_pb2.ReadState(
        grant=_GRANT,
        reader="beta",
        owner="alpha",
        resource=DEED,
        subject=_REGISTERED,
        record_id=CORRECTED.id,
        case_number="2020-17",
        fields=[2],
        reader_key=OTHER,
        height=3,
        time_ms=NOW_MS + 2,
    )
    erasure = sharing_pb2.ErasureState(height=4, time_ms=NOW_MS + 3, legal_basis="个人信息保护法")
    added: dict[bytes, bytes | None] = {
        b"g" + _GRANT: write(grant),
        b"r" + _READ: write(read),
        _account(DEED, _REGISTERED): write(reads),
        _ERASURE: write(erasure),
        b"wdemo": (5).to_bytes(4, "big"),
        b"wsurvey": (1).to_bytes(4, "big"),
        _version_key(DEED, 4): write(_resource(DEED, 4, "ROOMS")),
        f"hdemo\0{_LATER}\0\0".encode(): _heads(8, _0=_head(AMENDED), _4=_head(FLOORS)),
        f"hsurvey\0{_LATER}\0\0".encode(): _heads(4, _0=_head(PLOTS)),
    }
    for name, number in _NUMBERS.items():
        known = state_pb2.ResourceState(
            department="alpha", number=number, newest_version=1, open_versions=[1], highest_field=7
        )
        added |= {_key(name): write(known), _version_key(name): write(_resource(name))}
    state = dict(state_after(_BEFORE))
    changed = settle(state[b"j"], added | {b"i" + bytes(40): b""})
    return state | {key: value for key, value in changed.items() if value is not None}


@dataclass(frozen=True)
class World:
    """A block after which this was the state, and statements as of it."""

    state: Mapping[bytes, bytes]
    chain_id: bytes = example.CHAIN_ID
    height: int = _HEIGHT

    @cached_property
    def _keys(self) -> dict[bytes, bytes]:
        return dict(leaf(key, value) for key, value in self.state.items() if key[:1] != b"i")

    @cached_property
    def block(self) -> Block:
        """Sealed by a quorum, whatever the state is."""
        header = block_pb2.BlockHeader(
            chain_id=self.chain_id,
            height=self.height,
            parent_hash=OTHER,
            proposer=1,
            time_ms=NOW_MS + 10_000,
            protocol_version=3,
            transactions_root=sha256().digest(),
            results_root=sha256().digest(),
            state_root=state_root(self.state),
            history_root=OTHER,
        )
        return Block("", b"", [], write(header))

    def _path(self, key: bytes) -> state_pb2.StateProof:
        proof = state_tree.proof(self._keys, tagged_hash("state-key", key))
        return state_pb2.StateProof(
            depth=proof.depth,
            occupied=proof.occupied,
            siblings=proof.siblings,
            other_path=proof.other_path,
            other_digest=proof.other_digest,
        )

    def entry(self, key: bytes, value: bytes | None = None) -> statement_pb2.EntryProof:
        """What the key has, or another value that it is said to have."""
        found = self.state.get(key, b"") if value is None else value
        return statement_pb2.EntryProof(key=key, value=found, path=self._path(key))

    def leaf(self, subject: str, shown: Sequence[int], register: str = "demo") -> statement_pb2.LeafProof:
        """With these slots of the first page open."""
        key = f"h{register}\0{subject}\0\0".encode()
        found = statement_pb2.LeafProof(register=register, subject=subject, path=self._path(key))
        heads = state_pb2.Heads.FromString(self.state.get(key, b""))
        held = {item.slot: item.head for item in heads.heads}
        for slot in range(heads.width):
            if slot % 4 == 0:
                found.groups.add()
            hiding = blind(heads.seed, slot)
            if slot in shown:
                found.groups[-1].slots.add(blind=hiding, head=held.get(slot, b""))
            else:
                start = b"\x05" if slot in held else b"\x04"
                found.groups[-1].slots.add(hash=sha256(start + hiding + held.get(slot, b"")).digest())
        return found

    def statement(
        self, *keys: bytes, leaves: Sequence[statement_pb2.LeafProof] = (), records: Sequence[Built] = ()
    ) -> bytes:
        """With what these keys have, in the order that there must be."""
        entries = [self.entry(key) for key in sorted(keys)]
        return self.of(*entries, leaves=leaves, records=records)

    def of(
        self,
        *entries: statement_pb2.EntryProof,
        leaves: Sequence[statement_pb2.LeafProof] = (),
        records: Sequence[Built] = (),
    ) -> bytes:
        """In the order given."""
        ordered = sorted(records, key=lambda record: record.id)
        return write(
            statement_pb2.Statement(
                header=self.block.header,
                certificate=certificate(self.height, self.block.hash, chain_id=self.chain_id),
                leaves=leaves,
                records=[statement_pb2.StatedRecord(record=built.raw, payload=built.payload) for built in ordered],
                entries=entries,
            )
        )


@cache
def world() -> World:
    """The sound one."""
    return World(_state())


def _both(name: str) -> tuple[bytes, bytes]:
    """What a verifier needs to know of a later resource."""
    return _key(name), _version_key(name)


def _case(
    name: str, raw: bytes, *answers: tuple[str, str, int], fields: Mapping[str, dict[str, str]] | None = None
) -> dict[str, object]:
    statement = statement_pb2.Statement.FromString(raw)
    return {
        "name": name,
        "statement": raw.hex(),
        "code": None,
        "answers": [
            {"resource": resource, "subject": subject, "version": version, "in_force": version > 0}
            | ({"fields": fields[resource]} if fields and resource in fields else {})
            for resource, subject, version in answers
        ],
        "entries": [{"key": entry.key.hex(), "value": entry.value.hex() or None} for entry in statement.entries],
    }


def _sound() -> list[dict[str, object]]:
    w = world()
    of_page = [(name, _UNKNOWN, 0) for name in (DEED, LEVY)]
    shown = {_OTHER: {"FLOORS": "12"}, DEED: {"ROOMS": "3"}}
    numbered = {_OTHER: {"#7": "12"}, DEED: {"#7": "3"}}
    wide = w.leaf(_LATER, [0, 4])
    return [
        _case("a grant", w.statement(b"g" + _GRANT)),
        _case(
            "a read, the account of its subject, and an erasure",
            w.statement(b"r" + _READ, _account(DEED, _REGISTERED), _ERASURE),
        ),
        _case("a read that there never was", w.statement(b"r" + OTHER)),
        _case("no reads of a subject", w.statement(_account(DEED, _UNKNOWN))),
        _case("no reads of a subject of a later resource", w.statement(_account(_PERMIT, _UNKNOWN), *_both(_PERMIT))),
        _case("64 entries", w.statement(*(b"g" + bytes([number]) * 32 for number in range(64)))),
        _case("keys, tallies and the pool", w.statement(b"j", b"nalpha", b"nnobody", b"wdemo", b"e", b"dalpha")),
        _case("a key that is no text", w.statement(b"c\xff", b"a" + DEED.encode() + b"\0" + _REGISTERED.encode())),
        _case("entries and leaves", w.statement(_ERASURE, leaves=[w.leaf(_UNKNOWN, [])]), *of_page),
        _case(
            "a leaf of a page that got wider, without a word on why",
            w.statement(leaves=[w.leaf(_LATER, [0, 1])]),
            (DEED, _LATER, 1),
            (LEVY, _LATER, 0),
        ),
        _case("a later resource", w.statement(*_both(_OTHER), leaves=[w.leaf(_LATER, [4])]), (_OTHER, _LATER, 1)),
        _case(
            "a later resource of a leaf that was written before",
            w.statement(*_both(_OTHER), leaves=[w.leaf(_REGISTERED, [])]),
            (_OTHER, _REGISTERED, 0),
        ),
        _case(
            "a later resource in a slot that was free",
            w.statement(*_both(_PERMIT), leaves=[w.leaf(_REGISTERED, [2])]),
            (_PERMIT, _REGISTERED, 0),
        ),
        _case(
            "later resources and a subject nobody ever heard of",
            w.statement(*_both(_PERMIT), *_both(_OTHER), leaves=[w.leaf(_UNKNOWN, [])]),
            *sorted([*of_page, (_PERMIT, _UNKNOWN, 0), (_OTHER, _UNKNOWN, 0)]),
        ),
        _case(
            "a later resource without its newest version, of which nothing is said",
            w.statement(_key(_PERMIT), leaves=[w.leaf(_UNKNOWN, [])]),
            *of_page,
        ),
        _case(
            "a register that came later",
            w.statement(*_both(_SURVEY), leaves=[w.leaf(_LATER, [0], "survey"), w.leaf(_UNKNOWN, [], "survey")]),
            (_SURVEY, _LATER, 1),
            (_SURVEY, _UNKNOWN, 0),
        ),
        _case(
            "a whole register",
            w.statement(b"wsurvey", *_both(_SURVEY), leaves=[w.leaf(_LATER, [0], "survey")]),
            (_SURVEY, _LATER, 1),
        ),
        _case(
            "a part of a register",
            w.statement(b"wdemo", *_both(_PERMIT), leaves=[w.leaf(_UNKNOWN, [])]),
            *sorted([*of_page, (_PERMIT, _UNKNOWN, 0)]),
        ),
        _case(
            "records of later schema versions",
            w.statement(*_both(_OTHER), _version_key(DEED, 4), leaves=[wide], records=[FLOORS, AMENDED]),
            (DEED, _LATER, 1),
            (_OTHER, _LATER, 1),
            fields=shown,
        ),
        _case(
            "a record of a later schema version that is not known",
            w.statement(leaves=[w.leaf(_LATER, [0])], records=[AMENDED]),
            (DEED, _LATER, 1),
            fields={DEED: numbered[DEED]},
        ),
    ]


def _with(change: Callable[[statement_pb2.EntryProof], object]) -> bytes:
    w = world()
    entry = w.entry(b"g" + _GRANT)
    change(entry)
    return w.of(entry)


def _about_entries() -> _Cases:
    w = world()
    present, absent = b"g" + _GRANT, b"g" + OTHER
    good, none = w.entry(present), w.entry(absent)
    value = w.state[present]
    heads = f"hdemo\0{_REGISTERED}\0\0".encode()
    many = [b"g" + bytes([number]) * 32 for number in range(65)]
    path = good.path
    return {
        "another value": ("BAD_PROOF", w.of(w.entry(present, value + b"\0"))),
        "a value with a bit flipped": ("BAD_PROOF", w.of(w.entry(present, value[:-1] + bytes([value[-1] ^ 1])))),
        "the value of another key": ("BAD_PROOF", w.of(w.entry(present, w.state[b"r" + _READ]))),
        "a value where there is none": ("BAD_PROOF", w.of(w.entry(absent, value))),
        "nothing where there is a value": ("BAD_PROOF", w.of(w.entry(present, b""))),
        "the path of another key": ("BAD_PROOF", _with(lambda entry: entry.path.CopyFrom(w.entry(b"r" + _READ).path))),
        "the absence of another key": (
            "BAD_PROOF",
            w.of(statement_pb2.EntryProof(key=present, path=none.path)),
        ),
        "another key": ("BAD_PROOF", _with(lambda entry: setattr(entry, "key", absent))),
        "no path": ("BAD_PROOF", _with(lambda entry: entry.ClearField("path"))),
        "a path a level deeper": ("BAD_PROOF", _with(lambda entry: setattr(entry.path, "depth", path.depth + 1))),
        "a path without siblings": ("BAD_PROOF", _with(lambda entry: setattr(entry.path, "siblings", b""))),
        "entries out of order": ("BAD_PROOF", w.of(w.entry(b"r" + _READ), good)),
        "an entry twice": ("BAD_PROOF", w.of(good, good)),
        "65 entries": ("BAD_PROOF", w.statement(*many)),
        "heads": ("BAD_PROOF", w.of(w.entry(heads))),
        "heads that are not there": ("BAD_PROOF", w.of(w.entry(f"hdemo\0{_UNKNOWN}\0\0".encode()))),
        "a seen id that is said not to be there": ("BAD_PROOF", w.of(w.entry(b"i" + bytes(40), b""))),
        "a seen id that is not there": ("BAD_PROOF", w.of(w.entry(b"i" + bytes(8) + OTHER))),
        "an empty key": ("BAD_PROOF", w.of(w.entry(b""))),
        "an entry with an unknown field": ("NOT_STRICT", w.of() + _odd_entry(good)),
        "an entry that is empty": ("BAD_PROOF", w.of(statement_pb2.EntryProof())),
        "entries before records": (
            "NOT_STRICT",
            w.of(good, leaves=[w.leaf(_LATER, [4])])
            + write(statement_pb2.Statement(records=[statement_pb2.StatedRecord(record=FLOORS.raw)])),
        ),
        "neither leaves nor entries": ("BAD_PROOF", w.of()),
        "of another block": ("BAD_PROOF", World(_state() | {b"wx": b"1234"}).of(good)),
    }


def _odd_entry(entry: statement_pb2.EntryProof) -> bytes:
    content = write(entry) + b"\x20\x01"
    return b"\x32" + bytes([len(content) & 127 | 128, len(content) >> 7]) + content


def _about_accounts() -> _Cases:
    w = world()
    like = {
        "a blank more": f"{_UNKNOWN} ",
        "a character that can't be seen": f"{_UNKNOWN}\u200b",
        "small letters": "zz9999",
        "no subject": "",
        "a line break": f"{_UNKNOWN}\n",
        "NUL": "ZZ\x009999",
    }
    cases: _Cases = {
        f"no reads of a subject with {name}": ("BAD_SUBJECT", w.statement(_account(DEED, text)))
        for name, text in like.items()
    }
    return cases | {
        "no reads of what is no text": ("BAD_SUBJECT", w.statement(b"a" + DEED.encode() + b"\0\xff")),
        "no reads of a resource alone": ("BAD_SUBJECT", w.statement(b"a" + DEED.encode())),
        "no reads of a resource that is none": ("BAD_PROOF", w.statement(_account("demo.none", _UNKNOWN))),
        "no reads of a later resource that is not shown": ("BAD_PROOF", w.statement(_account(_PERMIT, _UNKNOWN))),
        "no reads of a later resource whose newest version is not shown": (
            "BAD_PROOF",
            w.statement(_account(_PERMIT, _UNKNOWN), _key(_PERMIT)),
        ),
        "no reads of a subject that a later resource can't have": (
            "BAD_SUBJECT",
            w.statement(_account(_PERMIT, "zz9999"), *_both(_PERMIT)),
        ),
    }


def _about_later_resources() -> _Cases:
    w = world()
    leaf, before = w.leaf(_LATER, [4]), w.leaf(_REGISTERED, [])
    longer = statement_pb2.LeafProof.FromString(write(leaf))
    for _ in range(3):
        longer.groups.add(hash=OTHER)
    cut = statement_pb2.LeafProof.FromString(write(w.leaf(_LATER, [])))
    del cut.groups[1]
    only = w.leaf(_REGISTERED, [2])
    return {
        "a slot of a later resource that is not shown": ("BAD_PROOF", w.statement(leaves=[leaf])),
        "a slot of a later resource whose newest version is not shown": (
            "BAD_PROOF",
            w.statement(_key(_OTHER), leaves=[leaf]),
        ),
        "a slot of a later resource of which only the newest version is shown": (
            "BAD_PROOF",
            w.statement(_version_key(_OTHER), leaves=[leaf]),
        ),
        "a free slot of a later resource that is not shown": ("BAD_PROOF", w.statement(leaves=[only])),
        "a later register that is not shown": ("BAD_PROOF", w.statement(leaves=[w.leaf(_LATER, [0], "survey")])),
        "nothing in a later register that is not shown": (
            "BAD_PROOF",
            w.statement(leaves=[w.leaf(_UNKNOWN, [], "survey")]),
        ),
        "a page of a later register that has none": (
            "BAD_PROOF",
            w.statement(*_both(_SURVEY), leaves=[_on_page(w.leaf(_UNKNOWN, [], "survey"), 1)]),
        ),
        "a subject that a later register can't have": (
            "BAD_SUBJECT",
            w.statement(*_both(_SURVEY), leaves=[w.leaf("地块 7", [], "survey")]),
        ),
        "a slot of a later resource that can't have the subject": (
            "BAD_SUBJECT",
            w.statement(*_both(_PERMIT), leaves=[w.leaf("地块 7", [2])]),
        ),
        "a leaf with a group too few": ("BAD_PROOF", w.statement(*_both(_OTHER), leaves=[cut])),
        "a leaf with five groups": ("BAD_PROOF", w.statement(*_both(_OTHER), leaves=[longer])),
        "a leaf that was written before, as if it were not there": (
            "BAD_PROOF",
            w.statement(*_both(_OTHER), leaves=[_without_groups(before)]),
        ),
        "a record that the later schema version does not allow": ("UNKNOWN_FIELD", _unknown_field()),
    }


def _on_page(proof: statement_pb2.LeafProof, page: int) -> statement_pb2.LeafProof:
    proof.page = page
    key = f"h{proof.register}\0{proof.subject}\0".encode() + bytes([page])
    proof.path.CopyFrom(world().entry(key).path)
    return proof


def _without_groups(proof: statement_pb2.LeafProof) -> statement_pb2.LeafProof:
    del proof.groups[:]
    return proof


def _unknown_field() -> bytes:
    record = Built(example.payload((8, "3")), subject=_LATER, schema_version=4)
    key = f"hdemo\0{_LATER}\0\0".encode()
    w = World(_state() | {key: _heads(4, _0=_head(record))})
    return w.statement(_version_key(DEED, 4), leaves=[w.leaf(_LATER, [0])], records=[record])


def _about_what_no_block_makes() -> _Cases:
    """Sealed all the same."""

    def known(**fields: object) -> bytes:
        values = {"department": "alpha", "number": 2, "newest_version": 1} | fields
        return write(state_pb2.ResourceState(**values))  # type: ignore[arg-type]

    def with_resource(state: bytes, version: bytes, *more: str) -> bytes:
        w = World(_state() | {_key(_PERMIT): state, _version_key(_PERMIT): version})
        return w.statement(*_both(_PERMIT), *(key for name in more for key in _both(name)))

    good = write(_resource(_PERMIT))
    typeless, badly_patterned = _resource(_PERMIT), _resource(_PERMIT)
    typeless.subject.ClearField("type")
    badly_patterned.subject.pattern = "["
    without = _resource(_PERMIT)
    without.ClearField("subject")
    return {
        "a resource in the place of one of the genesis": ("BAD_PROOF", with_resource(known(number=1), good)),
        "two resources in one place": ("BAD_PROOF", with_resource(known(number=4), good, _OTHER)),
        "a resource beyond all pages": ("BAD_PROOF", with_resource(known(number=4096), good)),
        "a schema version under another's number": (
            "BAD_PROOF",
            with_resource(known(), write(_resource(_PERMIT, 2))),
        ),
        "a schema version under another's name": ("BAD_PROOF", with_resource(known(), write(_resource(_OTHER)))),
        "a resource whose subjects have no type": ("BAD_PROOF", with_resource(known(), write(typeless))),
        "a resource without subjects": ("BAD_PROOF", with_resource(known(), write(without))),
        "a resource whose subjects have a bad pattern": ("BAD_PROOF", with_resource(known(), write(badly_patterned))),
        "a resource in another form": ("NOT_STRICT", with_resource(known() + b"\xff", good)),
        "a schema version in another form": ("NOT_STRICT", with_resource(known(), good + b"\xff")),
    }


def _entries() -> dict[str, object]:
    corrupt = _about_entries() | _about_accounts() | _about_later_resources() | _about_what_no_block_makes()
    return {
        "about": "Statements with entries of the state, and about resources that came after the genesis: sound ones with what they "
        "answer, and others named after what is wrong.",
        "rule": "Q1 to Q8",
        "genesis": example.GENESIS.hex(),
        "cases": _sound()
        + [{"name": name, "statement": raw.hex(), "code": code} for name, (code, raw) in corrupt.items()],
    }


VECTORS = {"statement_entries.json": _entries}

"""Disclosures of records under schema versions that came after the genesis: sound ones, and others named after what is wrong (docs/protocol.md P3).

Of the same genesis as those whose schema versions it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from huzheng.v1 import block_pb2, catalogue_pb2, disclosure_pb2, genesis_pb2, state_pb2, statement_pb2

from tests.naive import confidential
from tests.naive.confidential import Secret
from tests.naive.ledger import initial_catalogue
from tests.vectors import example
from tests.vectors.example import OTHER, Built, write
from tests.vectors.example_chain import certificate
from tests.vectors.sections import membership
from tests.vectors.sections.confidential import (
    CHAIN_ID,
    DWELLING,
    GENESIS,
    OWNER,
    PRICE,
    RECORD,
    SECRETS,
    SHARE,
    USE,
    dwelling,
    receipt_of,
    secret_of,
    shown_field,
)
from tests.vectors.sections.entries import World

_Cases = dict[str, tuple[str, bytes]]
_Resource = catalogue_pb2.Resource
_STABLE = "demo.stable"
"""Came later; one of its two fields is confidential."""
_TAX = 140
"""The dwelling's new confidential field, which has the last place."""
_VERSION = 3
"""Of the dwelling: the one after the genesis'."""


def _amended(version: int = _VERSION) -> _Resource:
    """The dwelling without SINCE, so that the places after it are others, and with fields that it did not have."""
    found = dwelling()
    found.schema_version = version
    kept = [spec for spec in found.fields if spec.name != "SINCE"]
    del found.fields[:]
    found.fields.extend(kept)
    kind = catalogue_pb2.FieldType
    found.fields.add(number=132, name="ROOMS", type=kind.FIELD_TYPE_INTEGER)
    found.fields.add(number=_TAX, name="TAX", type=kind.FIELD_TYPE_DECIMAL, scale=2, required=True, confidential=True)
    return _titled(found)


def _stable() -> _Resource:
    found = dwelling()
    found.name, found.schema_version = _STABLE, 1
    kind, owner = found.fields[:2]
    del found.fields[:]
    found.fields.extend([kind, owner])
    return _titled(found)


def _titled(resource: _Resource) -> _Resource:
    for spec in (resource.subject, *resource.fields):
        spec.title_zh = spec.title_en = spec.name or "Subject"
    return resource


def _key(name: str) -> bytes:
    return b"c" + name.encode()


def _version_key(name: str, version: int) -> bytes:
    return _key(name) + b"\0" + version.to_bytes(4, "big")


def _state() -> dict[bytes, bytes]:
    """The catalogue as the genesis has it, with two later versions of the dwelling and a later resource."""
    known = state_pb2.ResourceState(department="alpha", number=4, newest_version=1, open_versions=[1], highest_field=2)
    published = [_amended(), _amended(_VERSION + 1), _stable()]
    versions = {_version_key(found.name, found.schema_version): write(found) for found in published}
    return initial_catalogue(genesis_pb2.Genesis.FromString(GENESIS)) | {_key(_STABLE): write(known)} | versions


@cache
def _world(height: int = 20) -> World:
    return World(_state(), CHAIN_ID, height)


@cache
def _proof(name: str = DWELLING, version: int = _VERSION, height: int = 20) -> bytes:
    return _world(height).statement(_version_key(name, version))


LATER = [SECRETS[0], SECRETS[1], SECRETS[3], SECRETS[4], secret_of(_TAX, "36000.00")]
"""Of a record under the dwelling's later version."""
NAMES = {OWNER: "OWNER", PRICE: "PRICE", SHARE: "SHARE", USE: "USE", _TAX: "TAX"}


def _record(secrets: Sequence[Secret] = LATER, content: bytes | None = None, **fields: Any) -> Built:
    values: dict[str, Any] = {
        "resource": DWELLING,
        "schema_version": _VERSION,
        "confidential_root": confidential.root(secrets),
    }
    return Built(content or example.payload((1, "flat"), (132, "4")), **(values | fields))


AMENDED = _record()
FOAL = [secret_of(OWNER, "李四")]
STABLED = _record(FOAL, example.payload((1, "house")), resource=_STABLE, schema_version=1)


def _disclosure(
    *fields: disclosure_pb2.DisclosedField, record: Built = AMENDED, catalogue: bytes | None = None
) -> bytes:
    proof = _proof() if catalogue is None else catalogue
    return write(disclosure_pb2.Disclosure(receipt=receipt_of(record), fields=fields, catalogue=proof))


def _case(
    name: str, raw: bytes, record: Built, values: dict[str, str], secrets: Sequence[Secret], height: int = 7
) -> dict[str, object]:
    fields = [{"number": number, "name": NAMES[number], "value": value} for number, value, _ in secrets]
    verdict = {"height": height, "record_id": record.id.hex(), "values": values, "fields": fields}
    return {"name": name, "disclosure": raw.hex(), "code": None, "verdict": verdict}


def _sound() -> list[dict[str, object]]:
    values = {"KIND": "flat", "ROOMS": "4"}
    plans = {"field in the place of another": [2], "new field": [4], "all fields": [0, 1, 2, 3, 4], "no field": []}
    cases = [
        _case(
            name,
            _disclosure(*(shown_field(place, LATER) for place in places)),
            AMENDED,
            values,
            [LATER[place] for place in places],
        )
        for name, places in plans.items()
    ]
    before = _disclosure(shown_field(1, LATER), catalogue=_proof(height=3))
    cases.append(_case("schema version proved as of an earlier block", before, AMENDED, values, [LATER[1]]))
    stabled = _disclosure(shown_field(0, FOAL), record=STABLED, catalogue=_proof(_STABLE, 1))
    for name, receipt in (
        ("schema version proved by the receipt's epoch", _receipt_after(6)),
        ("schema version proved by an epoch after the receipt's", receipt_of(AMENDED)),
    ):
        raw = _over_epochs(receipt, _catalogue_after(6))
        height = block_pb2.BlockHeader.FromString(block_pb2.Receipt.FromString(receipt).header).height
        cases.append(_case(name, raw, AMENDED, values, [LATER[1]], height))
    cases.append(_case("resource that came later", stabled, STABLED, {"KIND": "house"}, FOAL))
    return cases


def _about_what_it_proves() -> _Cases:
    field = shown_field(0, LATER)
    lost = _world().of(_world().entry(_version_key(DWELLING, _VERSION), b""))
    absent = _world().statement(_version_key(DWELLING, 5))
    of_genesis = _world().statement(_version_key(DWELLING, 2))
    current = shown_field(0)
    return {
        "schema version not proved": ("SCHEMA_UNKNOWN", _disclosure(field, catalogue=b"")),
        "resource not proved": ("SCHEMA_UNKNOWN", _disclosure(shown_field(0, FOAL), record=STABLED, catalogue=b"")),
        "schema version after it proved": ("BAD_PROOF", _disclosure(field, catalogue=_proof(version=4))),
        "schema version before it proved": ("BAD_PROOF", _disclosure(field, catalogue=of_genesis)),
        "another resource proved": ("BAD_PROOF", _disclosure(field, catalogue=_proof(_STABLE, 1))),
        "that the schema version is not there": ("BAD_PROOF", _disclosure(field, catalogue=lost)),
        "that a schema version is not there yet": (
            "BAD_PROOF",
            _disclosure(field, record=_record(schema_version=5), catalogue=absent),
        ),
        "schema version of the genesis proved": (
            "BAD_PROOF",
            _disclosure(current, record=RECORD, catalogue=of_genesis),
        ),
        "later schema version proved where the genesis has the record's": (
            "BAD_PROOF",
            _disclosure(current, record=RECORD, catalogue=_proof()),
        ),
    }


def _about_the_statement() -> _Cases:
    w, key = _world(), _version_key(DWELLING, _VERSION)
    nothing = w.leaf("AB1234", [])
    cases = {
        "not a message": ("NOT_STRICT", b"\xff"),
        "cut off": ("NOT_STRICT", _proof()[:-1]),
        "trailing zero byte": ("NOT_STRICT", _proof() + b"\x00"),
        "a receipt": ("NOT_STRICT", receipt_of(AMENDED)),
        "a disclosure": ("NOT_STRICT", _disclosure()),
        "of another chain": ("WRONG_CHAIN", World(_state()).statement(key)),
        "with a seal too few": ("BAD_CERTIFICATE", _with_certificate_of_two()),
        "without header": ("WRONG_CHAIN", _changed(lambda statement: statement.ClearField("header"))),
        "with a proof of an epoch that it is not of": (
            "BAD_CERTIFICATE",
            _changed(lambda statement: statement.epochs.add(header=w.block.header)),
        ),
        "of another state": ("BAD_PROOF", World(_state() | {b"wx": b"1234"}, CHAIN_ID).of(w.entry(key))),
        "whose value has a bit flipped": ("BAD_PROOF", w.of(w.entry(key, _flipped(w.state[key])))),
        "without entry": ("BAD_PROOF", w.of()),
        "with the entry twice": ("BAD_PROOF", w.of(w.entry(key), w.entry(key))),
        "with a second entry": ("BAD_PROOF", w.statement(key, _key(DWELLING))),
        "with a second schema version": ("BAD_PROOF", w.statement(key, _version_key(DWELLING, 4))),
        "with an entry that is not there besides": ("BAD_PROOF", w.statement(key, b"g" + OTHER)),
        "with the resource alone": ("BAD_PROOF", w.statement(_key(DWELLING))),
        "with another entry": ("BAD_PROOF", w.statement(_key(_STABLE))),
        "with a leaf that shows nothing": ("BAD_PROOF", w.statement(key, leaves=[nothing])),
        "with a leaf alone": ("BAD_PROOF", w.statement(leaves=[nothing])),
    }
    field = shown_field(0, LATER)
    return {f"catalogue {name}": (code, _disclosure(field, catalogue=raw)) for name, (code, raw) in cases.items()} | {
        "catalogue before the fields": ("NOT_STRICT", _out_of_order())
    }


def _flipped(value: bytes) -> bytes:
    return value[:-1] + bytes([value[-1] ^ 1])


def _changed(change: Callable[[statement_pb2.Statement], object]) -> bytes:
    statement = statement_pb2.Statement.FromString(_proof())
    change(statement)
    return write(statement)


def _with_certificate_of_two() -> bytes:
    seals = certificate(20, _world().block.hash, (1, 2), CHAIN_ID)
    return _changed(lambda statement: setattr(statement, "certificate", seals))


def _out_of_order() -> bytes:
    before = write(disclosure_pb2.Disclosure(receipt=receipt_of(AMENDED), catalogue=_proof()))
    return before + write(disclosure_pb2.Disclosure(fields=[shown_field(0, LATER)]))


def _about_what_no_block_makes() -> _Cases:
    """Sealed all the same: a schema version that is none."""

    def stating(resource: _Resource, key: bytes | None = None) -> bytes:
        place = key or _version_key(DWELLING, _VERSION)
        found = World(_state() | {place: write(resource)}, CHAIN_ID).statement(place)
        return _disclosure(shown_field(0, LATER), catalogue=found)

    def changed(change: Callable[[_Resource], object]) -> bytes:
        resource = _amended()
        change(resource)
        return stating(resource)

    def field(place: int, **values: object) -> bytes:
        def change(resource: _Resource) -> None:
            for name, value in values.items():
                setattr(resource.fields[place], name, value)

        return changed(change)

    odd = {
        "under another's name": stating(_stable()),
        "under another's number": stating(_amended(4)),
        "under a key of another kind": stating(_amended(), b"x" + _version_key(DWELLING, _VERSION)),
        "without title": changed(lambda resource: resource.ClearField("title_en")),
        "of a department that can't be one": changed(lambda resource: setattr(resource, "department", "A")),
        "of no sharing class": changed(lambda resource: resource.ClearField("sharing_class")),
        "whose subject is confidential": changed(lambda resource: setattr(resource.subject, "confidential", True)),
        "whose subject has no type": changed(lambda resource: resource.subject.ClearField("type")),
        "without subject": changed(lambda resource: resource.ClearField("subject")),
        "with a field of no type": field(0, type=0),
        "with a field of a type that is not known": field(0, type=9),
        "with two fields of one number": field(0, number=OWNER),
        "with two fields of one name": field(0, name="OWNER"),
        "with fields out of order": field(0, number=3),
        "with a number that is too large": field(-1, number=1024),
        "with a bad pattern": field(4, pattern="["),
        "with a pattern where it is of no use": field(3, pattern="x"),
        "with a length where it is of no use": field(3, max_bytes=1),
        "with a scale that is too large": field(3, scale=18),
        "with codes out of order": changed(lambda resource: resource.fields[0].codes.append("barn")),
        "with 65 confidential fields": changed(_crowd),
        "in another form": _disclosure(
            shown_field(0, LATER),
            catalogue=World(
                _state() | {_version_key(DWELLING, _VERSION): write(_amended()) + b"\x78\x01"}, CHAIN_ID
            ).statement(_version_key(DWELLING, _VERSION)),
        ),
    }
    codes = {"in another form": "NOT_STRICT"}
    return {f"schema version {name}": (codes.get(name, "BAD_PROOF"), raw) for name, raw in odd.items()}


def _crowd(resource: _Resource) -> None:
    for number in range(200, 260):
        resource.fields.add(
            number=number,
            name=f"F{number}",
            title_zh="F",
            title_en="F",
            type=catalogue_pb2.FIELD_TYPE_INTEGER,
            confidential=True,
        )


_JOINED = (1, 2, 5)
"""Of the members before, those that seal with the one that joined."""


def _joining(replica: int) -> block_pb2.EpochProof:
    """That epoch 0 ended as this replica joined."""
    return membership.sealed(membership.CHANGED, 0, membership.changing(CHAIN_ID, replica), (1, 2, 3), 1, CHAIN_ID)


def _receipt_after(joined: int) -> bytes:
    """Of the record in the first block of the epoch after it."""
    raw = example.transaction(AMENDED, chain_id=CHAIN_ID)
    block = membership.sealed(membership.FIRST, 1, raw, (*_JOINED, joined), 1, CHAIN_ID)
    receipt = block_pb2.Receipt.FromString(receipt_of(AMENDED))
    receipt.header, receipt.certificate = block.header, block.certificate
    receipt.epochs.append(_joining(joined))
    return write(receipt)


def _catalogue_after(joined: int) -> bytes:
    """As of a later block of that epoch."""
    statement = statement_pb2.Statement.FromString(_proof())
    header = block_pb2.BlockHeader.FromString(statement.header)
    header.epoch = 1
    statement.header = write(header)
    statement.certificate = membership.certified(statement.header, 1, header.height, (*_JOINED, joined), CHAIN_ID)
    statement.epochs.append(_joining(joined))
    return write(statement)


def _over_epochs(receipt: bytes, catalogue: bytes) -> bytes:
    field = shown_field(1, LATER)
    return write(disclosure_pb2.Disclosure(receipt=receipt, fields=[field], catalogue=catalogue))


def _about_epochs() -> _Cases:
    """Each is sealed by whom it says; but names are not to be vouched for by older keys than values, nor by those of a fork."""
    before = _proof(height=membership.CHANGED)
    return {
        "schema version proved by an epoch before the receipt's": (
            "BAD_PROOF",
            _over_epochs(_receipt_after(6), before),
        ),
        "schema version proved by an epoch of a fork": (
            "BAD_PROOF",
            _over_epochs(_receipt_after(6), _catalogue_after(7)),
        ),
        "schema version proved without the proof of its epoch": (
            "EPOCH_UNKNOWN",
            _over_epochs(
                _receipt_after(6),
                write(_without_epochs(statement_pb2.Statement.FromString(_catalogue_after(6)))),
            ),
        ),
    }


def _without_epochs(statement: statement_pb2.Statement) -> statement_pb2.Statement:
    statement.ClearField("epochs")
    return statement


def _about_the_fields() -> _Cases:
    """What follows from the later schema version, where the genesis' would say something else."""
    free = [LATER[0], secret_of(PRICE, "free"), *LATER[2:]]
    bare = [*LATER[:4], secret_of(_TAX, "")]
    dropped = _record(content=example.payload((1, "flat"), (5, "2020-02-29")))
    return {
        "field in the place that it had before": (
            "BAD_PROOF",
            _disclosure(shown_field(2, LATER, path=confidential.path(3, LATER))),
        ),
        "field that was dropped": ("UNKNOWN_FIELD", _disclosure(shown_field(2))),
        "public field": ("UNKNOWN_FIELD", _disclosure(shown_field(0, LATER, number=132))),
        "record under the version before that cites this one": (
            "BAD_PROOF",
            _disclosure(shown_field(3), record=_record(SECRETS)),
        ),
        "payload with a field that the schema version does not have": (
            "UNKNOWN_FIELD",
            _disclosure(shown_field(0, LATER), record=_record(content=example.payload((1, "flat"), (9, "1")))),
        ),
        "payload with a field that was dropped": ("UNKNOWN_FIELD", _disclosure(shown_field(0, LATER), record=dropped)),
        "value that does not fit, committed to": (
            "BAD_FIELD",
            _disclosure(shown_field(1, free), record=_record(free)),
        ),
        "new field without the value that is required, committed to": (
            "MISSING_FIELD",
            _disclosure(shown_field(4, bare), record=_record(bare)),
        ),
    }


def _disclosed_catalogue() -> dict[str, object]:
    groups = (
        *(_about_what_it_proves(), _about_the_statement(), _about_what_no_block_makes()),
        *(_about_epochs(), _about_the_fields()),
    )
    refused = [
        {"name": name, "disclosure": raw.hex(), "code": code, "verdict": None}
        for group in groups
        for name, (code, raw) in group.items()
    ]
    return {
        "about": "Disclosures of records whose schema versions came after the genesis, with the statements that prove them: the code that "
        "each is refused with, or null and what it proves. An empty value is none.",
        "rule": "P3, Q8, R6",
        "genesis": GENESIS.hex(),
        "disclosures": [*_sound(), *refused],
    }


VECTORS = {"disclosed_catalogue.json": _disclosed_catalogue}

"""Commitments to confidential fields, and disclosures: sound ones, and others named after what is wrong (docs/protocol.md section 15).

Of a genesis of their own: that of the other vectors has no confidential fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from huzheng.v1 import block_pb2, catalogue_pb2, disclosure_pb2
from huzheng.v1 import transaction_pb2 as pb

from tests.naive import confidential, merkle
from tests.naive.confidential import Secret
from tests.naive.ledger import tagged_hash
from tests.vectors import example
from tests.vectors.example import OTHER, Built, write
from tests.vectors.example_chain import certificate

_Cases = dict[str, tuple[str, bytes]]
DWELLING, PERSON = "demo.dwelling", "demo.person"
OWNER, PRICE, SINCE, SHARE, USE = 2, 4, 5, 130, 131
"""Confidential fields of a dwelling; the first two are required."""


def dwelling() -> catalogue_pb2.Resource:
    """As the genesis has it."""
    spec, kind = catalogue_pb2.FieldSpec, catalogue_pb2.FieldType
    return catalogue_pb2.Resource(
        name=DWELLING,
        title_zh="住宅",
        title_en="Dwelling",
        department="alpha",
        sharing_class=catalogue_pb2.SHARING_CLASS_CONDITIONAL,
        schema_version=2,
        subject=spec(type=kind.FIELD_TYPE_TEXT, required=True, max_bytes=6, pattern="[A-Z]{2}[0-9]{4}"),
        fields=[
            spec(number=1, name="KIND", type=kind.FIELD_TYPE_CODE, codes=["flat", "house"], required=True),
            spec(number=OWNER, name="OWNER", type=kind.FIELD_TYPE_TEXT, max_bytes=64, required=True, confidential=True),
            spec(number=3, name="FLOOR", type=kind.FIELD_TYPE_INTEGER),
            spec(number=PRICE, name="PRICE", type=kind.FIELD_TYPE_DECIMAL, scale=2, required=True, confidential=True),
            spec(number=SINCE, name="SINCE", type=kind.FIELD_TYPE_DATE, confidential=True),
            spec(
                number=SHARE,
                name="SHARE",
                type=kind.FIELD_TYPE_TEXT,
                max_bytes=8,
                pattern="[1-9][0-9]?%",
                confidential=True,
            ),
            spec(number=USE, name="USE", type=kind.FIELD_TYPE_CODE, codes=["lets", "lives"], confidential=True),
        ],
    )


def _person() -> catalogue_pb2.Resource:
    """With one confidential field alone, so that its path is empty."""
    spec, kind = catalogue_pb2.FieldSpec, catalogue_pb2.FieldType
    return catalogue_pb2.Resource(
        name=PERSON,
        title_zh="人员",
        title_en="Person",
        department="alpha",
        sharing_class=catalogue_pb2.SHARING_CLASS_CONDITIONAL,
        schema_version=1,
        subject=spec(type=kind.FIELD_TYPE_TEXT, required=True, max_bytes=16),
        fields=[spec(number=1, name="NAME", type=kind.FIELD_TYPE_TEXT, max_bytes=64, confidential=True)],
    )


def _genesis() -> bytes:
    message = example.genesis_message()
    added = [dwelling(), _person()]
    for resource in added:
        for titled in (resource.subject, *resource.fields):
            titled.title_zh = titled.title_en = titled.name or "Subject"
    resources = sorted([*message.catalogue, *added], key=lambda resource: resource.name)
    del message.catalogue[:]
    message.catalogue.extend(resources)
    return write(message)


GENESIS = _genesis()
CHAIN_ID = tagged_hash("genesis", GENESIS)


def _salt(number: int) -> bytes:
    return sha256(b"salt %d" % number).digest()[:16]


def secret_of(number: int, value: str) -> Secret:
    """With a salt that hangs on the number."""
    return number, value, _salt(number)


SECRETS = [
    secret_of(OWNER, "张三"),
    secret_of(PRICE, "1200000.50"),
    secret_of(SINCE, ""),
    secret_of(SHARE, "50%"),
    secret_of(USE, "lives"),
]
NAMES = {OWNER: "OWNER", PRICE: "PRICE", SINCE: "SINCE", SHARE: "SHARE", USE: "USE"}


def _record(secrets: Sequence[Secret] = SECRETS, **fields: Any) -> Built:
    values: dict[str, Any] = {
        "resource": DWELLING,
        "schema_version": 2,
        "confidential_root": confidential.root(secrets),
    }
    return Built(example.payload((1, "flat")), **(values | fields))


RECORD = _record()
LONE = [(1, "张三", _salt(1))]
PERSON_RECORD = Built(
    example.payload(), resource=PERSON, subject="7", schema_version=1, confidential_root=confidential.root(LONE)
)


def receipt_of(*records: Built, code: int = 1, seals: tuple[int, ...] = (1, 2, 3), shown: bool = True) -> bytes:
    """Of the first of these records, in a block of its transaction alone, which a quorum sealed."""
    transaction = pb.Transaction.FromString(example.transaction(*records, chain_id=CHAIN_ID))
    identifier = tagged_hash("transaction", transaction.body)
    result = write(pb.TransactionResult(transaction_id=identifier, code=code))  # type: ignore[arg-type]
    header = write(
        block_pb2.BlockHeader(
            chain_id=CHAIN_ID,
            height=7,
            time_ms=example.NOW_MS,
            protocol_version=3,
            transaction_count=1,
            transactions_root=merkle.root([identifier]),
            results_root=merkle.root([tagged_hash("result", result)]),
        )
    )
    receipt = block_pb2.Receipt(
        header=header,
        certificate=certificate(7, tagged_hash("block", header), seals, CHAIN_ID),
        body=transaction.body,
        signature=transaction.signature,
        result=result,
    )
    if shown:
        receipt.record.record = records[0].raw
        receipt.record.payload = records[0].payload
        receipt.record.path.extend(merkle.inclusion_path(0, [record.id for record in records]))
    return write(receipt)


def shown_field(place: int, secrets: Sequence[Secret] = SECRETS, **changes: Any) -> disclosure_pb2.DisclosedField:
    """A field as it is disclosed, with other contents where they are given."""
    number, value, salt = secrets[place]
    fields: dict[str, Any] = {
        "number": number,
        "value": value,
        "salt": salt,
        "path": confidential.path(place, secrets),
    }
    return disclosure_pb2.DisclosedField(**(fields | changes))


def _disclosure(*fields: disclosure_pb2.DisclosedField, receipt: bytes | None = None) -> bytes:
    return write(disclosure_pb2.Disclosure(receipt=receipt_of(RECORD) if receipt is None else receipt, fields=fields))


def _sound() -> list[dict[str, object]]:
    pair = Built(example.payload((1, "house"), (3, "-2")), resource=DWELLING, subject="CD0001", schema_version=2)
    plans = {NAMES[secret[0]]: [place] for place, secret in enumerate(SECRETS) if secret[1]} | {
        "field without value": [2],
        "two fields": [0, 4],
        "all fields": [0, 1, 2, 3, 4],
        "no field": [],
    }
    cases = [
        _case(
            name, RECORD, [SECRETS[place] for place in places], _disclosure(*(shown_field(place) for place in places))
        )
        for name, places in plans.items()
    ]
    others = _disclosure(shown_field(1), receipt=receipt_of(RECORD, pair))
    cases.append(_case("record with another in its transaction", RECORD, [SECRETS[1]], others))
    lone = _disclosure(shown_field(0, LONE), receipt=receipt_of(PERSON_RECORD))
    cases.append(_case("only confidential field of its schema", PERSON_RECORD, LONE, lone))
    return cases


def _case(name: str, record: Built, secrets: Sequence[Secret], raw: bytes) -> dict[str, object]:
    named = NAMES if record is RECORD else {1: "NAME"}
    fields = [{"number": number, "name": named[number], "value": value} for number, value, _ in secrets]
    return {
        "name": name,
        "disclosure": raw.hex(),
        "code": None,
        "verdict": {"height": 7, "record_id": record.id.hex(), "fields": fields},
    }


def _about_the_form() -> _Cases:
    raw = _disclosure(shown_field(0), shown_field(1))
    receipt = receipt_of(RECORD)
    return {
        "empty": ("WRONG_CHAIN", b""),
        "not a message": ("NOT_STRICT", b"\xff" * 40),
        "cut off": ("NOT_STRICT", raw[:-1]),
        "trailing zero byte": ("NOT_STRICT", raw + b"\x00"),
        "unknown field": ("NOT_STRICT", raw + b"\x20\x01"),
        "unknown field in a field": ("NOT_STRICT", raw + b"\x12\x04\x08\x07\x28\x01"),
        "receipt after the fields": (
            "NOT_STRICT",
            write(disclosure_pb2.Disclosure(fields=[shown_field(0)])) + b"\x0a\x01x",
        ),
        "receipt twice": ("NOT_STRICT", raw + raw),
        "value not UTF-8": ("NOT_STRICT", raw + b"\x12\x05\x08\x07\x12\x01\xff"),
        "empty value present": ("NOT_STRICT", raw + b"\x12\x04\x08\x07\x12\x00"),
        "receipt alone": ("NOT_STRICT", receipt),
        "fields out of order": ("BAD_PROOF", _disclosure(shown_field(1), shown_field(0))),
        "field twice": ("BAD_PROOF", _disclosure(shown_field(0), shown_field(0))),
        "field empty": ("UNKNOWN_FIELD", _disclosure(disclosure_pb2.DisclosedField())),
        "65 fields": ("BAD_PROOF", _disclosure(*(shown_field(0, number=number) for number in range(1, 66)))),
    }


def _about_the_receipt() -> _Cases:
    field = shown_field(0)
    revoking = Built(b"", resource=DWELLING, version=2, replaces=RECORD.id, action=pb.RECORD_ACTION_REVOKE)
    bare = _record(confidential_root=b"")
    cut = block_pb2.Receipt.FromString(receipt_of(RECORD))
    cut.record.payload = example.payload((1, "house"))
    return {
        "receipt unset": ("WRONG_CHAIN", _disclosure(field, receipt=b"")),
        "receipt not strict": ("NOT_STRICT", _disclosure(field, receipt=receipt_of(RECORD) + b"\x00")),
        "receipt with a seal too few": (
            "BAD_CERTIFICATE",
            _disclosure(field, receipt=receipt_of(RECORD, seals=(1, 2))),
        ),
        "receipt with another payload": ("BAD_PROOF", _disclosure(field, receipt=write(cut))),
        "receipt without record": ("BAD_PROOF", _disclosure(field, receipt=receipt_of(RECORD, shown=False))),
        "receipt of a refused record": ("BAD_PROOF", _disclosure(field, receipt=receipt_of(RECORD, code=16))),
        "receipt of a revoking record": ("BAD_PROOF", _disclosure(field, receipt=receipt_of(revoking))),
        "no field, receipt of a revoking record": ("BAD_PROOF", _disclosure(receipt=receipt_of(revoking))),
        "receipt of another record": ("BAD_PROOF", _disclosure(field, receipt=receipt_of(_record(SECRETS[::-1])))),
        "record without root, accepted and sealed": ("BAD_PROOF", _disclosure(field, receipt=receipt_of(bare))),
        "schema version that the genesis lacks": (
            "SCHEMA_UNKNOWN",
            _disclosure(field, receipt=receipt_of(_record(schema_version=3))),
        ),
        "schema version of the past": (
            "SCHEMA_UNKNOWN",
            _disclosure(field, receipt=receipt_of(_record(schema_version=1))),
        ),
    }


def _about_the_fields() -> _Cases:
    good = shown_field(1)
    path = list(good.path)
    flipped = [bytes([path[0][0] ^ 1]) + path[0][1:], *path[1:]]
    cases = {
        "value of another field": _disclosure(shown_field(1, value=SECRETS[3][1])),
        "value changed": _disclosure(shown_field(1, value="1200000.5")),
        "value hidden": _disclosure(shown_field(1, value="")),
        "value invented where there is none": _disclosure(shown_field(2, value="2020-02-29")),
        "number of another field": _disclosure(shown_field(1, number=OWNER)),
        "field in another field's place": _disclosure(shown_field(1, path=confidential.path(0, SECRETS))),
        "field as another one, with its path": _disclosure(
            shown_field(1, number=OWNER, path=confidential.path(0, SECRETS))
        ),
        "salt changed": _disclosure(shown_field(1, salt=_salt(0))),
        "salt unset": _disclosure(shown_field(1, salt=b"")),
        "salt a byte short": _disclosure(shown_field(1, salt=_salt(PRICE)[:15])),
        "salt a byte long": _disclosure(shown_field(1, salt=_salt(PRICE) + b"\x08")),
        "path empty": _disclosure(shown_field(1, path=[])),
        "path without its last hash": _disclosure(shown_field(1, path=path[:-1])),
        "path with a hash added": _disclosure(shown_field(1, path=[*path, OTHER])),
        "path of 66 hashes": _disclosure(shown_field(1, path=path + [OTHER] * 63)),
        "path with a bit flipped": _disclosure(shown_field(1, path=flipped)),
        "path with a hash cut": _disclosure(shown_field(1, path=[path[0][:-1], *path[1:]])),
        "path upside down": _disclosure(shown_field(1, path=path[::-1])),
        "second field with a path of the first": _disclosure(
            shown_field(0), shown_field(1, path=confidential.path(0, SECRETS))
        ),
    }
    return {name: ("BAD_PROOF", raw) for name, raw in cases.items()} | {
        "public field": ("UNKNOWN_FIELD", _disclosure(shown_field(0, number=1, value="flat"))),
        "number that no field has": ("UNKNOWN_FIELD", _disclosure(shown_field(0, number=1_000))),
        "largest number": ("UNKNOWN_FIELD", _disclosure(shown_field(4, number=2**32 - 1))),
    }


def _about_what_was_committed_to() -> _Cases:
    """Records that no sound program makes, accepted and sealed: nobody but who is shown the fields can tell."""
    odd = {
        "value that does not fit": ("BAD_FIELD", 1, [SECRETS[0], secret_of(PRICE, "1.234"), *SECRETS[2:]]),
        "date that there never was": ("BAD_FIELD", 2, [*SECRETS[:2], secret_of(SINCE, "2021-02-29"), *SECRETS[3:]]),
        "value that does not fit its pattern": ("BAD_FIELD", 3, [*SECRETS[:3], secret_of(SHARE, "0%"), SECRETS[4]]),
        "code that there is not": ("BAD_FIELD", 4, [*SECRETS[:4], secret_of(USE, "sells")]),
        "text that reads otherwise than it is": ("BAD_FIELD", 0, [secret_of(OWNER, "张\u202e三"), *SECRETS[1:]]),
        "text that is too long": ("BAD_FIELD", 0, [secret_of(OWNER, "张" * 22), *SECRETS[1:]]),
        "required field without value": ("MISSING_FIELD", 0, [secret_of(OWNER, ""), *SECRETS[1:]]),
        "salt of 15 bytes": ("BAD_PROOF", 0, [(OWNER, "张三", _salt(OWNER)[:15]), *SECRETS[1:]]),
        "salt of 17 bytes": ("BAD_PROOF", 0, [(OWNER, "张三", _salt(OWNER) + b"x"), *SECRETS[1:]]),
        "tree without the fields that have no value": ("BAD_PROOF", 0, [s for s in SECRETS if s[1]]),
        "tree with a field too many": ("BAD_PROOF", 4, [*SECRETS, secret_of(140, "")]),
        "tree in another order": ("BAD_PROOF", 4, [*SECRETS[:3], SECRETS[4], SECRETS[3]]),
        "number twice, the second time in another's place": (
            "BAD_PROOF",
            1,
            [SECRETS[0], secret_of(OWNER, "李四"), *SECRETS[2:]],
        ),
    }
    cases = {}
    for name, (code, place, secrets) in odd.items():
        cases[f"{name}, committed to"] = (
            code,
            _disclosure(shown_field(place, secrets), receipt=receipt_of(_record(secrets))),
        )
    wrong = [SECRETS[0], secret_of(PRICE, "free"), *SECRETS[2:]]
    receipt = receipt_of(_record(wrong))
    later = _disclosure(shown_field(1, wrong), shown_field(4, wrong, salt=_salt(0)), receipt=receipt)
    cases["value that does not fit, before a field that is not proved"] = ("BAD_PROOF", later)
    return cases


def _commitments() -> list[dict[str, object]]:
    odd = [(1, "", bytes(16)), (127, "\u0000", b"\xff" * 16), (128, "é", _salt(9)), (1023, "x" * 200, _salt(9))]
    groups = {
        "one field": LONE,
        "two fields": SECRETS[:2],
        "five fields": SECRETS,
        "numbers and lengths of two bytes": odd,
        "no field has a value": [(number, "", _salt(number)) for number in range(1, 9)],
        "64 fields": [(number, str(number), _salt(number)) for number in range(1, 65)],
    }
    return [
        {"name": name, "fields": _committed(group), "root": confidential.root(group).hex()}
        for name, group in groups.items()
    ]


def _committed(secrets: Sequence[Secret]) -> list[dict[str, object]]:
    return [
        {
            "number": number,
            "value": value,
            "salt": salt.hex(),
            "commitment": confidential.leaf(number, value, salt).hex(),
            "path": [node.hex() for node in confidential.path(place, secrets)],
        }
        for place, (number, value, salt) in enumerate(secrets)
    ]


def _confidential() -> dict[str, object]:
    groups = (_about_the_form(), _about_the_receipt(), _about_the_fields(), _about_what_was_committed_to())
    refused = [
        {"name": name, "disclosure": raw.hex(), "code": code, "verdict": None}
        for group in groups
        for name, (code, raw) in group.items()
    ]
    return {
        "about": "Commitments to confidential fields, with the path of each leaf; and disclosures: the code that each is "
        "refused with, or null and what it proves. An empty value is none.",
        "rule": "P1 to P3",
        "genesis": GENESIS.hex(),
        "commitments": _commitments(),
        "disclosures": [*_sound(), *refused],
    }


VECTORS = {"confidential.json": _confidential}

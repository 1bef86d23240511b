"""Transactions that are well formed, and others named after what is wrong (docs/protocol.md T1 to T3)."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from huzheng.v1 import transaction_pb2 as pb

from ledger.crypto import Domain
from tests.naive import ed25519, merkle
from tests.naive.ledger import tagged_hash
from tests.vectors import example
from tests.vectors.example import OTHER, Built, body, revoking, signed, signer, transaction, write

_FIRST, _SECOND, _THIRD = Built(), Built(subject="CD5678"), Built(subject="EF9999")
_Cases = dict[str, tuple[str, bytes]]


def _changed(raw: bytes, **fields: Any) -> bytes:
    """A transaction with other fields, signed as it was."""
    message = pb.Transaction.FromString(raw)
    for name, value in fields.items():
        if isinstance(value, list):
            message.ClearField(name)  # type: ignore[arg-type]
            getattr(message, name).extend(value)
        else:
            setattr(message, name, value)
    return write(message)


def _signed(raw_body: bytes, *records: Built) -> bytes:
    """A transaction over a body as it is, of whatever form."""
    return write(signed(raw_body, records))


def _well_formed() -> dict[str, bytes]:
    operations = [example.add_key(signer(f"new {number}").public_key) for number in range(16)]
    return {
        "one record": transaction(_FIRST),
        "as many records as there may be": transaction(_FIRST, _SECOND, _THIRD, Built(subject="GH0000")),
        "versions that follow one another": transaction(_FIRST, Built(version=2, replaces=_FIRST.id)),
        "revoking": transaction(revoking(_FIRST)),
        "one operation": transaction(key="alpha admin", operations=operations[:1]),
        "sixteen operations": transaction(key="alpha admin", operations=operations),
        "operations that hold nothing": transaction(
            operations=[pb.Operation(add_key=pb.AddKey()), pb.Operation(revoke_key=pb.RevokeKey())]
        ),
        "records and operations": transaction(_FIRST, operations=operations[:1]),
        "by a key that nobody knows": transaction(_FIRST, key="stranger"),
        "by nobody": transaction(_FIRST, department=""),
        "expired since ever": transaction(_FIRST, expires_ms=0),
        "never to expire": transaction(_FIRST, expires_ms=2**64 - 1),
        "resource, subject and schema unset": transaction(Built(resource="", subject="", schema_version=0)),
        "largest version": transaction(Built(version=2**64 - 1, replaces=OTHER)),
        "empty payload that asserts": transaction(Built(b"")),
        "payload that is not a message": transaction(Built(b"\xff\xff")),
        "largest payload": transaction(Built(bytes(1_024))),
    }


def _about_the_form() -> _Cases:
    raw, raw_body = transaction(_FIRST), write(body([_FIRST]))
    odd = Built()
    odd.raw += b"\x40\x01"
    unknown = write(body(key="alpha admin")) + b"\x42\x04\xa2\x06\x01\x00"
    return {
        "empty": ("WRONG_CHAIN", b""),
        "not a message": ("NOT_STRICT", b"\xff" * 40),
        "cut off": ("NOT_STRICT", raw[:-1]),
        "trailing zero byte": ("NOT_STRICT", raw + b"\x00"),
        "unknown field": ("NOT_STRICT", raw + b"\x28\x01"),
        "payloads before records": ("NOT_STRICT", _swapped_fields(raw)),
        "body twice": ("NOT_STRICT", raw[: 2 + len(raw_body) + 1] + raw),
        "body not a message": ("NOT_STRICT", _signed(b"\xff" * 9, _FIRST)),
        "body with an unknown field": ("NOT_STRICT", _signed(raw_body + b"\x48\x01", _FIRST)),
        "body with a field twice": ("NOT_STRICT", _signed(raw_body + b"\x38\x01", _FIRST)),
        "body with a default value": ("NOT_STRICT", _signed(raw_body[:-1] + b"\x00", _FIRST)),
        "body with an operation of the future": ("NOT_STRICT", _signed(unknown)),
        "record with an unknown field": ("NOT_STRICT", transaction(odd)),
    }


def _swapped_fields(raw: bytes) -> bytes:
    message = pb.Transaction.FromString(raw)
    head = write(pb.Transaction(body=message.body, signature=message.signature))
    return head + write(pb.Transaction(payloads=message.payloads)) + write(pb.Transaction(records=message.records))


def _about_the_body() -> _Cases:
    operation = example.add_key(signer("new").public_key)
    five = [Built(subject=f"AB000{number}") for number in range(5)]
    return {
        "chain id unset": ("WRONG_CHAIN", transaction(_FIRST, chain_id=b"")),
        "chain id of another chain": ("WRONG_CHAIN", transaction(_FIRST, chain_id=OTHER)),
        "chain id a byte short": ("WRONG_CHAIN", transaction(_FIRST, chain_id=example.CHAIN_ID[:-1])),
        "nonce unset": ("MALFORMED_TRANSACTION", transaction(_FIRST, nonce=b"")),
        "nonce a byte short": ("MALFORMED_TRANSACTION", transaction(_FIRST, nonce=bytes(15))),
        "nonce a byte long": ("MALFORMED_TRANSACTION", transaction(_FIRST, nonce=bytes(17))),
        "neither records nor operations": ("MALFORMED_TRANSACTION", transaction()),
        "seventeen operations": ("MALFORMED_TRANSACTION", transaction(operations=[operation] * 17)),
        "operation unset": ("MALFORMED_TRANSACTION", transaction(operations=[operation, pb.Operation()])),
        "one record more than there may be": ("TOO_LARGE", transaction(*five)),
        "record count one less": ("MALFORMED_TRANSACTION", transaction(_FIRST, _SECOND, record_count=1)),
        "record count one more": ("MALFORMED_TRANSACTION", transaction(_FIRST, record_count=2)),
        "record count zero": ("MALFORMED_TRANSACTION", transaction(_FIRST, record_count=0)),
        "record count zero beside operations": (
            "MALFORMED_TRANSACTION",
            transaction(_FIRST, record_count=0, operations=[operation]),
        ),
        "record count without records": ("MALFORMED_TRANSACTION", transaction(record_count=1)),
        "records root unset": ("MALFORMED_TRANSACTION", transaction(_FIRST, records_root=b"")),
        "records root of others": (
            "MALFORMED_TRANSACTION",
            transaction(_FIRST, records_root=merkle.root([_SECOND.id])),
        ),
        "records root a byte long": (
            "MALFORMED_TRANSACTION",
            transaction(_FIRST, records_root=merkle.root([_FIRST.id]) + b"\x00"),
        ),
        "records root is the record's id": ("MALFORMED_TRANSACTION", transaction(_FIRST, records_root=_FIRST.id)),
        "records root over the records' plain hashes": (
            "MALFORMED_TRANSACTION",
            transaction(_FIRST, records_root=merkle.root([sha256(_FIRST.raw).digest()])),
        ),
        "records root over the payloads' hashes": (
            "MALFORMED_TRANSACTION",
            transaction(_FIRST, records_root=merkle.root([tagged_hash("payload", _FIRST.payload)])),
        ),
        "records root of no leaves without records": (
            "MALFORMED_TRANSACTION",
            transaction(operations=[operation], records_root=merkle.root([])),
        ),
    }


def _about_the_records() -> _Cases:
    two = transaction(_FIRST, _SECOND)
    first, second = _FIRST, _SECOND
    gift = Built(example.payload((1, "gift"), (2, "1")), subject="CD5678")
    cases: dict[str, bytes] = {
        "records swapped": _changed(two, records=[second.raw, first.raw]),
        "payloads swapped": _changed(transaction(first, gift), payloads=[gift.payload, first.payload]),
        "record exchanged": _changed(two, records=[first.raw, _THIRD.raw]),
        "record missing": _changed(two, records=[first.raw]),
        "record too many": _changed(two, records=[first.raw, second.raw, _THIRD.raw]),
        "record and payload too many": _changed(
            two, records=[first.raw, second.raw, _THIRD.raw], payloads=[first.payload] * 3
        ),
        "record twice": transaction(first, second, first),
        "records are the nodes of a tree": _changed(two, records=[merkle.leaf_hash(first.id), second.raw]),
        "payload missing": _changed(two, payloads=[first.payload]),
        "payload too many": _changed(two, payloads=[first.payload] * 3),
        "payloads missing": _changed(two, payloads=[]),
        "payload without record": _changed(
            transaction(operations=[example.revoke_key(OTHER)]), payloads=[first.payload]
        ),
        "payload exchanged": _changed(two, payloads=[first.payload, gift.payload]),
        "payload expunged": _changed(two, payloads=[first.payload, b""]),
        "payload digest unset": transaction(Built(payload_digest=b"")),
        "payload digest a byte short": transaction(Built(payload_digest=tagged_hash("payload", first.payload)[:-1])),
        "payload digest without its tag": transaction(Built(payload_digest=sha256(first.payload).digest())),
        "payload digest in the domain of records": transaction(
            Built(payload_digest=tagged_hash("record", first.payload))
        ),
        "version zero": transaction(Built(version=0)),
        "version zero that replaces": transaction(Built(version=0, replaces=OTHER)),
        "version 1 that replaces": transaction(Built(replaces=OTHER)),
        "version 2 that replaces nothing": transaction(Built(version=2)),
        "replaces a byte short": transaction(Built(version=2, replaces=OTHER[:-1])),
        "replaces a byte long": transaction(Built(version=2, replaces=OTHER + b"\x00")),
        "action unset": transaction(Built(action=0)),
        "action unknown": transaction(Built(action=3)),
        "action negative": transaction(Built(action=-1)),
        "revoking at version 1": transaction(Built(b"", action=2)),
        "revoking with a payload": transaction(Built(action=2, version=2, replaces=OTHER)),
    }
    return {name: ("MALFORMED_TRANSACTION", raw) for name, raw in cases.items()} | {
        "payload a byte too large": ("TOO_LARGE", transaction(Built(bytes(1_025)))),
        "record is another kind of message": ("NOT_STRICT", transaction(_with_raw(write(body())))),
        "record empty": ("MALFORMED_TRANSACTION", transaction(_with_raw(b""))),
    }


def _with_raw(raw: bytes) -> Built:
    built = Built()
    built.raw = raw
    return built


def _about_the_signature() -> _Cases:
    raw, raw_body = transaction(_FIRST), write(body([_FIRST]))
    good = pb.Transaction.FromString(raw).signature
    alpha = signer("alpha system")
    s = int.from_bytes(good[32:], "little")
    small = ed25519.encode(ed25519.NEUTRAL)
    signatures = {
        "unset": b"",
        "a byte short": good[:-1],
        "a byte long": good + b"\x00",
        "of zeros": bytes(64),
        "bit flipped in R": bytes([good[0] ^ 1]) + good[1:],
        "bit flipped in S": good[:32] + bytes([good[32] ^ 1]) + good[33:],
        "S not reduced": good[:32] + (s + ed25519.L).to_bytes(32, "little"),
        "halves swapped": good[32:] + good[:32],
        "of another body": alpha.sign(Domain.SIGN_TRANSACTION, write(body([_SECOND]))),
        "by another key of the department": signer("alpha admin").sign(Domain.SIGN_TRANSACTION, raw_body),
        "in the domain of seals": alpha.sign(Domain.SIGN_SEAL, raw_body),
        "in the domain of commits": alpha.sign(Domain.SIGN_COMMIT, raw_body),
        "over the id in the place of the body": alpha.sign(
            Domain.SIGN_TRANSACTION, tagged_hash("transaction", raw_body)
        ),
    }
    cases = {f"signature {name}": _changed(raw, signature=value) for name, value in signatures.items()} | {
        "public key unset": transaction(_FIRST, public_key=b""),
        "public key a byte short": transaction(_FIRST, public_key=alpha.public_key[:-1]),
        "public key of another": transaction(_FIRST, public_key=signer("beta system").public_key),
        "public key of small order, under which anything is signed": _changed(
            transaction(_FIRST, public_key=small), signature=small + bytes(32)
        ),
        "body changed after it was signed": _changed(raw, body=write(body([_FIRST], nonce=b"n" * 16))),
    }
    return {name: ("BAD_SIGNATURE", raw) for name, raw in cases.items()}


def _transactions() -> dict[str, object]:
    cases: list[dict[str, object]] = []
    for name, raw in _well_formed().items():
        message = pb.Transaction.FromString(raw)
        cases.append(
            {
                "name": name,
                "transaction": raw.hex(),
                "code": None,
                "id": tagged_hash("transaction", message.body).hex(),
                "record_ids": [tagged_hash("record", record).hex() for record in message.records],
            }
        )
    corrupt = _about_the_form() | _about_the_body() | _about_the_records() | _about_the_signature()
    cases += [{"name": name, "transaction": raw.hex(), "code": code} for name, (code, raw) in corrupt.items()]
    return {
        "about": "Transactions: well-formed ones with their ids, and others named after what is wrong.",
        "rule": "T1 to T3",
        "genesis": example.GENESIS.hex(),
        "cases": cases,
    }


VECTORS = {"transactions.json": _transactions}

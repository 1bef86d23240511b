"""Receipts that prove something, and others named after what is wrong (docs/protocol.md section 9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from huzheng.v1 import block_pb2
from huzheng.v1 import transaction_pb2 as pb

from tests.naive import merkle
from tests.naive.ledger import tagged_hash
from tests.vectors import example
from tests.vectors.example import OTHER, Built, body, signed, write
from tests.vectors.example_chain import (
    CORRECTED,
    FIRST,
    REVOKING,
    SUM,
    Block,
    certificate,
    chain,
    corrupt_certificates,
)

_Cases = dict[str, tuple[str, bytes]]
_DEED_VALUES = {"KIND": "sale", "AREA": "88.80", "DAY": "2020-02-29"}


def _receipt(block: Block, place: int, record: int | None = None, seals: bytes | None = None) -> block_pb2.Receipt:
    """The receipt of a block's transaction, and of one of its records."""
    transaction = pb.Transaction.FromString(block.ended[place][1])
    receipt = block_pb2.Receipt(
        header=block.header,
        certificate=certificate(block.height, block.hash) if seals is None else seals,
        body=transaction.body,
        signature=transaction.signature,
        result=block.results[place],
        transaction_index=place,
        transaction_path=merkle.inclusion_path(place, block.ids),
        result_path=merkle.inclusion_path(place, [tagged_hash("result", result) for result in block.results]),
    )
    if record is not None:
        ids = [tagged_hash("record", raw) for raw in transaction.records]
        receipt.record.record = transaction.records[record]
        receipt.record.payload = transaction.payloads[record]
        receipt.record.index = record
        receipt.record.path.extend(merkle.inclusion_path(record, ids))
    return receipt


def _result(identifier: bytes, code: int) -> bytes:
    return write(pb.TransactionResult(transaction_id=identifier, code=code))  # type: ignore[arg-type]


def _sealed(transaction: bytes, result: bytes | None = None, **header: Any) -> Block:
    """A block with one transaction that a quorum sealed although it follows no rule."""
    if result is None:
        result = _result(example.transaction_id(transaction), 1)
    fields: dict[str, Any] = {
        "chain_id": example.CHAIN_ID,
        "height": 7,
        "time_ms": example.NOW_MS,
        "protocol_version": 3,
        "transaction_count": 1,
        "transactions_root": merkle.root([example.transaction_id(transaction)]),
        "results_root": merkle.root([tagged_hash("result", result)]),
    }
    header_raw = write(block_pb2.BlockHeader(**(fields | header)))
    return Block("sealed", b"", [("", transaction, "ACCEPTED", 0)], header_raw, [result])


def _changed(receipt: block_pb2.Receipt, **fields: Any) -> bytes:
    """The receipt with other fields; `record_...` are those of its record proof."""
    copy = block_pb2.Receipt.FromString(write(receipt))
    for name, value in fields.items():
        owner, field = (copy.record, name.removeprefix("record_")) if name.startswith("record_") else (copy, name)
        if isinstance(value, list):
            owner.ClearField(field)  # type: ignore[arg-type]
            getattr(owner, field).extend(value)
        else:
            setattr(owner, field, value)
    return write(copy)


def _expected(
    block: Block, place: int, record: Built | None, values: dict[str, str] | None, revokes: bool
) -> dict[str, object]:
    _, raw, code, index = block.ended[place]
    proven = None
    if record is not None:
        fields = pb.Record.FromString(record.raw)
        proven = {
            "id": record.id.hex(),
            "resource": fields.resource,
            "subject": fields.subject,
            "version": fields.version,
            "replaces": fields.replaces.hex(),
            "revokes": revokes,
            "values": values,
        }
    message = pb.Transaction.FromString(raw)
    return {
        "height": block.height,
        "time_ms": block_pb2.BlockHeader.FromString(block.header).time_ms,
        "block_hash": block.hash.hex(),
        "transaction_id": example.transaction_id(raw).hex(),
        "department": pb.TransactionBody.FromString(message.body).department,
        "code": code,
        "index": index,
        "record": proven,
    }


def _sound() -> list[dict[str, object]]:
    blocks = chain()
    accepted, versions, signers, records = blocks[1], blocks[2], blocks[3], blocks[6]
    second = Built(subject="EF0001")
    corrected = {"KIND": "gift", "AREA": "0"}
    wrong = Built(resource="demo.none")
    plan: list[tuple[str, Block, int, int | None, Built | None, dict[str, str], bool]] = [
        ("record alone in its transaction", accepted, 0, 0, FIRST, _DEED_VALUES, False),
        ("second record of its transaction", accepted, 1, 1, second, _DEED_VALUES, False),
        ("record of beta", accepted, 2, 0, SUM, {"SUM": "-12"}, False),
        ("transaction without its records", accepted, 1, None, None, {}, False),
        ("change of keys", accepted, 3, None, None, {}, False),
        ("next version", versions, 0, 0, CORRECTED, corrected, False),
        ("revoking record", versions, 1, 0, REVOKING, {}, True),
        ("transaction refused", versions, 2, None, None, {}, False),
        ("record of a refused transaction", versions, 2, 0, FIRST, {}, False),
        ("repeat", versions, 3, None, None, {}, False),
        ("expired", signers, 0, 0, FIRST, {}, False),
        ("refused record of a resource that is none", records, 0, 1, wrong, {}, False),
        ("record refused with another", records, 0, 0, Built(subject="EF0003"), {}, False),
    ]
    cases: list[dict[str, object]] = []
    for name, block, place, index, record, values, revokes in plan:
        receipt = write(_receipt(block, place, index))
        verdict = _expected(block, place, record, values, revokes)
        cases.append({"name": name, "receipt": receipt.hex(), "code": None, "sealed_by": [1, 2, 3], "verdict": verdict})
    other_quorum = certificate(accepted.height, accepted.hash, (2, 3, 5))
    receipt = write(_receipt(accepted, 0, 0, other_quorum))
    verdict = _expected(accepted, 0, FIRST, _DEED_VALUES, False)
    cases.append(
        {"name": "another quorum", "receipt": receipt.hex(), "code": None, "sealed_by": [2, 3, 5], "verdict": verdict}
    )
    lone = _sealed(example.transaction(FIRST))
    cases.append(
        {
            "name": "only transaction of its block",
            "receipt": write(_receipt(lone, 0, 0)).hex(),
            "code": None,
            "sealed_by": [1, 2, 3],
            "verdict": _expected(lone, 0, FIRST, _DEED_VALUES, False),
        }
    )
    # What the genesis does not know is shown by the numbers of its fields.
    later: list[tuple[str, Built, dict[str, str]]] = [
        (
            "record of a resource that is not in the genesis",
            Built(example.payload((1, "x"), (12, "y")), resource="demo.none"),
            {"#1": "x", "#12": "y"},
        ),
        (
            "record of a schema version that is not in the genesis",
            Built(example.payload((2, "7"), (9, "1")), schema_version=4),
            {"AREA": "7", "#9": "1"},
        ),
        ("record without public fields", Built(b""), {}),
    ]
    for name, record, values in later:
        block = _sealed(example.transaction(record))
        cases.append(
            {
                "name": name,
                "receipt": write(_receipt(block, 0, 0)).hex(),
                "code": None,
                "sealed_by": [1, 2, 3],
                "verdict": _expected(block, 0, record, values, False),
            }
        )
    return cases + _without_payload()


def _without_payload() -> list[dict[str, object]]:
    """R6: that the record was there is proved, what it says is not shown."""
    unknown = Built(example.payload((1, "x")), resource="demo.none")
    plan = [
        ("accepted record whose payload is not there", chain()[1], 1, 1, Built(subject="EF0001")),
        ("refused record whose payload is not there", chain()[2], 2, 0, FIRST),
        (
            "payload not there, of a resource that is not in the genesis",
            _sealed(example.transaction(unknown)),
            0,
            0,
            unknown,
        ),
    ]
    return [
        {
            "name": name,
            "receipt": _changed(_receipt(block, place, index), record_payload=b"").hex(),
            "code": None,
            "sealed_by": [1, 2, 3],
            "verdict": _expected(block, place, record, None, False),
        }
        for name, block, place, index, record in plan
    ]


def _about_form_and_header() -> _Cases:
    block, after = chain()[1], chain()[2]
    good = _receipt(block, 1, 1)
    raw = write(good)
    header = block_pb2.BlockHeader.FromString(block.header)
    header.time_ms += 1
    transaction = example.transaction(FIRST)
    odd = _sealed(transaction)
    odd.header += b"\x68\x01"
    return {
        "empty": ("WRONG_CHAIN", b""),
        "not a message": ("NOT_STRICT", b"\xff" * 40),
        "cut off": ("NOT_STRICT", raw[:-1]),
        "trailing zero byte": ("NOT_STRICT", raw + b"\x00"),
        "unknown field": ("NOT_STRICT", raw + b"\x50\x01"),
        "record proof in two parts": ("NOT_STRICT", raw + b"\x4a\x02\x18\x01"),
        "header unset": ("WRONG_CHAIN", _changed(good, header=b"")),
        "header of the next block": ("BAD_CERTIFICATE", _changed(good, header=after.header)),
        "header of the genesis block": ("BAD_CERTIFICATE", _changed(good, header=chain()[0].header)),
        "header with another time": ("BAD_CERTIFICATE", _changed(good, header=write(header))),
        "header of another chain, sealed": ("WRONG_CHAIN", write(_receipt(_sealed(transaction, chain_id=OTHER), 0))),
        "header of a later protocol, sealed": (
            "PROTOCOL_UNKNOWN",
            write(_receipt(_sealed(transaction, protocol_version=4), 0)),
        ),
        "header of a later epoch, sealed": ("EPOCH_UNKNOWN", write(_receipt(_sealed(transaction, epoch=1), 0))),
        "header with an unknown field, sealed": ("NOT_STRICT", write(_receipt(odd, 0))),
        "block without transactions, sealed": (
            "BAD_PROOF",
            write(_receipt(_sealed(transaction, transaction_count=0), 0)),
        ),
        "block exchanged with its certificate": (
            "BAD_PROOF",
            _changed(good, header=after.header, certificate=certificate(after.height, after.hash)),
        ),
    }


def _about_the_certificate() -> _Cases:
    block, after = chain()[1], chain()[2]
    good = _receipt(block, 0, 0)
    certificates = corrupt_certificates(block, after)
    return {
        f"certificate {name}": ("BAD_CERTIFICATE", _changed(good, certificate=raw))
        for name, raw in certificates.items()
    }


def _about_the_transaction() -> _Cases:
    block = chain()[1]
    good, neighbour = _receipt(block, 1, 1), _receipt(block, 0)
    path, results = list(good.transaction_path), list(good.result_path)
    flipped = [bytes([path[0][0] ^ 1]) + path[0][1:], *path[1:]]
    foreign = example.transaction(FIRST, chain_id=OTHER)
    unknown = write(signed(write(body([FIRST])) + b"\x48\x01", [FIRST]))
    alone = _receipt(_sealed(example.transaction(FIRST)), 0, 0)
    cases = {
        "index 1 where there is one transaction": _changed(alone, transaction_index=1),
        "record index 1 where there is one record": _changed(alone, record_index=1),
        "index one less": _changed(good, transaction_index=0),
        "index one more": _changed(good, transaction_index=2),
        "index of the mirrored place": _changed(good, transaction_index=2, transaction_path=path[::-1]),
        "index beyond the block": _changed(good, transaction_index=5),
        "largest index": _changed(good, transaction_index=2**32 - 1),
        "transaction path empty": _changed(good, transaction_path=[]),
        "transaction path without its last hash": _changed(good, transaction_path=path[:-1]),
        "transaction path with a hash added": _changed(good, transaction_path=[*path, OTHER]),
        "transaction path of 65 hashes": _changed(good, transaction_path=path + [OTHER] * 63),
        "transaction path with a bit flipped": _changed(good, transaction_path=flipped),
        "transaction path upside down": _changed(good, transaction_path=path[::-1]),
        "transaction path with a hash cut": _changed(good, transaction_path=[path[0][:-1], path[1]]),
        "transaction path of the results": _changed(good, transaction_path=results),
        "body of another transaction": _changed(good, body=neighbour.body),
        "body and signature of another": _changed(good, body=neighbour.body, signature=neighbour.signature),
        "body of another with its path": _changed(
            good, body=neighbour.body, signature=neighbour.signature, transaction_path=list(neighbour.transaction_path)
        ),
        "body unset": _changed(good, body=b""),
        "result unset": _changed(good, result=b""),
        "result of another transaction": _changed(good, result=neighbour.result),
        "result of another with its path": _changed(
            good, result=neighbour.result, result_path=list(neighbour.result_path)
        ),
        "result path empty": _changed(good, result_path=[]),
        "result path of the transactions": _changed(good, result_path=path),
        "result of another transaction, sealed": write(
            _receipt(_sealed(example.transaction(FIRST), _result(OTHER, 1)), 0)
        ),
    }
    return {name: ("BAD_PROOF", raw) for name, raw in cases.items()} | {
        "signature of another transaction": ("BAD_SIGNATURE", _changed(good, signature=neighbour.signature)),
        "signature unset": ("BAD_SIGNATURE", _changed(good, signature=b"")),
        "body of another chain, sealed": ("WRONG_CHAIN", write(_receipt(_sealed(foreign), 0))),
        "body with an unknown field, sealed": ("NOT_STRICT", write(_receipt(_sealed(unknown), 0))),
    }


def _about_the_result() -> _Cases:
    block = chain()[2]
    refused = _receipt(block, 2, 0)
    result = pb.TransactionResult.FromString(refused.result)
    result.code = pb.RESULT_CODE_ACCEPTED
    transaction = example.transaction(FIRST)
    identifier = example.transaction_id(transaction)
    odd = _result(identifier, 1) + b"\x20\x01"
    cases = {"refused one that claims to be accepted": ("BAD_PROOF", _changed(refused, result=write(result)))}
    for name, code in (("unset", 0), ("of the future", 99), ("negative", -1)):
        ended = _sealed(transaction, _result(identifier, code))
        cases[f"result code {name}, sealed"] = ("BAD_PROOF", write(_receipt(ended, 0)))
    cases["result with an unknown field, sealed"] = ("NOT_STRICT", write(_receipt(_sealed(transaction, odd), 0)))
    return cases


def _accepted(*records: Built) -> block_pb2.Receipt:
    """Of the first of records that no rule admits, accepted and sealed."""
    return _receipt(_sealed(example.transaction(*records)), 0, 0)


def _about_the_record() -> _Cases:
    block = chain()[1]
    good, path = _receipt(block, 1, 1), list(_receipt(block, 1, 1).record.path)
    keys = _receipt(block, 3)
    three = [Built(subject=f"AB000{n}") for n in range(3)]
    last = _receipt(_sealed(example.transaction(*three)), 0, 2)
    other_payload = example.payload((1, "gift"), (2, "1"))
    forged = Built(other_payload, subject="EF0001")
    odd = Built()
    odd.raw += b"\x40\x01"
    cases = {
        "record of another transaction": _changed(good, record_record=FIRST.raw),
        "record forged": _changed(good, record_record=forged.raw, record_payload=forged.payload),
        "record forged, alone": _changed(good, record_record=forged.raw, record_payload=forged.payload, record_path=[]),
        "record unset": _changed(good, record_record=b""),
        "record index one less": _changed(good, record_index=0),
        "record index one more": _changed(good, record_index=2),
        "largest record index": _changed(good, record_index=2**32 - 1),
        "record index of three one less": _changed(last, record_index=1),
        "record path empty": _changed(good, record_path=[]),
        "record path with a hash added": _changed(good, record_path=[*path, OTHER]),
        "record path of 65 hashes": _changed(good, record_path=path + [OTHER] * 64),
        "record path with a hash cut": _changed(good, record_path=[path[0][:-1]]),
        "payload of another": _changed(good, record_payload=other_payload),
        "payload with a trailing byte": _changed(good, record_payload=good.record.payload + b"\x00"),
        "payload of a revoking record": _changed(_receipt(chain()[2], 1, 0), record_payload=other_payload),
        "revoking record that commits to a payload, sealed": write(
            _accepted(Built(b"", version=2, replaces=OTHER, action=2, payload_digest=OTHER))
        ),
        "record without action and payload, sealed": write(_accepted(Built(b"", action=0, payload_digest=OTHER))),
        "no payload, and a digest that is none, sealed": write(_accepted(Built(b"", payload_digest=OTHER[:-1]))),
        "record proof empty": write(keys) + b"\x4a\x00",
        "record proof of a transaction without records": _changed(keys, record_record=FIRST.raw),
    }
    return {name: ("BAD_PROOF", raw) for name, raw in cases.items()} | {
        "record with an unknown field, sealed": ("NOT_STRICT", write(_accepted(odd))),
        "accepted payload that is not a message, sealed": ("NOT_STRICT", write(_accepted(Built(b"\xff")))),
        "accepted payload with an unknown field, sealed": (
            "UNKNOWN_FIELD",
            write(_accepted(Built(example.payload((9, "1"))))),
        ),
    }


def _receipts() -> dict[str, object]:
    corrupt: _Cases = {}
    groups: Sequence[_Cases] = (
        _about_form_and_header(),
        _about_the_certificate(),
        _about_the_transaction(),
        _about_the_result(),
        _about_the_record(),
    )
    for group in groups:
        corrupt |= group
    cases = _sound() + [{"name": name, "receipt": raw.hex(), "code": code} for name, (code, raw) in corrupt.items()]
    return {
        "about": "Receipts: sound ones with what they prove, and others named after what is wrong. "
        "'Sealed' are those over which a quorum's seals are good, which no correct replicas would have made.",
        "rule": "R1 to R7",
        "genesis": example.GENESIS.hex(),
        "cases": cases,
    }


VECTORS = {"receipts.json": _receipts}

"""What a well-formed transaction and batch are (docs/protocol.md T1 to T4), and that hostile bytes do no harm."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from huzheng.v1 import transaction_pb2 as pb
from hypothesis import example as explicit
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.building import build_record, build_transaction, transaction_id
from ledger.catalogue import SALT_BYTES
from ledger.crypto import ED25519_SHA256, Domain, ReplicaId, strict
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis, Parameters
from ledger.transaction import (
    MAX_OPERATIONS,
    NONCE_BYTES,
    WellFormedTransaction,
    check_batch,
    check_transaction,
    encode_batch,
)
from tests.builders import OBJECTION, UNIT, Consortium, objection_fields
from tests.naive import merkle as naive_merkle
from tests.vectors import example, load

TRANSACTIONS = load("transactions.json")["cases"]
BATCHES = load("batches.json")["cases"]
GENESIS = Genesis.read(example.GENESIS)
CONSORTIUM = Consortium()


def unknown(_raw: bytes) -> WellFormedTransaction | None:
    """No transaction was checked before."""
    return None


def refusal(call: Callable[[], object]) -> HuzhengError:
    with pytest.raises(HuzhengError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("case", TRANSACTIONS, ids=lambda case: case["name"])
def test_transaction_vectors(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["transaction"])
    if case["code"] is not None:
        assert refusal(lambda: check_transaction(raw, GENESIS)).code == case["code"]
        return
    transaction = check_transaction(raw, GENESIS)
    message = pb.Transaction.FromString(raw)
    assert (transaction.id.hex(), transaction.raw) == (case["id"], raw)
    assert transaction_id(GENESIS, raw) == transaction.id
    assert (transaction.body_raw, transaction.signature) == (message.body, message.signature)
    assert transaction.body == pb.TransactionBody.FromString(message.body)
    assert (transaction.department, transaction.expires_ms) == (
        transaction.body.department,
        transaction.body.expires_ms,
    )
    assert [item.id.hex() for item in transaction.records] == case["record_ids"]
    assert [item.raw for item in transaction.records] == list(message.records)
    assert [item.payload for item in transaction.records] == list(message.payloads)
    assert all(item.record == pb.Record.FromString(item.raw) for item in transaction.records)


@pytest.mark.parametrize("case", BATCHES, ids=lambda case: case["name"])
def test_batch_vectors(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["batch"])
    if case["code"] is not None:
        assert refusal(lambda: check_batch(raw, GENESIS, unknown)).code == case["code"]
        return
    batch = check_batch(raw, GENESIS, unknown)
    assert (batch.raw, batch.proposer, batch.proposed_ms) == (raw, case["proposer"], case["proposed_ms"])
    assert [item.id.hex() for item in batch.transactions] == case["ids"]
    assert GENESIS.suite.digest(Domain.BATCH, raw).hex() == case["digest"]
    if raw:
        assert encode_batch(batch.proposer, batch.proposed_ms, [item.raw for item in batch.transactions]) == raw


# Limits of size.


def roomy_genesis() -> Genesis:
    """One whose payloads may be large, so that few records reach the other limits."""
    message = example.genesis_message()
    message.parameters.max_payload_bytes = 16_384
    return Genesis.read(example.write(message))


def sized_transaction(genesis: Genesis, size: int, name: str = "first") -> bytes:
    """A signed transaction of so many bytes, some 30,000."""

    def build(last_bytes: int) -> bytes:
        payloads = [bytes(10_000), bytes(9_000), bytes(last_bytes)]
        records = [example.Built(content, subject=f"{name} {n}") for n, content in enumerate(payloads)]
        return example.transaction(*records, chain_id=genesis.chain_id)

    raw = build(10_000 + size - len(build(10_000)))
    assert len(raw) == size
    return raw


def test_a_transaction_has_at_most_as_many_bytes_as_the_genesis_says() -> None:
    genesis = roomy_genesis()
    limit = genesis.parameters.max_transaction_bytes
    raw = sized_transaction(genesis, limit)
    assert check_transaction(raw, genesis).raw == raw
    error = refusal(lambda: check_transaction(sized_transaction(genesis, limit + 1), genesis))
    assert (error.code, error.detail) == (Code.TOO_LARGE, f"a transaction may have {limit} bytes")


def test_a_batch_has_at_most_as_many_bytes_as_the_genesis_says() -> None:
    genesis = roomy_genesis()
    limit = genesis.parameters.max_batch_bytes
    first = sized_transaction(genesis, 32_760)
    room = limit - len(example.batch(first, sized_transaction(genesis, 32_760, "second"))) + 32_760
    raw = example.batch(first, sized_transaction(genesis, room, "second"))
    assert len(raw) == limit
    assert check_batch(raw, genesis, unknown).raw == raw
    raw = example.batch(first, sized_transaction(genesis, room + 1, "second"))
    error = refusal(lambda: check_batch(raw, genesis, unknown))
    assert (error.code, error.detail) == (Code.BAD_BATCH, "too large")


def test_a_thousand_records_under_one_signature() -> None:
    consortium = Consortium(ED25519_SHA256)
    records = [consortium.record(number) for number in range(1_000)]
    transaction = check_transaction(consortium.transaction(records), consortium.genesis)
    assert [item.id for item in transaction.records] == [record.id for record in records]
    assert transaction.body.records_root == naive_merkle.root([record.id for record in records])
    for position in (0, 499, 999):
        message = pb.Transaction.FromString(transaction.raw)
        message.payloads[position] = message.payloads[position - 1]
        error = refusal(lambda message=message: check_transaction(strict.write(message), consortium.genesis))  # type: ignore[misc]
        assert error.code == Code.MALFORMED_TRANSACTION


def test_as_many_records_as_the_genesis_says_and_not_one_more() -> None:
    consortium = Consortium(parameters=Parameters(max_transaction_records=3))
    records = [consortium.record(number) for number in range(4)]
    assert len(check_transaction(consortium.transaction(records[:3]), consortium.genesis).records) == 3
    error = refusal(lambda: check_transaction(consortium.transaction(records), consortium.genesis))
    assert (error.code, error.detail) == (Code.TOO_LARGE, "a transaction may have 3 records")


# Batches and what is known.


def test_transactions_that_are_known_are_not_checked_again() -> None:
    raws = [CONSORTIUM.transaction([CONSORTIUM.record()], nonce=nonce) for nonce in range(3)]
    known = {raws[1]: check_transaction(raws[1], CONSORTIUM.genesis)}
    asked: list[bytes] = []

    def look_up(raw: bytes) -> WellFormedTransaction | None:
        asked.append(raw)
        return known.get(raw)

    raw_batch = encode_batch(ReplicaId(2), CONSORTIUM.now_ms, raws)
    batch = check_batch(raw_batch, CONSORTIUM.genesis, look_up)
    assert asked == raws
    assert batch.transactions[1] is known[raws[1]]
    assert [item.raw for item in batch.transactions] == raws


def test_a_known_transaction_must_still_fit_its_batch() -> None:
    raw = CONSORTIUM.transaction([CONSORTIUM.record()])
    known = check_transaction(raw, CONSORTIUM.genesis)
    early = encode_batch(ReplicaId(1), known.expires_ms - CONSORTIUM.genesis.parameters.max_lifetime_ms - 1, [raw])
    assert refusal(lambda: check_batch(early, CONSORTIUM.genesis, lambda _: known)).code == Code.BAD_BATCH
    twice = encode_batch(ReplicaId(1), CONSORTIUM.now_ms, [raw, raw])
    assert refusal(lambda: check_batch(twice, CONSORTIUM.genesis, lambda _: known)).code == Code.BAD_BATCH


def test_too_many_transactions_are_refused_before_any_is_checked() -> None:
    def must_not_look(raw: bytes) -> WellFormedTransaction | None:
        raise AssertionError(raw)

    raw = encode_batch(ReplicaId(1), example.NOW_MS, [bytes([n]) for n in range(5)])
    assert refusal(lambda: check_batch(raw, GENESIS, must_not_look)).detail == "too many transactions"


def test_what_was_checked_cannot_be_exchanged() -> None:
    transaction = check_transaction(CONSORTIUM.transaction([CONSORTIUM.record()]), CONSORTIUM.genesis)
    with pytest.raises(FrozenInstanceError):
        transaction.id = b""  # type: ignore[misc]


# Building.


def test_what_is_built_is_well_formed_and_each_time_another() -> None:
    genesis = CONSORTIUM.genesis
    built = [build_record(genesis, OBJECTION, UNIT, 1, b"", objection_fields()) for _ in range(2)]
    assert built[0].payload != built[1].payload
    salts = {pb.Payload.FromString(record.payload).salt for record in built}
    assert {len(salt) for salt in salts} == {SALT_BYTES}
    signer = CONSORTIUM.system_signers["planning"]
    raws = [build_transaction(genesis, signer, "planning", 1, records=[built[0]]) for _ in range(2)]
    bodies = [check_transaction(raw, genesis).body for raw in raws]
    assert bodies[0].nonce != bodies[1].nonce
    assert len(bodies[0].nonce) == NONCE_BYTES


@pytest.mark.parametrize(
    ("code", "resource", "subject", "values"),
    [
        (Code.UNKNOWN_RESOURCE, "property.castle", UNIT, objection_fields()),
        (Code.BAD_SUBJECT, OBJECTION, "nowhere", objection_fields()),
        (Code.UNKNOWN_FIELD, OBJECTION, UNIT, objection_fields() | {"X": "1"}),
        (Code.BAD_FIELD, OBJECTION, UNIT, objection_fields() | {"DJSJ": "2021-02-29"}),
        (Code.MISSING_FIELD, OBJECTION, UNIT, {}),
    ],
)
def test_a_record_that_would_be_refused_is_not_built(
    code: Code, resource: str, subject: str, values: dict[str, str]
) -> None:
    error = refusal(lambda: build_record(CONSORTIUM.genesis, resource, subject, 1, b"", values))
    assert error.code == code
    assert "nowhere" not in error.detail
    assert "2021-02-29" not in error.detail


# Hostile bytes.

REFUSALS = {Code.TOO_LARGE, Code.NOT_STRICT, Code.WRONG_CHAIN, Code.MALFORMED_TRANSACTION, Code.BAD_SIGNATURE}
SEEDS = [bytes.fromhex(case["transaction"]) for case in TRANSACTIONS if len(case["transaction"]) < 2_000]
BATCH_SEEDS = [bytes.fromhex(case["batch"]) for case in BATCHES if len(case["batch"]) < 4_000]


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 3))):
        place, cut = draw(st.integers(0, len(data))), draw(st.integers(0, 4))
        put = draw(st.one_of(st.binary(max_size=4), st.just(data[place : place + 40])))
        data = data[:place] + put + data[place + cut :]
    return data


@given(mutated(SEEDS) | st.binary(max_size=200))
@explicit(b"")
@settings(max_examples=1_000, deadline=None)
def test_no_bytes_raise_anything_but_a_refusal(raw: bytes) -> None:
    try:
        transaction = check_transaction(raw, GENESIS)
    except HuzhengError as error:
        assert error.code in REFUSALS
    else:
        assert transaction.raw == raw


@given(mutated(BATCH_SEEDS) | st.binary(max_size=200))
@settings(max_examples=500, deadline=None)
def test_no_bytes_of_a_batch_raise_anything_but_a_refusal(raw: bytes) -> None:
    try:
        batch = check_batch(raw, GENESIS, unknown)
    except HuzhengError as error:
        assert error.code in REFUSALS | {Code.BAD_BATCH}
    else:
        assert batch.raw == raw


def test_every_flipped_byte_of_a_transaction_is_noticed() -> None:
    """T3 leaves nothing uncovered: neither body, signature, records nor payloads, nor what frames them."""
    raw = example.transaction(example.Built(), example.Built(subject="CD5678"))
    for place in range(len(raw)):
        for mask in (0x01, 0x80, 0xFF):
            flipped = bytearray(raw)
            flipped[place] ^= mask
            assert refusal(lambda flipped=flipped: check_transaction(bytes(flipped), GENESIS)).code in REFUSALS  # type: ignore[misc]


@pytest.mark.parametrize(
    "filler",
    [
        example.write(pb.Transaction(records=[b""])),
        example.write(pb.Transaction(payloads=[b""])),
        example.write(pb.TransactionBody(operations=[pb.Operation()])),
    ],
    ids=["records", "payloads", "operations"],
)
def test_a_million_empty_elements_are_refused_in_no_time(filler: bytes) -> None:
    genesis = CONSORTIUM.genesis
    limit = genesis.parameters.max_transaction_bytes
    many = filler * ((limit - 100) // len(filler))
    raws = [many, example.write(pb.Transaction(body=many))]
    started = time.process_time()
    for raw in raws:
        assert refusal(lambda raw=raw: check_transaction(raw, genesis)).code in REFUSALS  # type: ignore[misc]
    assert time.process_time() - started < 2


def test_operations_beyond_the_limit_are_counted_not_looked_at() -> None:
    operations = [pb.Operation()] * (MAX_OPERATIONS + 1)
    error = refusal(lambda: check_transaction(example.transaction(operations=operations), GENESIS))
    assert error.detail == f"more than {MAX_OPERATIONS} operations"


def test_what_a_record_relies_on_is_put_in_order_and_never_twice_about_one_subject() -> None:
    about = (CONSORTIUM.genesis, OBJECTION, UNIT, 1, b"", objection_fields())
    relied = [pb.Reliance(resource=OBJECTION, subject=f"{place:028}", record_id=bytes(32)) for place in range(17)]
    built = build_record(*about, relies_on=reversed(relied[:16]))
    assert list(pb.Record.FromString(built.raw).relies_on) == relied[:16]
    raw = CONSORTIUM.transaction([built])
    assert check_transaction(raw, CONSORTIUM.genesis).records[0].id == built.id
    for wrong in (relied, [relied[0], relied[1], relied[0]], [pb.Reliance(record_id=b"short")]):
        error = refusal(lambda wrong=wrong: build_record(*about, relies_on=wrong))  # type: ignore[misc]
        assert error.code is Code.MALFORMED_TRANSACTION

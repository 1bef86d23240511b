"""Receipts prove what they should, and nothing once a byte is not as it was (docs/protocol.md section 9)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from huzheng.v1 import block_pb2
from huzheng.v1 import transaction_pb2 as pb
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import merkle
from ledger.block import ExecutedBlock
from ledger.crypto import ED25519_SHA256, Domain, Epoch, build_certificate, quorum, seal_message, strict
from ledger.epoch_proof import MAX_EPOCHS, MAX_EPOCHS_BYTES
from ledger.errors import Code, HuzhengError, refusal
from ledger.genesis import Genesis
from ledger.receipt import RECEIPT_OVERHEAD_BYTES, Verdict, block_proofs, build_receipt, verify_receipt
from tests.builders import OBJECTION, Chain, Consortium, objection_fields, unit_code
from tests.naive import merkle as naive_merkle
from tests.vectors import example, load

CASES = load("receipts.json")["cases"]
GENESIS = Genesis.read(example.GENESIS)
SIZES = (1, 2, 3, 8, 1_000)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_receipt_vectors(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["receipt"])
    if case["code"] is not None:
        with pytest.raises(HuzhengError) as caught:
            verify_receipt(raw, GENESIS)
        assert caught.value.code == case["code"]
        return
    verdict, expected = verify_receipt(raw, GENESIS), case["verdict"]
    assert (verdict.chain_id, verdict.epoch) == (example.CHAIN_ID, 0)
    assert list(verdict.sealed_by) == case["sealed_by"]
    assert (verdict.height, verdict.time_ms, verdict.block_hash.hex()) == (
        expected["height"],
        expected["time_ms"],
        expected["block_hash"],
    )
    assert (verdict.transaction_id.hex(), verdict.department) == (expected["transaction_id"], expected["department"])
    assert (pb.ResultCode.Name(verdict.code), verdict.index) == (f"RESULT_CODE_{expected['code']}", expected["index"])
    assert verdict.accepted == (expected["code"] == "ACCEPTED")
    assert verdict.refusal == (None if verdict.accepted else Code(expected["code"]))
    assert verdict.conclusive == (expected["code"] not in ("EXPIRED", "REPEATED", "LIFETIME_TOO_LONG"))
    record = verdict.record
    found = None
    if record is not None:
        named = {name: getattr(record, name) for name in ("resource", "subject", "version", "revokes", "values")}
        found = {"id": record.id.hex(), "replaces": record.replaces.hex(), **named}
    assert found == expected["record"]
    assert verdict.record_id == (None if record is None else record.id)


# What the ledger builds itself, in consortia of 4 and 7 with real keys.


class Sealed:
    """A block of transactions, the last but one of which is refused; the first has three records."""

    def __init__(self, consortium: Consortium, size: int) -> None:
        self.consortium = consortium
        records = [consortium.record(number) for number in range(size + 3)]
        raws = [consortium.transaction(records[:3])]
        raws += [consortium.transaction([record], nonce=nonce) for nonce, record in enumerate(records[3:-1], start=1)]
        if size > 1:
            conflicting = consortium.record(size + 1, 2, bytes(32))
            raws[-2 if size > 2 else -1] = consortium.transaction([conflicting], nonce=size)
        self.block: ExecutedBlock = Chain(consortium).add(*raws)
        self.proofs = block_proofs(
            consortium.genesis,
            self.block.header,
            consortium.certificate(self.block),
            [transaction.id for transaction in self.block.transactions],
            self.block.results,
        )

    @property
    def refused(self) -> int:
        """The place of the transaction that was refused."""
        return next(place for place, code in enumerate(self.block.codes) if code != pb.RESULT_CODE_ACCEPTED)

    def receipt(self, place: int, record: int | None = None) -> bytes:
        message = pb.Transaction.FromString(self.block.transactions[place].raw)
        return build_receipt(self.consortium.genesis, self.proofs, place, message, record)

    def verify(self, raw: bytes) -> Verdict:
        return verify_receipt(raw, self.consortium.genesis)


@cache
def sealed(n: int, size: int) -> Sealed:
    return Sealed(consortium_of(n), size)


@cache
def consortium_of(n: int) -> Consortium:
    return Consortium(ED25519_SHA256, n=n)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("n", [4, 7])
def test_each_transaction_and_record_of_a_block_is_proved(n: int, size: int) -> None:
    block = sealed(n, size)
    for place in {0, 1, size // 2, size - 3, size - 2, size - 1} & set(range(size)):
        transaction, code = block.block.transactions[place], block.block.codes[place]
        for index, item in [(None, None), *enumerate(transaction.records)]:
            verdict = block.verify(block.receipt(place, index))
            assert (verdict.transaction_id, verdict.code, verdict.height) == (transaction.id, code, 1)
            assert verdict.block_hash == block.block.block_hash
            assert verdict.sealed_by == tuple(range(1, (n + (n - 1) // 3) // 2 + 2))
            assert verdict.record_id == (None if item is None else item.id)


@pytest.mark.parametrize("size", SIZES[1:])
def test_a_record_of_a_refused_transaction_is_proved_as_refused_without_its_fields(size: int) -> None:
    block = sealed(4, size)
    verdict = block.verify(block.receipt(block.refused, 0))
    assert not verdict.accepted
    assert verdict.refusal == Code.VERSION_CONFLICT
    assert verdict.conclusive
    assert verdict.record is not None
    assert (verdict.record.subject, verdict.record.values) == (unit_code(size + 1), {})


def test_any_record_of_a_thousand_is_proved() -> None:
    consortium = consortium_of(4)
    records = [consortium.record(number) for number in range(1_000)]
    message = pb.Transaction.FromString(consortium.transaction(records))
    block = Chain(consortium).add(strict.write(message))
    identifier = block.transactions[0].id
    proofs = block_proofs(consortium.genesis, block.header, consortium.certificate(block), [identifier], block.results)
    levels = merkle.levels(consortium.suite, [record.id for record in records])
    for index in (0, 1, 511, 512, 998, 999):
        raw = build_receipt(consortium.genesis, proofs, 0, message, index, levels)
        assert raw == build_receipt(consortium.genesis, proofs, 0, message, index)
        verdict = verify_receipt(raw, consortium.genesis)
        assert verdict.record is not None
        assert verdict.record.id == records[index].id
        assert verdict.record.values == objection_fields(index)
        path = block_pb2.Receipt.FromString(raw).record.path
        assert list(path) == naive_merkle.inclusion_path(index, [record.id for record in records])


def refuse(call: Callable[[], Verdict], *codes: Code) -> None:
    """Nothing is proved, and nothing but HuzhengError is raised."""
    try:
        call()
    except HuzhengError as error:
        assert not codes or error.code in codes
    else:
        pytest.fail("it is taken for a proof")


RECEIPTS: dict[str, Callable[[], tuple[Sealed, bytes]]] = {
    "record, alone in its block, 4 replicas": lambda: (sealed(4, 1), sealed(4, 1).receipt(0, 1)),
    "record, 1 of 8, 7 replicas": lambda: (sealed(7, 8), sealed(7, 8).receipt(3, 0)),
    "record, 1 of 1000, 4 replicas": lambda: (sealed(4, 1_000), sealed(4, 1_000).receipt(0, 2)),
    "record of a refused transaction": lambda: (sealed(4, 2), sealed(4, 2).receipt(1, 0)),
    "transaction, 1 of 3": lambda: (sealed(4, 3), sealed(4, 3).receipt(2)),
    "transaction, 1 of 1000, 7 replicas": lambda: (sealed(7, 1_000), sealed(7, 1_000).receipt(999)),
    "refused transaction, 1 of 8": lambda: (sealed(4, 8), sealed(4, 8).receipt(6)),
}


@pytest.mark.parametrize("name", RECEIPTS)
def test_no_flipped_byte_passes(name: str) -> None:
    block, raw = RECEIPTS[name]()
    block.verify(raw)
    for place in range(len(raw)):
        for mask in (0x01, 0x80, 0xFF):
            flipped = bytearray(raw)
            flipped[place] ^= mask
            refuse(lambda flipped=flipped: block.verify(bytes(flipped)))  # type: ignore[misc]


@pytest.mark.parametrize("name", RECEIPTS)
def test_no_missing_or_added_byte_passes(name: str) -> None:
    block, raw = RECEIPTS[name]()
    # One cut leaves a whole receipt: that of the transaction, without the record.
    whole = block.receipt(block_pb2.Receipt.FromString(raw).transaction_index)
    for size in range(len(raw)):
        if raw[:size] != whole:
            refuse(lambda size=size: block.verify(raw[:size]))  # type: ignore[misc]
        refuse(lambda size=size: block.verify(raw[:size] + raw[size + 1 :]))  # type: ignore[misc]
        refuse(lambda size=size: block.verify(raw[:size] + b"\0" + raw[size:]))  # type: ignore[misc]
    for value in range(256):
        refuse(lambda value=value: block.verify(raw + bytes([value])))  # type: ignore[misc]
    refuse(lambda: block.verify(raw + raw))
    assert block.verify(whole).record is None


def test_a_receipt_proves_nothing_on_another_chain() -> None:
    four, seven = sealed(4, 2), sealed(7, 2)
    refuse(lambda: seven.verify(four.receipt(0, 0)), Code.WRONG_CHAIN)
    refuse(lambda: four.verify(seven.receipt(0, 0)), Code.WRONG_CHAIN)


def test_seals_of_another_membership_of_the_same_chain_prove_nothing() -> None:
    block = sealed(4, 1)
    stranger = Consortium(ED25519_SHA256, n=4)
    stranger.replica_signers = {i: stranger.signer(f"stranger {i}") for i in stranger.replica_signers}
    receipt = block_pb2.Receipt.FromString(block.receipt(0, 0))
    receipt.certificate = stranger.certificate(block.block)
    refuse(lambda: block.verify(strict.write(receipt)), Code.BAD_CERTIFICATE)


def test_a_receipt_too_large_for_any_transaction_is_refused_unread() -> None:
    block = sealed(4, 1)
    limit = block.consortium.genesis.parameters.max_transaction_bytes + RECEIPT_OVERHEAD_BYTES
    refuse(lambda: block.verify(b"\xff" * (limit + MAX_EPOCHS_BYTES + 1)), Code.TOO_LARGE)
    refuse(lambda: block.verify(b"\xff" * limit), Code.NOT_STRICT)


def test_more_proofs_of_epochs_than_fit_are_refused_without_a_look_at_each() -> None:
    block = sealed(4, 1)
    receipt = block_pb2.Receipt.FromString(block.receipt(0, 0))
    receipt.epochs.extend([block_pb2.EpochProof()] * MAX_EPOCHS)
    refuse(lambda: block.verify(strict.write(receipt)), Code.WRONG_CHAIN)
    receipt.epochs.add()
    refuse(lambda: block.verify(strict.write(receipt)), Code.TOO_LARGE)


def test_each_part_of_a_receipt_has_its_own_limit() -> None:
    block = sealed(4, 1)
    limit = block.consortium.genesis.parameters.max_transaction_bytes + RECEIPT_OVERHEAD_BYTES
    for receipt in (
        block_pb2.Receipt(body=bytes(limit + 1)),
        block_pb2.Receipt(epochs=[block_pb2.EpochProof(body=bytes(MAX_EPOCHS_BYTES + 1))]),
    ):
        with pytest.raises(HuzhengError) as caught:
            block.verify(strict.write(receipt))
        assert caught.value.code is Code.TOO_LARGE


def test_the_largest_receipt_there_is_fits() -> None:
    """The overhead is enough for the seals of 256 replicas and paths in the largest trees."""
    receipt = block_pb2.Receipt(
        header=strict.write(
            block_pb2.BlockHeader(
                chain_id=bytes(32),
                height=2**64 - 1,
                parent_hash=bytes(32),
                epoch=2**64 - 1,
                proposer=2**32 - 1,
                time_ms=2**64 - 1,
                protocol_version=2**32 - 1,
                transaction_count=2**32 - 1,
                transactions_root=bytes(32),
                results_root=bytes(32),
                state_root=bytes(32),
                history_root=bytes(32),
            )
        ),
        certificate=strict.write(
            block_pb2.Certificate(seals=[block_pb2.SealSignature(replica=2**32 - 1, signature=bytes(64))] * quorum(256))
        ),
        result=strict.write(
            pb.TransactionResult(transaction_id=bytes(32), code=pb.RESULT_CODE_LAST_ADMIN_KEY, index=2**32 - 1)
        ),
        transaction_index=2**32 - 1,
        transaction_path=[bytes(32)] * 32,
        result_path=[bytes(32)] * 32,
    )
    receipt.record.path.extend([bytes(32)] * 32)
    assert receipt.ByteSize() < RECEIPT_OVERHEAD_BYTES // 2


# What a verdict says.


def resealed(block: Sealed, **fields: Any) -> bytes:
    """The receipt of a block's first record under a header with other fields, which a quorum seals all the same."""
    consortium = block.consortium
    receipt = block_pb2.Receipt.FromString(block.receipt(0, 0))
    header = block_pb2.BlockHeader.FromString(receipt.header)
    for name, value in fields.items():
        setattr(header, name, value)
    receipt.header = strict.write(header)
    block_hash = consortium.suite.digest(Domain.BLOCK, receipt.header)
    message = seal_message(consortium.genesis.chain_id, Epoch(0), block.block.height, block_hash)
    seals = {i: signer.sign(Domain.SIGN_SEAL, message) for i, signer in consortium.replica_signers.items()}
    receipt.certificate = build_certificate(consortium.genesis.membership, seals)
    return strict.write(receipt)


def test_a_verdict_as_json() -> None:
    block = sealed(4, 1)
    verdict, record = block.verify(block.receipt(0, 0)), block.consortium.record(0)
    assert verdict.to_dict() == {
        "valid": True,
        "accepted": True,
        "refusal": None,
        "conclusive": True,
        "chain_id": block.consortium.genesis.chain_id.hex(),
        "anchor": None,
        "height": 1,
        "block_hash": block.block.block_hash.hex(),
        "time": "2020-09-13T12:26:41.000+00:00",
        "epoch": 0,
        "sealed_by": [1, 2, 3],
        "transaction_id": block.block.transactions[0].id.hex(),
        "department": "planning",
        "record": {
            "id": record.id.hex(),
            "resource": OBJECTION,
            "subject": unit_code(0),
            "version": 1,
            "replaces": "",
            "action": "assert",
            "fields": objection_fields(0),
            "relies_on": [],
        },
    }
    assert replace(verdict, record=None).to_dict()["record"] is None


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000+00:00"),
        (1_600_000_000_999, "2020-09-13T12:26:40.999+00:00"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999+00:00"),
        (253_402_300_800_000, None),
        (2**64 - 1, None),
    ],
)
def test_any_time_can_be_shown(time_ms: int, text: str | None) -> None:
    block = sealed(4, 1)
    verdict = block.verify(resealed(block, time_ms=time_ms))
    assert (verdict.time_ms, verdict.to_dict()["time"]) == (time_ms, text)


@pytest.mark.parametrize("code", [code for code in pb.ResultCode.values() if code > 1])
def test_every_refusal_has_its_error_code(code: pb.ResultCode.ValueType) -> None:
    verdict = replace(sealed_verdict(), code=code)
    assert verdict.refusal == refusal(code)
    assert not verdict.accepted
    inconclusive = (pb.RESULT_CODE_LIFETIME_TOO_LONG, pb.RESULT_CODE_EXPIRED, pb.RESULT_CODE_REPEATED)
    assert verdict.conclusive == (code not in inconclusive)


@cache
def sealed_verdict() -> Verdict:
    block = sealed(4, 1)
    return block.verify(block.receipt(0, 0))


# Hostile bytes.

SEEDS = [bytes.fromhex(case["receipt"]) for case in CASES]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 3))):
        place, cut = draw(st.integers(0, len(data))), draw(st.integers(0, 4))
        put = draw(st.one_of(st.binary(max_size=4), st.just(data[place : place + 40])))
        data = data[:place] + put + data[place + cut :]
    return data


def sound() -> Iterator[bytes]:
    """The receipts that prove something, with and without their records."""
    for case in CASES:
        if case["code"] is None:
            receipt = block_pb2.Receipt.FromString(bytes.fromhex(case["receipt"]))
            yield strict.write(receipt)
            receipt.ClearField("record")
            yield strict.write(receipt)


SOUND = frozenset(sound())


@given(mutated() | st.binary(max_size=300))
@settings(max_examples=400, deadline=None)
def test_no_bytes_but_a_receipt_prove_anything_or_raise_anything_else(raw: bytes) -> None:
    if raw not in SOUND:
        refuse(lambda: verify_receipt(raw, GENESIS))

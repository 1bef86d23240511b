"""Disclosures prove the fields that they show, and say nothing of the others (docs/protocol.md section 15)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from huzheng.v1 import block_pb2, disclosure_pb2
from huzheng.v1 import transaction_pb2 as pb
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.building import BuiltRecord, build_record
from ledger.commitments import SecretField, commitment, confidential_root, paths
from ledger.crypto import ED25519_SHA256, Epoch, Height, strict
from ledger.disclosure import (
    MAX_FIELDS_BYTES,
    DisclosureVerdict,
    build_disclosure,
    max_disclosure_bytes,
    verify_disclosure,
)
from ledger.epoch_proof import MAX_EPOCHS_BYTES
from ledger.epochs import EpochTerms, first_epoch
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.receipt import verify_receipt
from ledger.sealed_block import genesis_anchor
from ledger.statement import max_statement_bytes
from tests.confidential import (
    DWELLING,
    NOTE,
    OWNER,
    PLOT,
    PRICE,
    PUBLIC,
    SHARE,
    SINCE,
    VALUES,
    compiled,
    consortium,
    dwelling,
    dwelling_record,
    receipt_of,
)
from tests.vectors import load

VECTORS, LATER = load("confidential.json"), load("disclosed_catalogue.json")
GENESIS = Genesis.read(bytes.fromhex(VECTORS["genesis"]))
CONSORTIUM = consortium()
NUMBERS = (OWNER, PRICE, SINCE, NOTE, SHARE)


@cache
def record() -> BuiltRecord:
    return dwelling_record(CONSORTIUM)


@cache
def receipt() -> bytes:
    return receipt_of(CONSORTIUM, record())


def disclosed(*numbers: int) -> bytes:
    return build_disclosure(CONSORTIUM.genesis, receipt(), record().secrets, numbers)


def verify(raw: bytes, **more: Any) -> DisclosureVerdict:
    return verify_disclosure(raw, CONSORTIUM.genesis, **more)


def code_of(raw: bytes, **more: Any) -> Code:
    with pytest.raises(HuzhengError) as caught:
        verify(raw, **more)
    assert not any(value in str(caught.value) for value in VALUES.values())
    return caught.value.code


def test_both_files_of_vectors_are_of_one_genesis() -> None:
    assert LATER["genesis"] == VECTORS["genesis"]


@pytest.mark.parametrize("case", [*VECTORS["disclosures"], *LATER["disclosures"]], ids=lambda case: case["name"])
def test_disclosure_vectors(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["disclosure"])
    if case["code"] is not None:
        with pytest.raises(HuzhengError) as caught:
            verify_disclosure(raw, GENESIS)
        assert caught.value.code == case["code"]
        return
    verdict = verify_disclosure(raw, GENESIS)
    fields = [{"number": shown.number, "name": shown.name, "value": shown.value} for shown in verdict.fields]
    expected = {"height": verdict.receipt.height, "record_id": verdict.record.id.hex(), "fields": fields}
    assert expected.items() <= case["verdict"].items()


# --- what is built, proves what it should ---


@given(st.sets(st.sampled_from(NUMBERS)))
def test_any_choice_of_fields_is_proved(numbers: set[int]) -> None:
    verdict = verify(disclosed(*numbers))
    kept = {secret.number: secret.value for secret in record().secrets}
    assert verdict.values == {number: kept[number] for number in sorted(numbers)}
    assert (verdict.record.id, verdict.record.values) == (record().id, PUBLIC)


values = st.fixed_dictionaries(
    {
        "OWNER": st.text("张三李四abc ,.", min_size=1, max_size=16),
        "PRICE": st.decimals(min_value=0, max_value=10**9, places=2, allow_nan=False).map(lambda price: f"{price:f}"),
    },
    optional={"SINCE": st.dates().map(lambda day: day.isoformat()), "NOTE": st.text("abc", min_size=1, max_size=200)},
)


@settings(max_examples=30, deadline=None)
@given(values, st.sets(st.sampled_from(NUMBERS)))
def test_whatever_values_a_record_has_come_back(given_values: dict[str, str], numbers: set[int]) -> None:
    built = dwelling_record(CONSORTIUM, given_values)
    raw = build_disclosure(CONSORTIUM.genesis, receipt_of(CONSORTIUM, built), built.secrets, numbers)
    names = {spec.number: spec.name for spec in compiled().fields}
    assert verify(raw).values == {number: given_values.get(names[number], "") for number in sorted(numbers)}


def test_a_field_without_value_is_shown_to_have_none() -> None:
    verdict = verify(disclosed(SHARE))
    assert verdict.values == {SHARE: ""}
    assert verdict.to_dict()["confidential"] == {"SHARE": None}


def test_values_are_in_the_verdict_for_programs_and_in_no_repr() -> None:
    verdict = verify(disclosed(*NUMBERS))
    assert verdict.to_dict()["confidential"] == {**VALUES, "SHARE": None}
    assert not any(value in repr(verdict) for value in VALUES.values())


def test_a_record_among_others_of_its_transaction_is_disclosed_as_well() -> None:
    others = [dwelling_record(CONSORTIUM, subject=f"AB000{number}") for number in range(4)]
    raw = build_disclosure(CONSORTIUM.genesis, receipt_of(CONSORTIUM, record(), *others), record().secrets, [PRICE])
    assert verify(raw).values == {PRICE: VALUES["PRICE"]}


def test_under_an_anchor_a_disclosure_needs_the_same_links_as_its_receipt() -> None:
    anchor = genesis_anchor(CONSORTIUM.genesis)
    assert code_of(disclosed(OWNER), anchor=anchor) == Code.BAD_PROOF


def test_a_disclosure_of_a_block_whose_epoch_was_over_by_then_is_refused() -> None:
    first = first_epoch(CONSORTIUM.genesis)

    def next_from(height: int) -> list[EpochTerms]:
        membership = replace(first.membership, epoch=Epoch(1))
        return [first, replace(first, membership=membership, first_height=Height(height))]

    assert verify(disclosed(OWNER), known_epochs=next_from(2)).values
    assert code_of(disclosed(OWNER), known_epochs=next_from(1)) == Code.BAD_PROOF


# --- what is not shown, is not in it ---


def test_nothing_of_fields_that_are_not_shown_is_in_a_disclosure() -> None:
    """But for the hashes that the paths need, which the salts make worthless to whoever would try values out."""
    for number in NUMBERS:
        raw = disclosed(number)
        message = strict.read(disclosure_pb2.Disclosure, raw)
        [shown] = message.fields
        assert shown.number == number
        for other in record().secrets:
            if other.number == number:
                continue
            assert other.salt not in raw
            assert other.value.encode() not in raw or not other.value
            # The leaf's datum itself is not there either, only its hash, where it is the sibling.
            assert commitment(ED25519_SHA256, other) not in raw


def test_a_path_has_as_many_hashes_as_the_schema_asks_for_whatever_has_a_value() -> None:
    """Five leaves: the last one is a child of the root."""
    bare = dwelling_record(CONSORTIUM, {"OWNER": "张三", "PRICE": "1"})
    for built in (record(), bare):
        raw = build_disclosure(CONSORTIUM.genesis, receipt_of(CONSORTIUM, built), built.secrets, NUMBERS)
        fields = strict.read(disclosure_pb2.Disclosure, raw).fields
        assert [len(shown.path) for shown in fields] == [3, 3, 3, 3, 1]


def blanked(raw: bytes) -> bytes:
    """With zeros for everything that is random, or a hash or signature: what an observer could tell two files apart by."""
    message = strict.read(disclosure_pb2.Disclosure, raw)
    receipt = strict.read(block_pb2.Receipt, message.receipt)
    header = strict.read(block_pb2.BlockHeader, receipt.header)
    certificate = strict.read(block_pb2.Certificate, receipt.certificate)
    body = strict.read(pb.TransactionBody, receipt.body)
    result = strict.read(pb.TransactionResult, receipt.result)
    proved = strict.read(pb.Record, receipt.record.record)
    payload = strict.read(pb.Payload, receipt.record.payload)
    for part, names in (
        (header, ("transactions_root", "results_root", "state_root", "history_root", "parent_hash")),
        (body, ("records_root", "nonce")),
        (result, ("transaction_id",)),
        (proved, ("payload_digest", "confidential_root")),
        (payload, ("salt",)),
    ):
        for name in names:
            setattr(part, name, bytes(len(getattr(part, name))))
    for seal in certificate.seals:
        seal.signature = bytes(len(seal.signature))
    receipt.header, receipt.certificate = strict.write(header), strict.write(certificate)
    receipt.body, receipt.result = strict.write(body), strict.write(result)
    receipt.signature = bytes(len(receipt.signature))
    receipt.record.record, receipt.record.payload = strict.write(proved), strict.write(payload)
    for shown in message.fields:
        shown.salt = bytes(len(shown.salt))
        shown.path[:] = [bytes(len(node)) for node in shown.path]
    message.receipt = strict.write(receipt)
    return strict.write(message)


@pytest.mark.parametrize("number", NUMBERS[:3])
def test_records_that_differ_in_other_fields_have_disclosures_that_differ_in_hashes_alone(number: int) -> None:
    name = next(spec.name for spec in compiled().fields if spec.number == number)
    full = {**VALUES, "SHARE": "50%"}
    other: dict[str, str] = {"OWNER": "欧阳" * 10, "PRICE": "1", name: VALUES[name]}
    raws = []
    for given_values in (full, other):
        built = dwelling_record(CONSORTIUM, given_values)
        raws.append(build_disclosure(CONSORTIUM.genesis, receipt_of(CONSORTIUM, built), built.secrets, [number]))
    first, second = raws
    assert first != second
    assert len(first) == len(second)
    assert blanked(first) == blanked(second)


# --- what was changed, proves nothing ---


def test_each_flipped_byte_is_noticed() -> None:
    raw = disclosed(OWNER, NOTE)
    dice = random.Random(1)
    for at in range(len(raw)):
        assert code_of(raw[:at] + bytes([raw[at] ^ 1 << dice.randrange(8)]) + raw[at + 1 :])


def test_each_cut_is_noticed() -> None:
    raw = disclosed(PRICE)
    for length in range(0, len(raw), 7):
        assert code_of(raw[:length])


def changed(raw: bytes, place: int = 0, **fields: Any) -> bytes:
    message = strict.read(disclosure_pb2.Disclosure, raw)
    for name, value in fields.items():
        if name == "path":
            message.fields[place].path[:] = value
        else:
            setattr(message.fields[place], name, value)
    return strict.write(message)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("claimed", [*range(12), 1_023, 2**32 - 1])
def test_a_field_can_not_pass_for_another_one(number: int, claimed: int) -> None:
    """Neither with its own path nor with that of the other."""
    if number == claimed:
        return
    assert code_of(changed(disclosed(number), number=claimed)) in (Code.BAD_PROOF, Code.UNKNOWN_FIELD)
    if claimed in NUMBERS:
        [theirs] = strict.read(disclosure_pb2.Disclosure, disclosed(claimed)).fields
        assert code_of(changed(disclosed(number), number=claimed, path=theirs.path)) == Code.BAD_PROOF


@pytest.mark.parametrize("value", ["", "王五", "张三 ", "张"])
def test_another_value_is_not_what_was_committed_to(value: str) -> None:
    assert code_of(changed(disclosed(OWNER), value=value)) == Code.BAD_PROOF


def test_fields_of_another_record_with_the_same_values_prove_nothing_of_this_one() -> None:
    twin = dwelling_record(CONSORTIUM)
    raw = strict.read(
        disclosure_pb2.Disclosure,
        build_disclosure(CONSORTIUM.genesis, receipt_of(CONSORTIUM, twin), twin.secrets, [OWNER]),
    )
    raw.receipt = receipt()
    assert code_of(strict.write(raw)) == Code.BAD_PROOF


def committed(fields: Sequence[SecretField], number: int) -> bytes:
    """A field of a record whose system committed to these without looking at them; accepted, as nobody could know."""
    built = CONSORTIUM.odd_record(
        record().payload,
        resource=DWELLING,
        subject=PLOT,
        confidential_root=confidential_root(ED25519_SHA256, fields),
        schema_version=1,
    )
    return build_disclosure(CONSORTIUM.genesis, receipt_of(CONSORTIUM, built), fields, [number])


@pytest.mark.parametrize(
    ("number", "value", "code"),
    [
        (OWNER, "", Code.MISSING_FIELD),
        (OWNER, "x" * 65, Code.BAD_FIELD),
        (PRICE, "", Code.MISSING_FIELD),
        (PRICE, "01", Code.BAD_FIELD),
        (SINCE, "2021-02-29", Code.BAD_FIELD),
        (SHARE, "half", Code.BAD_FIELD),
    ],
)
def test_a_department_that_commits_to_what_does_not_fit_is_proved_to_have_done_so(
    number: int, value: str, code: Code
) -> None:
    fields = [
        SecretField(number, value, secret.salt) if secret.number == number else secret for secret in record().secrets
    ]
    raw = committed(fields, number)
    assert code_of(raw) == code
    assert code_of(changed(raw, salt=bytes(16))) == Code.BAD_PROOF


def test_a_number_that_was_committed_to_twice_can_be_shown_in_its_own_place_alone() -> None:
    secrets = record().secrets
    second = SecretField(OWNER, "李四", bytes(16))
    fields = [secrets[0], second, *secrets[2:]]
    raw = committed(fields, SINCE)
    [shown] = strict.read(disclosure_pb2.Disclosure, committed(fields, NOTE)).fields
    assert shown.number == NOTE
    ways = paths(ED25519_SHA256, [secrets[0], SecretField(PRICE, "", b""), *secrets[2:]], {PRICE})
    lie = changed(raw, number=OWNER, value="李四", salt=bytes(16), path=ways[PRICE])
    assert code_of(lie) == Code.BAD_PROOF


# --- schema versions ---


def of_version(schema_version: int) -> tuple[bytes, Sequence[SecretField]]:
    """The receipt of a record that cites a schema version which was published after the genesis, and its confidential fields."""
    fields = record().secrets[:3]
    built = CONSORTIUM.odd_record(
        record().payload,
        resource=DWELLING,
        subject=PLOT,
        confidential_root=confidential_root(ED25519_SHA256, fields),
        schema_version=schema_version,
    )
    published = [dwelling(version) for version in range(2, schema_version + 1)]
    return receipt_of(CONSORTIUM, built, published=published), fields


def test_a_proof_of_the_schema_version_is_asked_for_where_the_genesis_lacks_it_and_nowhere_else() -> None:
    asked: list[tuple[str, int]] = []

    def prove(name: str, schema_version: int) -> bytes:
        asked.append((name, schema_version))
        return b"proof"

    disclosure = build_disclosure(CONSORTIUM.genesis, receipt(), record().secrets, [OWNER], prove)
    assert strict.read(disclosure_pb2.Disclosure, disclosure).catalogue == b""
    assert not asked
    later = build_disclosure(CONSORTIUM.genesis, *of_version(2), [PRICE], prove)
    assert strict.read(disclosure_pb2.Disclosure, later).catalogue == b"proof"
    assert asked == [(DWELLING, 2)]
    with pytest.raises(HuzhengError) as caught:
        build_disclosure(CONSORTIUM.genesis, *of_version(2), [PRICE])
    assert caught.value.code is Code.SCHEMA_UNKNOWN


@pytest.mark.parametrize(
    "case", [case for case in LATER["disclosures"] if case["code"] is None], ids=lambda c: c["name"]
)
def test_public_fields_have_the_names_that_the_proved_schema_version_gives_them(case: dict[str, Any]) -> None:
    verdict = verify_disclosure(bytes.fromhex(case["disclosure"]), GENESIS)
    assert verdict.record.values == case["verdict"]["values"]
    # Of the receipt alone nobody could tell.
    receipt = strict.read(disclosure_pb2.Disclosure, bytes.fromhex(case["disclosure"])).receipt
    alone = verify_receipt(receipt, GENESIS).record
    assert alone is not None
    assert any(name.startswith("#") for name in alone.values or ())


# --- building, and limits ---


def test_nothing_is_disclosed_of_values_that_the_record_does_not_commit_to() -> None:
    others = build_record(CONSORTIUM.genesis, DWELLING, PLOT, 1, b"", PUBLIC, confidential=VALUES).secrets
    for fields in (others, record().secrets[:-1], ()):
        with pytest.raises(HuzhengError) as caught:
            build_disclosure(CONSORTIUM.genesis, receipt(), fields, [OWNER])
        assert caught.value.code is Code.BAD_COMMITMENT


@pytest.mark.parametrize("number", [0, 1, 3, 10])
def test_what_is_no_confidential_field_can_not_be_disclosed(number: int) -> None:
    with pytest.raises(HuzhengError) as caught:
        disclosed(OWNER, number)
    assert caught.value.code is Code.UNKNOWN_FIELD


def test_a_disclosure_has_at_most_as_many_bytes_as_it_may_need() -> None:
    message = strict.read(disclosure_pb2.Disclosure, disclosed(OWNER))
    message.fields[0].value = "x" * MAX_FIELDS_BYTES
    assert code_of(strict.write(message)) == Code.TOO_LARGE
    assert code_of(bytes(max_disclosure_bytes(CONSORTIUM.genesis) + 1)) == Code.TOO_LARGE
    message.fields[0].value = "x" * (MAX_FIELDS_BYTES - 1_000)
    assert code_of(strict.write(message)) == Code.BAD_PROOF


def test_the_proof_of_the_schema_version_has_the_limit_of_statements() -> None:
    message = strict.read(disclosure_pb2.Disclosure, disclosed(OWNER))
    message.catalogue = bytes(max_statement_bytes(CONSORTIUM.genesis) + MAX_EPOCHS_BYTES + 1)
    assert code_of(strict.write(message)) == Code.TOO_LARGE
    # As much as it may have, and all fields: no limit of the whole is in the way.
    message.catalogue = message.catalogue[1:]
    message.fields[0].value = "x" * (MAX_FIELDS_BYTES - 1_000)
    assert code_of(strict.write(message)) == Code.NOT_STRICT

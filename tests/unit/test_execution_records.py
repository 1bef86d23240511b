"""When a record is accepted (docs/protocol.md X3, rule 7, and X5)."""

from __future__ import annotations

import pytest
from huzheng.v1 import state_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.state import POOL_KEY, read_head, seen_key
from tests.builders import OBJECTION, Chain, Consortium, objection_fields, unit_code
from tests.outcomes import one, payload, results


@pytest.fixture(scope="module")
def consortium() -> Consortium:
    return Consortium()


@pytest.fixture
def chain(consortium: Consortium) -> Chain:
    return consortium.chain()


GOOD = list(enumerate(objection_fields().values(), start=1))
FAULTS: dict[str, dict[str, object]] = {
    "UNKNOWN_RESOURCE": {"resource": "property.castle"},
    "NOT_OWNER": {"resource": "tax.deed_tax"},
    "SCHEMA_MISMATCH": {"schema_version": 2},
    "BAD_SUBJECT": {"subject": "no unit code"},
    "BAD_PAYLOAD": {"payload": payload([(9, "?"), (2, "?")], b"s" * 15)},
    "UNKNOWN_FIELD": {"payload": payload([(2, "?"), (9, "?")])},
    "BAD_FIELD": {"payload": payload([(2, "?")])},
    "MISSING_FIELD": {"payload": payload(GOOD[1:])},
    "VERSION_CONFLICT": {"version": 2, "replaces": bytes(32)},
}


@pytest.mark.parametrize("code", FAULTS)
def test_a_record_that_does_not_hold_is_refused(chain: Chain, consortium: Consortium, code: str) -> None:
    good, odd = consortium.record(2), consortium.odd_record(**FAULTS[code])  # type: ignore[arg-type]
    assert one(chain, consortium.transaction([good, odd])) == (code, 1)


@pytest.mark.parametrize("position", range(len(FAULTS)), ids=list(FAULTS))
def test_of_several_faults_of_a_record_the_first_in_the_table_counts(
    chain: Chain, consortium: Consortium, position: int
) -> None:
    codes = list(FAULTS)[position:]
    fields: dict[str, object] = {}
    for code in reversed(codes):
        fields |= FAULTS[code]
    raw = consortium.transaction([consortium.odd_record(**fields)])  # type: ignore[arg-type]
    assert one(chain, raw) == (codes[0], 0)


def test_records_are_judged_in_turn(chain: Chain, consortium: Consortium) -> None:
    late = consortium.odd_record(**FAULTS["VERSION_CONFLICT"])  # type: ignore[arg-type]
    early = consortium.odd_record(**FAULTS["UNKNOWN_RESOURCE"])  # type: ignore[arg-type]
    assert one(chain, consortium.transaction([late, early])) == ("VERSION_CONFLICT", 0)


PAYLOADS = {
    "none": b"",
    "not a message": b"\xff\xff",
    "not in strict form": payload(GOOD) + b"\x18\x01",
    "without salt": payload(GOOD, b""),
    "salt a byte long": payload(GOOD, b"s" * 17),
    "fields out of order": payload([GOOD[1], GOOD[0], *GOOD[2:]]),
    "field twice": payload([GOOD[0], *GOOD]),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_that_is_none_is_refused(chain: Chain, consortium: Consortium, name: str) -> None:
    raw = consortium.transaction([consortium.odd_record(PAYLOADS[name])])
    assert one(chain, raw) == ("BAD_PAYLOAD", 0)


@pytest.mark.parametrize(("version", "right_id"), [(1, False), (2, False), (3, True), (2**64 - 1, True)])
def test_a_version_must_follow_the_newest_and_name_it(
    chain: Chain, consortium: Consortium, version: int, right_id: bool
) -> None:
    first = consortium.record()
    replaces = b"" if version == 1 else first.id if right_id else consortium.record(2).id
    odd = consortium.odd_record(version=version, replaces=replaces, payload=payload(GOOD))
    block = chain.add(consortium.transaction([first]), consortium.transaction([odd], nonce=1))
    assert results(block) == [("ACCEPTED", 0), ("VERSION_CONFLICT", 0)]


def test_nothing_is_revoked_where_nothing_is_in_force(chain: Chain, consortium: Consortium) -> None:
    first = consortium.record()
    revoking = consortium.record(1, 2, first.id, revoke=True)
    again = consortium.record(1, 3, revoking.id, revoke=True)
    block = chain.add(
        consortium.transaction([consortium.record(2, 2, bytes(32), revoke=True)]),
        consortium.transaction([first, revoking, again], nonce=1),
        consortium.transaction([first, revoking], nonce=2),
    )
    assert results(block) == [("VERSION_CONFLICT", 0), ("NOTHING_TO_REVOKE", 2), ("ACCEPTED", 0)]


def test_a_revoking_record_must_cite_resource_schema_and_subject_too(chain: Chain, consortium: Consortium) -> None:
    first = consortium.record()
    chain.add(consortium.transaction([first]))
    revoking = pb.Record.FromString(consortium.record(1, 2, first.id, revoke=True).raw)
    fields = {name: getattr(revoking, name) for name in ("version", "replaces", "action")}
    for code in ("UNKNOWN_RESOURCE", "NOT_OWNER", "SCHEMA_MISMATCH", "BAD_SUBJECT"):
        odd = consortium.odd_record(b"", **(fields | FAULTS[code]))
        assert one(chain, consortium.transaction([odd])) == (code, 0)


def test_versions_may_follow_one_another_in_one_transaction(chain: Chain, consortium: Consortium) -> None:
    first = consortium.record(1)
    second = consortium.record(1, 2, first.id)
    revoking = consortium.record(1, 3, second.id, revoke=True)
    fourth = consortium.record(1, 4, revoking.id)
    assert one(chain, consortium.transaction([first, consortium.record(2), second, revoking, fourth])) == (
        "ACCEPTED",
        0,
    )
    head = read_head(chain.state, consortium.genesis.slots[OBJECTION], unit_code(1))
    assert head == state_pb2.Head(version=4, record_id=fourth.id, action=pb.RECORD_ACTION_ASSERT)


def test_a_transaction_takes_effect_whole_or_not_at_all(chain: Chain, consortium: Consortium) -> None:
    first, conflicting = consortium.record(1), consortium.record(2, 2, bytes(32))
    raw = consortium.transaction([first, consortium.record(3), conflicting])
    block = chain.add(raw, consortium.transaction([first], nonce=1))
    assert results(block) == [("VERSION_CONFLICT", 2), ("ACCEPTED", 0)]
    assert read_head(chain.state, consortium.genesis.slots[OBJECTION], unit_code(3)) is None
    seen = {seen_key(item.expires_ms, item.id): b"" for item in block.transactions}
    assert {key: value for key, value in block.changes.items() if key[:1] not in (b"h", POOL_KEY)} == seen


def test_transactions_see_the_effects_of_those_before_them(chain: Chain, consortium: Consortium) -> None:
    first = consortium.record(1)
    raws = [consortium.transaction([first], nonce=1), consortium.transaction([consortium.record(1, 2, first.id)])]
    assert results(consortium.chain().add(*raws)) == [("ACCEPTED", 0), ("ACCEPTED", 0)]
    assert results(chain.add(*reversed(raws))) == [("VERSION_CONFLICT", 0), ("ACCEPTED", 0)]


def test_results_and_state_repeat_nothing_that_was_submitted(chain: Chain, consortium: Consortium) -> None:
    value = "MISFIT-VALUE"
    odd = [consortium.odd_record(payload([(2, value)])), consortium.odd_record(subject=value)]
    block = chain.add(*(consortium.transaction([record], nonce=nonce) for nonce, record in enumerate(odd)))
    stored = [*block.results, block.header, *block.changes, *(value or b"" for value in block.changes.values())]
    assert not any(value.encode() in item for item in stored)

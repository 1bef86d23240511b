"""Reads: every refusal and its order, races, limits to the last one, and the accounts (docs/protocol.md G6, G8 and G9)."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from huzheng.v1 import sharing_pb2 as sharing
from huzheng.v1 import transaction_pb2 as pb

from ledger.crypto import SIMULATION
from tests.naive.ledger import Result, tagged_hash
from tests.sharing import (
    DAY_MS,
    FREE,
    REGISTER,
    SUBJECTS,
    T0_MS,
    Sharing,
    acknowledge,
    apply_for,
    approve,
    end,
    order_erasure,
    publish,
    read,
    resource,
    terms,
    withdraw,
)

ACCEPTED = ("ACCEPTED", 0)
FIRST, SECOND, THIRD = SUBJECTS
REFUSALS = (
    "BAD_OPERATION",
    "UNKNOWN_GRANT",
    "NOT_PARTY",
    "WRONG_GRANT_STATE",
    "GRANT_EXPIRED",
    "GRANT_USED_UP",
    "OUTSIDE_GRANT",
    "UNKNOWN_RESOURCE",
    "NOTHING_TO_READ",
    "ERASED",
)
"""In the order of G6."""


def read_with(faults: set[str]) -> Result:
    """How a read of the second subject ends that has all these faults and no others."""
    world = Sharing(SIMULATION)
    subjects = [FIRST, THIRD] if "OUTSIDE_GRANT" in faults else [FIRST, SECOND]
    grant = world.grant(terms(subjects=subjects, max_reads=1))
    if "GRANT_USED_UP" in faults:
        world.read(grant, FIRST)
    if "WRONG_GRANT_STATE" in faults:
        world.must("planning", end(grant))
    if "NOTHING_TO_READ" in faults:
        world.must("planning", records=[world.record(SECOND, revoke=True)])
    if "ERASED" in faults:
        world.must("planning", order_erasure(world.newest(SECOND)))
    if "UNKNOWN_RESOURCE" in faults:
        world.must("planning", withdraw())
    asked = read(
        b"\x01" * 32 if "UNKNOWN_GRANT" in faults else grant,
        SECOND,
        reader_key=b"" if "BAD_OPERATION" in faults else b"\x07" * 32,
    )
    time_ms = T0_MS + DAY_MS if "GRANT_EXPIRED" in faults else T0_MS
    return world.one("housing" if "NOT_PARTY" in faults else "tax", asked, time_ms=time_ms)


def test_a_read_without_a_fault_is_accepted() -> None:
    assert read_with(set()) == ACCEPTED


@pytest.mark.parametrize("code", REFUSALS)
def test_each_fault_of_a_read_has_its_code(code: str) -> None:
    assert read_with({code}) == (code, 0)


@pytest.mark.parametrize(("first", "second"), list(combinations(REFUSALS, 2)))
def test_of_two_faults_the_first_by_the_rule_counts(first: str, second: str) -> None:
    assert read_with({first, second}) == (first, 0)


@pytest.fixture(scope="module")
def world() -> Sharing:
    return Sharing()


@pytest.mark.parametrize(
    "fields",
    [
        {"case_number": ""},
        {"case_number": "x" * 129},
        {"case_number": "a\tb"},
        {"fields": []},
        {"fields": [3, 2]},
        {"fields": [2, 2]},
        {"fields": range(1, 66)},
        {"reader_key": b"\x07" * 31},
        {"reader_key": b"\x07" * 33},
    ],
)
def test_what_has_not_the_form_of_a_read_is_none(world: Sharing, fields: dict[str, Any]) -> None:
    assert world.one("tax", read(world.grant(), **fields)) == ("BAD_OPERATION", 0)
    assert world.one("tax", read(b"\x01" * 31)) == ("BAD_OPERATION", 0)


@pytest.mark.parametrize(
    ("granted", "asked", "is_within"),
    [
        ({}, {"fields": [2, 3]}, True),
        ({}, {"fields": [2, 4]}, False),
        ({}, {"fields": [1]}, False),
        ({"subjects": [FIRST]}, {"subject": FIRST}, True),
        ({"subjects": [FIRST]}, {"subject": SECOND}, False),
        ({}, {"case_number": "any"}, True),
        ({"case_number": "案1"}, {"case_number": "案1"}, True),
        ({"case_number": "案1"}, {"case_number": "案2"}, False),
    ],
)
def test_a_read_keeps_within_its_grant(
    world: Sharing, granted: dict[str, Any], asked: dict[str, Any], is_within: bool
) -> None:
    found = world.one("tax", read(world.grant(terms(**granted)), **asked))
    assert found == (ACCEPTED if is_within else ("OUTSIDE_GRANT", 0))


def test_what_counts_is_what_was_granted_and_not_what_was_applied_for(world: Sharing) -> None:
    grant = world.grant(terms(fields=[2, 3]), terms(fields=[3]))
    assert world.one("tax", read(grant, fields=[2])) == ("OUTSIDE_GRANT", 0)
    assert world.one("tax", read(grant, fields=[3])) == ACCEPTED


@pytest.mark.parametrize("status", ["applied", "refused", "ended"])
def test_nobody_reads_under_a_grant_that_is_not_active(status: str) -> None:
    world = Sharing()
    grant = world.applied()
    if status == "refused":
        world.must("planning", pb.Operation(refuse_grant=sharing.RefuseGrant(grant=grant, reason="x")))
    elif status == "ended":
        world.must("planning", approve(grant))
        world.must("tax", end(grant))
    assert world.one("tax", read(grant)) == ("WRONG_GRANT_STATE", 0)


@pytest.mark.parametrize(
    ("late_ms", "expected"), [(-1, ACCEPTED), (0, ("GRANT_EXPIRED", 0)), (1, ("GRANT_EXPIRED", 0))]
)
def test_a_grant_expires_to_the_millisecond(late_ms: int, expected: Result) -> None:
    world = Sharing()
    grant = world.grant(terms(expires_ms=T0_MS + 5_000))
    assert world.one("tax", read(grant), time_ms=T0_MS + 5_000 + late_ms) == expected


def test_the_last_read_is_accepted_and_the_one_after_it_is_not() -> None:
    world = Sharing()
    grant = world.grant(terms(max_reads=3))
    raws = [world.transaction("tax", read(grant)) for _ in range(4)]
    assert world.block(*raws) == [ACCEPTED] * 3 + [("GRANT_USED_UP", 0)]
    assert world.grant_state(grant).reads.count == 3


def test_refused_reads_do_not_count() -> None:
    world = Sharing()
    grant = world.grant(terms(max_reads=1))
    assert world.one("tax", read(grant, fields=[4])) == ("OUTSIDE_GRANT", 0)
    assert world.one("tax", read(grant), read(grant)) == ("GRANT_USED_UP", 1)
    assert world.grant_state(grant).reads == sharing.Reads()
    assert world.account() == sharing.Reads()
    assert world.one("tax", read(grant)) == ACCEPTED


def test_a_revocation_before_a_read_in_one_block_stops_it_and_one_after_it_does_not() -> None:
    world = Sharing()
    first, second = world.grant(), world.grant()
    before = [world.transaction("planning", end(first)), world.transaction("tax", read(first))]
    assert world.block(*before) == [ACCEPTED, ("WRONG_GRANT_STATE", 0)]
    after = [world.transaction("tax", read(second)), world.transaction("planning", end(second))]
    assert world.block(*after) == [ACCEPTED, ACCEPTED]
    assert world.grant_state(first).reads.count == 0
    assert world.grant_state(second).reads.count == 1


def test_an_erasure_before_a_read_in_one_block_stops_it_and_one_after_it_does_not() -> None:
    world = Sharing()
    grant = world.grant()
    raws = [
        world.transaction("tax", read(grant)),
        world.transaction("planning", order_erasure(world.newest())),
        world.transaction("tax", read(grant)),
    ]
    assert world.block(*raws) == [ACCEPTED, ACCEPTED, ("ERASED", 0)]


def test_a_read_is_of_the_record_in_force_whatever_comes_after() -> None:
    world = Sharing()
    grant = world.grant()
    old = world.newest()
    first = world.read(grant)
    world.must("planning", records=[world.record()])
    second = world.read(grant)
    assert (world.read_state(first).record_id, world.read_state(second).record_id) == (old, world.newest())
    assert old != world.newest()


def test_a_new_version_of_an_erased_record_may_be_read() -> None:
    world = Sharing()
    grant = world.grant()
    world.must("planning", order_erasure(world.newest()))
    assert world.one("tax", read(grant)) == ("ERASED", 0)
    world.must("planning", records=[world.record()])
    assert world.one("tax", read(grant)) == ACCEPTED


def test_an_erasure_ordered_by_somebody_else_stops_no_read() -> None:
    world = Sharing()
    grant = world.grant()
    world.must("housing", order_erasure(world.newest()))
    assert world.one("tax", read(grant)) == ACCEPTED


def test_nothing_is_read_about_a_subject_of_which_there_is_nothing() -> None:
    world = Sharing()
    assert world.one("tax", read(world.grant(), "ZZ9999")) == ("NOTHING_TO_READ", 0)
    assert world.one("tax", read(world.grant(), "no subject at all\0")) == ("NOTHING_TO_READ", 0)


def test_a_later_schema_version_leaves_grants_as_they_are() -> None:
    world = Sharing()
    grant = world.grant(terms(fields=[4]))
    newer = resource(schema_version=2)
    del newer.fields[3]
    world.must("planning", publish(newer))
    assert world.one("tax", read(grant, fields=[4])) == ACCEPTED


def test_only_a_system_key_reads_and_acknowledges(world: Sharing) -> None:
    grant = world.grant()
    identifier = world.read(grant)
    assert world.one("tax", read(grant), by="admin") == ("KEY_NOT_ALLOWED", 0)
    assert world.one("tax", acknowledge(identifier), by="admin") == ("KEY_NOT_ALLOWED", 0)


def test_a_read_keeps_all_that_was_asked() -> None:
    world = Sharing()
    grant = world.grant()
    identifier = world.must("tax", read(grant), read(grant, SECOND, case_number="案2", fields=[2, 3]))
    second = world.read_id(identifier, 1)
    assert second == tagged_hash("read", identifier + b"\x01")
    assert world.read_state(second) == sharing.ReadState(
        grant=grant,
        reader="tax",
        owner="planning",
        resource=REGISTER,
        subject=SECOND,
        record_id=world.newest(SECOND),
        case_number="案2",
        fields=[2, 3],
        reader_key=b"\x07" * 32,
        height=world.chain.tip.height,
        time_ms=T0_MS,
    )


def test_accounts_are_chains_of_hashes_over_the_reads_in_their_order() -> None:
    world = Sharing()
    one, other = world.grant(), world.grant(by="housing")
    reads = [
        (one, FIRST, world.read(one, FIRST)),
        (other, FIRST, world.read(other, FIRST, by="housing")),
        (one, SECOND, world.read(one, SECOND)),
        (one, FIRST, world.read(one, FIRST)),
    ]

    def account(ids: list[bytes]) -> sharing.Reads:
        digest = bytes(32)
        for identifier in ids:
            digest = tagged_hash("reads", digest + identifier)
        return sharing.Reads(count=len(ids), digest=digest)

    for subject in (FIRST, SECOND):
        assert world.account(subject) == account([i for _, s, i in reads if s == subject])
    for grant in (one, other):
        assert world.grant_state(grant).reads == account([i for g, _, i in reads if g == grant])
    assert world.account(THIRD) == world.account(FIRST, FREE) == sharing.Reads()


def test_two_reads_in_one_transaction_are_two() -> None:
    world = Sharing()
    grant = world.grant()
    identifier = world.must("tax", read(grant), read(grant))
    ids = [world.read_id(identifier, index) for index in (0, 1)]
    assert world.account().digest == tagged_hash("reads", tagged_hash("reads", bytes(32) + ids[0]) + ids[1])


def test_what_is_free_is_read_as_soon_as_it_is_applied_for() -> None:
    world = Sharing()
    apply = world.transaction("tax", apply_for(terms(resource=FREE)))
    assert world.block(apply) == [ACCEPTED]
    grant = world.grant_id(world.chain.blocks[-1].transactions[0].id)
    assert world.one("tax", read(grant)) == ACCEPTED


def test_an_acknowledgement_turns_asked_for_into_read_once() -> None:
    world = Sharing()
    grant = world.grant()
    identifier = world.read(grant)
    assert world.read_state(identifier).acknowledged_ms == 0
    assert world.one("tax", acknowledge(identifier), time_ms=T0_MS + 9) == ACCEPTED
    assert world.read_state(identifier).acknowledged_ms == T0_MS + 9
    assert world.one("tax", acknowledge(identifier), time_ms=T0_MS + 10) == ("ALREADY_DONE", 0)
    assert world.read_state(identifier).acknowledged_ms == T0_MS + 9


def test_an_acknowledgement_is_of_ones_own_read(world: Sharing) -> None:
    identifier = world.read(world.grant())
    assert world.one("tax", acknowledge(b"\x01" * 31)) == ("BAD_OPERATION", 0)
    assert world.one("tax", acknowledge(b"\x01" * 32)) == ("UNKNOWN_READ", 0)
    for other in ("housing", "planning"):
        assert world.one(other, acknowledge(identifier)) == ("NOT_PARTY", 0)
    world.must("tax", acknowledge(identifier))
    assert world.one("housing", acknowledge(identifier)) == ("NOT_PARTY", 0)


def test_an_ended_grant_does_not_stop_an_acknowledgement() -> None:
    world = Sharing()
    grant = world.grant()
    identifier = world.read(grant)
    world.must("tax", end(grant))
    assert world.one("tax", acknowledge(identifier)) == ACCEPTED

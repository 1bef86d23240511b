"""Grants: applied for, decided, ended; every refusal, and which one counts of several (docs/protocol.md G1 to G5)."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from huzheng.v1 import sharing_pb2 as sharing
from huzheng.v1 import transaction_pb2 as pb

from tests.naive.ledger import tagged_hash
from tests.sharing import (
    CLOSED,
    DAY_MS,
    FREE,
    T0_MS,
    Sharing,
    apply_for,
    approve,
    end,
    publish,
    refuse,
    resource,
    terms,
    withdraw,
)

ACCEPTED = ("ACCEPTED", 0)
LONGEST_MS = 10 * 366 * DAY_MS
FORM: dict[str, dict[str, Any]] = {
    "no resource": {"resource": ""},
    "no fields": {"fields": []},
    "fields that descend": {"fields": [3, 2]},
    "a field twice": {"fields": [2, 2]},
    "too many fields": {"fields": range(1, 66)},
    "subjects that descend": {"subjects": ["AB0002", "AB0001"]},
    "a subject twice": {"subjects": ["AB0001", "AB0001"]},
    "too many subjects": {"subjects": [f"AB{number:04}" for number in range(65)]},
    "a case with a line break": {"case_number": "a\nb"},
    "a case too long": {"case_number": "x" * 129},
    "no reads": {"max_reads": 0},
    "too many reads": {"max_reads": 1_000_000_001},
    "too long": {"expires_ms": T0_MS + LONGEST_MS + 1},
}
APPLYING: list[tuple[str, dict[str, Any]]] = [
    ("BAD_OPERATION", {"max_reads": 0}),
    ("UNKNOWN_RESOURCE", {"resource": "planning.none"}),
    ("NOT_SHARED", {"resource": CLOSED}),
    ("UNKNOWN_FIELD", {"fields": [1, 2]}),
    ("BAD_SUBJECT", {"subjects": ["AB1"]}),
    ("GRANT_EXPIRED", {"expires_ms": T0_MS}),
]


@pytest.fixture(scope="module")
def world() -> Sharing:
    return Sharing()


@pytest.mark.parametrize("changes", FORM.values(), ids=FORM.keys())
def test_terms_that_are_no_terms_are_no_operation(world: Sharing, changes: dict[str, Any]) -> None:
    assert world.one("tax", apply_for(terms(**changes))) == ("BAD_OPERATION", 0)
    grant = world.applied()
    assert world.one("planning", approve(grant, terms(**changes))) == ("BAD_OPERATION", 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"subjects": [f"AB{number:04}" for number in range(64)]},
        {"case_number": "x" * 128},
        {"max_reads": 1},
        {"max_reads": 1_000_000_000},
        {"expires_ms": T0_MS + 1},
        {"expires_ms": T0_MS + LONGEST_MS},
        {"fields": [2, 3, 4]},
    ],
)
def test_terms_may_be_as_large_and_as_small_as_this(world: Sharing, fields: dict[str, Any]) -> None:
    assert world.one("tax", apply_for(terms(**fields))) == ACCEPTED


@pytest.mark.parametrize(
    "fields",
    [
        {"purpose": ""},
        {"purpose": "x" * 513},
        {"purpose": "a\x00b"},
        {"legal_basis": ""},
        {"legal_basis": "x" * 1025},
    ],
)
def test_purpose_and_legal_basis_are_texts(world: Sharing, fields: dict[str, Any]) -> None:
    assert world.one("tax", apply_for(**fields)) == ("BAD_OPERATION", 0)


@pytest.mark.parametrize("fields", [{"purpose": "x" * 512}, {"legal_basis": "x" * 1024}])
def test_purpose_and_legal_basis_may_be_as_long_as_this(world: Sharing, fields: dict[str, Any]) -> None:
    assert world.one("tax", apply_for(**fields)) == ACCEPTED


@pytest.mark.parametrize(("code", "changes"), APPLYING)
def test_each_fault_of_an_application_has_its_code(world: Sharing, code: str, changes: dict[str, Any]) -> None:
    assert world.one("tax", apply_for(terms(**changes))) == (code, 0)


@pytest.mark.parametrize(("first", "second"), list(combinations(APPLYING, 2)))
def test_of_two_faults_the_first_by_the_rule_counts(
    world: Sharing, first: tuple[str, dict[str, Any]], second: tuple[str, dict[str, Any]]
) -> None:
    both = second[1] | first[1]
    assert world.one("tax", apply_for(terms(**both))) == (first[0], 0)


def test_nobody_applies_for_what_is_his_own(world: Sharing) -> None:
    assert world.one("planning", apply_for()) == ("NOT_SHARED", 0)


def test_what_is_withdrawn_cannot_be_applied_for() -> None:
    world = Sharing()
    world.must("planning", withdraw())
    assert world.one("tax", apply_for()) == ("UNKNOWN_RESOURCE", 0)


def test_a_field_that_the_newest_version_dropped_cannot_be_applied_for() -> None:
    world = Sharing()
    newer = resource(schema_version=2)
    del newer.fields[3]
    world.must("planning", publish(newer))
    assert world.one("tax", apply_for(terms(fields=[4]))) == ("UNKNOWN_FIELD", 0)
    assert world.one("tax", apply_for()) == ACCEPTED


def test_only_an_admin_key_applies_decides_and_ends(world: Sharing) -> None:
    grant = world.applied()
    for department, operation in (("tax", apply_for()), ("planning", approve(grant)), ("tax", end(grant))):
        assert world.one(department, operation, by="system") == ("KEY_NOT_ALLOWED", 0)


def test_an_application_says_who_asks_whom_for_what() -> None:
    world = Sharing()
    identifier = world.must("housing", apply_for(), apply_for(terms(fields=[4])))
    grant = world.grant_id(identifier, 1)
    assert grant == tagged_hash("grant", identifier + b"\x01")
    assert world.grant_state(grant) == sharing.GrantState(
        applicant="housing",
        owner="planning",
        status=sharing.GRANT_STATUS_APPLIED,
        purpose="契税",
        legal_basis="契税法第十三条",
        applied=terms(fields=[4]),
        applied_ms=T0_MS,
    )
    assert world.grant_state(world.grant_id(identifier, 0)).applied == terms()


def test_what_is_shared_without_conditions_is_granted_at_once() -> None:
    world = Sharing()
    state = world.grant_state(world.applied(terms(resource=FREE)))
    assert (state.status, state.granted, state.decided_ms) == (
        sharing.GRANT_STATUS_ACTIVE,
        terms(resource=FREE),
        T0_MS,
    )


@pytest.mark.parametrize(
    "narrower",
    [
        {},
        {"fields": [3]},
        {"subjects": ["AB0002"]},
        {"case_number": "案1"},
        {"max_reads": 1},
        {"expires_ms": T0_MS + 1},
    ],
)
def test_the_owner_may_grant_less(world: Sharing, narrower: dict[str, Any]) -> None:
    grant = world.applied()
    assert world.one("planning", approve(grant, terms(**narrower))) == ACCEPTED
    assert world.grant_state(grant).granted == terms(**narrower)
    assert world.grant_state(grant).applied == terms()


@pytest.mark.parametrize(
    ("applied", "granted"),
    [
        ({}, {"resource": FREE}),
        ({}, {"fields": [2, 4]}),
        ({"subjects": ["AB0001"]}, {}),
        ({"subjects": ["AB0001"]}, {"subjects": ["AB0001", "AB0002"]}),
        ({"case_number": "案1"}, {"case_number": "案2"}),
        ({"case_number": "案1"}, {}),
        ({}, {"max_reads": 11}),
        ({}, {"expires_ms": T0_MS + DAY_MS + 1}),
    ],
)
def test_the_owner_may_not_grant_more(world: Sharing, applied: dict[str, Any], granted: dict[str, Any]) -> None:
    grant = world.applied(terms(**applied))
    assert world.one("planning", approve(grant, terms(**granted))) == ("TOO_WIDE", 0)
    assert world.grant_state(grant).status == sharing.GRANT_STATUS_APPLIED


def decisions(grant: bytes) -> list[tuple[str, pb.Operation]]:
    return [("planning", approve(grant)), ("planning", refuse(grant)), ("tax", end(grant)), ("planning", end(grant))]


@pytest.mark.parametrize("number", range(4))
def test_a_decision_is_about_a_grant_that_is_there(world: Sharing, number: int) -> None:
    department, unknown = decisions(b"\x01" * 32)[number]
    assert world.one(department, unknown) == ("UNKNOWN_GRANT", 0)
    department, no_id = decisions(b"\x01" * 31)[number]
    assert world.one(department, no_id) == ("BAD_OPERATION", 0)


@pytest.mark.parametrize("number", range(4))
def test_only_a_party_decides(world: Sharing, number: int) -> None:
    grant = world.applied()
    _, operation = decisions(grant)[number]
    assert world.one("housing", operation) == ("NOT_PARTY", 0)
    assert world.one("tax", approve(grant)) == ("NOT_PARTY", 0)
    assert world.one("tax", refuse(grant)) == ("NOT_PARTY", 0)


@pytest.mark.parametrize("reason", ["", "x" * 513, "a\u2028b"])
def test_a_reason_is_a_text(world: Sharing, reason: str) -> None:
    grant = world.applied()
    assert world.one("planning", refuse(grant, reason)) == ("BAD_OPERATION", 0)
    assert world.one("tax", end(grant, reason)) == ("BAD_OPERATION", 0)
    assert world.one("planning", refuse(grant, "x" * 512)) == ACCEPTED


@pytest.mark.parametrize("status", ["active", "refused", "ended"])
def test_what_was_decided_is_not_decided_again(world: Sharing, status: str) -> None:
    grant = world.applied()
    decisions_by_status = {"active": approve(grant), "refused": refuse(grant), "ended": end(grant)}
    world.must("planning", decisions_by_status[status])
    assert world.one("planning", approve(grant)) == ("WRONG_GRANT_STATE", 0)
    assert world.one("planning", refuse(grant)) == ("WRONG_GRANT_STATE", 0)
    expected = ACCEPTED if status == "active" else ("WRONG_GRANT_STATE", 0)
    assert world.one("tax", end(grant)) == expected


@pytest.mark.parametrize(("by", "status"), [("tax", "applied"), ("planning", "applied"), ("planning", "active")])
def test_either_side_ends_a_grant_for_good(by: str, status: str) -> None:
    world = Sharing()
    grant = world.applied()
    if status == "active":
        world.must("planning", approve(grant))
    world.must(by, end(grant), time_ms=T0_MS + 5)
    state = world.grant_state(grant)
    assert (state.status, state.reason, state.ended_by, state.ended_ms) == (
        sharing.GRANT_STATUS_ENDED,
        "结案",
        by,
        T0_MS + 5,
    )


def test_a_refusal_says_why_and_when() -> None:
    world = Sharing()
    grant = world.applied()
    world.must("planning", refuse(grant), time_ms=T0_MS + 7)
    state = world.grant_state(grant)
    assert (state.status, state.reason, state.decided_ms) == (sharing.GRANT_STATUS_REFUSED, "理由", T0_MS + 7)
    assert not state.HasField("granted")


@pytest.mark.parametrize(("late_ms", "expected"), [(-1, ACCEPTED), (0, ("GRANT_EXPIRED", 0))])
def test_terms_that_have_expired_are_not_granted(late_ms: int, expected: tuple[str, int]) -> None:
    world = Sharing()
    grant = world.applied()
    assert world.one("planning", approve(grant), time_ms=T0_MS + DAY_MS + late_ms) == expected


def test_a_wider_grant_that_has_expired_is_too_wide() -> None:
    world = Sharing()
    grant = world.applied()
    wide = terms(fields=[4], expires_ms=T0_MS)
    assert world.one("planning", approve(grant, wide)) == ("TOO_WIDE", 0)


def test_a_refused_transaction_leaves_nothing_of_its_grants() -> None:
    world = Sharing()
    grant = world.applied()
    assert world.one("planning", approve(grant), approve(grant)) == ("WRONG_GRANT_STATE", 1)
    assert world.grant_state(grant).status == sharing.GRANT_STATUS_APPLIED

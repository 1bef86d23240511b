"""Publishing, amending and withdrawing what is in the catalogue (docs/protocol.md section 14)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from huzheng.v1 import catalogue_pb2, sharing_pb2, state_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.block import ExecutedBlock
from ledger.execution import precheck
from ledger.published import Published, table_key, version_key
from ledger.state import read_head
from ledger.transaction import check_transaction
from tests.builders import OBJECTION, Chain, Consortium
from tests.naive.ledger import Result
from tests.outcomes import one, results
from tests.publishing import (
    ACCEPTED,
    KIND,
    PERMIT,
    do,
    duty,
    new_duties,
    number_field,
    publish,
    published,
    record,
    record_of,
    resource,
    second,
    table,
    text_spec,
    withdraw_duty,
    withdraw_resource,
    withdraw_table,
    write_record,
)


@pytest.fixture(scope="module")
def consortium() -> Consortium:
    return Consortium()


@pytest.fixture
def chain(consortium: Consortium) -> Chain:
    return consortium.chain()


# D1, D3: duties


def test_a_duty_is_entered_and_replaced_and_withdrawn(chain: Chain) -> None:
    assert do(chain, publish(duty())) == ACCEPTED
    assert new_duties(chain) == [state_pb2.DutyState(duty=duty())]
    newer = duty(title_en="Planning permits")
    assert do(chain, publish(newer)) == ACCEPTED
    assert new_duties(chain) == [state_pb2.DutyState(duty=newer)]
    assert do(chain, withdraw_duty("GH-01")) == ACCEPTED
    assert new_duties(chain) == [state_pb2.DutyState(duty=newer, withdrawn=True)]
    assert do(chain, withdraw_duty("GH-01")) == ("NOT_PUBLISHED", 0)
    assert do(chain, publish(duty())) == ACCEPTED
    assert new_duties(chain) == [state_pb2.DutyState(duty=duty())]


BAD_DUTIES = {
    "no code": {"code": ""},
    "code with a space": {"code": "GH 01"},
    "code with a zero byte": {"code": "GH\0"},
    "code that starts with a point": {"code": ".01"},
    "code of 65 characters": {"code": "x" * 65},
    "no Chinese title": {"title_zh": ""},
    "title over 256 bytes": {"title_en": "x" * 257},
    "title with a line break": {"title_en": "a\nb"},
    "no legal basis": {"legal_basis": ""},
    "legal basis over 1024 bytes": {"legal_basis": "x" * 1025},
    "legal basis that reads backwards": {"legal_basis": "a\u202eb"},
}


@pytest.mark.parametrize("name", BAD_DUTIES)
def test_a_duty_that_is_none_is_refused(chain: Chain, name: str) -> None:
    bad = duty(department="tax")
    for field, value in BAD_DUTIES[name].items():
        setattr(bad, field, value)
    # Its form is looked at before whose it is.
    assert do(chain, publish(duty(code="GH-02")), publish(bad)) == ("BAD_OPERATION", 1)


def test_the_longest_texts_of_a_duty_are_taken(chain: Chain) -> None:
    assert do(chain, publish(duty("x" * 64, title_zh="字" * 85 + "x", legal_basis="x" * 1024))) == ACCEPTED


def test_nobody_enters_the_duty_of_another(chain: Chain) -> None:
    assert do(chain, publish(duty()), department="tax") == ("NOT_OWNER", 0)
    assert do(chain, publish(duty())) == ACCEPTED
    # A withdrawal names no department: it is about the own ones.
    assert do(chain, withdraw_duty("GH-01"), department="tax") == ("NOT_PUBLISHED", 0)


def test_departments_may_have_duties_of_one_code(chain: Chain) -> None:
    theirs = duty(department="tax", title_en="Taxes")
    assert do(chain, publish(duty())) == do(chain, publish(theirs), department="tax") == ACCEPTED
    assert [state.duty for state in new_duties(chain)] == [duty(), theirs]


# F6, D3, D4: resources


def test_a_new_resource_is_there_with_its_first_version(chain: Chain) -> None:
    assert do(chain, publish(resource())) == ACCEPTED
    catalogue = published(chain)
    assert catalogue.find(PERMIT) == state_pb2.ResourceState(
        department="planning", number=0, newest_version=1, open_versions=[1], highest_field=2
    )
    version = catalogue.version(PERMIT, 1)
    assert version is not None
    assert version.message == resource()
    assert catalogue.newest(PERMIT) is version
    assert catalogue.version(PERMIT, 2) is None
    assert PERMIT in list(catalogue.names())


BAD_RESOURCES: dict[str, dict[str, Any]] = {
    "name without a point": {"name": "permit"},
    "name with a zero byte": {"name": "planning.permit\0"},
    "name of a schema version's key": {"name": "property.objection\0\0\0\0\1"},
    "name in capitals": {"name": "planning.Permit"},
    "name of 65 bytes": {"name": "planning." + "x" * 56},
    "no title": {"title_zh": ""},
    "department of no form": {"department": "P"},
    "no sharing class": {"sharing_class": catalogue_pb2.SHARING_CLASS_UNSPECIFIED},
    "sharing class unknown": {"sharing_class": 9},
    "schema version 0": {"schema_version": 0},
    "duty of no form": {"duty": "GH 01"},
    "cycle over ten years": {"update_cycle_days": 3661},
    "subject not required": {"subject": text_spec()},
    "subject with a name": {"subject": text_spec(required=True, name="ID")},
    "subject confidential": {"subject": text_spec(required=True, confidential=True)},
    "fields out of order": {"fields": [number_field(2, "B"), number_field(1, "A")]},
    "field name twice": {"fields": [number_field(1, "A"), number_field(2, "A")]},
    "field number over 1023": {"fields": [number_field(1024, "A")]},
    "field of no type": {"fields": [number_field(1, "A", type=KIND.FIELD_TYPE_UNSPECIFIED)]},
    "pattern that is none": {"fields": [number_field(1, "A", type=KIND.FIELD_TYPE_TEXT, max_bytes=9, pattern="[")]},
    "65 confidential fields": {"fields": [number_field(n, f"A{n}", confidential=True) for n in range(1, 66)]},
    "257 fields": {"fields": [number_field(n, f"A{n}") for n in range(1, 258)]},
}


@pytest.mark.parametrize("name", BAD_RESOURCES)
def test_a_resource_that_is_none_is_refused(chain: Chain, name: str) -> None:
    # Its form is looked at before all else: it is of another department, and its duty is none.
    fields: dict[str, Any] = {"department": "tax", "duty": "NONE", "schema_version": 7} | BAD_RESOURCES[name]
    assert do(chain, publish(resource(**fields))) == ("BAD_OPERATION", 0)


def test_the_largest_resource_is_taken(chain: Chain) -> None:
    fields = [number_field(n, f"A{n}", confidential=n <= 64) for n in [*range(1, 256), 1023]]
    name = "planning." + "x" * 55
    assert do(chain, publish(resource(name, update_cycle_days=3660, fields=fields))) == ACCEPTED
    state = published(chain).find(name)
    assert state is not None
    assert state.highest_field == 1023


def test_a_resource_without_fields_is_taken_and_gets_some_later(chain: Chain) -> None:
    assert do(chain, publish(resource(fields=[]))) == ACCEPTED
    assert do(chain, publish(second())) == ACCEPTED


def test_nobody_publishes_for_another(chain: Chain) -> None:
    assert do(chain, publish(resource()), department="tax") == ("NOT_OWNER", 0)
    assert do(chain, publish(resource(department="police")), department="tax") == ("NOT_OWNER", 0)
    assert do(chain, publish(resource())) == ACCEPTED
    # Neither in the owner's name nor in his own.
    assert do(chain, publish(second()), department="tax") == ("NOT_OWNER", 0)
    assert do(chain, publish(second(department="tax")), department="tax") == ("NOT_OWNER", 0)
    # Nor does the owner give it away.
    assert do(chain, publish(second(department="tax"))) == ("NOT_OWNER", 0)


def test_a_duty_that_a_resource_names_is_the_departments_and_not_withdrawn(chain: Chain) -> None:
    named = resource(duty="GH-01")
    assert do(chain, publish(duty(department="tax")), department="tax") == ACCEPTED
    assert do(chain, publish(named)) == ("UNKNOWN_DUTY", 0)
    assert do(chain, publish(duty()), publish(named)) == ACCEPTED
    assert do(chain, withdraw_duty("GH-01")) == ACCEPTED
    # What names it stays, and can be written; what names it anew is refused.
    assert write_record(chain, record(chain.consortium, named)) == ACCEPTED
    assert do(chain, publish(second(duty="GH-01"))) == ("UNKNOWN_DUTY", 0)
    assert do(chain, publish(second())) == ACCEPTED


def test_refusals_of_a_resource_come_in_their_order(chain: Chain) -> None:
    wrong: dict[str, dict[str, Any]] = {
        "BAD_OPERATION": {"title_zh": ""},
        "NOT_OWNER": {"department": "tax"},
        "UNKNOWN_DUTY": {"duty": "NONE"},
        "BAD_AMENDMENT": {"schema_version": 3},
    }
    for position, code in enumerate(wrong):
        fields: dict[str, Any] = {}
        for later in list(wrong)[position:]:
            fields |= wrong[later]
        assert do(chain, publish(resource(**fields))) == (code, 0)


@pytest.mark.parametrize("version", [2, 3, 2**32 - 1])
def test_a_new_resource_starts_with_version_1(chain: Chain, version: int) -> None:
    assert do(chain, publish(resource(schema_version=version))) == ("BAD_AMENDMENT", 0)


AREA, FLOORS = resource().fields
AMENDMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "field added": ("ACCEPTED", {}),
    "field dropped": ("ACCEPTED", {"fields": [AREA]}),
    "all fields dropped": ("ACCEPTED", {"fields": []}),
    "field required from now on": ("ACCEPTED", {"fields": [AREA, number_field(2, "FLOORS", required=True)]}),
    "field with another title": ("ACCEPTED", {"fields": [AREA, number_field(2, "FLOORS", title_en="Storeys")]}),
    "titles, duty, cycle and class": (
        "ACCEPTED",
        {"title_en": "x", "update_cycle_days": 7, "sharing_class": catalogue_pb2.SHARING_CLASS_NONE},
    ),
    "subject with another title": ("ACCEPTED", {"subject": text_spec(required=True, title_en="Case")}),
    "the same version": ("BAD_AMENDMENT", {"schema_version": 1}),
    "a version left out": ("BAD_AMENDMENT", {"schema_version": 3}),
    "subject longer": ("BAD_AMENDMENT", {"subject": text_spec(required=True, max_bytes=33)}),
    "subject with a pattern": ("BAD_AMENDMENT", {"subject": text_spec(required=True, pattern="A[0-9]+")}),
    "subject of another type": (
        "BAD_AMENDMENT",
        {"subject": text_spec(required=True, type=KIND.FIELD_TYPE_DATE, max_bytes=0)},
    ),
    "field of another name": ("BAD_AMENDMENT", {"fields": [AREA, number_field(2, "STOREYS")]}),
    "field of another type": (
        "BAD_AMENDMENT",
        {"fields": [AREA, number_field(2, "FLOORS", type=KIND.FIELD_TYPE_DATE)]},
    ),
    "field made confidential": ("BAD_AMENDMENT", {"fields": [AREA, number_field(2, "FLOORS", confidential=True)]}),
    "fields exchanged": ("BAD_AMENDMENT", {"fields": [number_field(1, "FLOORS"), number_field(2, "AREA")]}),
}


@pytest.mark.parametrize("name", AMENDMENTS)
def test_what_the_next_version_may_change(chain: Chain, name: str) -> None:
    code, fields = AMENDMENTS[name]
    assert do(chain, publish(resource())) == ACCEPTED
    assert do(chain, publish(second(**fields))) == (code, 0)


def test_a_confidential_field_is_never_made_public(chain: Chain) -> None:
    secret = number_field(3, "PRICE", confidential=True)
    assert do(chain, publish(resource(fields=[AREA, FLOORS, secret]))) == ACCEPTED
    assert do(chain, publish(second(fields=[AREA, FLOORS, number_field(3, "PRICE")]))) == ("BAD_AMENDMENT", 0)
    assert do(chain, publish(second(fields=[AREA, FLOORS, secret]))) == ACCEPTED


def test_a_number_once_dropped_never_returns(chain: Chain) -> None:
    assert do(chain, publish(resource()), publish(second(fields=[AREA]))) == ACCEPTED
    again = second(schema_version=3, fields=[AREA, FLOORS])
    assert do(chain, publish(again)) == ("BAD_AMENDMENT", 0)
    # A number that no version had, below one that there was, is passed over for good too.
    gap = second(schema_version=3, fields=[AREA, number_field(9, "A")])
    assert do(chain, publish(gap)) == ACCEPTED
    filled = second(schema_version=4, fields=[AREA, number_field(5, "B"), number_field(9, "A")])
    assert do(chain, publish(filled)) == ("BAD_AMENDMENT", 0)


def test_the_version_before_is_measured_by_not_any_earlier_one(chain: Chain) -> None:
    """A field that version 2 dropped is not in version 2: that version 1 had it does not help."""
    dropped = second(fields=[FLOORS])
    assert do(chain, publish(resource()), publish(dropped)) == ACCEPTED
    assert do(chain, publish(second(schema_version=3, fields=[AREA, FLOORS]))) == ("BAD_AMENDMENT", 0)


def test_a_resource_of_the_genesis_is_amended_like_any_other(chain: Chain) -> None:
    newer = catalogue_pb2.Resource()
    newer.CopyFrom(chain.consortium.genesis.catalogue[OBJECTION].message)
    newer.schema_version += 1
    newer.update_cycle_days = 30
    assert do(chain, publish(newer)) == ACCEPTED
    state = published(chain).find(OBJECTION)
    assert state is not None
    assert list(state.open_versions) == [1, 2]
    assert write_record(chain, chain.consortium.record()) == ACCEPTED
    assert write_record(chain, record_of(newer, chain)) == ACCEPTED


# D6


def test_what_is_not_there_can_not_be_withdrawn(chain: Chain) -> None:
    for operation in (withdraw_duty("GH-01"), withdraw_resource(), withdraw_resource(version=1), withdraw_table()):
        assert do(chain, operation) == ("NOT_PUBLISHED", 0)
    assert do(chain, publish(resource())) == ACCEPTED
    assert do(chain, withdraw_resource(version=2)) == ("NOT_PUBLISHED", 0)
    assert do(chain, withdraw_table()) == ("NOT_PUBLISHED", 0)
    assert do(chain, withdraw_resource(version=1)) == ACCEPTED
    assert do(chain, withdraw_resource(version=1)) == ("NOT_PUBLISHED", 0)
    assert do(chain, withdraw_resource()) == ("NOT_PUBLISHED", 0)


def test_one_version_is_withdrawn_or_all_are(chain: Chain) -> None:
    third = second(schema_version=3)
    assert do(chain, publish(resource()), publish(second()), publish(third), withdraw_resource(version=2)) == ACCEPTED
    state = published(chain).find(PERMIT)
    assert state is not None
    assert list(state.open_versions) == [1, 3]
    assert do(chain, withdraw_resource()) == ACCEPTED
    state = published(chain).find(PERMIT)
    assert state is not None
    assert (list(state.open_versions), state.newest_version) == ([], 3)
    # What the versions say stays.
    assert version_key(PERMIT, 2) in chain.state


def test_nobody_withdraws_what_is_anothers(chain: Chain) -> None:
    assert do(chain, publish(resource()), table()) == ACCEPTED
    for operation in (
        withdraw_resource(),
        withdraw_resource(version=1),
        withdraw_resource(version=7),
        withdraw_table(),
    ):
        assert do(chain, operation, department="tax") == ("NOT_OWNER", 0)


def test_a_withdrawal_of_nothing_is_no_operation(chain: Chain) -> None:
    assert do(chain, pb.Operation(withdraw=sharing_pb2.Withdraw())) == ("BAD_OPERATION", 0)


# D5: tables


def test_a_table_is_entered_and_replaced_and_dropped(chain: Chain) -> None:
    assert do(chain, publish(resource()), table(), table("GHXK2"), table("GHXK", "另一系统")) == ACCEPTED
    names = [(item.system, item.name) for item in published(chain).tables(PERMIT)]
    assert names == sorted([("另一系统", "GHXK"), ("规划系统", "GHXK"), ("规划系统", "GHXK2")])
    assert do(chain, table(columns=[1, 2])) == ACCEPTED
    assert [len(item.columns) for item in published(chain).tables(PERMIT) if item.system == "规划系统"] == [2, 1]
    assert do(chain, withdraw_table()) == ACCEPTED
    assert table_key(PERMIT, "规划系统", "GHXK") not in chain.state
    assert do(chain, withdraw_table()) == ("NOT_PUBLISHED", 0)


def _bad_table(change: Callable[[catalogue_pb2.DataTable], object]) -> pb.Operation:
    operation = table(columns=[1, 2])
    change(operation.publish_table.table)
    return operation


BAD_TABLES: dict[str, Callable[[catalogue_pb2.DataTable], object]] = {
    "no system": lambda item: setattr(item, "system", ""),
    "no name": lambda item: setattr(item, "name", ""),
    "system with a zero byte": lambda item: setattr(item, "system", "a\0b"),
    "name with a zero byte": lambda item: setattr(item, "name", "a\0b"),
    "name over 128 bytes": lambda item: setattr(item, "name", "x" * 129),
    "no columns": lambda item: item.ClearField("columns"),
    "columns out of order": lambda item: item.columns.reverse(),
    "field twice": lambda item: item.columns.add(field=2, name="X"),
    "column without a name": lambda item: item.columns.add(field=3),
    "257 columns": lambda item: item.columns.extend(catalogue_pb2.Column(field=n, name="X") for n in range(3, 258)),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_table_that_is_none_is_refused(chain: Chain, name: str) -> None:
    # Before it is asked whether there is such a resource.
    assert do(chain, _bad_table(BAD_TABLES[name])) == ("BAD_OPERATION", 0)


def test_a_table_is_that_of_a_resource_of_the_department(chain: Chain) -> None:
    assert do(chain, table(columns=[9])) == ("UNKNOWN_RESOURCE", 0)
    assert do(chain, publish(resource())) == ACCEPTED
    assert do(chain, table(columns=[9]), department="tax") == ("NOT_OWNER", 0)
    assert do(chain, table(columns=[1, 9])) == ("UNKNOWN_FIELD", 0)


def test_the_columns_of_a_table_are_fields_of_the_newest_version(chain: Chain) -> None:
    assert do(chain, publish(resource()), table(columns=[1, 2]), publish(second(fields=[AREA]))) == ACCEPTED
    assert do(chain, table(columns=[1, 2])) == ("UNKNOWN_FIELD", 0)
    assert do(chain, table(columns=[1])) == ACCEPTED


# X3: whole or not at all, and in turn


def test_a_refused_transaction_leaves_nothing_in_the_catalogue(chain: Chain) -> None:
    consortium = chain.consortium
    operations = [publish(duty()), publish(resource(duty="GH-01")), table(), withdraw_duty("NONE")]
    raw = consortium.transaction(operations=operations)
    block = chain.add(raw, consortium.transaction([record(consortium, resource())]))
    assert results(block) == [("NOT_PUBLISHED", 3), ("UNKNOWN_RESOURCE", 0)]
    assert {key[:1] for key in block.changes} == {b"i", b"j"}
    assert new_duties(chain) == []


def test_what_a_refused_transaction_published_is_not_remembered_in_its_block(chain: Chain) -> None:
    consortium = chain.consortium
    assert do(chain, publish(resource())) == ACCEPTED
    refused = [publish(second()), withdraw_resource(version=1), withdraw_duty("NONE")]
    block = chain.add(
        consortium.transaction(operations=refused),
        consortium.transaction([record(consortium, resource())]),
        consortium.transaction([record(consortium, second(), "A2")], nonce=1),
    )
    assert results(block) == [("NOT_PUBLISHED", 2), ACCEPTED, ("SCHEMA_MISMATCH", 0)]


def test_operations_see_what_those_before_them_did(chain: Chain) -> None:
    operations = [
        publish(duty()),
        publish(resource(duty="GH-01")),
        publish(second()),
        table(columns=[3]),
        withdraw_table(),
        withdraw_resource(version=1),
        withdraw_duty("GH-01"),
    ]
    assert do(chain, *operations) == ACCEPTED
    assert do(chain, *operations) == ("BAD_AMENDMENT", 1)


def test_the_order_of_operations_counts(chain: Chain) -> None:
    assert do(chain, publish(resource(duty="GH-01")), publish(duty())) == ("UNKNOWN_DUTY", 0)
    assert do(chain, table(), publish(resource())) == ("UNKNOWN_RESOURCE", 0)


def test_a_resource_is_used_in_the_block_that_publishes_it(chain: Chain) -> None:
    consortium = chain.consortium
    use = consortium.transaction([record(consortium, resource())])
    block = chain.add(consortium.transaction(operations=[publish(resource())]), use)
    assert results(block) == [ACCEPTED, ACCEPTED]
    slot = published(chain).slot(PERMIT)
    assert slot is not None
    assert read_head(chain.state, slot, "A1") is not None


def test_only_an_admin_key_publishes_and_only_a_system_key_writes(chain: Chain) -> None:
    consortium = chain.consortium
    system = consortium.system_signers["planning"]
    for number, operation in enumerate((publish(duty()), publish(resource()), table(), withdraw_resource())):
        raw = consortium.transaction(operations=[operation], signer=system, nonce=number)
        assert one(chain, raw) == ("KEY_NOT_ALLOWED", 0)
    # So no transaction publishes a resource and writes in it.
    both = consortium.transaction([record(consortium, resource())], [publish(resource())])
    assert one(chain, both) == ("KEY_NOT_ALLOWED", 0)


def test_publishing_comes_out_the_same_whatever_was_read_before(chain: Chain) -> None:
    """Each block is executed twice, the second time by one who has asked for all that is in the catalogue."""
    consortium = chain.consortium
    other = consortium.chain()

    def both(*raws: bytes) -> list[Result]:
        catalogue = Published(consortium.genesis, other.state)
        for name in list(catalogue.names()):
            catalogue.newest(name), catalogue.slot(name), list(catalogue.tables(name))
        for raw in raws:
            transaction = check_transaction(raw, consortium.genesis)
            precheck(consortium.genesis, other.state, catalogue, transaction, consortium.now_ms)
        blocks: list[ExecutedBlock] = [chain.add(*raws), other.add(*raws)]
        assert blocks[0].header == blocks[1].header
        assert blocks[0].changes == blocks[1].changes
        return results(blocks[0])

    transaction = consortium.transaction
    assert both(transaction(operations=[publish(resource()), publish(duty())])) == [ACCEPTED]
    use = transaction([record(consortium, second())], nonce=2)
    assert both(transaction(operations=[publish(second()), table()], nonce=1), use) == [ACCEPTED, ACCEPTED]
    assert both(transaction(operations=[withdraw_resource(), withdraw_table()], nonce=3)) == [ACCEPTED]

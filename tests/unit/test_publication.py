"""What of a catalogue file is not on chain as it says, and in which transactions it gets there."""

from __future__ import annotations

import pytest
from huzheng.v1 import catalogue_pb2, ledger_service_pb2

from ledger.errors import Code, HuzhengError
from node.catalogue_file import CatalogueFile
from node.catalogue_pages import catalogue_page
from node.publication import CatalogueOnChain, Change, find_changes, in_transactions
from tests.builders import Chain, Consortium
from tests.publishing import (
    ACCEPTED,
    PERMIT,
    do,
    duty,
    number_field,
    publish,
    published,
    resource,
    second,
    table,
    withdraw_duty,
    withdraw_resource,
)


@pytest.fixture
def chain() -> Chain:
    return Consortium().chain()


def file_of(*wanted: catalogue_pb2.Resource | catalogue_pb2.Duty | catalogue_pb2.DataTable) -> CatalogueFile:
    return CatalogueFile(
        tuple(item for item in wanted if isinstance(item, catalogue_pb2.Resource)),
        tuple(item for item in wanted if isinstance(item, catalogue_pb2.Duty)),
        tuple(item for item in wanted if isinstance(item, catalogue_pb2.DataTable)),
        {},
        {},
    )


def data_table(columns: tuple[int, ...] = (1,)) -> catalogue_pb2.DataTable:
    return table(columns=columns).publish_table.table


def on_chain(chain: Chain) -> CatalogueOnChain:
    return CatalogueOnChain.of(catalogue_page(published(chain), ledger_service_pb2.GetCatalogueRequest()).items)


def changes(
    chain: Chain, *wanted: catalogue_pb2.Resource | catalogue_pb2.Duty | catalogue_pb2.DataTable
) -> list[Change]:
    return find_changes(file_of(*wanted), on_chain(chain), "planning")


def test_what_is_new_comes_in_an_order_that_works_and_then_nothing_is_left(chain: Chain) -> None:
    wanted = (data_table(), resource(duty="GH-01"), duty())
    found = changes(chain, *wanted)
    assert [(change.kind, change.is_new) for change in found] == [("duty", True), ("resource", True), ("table", True)]
    assert do(chain, *(change.operation for change in found)) == ACCEPTED
    assert changes(chain, *wanted) == []


def test_what_is_different_is_named(chain: Chain) -> None:
    assert do(chain, publish(duty()), publish(resource()), table()) == ACCEPTED
    fields = [number_field(1, "AREA", required=True, title_en="Floor area"), number_field(3, "ROOMS")]
    wanted = (
        duty(title_en="Planning permits"),
        second(fields=fields, update_cycle_days=7, title_en="Building permit"),
        data_table((1, 3)),
    )
    found = changes(chain, *wanted)
    assert [(change.kind, change.is_new) for change in found] == [
        ("duty", False),
        ("resource", False),
        ("table", False),
    ]
    assert [change.details for change in found] == [
        ("title_en",),
        ("~AREA", "-FLOORS", "+ROOMS", "title_en", "update_cycle_days"),
        ("+COLUMN_3",),
    ]
    assert do(chain, *(change.operation for change in found)) == ACCEPTED
    assert changes(chain, *wanted) == []


def test_an_older_version_that_is_on_chain_is_nothing_to_do(chain: Chain) -> None:
    assert do(chain, publish(resource()), publish(second())) == ACCEPTED
    assert changes(chain, resource()) == []


def test_a_withdrawn_duty_is_entered_again(chain: Chain) -> None:
    assert do(chain, publish(duty()), withdraw_duty("GH-01")) == ACCEPTED
    (change,) = changes(chain, duty())
    assert do(chain, change.operation) == ACCEPTED
    assert changes(chain, duty()) == []


def test_a_column_of_a_dropped_field_is_no_difference(chain: Chain) -> None:
    assert do(chain, publish(resource()), table(columns=[1, 2])) == ACCEPTED
    assert do(chain, publish(second(fields=[resource().fields[0]]))) == ACCEPTED
    assert changes(chain, second(fields=[resource().fields[0]]), data_table((1,))) == []


@pytest.mark.parametrize(
    "wanted",
    [
        resource(title_en="Other"),
        second(schema_version=3),
        second(fields=[number_field(1, "SURFACE")]),
        second(fields=[number_field(1, "AREA", confidential=True)]),
        second(subject=number_field(0, "", required=True)),
    ],
    ids=["the same version different", "a version left out", "renamed", "made confidential", "another subject"],
)
def test_what_can_not_be_the_next_version_is_refused_by_name(chain: Chain, wanted: catalogue_pb2.Resource) -> None:
    assert do(chain, publish(resource())) == ACCEPTED
    with pytest.raises(HuzhengError) as caught:
        changes(chain, wanted)
    assert caught.value.code is Code.BAD_AMENDMENT
    assert PERMIT in caught.value.detail


def test_a_new_resource_starts_with_version_1(chain: Chain) -> None:
    with pytest.raises(HuzhengError) as caught:
        changes(chain, second())
    assert caught.value.code is Code.BAD_AMENDMENT


def test_a_name_that_is_anothers_on_chain_is_refused(chain: Chain) -> None:
    assert do(chain, publish(resource(department="tax")), department="tax") == ACCEPTED
    with pytest.raises(HuzhengError) as caught:
        changes(chain, resource())
    assert caught.value.code is Code.NOT_OWNER


def test_what_is_of_another_department_is_left_out(chain: Chain) -> None:
    assert changes(chain, duty(department="tax"), resource(department="tax"), data_table()) == []


def test_a_withdrawn_resource_comes_back_with_its_next_version(chain: Chain) -> None:
    assert do(chain, publish(resource()), withdraw_resource()) == ACCEPTED
    with pytest.raises(HuzhengError) as caught:
        changes(chain, resource())
    assert caught.value.code is Code.BAD_AMENDMENT
    (change,) = changes(chain, second())
    assert do(chain, change.operation) == ACCEPTED


def test_a_transaction_takes_sixteen_and_not_more_than_it_may_have_bytes() -> None:
    operations = [publish(duty(f"D-{n}")) for n in range(40)]
    groups = list(in_transactions(operations, 1 << 20))
    assert [len(group) for group in groups] == [16, 16, 8]
    assert [operation for group in groups for operation in group] == operations
    size = operations[0].ByteSize() + 9
    assert [len(group) for group in in_transactions(operations[:5], 2 * size)] == [2, 2, 1]
    # One that is too large alone is for the node to refuse.
    assert [len(group) for group in in_transactions(operations[:2], 1)] == [1, 1]
    assert list(in_transactions([], 1)) == []

"""What was published, in the state and to records: places in registers, versions side by side, hostile names (docs/protocol.md X1, X5, D2, D4)."""

from __future__ import annotations

import pytest
from huzheng.v1 import state_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.building import BuiltRecord
from ledger.crypto import Domain
from ledger.published import duty_key, register_key, resource_key, table_key
from ledger.registers import MAX_REGISTER_RESOURCES
from ledger.state import read_head, read_heads
from tests.builders import OBJECTION, Chain, Consortium, unit_code
from tests.naive.ledger import heads_place
from tests.outcomes import results
from tests.publishing import (
    ACCEPTED,
    PERMIT,
    do,
    duty,
    number_field,
    publish,
    published,
    record,
    resource,
    second,
    table,
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


def test_names_that_nobody_published_take_no_memory(chain: Chain) -> None:
    """An entry node keeps one catalogue until the next block, and looks up what callers say."""
    catalogue = published(chain)
    assert catalogue.version(OBJECTION, 1) is not None
    for number in range(100):
        assert catalogue.find(f"planning.made_up_{number}") is None
        assert catalogue.version(OBJECTION, 100 + number) is None
        assert catalogue.slot(f"planning.made_up_{number}") is None
    assert (len(catalogue._states), len(catalogue._versions), len(catalogue._slots)) == (0, 1, 0)


# X1, D4: the place in a register


def test_the_first_resource_of_a_register_is_in_its_first_slot(chain: Chain) -> None:
    assert register_key("planning") not in chain.state
    assert do(chain, publish(resource())) == ACCEPTED
    assert chain.state[register_key("planning")] == (1).to_bytes(4, "big")
    slot = published(chain).slot(PERMIT)
    assert slot is not None
    assert (slot.register, slot.page, slot.number, slot.width) == ("planning", 0, 0, 4)


def test_new_resources_come_after_those_of_the_genesis_whatever_their_names(chain: Chain) -> None:
    genesis = chain.consortium.genesis
    there = genesis.registers["property"]
    for number, name in enumerate(("property.a", "property.zz", "property.b")):
        assert do(chain, publish(resource(name, "tax")), department="tax") == ACCEPTED
        state = published(chain).find(name)
        assert state is not None
        assert state.number == there + number
    assert chain.state[register_key("property")] == (there + 3).to_bytes(4, "big")
    # Those that were there stay where they were.
    for name, slot in genesis.slots.items():
        now = published(chain).slot(name)
        assert now is not None
        assert (now.register, now.page, now.number) == (slot.register, slot.page, slot.number)


def test_an_amendment_takes_no_slot(chain: Chain) -> None:
    assert do(chain, publish(resource()), publish(second())) == ACCEPTED
    assert chain.state[register_key("planning")] == (1).to_bytes(4, "big")


def test_heads_grow_with_the_register_when_they_are_written_again(chain: Chain) -> None:
    consortium = chain.consortium
    first = consortium.record()
    assert write_record(chain, first) == ACCEPTED
    slot = consortium.genesis.slots[OBJECTION]
    assert read_heads(chain.state, slot, unit_code(1)).width == slot.width
    subject = consortium.genesis.catalogue[OBJECTION].message.subject
    # The first that goes beyond what the page was wide enough for is the last of them.
    last = slot.width
    count = last + 1 - consortium.genesis.registers["property"]
    added = [resource(f"property.new{n}", subject=subject) for n in range(count)]
    assert do(chain, *map(publish, added)) == ACCEPTED
    # They are as they were until they are written.
    assert read_heads(chain.state, slot, unit_code(1)).width == slot.width
    about = record(consortium, added[-1], unit_code(1))
    assert write_record(chain, about) == ACCEPTED
    heads = read_heads(chain.state, slot, unit_code(1))
    assert (heads.width, [held.slot for held in heads.heads]) == (last + 4, [slot.number, last])
    newest = read_head(chain.state, slot, unit_code(1))
    assert newest is not None
    assert newest.record_id == first.id


def test_the_seventeenth_resource_of_a_register_is_on_the_next_page(chain: Chain) -> None:
    added = [resource(f"planning.p{n}") for n in range(17)]
    assert do(chain, *map(publish, added[:16])) == do(chain, publish(added[16])) == ACCEPTED
    assert write_record(chain, record(chain.consortium, added[16])) == ACCEPTED
    assert write_record(chain, record(chain.consortium, added[15])) == ACCEPTED
    found = {key: state_pb2.Heads.FromString(value) for key, value in chain.state.items() if key[:1] == b"h"}
    places = {(key[-1], held.slot): heads.width for key, heads in found.items() for held in heads.heads}
    assert places == {(1, 0): 4, (0, 15): 16}


def test_a_register_has_a_last_place(chain: Chain) -> None:
    chain.state[register_key("planning")] = (MAX_REGISTER_RESOURCES - 1).to_bytes(4, "big")
    assert do(chain, publish(resource()), publish(resource("planning.other"))) == ("BAD_AMENDMENT", 1)
    assert do(chain, publish(resource())) == ACCEPTED
    slot = published(chain).slot(PERMIT)
    assert slot is not None
    assert (slot.page, slot.number, slot.width) == (255, 15, 16)
    assert do(chain, publish(resource("planning.other"))) == ("BAD_AMENDMENT", 0)
    assert do(chain, publish(second())) == ACCEPTED


# X5: schema versions side by side


def test_records_of_one_block_cite_versions_side_by_side(chain: Chain) -> None:
    consortium = chain.consortium
    assert do(chain, publish(resource())) == ACCEPTED
    old, new = record(consortium, resource(), "A1"), record(consortium, second(), "A2")
    raws = [
        consortium.transaction([old], nonce=1),
        consortium.transaction([new], nonce=2),
        consortium.transaction(operations=[publish(second())], nonce=3),
        consortium.transaction([old], nonce=4),
        consortium.transaction([new], nonce=5),
    ]
    # The version that comes in between can be cited after, not before.
    assert results(chain.add(*raws)) == [ACCEPTED, ("SCHEMA_MISMATCH", 0), ACCEPTED, ("VERSION_CONFLICT", 0), ACCEPTED]


def test_versions_of_one_subject_may_cite_schemas_to_and_fro(chain: Chain) -> None:
    consortium = chain.consortium
    assert do(chain, publish(resource()), publish(second())) == ACCEPTED
    one_, two = record(consortium, second()), resource()
    assert write_record(chain, one_) == ACCEPTED
    assert write_record(chain, record(consortium, two, version=2, replaces=one_.id)) == ACCEPTED


@pytest.mark.parametrize("version", [0, 3, 2**32 - 1])
def test_a_version_that_there_never_was_is_not_cited(chain: Chain, version: int) -> None:
    assert do(chain, publish(resource()), publish(second())) == ACCEPTED
    odd = chain.consortium.odd_record(resource=PERMIT, subject="A1", schema_version=version)
    assert write_record(chain, odd) == ("SCHEMA_MISMATCH", 0)


def test_each_version_has_its_own_fields(chain: Chain) -> None:
    dropped = second(fields=[resource().fields[1], number_field(3, "ROOMS", required=True)])
    assert do(chain, publish(resource()), publish(dropped)) == ACCEPTED
    payload = record(chain.consortium, resource()).payload
    odd = chain.consortium.odd_record(payload, resource=PERMIT, subject="A1", schema_version=2)
    assert write_record(chain, odd) == ("UNKNOWN_FIELD", 0)


def test_a_withdrawn_version_is_cited_by_what_revokes_alone(chain: Chain) -> None:
    consortium = chain.consortium
    assert do(chain, publish(resource()), publish(second())) == ACCEPTED
    first = record(consortium, resource())
    assert write_record(chain, first) == ACCEPTED
    assert do(chain, withdraw_resource(version=1)) == ACCEPTED
    again = record(consortium, resource(), version=2, replaces=first.id)
    assert write_record(chain, again) == ("SCHEMA_MISMATCH", 0)
    revoking = record(consortium, resource(), version=2, replaces=first.id, revoke=True)
    assert write_record(chain, revoking) == ACCEPTED
    assert write_record(chain, record(consortium, second(), version=3, replaces=revoking.id)) == ACCEPTED


def test_a_withdrawn_resource_is_not_written_but_for_what_revokes(chain: Chain) -> None:
    consortium = chain.consortium
    first = record(consortium, resource())
    assert do(chain, publish(resource())) == write_record(chain, first) == ACCEPTED
    assert do(chain, withdraw_resource()) == ACCEPTED
    assert write_record(chain, record(consortium, resource(), "A2")) == ("SCHEMA_MISMATCH", 0)
    never = record(consortium, second(), version=2, replaces=first.id, revoke=True)
    assert write_record(chain, never) == ("SCHEMA_MISMATCH", 0)
    assert write_record(chain, record(consortium, resource(), version=2, replaces=first.id, revoke=True)) == ACCEPTED


def test_the_next_version_opens_a_withdrawn_resource_again(chain: Chain) -> None:
    assert do(chain, publish(resource()), withdraw_resource()) == ACCEPTED
    assert do(chain, publish(resource())) == ("BAD_AMENDMENT", 0)
    assert do(chain, publish(second())) == ACCEPTED
    state = published(chain).find(PERMIT)
    assert state is not None
    assert (state.newest_version, list(state.open_versions)) == (2, [2])


# Hostile names

HOSTILE = [
    "",
    "\0",
    "property.objection\0\0\0\0\1",
    "property.objection\0",
    "property.objection\0\0\0\0",
    "property",
    ".",
    "..",
    "property.",
    "x" * 300,
    "property.objection.",
    "Property.objection",
    "property.öbjection",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_what_looks_like_a_name_is_no_resource(chain: Chain, name: str) -> None:
    consortium = chain.consortium
    catalogue = published(chain)
    assert catalogue.find(name) is None
    assert catalogue.version(name, 1) is None
    assert catalogue.newest(name) is None
    assert catalogue.slot(name) is None
    assert do(chain, publish(resource(name))) == ("BAD_OPERATION", 0)
    assert do(chain, withdraw_resource(name)) == ("NOT_PUBLISHED", 0)
    assert do(chain, withdraw_table(of=name)) == ("NOT_PUBLISHED", 0)
    assert do(chain, table(of=name)) == ("UNKNOWN_RESOURCE", 0)
    odd = consortium.odd_record(resource=name)
    assert write_record(chain, odd) == ("UNKNOWN_RESOURCE", 0)
    relied = pb.Reliance(resource=name, subject="x", record_id=bytes(32))
    relying = pb.Record.FromString(consortium.record().raw)
    relying.relies_on.append(relied)
    raw = relying.SerializeToString(deterministic=True)
    built = BuiltRecord(consortium.suite.digest(Domain.RECORD, raw), raw, consortium.record().payload)
    assert write_record(chain, built) == ("RELIED_NOT_CURRENT", 0)


def test_no_table_or_duty_of_another_is_reached_by_a_name_with_a_zero_byte(chain: Chain) -> None:
    assert do(chain, publish(resource()), publish(duty()), table("b", "a")) == ACCEPTED
    for operation in (
        withdraw_table("", "a\0b"),
        withdraw_table("a\0b", ""),
        withdraw_table("b", "a\0"),
        withdraw_table("\0b", "a"),
        withdraw_table("b", "", of=f"{PERMIT}\0a"),
        withdraw_duty("GH-01\0"),
        withdraw_duty("\0GH-01"),
        withdraw_duty(""),
    ):
        assert do(chain, operation) == ("NOT_PUBLISHED", 0)
    assert table_key(PERMIT, "a", "b") in chain.state
    assert duty_key("planning", "GH-01") in chain.state


def test_the_tables_of_a_resource_are_not_those_of_one_whose_name_goes_on(chain: Chain) -> None:
    longer = resource(f"{PERMIT}_old")
    assert do(chain, publish(resource()), publish(longer), table(), table("T", of=longer.name)) == ACCEPTED
    assert [item.name for item in published(chain).tables(PERMIT)] == ["GHXK"]
    assert [item.name for item in published(chain).tables(longer.name)] == ["T"]
    names = list(published(chain).names())
    assert names == sorted(names)
    assert {PERMIT, longer.name} < set(names)


# The genesis' catalogue


def test_the_genesis_catalogue_is_the_first_in_the_state(chain: Chain) -> None:
    genesis, catalogue = chain.consortium.genesis, published(chain)
    assert list(catalogue.names()) == sorted(genesis.catalogue)
    for name, definition in genesis.catalogue.items():
        newest = catalogue.newest(name)
        assert newest is not None
        assert newest.message == definition.message
        assert catalogue.slot(name) == genesis.slots[name]
        key, number, width = heads_place(name, "x", genesis.catalogue)
        slot = genesis.slots[name]
        assert (slot.page, slot.number, slot.width) == (key[-1], number, width)
        assert resource_key(name) in chain.state

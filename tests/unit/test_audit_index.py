"""The audit index: what a block adds to it, and what can be asked of it (docs/protocol.md S12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huzheng.v1 import transaction_pb2 as pb

from ledger.chain_check import verify_chain
from ledger.crypto import SIMULATION
from ledger.errors import Code, HuzhengError
from ledger.store import ChainStore, HourCount, NewestWrite, OperationPlace, StoredRead, audit_layout
from tests.chains import store_blocks
from tests.expunging import expunge
from tests.sharing import (
    CLOSED,
    FREE,
    REGISTER,
    SUBJECTS,
    T0_MS,
    Sharing,
    acknowledge,
    acknowledge_erasure,
    end,
    order_erasure,
    publish,
    read,
    resource,
    terms,
)

FIRST, SECOND, THIRD = SUBJECTS
HOUR = T0_MS // 3_600_000
OF_TAX = "demo.levy"
Open = Callable[[Sharing], ChainStore]


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Open]:
    """Opens a database with all blocks of a chain; checks at the end that all of it follows from them."""
    opened: list[tuple[ChainStore, Sharing]] = []

    def store(world: Sharing) -> ChainStore:
        made = ChainStore.open(tmp_path / f"db{len(opened)}", world.consortium.genesis)
        opened.append((made, world))
        store_blocks(made, world.consortium, list(world.blocks))
        return made

    yield store
    for made, world in opened:
        verify_chain(made, world.consortium.genesis)
        made.close()


def by_subject(subject: str, name: str = REGISTER) -> bytes:
    return audit_layout.subject_prefix(name, subject)


def by_reader(name: str) -> bytes:
    return audit_layout.department_prefix(audit_layout.BY_READER, name)


def by_owner(name: str) -> bytes:
    return audit_layout.department_prefix(audit_layout.BY_OWNER, name)


def by_grant(grant: bytes) -> bytes:
    return audit_layout.hash_prefix(audit_layout.BY_GRANT, grant)


def by_record(record: bytes) -> bytes:
    return audit_layout.hash_prefix(audit_layout.BY_RECORD, record)


def ids(store: ChainStore, prefix: bytes) -> list[bytes]:
    return [item.id for item in store.audit.reads(prefix)]


def ends(store: ChainStore, prefix: bytes) -> list[str]:
    codes = [item.code for item in store.audit.reads(prefix)]
    return [pb.ResultCode.Name(code).removeprefix("RESULT_CODE_") for code in codes]


def test_accepted_reads_are_listed_by_all_that_they_are_about(stored: Open) -> None:
    world = Sharing(SIMULATION)
    mine, others = world.grant(), world.grant(by="housing")
    one = world.read(mine, FIRST)
    two = world.read(others, FIRST, by="housing")
    three = world.read(mine, SECOND)
    store = stored(world)
    assert ids(store, by_subject(FIRST)) == [one, two]
    assert ids(store, by_subject(SECOND)) == [three]
    assert ids(store, by_subject(FIRST[:-1])) == ids(store, by_subject(FIRST, FREE)) == []
    assert ids(store, by_reader("tax")) == ids(store, by_grant(mine)) == [one, three]
    assert ids(store, by_reader("housing")) == ids(store, by_grant(others)) == [two]
    assert ids(store, by_reader("ta")) == ids(store, by_reader("planning")) == []
    assert ids(store, by_owner("planning")) == [one, two, three]
    assert ids(store, by_record(world.newest(FIRST))) == [one, two]


def test_a_read_tells_all_that_was_asked_and_what_came_of_it(stored: Open) -> None:
    world = Sharing(SIMULATION)
    grant = world.grant()
    transaction = world.must("tax", read(grant, FIRST), read(grant, SECOND), time_ms=T0_MS + 5)
    world.must("tax", acknowledge(world.read_id(transaction, 1)))
    store = stored(world)
    [found] = store.audit.reads(by_subject(SECOND))
    assert found == StoredRead(
        id=world.read_id(transaction, 1),
        place=OperationPlace(found.place.height, 0, 1),
        time_ms=T0_MS + 5,
        transaction_id=transaction,
        reader="tax",
        asked=read(grant, SECOND).read_fields,
        code=pb.RESULT_CODE_ACCEPTED,
        code_index=0,
        state=world.read_state(world.read_id(transaction, 1)),
        grant=world.grant_state(grant),
    )
    assert found.state is not None
    assert found.state.acknowledged_ms == T0_MS + 5


def test_reads_are_told_as_before_where_a_payload_of_their_transaction_was_removed(stored: Open) -> None:
    world = Sharing(SIMULATION)
    grant = world.grant()
    world.must("tax", publish(resource(OF_TAX, department="tax")))
    transaction = world.must("tax", read(grant, FIRST), records=[world.record(FIRST, OF_TAX)])
    [before] = stored(world).audit.reads(by_subject(FIRST))
    world.must("tax", expunge(transaction), by="admin")
    store = stored(world)
    place = before.place.transaction_place
    assert list(pb.Transaction.FromString(store.transaction(place)).payloads) == [b""]
    assert list(store.audit.reads(by_subject(FIRST))) == [before]
    assert before.transaction_id == transaction


def test_refused_reads_are_evidence_too_in_their_place_with_their_code(stored: Open) -> None:
    world = Sharing(SIMULATION)
    grant = world.grant()
    world.one("tax", read(grant, FIRST, fields=[4]))
    world.one("tax", read(grant, FIRST), read(grant, SECOND, fields=[4]))
    world.read(grant, FIRST)
    world.must("planning", end(grant))
    world.one("tax", read(grant, FIRST))
    store = stored(world)
    expected = ["OUTSIDE_GRANT", "OUTSIDE_GRANT", "ACCEPTED", "WRONG_GRANT_STATE"]
    assert ends(store, by_subject(FIRST)) == expected
    assert ends(store, by_subject(SECOND)) == ["OUTSIDE_GRANT"]
    in_order = [*expected[:2], "OUTSIDE_GRANT", *expected[2:]]
    for prefix in (by_reader("tax"), by_owner("planning"), by_grant(grant)):
        assert ends(store, prefix) == in_order
    assert ends(store, by_record(world.newest(FIRST))) == ["ACCEPTED"]
    assert [(item.code_index, item.state is None) for item in store.audit.reads(by_subject(FIRST))] == [
        (0, True),
        (1, True),
        (0, False),
        (0, True),
    ]


def test_what_is_refused_is_listed_as_far_as_it_names_something(stored: Open) -> None:
    world = Sharing(SIMULATION)
    grant = world.grant()
    unknown = b"\x01" * 32
    world.one("tax", read(unknown, FIRST))
    world.one("tax", read(b"\x01" * 31, FIRST))
    world.one("tax", read(grant, "AB\0" + "x" * 300))
    world.one("tax", read(grant, FIRST + "\0x"))
    world.one("tax", read(grant, "x" * 257))
    world.one("tax", read(grant, "x" * 256))
    world.one("housing", read(grant, SECOND))
    store = stored(world)
    assert ends(store, by_reader("tax")) == [
        "UNKNOWN_GRANT",
        "BAD_OPERATION",
        *["NOTHING_TO_READ"] * 4,
    ]
    assert ends(store, by_grant(unknown)) == ["UNKNOWN_GRANT"]
    assert ends(store, by_subject(FIRST)) == []
    assert ends(store, by_subject("x" * 256)) == ["NOTHING_TO_READ"]
    assert ends(store, by_subject("x" * 257)) == ends(store, by_subject("AB\0" + "x" * 300)) == []
    assert ends(store, by_subject("AB")) == []
    assert ends(store, by_owner("planning")) == ["NOTHING_TO_READ"] * 4 + ["NOT_PARTY"]
    assert ends(store, by_subject(SECOND)) == ends(store, by_reader("housing")) == ["NOT_PARTY"]


def test_what_nobody_knows_the_sender_of_or_has_another_result_is_not_listed(stored: Open) -> None:
    world = Sharing(SIMULATION)
    grant = world.grant()
    again = world.transaction("tax", read(grant, FIRST))
    world.block(again)
    world.block(again, world.consortium.transaction([], [read(grant)], signer=world.consortium.signer("stranger")))
    assert [item.code for item in _results(world)] == [pb.RESULT_CODE_REPEATED, pb.RESULT_CODE_UNKNOWN_KEY]
    world.one("tax", read(grant, SECOND), by="admin")
    store = stored(world)
    assert ends(store, by_grant(grant)) == ["ACCEPTED", "KEY_NOT_ALLOWED"]


def _results(world: Sharing) -> list[pb.TransactionResult]:
    return [pb.TransactionResult.FromString(raw) for raw in world.chain.blocks[-1].results]


def test_a_list_can_begin_and_end_anywhere(stored: Open) -> None:
    world = Sharing(SIMULATION)
    grant = world.grant()
    reads = [world.read(grant, FIRST, case_number=f"案{number}") for number in range(4)]
    store = stored(world)
    places = [item.place for item in store.audit.reads(by_subject(FIRST))]
    heights = [place.height for place in places]
    after = [item.id for item in store.audit.reads(by_subject(FIRST), places[0])]
    assert after == reads[1:]
    since = [item.id for item in store.audit.reads(by_subject(FIRST), places[0], heights[2])]
    assert since == reads[2:]
    until = [item.id for item in store.audit.reads(by_subject(FIRST), until=heights[3])]
    assert until == reads[:3]


def test_the_first_block_of_a_time_is_found(stored: Open) -> None:
    world = Sharing(SIMULATION)
    grant = world.grant()
    for later_ms in (100, 100, 200):
        world.must("tax", read(grant), time_ms=T0_MS + later_ms)
    store = stored(world)
    top = world.chain.tip.height
    assert store.audit.first_at(0) == 0
    assert store.audit.first_at(T0_MS + 100) == store.audit.first_at(T0_MS + 1) == top - 2
    assert store.audit.first_at(T0_MS + 101) == store.audit.first_at(T0_MS + 200) == top
    assert store.audit.first_at(T0_MS + 201) == top + 1


def test_reads_are_counted_by_department_and_hour(stored: Open) -> None:
    world = Sharing(SIMULATION)
    grant = world.grant()
    world.read(grant)
    world.block(*(world.transaction("tax", read(grant, fields=fields)) for fields in ([2], [4], [3])))
    later_ms = (HOUR + 2) * 3_600_000
    world.must("tax", read(grant), time_ms=later_ms)
    world.one("housing", read(grant))
    store = stored(world)
    assert store.audit.counts("tax", 0) == {HOUR: HourCount(3, 1), HOUR + 2: HourCount(1, 0)}
    assert store.audit.counts("tax", HOUR + 1) == {HOUR + 2: HourCount(1, 0)}
    assert store.audit.counts("housing", 0) == {HOUR + 2: HourCount(0, 1)}
    assert store.audit.counts("planning", 0) == {}


def test_what_was_asked_for_and_not_acknowledged_is_known(stored: Open) -> None:
    world = Sharing(SIMULATION)
    grant = world.grant()
    first, second, third = (world.read(grant, subject) for subject in SUBJECTS)
    world.must("tax", acknowledge(second))
    height = world.read_state(third).height
    store = stored(world)
    found = store.audit.unacknowledged(0, height + 1, 10)
    assert [identifier for identifier, _ in found] == [first, third]
    assert [state.subject for _, state in found] == [FIRST, THIRD]
    assert len(store.audit.unacknowledged(0, height, 10)) == len(store.audit.unacknowledged(0, height + 1, 1)) == 1


def test_grants_are_listed_as_they_stand_by_applicant_owner_and_all(stored: Open) -> None:
    world = Sharing(SIMULATION)
    one, two = world.applied(), world.grant(by="housing")
    free = world.applied(terms(resource=FREE))
    world.must("tax", end(one))
    store = stored(world)

    def grants(prefix: bytes) -> list[bytes]:
        return [item.id for item in store.audit.grants(prefix)]

    assert grants(audit_layout.GRANT) == [one, two, free]
    assert grants(audit_layout.department_prefix(audit_layout.GRANT_BY_APPLICANT, "tax")) == [one, free]
    assert grants(audit_layout.department_prefix(audit_layout.GRANT_BY_APPLICANT, "planning")) == []
    assert grants(audit_layout.department_prefix(audit_layout.GRANT_BY_OWNER, "planning")) == [one, two, free]
    assert [item.state for item in store.audit.grants(audit_layout.GRANT)] == [
        world.grant_state(grant) for grant in (one, two, free)
    ]


def test_erasures_show_who_had_read_the_record_and_who_has_not_erased_it(stored: Open) -> None:
    world = Sharing(SIMULATION)
    for department in ("tax", "housing"):
        world.read(world.grant(by=department), FIRST, by=department)
    record, unread = world.newest(FIRST), world.newest(SECOND)
    world.must("planning", order_erasure(record, unread))
    height = world.chain.tip.height
    world.must("planning", acknowledge_erasure(record))
    world.must("tax", acknowledge_erasure(record))
    store = stored(world)
    [order] = store.audit.erasures()
    assert (order.department, order.place.height) == ("planning", height)
    assert {item.record_id: (item.holders, item.owed) for item in order.records} == {
        record: (("housing", "tax"), ("housing",)),
        unread: ((), ()),
    }
    [still] = store.audit.open_erasures(height + 1, 10)
    assert (still.height, still.department, still.record.record_id) == (height, "planning", record)
    assert store.audit.open_erasures(height, 10) == []
    world.must("housing", acknowledge_erasure(record))
    store.append(world.chain.blocks[-1], world.consortium.certificate(world.chain.blocks[-1]))
    assert store.audit.open_erasures(height + 9, 10) == []


def test_an_order_for_what_is_somebody_elses_is_owed_by_nobody(stored: Open) -> None:
    world = Sharing(SIMULATION)
    world.read(world.grant(), FIRST)
    world.must("housing", order_erasure(world.newest(FIRST)))
    store = stored(world)
    assert store.audit.open_erasures(1 << 32, 10) == []
    [order] = store.audit.erasures()
    assert order.records[0].holders == ()


def test_who_relies_on_a_record_is_listed(stored: Open) -> None:
    world = Sharing(SIMULATION)
    relied = world.newest(FIRST)
    relying = world.record("AB0007", relies_on=world.relies(FIRST, SECOND))
    other = world.record("AB0008", relies_on=world.relies(FIRST))
    refused = world.record("AB0008", relies_on=world.relies(FIRST), version=7, replaces=bytes(32))
    world.must("planning", records=[relying])
    world.must("planning", records=[other])
    assert world.one("planning", records=[refused]) == ("VERSION_CONFLICT", 0)
    store = stored(world)
    assert [store.record(place).id for place in store.audit.relying(relied)] == [relying.id, other.id]
    assert [store.record(place).id for place in store.audit.relying(world.newest(SECOND))] == [relying.id]
    places = list(store.audit.relying(relied))
    assert list(store.audit.relying(relied, places[0])) == places[1:]
    assert list(store.audit.relying(relying.id)) == []


def test_the_newest_write_of_a_resource_is_known_or_when_it_was_published(stored: Open) -> None:
    world = Sharing(SIMULATION)
    published = world.chain.blocks[1].height
    world.must("planning", records=[world.record(FIRST, FREE)])
    newest = world.chain.tip.height
    world.must("planning", publish(resource(CLOSED, schema_version=2)))
    store = stored(world)
    assert store.audit.newest_write(FREE) == NewestWrite(newest, True)
    assert store.audit.newest_write(CLOSED) == NewestWrite(published, False)
    assert store.audit.newest_write("property.ownership") is None


def everything() -> Sharing:
    """All operations, twice over: many of them touch what others did just before."""
    world = Sharing(SIMULATION)
    for subject in SUBJECTS[:2]:
        for department in ("tax", "housing"):
            grant = world.grant(by=department)
            identifier = world.read(grant, subject, by=department)
            world.one(department, read(grant, subject, fields=[4]))
            world.one(department, read(b"\x01" * 32, subject))
            if department == "tax":
                world.must(department, acknowledge(identifier))
        record = world.newest(subject)
        world.must("planning", order_erasure(record))
        world.must("tax", acknowledge_erasure(record))
        if subject == FIRST:
            world.must("housing", acknowledge_erasure(record))
        world.must("planning", records=[world.record(subject, relies_on=world.relies(THIRD))])
        world.one("tax", read(grant, subject))
    return world


@pytest.mark.parametrize("together", [2, 5, 1_000])
def test_blocks_stored_together_leave_the_same_as_one_by_one(tmp_path: Path, together: int) -> None:
    world = everything()
    blocks = list(world.blocks)
    certified = [(block, world.consortium.certificate(block)) for block in blocks]
    one_by_one = ChainStore.open(tmp_path / "one", world.consortium.genesis)
    in_groups = ChainStore.open(tmp_path / "groups", world.consortium.genesis)
    for pair in certified:
        one_by_one.append(*pair)
    for start in range(0, len(certified), together):
        in_groups.append_all(certified[start : start + together])
    audit = {key: value for key, value in one_by_one.entries() if key[:1] == b"a"}
    assert {key: value for key, value in in_groups.entries() if key[:1] == b"a"} == audit
    assert {key[1:2] for key in audit} == _kinds()
    one_by_one.close()
    in_groups.close()


def test_an_entry_that_is_missing_altered_or_too_much_is_found_whatever_its_kind(tmp_path: Path) -> None:
    world = everything()
    store = ChainStore.open(tmp_path / "db", world.consortium.genesis)
    store_blocks(store, world.consortium, list(world.blocks))
    for kind in sorted(_kinds()):
        key, value = next(entry for entry in store.entries() if entry[0][:2] == b"a" + kind)
        for damage in (None, value + b"x"):
            _write(store, key, damage)
            with pytest.raises(HuzhengError) as fault:
                verify_chain(store, world.consortium.genesis)
            assert fault.value.code is Code.CHAIN_FAULT
            assert fault.value.detail.startswith("audit index")
        _write(store, key, value)
    _write(store, b"a~", b"")
    with pytest.raises(HuzhengError) as fault:
        verify_chain(store, world.consortium.genesis)
    assert fault.value.detail == "audit index: it does not follow from the blocks"
    store.close()


def _write(store: ChainStore, key: bytes, value: bytes | None) -> None:
    batch = store._engine.batch()
    if value is None:
        batch.delete(key)
    else:
        batch.put(key, value)
    batch.write()


def _kinds() -> set[bytes]:
    kinds = (value for name, value in vars(audit_layout).items() if name.isupper())
    return {value[1:] for value in kinds if isinstance(value, bytes) and len(value) == 2}


def test_a_read_that_the_state_does_not_have_is_damage(tmp_path: Path) -> None:
    world = Sharing(SIMULATION)
    identifier = world.read(world.grant())
    store = ChainStore.open(tmp_path / "db", world.consortium.genesis)
    store_blocks(store, world.consortium, list(world.blocks))
    _write(store, b"sr" + identifier, None)
    with pytest.raises(HuzhengError) as damage:
        list(store.audit.reads(by_subject(FIRST)))
    assert damage.value.code is Code.STORE_CORRUPT
    store.close()

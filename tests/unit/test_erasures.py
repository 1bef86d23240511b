"""Orders to erase, and who has carried them out (docs/protocol.md E1 and E2)."""

from __future__ import annotations

import pytest
from huzheng.v1 import sharing_pb2 as sharing

from tests.sharing import SUBJECTS, T0_MS, Sharing, acknowledge_erasure, order_erasure

ACCEPTED = ("ACCEPTED", 0)
RECORDS = [bytes([number]) * 32 for number in range(1, 4)]


@pytest.fixture(scope="module")
def world() -> Sharing:
    return Sharing()


def test_an_order_is_kept_for_each_of_its_records() -> None:
    world = Sharing()
    ids = [world.newest(subject) for subject in SUBJECTS]
    world.must("planning", order_erasure(*ids), time_ms=T0_MS + 3)
    for record in ids:
        assert world.erasure(record) == sharing.ErasureState(
            height=world.chain.tip.height, time_ms=T0_MS + 3, legal_basis="个人信息保护法第四十七条"
        )


def test_an_order_has_a_form(world: Sharing) -> None:
    descending = order_erasure(RECORDS[0], RECORDS[1])
    descending.order_erasure.records.reverse()
    bad = [
        order_erasure(),
        descending,
        order_erasure(RECORDS[0], RECORDS[0]),
        order_erasure(RECORDS[0][1:]),
        order_erasure(*(bytes([2, number]) + bytes(30) for number in range(256)), RECORDS[0]),
        order_erasure(RECORDS[0], legal_basis=""),
        order_erasure(RECORDS[0], legal_basis="x" * 1025),
    ]
    for operation in bad:
        assert world.one("planning", operation) == ("BAD_OPERATION", 0)
    most = [bytes([3, number]) + bytes(30) for number in range(256)]
    assert world.one("planning", order_erasure(*most, legal_basis="x" * 1024)) == ACCEPTED


def test_what_was_ordered_is_not_ordered_again_but_others_may_order_it_too() -> None:
    world = Sharing()
    world.must("planning", order_erasure(RECORDS[0]))
    assert world.one("planning", order_erasure(RECORDS[0], RECORDS[1])) == ("ALREADY_DONE", 0)
    assert world.erasure(RECORDS[1]) == sharing.ErasureState()
    assert world.one("housing", order_erasure(RECORDS[0])) == ACCEPTED


def test_each_department_acknowledges_once_and_they_are_kept_in_their_order() -> None:
    world = Sharing()
    world.must("planning", order_erasure(RECORDS[0]))
    for later_ms, department in enumerate(("tax", "housing", "planning"), 1):
        world.must(department, acknowledge_erasure(RECORDS[0]), time_ms=T0_MS + later_ms)
        assert world.one(department, acknowledge_erasure(RECORDS[0])) == ("ALREADY_DONE", 0)
    done = [(item.department, item.time_ms - T0_MS) for item in world.erasure(RECORDS[0]).done]
    assert done == [("housing", 2), ("planning", 3), ("tax", 1)]


def test_what_was_not_ordered_cannot_be_acknowledged(world: Sharing) -> None:
    world.must("planning", order_erasure(RECORDS[1]))
    assert world.one("tax", acknowledge_erasure(RECORDS[2])) == ("NOT_PUBLISHED", 0)
    assert world.one("tax", acknowledge_erasure(RECORDS[1], "housing")) == ("NOT_PUBLISHED", 0)
    assert world.one("tax", acknowledge_erasure(RECORDS[1], "")) == ("NOT_PUBLISHED", 0)
    assert world.one("tax", acknowledge_erasure(RECORDS[1][1:])) == ("BAD_OPERATION", 0)


def test_an_admin_key_orders_and_a_system_key_acknowledges(world: Sharing) -> None:
    record = bytes([9]) * 32
    assert world.one("planning", order_erasure(record), by="system") == ("KEY_NOT_ALLOWED", 0)
    world.must("planning", order_erasure(record))
    assert world.one("tax", acknowledge_erasure(record), by="admin") == ("KEY_NOT_ALLOWED", 0)


def test_an_order_and_its_acknowledgement_fit_in_one_block() -> None:
    world = Sharing()
    order = world.transaction("planning", order_erasure(RECORDS[0]))
    done = world.transaction("tax", acknowledge_erasure(RECORDS[0]))
    assert world.block(done, order) == [("NOT_PUBLISHED", 0), ACCEPTED]
    again = world.transaction("tax", acknowledge_erasure(RECORDS[0]))
    assert world.block(again) == [ACCEPTED]


def test_an_erasure_changes_no_record() -> None:
    world = Sharing()
    before = {key: value for key, value in world.chain.state.items() if key[:1] == b"h"}
    world.must("planning", order_erasure(world.newest()))
    assert {key: value for key, value in world.chain.state.items() if key[:1] == b"h"} == before

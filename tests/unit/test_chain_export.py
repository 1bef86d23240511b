"""A chain is exported whole, in order, as what JSON can hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger.chain_export import export_blocks
from ledger.errors import Code, HuzhengError
from tests.builders import unit_code
from tests.chains import stored_chain
from tests.memberships import activate, add, add_department, change_transaction, changeable, stored


def test_blocks_are_exported_with_all_that_is_in_them(tmp_path: Path) -> None:
    consortium, chain, store = stored_chain(tmp_path / "db")
    blocks = json.loads(json.dumps(list(export_blocks(store, consortium.genesis))))
    assert [block["hash"] for block in blocks] == [block.block_hash.hex() for block in chain.blocks]
    assert [block["sealed_by"] for block in blocks] == [[]] + [[1, 2, 3]] * 5
    codes = [[transaction["code"] for transaction in block["transactions"]] for block in blocks]
    assert codes == [
        [],
        ["ACCEPTED", "ACCEPTED"],
        ["VERSION_CONFLICT", "REPEATED", "ACCEPTED"],
        [],
        ["EXPIRED", "ACCEPTED"],
        [],
    ]
    operation = {"operation": "add_key", "role": "system", "public_key": consortium.signer("new").public_key.hex()}
    assert blocks[2]["transactions"][2]["operations"] == [operation]
    store.close()


def test_a_change_of_the_membership_says_what_it_does_and_who_approved(tmp_path: Path) -> None:
    chain = changeable().chain()
    consortium = chain.consortium
    actions = [add_department(consortium), add(consortium, 6, "water"), activate(3)]
    chain.add(change_transaction(consortium, *actions))
    carried = next(export_blocks(stored(tmp_path / "db", chain), consortium.genesis, 1))["transactions"][0]
    (operation,) = carried["operations"]
    assert (operation["operation"], operation["epoch"]) == ("change_membership", 0)
    assert operation["approved_by"] == ["housing", "planning", "police"]
    key = consortium.signer("replica 6").public_key.hex()
    assert operation["actions"] == [
        {"action": "add_department", "department": "water"},
        {"action": "add_replica", "replica": 6, "department": "water", "public_key": key},
        {"action": "activate_protocol", "version": 3},
    ]


def test_fields_of_refused_records_are_left_out(tmp_path: Path) -> None:
    consortium, _, store = stored_chain(tmp_path / "db")
    _, refused, *_ = export_blocks(store, consortium.genesis, 1, 2)
    (record,) = refused["transactions"][0]["records"]
    assert (record["subject"], record["version"], record["fields"]) == (unit_code(1), 3, None)
    store.close()


@pytest.mark.parametrize(("first", "last"), [(0, 6), (-1, 2)])
def test_heights_that_the_chain_does_not_have_are_not_found(tmp_path: Path, first: int, last: int) -> None:
    consortium, _, store = stored_chain(tmp_path / "db")
    with pytest.raises(HuzhengError) as raised:
        list(export_blocks(store, consortium.genesis, first, last))
    assert raised.value.code is Code.NOT_FOUND
    store.close()

"""Golden changes of the membership, and receipts from before and after one (docs/protocol.md M2, M5, R8)."""

from __future__ import annotations

from typing import Any

import pytest
from huzheng.v1 import membership_pb2

from ledger.crypto import Height, strict
from ledger.epochs import first_epoch, next_epoch
from ledger.errors import HuzhengError
from ledger.genesis import Genesis
from ledger.receipt import verify_receipt
from ledger.transaction import check_transaction
from tests.vectors import load

VECTORS = load("membership.json")
GENESIS = Genesis.read(bytes.fromhex(VECTORS["genesis"]))


def test_the_golden_change_is_well_formed_and_makes_the_golden_epoch() -> None:
    transaction = check_transaction(bytes.fromhex(VECTORS["transaction"]), GENESIS)
    assert transaction.body.operations[0].change_membership.change.hex() == VECTORS["change"]
    change = strict.read(membership_pb2.MembershipChange, bytes.fromhex(VECTORS["change"]))
    window = GENESIS.parameters.watermark_window
    terms = next_epoch(first_epoch(GENESIS), change, (Height(VECTORS["changed_at"]), 0), window)
    found = [{"replica": m.replica, "public_key": m.public_key.hex()} for m in terms.membership.members]
    assert (found, terms.first_height) == (VECTORS["members"], VECTORS["first_height"])


@pytest.mark.parametrize("case", VECTORS["receipts"], ids=lambda case: str(case["name"]))
def test_membership_receipt_vectors(case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["receipt"])
    if case["code"] is None:
        assert verify_receipt(raw, GENESIS).epoch == case["epoch"]
        return
    with pytest.raises(HuzhengError) as caught:
        verify_receipt(raw, GENESIS)
    assert caught.value.code == case["code"]

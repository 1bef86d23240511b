"""The watermark window and its slots: memory is bounded, and votes are counted as they should be (docs/protocol.md C4)."""

from __future__ import annotations

import pytest

from consensus.slot import Slot
from consensus.votes import COMMIT, PRE_PREPARE, PREPARE, SEAL
from consensus.window import Window
from ledger.crypto import Height, ReplicaId, Seq
from tests.one_replica import block_hash_of, seal_of, vote_of


def test_a_window_covers_what_is_above_the_stored_height_up_to_the_high_watermark() -> None:
    window = Window(Height(10), 4)
    assert [sequence for sequence in range(20) if window.covers(sequence)] == [11, 12, 13, 14]
    assert window.high == 14
    assert not window.covers(2**64 - 1)


@pytest.mark.parametrize("sequence", [0, 9, 10, 15, 2**64 - 1])
def test_no_slot_is_opened_outside(sequence: int) -> None:
    window = Window(Height(10), 4)
    with pytest.raises(ValueError, match="no slot"):
        window.open(sequence, 0)
    assert len(window) == 0


def test_slots_are_opened_once_and_found_in_order() -> None:
    window = Window(Height(10), 4)
    third, first = window.open(13, 5), window.open(11, 6)
    assert window.open(13, 99) is third
    assert third.opened_ms == 5
    assert window.get(12) is None
    assert list(window) == [first, third]


def test_a_stored_block_moves_the_window_and_forgets_what_is_below() -> None:
    window = Window(Height(10), 4)
    for sequence in range(11, 15):
        window.open(sequence, 0)
    window.advance(Height(12))
    assert [slot.sequence for slot in window] == [13, 14]
    assert window.high == 16
    window.advance(Height(11))
    assert window.stored == 12, "it never moves back"
    window.advance(Height(1_000))
    assert len(window) == 0


def test_only_votes_for_the_proposed_batch_support_it() -> None:
    slot = Slot(Seq(1), 0)
    slot.commits = {ReplicaId(i): vote_of(i, COMMIT, 1, name) for i, name in ((4, "A"), (3, "B"), (1, "A"))}
    assert slot.supporters(COMMIT) == []
    slot.pre_prepare = vote_of(1, PRE_PREPARE, 1, "A")
    assert [vote.replica for vote in slot.supporters(COMMIT)] == [1, 4]
    assert slot.supporters(PREPARE) == []


@pytest.mark.parametrize("kind", [PRE_PREPARE, SEAL, 0])
def test_a_slot_has_no_votes_of_other_kinds(kind: int) -> None:
    with pytest.raises(ValueError, match="no votes of kind"):
        Slot(Seq(1), 0).votes(kind)


def test_seals_are_counted_by_block() -> None:
    slot = Slot(Seq(1), 0)
    slot.seals = {ReplicaId(i): seal_of(i, 1, name) for i, name in ((4, "X"), (3, "Y"), (1, "X"))}
    assert slot.seals_for(block_hash_of("X")) == {i: seal_of(i, 1, "X").envelope.signature for i in (1, 4)}
    assert slot.seals_for(block_hash_of("Z")) == {}

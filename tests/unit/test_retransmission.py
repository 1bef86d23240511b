"""What a peer's standing makes a replica send again, and how little it costs (docs/protocol.md C12)."""

from __future__ import annotations

from huzheng.v1 import consensus_pb2

from consensus.retransmission import (
    BATCH_BYTES_PER_MS,
    MAX_BATCH_BYTES,
    MAX_SLOTS,
    RELAY_AFTER_MS,
    RESEND_AFTER_MS,
    describe_slots,
    forget_sent,
    missing_at_peer,
)
from consensus.slot import Proposal, Slot
from consensus.votes import COMMIT, PRE_PREPARE, PREPARE
from consensus.window import Window
from ledger.crypto import Height, ReplicaId
from tests.one_replica import batch_of, seal_of, vote_of

OWN = ReplicaId(2)
PEER = ReplicaId(4)
OLD_MS = RESEND_AFTER_MS


def window_of(count: int, batch: bytes = b"A", stored: int = 0) -> Window:
    """Slots opened at 0 in which this backup has said all it can."""
    window = Window(Height(stored), 64)
    for sequence in range(stored + 1, stored + count + 1):
        slot = window.open(sequence, 0)
        slot.pre_prepare, slot.batch, slot.proposal = vote_of(1, PRE_PREPARE, sequence, "A"), batch, Proposal.ACCEPTED
        slot.prepares = {ReplicaId(i): vote_of(i, PREPARE, sequence, "A") for i in (2, 3)}
        slot.commits = {ReplicaId(i): vote_of(i, COMMIT, sequence, "A") for i in (2, 3)}
        slot.seals = {ReplicaId(i): seal_of(i, sequence, "X") for i in (2, 3)}
        slot.prepared = slot.committed = True
    return window


def resent(
    window: Window, *known: consensus_pb2.SlotStatus, stored: int = 0, is_primary: bool = False, now_ms: int = OLD_MS
) -> list[str]:
    """One word for each message, with its slot."""
    status = consensus_pb2.ReplicaStatus(stored_height=stored, slots=known)
    words = []
    for payload in missing_at_peer(status, window, OWN, is_primary, now_ms, PEER):
        if isinstance(payload, consensus_pb2.Proposal):
            words.append(f"proposal {consensus_pb2.Vote.FromString(payload.pre_prepare.body).sequence}")
        else:
            assert isinstance(payload, consensus_pb2.Envelope)
            assert payload.replica == OWN, "it sends its own messages only"
            kind = consensus_pb2.MessageKind.Name(payload.kind).removeprefix("MESSAGE_KIND_").lower()
            words.append(f"{kind} {consensus_pb2.Vote.FromString(payload.body).sequence or ''}".strip())
    return words


def standing(
    sequence: int, *, batch: bool = False, prepared: bool = False, committed: bool = False
) -> consensus_pb2.SlotStatus:
    return consensus_pb2.SlotStatus(sequence=sequence, has_batch=batch, prepared=prepared, committed=committed)


def test_a_standing_names_the_open_slots_in_order() -> None:
    window = window_of(2, stored=5)
    window.open(9, 0)
    assert describe_slots(window) == [
        standing(6, batch=True, prepared=True, committed=True),
        standing(7, batch=True, prepared=True, committed=True),
        standing(9),
    ]


def test_votes_for_a_young_slot_are_still_on_their_way() -> None:
    assert resent(window_of(1), now_ms=OLD_MS - 1) == []


def test_a_peer_gets_what_its_standing_shows_to_be_missing() -> None:
    window = window_of(1)
    assert resent(window) == ["prepare 1", "commit 1", "seal"]
    assert resent(window, standing(1, batch=True, prepared=True)) == ["commit 1", "seal"]
    assert resent(window, standing(1, batch=True, prepared=True, committed=True)) == ["seal"]


def test_a_peer_that_has_stored_a_height_needs_nothing_of_it() -> None:
    assert resent(window_of(3), stored=3) == []
    assert resent(window_of(3), stored=2) == ["prepare 3", "commit 3", "seal"]


def test_the_primary_repeats_its_proposal_and_backups_only_when_it_is_late() -> None:
    window = window_of(1)
    assert resent(window, is_primary=True)[0] == "proposal 1"
    assert "proposal 1" not in resent(window, now_ms=RELAY_AFTER_MS - 1)
    assert resent(window, now_ms=RELAY_AFTER_MS)[0] == "proposal 1"
    assert "proposal 1" not in resent(window, standing(1, batch=True), now_ms=RELAY_AFTER_MS)


def has_proposal(window: Window, now_ms: int, *, is_primary: bool) -> bool:
    return "proposal 1" in resent(window, is_primary=is_primary, now_ms=now_ms)


def test_a_batch_is_given_time_for_its_way_before_it_is_sent_again() -> None:
    size = 500 * BATCH_BYTES_PER_MS
    window = window_of(1, bytes(size))
    due_ms = RESEND_AFTER_MS + 500
    assert not has_proposal(window, due_ms - 1, is_primary=True)
    assert has_proposal(window, due_ms, is_primary=True)
    assert not has_proposal(window, 2 * due_ms - 1, is_primary=True)
    assert has_proposal(window, 2 * due_ms, is_primary=True)
    forget_sent(window, PEER)
    assert has_proposal(window, 2 * due_ms + 1, is_primary=True), "over the link before it may have been lost"
    window = window_of(1, bytes(size))
    assert not has_proposal(window, RELAY_AFTER_MS + 499, is_primary=False)
    assert has_proposal(window, RELAY_AFTER_MS + 500, is_primary=False)
    assert not has_proposal(window, RELAY_AFTER_MS + 500 + due_ms - 1, is_primary=False)


def test_a_proposal_that_is_not_accepted_here_is_not_passed_on() -> None:
    for state in (Proposal.CHECKING, Proposal.EARLY, Proposal.INVALID):
        window = Window(Height(0), 8)
        slot = window.open(1, 0)
        slot.pre_prepare, slot.batch, slot.proposal = vote_of(1, PRE_PREPARE, 1, "A"), batch_of("A"), state
        assert resent(window, now_ms=RELAY_AFTER_MS) == []


def test_one_answer_covers_so_many_slots_the_oldest_first() -> None:
    words = resent(window_of(40), now_ms=RELAY_AFTER_MS)
    proposals = [word for word in words if word.startswith("proposal")]
    assert proposals == [f"proposal {sequence}" for sequence in range(1, MAX_SLOTS + 1)]
    assert len(words) == 4 * MAX_SLOTS


def test_one_answer_carries_so_many_bytes() -> None:
    third = bytes(MAX_BATCH_BYTES // 3)
    words = resent(window_of(8, third), now_ms=RELAY_AFTER_MS + len(third) // BATCH_BYTES_PER_MS)
    assert sum(word.startswith("proposal") for word in words) == 3


def test_a_batch_larger_than_an_answer_is_sent_all_the_same_alone() -> None:
    words = resent(window_of(2, bytes(MAX_BATCH_BYTES + 1)), now_ms=10 * RELAY_AFTER_MS)
    assert [word for word in words if word.startswith("proposal")] == ["proposal 1"]


def test_a_standing_that_lies_costs_no_more() -> None:
    known = [standing(sequence) for sequence in (2**64 - 1, 0, 5, 5, 5)]
    assert len(resent(window_of(40), *known, now_ms=RELAY_AFTER_MS)) == 4 * MAX_SLOTS
    assert resent(window_of(40), stored=2**64 - 1) == []


def test_an_open_slot_without_own_votes_gives_nothing() -> None:
    window = Window(Height(0), 8)
    slot: Slot = window.open(1, 0)
    slot.commits = {ReplicaId(3): vote_of(3, COMMIT, 1, "A")}
    assert resent(window, now_ms=RELAY_AFTER_MS) == []

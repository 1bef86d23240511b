"""What one replica says and does, message by message. Batches are A, B, C, …, blocks X, Y, Z; lines of nothing are left out.

Replica 1 is the primary of view 0; the replica under test is 2 of 4 unless said otherwise, so f = 1 and q = 3.
"""

from __future__ import annotations

import pytest
from huzheng.v1 import consensus_pb2

from consensus.events import BatchVerdict, LastHeightKnown
from consensus.replica import InvariantViolation
from consensus.retransmission import RESEND_AFTER_MS
from consensus.standing import STATUS_BUSY_MS, STATUS_IDLE_MS
from consensus.votes import COMMIT, PREPARE
from ledger.crypto import Height
from tests.one_replica import WINDOW, OneReplica, batch_of, forged, vote_of

INVALID = BatchVerdict.INVALID


# --- the normal case -----------------------------------------------------------------------------


def test_a_backup_from_proposal_to_block() -> None:
    replica = OneReplica()
    assert replica.proposal("A") == ["check 1 A"]
    assert replica.checked("A") == ["log accepted 1", "send all PREPARE 1 A"]
    assert replica.prepare(3, "A") == ["log prepared 1", "send all COMMIT 1 A"]
    assert replica.commit(1, "A") == []
    assert replica.commit(4, "A") == ["decide 1 A"]
    assert replica.executed("X") == ["log seal 1", "send all SEAL 1 X"]
    assert replica.seal(1, "X") == []
    assert replica.seal(3, "X") == ["certify 1 X"]
    assert replica.stored() == []
    assert (replica.core.stored, replica.disk) == (1, {})


def test_the_primary_from_proposal_to_block() -> None:
    primary = OneReplica(own=1)
    assert primary.propose("A") == ["log accepted 1", "send all PRE-PREPARE 1 A"]
    assert primary.prepare(2, "A") == []
    assert primary.prepare(4, "A") == ["log prepared 1", "send all COMMIT 1 A"]
    assert primary.commit(2, "A") == []
    assert primary.commit(3, "A") == ["decide 1 A"]
    assert primary.executed("X") == ["log seal 1", "send all SEAL 1 X"]
    assert primary.seal(2, "X") == []
    assert primary.seal(4, "X") == ["certify 1 X"]


def test_a_primary_fills_its_epoch_to_the_end_and_nobody_goes_beyond() -> None:
    primary, backup = OneReplica(own=1), OneReplica()
    assert not primary.core.wants_batch(0, 0, primary.now_ms)
    for replica in (primary, backup):
        replica.feed(LastHeightKnown(Height(2)))
    assert primary.core.wants_batch(0, 0, primary.now_ms), "though nothing waits"
    primary.propose("A")
    primary.propose("B")
    assert primary.propose("C") == ["proposal dropped"]
    assert backup.proposal("B", 2) == ["check 2 B"]
    assert backup.proposal("C", 3) == ["ignore 1: outside the window"]


def test_the_end_of_the_epoch_before_that_is_heard_of_late_closes_nothing() -> None:
    replica = OneReplica()
    replica.feed(LastHeightKnown(Height(0)))
    assert replica.proposal("A", 1) == ["check 1 A"]


def test_a_replica_alone_is_its_own_quorum() -> None:
    alone = OneReplica(own=1, n=1)
    assert alone.propose("A") == [
        *("log accepted 1", "log prepared 1", "send all PRE-PREPARE 1 A", "send all COMMIT 1 A", "decide 1 A")
    ]
    assert alone.executed("X") == ["log seal 1", "send all SEAL 1 X", "certify 1 X"]


def test_votes_that_come_before_the_proposal_count_once_it_is_there() -> None:
    replica = OneReplica()
    for line in (replica.seal(1, "X"), replica.seal(3, "X"), replica.commit(1, "A"), replica.commit(3, "A")):
        assert line == []
    assert replica.prepare(3, "A") == []
    assert replica.proposal("A") == ["check 1 A"]
    assert replica.checked("A") == [
        *("log accepted 1", "log prepared 1", "send all PREPARE 1 A", "send all COMMIT 1 A", "decide 1 A")
    ]
    assert replica.executed("X") == ["log seal 1", "send all SEAL 1 X", "certify 1 X"]


def test_commits_alone_decide_nothing() -> None:
    replica = OneReplica()
    replica.proposal("A")
    replica.checked("A")
    for peer in (1, 3, 4):
        assert replica.commit(peer, "A") == []


def test_batches_are_decided_in_order_of_sequence() -> None:
    replica = OneReplica()
    for sequence, name in ((2, "B"), (3, "C"), (1, "A")):
        replica.proposal(name, sequence)
        replica.checked(name, sequence)
        replica.prepare(3, name, sequence)
        replica.commit(1, name, sequence)
        decided = replica.commit(3, name, sequence)
        assert decided == ([] if sequence > 1 else ["decide 1 A", "decide 2 B", "decide 3 C"])


def test_certificates_are_handed_out_in_order_of_height() -> None:
    replica = OneReplica()
    replica.order("A", 1, certify=False)
    replica.order("B", 2)
    assert replica.seal(3, "A") == []
    assert replica.seal(4, "A") == ["certify 1 A", "certify 2 B"]


@pytest.mark.parametrize(("n", "q"), [(2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5), (8, 6), (9, 6), (10, 7), (13, 9)])
def test_no_step_is_taken_with_a_vote_less_than_a_quorum(n: int, q: int) -> None:
    replica = OneReplica(n=n)
    replica.proposal("A")
    lines = replica.checked("A")
    backups = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13][: n - 2]
    prepares = 1
    while "log prepared 1" not in lines:
        lines = replica.prepare(backups[prepares - 1], "A")
        prepares += 1
    assert prepares == q - 1, "its own and others"
    commits = 1
    while "decide 1 A" not in lines:
        lines = replica.commit([1, *backups][commits - 1], "A")
        commits += 1
    assert commits == q
    lines = replica.executed("X")
    seals = 1
    while "certify 1 X" not in lines:
        lines = replica.seal([1, *backups][seals - 1], "X")
        seals += 1
    assert seals == q


# --- batches that are early or invalid -----------------------------------------------------------


def test_an_early_batch_waits_for_the_own_clock() -> None:
    replica = OneReplica()
    replica.proposal("A")
    assert replica.early("A") == ["proposal early"]
    assert replica.later(STATUS_BUSY_MS) == ["send all status 0, 1 batch", "check 1 A"]
    assert replica.early("A") == ["proposal early"]
    assert replica.later(STATUS_BUSY_MS) == ["send all status 0, 1 batch", "check 1 A"]
    assert replica.checked("A") == ["log accepted 1", "send all PREPARE 1 A"]


def test_an_early_batch_that_f_plus_1_backups_prepared_is_not_early() -> None:
    replica = OneReplica()
    replica.proposal("A")
    replica.early("A")
    assert replica.prepare(3, "B") == [], "another batch is no support"
    replica = OneReplica()
    replica.proposal("A")
    assert replica.prepare(3, "A") == []
    assert replica.early("A") == ["proposal early"]
    assert replica.prepare(4, "A") == [
        *("log accepted 1", "log prepared 1", "send all PREPARE 1 A", "send all COMMIT 1 A")
    ]


def test_prepares_that_came_during_the_check_count_too() -> None:
    replica = OneReplica()
    replica.proposal("A")
    replica.prepare(3, "A")
    assert replica.prepare(4, "A") == []
    assert replica.early("A")[:2] == ["log accepted 1", "log prepared 1"]


def test_an_invalid_batch_is_never_voted_for() -> None:
    replica = OneReplica()
    replica.proposal("A")
    assert replica.checked("A", verdict=INVALID) == ["proposal invalid"]
    for lines in (replica.prepare(3, "A"), replica.prepare(4, "A"), replica.commit(1, "A"), replica.commit(3, "A")):
        assert lines == []
    assert replica.checked("A") == [], "a verdict is given once"
    assert replica.proposal("A") == ["ignore 1: proposal known"]
    assert replica.disk == {}


def test_a_verdict_on_another_batch_or_slot_changes_nothing() -> None:
    replica = OneReplica()
    assert replica.checked("A") == []
    replica.proposal("A")
    assert replica.checked("B") == []
    assert replica.checked("A", sequence=2) == []
    assert replica.checked("A") == ["log accepted 1", "send all PREPARE 1 A"]
    assert replica.checked("A") == []


# --- equivocation --------------------------------------------------------------------------------


def test_two_proposals_for_a_slot_are_evidence_and_the_first_stands() -> None:
    replica = OneReplica()
    replica.proposal("A")
    assert replica.proposal("B", sender=3) == ["evidence PRE-PREPARE 1 A and PRE-PREPARE 1 B by 1"]
    [proof] = replica.last.evidence
    assert (proof.replica, proof.sequence) == (1, 1)
    assert replica.proposal("C") == ["ignore 1: equivocation known"]
    assert replica.checked("A") == ["log accepted 1", "send all PREPARE 1 A"]


@pytest.mark.parametrize("kind", [PREPARE, COMMIT])
def test_two_votes_of_a_kind_are_evidence_and_the_first_stands(kind: int) -> None:
    replica = OneReplica()
    name = "PREPARE" if kind == PREPARE else "COMMIT"
    replica.envelope(4, vote_of(4, kind, 1, "B").envelope)
    second = vote_of(4, kind, 1, "A").envelope
    assert replica.envelope(3, second) == [f"evidence {name} 1 B and {name} 1 A by 4"]
    assert replica.envelope(4, second) == ["ignore 4: equivocation known"]
    replica.proposal("A")
    assert replica.checked("A") == ["log accepted 1", "send all PREPARE 1 A"]


def test_two_seals_for_a_height_are_evidence() -> None:
    replica = OneReplica()
    replica.seal(4, "X")
    assert replica.seal(4, "Y") == ["evidence SEAL 1 X and SEAL 1 Y by 4"]
    assert replica.seal(4, "Z") == ["ignore 4: equivocation known"]


def test_a_forged_second_message_is_no_evidence_against_who_did_not_sign_it() -> None:
    replica = OneReplica()
    replica.commit(4, "A")
    assert replica.envelope(3, forged(vote_of(4, COMMIT, 1, "B").envelope)) == ["faulty 3: bad signature"]


# --- what is ignored, and at what cost -----------------------------------------------------------


def busy() -> OneReplica:
    """A replica in the middle: slot 1 certified but not stored, slot 2 proposed."""
    replica = OneReplica()
    replica.order("A", 1)
    replica.proposal("B", 2)
    replica.commit(4, "B", 2)
    replica.seal(4, "B", 2)
    return replica


def test_what_is_known_stale_or_far_ahead_costs_no_signature_check() -> None:
    replica = busy()
    checked = replica.suite.verify_count
    cases = [
        (replica.proposal("B", 2), "ignore 1: proposal known"),
        (replica.proposal("A", 0), "ignore 1: outside the window"),
        (replica.proposal("A", WINDOW + 1), "ignore 1: outside the window"),
        (replica.proposal("C", 3, view=1), "ignore 1: other view"),
        (replica.proposal("C", 3, by=3), "ignore 3: proposal not by a primary to a backup"),
        (replica.commit(4, "B", 2), "ignore 4: vote known"),
        (replica.commit(4, "C", 2**63), "ignore 4: outside the window"),
        (replica.commit(4, "C", 0), "ignore 4: outside the window"),
        (replica.commit(4, "C", 3, view=2**63), "ignore 4: other view"),
        (replica.prepare(4, "A", 1), "ignore 4: vote no longer needed"),
        (replica.prepare(1, "B", 2), "ignore 1: prepare by the primary"),
        (replica.prepare(2, "B", 2), "ignore 2: own vote, or a pre-prepare without its batch"),
        (replica.seal(4, "B", 2), "ignore 4: seal known"),
        (replica.seal(4, "B", WINDOW + 1), "ignore 4: outside the window"),
        (replica.seal(2, "B", 2), "ignore 2: own seal"),
    ]
    for lines, expected in cases:
        assert lines == [expected]
    replica.stored(1)
    for lines in (replica.seal(4, "A"), replica.commit(4, "A"), replica.proposal("A")):
        assert lines[0].endswith("outside the window")
    assert replica.suite.verify_count == checked


def test_malformed_messages_are_ignored() -> None:
    replica = OneReplica()
    garbage = consensus_pb2.Envelope(replica=3, kind=COMMIT, body=b"\xff" * 50, signature=bytes(64))
    assert replica.envelope(3, garbage) == ["ignore 3: malformed message"]
    assert replica.envelope(3, consensus_pb2.Envelope()) == ["ignore 3: malformed message"]
    assert replica.envelope(3, vote_of(3, COMMIT, 1, "A", epoch=1).envelope) == ["ignore 3: malformed message"]
    assert replica.suite.verify_count == 0


def test_the_primary_takes_no_proposals() -> None:
    primary = OneReplica(own=1)
    assert primary.proposal("A") == ["ignore 1: proposal not by a primary to a backup"]
    primary.propose("A")
    assert primary.proposal("B", sender=3) == ["ignore 3: proposal not by a primary to a backup"]


def test_a_peer_that_floods_holds_one_vote_of_a_kind_for_each_slot_of_the_window() -> None:
    replica = OneReplica()
    for sequence in range(40):
        for name in "ABCDE":
            replica.commit(4, name, sequence)
            replica.prepare(4, name, sequence)
            replica.seal(4, name, sequence)
            replica.proposal(name, sequence)
    slots = list(replica.core._context.window)
    assert len(slots) == WINDOW
    assert all(len(slot.commits) == len(slot.prepares) == len(slot.seals) == 1 for slot in slots)
    assert replica.suite.verify_count == WINDOW * 4 * 2, "the first, and one more as evidence"


# --- divergence ----------------------------------------------------------------------------------


def test_one_liar_and_f_plus_1_liars_do_not_stop_a_replica() -> None:
    replica = OneReplica()
    replica.order("A", 1, certify=False)
    assert replica.seal(3, "Y") == []
    assert replica.seal(4, "Y") == ["seals differ"]
    assert not replica.core.halted
    assert replica.proposal("B", 2) == ["check 2 B"]


def test_a_quorum_for_another_block_stops_a_replica() -> None:
    replica = OneReplica()
    replica.order("A", 1, certify=False)
    replica.seal(1, "Y")
    replica.seal(3, "Y")
    assert replica.seal(4, "Y") == ["diverged 1 Y"]
    assert replica.core.halted
    assert replica.proposal("B", 2) == []
    assert replica.later(10_000) == []
    assert not replica.core.wants_batch(1, 1, replica.now_ms)
    assert replica.core.next_deadline() == replica.now_ms + STATUS_IDLE_MS


def test_a_divergence_known_before_execution_shows_with_it() -> None:
    replica = OneReplica()
    for peer in (1, 3, 4):
        replica.seal(peer, "Y")
    replica.order("A", 1, certify=False)
    assert replica.core.halted


# --- watermarks, pipeline, heartbeat -------------------------------------------------------------


def test_the_primary_stays_within_the_pipeline_and_the_window() -> None:
    primary = OneReplica(own=1, pipeline_depth=3)
    for sequence, name in enumerate("ABC", 1):
        assert primary.core.wants_batch(4, 1_000, primary.now_ms)
        assert primary.propose(name) == [f"log accepted {sequence}", f"send all PRE-PREPARE {sequence} {name}"]
    assert not primary.core.wants_batch(1_000, 1_000_000, primary.now_ms)
    for name in "DEFGH":
        primary.propose(name)
    assert primary.propose("I") == ["proposal dropped"], "above the high watermark"
    primary.stored(1)
    assert primary.propose("I") == ["log accepted 9", "send all PRE-PREPARE 9 I"]


def test_a_primary_that_others_are_ahead_of_proposes_after_what_it_fetched() -> None:
    primary = OneReplica(own=1)
    primary.stored(5)
    assert primary.propose("A") == ["log accepted 6", "send all PRE-PREPARE 6 A"]


def test_a_backup_proposes_nothing() -> None:
    replica = OneReplica()
    assert not replica.core.wants_batch(1_000, 1_000_000, 1_000_000)
    assert replica.propose("A") == ["proposal dropped"]


def test_an_idle_primary_proposes_when_its_heartbeat_is_due() -> None:
    primary = OneReplica(own=1)
    primary.later(9_999)
    assert not primary.core.wants_batch(0, 0, primary.now_ms)
    assert primary.core.next_deadline() == primary.now_ms + 1
    primary.later(1)
    assert primary.core.wants_batch(0, 0, primary.now_ms)
    primary.propose("A")
    assert not primary.core.wants_batch(0, 0, primary.now_ms)
    primary.later(60_000)
    assert not primary.core.wants_batch(0, 0, primary.now_ms), "the one in flight is heartbeat enough"


def test_a_further_batch_waits_for_as_much_as_is_in_flight() -> None:
    primary = OneReplica(own=1, pipeline_depth=3)
    for name in "AB":
        primary.propose(name)
    in_flight = len(batch_of("A")) + len(batch_of("B"))
    assert not primary.core.wants_batch(32, in_flight - 1, primary.now_ms)
    assert primary.core.wants_batch(32, in_flight, primary.now_ms)


def certify_own(name: str, primary: OneReplica) -> None:
    """The votes and seals of two others for its first proposal."""
    for peer in (2, 3):
        primary.prepare(peer, name)
    for peer in (2, 3):
        primary.commit(peer, name)
    primary.executed(name)
    for peer in (2, 3):
        primary.seal(peer, name)


def test_a_primary_that_many_were_answered_by_rests_until_they_are_back_or_the_block_s_time_is_over() -> None:
    for few_come_back in (False, True):
        primary = OneReplica(own=1)
        primary.propose("A", transactions=20)
        primary.later(30)
        certify_own("A", primary)
        assert not primary.core.wants_batch(19, 100, primary.now_ms)
        assert primary.core.next_deadline() == primary.now_ms + 30
        if few_come_back:
            primary.later(30)
            assert primary.core.wants_batch(1, 100, primary.now_ms)
        else:
            assert primary.core.wants_batch(20, 100, primary.now_ms)


def test_a_batch_is_sent_again_when_it_is_due_and_at_once_over_a_new_link() -> None:
    for is_new in (False, True):
        primary = OneReplica(own=1)
        primary.propose("A")
        primary.later(RESEND_AFTER_MS)
        again = "send 3 PRE-PREPARE 1 A"
        assert again in primary.status(3, stored=0)
        primary.later(RESEND_AFTER_MS // 2 + 10)
        if is_new:
            primary.connected(3)
        assert (again in primary.status(3, stored=0)) is is_new


def test_no_deadline_lies_in_the_past_once_it_was_met() -> None:
    """A node that proposes when it should, and steps TimePassed when it is due, never spins."""
    for own in (1, 2):
        for replica in (OneReplica(own=own), OneReplica(own=own, window=4)):
            for name in "ABCDEFGH" * 4:
                if replica.core.wants_batch(4, 0, replica.now_ms):
                    replica.propose(name)
                replica.status(3, stored=2**40)
                replica.later(max(0, replica.core.next_deadline() - replica.now_ms))
                if replica.core.wants_batch(0, 0, replica.now_ms):
                    replica.propose(name)
                assert replica.core.next_deadline() > replica.now_ms


# --- the replica watches itself ------------------------------------------------------------------


def test_a_block_executed_out_of_turn_is_a_bug_that_stops_the_replica() -> None:
    replica = OneReplica()
    replica.order("A", 1, certify=False)
    with pytest.raises(InvariantViolation):
        replica.executed("C", 3)
    with pytest.raises(InvariantViolation):
        replica.executed("B", 2)


def test_time_never_runs_backwards() -> None:
    replica = OneReplica()
    replica.later(0)
    deadline = replica.core.next_deadline()
    replica.now_ms -= 500
    replica.proposal("A")
    assert replica.core.next_deadline() == deadline - STATUS_IDLE_MS + STATUS_BUSY_MS

"""What one replica does when it missed something or was down, message by message; as in `test_replica_traces`."""

from __future__ import annotations

from consensus.standing import STATUS_BUSY_MS, STATUS_IDLE_MS
from tests.one_replica import Lines, OneReplica

# --- catching up, retransmission -----------------------------------------------------------------


def test_a_replica_tells_its_standing_often_only_while_something_is_open() -> None:
    replica = OneReplica()
    assert replica.connected(3) == ["send 3 greeting of 0", "send 3 status 0"]
    assert replica.later(STATUS_IDLE_MS) == ["send all status 0"]
    assert replica.core.next_deadline() == replica.now_ms + STATUS_IDLE_MS
    replica.proposal("A")
    assert replica.core.next_deadline() == replica.now_ms + STATUS_BUSY_MS
    assert replica.later(STATUS_BUSY_MS) == ["send all status 0, 1 batch"]
    assert replica.core.next_deadline() == replica.now_ms + STATUS_BUSY_MS


def test_a_peer_that_lacks_votes_gets_them_again() -> None:
    replica = OneReplica()
    replica.proposal("A")
    replica.checked("A")
    assert replica.status(3, 0) == [], "they are still on their way"
    replica.later(200)
    assert replica.status(3, 0) == ["send 3 PREPARE 1 A"]
    assert replica.status(3, 0) == ["ignore 3: status too soon"]
    replica.now_ms += 1_000
    assert replica.status(3, 0) == ["send 3 PRE-PREPARE 1 A", "send 3 PREPARE 1 A"]
    assert replica.status(4, 7)[0] == "fetch from 1 of 4"


def test_a_replica_behind_fetches_and_goes_on_with_what_it_has() -> None:
    replica = OneReplica()
    for sequence, name in ((2, "B"), (3, "C")):
        replica.proposal(name, sequence)
        replica.checked(name, sequence)
        for peer in (3, 4, 1):
            replica.prepare(peer, name, sequence)
            replica.commit(peer, name, sequence)
    assert replica.status(3, stored=1) == ["fetch from 1 of 3"]
    assert replica.stored(1) == ["decide 2 B", "decide 3 C"]
    assert replica.fetch_ended(3) == []
    assert replica.executed("B", 2) == ["log seal 2", "send all SEAL 2 B"]


def test_a_block_that_only_waited_for_the_one_before_is_certified_when_that_was_fetched() -> None:
    replica = OneReplica()
    replica.order("A", 1, certify=False)
    replica.order("B", 2)
    assert replica.stored(1) == ["certify 2 B"]


def test_a_late_result_of_a_block_that_was_fetched_is_not_sealed() -> None:
    replica = OneReplica()
    replica.order("A", 1, certify=False)
    replica.stored(3)
    assert replica.executed("B", 2) == []
    assert replica.stored(2) == []
    assert replica.core.stored == 3


def test_a_status_of_another_view_is_not_answered_with_votes() -> None:
    replica = OneReplica()
    replica.proposal("A")
    replica.checked("A")
    replica.now_ms += 1_000
    assert replica.status(3, 0, view=1) == []
    assert replica.status(4, 0, epoch=1) == ["ignore 4: other epoch"]


# --- restarts ------------------------------------------------------------------------------------


def resent_after_restart(replica: OneReplica, stored: int = 0) -> Lines:
    """Restarts, then hears of a peer that lacks everything."""
    replica.start(stored)
    assert replica.take() == [], "it says nothing unasked"
    replica.now_ms += 1_000
    return [line.removeprefix("send 3 ") for line in replica.status(3, stored)]


def test_a_restart_in_each_state_says_again_what_was_said_and_nothing_else() -> None:
    said = ["PRE-PREPARE 1 A", "PREPARE 1 A", "COMMIT 1 A", "SEAL 1 X"]
    replica = OneReplica()
    replica.proposal("A")
    assert resent_after_restart(replica) == [], "nothing was said"
    replica.proposal("A")
    replica.checked("A")
    before = replica.sent_envelopes()
    assert resent_after_restart(replica) == said[:2]
    replica.prepare(3, "A")
    assert resent_after_restart(replica) == said[:3]
    replica.commit(3, "A")
    replica.commit(4, "A")
    replica.executed("X")
    assert resent_after_restart(replica) == said
    sent = set(replica.sent_envelopes())
    assert set(before) < sent
    assert len(sent) == 4, "the same bytes each time"


def test_a_restarted_primary_goes_on_after_its_last_proposal() -> None:
    primary = OneReplica(own=1)
    primary.propose("A")
    primary.propose("B")
    primary.start(0)
    primary.now_ms += 1_000
    assert primary.status(3, 0) == ["send 3 PRE-PREPARE 1 A", "send 3 PRE-PREPARE 2 B"]
    assert primary.propose("C") == ["log accepted 3", "send all PRE-PREPARE 3 C"]


def test_a_restarted_backup_does_not_vote_for_another_batch() -> None:
    replica = OneReplica()
    replica.proposal("A")
    replica.checked("A")
    replica.start(0)
    assert replica.proposal("B") == ["evidence PRE-PREPARE 1 A and PRE-PREPARE 1 B by 1"]
    assert replica.prepare(3, "A") == ["log prepared 1", "send all COMMIT 1 A"]


def test_what_was_not_durable_was_not_said_and_may_be_said_otherwise() -> None:
    replica = OneReplica()
    replica.proposal("A")
    durable = dict(replica.disk)
    replica.checked("A")
    replica.start(0, durable.items())
    replica.proposal("B")
    assert replica.checked("B") == ["log accepted 1", "send all PREPARE 1 B"]


def test_a_restarted_replica_seals_the_same_block_as_before() -> None:
    replica = OneReplica()
    replica.order("A", 1, certify=False)
    before = replica.sent_envelopes()[-1]
    replica.start(0)
    for peer in (1, 3):
        replica.commit(peer, "A")
    assert replica.executed("A") == ["send all SEAL 1 A"], "it is in the log already"
    assert replica.sent_envelopes()[-1] == before


def test_a_restart_after_the_block_was_stored_knows_nothing_of_it_any_more() -> None:
    replica = OneReplica()
    replica.order("A", 1)
    replica.stored(1)
    assert resent_after_restart(replica, stored=1) == []
    assert replica.commit(3, "A") == ["ignore 3: outside the window"]

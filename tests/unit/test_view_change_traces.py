"""One replica as its view ends: what it says, step by step (docs/protocol.md C14 to C18).

Replica 2 of 4 is under test: a backup in view 0, the primary of view 1; view 2 is replica 3's. f = 1 and q = 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from huzheng.v1 import consensus_pb2

from consensus.events import BatchReceived, BatchVerdict, GreetingReceived, StatusReceived, WorkWaiting
from consensus.suspicion import BASE_TIMEOUT_MS
from consensus.votes import COMMIT, PRE_PREPARE, PREPARE, Checkpoint, Vote
from ledger.crypto import Height, ReplicaId
from ledger.crypto.types import View
from tests.one_replica import (
    Lines,
    OneReplica,
    batch_of,
    block_hash_of,
    digest_of,
    envelopes_of,
    forged,
    seal_of,
    vote_of,
)

GENESIS = Checkpoint(Height(0), block_hash_of("S"), b"")


def suspects(replica: OneReplica, by: int, view: int = 0) -> Lines:
    status = consensus_pb2.ReplicaStatus(view=view, suspects_primary=True, view_entered=True)
    return replica.feed(StatusReceived(ReplicaId(by), status))


def certificate(sequence: int, name: str, view: int = 0) -> consensus_pb2.PreparedCertificate:
    primary = view % 4 + 1
    backups = [replica for replica in (1, 2, 3, 4) if replica != primary][:2]
    return consensus_pb2.PreparedCertificate(
        pre_prepare=vote_of(primary, PRE_PREPARE, sequence, name, view).envelope,
        prepares=[vote_of(replica, PREPARE, sequence, name, view).envelope for replica in backups],
    )


def change_of(
    by: int, view: int, *prepared: consensus_pb2.PreparedCertificate, checkpoint: Checkpoint = GENESIS
) -> consensus_pb2.Envelope:
    return envelopes_of(by).view_change(View(view), checkpoint, prepared).envelope


def new_view_of(
    by: int, view: int, changes: Sequence[consensus_pb2.Envelope], votes: Sequence[Vote] = ()
) -> consensus_pb2.Envelope:
    return envelopes_of(by).new_view(View(view), changes, [vote.envelope for vote in votes]).envelope


def wants(replica: OneReplica, by: int, view: int, *prepared: consensus_pb2.PreparedCertificate) -> Lines:
    return replica.envelope(by, change_of(by, view, *prepared))


def without_status(lines: Lines) -> Lines:
    return [line for line in lines if "status" not in line]


def test_one_that_loses_patience_says_so_and_goes_on_in_its_view() -> None:
    replica = OneReplica()
    replica.feed(WorkWaiting(replica.now_ms))
    assert without_status(replica.later(BASE_TIMEOUT_MS - 1)) == []
    assert replica.later(1) == ["send all status 0", "primary suspected"]
    assert replica.core.is_suspecting
    assert replica.core.view == 0
    replica.proposal("A")
    assert replica.checked("A") == ["log accepted 1", "send all PREPARE 1 A"]


def test_work_that_is_done_gives_patience_back() -> None:
    replica = OneReplica()
    replica.feed(WorkWaiting(replica.now_ms))
    replica.later(BASE_TIMEOUT_MS)
    replica.feed(WorkWaiting(None))
    assert not replica.core.is_suspecting


def test_suspicions_of_f_plus_one_end_the_view() -> None:
    replica = OneReplica()
    assert suspects(replica, 3) == []
    assert suspects(replica, 3) == ["ignore 3: status too soon"], "one replica counts once"
    assert suspects(replica, 4, view=7) == [], "another view's suspicion does not count"
    left = suspects(replica, 1)
    assert without_status(left) == [
        *("log view 0", "log view change 0", "send all VIEW-CHANGE 1", "send 1 VIEW-CHANGE 1", "view left")
    ]
    assert (replica.core.view, replica.core.is_view_entered) == (1, False)


def test_f_plus_one_view_changes_are_joined_at_the_lowest_and_one_moves_nobody() -> None:
    replica = OneReplica()
    assert wants(replica, 3, 2**62) == []
    assert replica.core.view == 0
    wants(replica, 4, 2)
    assert replica.core.view == 2
    wants(replica, 1, 5)
    assert replica.core.view == 5


def test_a_new_primary_proposes_again_what_was_prepared_and_fills_gaps_with_nothing() -> None:
    replica = OneReplica()
    replica.proposal("B", 3)
    replica.checked("B", 3)
    for by in (3, 4):
        replica.prepare(by, "B", 3)
    wants(replica, 3, 1, certificate(3, "B"))
    founded = without_status(wants(replica, 4, 1))
    assert founded[:3] == ["log view 0", "log view change 0", "log new view 0"]
    assert founded[3:6] == ["log accepted 1", "log accepted 2", "log accepted 3"]
    assert founded[6:] == ["send all VIEW-CHANGE 1", "send all NEW-VIEW 1", "view left", "view entered"]
    assert replica.propose("C")[0] == "log accepted 4"
    null = [vote_of(by, PREPARE, 1, "A", view=1) for by in (3, 4)]
    assert all(replica.envelope(vote.replica, vote.envelope) == [] for vote in null), "another batch than the null one"


def test_a_new_primary_gets_a_batch_that_it_lacks_before_it_founds_its_view() -> None:
    replica = OneReplica()
    wants(replica, 3, 1, certificate(1, "A"))
    assert not any("NEW-VIEW" in line for line in wants(replica, 4, 1))
    [status] = [payload for payload in _tell(replica) if isinstance(payload, consensus_pb2.ReplicaStatus)]
    assert list(status.wanted_batches) == [digest_of("A")]
    assert replica.feed(BatchReceived(ReplicaId(4), batch_of("B"))) == ["ignore 4: batch not asked for"]
    assert "send all NEW-VIEW 1" in replica.feed(BatchReceived(ReplicaId(4), batch_of("A")))


def _tell(replica: OneReplica) -> list[object]:
    replica.sent.clear()
    replica.later(250)
    return list(replica.sent)


def test_a_backup_enters_a_view_that_follows_and_votes_for_what_is_proposed_again() -> None:
    replica = OneReplica()
    replica.proposal("A")
    replica.checked("A")
    changes = [change_of(1, 2, certificate(1, "A")), change_of(3, 2), change_of(4, 2)]
    sound = new_view_of(3, 2, changes, [vote_of(3, PRE_PREPARE, 1, "A", view=2)])
    lines = without_status(replica.envelope(3, sound))
    assert lines == ["log view 0", "log new view 0", "log accepted 1", "send all PREPARE 1 A", "view entered"]
    assert replica.proposal("B", by=3, view=2)[0].startswith("evidence PRE-PREPARE 1 A and PRE-PREPARE 1 B by 3")


def test_a_backup_votes_for_a_batch_that_it_lacks_once_it_has_it() -> None:
    replica = OneReplica()
    changes = [change_of(1, 2, certificate(1, "A")), change_of(3, 2), change_of(4, 2)]
    replica.envelope(3, new_view_of(3, 2, changes, [vote_of(3, PRE_PREPARE, 1, "A", view=2)]))
    assert replica.core.view == 2
    found = replica.feed(BatchReceived(ReplicaId(4), batch_of("A")))
    assert found == ["log accepted 1", "send all PREPARE 1 A"]


def test_a_new_view_that_does_not_follow_is_its_senders_fault() -> None:
    prepared = certificate(1, "A")
    three = [change_of(1, 2, prepared), change_of(3, 2), change_of(4, 2)]
    right = [vote_of(3, PRE_PREPARE, 1, "A", view=2)]
    one_short = consensus_pb2.PreparedCertificate(pre_prepare=prepared.pre_prepare, prepares=prepared.prepares[:1])
    beyond = Checkpoint(Height(5), block_hash_of("X"), b"")
    unsound = {
        "forgets what was prepared": new_view_of(3, 2, three),
        "chooses another batch": new_view_of(3, 2, three, [vote_of(3, PRE_PREPARE, 1, "B", view=2)]),
        "proposes more": new_view_of(3, 2, three, [*right, vote_of(3, PRE_PREPARE, 2, "B", view=2)]),
        "proposals of another view": new_view_of(3, 2, three, [vote_of(3, PRE_PREPARE, 1, "A", view=6)]),
        "another's proposals": new_view_of(3, 2, three, [vote_of(4, PRE_PREPARE, 1, "A", view=2)]),
        "no quorum": new_view_of(3, 2, three[:2], right),
        "more than a quorum": new_view_of(3, 2, [*three, change_of(2, 2)], right),
        "one twice": new_view_of(3, 2, [three[0], three[1], three[1]], right),
        "out of order": new_view_of(3, 2, [three[1], three[0], three[2]], right),
        "for another view": new_view_of(3, 2, [three[0], three[1], change_of(4, 3)], right),
        "not by its primary": new_view_of(4, 2, three, right),
        "a forged view change": new_view_of(3, 2, [three[0], three[1], forged(three[2])], right),
        "a certificate one short": new_view_of(3, 2, [change_of(1, 2, one_short), *three[1:]], right),
        "a certificate of its own view": new_view_of(
            3, 2, [change_of(1, 2, certificate(1, "A", 2)), *three[1:]], right
        ),
        "a block not proved": new_view_of(3, 2, [change_of(1, 2, checkpoint=beyond), *three[1:]]),
        "a forged signature": forged(new_view_of(3, 2, three, right)),
    }
    for what, envelope in unsound.items():
        replica = OneReplica()
        assert replica.envelope(3, envelope) == ["faulty 3: unsound new view"], what
        assert replica.core.view == 0, what
    replica = OneReplica()
    replica.envelope(3, new_view_of(3, 2, three, right))
    assert replica.core.view == 2


def test_the_batch_prepared_in_the_highest_view_is_chosen_above_the_highest_block() -> None:
    replica = OneReplica()
    stored = replica.checkpoint(1)
    changes = [
        change_of(1, 6, certificate(1, "A"), certificate(2, "B")),
        change_of(3, 6, certificate(2, "C", view=1)),
        change_of(4, 6, checkpoint=stored),
    ]
    replica.envelope(3, new_view_of(3, 6, changes, [vote_of(3, PRE_PREPARE, 2, "C", view=6)]))
    assert replica.core.view == 6


def test_a_restart_between_two_views_says_the_same_again() -> None:
    replica = OneReplica()
    suspects(replica, 3)
    suspects(replica, 4)
    before = replica.core._context.safety.view_change
    replica.start(0, replica.disk.items())
    assert (replica.core.view, replica.core.is_view_entered) == (1, False)
    assert replica.core._context.safety.view_change == before


def test_a_restart_in_a_later_view_goes_on_there() -> None:
    replica = OneReplica()
    changes = [change_of(1, 2, certificate(1, "A")), change_of(3, 2), change_of(4, 2)]
    replica.envelope(3, new_view_of(3, 2, changes, [vote_of(3, PRE_PREPARE, 1, "A", view=2)]))
    replica.start(0, replica.disk.items())
    assert (replica.core.view, replica.core.is_view_entered) == (2, True)
    assert replica.feed(BatchReceived(ReplicaId(4), batch_of("A"))) == ["log accepted 1", "send all PREPARE 1 A"]


def test_no_new_view_within_the_timeout_leads_to_the_next() -> None:
    replica = OneReplica()
    wants(replica, 3, 2)
    wants(replica, 4, 2)
    wants(replica, 1, 2)
    assert replica.core.view == 2
    timeout_ms = replica.core._suspicion.timeout_ms
    replica.later(timeout_ms - 1)
    assert replica.core.view == 2
    assert "send all VIEW-CHANGE 3" in replica.later(1)


def test_without_a_quorum_a_replica_waits_for_its_view_as_long_as_it_takes() -> None:
    replica = OneReplica()
    suspects(replica, 3)
    suspects(replica, 4)
    wants(replica, 3, 1)
    replica.later(100_000)
    assert replica.core.view == 1, "two of the three that a view needs: an isolated pair must not run ahead"


def test_one_that_has_gone_further_counts_among_those_that_wait() -> None:
    """Else two that have forgotten its earlier VIEW-CHANGE in a restart, and one that has moved on, wait for each other for ever."""
    replica = OneReplica()
    suspects(replica, 3)
    suspects(replica, 4)
    wants(replica, 3, 1)
    wants(replica, 4, 2)
    assert replica.core.view == 1
    assert "send all VIEW-CHANGE 2" in replica.later(BASE_TIMEOUT_MS * 2)


def test_two_view_changes_of_one_replica_for_one_view_are_evidence() -> None:
    replica = OneReplica()
    wants(replica, 3, 2)
    assert wants(replica, 3, 2, certificate(1, "A"))[0] == "evidence VIEW-CHANGE 2 and VIEW-CHANGE 2 by 3"


def test_a_verdict_on_a_proposal_says_nothing_of_the_same_bytes_in_the_next_view() -> None:
    """They name the proposer of the view before, so that they are no sound proposal of this one (T5)."""
    replica = OneReplica()
    assert replica.proposal("A") == ["check 1 A"]
    for by in (3, 4):
        wants(replica, by, 2)
    replica.envelope(3, new_view_of(3, 2, [change_of(by, 2) for by in (1, 3, 4)]))
    assert replica.proposal("A", by=3, view=2) == ["check 1 A"]
    assert replica.checked("A", by=1) == []
    assert replica.checked("A", by=3, verdict=BatchVerdict.INVALID)[0] == "proposal invalid"


def test_a_started_replica_votes_only_when_enough_have_greeted_it() -> None:
    replica = OneReplica()
    replica.start(0, greeted=False)
    assert not replica.core.may_vote
    assert replica.proposal("A") == []
    replica.feed(GreetingReceived(ReplicaId(3), consensus_pb2.Greeting()))
    replica.feed(GreetingReceived(ReplicaId(3), consensus_pb2.Greeting()))
    assert not replica.core.may_vote, "one replica counts once"
    replica.feed(GreetingReceived(ReplicaId(4), consensus_pb2.Greeting()))
    assert replica.core.may_vote
    assert replica.proposal("A") == ["check 1 A"]


def test_a_message_of_its_own_that_the_log_does_not_know_ends_the_key_for_good() -> None:
    unknown = {
        "prepare": vote_of(2, PREPARE, 9, "A").envelope,
        "commit": vote_of(2, COMMIT, 1, "A").envelope,
        "seal": seal_of(2, 1, "X").envelope,
        "view change": change_of(2, 1),
    }
    for what, envelope in unknown.items():
        replica = OneReplica()
        replica.start(0, [], greeted=False)
        lines = replica.feed(GreetingReceived(ReplicaId(3), consensus_pb2.Greeting(seen=[envelope])))
        assert lines == ["log ended key 0", "votes lost"], what
        assert replica.last.votes_lost
        replica.start(0, replica.disk.items())
        assert replica.core.halted, what


def test_what_the_log_knows_or_no_longer_needs_ends_nothing() -> None:
    replica = OneReplica()
    replica.order("A", 1, certify=False)
    known = [vote_of(2, COMMIT, 1, "A").envelope, seal_of(2, 1, "X").envelope]
    settled = [vote_of(2, PREPARE, 1, "B").envelope, seal_of(2, 1, "Y").envelope]
    for stored, disk, seen in ((0, replica.disk.items(), known), (1, [], settled)):
        other = OneReplica()
        other.start(stored, disk, greeted=False)
        for by in (3, 4):
            other.feed(GreetingReceived(ReplicaId(by), consensus_pb2.Greeting(seen=seen)))
        assert other.core.may_vote


def test_departments_can_decide_that_a_replica_votes_all_the_same() -> None:
    replica = OneReplica()
    replica.start(0, [], greeted=False)
    replica.feed(GreetingReceived(ReplicaId(3), consensus_pb2.Greeting(seen=[seal_of(2, 1, "X").envelope])))
    assert replica.core.halted
    replica.config = replace(replica.config, accepts_lost_votes=True)
    replica.start(0, replica.disk.items(), greeted=False)
    assert replica.core.may_vote
    assert replica.proposal("A") == ["check 1 A"]
    assert replica.checked("A") == ["log accepted 1", "send all PREPARE 1 A"]
    # What they decided holds when it is started as usual.
    replica.config = replace(replica.config, accepts_lost_votes=False)
    replica.start(0, replica.disk.items())
    assert replica.core.may_vote


def test_nobody_can_make_up_a_greeting() -> None:
    replica = OneReplica()
    replica.start(0, [], greeted=False)
    made_up = consensus_pb2.Greeting(seen=[forged(vote_of(2, PREPARE, 9, "A").envelope)])
    replica.feed(GreetingReceived(ReplicaId(3), made_up))
    assert not replica.core.halted
    others = consensus_pb2.Greeting(seen=[vote_of(3, PREPARE, 9, "A").envelope])
    assert replica.feed(GreetingReceived(ReplicaId(4), others)) == ["faulty 4: greeting with another's message"]

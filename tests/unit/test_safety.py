"""What the safety rules sign and what they refuse to (docs/protocol.md C8 to C10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from consensus.safety import SafetyRules, SafetyViolation
from consensus.vote_log import LogEntry, RestoredVotes, read_vote_log
from consensus.votes import COMMIT, PRE_PREPARE, PREPARE, Authenticator, Checkpoint, SealVote, ViewChange, Vote
from ledger.crypto import SIMULATION, Height, ReplicaId, Seq
from ledger.crypto.types import View
from tests.one_replica import batch_of, block_hash_of, digest_of, envelopes_of, membership_of, seal_of, vote_of

OWN = ReplicaId(2)
MEMBERSHIP = membership_of(4)


def rules(stored: int = 0, log: Sequence[LogEntry] = ()) -> SafetyRules:
    restored = read_vote_log(log, Authenticator(SIMULATION, MEMBERSHIP), OWN)
    return SafetyRules(envelopes_of(OWN), MEMBERSHIP, Height(stored), restored)


def propose(safety: SafetyRules, name: str, sequence: int = 1, view: int = 0) -> Vote:
    return safety.propose(View(view), Seq(sequence), digest_of(name), batch_of(name))


def prepare(safety: SafetyRules, name: str, sequence: int = 1, view: int = 0) -> Vote:
    return safety.prepare(vote_of(1, PRE_PREPARE, sequence, name, view), batch_of(name))


def commit(safety: SafetyRules, name: str, sequence: int = 1, by: tuple[int, ...] = (3, 4), view: int = 0) -> Vote:
    prepares = [vote_of(replica, PREPARE, sequence, name, view) for replica in by]
    return safety.commit(vote_of(1, PRE_PREPARE, sequence, name, view), prepares)


def seal(safety: SafetyRules, name: str, height: int = 1) -> SealVote:
    return safety.seal(Height(height), block_hash_of(name))


def leave(safety: SafetyRules, view: int) -> ViewChange:
    return safety.leave_for(View(view), Checkpoint(Height(0), block_hash_of("G"), b""))


def enter(safety: SafetyRules, view: int) -> None:
    """By a NEW-VIEW of that view's primary."""
    primary = MEMBERSHIP.primary(View(view))
    safety.enter(envelopes_of(primary).new_view(View(view), [], []))


def refuses(sign: Callable[[], object], safety: SafetyRules) -> bool:
    """A refusal also leaves nothing to be logged."""
    safety.take_unsaved()
    with pytest.raises(SafetyViolation):
        sign()
    return safety.take_unsaved() == ()


def test_each_kind_of_vote_is_signed_as_what_it_is() -> None:
    safety = rules()
    assert prepare(safety, "A") == vote_of(OWN, PREPARE, 1, "A")
    assert commit(safety, "A") == vote_of(OWN, COMMIT, 1, "A")
    assert propose(safety, "B", 2) == vote_of(OWN, PRE_PREPARE, 2, "B")
    assert seal(safety, "X") == envelopes_of(OWN).seal(Height(1), block_hash_of("X"))


def test_a_vote_asked_for_again_gets_its_old_answer_and_is_logged_once() -> None:
    safety = rules()
    once = [propose(safety, "B", 2), prepare(safety, "A"), commit(safety, "A"), seal(safety, "X")]
    assert len(safety.take_unsaved()) == 4
    assert [propose(safety, "B", 2), prepare(safety, "A"), commit(safety, "A"), seal(safety, "X")] == once
    assert safety.take_unsaved() == ()


def test_a_second_different_vote_in_a_slot_is_refused() -> None:
    safety = rules()
    prepare(safety, "A")
    propose(safety, "B", 2)
    commit(safety, "A")
    seal(safety, "X")
    assert refuses(lambda: prepare(safety, "B"), safety)
    assert refuses(lambda: propose(safety, "A", 2), safety)
    assert refuses(lambda: commit(safety, "B"), safety)
    assert refuses(lambda: seal(safety, "Y"), safety)


def test_who_proposed_does_not_prepare_and_who_prepared_does_not_propose() -> None:
    safety = rules()
    propose(safety, "A", 1)
    prepare(safety, "A", 2)
    assert refuses(lambda: prepare(safety, "A", 1), safety)
    assert refuses(lambda: propose(safety, "A", 2), safety)


def test_only_a_proposal_is_prepared() -> None:
    safety = rules()
    assert refuses(lambda: safety.prepare(vote_of(1, PREPARE, 1, "A"), b"A"), safety)


def test_nothing_is_signed_at_or_below_the_stored_height() -> None:
    safety = rules(stored=5)
    for sequence in (0, 4, 5):
        assert refuses(lambda at=sequence: prepare(safety, "A", at), safety)  # type: ignore[misc]
        assert refuses(lambda at=sequence: propose(safety, "A", at), safety)  # type: ignore[misc]
        assert refuses(lambda at=sequence: commit(safety, "A", at), safety)  # type: ignore[misc]
        assert refuses(lambda at=sequence: seal(safety, "A", at), safety)  # type: ignore[misc]
    prepare(safety, "A", 6)
    safety.trim(Height(6))
    safety.trim(Height(3))
    assert refuses(lambda: prepare(safety, "A", 6), safety), "not even the old answer"


def test_votes_at_or_below_the_stored_height_are_not_restored() -> None:
    safety = rules()
    prepare(safety, "A")
    seal(safety, "X")
    again = rules(stored=1, log=safety.take_unsaved())
    assert refuses(lambda: prepare(again, "A"), again)
    assert refuses(lambda: seal(again, "X"), again)


@pytest.mark.parametrize("by", [(), (3,), (3, 3), (4, 3), (1, 3), (2, 3, 4)])
def test_no_commit_without_a_prepared_certificate(by: tuple[int, ...]) -> None:
    safety = rules()
    prepare(safety, "A")
    assert refuses(lambda: commit(safety, "A", by=by), safety)
    commit(safety, "A", by=(2, 3))


def test_no_commit_to_a_batch_that_is_not_in_the_log() -> None:
    safety = rules()
    assert refuses(lambda: commit(safety, "A"), safety)
    prepare(safety, "B")
    assert refuses(lambda: commit(safety, "A"), safety)


def test_nothing_is_signed_in_another_view_than_the_own() -> None:
    safety = rules()
    enter(safety, 3)
    assert safety.view == 3
    for view in (0, 2, 4):
        assert refuses(lambda at=view: prepare(safety, "A", view=at), safety)  # type: ignore[misc]
        assert refuses(lambda at=view: propose(safety, "A", view=at), safety)  # type: ignore[misc]
        assert refuses(lambda at=view: commit(safety, "A", view=at), safety)  # type: ignore[misc]
    prepare(safety, "A", view=3)
    assert refuses(lambda: leave(safety, 2), safety)
    assert refuses(lambda: enter(safety, 2), safety)


def test_nothing_is_signed_between_a_view_change_and_its_new_view_but_seals() -> None:
    safety = rules()
    leave(safety, 1)
    assert refuses(lambda: prepare(safety, "A"), safety)
    assert refuses(lambda: prepare(safety, "A", view=1), safety)
    assert seal(safety, "X") == seal_of(OWN, 1, "X")
    enter(safety, 1)
    prepare(safety, "A", view=1)


def test_one_view_change_a_view_and_it_holds_what_was_prepared() -> None:
    safety = rules()
    prepare(safety, "A")
    prepare(safety, "B", 2)
    commit(safety, "B", 2)
    change = leave(safety, 1)
    [certificate] = change.prepared
    assert certificate.pre_prepare == vote_of(1, PRE_PREPARE, 2, "B").envelope
    log = safety.take_unsaved()
    assert leave(safety, 1) == change
    assert safety.take_unsaved() == ()
    again = rules(log=log)
    assert (again.view, again.is_entered) == (1, False)
    assert leave(again, 1) == change
    assert leave(again, 2).prepared == change.prepared


def test_a_view_change_is_from_the_last_stored_block() -> None:
    safety = rules(stored=5)
    assert refuses(lambda: safety.leave_for(View(1), Checkpoint(Height(4), b"h" * 32, b"")), safety)


def test_a_view_is_logged_when_it_is_left_or_entered_and_holds_after_a_restart() -> None:
    safety = rules()
    enter(safety, 7)
    again = rules(log=safety.take_unsaved())
    assert (again.view, again.is_entered) == (7, True)
    assert refuses(lambda: prepare(again, "A"), again)


def test_only_the_primary_of_a_view_that_it_asked_for_founds_it_and_once() -> None:
    safety = rules()
    assert refuses(lambda: safety.found(View(1), [], []), safety)
    leave(safety, 1)
    founded = safety.found(View(1), [], [(Seq(1), digest_of("A"))])
    assert safety.found(View(1), [], []) == founded
    assert propose(safety, "A", view=1).envelope == founded.pre_prepares[0]
    other = rules()
    leave(other, 2)
    assert refuses(lambda: other.found(View(2), [], []), other)


def test_what_a_new_view_proposed_again_is_known_before_its_slot_opens_and_after_a_restart() -> None:
    """A greeting may show it to a primary that is not so far yet (C18)."""
    safety = rules()
    leave(safety, 1)
    safety.found(View(1), [], [(Seq(9), digest_of("A"))])
    log = dict(safety.take_unsaved())
    leave(safety, 2)
    later = log | dict(safety.take_unsaved())
    for knowing in (rules(log=sorted(log.items())), rules(log=sorted(later.items()))):
        assert knowing.knows(vote_of(OWN, PRE_PREPARE, 9, "A", 1))
        assert not knowing.knows(vote_of(OWN, PREPARE, 9, "A", 0))
        assert not knowing.knows(vote_of(OWN, PRE_PREPARE, 9, "A", 5))
    assert not rules(log=sorted(log.items())).knows(vote_of(OWN, PRE_PREPARE, 9, "B", 1))
    assert not rules().knows(vote_of(OWN, PRE_PREPARE, 9, "A", 1))


def test_one_seal_a_height_whatever_the_view() -> None:
    safety = rules()
    first = seal(safety, "X")
    enter(safety, 1)
    assert seal(safety, "X") == first
    assert refuses(lambda: seal(safety, "Y"), safety)


def test_a_key_that_has_ended_signs_nothing_new_even_after_a_restart() -> None:
    safety = rules()
    before = prepare(safety, "A")
    log = list(safety.take_unsaved())
    safety.end_key()
    log += safety.take_unsaved()
    for ended in (safety, rules(log=log)):
        assert ended.has_ended
        assert prepare(ended, "A") == before
        assert refuses(lambda rules=ended: prepare(rules, "B", 2), ended)  # type: ignore[misc]
        assert refuses(lambda rules=ended: seal(rules, "X"), ended)  # type: ignore[misc]
        assert refuses(lambda rules=ended: leave(rules, 1), ended)  # type: ignore[misc]


def test_a_restart_contradicts_nothing() -> None:
    safety = rules()
    votes = [propose(safety, "B", 2), prepare(safety, "A"), commit(safety, "A"), seal(safety, "X")]
    again = rules(log=safety.take_unsaved())
    assert refuses(lambda: prepare(again, "C"), again)
    assert refuses(lambda: propose(again, "C", 2), again)
    assert refuses(lambda: commit(again, "C"), again)
    assert refuses(lambda: seal(again, "Y"), again)
    assert [propose(again, "B", 2), prepare(again, "A"), commit(again, "A"), seal(again, "X")] == votes
    assert again.take_unsaved() == ()


def test_an_empty_log_restores_to_nothing() -> None:
    assert read_vote_log([], Authenticator(SIMULATION, MEMBERSHIP), OWN) == RestoredVotes()

"""The safety rules: the only holder of the replica's signing key, and what it refuses to sign (docs/protocol.md C8, C10, C15, C17).

Every signature here is recorded for the vote log first; `take_unsaved` hands the records to the caller, who makes them durable before
any of the signatures leaves. A vote asked for again gets its old answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from huzheng.v1 import consensus_pb2

from consensus.vote_log import (
    LogEntry,
    RestoredVotes,
    accepted_entry,
    ended_entry,
    new_view_entry,
    prepared_entry,
    seal_entry,
    view_change_entry,
    view_entry,
)
from consensus.votes import (
    COMMIT,
    PRE_PREPARE,
    PREPARE,
    Checkpoint,
    Content,
    EnvelopeSigner,
    NewView,
    PreparedSlot,
    SealVote,
    ViewChange,
    Vote,
    is_prepared_certificate,
)
from ledger.crypto.membership import Membership
from ledger.crypto.types import Height, Seq, View


class SafetyViolation(Exception):
    """The core asked for a signature that the rules forbid: a bug, after which the replica must stop voting."""


class SafetyRules:
    """Signs at most one proposal or PREPARE, one COMMIT and one seal for each sequence (and view), one VIEW-CHANGE and one NEW-VIEW
    for each view, durably, and nothing in a view below the last one or in one that is not entered."""

    def __init__(self, signer: EnvelopeSigner, membership: Membership, stored: Height, restored: RestoredVotes) -> None:
        self._signer = signer
        self._membership = membership
        self._stored = stored
        self._view = restored.view
        self._entered = restored.view == 0 or restored.new_view is not None
        self._ended = restored.ended
        self._view_change = restored.view_change
        self._new_view = restored.new_view
        self._accepted: dict[tuple[Seq, View], Vote] = {}
        self._commits: dict[tuple[Seq, View], Vote] = {}
        self._prepared: dict[Seq, PreparedSlot] = {}
        self._seals: dict[Height, SealVote] = {}
        self._unsaved: list[LogEntry] = []
        self._restore(restored)

    def _restore(self, restored: RestoredVotes) -> None:
        for accepted in restored.accepted:
            vote = accepted.prepare or accepted.pre_prepare
            self._accepted[(vote.sequence, vote.view)] = vote
        for prepared in restored.prepared:
            self._commits[(prepared.commit.sequence, prepared.commit.view)] = prepared.commit
            self._prepared[prepared.commit.sequence] = prepared.slot
        for seal in restored.seals:
            self._seals[seal.height] = seal
        self.trim(self._stored)

    @property
    def view(self) -> View:
        """The view votes are signed in; nothing is signed in a lower one."""
        return self._view

    @property
    def is_entered(self) -> bool:
        """Whether votes are signed in the view: not between the VIEW-CHANGE for it and its NEW-VIEW."""
        return self._entered

    @property
    def view_change(self) -> ViewChange | None:
        """This replica's VIEW-CHANGE for its view."""
        return self._view_change

    @property
    def new_view(self) -> NewView | None:
        """The NEW-VIEW of its view, if it is entered and not the first."""
        return self._new_view

    @property
    def has_ended(self) -> bool:
        """Whether this key must not sign any more."""
        return self._ended

    def take_unsaved(self) -> tuple[LogEntry, ...]:
        """What must be durable before any signature made since the last call leaves."""
        unsaved = tuple(self._unsaved)
        self._unsaved.clear()
        return unsaved

    def trim(self, stored: Height) -> None:
        """Forgets votes at or below a stored block; nothing is signed there ever after."""
        self._stored = max(self._stored, stored)
        for votes in (self._accepted, self._commits):
            for key in [key for key in votes if key[0] <= self._stored]:
                del votes[key]
        for sequence in [sequence for sequence in self._prepared if sequence <= self._stored]:
            del self._prepared[sequence]
        for height in [height for height in self._seals if height <= self._stored]:
            del self._seals[height]

    def knows(self, content: Content) -> bool:
        """Whether something signed with this key is in the log, or below what the log still has to hold (C18)."""
        if isinstance(content, ViewChange):
            return content.view <= self._view
        if isinstance(content, SealVote):
            return content.height <= self._stored or content.height in self._seals
        if not isinstance(content, Vote) or content.sequence <= self._stored:
            return True
        if content.kind == PRE_PREPARE and self._proposed_again(content):
            return True
        votes = self._commits if content.kind == COMMIT else self._accepted
        return (content.sequence, content.view) in votes

    def _proposed_again(self, pre_prepare: Vote) -> bool:
        """Whether it may have been signed in a NEW-VIEW of this replica: it enters the log with that, and by itself only when its slot opens.

        That of a view before is no longer there; what came to the log since shows that nothing of that view was lost.
        """
        if self._new_view is not None and self._new_view.view == pre_prepare.view:
            return pre_prepare.envelope in self._new_view.pre_prepares
        return pre_prepare.view < self._view

    # --- votes ---

    def propose(self, view: View, sequence: Seq, batch_digest: bytes, batch: bytes) -> Vote:
        """This primary's PRE-PREPARE."""
        known = self._accepted.get((sequence, view))
        if known is not None:
            return _same(known, PRE_PREPARE, batch_digest)
        self._check(view, sequence)
        vote = self._signer.vote(PRE_PREPARE, view, sequence, batch_digest)
        proposal = consensus_pb2.Proposal(pre_prepare=vote.envelope, batch=batch)
        self._accepted[(sequence, view)] = vote
        self._unsaved.append(accepted_entry(sequence, view, consensus_pb2.AcceptedProposal(proposal=proposal)))
        return vote

    def prepare(self, pre_prepare: Vote, batch: bytes) -> Vote:
        """This backup's PREPARE for a verified pre-prepare whose batch is well formed."""
        view, sequence = pre_prepare.view, pre_prepare.sequence
        known = self._accepted.get((sequence, view))
        if known is not None:
            return _same(known, PREPARE, pre_prepare.batch_digest)
        self._check(view, sequence)
        if pre_prepare.kind != PRE_PREPARE:
            raise SafetyViolation("PREPARE without a PRE-PREPARE")
        vote = self._signer.vote(PREPARE, view, sequence, pre_prepare.batch_digest)
        self._accepted[(sequence, view)] = vote
        proposal = consensus_pb2.Proposal(pre_prepare=pre_prepare.envelope, batch=batch)
        accepted = consensus_pb2.AcceptedProposal(proposal=proposal, prepare=vote.envelope)
        self._unsaved.append(accepted_entry(sequence, view, accepted))
        return vote

    def commit(self, pre_prepare: Vote, prepares: Sequence[Vote]) -> Vote:
        """This replica's COMMIT, given the prepared certificate, for a batch that it logged with its own proposal or PREPARE."""
        view, sequence = pre_prepare.view, pre_prepare.sequence
        known = self._commits.get((sequence, view))
        if known is not None:
            return _same(known, COMMIT, pre_prepare.batch_digest)
        self._check(view, sequence)
        self._check_certificate(pre_prepare, prepares)
        vote = self._signer.vote(COMMIT, view, sequence, pre_prepare.batch_digest)
        self._commits[(sequence, view)] = vote
        certificate = consensus_pb2.PreparedCertificate(
            pre_prepare=pre_prepare.envelope, prepares=[prepare.envelope for prepare in prepares]
        )
        self._prepared[sequence] = PreparedSlot(pre_prepare, tuple(prepares), certificate)
        prepared = consensus_pb2.PreparedSlot(certificate=certificate, commit=vote.envelope)
        self._unsaved.append(prepared_entry(sequence, view, prepared))
        return vote

    def seal(self, height: Height, block_hash: bytes) -> SealVote:
        """This replica's seal over a block it executed itself: one for each height, whatever the view."""
        known = self._seals.get(height)
        if known is not None:
            if known.block_hash != block_hash:
                raise SafetyViolation(f"a second, different seal at height {height}")
            return known
        self._check_key()
        if height <= self._stored:
            raise SafetyViolation(f"seal at height {height}, at or below the stored block")
        seal = self._signer.seal(height, block_hash)
        self._seals[height] = seal
        self._unsaved.append(seal_entry(height, seal.envelope))
        return seal

    # --- views ---

    def leave_for(self, view: View, checkpoint: Checkpoint) -> ViewChange:
        """This replica's VIEW-CHANGE for a higher view; it holds every prepared certificate of the log that still matters (C15)."""
        if self._view_change is not None and self._view_change.view == view:
            return self._view_change
        self._check_key()
        if checkpoint.height != self._stored:
            raise SafetyViolation(f"VIEW-CHANGE from block {checkpoint.height}, stored is {self._stored}")
        if self._entered or view != self._view:
            self._move_to(view)
        prepared = [self._prepared[sequence].certificate for sequence in sorted(self._prepared)]
        self._view_change = self._signer.view_change(view, checkpoint, prepared)
        self._unsaved.append(view_change_entry(self._view_change.envelope))
        return self._view_change

    def found(
        self,
        view: View,
        view_changes: Sequence[consensus_pb2.Envelope],
        digests: Sequence[tuple[Seq, bytes]],
    ) -> NewView:
        """This primary's NEW-VIEW for the view it left for, with a PRE-PREPARE for each (sequence, batch digest) (C17)."""
        if self._new_view is not None and self._new_view.view == view:
            return self._new_view
        self._check_key()
        if view != self._view or self._entered or self._membership.primary(view) != self._signer.replica:
            raise SafetyViolation(f"NEW-VIEW for view {view} while in view {self._view}")
        votes = [self._signer.vote(PRE_PREPARE, view, sequence, digest) for sequence, digest in digests]
        return self._enter(self._signer.new_view(view, view_changes, [vote.envelope for vote in votes]))

    def enter(self, new_view: NewView) -> None:
        """Enters the view of a NEW-VIEW that holds, for good."""
        if new_view.view > self._view:
            self._move_to(new_view.view)
        if new_view.view < self._view or self._entered:
            raise SafetyViolation(f"NEW-VIEW for view {new_view.view} while in view {self._view}")
        self._enter(new_view)

    def end_key(self) -> None:
        """This key has signed what the log does not know: nothing is signed with it ever after (C18)."""
        self._ended = True
        member = self._membership.member(self._signer.replica)
        self._unsaved.append(ended_entry(b"" if member is None else member.public_key))

    def revive_key(self) -> None:
        """The departments decided that this key signs again (C18): after the next restart too."""
        self._ended = False
        self._unsaved.append(ended_entry(b""))

    def _move_to(self, view: View) -> None:
        if view <= self._view:
            raise SafetyViolation(f"view {view} after view {self._view}")
        self._view = view
        self._entered = False
        self._view_change = self._new_view = None
        self._unsaved.append(view_entry(self._membership.epoch, view))

    def _enter(self, new_view: NewView) -> NewView:
        self._entered = True
        self._new_view = new_view
        self._unsaved.append(new_view_entry(new_view.envelope))
        return new_view

    # --- checks ---

    def _check_key(self) -> None:
        if self._ended:
            raise SafetyViolation("a signature with a key that has ended")

    def _check(self, view: View, sequence: Seq) -> None:
        self._check_key()
        if view != self._view or not self._entered:
            raise SafetyViolation(f"vote in view {view} while in view {self._view}, entered: {self._entered}")
        if sequence <= self._stored:
            raise SafetyViolation(f"vote for sequence {sequence}, at or below the stored block")

    def _check_certificate(self, pre_prepare: Vote, prepares: Sequence[Vote]) -> None:
        if not is_prepared_certificate(pre_prepare, prepares, self._membership):
            raise SafetyViolation(f"COMMIT for sequence {pre_prepare.sequence} without a prepared certificate")
        accepted = self._accepted.get((pre_prepare.sequence, pre_prepare.view))
        if accepted is None or accepted.batch_digest != pre_prepare.batch_digest:
            raise SafetyViolation(f"COMMIT for sequence {pre_prepare.sequence}, whose batch is not in the log")


def _same(known: Vote, kind: int, batch_digest: bytes) -> Vote:
    if known.kind != kind or known.batch_digest != batch_digest:
        raise SafetyViolation(f"a second, different vote for sequence {known.sequence} in view {known.view}")
    return known

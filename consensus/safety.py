"""The safety rules: the only holder of the replica's signing key, and what it refuses to sign (docs/protocol.md C8 to C10).

Every signature here is recorded for the vote log first; `take_unsaved` hands the records to the caller, who makes them durable before
any of the signatures leaves. A vote asked for again gets its old answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from huzheng.v1 import consensus_pb2

from consensus.vote_log import LogEntry, RestoredVotes, accepted_entry, prepared_entry, seal_entry, view_entry
from consensus.votes import COMMIT, PRE_PREPARE, PREPARE, EnvelopeSigner, SealVote, Vote, is_prepared_certificate
from ledger.crypto.types import Height, Seq, View


class SafetyViolation(Exception):
    """The core asked for a signature that the rules forbid: a bug, after which the replica must stop voting."""


class SafetyRules:
    """Signs at most one proposal or PREPARE, one COMMIT and one seal for each sequence (and view), durably."""

    def __init__(self, signer: EnvelopeSigner, quorum: int, stored: Height, restored: RestoredVotes) -> None:
        self._signer = signer
        self._quorum = quorum
        self._stored = stored
        self._view = restored.view
        self._accepted: dict[tuple[Seq, View], Vote] = {}
        self._commits: dict[tuple[Seq, View], Vote] = {}
        self._seals: dict[Height, SealVote] = {}
        self._unsaved: list[LogEntry] = []
        self._restore(restored)

    def _restore(self, restored: RestoredVotes) -> None:
        for accepted in restored.accepted:
            vote = accepted.prepare or accepted.pre_prepare
            self._accepted[(vote.sequence, vote.view)] = vote
        for prepared in restored.prepared:
            self._commits[(prepared.commit.sequence, prepared.commit.view)] = prepared.commit
        for seal in restored.seals:
            self._seals[seal.height] = seal
        self.trim(self._stored)

    @property
    def view(self) -> View:
        """The view votes are signed in; nothing is signed in a lower one."""
        return self._view

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
        for height in [height for height in self._seals if height <= self._stored]:
            del self._seals[height]

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
        if height <= self._stored:
            raise SafetyViolation(f"seal at height {height}, at or below the stored block")
        seal = self._signer.seal(height, block_hash)
        self._seals[height] = seal
        self._unsaved.append(seal_entry(height, seal.envelope))
        return seal

    def enter_view(self, view: View) -> None:
        """Moves on to a higher view for good."""
        if view < self._view:
            raise SafetyViolation(f"view {view} after view {self._view}")
        if view > self._view:
            self._view = view
            self._unsaved.append(view_entry(view))

    def _check(self, view: View, sequence: Seq) -> None:
        if view != self._view:
            raise SafetyViolation(f"vote in view {view} while in view {self._view}")
        if sequence <= self._stored:
            raise SafetyViolation(f"vote for sequence {sequence}, at or below the stored block")

    def _check_certificate(self, pre_prepare: Vote, prepares: Sequence[Vote]) -> None:
        if not is_prepared_certificate(pre_prepare, prepares, self._quorum):
            raise SafetyViolation(f"COMMIT for sequence {pre_prepare.sequence} without a prepared certificate")
        accepted = self._accepted.get((pre_prepare.sequence, pre_prepare.view))
        if accepted is None or accepted.batch_digest != pre_prepare.batch_digest:
            raise SafetyViolation(f"COMMIT for sequence {pre_prepare.sequence}, whose batch is not in the log")


def _same(known: Vote, kind: int, batch_digest: bytes) -> Vote:
    if known.kind != kind or known.batch_digest != batch_digest:
        raise SafetyViolation(f"a second, different vote for sequence {known.sequence} in view {known.view}")
    return known

"""What VIEW-CHANGEs and NEW-VIEWs prove, written a second time from docs/protocol.md C15 to C17, with nothing of the core in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf.message import DecodeError
from huzheng.v1 import consensus_pb2

from ledger.crypto import Domain, Height, Membership, ReplicaId, Suite, verify_certificate
from ledger.errors import HuzhengError

_DOMAINS: dict[int, Domain] = {
    consensus_pb2.MESSAGE_KIND_PRE_PREPARE: Domain.SIGN_PRE_PREPARE,
    consensus_pb2.MESSAGE_KIND_PREPARE: Domain.SIGN_PREPARE,
    consensus_pb2.MESSAGE_KIND_VIEW_CHANGE: Domain.SIGN_VIEW_CHANGE,
    consensus_pb2.MESSAGE_KIND_NEW_VIEW: Domain.SIGN_NEW_VIEW,
}


class Ballot(NamedTuple):
    """What a vote is for."""

    view: int
    sequence: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Start:
    """What a view starts from."""

    view: int
    height: int
    """The highest stored block of the quorum."""
    digests: dict[int, bytes]
    """What is proposed again, by sequence."""

    def allows(self, sequence: int, digest: bytes) -> bool:
        """Whether a batch may be voted for in this view."""
        last = max(self.digests, default=self.height)
        return sequence > last or self.digests.get(sequence) == digest


def ballot_of(envelope: consensus_pb2.Envelope) -> Ballot:
    """What a PRE-PREPARE, PREPARE or COMMIT is for."""
    vote = consensus_pb2.Vote.FromString(envelope.body)
    return Ballot(vote.view, vote.sequence, vote.batch_digest)


class Judge:
    """Signatures and quorums of one membership."""

    def __init__(self, suite: Suite, membership: Membership, window: int, base: int = 0) -> None:
        """`base`: the block that the epoch starts from, which needs no proof."""
        self.suite = suite
        self.membership = membership
        self.window = window
        self.base = base
        self.null_digest = suite.digest(Domain.BATCH, b"")
        self._judged: dict[bytes, str] = {}
        """By signature: what is wrong with a VIEW-CHANGE."""

    def is_signed(self, envelope: consensus_pb2.Envelope, kind: int) -> bool:
        """By a member, as what it claims to be."""
        member = self.membership.member(ReplicaId(envelope.replica))
        if member is None or envelope.kind != kind:
            return False
        message = self.membership.chain_id + envelope.body
        return self.suite.verify(_DOMAINS[kind], member.public_key, message, envelope.signature)

    def fault_in_certificate(self, certificate: consensus_pb2.PreparedCertificate) -> str:
        """C6; empty if it holds."""
        first = certificate.pre_prepare
        if not self.is_signed(first, consensus_pb2.MESSAGE_KIND_PRE_PREPARE):
            return "PRE-PREPARE not signed"
        ballot = ballot_of(first)
        if first.replica != self.membership.primary(ballot.view):  # type: ignore[arg-type]
            return "PRE-PREPARE not by the primary"
        for prepare in certificate.prepares:
            if not self.is_signed(prepare, consensus_pb2.MESSAGE_KIND_PREPARE) or ballot_of(prepare) != ballot:
                return "PREPARE for something else"
        backups = {prepare.replica for prepare in certificate.prepares} - {first.replica}
        if len(backups) != self.membership.q - 1 or len(certificate.prepares) != len(backups):
            return f"{len(backups)} backups"
        return ""

    def fault_in_view_change(self, envelope: consensus_pb2.Envelope) -> str:
        """C15; empty if it is sound."""
        if envelope.signature not in self._judged:
            try:
                self._judged[envelope.signature] = self._fault_in_view_change(envelope)
            except DecodeError:
                self._judged[envelope.signature] = "unreadable"
        return self._judged[envelope.signature]

    def _fault_in_view_change(self, envelope: consensus_pb2.Envelope) -> str:
        if not self.is_signed(envelope, consensus_pb2.MESSAGE_KIND_VIEW_CHANGE):
            return "VIEW-CHANGE not signed"
        body = consensus_pb2.ViewChange.FromString(envelope.body)
        height = body.checkpoint.height
        if not self._is_proved(body.checkpoint):
            return f"block {height} not proved"
        above = height
        for certificate in body.prepared:
            fault = self.fault_in_certificate(certificate)
            if fault:
                return fault
            ballot = ballot_of(certificate.pre_prepare)
            if ballot.view >= body.view:
                return f"certificate of view {ballot.view} for view {body.view}"
            if not above < ballot.sequence <= height + self.window:
                return f"sequence {ballot.sequence} after {above}"
            above = ballot.sequence
        return ""

    def _is_proved(self, checkpoint: consensus_pb2.Checkpoint) -> bool:
        if checkpoint.height == self.base:
            return not checkpoint.certificate
        try:
            verify_certificate(
                self.suite,
                self.membership,
                checkpoint.certificate,
                Height(checkpoint.height),
                checkpoint.block_hash,
            )
        except HuzhengError:
            return False
        return True

    def start_of(self, view: int, changes: Sequence[consensus_pb2.Envelope]) -> Start:
        """What follows from VIEW-CHANGEs, be they sound or not (C17)."""
        bodies = [consensus_pb2.ViewChange.FromString(change.body) for change in changes]
        height = max((body.checkpoint.height for body in bodies), default=0)
        prepared = [ballot_of(certificate.pre_prepare) for body in bodies for certificate in body.prepared]
        # Of each sequence the last one set is the one of the highest view.
        chosen = {ballot.sequence: ballot.digest for ballot in sorted(prepared) if ballot.sequence > height}
        digests = {
            sequence: chosen.get(sequence, self.null_digest)
            for sequence in range(height + 1, max(chosen, default=height) + 1)
        }
        return Start(view, height, digests)

    @staticmethod
    def is_choice(changes: Sequence[consensus_pb2.Envelope]) -> bool:
        """Whether they show two batches for one sequence."""
        bodies = [consensus_pb2.ViewChange.FromString(change.body) for change in changes]
        ballots = [ballot_of(certificate.pre_prepare) for body in bodies for certificate in body.prepared]
        shown = {(ballot.sequence, ballot.digest) for ballot in ballots}
        return len({sequence for sequence, _ in shown}) < len(shown)

    def fault_in_new_view(self, envelope: consensus_pb2.Envelope) -> str:
        """C17; empty if it is what it must be."""
        if not self.is_signed(envelope, consensus_pb2.MESSAGE_KIND_NEW_VIEW):
            return "NEW-VIEW not signed"
        body = consensus_pb2.NewView.FromString(envelope.body)
        if envelope.replica != self.membership.primary(body.view):  # type: ignore[arg-type]
            return "NEW-VIEW not by the primary"
        replicas = [change.replica for change in body.view_changes]
        if len(replicas) != self.membership.q or replicas != sorted(set(replicas)):
            return f"VIEW-CHANGEs of {replicas}"
        for change in body.view_changes:
            fault = self.fault_in_view_change(change)
            if fault:
                return f"of replica {change.replica}: {fault}"
            asked = consensus_pb2.ViewChange.FromString(change.body).view
            if asked != body.view:
                return f"VIEW-CHANGE for view {asked}"
        start = self.start_of(body.view, body.view_changes)
        said = [ballot_of(vote) for vote in body.pre_prepares]
        if said != [Ballot(body.view, sequence, digest) for sequence, digest in sorted(start.digests.items())]:
            return "PRE-PREPAREs that do not follow"
        is_own = [
            vote.replica == envelope.replica and self.is_signed(vote, consensus_pb2.MESSAGE_KIND_PRE_PREPARE)
            for vote in body.pre_prepares
        ]
        return "" if all(is_own) else "PRE-PREPAREs not signed"

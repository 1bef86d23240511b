"""What VIEW-CHANGEs prove, and what follows from a quorum of them: pure functions (docs/protocol.md C15 to C17)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from huzheng.v1 import consensus_pb2

from consensus.votes import (
    NEW_VIEW,
    PRE_PREPARE,
    VIEW_CHANGE,
    Authenticator,
    Checkpoint,
    NewView,
    PreparedSlot,
    ViewChange,
    Vote,
)
from ledger.crypto.membership import Membership
from ledger.crypto.types import Height, ReplicaId, Seq, View

NULL_BATCH = b""
"""What fills a sequence that no prepared certificate speaks for."""
MAX_VOTE_BYTES = 256
"""Of the body of a vote or seal."""
MAX_ENVELOPE_BYTES = 384
"""Of a vote in its envelope, with what frames it."""
MAX_SEAL_BYTES = 128
"""Of one seal in a certificate."""


@dataclass(frozen=True, slots=True)
class SoundViewChange:
    """A VIEW-CHANGE all of whose proofs hold."""

    replica: ReplicaId
    view: View
    checkpoint: Checkpoint
    prepared: tuple[PreparedSlot, ...]
    envelope: consensus_pb2.Envelope


@dataclass(frozen=True, slots=True)
class Choice:
    """What a new view starts from."""

    checkpoint: Checkpoint
    """The highest of the quorum's."""
    digests: tuple[tuple[Seq, bytes], ...]
    """Each sequence above the checkpoint that must be proposed again, in ascending order without gaps, and its batch's digest."""

    @property
    def last(self) -> Seq:
        """The last sequence that is not free for new batches."""
        return self.digests[-1][0] if self.digests else Seq(self.checkpoint.height)


@dataclass(frozen=True, slots=True)
class SoundNewView:
    """A NEW-VIEW that is what it must be."""

    new_view: NewView
    choice: Choice
    pre_prepares: tuple[Vote, ...]


def max_body_bytes(kind: int, membership: Membership, watermark_window: int) -> int:
    """The largest body that an envelope of a kind can have, so that reading it costs bounded memory."""
    if kind not in (VIEW_CHANGE, NEW_VIEW):
        return MAX_VOTE_BYTES
    quorum = membership.q
    view_change = MAX_VOTE_BYTES + quorum * MAX_SEAL_BYTES + watermark_window * quorum * MAX_ENVELOPE_BYTES
    if kind == VIEW_CHANGE:
        return view_change
    return quorum * (view_change + MAX_ENVELOPE_BYTES) + watermark_window * MAX_ENVELOPE_BYTES


class ViewChangeRules:
    """The rules of one epoch."""

    def __init__(self, authenticator: Authenticator, base: Height, watermark_window: int) -> None:
        """`base`: the height that the epoch starts from; its block needs no certificate."""
        self._authenticator = authenticator
        self._membership = authenticator.membership
        self._base = base
        self._window = watermark_window
        self._null_digest = authenticator.batch_digest(NULL_BATCH)

    def check_view_change(self, claim: ViewChange) -> SoundViewChange | None:
        """C15: its checkpoint is proved, its certificates are of earlier views, in order, and hold. None otherwise."""
        if not self._is_proved(claim.checkpoint) or len(claim.prepared) > self._window:
            return None
        prepared: list[PreparedSlot] = []
        above = claim.checkpoint.height
        for certificate in claim.prepared:
            slot = self._authenticator.prepared_choice(certificate)
            if slot is None or slot.pre_prepare.view >= claim.view:
                return None
            if not above < slot.pre_prepare.sequence <= claim.checkpoint.height + self._window:
                return None
            above = Height(slot.pre_prepare.sequence)
            prepared.append(slot)
        return SoundViewChange(claim.replica, claim.view, claim.checkpoint, tuple(prepared), claim.envelope)

    def _is_proved(self, checkpoint: Checkpoint) -> bool:
        if checkpoint.height == self._base:
            return not checkpoint.certificate
        return checkpoint.height > self._base and self._authenticator.certifies(checkpoint)

    def choose(self, view_changes: Iterable[SoundViewChange]) -> Choice:
        """C16: from the highest checkpoint on, of each sequence the batch prepared in the highest view, and the null batch in gaps."""
        sound = list(view_changes)
        checkpoint = max((change.checkpoint for change in sound), key=lambda point: point.height)
        best: dict[Seq, Vote] = {}
        for change in sound:
            for slot in change.prepared:
                vote = slot.pre_prepare
                known = best.get(vote.sequence)
                if vote.sequence > checkpoint.height and (known is None or vote.view > known.view):
                    best[vote.sequence] = vote
        digests = tuple(
            (Seq(number), best[Seq(number)].batch_digest if number in best else self._null_digest)
            for number in range(checkpoint.height + 1, max(best, default=checkpoint.height) + 1)
        )
        return Choice(checkpoint, digests)

    def check_new_view(self, claim: NewView, known: Iterable[SoundViewChange] = ()) -> SoundNewView | None:
        """C17: by the view's primary, with sound VIEW-CHANGEs of exactly a quorum, and the PRE-PREPAREs that follow from them.

        `known`: VIEW-CHANGEs already found sound; an equal one is not checked again.
        """
        if claim.replica != self._membership.primary(claim.view) or len(claim.view_changes) != self._membership.q:
            return None
        by_signature = {change.envelope.signature: change for change in known}
        changes = [self._sound(envelope, by_signature) for envelope in claim.view_changes]
        sound = [change for change in changes if change is not None and change.view == claim.view]
        replicas = [change.replica for change in sound]
        if len(sound) != len(changes) or replicas != sorted(set(replicas)):
            return None
        choice = self.choose(sound)
        pre_prepares = self._check_pre_prepares(claim, choice)
        if pre_prepares is None:
            return None
        return SoundNewView(claim, choice, pre_prepares)

    def _sound(self, envelope: consensus_pb2.Envelope, known: dict[bytes, SoundViewChange]) -> SoundViewChange | None:
        before = known.get(envelope.signature)
        if before is not None and before.envelope == envelope:
            return before
        content = self._authenticator.verified(envelope)
        return self.check_view_change(content) if isinstance(content, ViewChange) else None

    def _check_pre_prepares(self, claim: NewView, choice: Choice) -> tuple[Vote, ...] | None:
        votes = [self._authenticator.verified_vote(envelope, PRE_PREPARE) for envelope in claim.pre_prepares]
        sound = [vote for vote in votes if vote is not None and self._is_by(claim, vote)]
        found = tuple((vote.sequence, vote.batch_digest) for vote in sound)
        return tuple(sound) if len(sound) == len(votes) and found == choice.digests else None

    @staticmethod
    def _is_by(claim: NewView, vote: Vote) -> bool:
        return vote.replica == claim.replica and vote.view == claim.view


def first_quorum(view_changes: Sequence[SoundViewChange], quorum: int) -> list[SoundViewChange]:
    """The q with the lowest replica ids, ordered by them."""
    return sorted(view_changes, key=lambda change: change.replica)[:quorum]

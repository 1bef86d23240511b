"""What a replica does not take in, judged from what a message claims before its signature is checked (docs/protocol.md C2)."""

from __future__ import annotations

from consensus.context import Context
from consensus.slot import Slot
from consensus.votes import COMMIT, PRE_PREPARE, PREPARE, SEAL, SealVote, Vote
from ledger.crypto.types import ReplicaId


class Admission:
    """Each method gives the reason to ignore a message that claims this, or None if it may still matter.

    A second message that differs from the first of its kind matters once, as evidence.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._own = context.own
        self._window = context.window

    def reason_to_ignore_proposal(self, vote: Vote) -> str | None:
        """C4: of this view, by its primary to a backup, in the window, the first of its slot or another than the first."""
        reason = self._reason_outside(vote)
        if reason is not None:
            return reason
        primary = self._context.primary
        if vote.kind != PRE_PREPARE or vote.replica != primary or self._own == primary:
            return "proposal not by a primary to a backup"
        if not self._context.safety.is_entered:
            return "view not entered"
        if vote.sequence < self._context.first_free and vote.sequence not in self._context.reproposed:
            return "sequence settled before this view"
        slot = self._window.get(vote.sequence)
        if slot is None or slot.pre_prepare is None:
            return None
        if slot.pre_prepare.batch_digest == vote.batch_digest:
            return "proposal known"
        return _reason_if_proven(slot, vote.kind, vote.replica)

    def reason_to_ignore_vote(self, vote: Vote) -> str | None:
        """C6, C7: a PREPARE of another backup or a COMMIT of another replica, of this view, in the window, still needed.

        Votes may come before the NEW-VIEW that they follow from.
        """
        if vote.kind not in (PREPARE, COMMIT) or vote.replica == self._own:
            return "own vote, or a pre-prepare without its batch"
        reason = self._reason_outside(vote)
        if reason is not None:
            return reason
        if vote.kind == PREPARE and vote.replica == self._context.primary:
            return "prepare by the primary"
        slot = self._window.get(vote.sequence)
        if slot is None:
            return None
        known = slot.votes(vote.kind).get(vote.replica)
        if known is not None:
            if known.batch_digest == vote.batch_digest:
                return "vote known"
            return _reason_if_proven(slot, vote.kind, vote.replica)
        return "vote no longer needed" if (slot.prepared if vote.kind == PREPARE else slot.committed) else None

    def reason_to_ignore_seal(self, seal: SealVote) -> str | None:
        """C8: of another replica, whatever the view, in the window, still needed."""
        if seal.replica == self._own:
            return "own seal"
        if not self._window.covers(seal.height):
            return "outside the window"
        slot = self._window.get(seal.height)
        if slot is None:
            return None
        known = slot.seals.get(seal.replica)
        if known is not None:
            if known.block_hash == seal.block_hash:
                return "seal known"
            return _reason_if_proven(slot, SEAL, seal.replica)
        return "seal no longer needed" if slot.certified else None

    def _reason_outside(self, vote: Vote) -> str | None:
        if vote.view != self._context.view:
            return "other view"
        return None if self._window.covers(vote.sequence) else "outside the window"


def _reason_if_proven(slot: Slot, kind: int, replica: ReplicaId) -> str | None:
    return "equivocation known" if (kind, replica) in slot.equivocators else None

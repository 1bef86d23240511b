"""A restarted replica finds its open slots again, as far as it had come in them (docs/protocol.md C10)."""

from __future__ import annotations

from consensus.slot import Proposal
from consensus.vote_log import RestoredVotes
from consensus.window import Window
from ledger.crypto.types import ReplicaId


def restore_window(window: Window, restored: RestoredVotes, own: ReplicaId, now_ms: int) -> None:
    """Opens the slots that this replica had voted in, in the view it was last in. What others said must come again."""
    for entry in restored.accepted:
        if entry.pre_prepare.view == restored.view and window.covers(entry.pre_prepare.sequence):
            slot = window.open(entry.pre_prepare.sequence, now_ms)
            slot.pre_prepare, slot.batch, slot.proposal = entry.pre_prepare, entry.batch, Proposal.ACCEPTED
            if entry.prepare is not None:
                slot.prepares[own] = entry.prepare
    for certificate in restored.prepared:
        if certificate.commit.view == restored.view and window.covers(certificate.commit.sequence):
            slot = window.open(certificate.commit.sequence, now_ms)
            slot.prepares.update({vote.replica: vote for vote in certificate.prepares})
            slot.commits[own] = certificate.commit
            slot.prepared = True
    for seal in restored.seals:
        if window.covers(seal.height):
            window.open(seal.height, now_ms).seals[own] = seal

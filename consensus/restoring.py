"""A restarted replica finds its open slots again, as far as it had come in them (docs/protocol.md C10)."""

from __future__ import annotations

from consensus.context import Context
from consensus.slot import Proposal
from consensus.vote_log import RestoredVotes


def restore_window(context: Context, restored: RestoredVotes) -> None:
    """Opens the slots that this replica had voted in, in the view it was last in. What others said must come again."""
    window, own, now_ms = context.window, context.own, context.now_ms
    for entry in restored.accepted:
        vote = entry.pre_prepare
        if not window.covers(vote.sequence):
            continue
        context.batches.keep(vote.sequence, vote.batch_digest, entry.batch)
        if vote.view == restored.view:
            slot = window.open(vote.sequence, now_ms)
            slot.pre_prepare, slot.batch, slot.proposal = vote, entry.batch, Proposal.ACCEPTED
            if entry.prepare is not None:
                slot.prepares[own] = entry.prepare
    for certificate in restored.prepared:
        if certificate.commit.view == restored.view and window.covers(certificate.commit.sequence):
            slot = window.open(certificate.commit.sequence, now_ms)
            slot.prepares.update({vote.replica: vote for vote in certificate.slot.prepares})
            slot.commits[own] = certificate.commit
            slot.prepared = True
    for seal in restored.seals:
        if window.covers(seal.height):
            window.open(seal.height, now_ms).seals[own] = seal

"""What this replica last saw signed by each of its peers, to greet them with (docs/protocol.md C18)."""

from __future__ import annotations

from collections.abc import Iterable

from huzheng.v1 import block_pb2, consensus_pb2

from consensus.vote_log import RestoredVotes
from consensus.votes import SEAL, Checkpoint, Content, SealVote, ViewChange, Vote
from ledger.crypto import strict
from ledger.crypto.types import Epoch, ReplicaId

MAX_SEEN = 3
"""Messages in a greeting: a vote, a seal and a VIEW-CHANGE."""


class Memory:
    """The newest message of each sort that this replica has verified of each peer: a few envelopes for each."""

    def __init__(self, epoch: Epoch) -> None:
        self._epoch = epoch
        self._votes: dict[ReplicaId, Vote] = {}
        self._seals: dict[ReplicaId, SealVote] = {}
        self._view_changes: dict[ReplicaId, ViewChange] = {}

    def saw(self, content: Content) -> None:
        """A message whose signature holds."""
        replica = content.replica
        if isinstance(content, Vote):
            vote = self._votes.get(replica)
            if vote is None or (vote.sequence, vote.view) < (content.sequence, content.view):
                self._votes[replica] = content
        elif isinstance(content, SealVote):
            seal = self._seals.get(replica)
            if seal is None or seal.height < content.height:
                self._seals[replica] = content
        elif isinstance(content, ViewChange):
            change = self._view_changes.get(replica)
            if change is None or change.view < content.view:
                self._view_changes[replica] = content

    def restore(self, votes: RestoredVotes, checkpoint: Checkpoint) -> None:
        """What a restarted replica still knows: from its vote log and its last block's certificate."""
        for accepted in votes.accepted:
            self.saw(accepted.pre_prepare)
        for prepared in votes.prepared:
            for vote in (prepared.slot.pre_prepare, *prepared.slot.prepares):
                self.saw(vote)
        body = strict.write(
            block_pb2.Seal(epoch=self._epoch, height=checkpoint.height, block_hash=checkpoint.block_hash)
        )
        for seal in block_pb2.Certificate.FromString(checkpoint.certificate).seals:
            replica = ReplicaId(seal.replica)
            envelope = consensus_pb2.Envelope(replica=replica, kind=SEAL, body=body, signature=seal.signature)
            self.saw(SealVote(replica, checkpoint.height, checkpoint.block_hash, envelope))

    def greeting_for(self, peer: ReplicaId) -> consensus_pb2.Greeting:
        """What this replica last saw signed by the peer."""
        newest: Iterable[Content | None] = (
            self._votes.get(peer),
            self._seals.get(peer),
            self._view_changes.get(peer),
        )
        seen = [content.envelope for content in newest if content is not None]
        return consensus_pb2.Greeting(seen=seen, epoch=self._epoch)

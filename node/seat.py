"""This node's place in consensus: with a vote where the stored chain names one of its keys, else as a follower."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from consensus.batching import BatchingPolicy
from consensus.follower import Follower
from consensus.replica import Replica, ReplicaConfig
from consensus.votes import Checkpoint
from ledger.crypto import Height, ReplicaId, Signer
from ledger.epochs import EpochTerms
from ledger.execution import rules_for
from ledger.genesis import Genesis
from ledger.store import ChainStore

Core = Replica | Follower


@dataclass(frozen=True, slots=True)
class Seat:
    """All that is needed to go on from the last stored block, in whatever epoch it is."""

    genesis: Genesis
    store: ChainStore
    replica: ReplicaId
    signers: Mapping[bytes, Signer]
    """By public key."""
    accepts_lost_votes: bool = False
    """In the epoch that the node starts in, as the departments decided (C18)."""
    batching: BatchingPolicy | None = None
    """None: what follows from the genesis."""

    def take(self, now_ms: int, *, at_start: bool) -> Core:
        """The core for the next block. `now_ms`: by the clock of its timers.

        Raises:
            HuzhengError: VOTE_LOG_CORRUPT; PROTOCOL_UNKNOWN if this software does not know the rules of the next block.
        """
        tip = self.store.tip
        terms = self.store.epoch_at(Height(tip.height + 1))
        rules_for(self.genesis, terms.protocol_version, terms.first_height)
        member = terms.membership.member(self.replica)
        signer = self.signers.get(member.public_key) if member is not None else None
        if signer is None:
            return Follower(terms.membership, tip.height, now_ms)
        checkpoint = Checkpoint(tip.height, tip.block_hash, self.store.certificate(tip.height))
        config = self._config(terms, signer, accepts_lost_votes=at_start and self.accepts_lost_votes)
        return Replica(config, checkpoint, self.store.votes(), now_ms)

    def follow(self, now_ms: int) -> Follower:
        """Without a vote, whatever the chain says."""
        tip = self.store.tip
        return Follower(self.store.membership_at(Height(tip.height + 1)), tip.height, now_ms)

    def _config(self, terms: EpochTerms, signer: Signer, *, accepts_lost_votes: bool) -> ReplicaConfig:
        parameters = self.genesis.parameters
        batching = self.batching or BatchingPolicy(
            parameters.pipeline_depth, parameters.heartbeat_ms, full_bytes=parameters.max_batch_bytes // 2
        )
        return ReplicaConfig(
            self.genesis.suite,
            terms.membership,
            self.replica,
            signer,
            parameters.watermark_window,
            parameters.max_batch_bytes,
            batching,
            base=terms.base,
            last_height=self.store.last_height_of(terms),
            accepts_lost_votes=accepts_lost_votes,
        )

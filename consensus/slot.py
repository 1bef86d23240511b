"""All that a replica knows about one sequence number."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto

from consensus.votes import COMMIT, PREPARE, SEAL, SealVote, Vote
from ledger.crypto.types import ReplicaId, Seq


class Proposal(Enum):
    """How far the proposal in a slot has come at this replica."""

    NONE = auto()
    CHECKING = auto()
    """The ledger was asked about the batch."""
    EARLY = auto()
    """The batch is ahead of the own clock (T5)."""
    ACCEPTED = auto()
    """This replica voted for it."""
    INVALID = auto()
    MISSING = auto()
    """A new view proposes it again, and the batch is not here (C17)."""


class Stage(IntEnum):
    """How far a height has come at this replica, each stage after those before it."""

    AWAITED = auto()
    EARLY = auto()
    CHECKING = auto()
    VOTED = auto()
    PREPARED = auto()
    DECIDED = auto()
    EXECUTED = auto()
    CERTIFIED = auto()


@dataclass(slots=True)
class Slot:
    """One sequence number in the current view. Votes are verified; each replica's first vote of a kind counts."""

    sequence: Seq
    opened_ms: int
    proposal: Proposal = Proposal.NONE
    pre_prepare: Vote | None = None
    batch: bytes = b""
    batch_sent_ms: dict[ReplicaId, int] = field(default_factory=dict)
    """When this replica last sent the batch again, by peer; the primary's first sending, to all, is when the slot was opened."""
    prepares: dict[ReplicaId, Vote] = field(default_factory=dict)
    commits: dict[ReplicaId, Vote] = field(default_factory=dict)
    seals: dict[ReplicaId, SealVote] = field(default_factory=dict)
    prepared: bool = False
    committed: bool = False
    decided_digest: bytes | None = None
    """Set once the batch is committed; no later view can choose another."""
    block_hash: bytes | None = None
    """Set once this replica has executed the block."""
    certified: bool = False
    equivocators: set[tuple[int, ReplicaId]] = field(default_factory=set)
    """Whose second, different message of a kind is known: one proof is enough."""

    @property
    def stage(self) -> Stage:
        """How far it has come."""
        if self.certified:
            return Stage.CERTIFIED
        if self.block_hash is not None:
            return Stage.EXECUTED
        if self.decided_digest is not None:
            return Stage.DECIDED
        if self.prepared:
            return Stage.PREPARED
        return _STAGES.get(self.proposal, Stage.AWAITED)

    def leave_view(self, now_ms: int) -> None:
        """Forgets what was said in a view that is left; seals are of no view."""
        self.opened_ms = now_ms
        self.proposal, self.pre_prepare, self.batch, self.batch_sent_ms = Proposal.NONE, None, b"", {}
        self.prepares, self.commits = {}, {}
        self.prepared = self.committed = False
        self.equivocators = {(kind, replica) for kind, replica in self.equivocators if kind == SEAL}

    def votes(self, kind: int) -> dict[ReplicaId, Vote]:
        """The PREPAREs or COMMITs seen."""
        if kind == PREPARE:
            return self.prepares
        if kind == COMMIT:
            return self.commits
        raise ValueError(f"no votes of kind {kind} in a slot")

    def supporters(self, kind: int) -> list[Vote]:
        """Votes of a kind for the accepted or pending proposal, ordered by replica."""
        if self.pre_prepare is None:
            return []
        digest = self.pre_prepare.batch_digest
        votes = self.votes(kind)
        return [votes[replica] for replica in sorted(votes) if votes[replica].batch_digest == digest]

    def seals_for(self, block_hash: bytes) -> dict[ReplicaId, bytes]:
        """Signatures of the seals over a block hash, by replica."""
        return {
            replica: self.seals[replica].envelope.signature
            for replica in sorted(self.seals)
            if self.seals[replica].block_hash == block_hash
        }


_STAGES = {Proposal.EARLY: Stage.EARLY, Proposal.CHECKING: Stage.CHECKING, Proposal.ACCEPTED: Stage.VOTED}

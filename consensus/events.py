"""What goes into the replica (`Event`) and what comes out of it (`Ready`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from huzheng.v1 import consensus_pb2

from consensus.vote_log import LogEntry
from consensus.votes import Checkpoint, PeerPayload
from ledger.crypto.types import Height, ReplicaId, Seq, View

# --- in ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EnvelopeReceived:
    """A peer sent a signed message (its own, or one it passes on)."""

    sender: ReplicaId
    envelope: consensus_pb2.Envelope


@dataclass(frozen=True, slots=True)
class ProposalReceived:
    """A peer sent a pre-prepare with its batch."""

    sender: ReplicaId
    pre_prepare: consensus_pb2.Envelope
    batch: bytes


@dataclass(frozen=True, slots=True)
class StatusReceived:
    """A peer said where it stands."""

    sender: ReplicaId
    status: consensus_pb2.ReplicaStatus


@dataclass(frozen=True, slots=True)
class GreetingReceived:
    """A peer said what it last saw signed by this replica."""

    sender: ReplicaId
    greeting: consensus_pb2.Greeting


@dataclass(frozen=True, slots=True)
class BatchReceived:
    """A peer sent a batch; its digest tells whether it is one that was asked for."""

    sender: ReplicaId
    batch: bytes


class BatchVerdict(Enum):
    """What the ledger says of a proposed batch (docs/protocol.md T4, T5)."""

    VALID = auto()
    INVALID = auto()
    EARLY = auto()
    """Valid but for its time, which is ahead of this replica's clock."""


@dataclass(frozen=True, slots=True)
class BatchChecked:
    """The answer to a `CheckBatch`."""

    sequence: Seq
    batch_digest: bytes
    proposer: ReplicaId
    """Whose proposal was judged: a view's primary may propose the bytes that another's proposed in the view before."""
    verdict: BatchVerdict


@dataclass(frozen=True, slots=True)
class ProposeBatch:
    """The node made a batch after `wants_batch` said yes. It is well formed and names this replica as its proposer."""

    batch: bytes
    transactions: int
    """How many it has."""


@dataclass(frozen=True, slots=True)
class BlockExecuted:
    """A decided batch was executed, in memory, on top of the block before."""

    height: Height
    block_hash: bytes


@dataclass(frozen=True, slots=True)
class BlockStored:
    """Every block up to this one is durable with its certificate, whether decided here or fetched."""

    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class FetchEnded:
    """The fetch asked for is over, having reached what it could."""

    helper: ReplicaId | None = None
    """The peer that brought blocks; those asked before it, or all if there is none, brought nothing."""
    complete: bool = True
    """Whether the helper sent all it had."""


@dataclass(frozen=True, slots=True)
class PeerConnected:
    """A link to a peer is up: it should hear at once where this replica stands."""

    replica: ReplicaId


@dataclass(frozen=True, slots=True)
class WorkWaiting:
    """Since when, by the clock of `now_ms`, the primary owes this node's transactions a block; None when it owes nothing."""

    since_ms: int | None


@dataclass(frozen=True, slots=True)
class LastHeightKnown:
    """A stored block ends this epoch with the block of this height."""

    height: Height


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing happened but `next_deadline` came."""


Event = (
    EnvelopeReceived
    | ProposalReceived
    | StatusReceived
    | GreetingReceived
    | BatchReceived
    | BatchChecked
    | ProposeBatch
    | BlockExecuted
    | BlockStored
    | FetchEnded
    | PeerConnected
    | WorkWaiting
    | LastHeightKnown
    | TimePassed
)

# --- out -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """A message to one peer, or to all when `to` is None."""

    to: ReplicaId | None
    payload: PeerPayload


@dataclass(frozen=True, slots=True)
class CheckBatch:
    """Asks whether a fresh proposal's batch is well formed and in time; answered by `BatchChecked`."""

    sequence: Seq
    batch_digest: bytes
    batch: bytes
    proposer: ReplicaId


@dataclass(frozen=True, slots=True)
class Decided:
    """The batch for this height is final: execute it after the one before. Answered by `BlockExecuted`."""

    height: Height
    batch: bytes


@dataclass(frozen=True, slots=True)
class Certified:
    """A quorum sealed the block this replica executed: store it. Answered by `BlockStored`."""

    height: Height
    block_hash: bytes
    certificate: bytes


@dataclass(frozen=True, slots=True)
class FetchBlocks:
    """Peers have blocks this replica lacks: fetch them from these, the best first. Answered by `FetchEnded`."""

    from_height: Height
    peers: tuple[ReplicaId, ...]


@dataclass(frozen=True, slots=True)
class Equivocation:
    """Proof that a replica signed two different messages for one slot, or one view."""

    replica: ReplicaId
    sequence: Seq
    """0 for messages about views."""
    first: consensus_pb2.Envelope
    second: consensus_pb2.Envelope


@dataclass(frozen=True, slots=True)
class Diverged:
    """A quorum certified another block than this replica executed. It votes no more; its database must be repaired."""

    height: Height
    certified_hash: bytes


@dataclass(frozen=True, slots=True)
class Trace:
    """One line of the typed trace: what the replica did or refused, and why."""

    event: str
    fields: dict[str, Any]
    is_alarm: bool = False
    """An operator should hear of it."""


@dataclass(slots=True)
class Ready:
    """Everything the replica wants done since the last `ready()`."""

    votes: tuple[LogEntry, ...] = ()
    """Must be durable, in one synchronous write, before anything else here is acted on."""
    sends: list[Send] = field(default_factory=list)
    """Send in order; losing any of them is harmless."""
    checks: list[CheckBatch] = field(default_factory=list)
    """Answer in any order."""
    decided: list[Decided] = field(default_factory=list)
    """Execute in order, each height once, unless a fetched block came first."""
    certified: list[Certified] = field(default_factory=list)
    """Store in order."""
    fetch: FetchBlocks | None = None
    evidence: list[Equivocation] = field(default_factory=list)
    """Keep for ever."""
    faulty: dict[ReplicaId, str] = field(default_factory=dict)
    """Peers that sent what no correct replica sends, and why: hear them no more for a while."""
    diverged: Diverged | None = None
    votes_lost: bool = False
    """A peer has proof that this replica forgot what it signed (C18): it votes no more, and needs a new key."""
    view_entered: View | None = None
    """A new view begins: what was proposed and is not decided may have to be proposed again."""
    trace: list[Trace] = field(default_factory=list)
    """For logs; acted on by nobody."""

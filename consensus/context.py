"""What the parts of one replica share: who it is, what it knows, and where they put what is to be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from huzheng.v1 import consensus_pb2

from consensus.batches import BatchArchive
from consensus.batching import BatchingPolicy
from consensus.events import Equivocation, Ready, Send, Trace
from consensus.memory import Memory
from consensus.safety import SafetyRules
from consensus.votes import Authenticator, Checkpoint, Claim, PeerPayload, Vote
from consensus.window import Window
from ledger.crypto.membership import Membership
from ledger.crypto.suite import Signer, Suite
from ledger.crypto.types import Height, ReplicaId, Seq, View

GENESIS_HEIGHT = Height(0)


class InvariantViolation(Exception):
    """The replica's own state contradicts itself: a bug, after which it must not go on."""


@dataclass(frozen=True, slots=True)
class ReplicaConfig:
    """Who this replica is, and the parameters it shares with all others (genesis). One core serves one epoch."""

    suite: Suite
    membership: Membership
    replica: ReplicaId
    signer: Signer
    watermark_window: int
    max_batch_bytes: int
    batching: BatchingPolicy
    base: Height = GENESIS_HEIGHT
    """The block that the epoch starts from."""
    last_height: Height | None = None
    """The last block of the epoch, if its end is known already."""
    accepts_lost_votes: bool = False
    """The departments have decided together that this replica votes whatever its peers saw of it (C18)."""


class Context:
    """Belongs to one replica; nothing here decides anything."""

    def __init__(
        self,
        config: ReplicaConfig,
        checkpoint: Checkpoint,
        authenticator: Authenticator,
        safety: SafetyRules,
        now_ms: int,
    ) -> None:
        self.config = config
        self.own = config.replica
        self.membership = config.membership
        self.authenticator = authenticator
        self.safety = safety
        self.checkpoint = checkpoint
        """The last stored block."""
        self.window = Window(checkpoint.height, config.watermark_window, config.last_height)
        self.batches = BatchArchive(authenticator)
        self.memory = Memory(config.membership.epoch)
        self.reproposed: dict[Seq, Vote] = {}
        """The PRE-PREPAREs of the view's NEW-VIEW (C17)."""
        self.first_free = Seq(0)
        """Below it the view's primary may propose nothing of its own."""
        self.halted = False
        self.ready = Ready()
        self.now_ms = now_ms

    @property
    def view(self) -> View:
        """The current view."""
        return self.safety.view

    @property
    def primary(self) -> ReplicaId:
        """The current view's primary (I3)."""
        return self.membership.primary(self.view)

    @property
    def is_primary(self) -> bool:
        """Whether this replica is the primary."""
        return self.primary == self.own

    def admits(self, sender: ReplicaId, claim: Claim, reason_to_ignore: str | None) -> bool:
        """Whether a message matters and its signature holds; says so if not."""
        if reason_to_ignore is not None:
            self.ignore(sender, reason_to_ignore)
            return False
        if not self.verifies(claim):
            self.blame(sender, "bad signature")
            return False
        return True

    def verifies(self, claim: Claim) -> bool:
        """Whether a peer's signature holds; if so, the message is remembered as the peer's."""
        content = self.authenticator.verify(claim)
        if content is None:
            return False
        self.memory.saw(content)
        return True

    def send(self, to: ReplicaId, payload: PeerPayload) -> None:
        """A message to one peer."""
        self.ready.sends.append(Send(to, payload))

    def send_all(self, payload: PeerPayload) -> None:
        """A message to all peers."""
        self.ready.sends.append(Send(None, payload))

    def keep_evidence(self, sequence: Seq, first: consensus_pb2.Envelope, second: consensus_pb2.Envelope) -> None:
        """Two different messages by one replica for one place."""
        replica = ReplicaId(first.replica)
        self.ready.evidence.append(Equivocation(replica, sequence, first, second))
        self.trace("equivocation", replica=replica, sequence=sequence)

    def blame(self, sender: ReplicaId, reason: str) -> None:
        """The sender did what no correct replica does."""
        self.ready.faulty.setdefault(sender, reason)
        self.trace("faulty", sender=sender, reason=reason)

    def ignore(self, sender: ReplicaId, reason: str) -> None:
        """A message does not matter."""
        self.trace("ignored", sender=sender, reason=reason)

    def trace(self, event: str, **fields: Any) -> None:
        """Says what happened."""
        self.ready.trace.append(Trace(event, fields))

"""Replicas that lie. Each runs the production core, so that it knows what is going on, and twists what leaves it.

They sign with their own key only; what they say in another's name has a signature that does not hold.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from huzheng.v1 import consensus_pb2

from consensus.events import Ready, Send
from consensus.votes import COMMIT, NEW_VIEW, PRE_PREPARE, PREPARE, SEAL, Checkpoint, EnvelopeSigner, PeerPayload
from ledger.crypto import Domain, Height, ReplicaId, Seq
from ledger.crypto.types import View
from tests.sim.core.machine import Machine, StoredBlock


class Liar(Machine):
    """Says anything to anyone: each message to each peer is told truly, twisted, made up or held back."""

    is_liar = True

    def dies_now(self) -> bool:
        return False

    def report(self, ready: Ready) -> None:
        """Nobody cares what a liar finds."""

    def transmit(self, send: Send) -> None:
        lies: list[Callable[[PeerPayload], PeerPayload | None]] = [
            *(self.truth, self.nothing, self.other_vote, self.other_vote, self.wrong_kind, self.far_ahead),
            *(self.forged, self.garbage, self.boast, self.padded, self.high_view, self.made_up_view),
        ]
        for peer in self.cluster.machines:
            if peer is not self and send.to in (None, peer.id):
                payload = self.cluster.random.choice(lies)(send.payload)
                if payload is not None:
                    self.cluster.send(self, Send(peer.id, payload))

    def serve(self, start: int) -> list[StoredBlock]:
        """Blocks whose certificate holds too few seals, or is for another block, or none at all."""
        blocks = super().serve(start)
        if not blocks:
            return [(b"made up", b"h" * 32, b"")]
        batch, block_hash, certificate = blocks[0]
        return self.cluster.random.choice(
            ([], [(batch, b"h" * 32, certificate)], [(b"made up", block_hash, certificate[:-1])], [blocks[0]])
        )

    # --- what it makes of a message ---

    def truth(self, payload: PeerPayload) -> PeerPayload | None:
        return payload

    def nothing(self, _payload: PeerPayload) -> PeerPayload | None:
        return None

    def other_vote(self, payload: PeerPayload) -> PeerPayload | None:
        """The same vote for something else: conflicting votes and wrong seals, soundly signed."""
        if not isinstance(payload, consensus_pb2.Envelope):
            return payload
        if payload.kind == SEAL:
            return self.signer().seal(Height(self.place(payload)), self.some_hash()).envelope
        return self.vote(payload.kind, self.place(payload))

    def wrong_kind(self, payload: PeerPayload) -> PeerPayload | None:
        """Its own signature under a PREPARE, shown as that of a COMMIT, and the other way round."""
        if not isinstance(payload, consensus_pb2.Envelope) or payload.kind not in (PREPARE, COMMIT):
            return payload
        twisted = consensus_pb2.Envelope()
        twisted.CopyFrom(payload)
        twisted.kind = COMMIT if payload.kind == PREPARE else PREPARE
        return twisted

    def far_ahead(self, _payload: PeerPayload) -> PeerPayload | None:
        sequence = self.cluster.random.choice((0, 5, 17, 2**63)) + len(self.disk.blocks)
        return self.vote(self.cluster.random.choice((PREPARE, COMMIT)), sequence)

    def forged(self, _payload: PeerPayload) -> PeerPayload | None:
        """A vote in another's name."""
        victim = self.cluster.random.choice(self.cluster.machines).id
        kind = self.cluster.random.choice((PRE_PREPARE, PREPARE, COMMIT))
        vote = self.vote(kind, len(self.disk.blocks) + self.cluster.random.randint(1, 3))
        vote.replica = victim if victim != self.id else victim % len(self.cluster.machines) + 1
        return vote

    def garbage(self, _payload: PeerPayload) -> PeerPayload | None:
        dice = self.cluster.random
        kind = consensus_pb2.MessageKind.ValueType(dice.randint(0, 9))
        return consensus_pb2.Envelope(
            replica=dice.randint(0, 12),
            kind=kind,
            body=dice.randbytes(dice.randint(0, 60)),
            signature=dice.randbytes(64),
        )

    def boast(self, _payload: PeerPayload) -> PeerPayload | None:
        """A standing that claims a height beyond all, and slots that do not exist."""
        height = self.cluster.random.choice((2**64 - 1, len(self.disk.blocks) + 1_000, 0))
        slots = [consensus_pb2.SlotStatus(sequence=2**64 - 1 - i, committed=True) for i in range(3)]
        return consensus_pb2.ReplicaStatus(stored_height=height, slots=slots)

    def padded(self, payload: PeerPayload) -> PeerPayload | None:
        """Its own true message, with a field that no signature covers."""
        if not isinstance(payload, consensus_pb2.Envelope):
            return payload
        return consensus_pb2.Envelope.FromString(payload.SerializeToString() + b"\x7a\x04junk")

    def high_view(self, _payload: PeerPayload) -> PeerPayload | None:
        """Asks for a view far ahead, from a block that it can't prove."""
        view = View(self.core.view + self.cluster.random.choice((0, 1, 2, 50, 2**62)))
        height = Height(self.cluster.random.choice((0, len(self.disk.blocks), 2**40)))
        return self.signer().view_change(view, Checkpoint(height, bytes(32), b""), []).envelope

    def made_up_view(self, _payload: PeerPayload) -> PeerPayload | None:
        """A new view that nobody asked for, with its own word in the place of a quorum's."""
        n = len(self.cluster.machines)
        view = View((self.core.view // n + self.cluster.random.choice((1, 2))) * n + self.id - 1)
        own = self.signer().view_change(view, Checkpoint(Height(0), bytes(32), b""), []).envelope
        return self.signer().new_view(view, [own] * self.cluster.membership.q, []).envelope

    # --- its means ---

    def signer(self) -> EnvelopeSigner:
        membership = self.cluster.membership
        return EnvelopeSigner(self.cluster.signers[self.id], self.id, membership.chain_id, membership.epoch)

    def vote(self, kind: int, sequence: int) -> consensus_pb2.Envelope:
        return self.signer().vote(kind, self.core.view, Seq(sequence), self.some_hash()).envelope

    def some_hash(self) -> bytes:
        return bytes([self.cluster.random.randint(0, 3)]) * 32

    @staticmethod
    def place(envelope: consensus_pb2.Envelope) -> int:
        """The sequence of a vote or the height of a seal."""
        vote = consensus_pb2.Vote.FromString(envelope.body)
        return vote.view if envelope.kind == SEAL else vote.sequence


class EquivocatingPrimary(Machine):
    """Proposes one batch to some and another to others, and both to one of them."""

    is_liar = True

    def dies_now(self) -> bool:
        return False

    def report(self, ready: Ready) -> None:
        """Nobody cares what a liar finds."""

    def transmit(self, send: Send) -> None:
        payload = send.payload
        if not isinstance(payload, consensus_pb2.Proposal) or payload.pre_prepare.replica != self.id:
            self.cluster.send(self, send)
            return
        other = self.twist(payload)
        for peer in self.cluster.machines:
            if peer is self or send.to not in (None, peer.id):
                continue
            for proposal in self.cluster.random.choice(((payload,), (payload,), (other,), (other, payload))):
                self.cluster.send(self, Send(peer.id, proposal))

    def twist(self, proposal: consensus_pb2.Proposal) -> consensus_pb2.Proposal:
        """Another batch for the same slot, soundly signed."""
        batch = proposal.batch.replace(b"|", b"'|", 1)
        digest = self.cluster.suite.digest(Domain.BATCH, batch)
        sequence = Seq(consensus_pb2.Vote.FromString(proposal.pre_prepare.body).sequence)
        membership = self.cluster.membership
        signer = EnvelopeSigner(self.cluster.signers[self.id], self.id, membership.chain_id, membership.epoch)
        return consensus_pb2.Proposal(
            pre_prepare=signer.vote(PRE_PREPARE, self.core.view, sequence, digest).envelope, batch=batch
        )


class SilentPrimary(Machine):
    """Takes part in everything, but as primary proposes to nobody."""

    is_liar = True

    def dies_now(self) -> bool:
        return False

    def transmit(self, send: Send) -> None:
        if not self.is_own_proposal(send.payload):
            self.cluster.send(self, send)

    def is_own_proposal(self, payload: PeerPayload) -> bool:
        return isinstance(payload, consensus_pb2.Proposal) and payload.pre_prepare.replica == self.id


class SelectivePrimary(SilentPrimary):
    """Proposes to fewer than a quorum."""

    def transmit(self, send: Send) -> None:
        if self.is_own_proposal(send.payload):
            send = Send(self.cluster.machines[self.id % len(self.cluster.machines)].id, send.payload)
        self.cluster.send(self, send)


class SlowPrimary(SilentPrimary):
    """Proposes just before the others lose patience."""

    HOLD_MS = 900

    def transmit(self, send: Send) -> None:
        if self.is_own_proposal(send.payload):
            self.cluster.later(self.HOLD_MS, self, partial(self.cluster.send, self, send))
        else:
            self.cluster.send(self, send)


class ForgingPrimary(SilentPrimary):
    """Founds views that forget what was prepared, or choose another batch for it."""

    def transmit(self, send: Send) -> None:
        payload = send.payload
        if isinstance(payload, consensus_pb2.Envelope) and payload.kind == NEW_VIEW and payload.replica == self.id:
            payload = self.forge(consensus_pb2.NewView.FromString(payload.body))
        self.cluster.send(self, Send(send.to, payload))

    def forge(self, body: consensus_pb2.NewView) -> consensus_pb2.Envelope:
        signer = Liar.signer(self)  # type: ignore[arg-type]
        view = View(body.view)
        sequences = [consensus_pb2.Vote.FromString(vote.body).sequence for vote in body.pre_prepares]
        votes = [signer.vote(PRE_PREPARE, view, Seq(sequence), bytes(32)).envelope for sequence in sequences]
        extra = signer.vote(PRE_PREPARE, view, Seq(max(sequences, default=len(self.disk.blocks)) + 1), bytes(32))
        forged = self.cluster.random.choice((votes[1:] if votes else [extra.envelope], [*votes, extra.envelope]))
        return signer.new_view(view, list(body.view_changes), forged).envelope


class PaddingPrimary(Machine):
    """Adds to its proposals a field that no signature covers."""

    is_liar = True

    def transmit(self, send: Send) -> None:
        payload = send.payload
        if isinstance(payload, consensus_pb2.Proposal):
            envelope = payload.pre_prepare.SerializeToString() + b"\x7a\x04junk"
            padded = consensus_pb2.Envelope.FromString(envelope)
            payload = consensus_pb2.Proposal(pre_prepare=padded, batch=payload.batch)
        self.cluster.send(self, Send(send.to, payload))


LIARS_BY_NAME: dict[str, type[Machine]] = {
    kind.__name__: kind
    for kind in (Liar, EquivocatingPrimary, SilentPrimary, SelectivePrimary, SlowPrimary, ForgingPrimary)
}


def last_of(n: int, kind: type[Machine] = Liar) -> dict[int, type[Machine]]:
    """As many liars as n replicas bear, all of them backups."""
    return {ReplicaId(n - i): kind for i in range((n - 1) // 3)}

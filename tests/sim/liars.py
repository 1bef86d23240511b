"""Replicas that lie. Each runs the production core, so that it knows what is going on, and twists what leaves it.

They sign with their own key only; what they say in another's name has a signature that does not hold.
"""

from __future__ import annotations

from collections.abc import Callable

from huzheng.v1 import block_pb2, consensus_pb2

from consensus.events import Ready, Send
from consensus.votes import COMMIT, PRE_PREPARE, PREPARE, SEAL, Checkpoint, EnvelopeSigner, PeerPayload
from ledger.crypto import Domain, Height, Seq, Signer, View, strict
from node.seat import Core
from tests.sim.machine import Machine


class Dishonest(Machine):
    """Runs on, whatever it finds, and never loses power."""

    is_liar = True
    listens = False

    def dies_now(self) -> bool:
        return False

    def report(self, ready: Ready, core: Core) -> None:
        """Nobody cares what a liar finds."""

    def told_ms(self) -> int:
        """Any time at all."""
        return self.wall_ms() + self.cluster.random.choice((0, -86_400_000, 86_400_000))

    def key(self) -> Signer:
        """Of the epoch in force."""
        member = self.core.membership.member(self.id)
        key = member.public_key if member is not None else next(iter(self.ledger.seat.signers))
        return self.ledger.seat.signers[key]

    def signer(self) -> EnvelopeSigner:
        """Signs whatever it is asked to."""
        membership = self.core.membership
        return EnvelopeSigner(self.key(), self.id, membership.chain_id, membership.epoch)

    def is_own_proposal(self, payload: PeerPayload) -> bool:
        return isinstance(payload, consensus_pb2.Proposal) and payload.pre_prepare.replica == self.id

    def proposal(self, sequence: int, batch: bytes) -> consensus_pb2.Proposal:
        """Its own proposal of any batch, soundly signed."""
        digest = self.cluster.suite.digest(Domain.BATCH, batch)
        vote = self.signer().vote(PRE_PREPARE, self.core.view, Seq(sequence), digest)
        return consensus_pb2.Proposal(pre_prepare=vote.envelope, batch=batch)


class Liar(Dishonest):
    """Says anything to anyone: each message to each peer is told truly, twisted, made up or held back."""

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

    def serve(self, start: int, count: int) -> list[bytes]:
        """Blocks whose certificate holds too few seals, or is for another block, or none at all."""
        blocks = super().serve(start, count)
        if not blocks:
            return [b"made up"]
        return self.cluster.random.choice(([], [self.cut(blocks[0])], [self.changed(blocks[0])], [blocks[0]]))

    @staticmethod
    def cut(block: bytes) -> bytes:
        """The block with a seal too few."""
        twisted = block_pb2.Block.FromString(block)
        certificate = block_pb2.Certificate.FromString(twisted.certificate)
        del certificate.seals[0]
        twisted.certificate = strict.write(certificate)
        return strict.write(twisted)

    @staticmethod
    def changed(block: bytes) -> bytes:
        """Another block with the same certificate."""
        twisted = block_pb2.Block.FromString(block)
        header = block_pb2.BlockHeader.FromString(twisted.header)
        header.time_ms += 1
        twisted.header = strict.write(header)
        return strict.write(twisted)

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
            return self.signer().seal(Height(self.place_of(payload)), self.some_hash()).envelope
        return self.vote(payload.kind, self.place_of(payload))

    def wrong_kind(self, payload: PeerPayload) -> PeerPayload | None:
        """Its own signature under a PREPARE, shown as that of a COMMIT, and the other way round."""
        if not isinstance(payload, consensus_pb2.Envelope) or payload.kind not in (PREPARE, COMMIT):
            return payload
        twisted = consensus_pb2.Envelope()
        twisted.CopyFrom(payload)
        twisted.kind = COMMIT if payload.kind == PREPARE else PREPARE
        return twisted

    def far_ahead(self, _payload: PeerPayload) -> PeerPayload | None:
        sequence = self.cluster.random.choice((0, 5, 17, 2**63)) + self.height
        return self.vote(self.cluster.random.choice((PREPARE, COMMIT)), sequence)

    def forged(self, _payload: PeerPayload) -> PeerPayload | None:
        """A vote in another's name."""
        victim = self.cluster.random.choice(self.cluster.machines).id
        kind = self.cluster.random.choice((PRE_PREPARE, PREPARE, COMMIT))
        vote = self.vote(kind, self.height + self.cluster.random.randint(1, 3))
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
        height = self.cluster.random.choice((2**64 - 1, self.height + 1_000, 0))
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
        height = Height(self.cluster.random.choice((0, self.height, 2**40)))
        return self.signer().view_change(view, Checkpoint(height, bytes(32), b""), []).envelope

    def made_up_view(self, _payload: PeerPayload) -> PeerPayload | None:
        """A new view that nobody asked for, with its own word in the place of a quorum's."""
        n = len(self.cluster.machines)
        view = View((self.core.view // n + self.cluster.random.choice((1, 2))) * n + self.id - 1)
        own = self.signer().view_change(view, Checkpoint(Height(0), bytes(32), b""), []).envelope
        return self.signer().new_view(view, [own] * self.core.membership.q, []).envelope

    # --- its means ---

    def vote(self, kind: int, sequence: int) -> consensus_pb2.Envelope:
        return self.signer().vote(kind, self.core.view, Seq(sequence), self.some_hash()).envelope

    def some_hash(self) -> bytes:
        return bytes([self.cluster.random.randint(0, 3)]) * 32

    @staticmethod
    def place_of(envelope: consensus_pb2.Envelope) -> int:
        """The sequence of a vote or the height of a seal."""
        vote = consensus_pb2.Vote.FromString(envelope.body)
        return vote.view if envelope.kind == SEAL else vote.sequence

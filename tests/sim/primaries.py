"""Primaries that lie, dawdle or say nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from huzheng.v1 import consensus_pb2, transaction_pb2

from consensus.events import Send
from consensus.votes import NEW_VIEW, PRE_PREPARE
from ledger.building import build_transaction
from ledger.crypto import Domain, Height, Seq, Signer, View
from ledger.transaction import encode_batch
from tests.sim.consortium import department_of
from tests.sim.liars import Dishonest


class EquivocatingPrimary(Dishonest):
    """Proposes one batch to some and another to others, and both to one of them."""

    def transmit(self, send: Send) -> None:
        payload = send.payload
        if not isinstance(payload, consensus_pb2.Proposal) or not self.is_own_proposal(payload):
            self.cluster.send(self, send)
            return
        other = self.twist(payload)
        for peer in self.cluster.machines:
            if peer is self or send.to not in (None, peer.id):
                continue
            for proposal in self.cluster.random.choice(((payload,), (payload,), (other,), (other, payload))):
                self.cluster.send(self, Send(peer.id, proposal))

    def twist(self, proposal: consensus_pb2.Proposal) -> consensus_pb2.Proposal:
        """Another batch for the same slot, soundly signed: the same transactions a moment later."""
        batch = transaction_pb2.Batch.FromString(proposal.batch)
        sequence = consensus_pb2.Vote.FromString(proposal.pre_prepare.body).sequence
        later = encode_batch(self.id, batch.proposed_ms + 1, batch.transactions)
        return self.proposal(sequence, later)


class SilentPrimary(Dishonest):
    """Takes part in everything, but as primary proposes to nobody."""

    def transmit(self, send: Send) -> None:
        if not self.is_own_proposal(send.payload):
            self.cluster.send(self, send)


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
            self.later(self.HOLD_MS, partial(self.cluster.send, self, send))
        else:
            self.cluster.send(self, send)


class PartialPrimary(Dishonest):
    """Orders what all departments submit but one."""

    PASSED_OVER = 2

    def transmit(self, send: Send) -> None:
        payload = send.payload
        if isinstance(payload, consensus_pb2.Proposal) and self.is_own_proposal(payload):
            sequence = consensus_pb2.Vote.FromString(payload.pre_prepare.body).sequence
            batch = transaction_pb2.Batch.FromString(payload.batch)
            checked = self.cluster.consortium.checked
            kept = [raw for raw in batch.transactions if checked(raw).department != department_of(self.PASSED_OVER)]
            send = Send(send.to, self.proposal(sequence, encode_batch(self.id, batch.proposed_ms, kept)))
        self.cluster.send(self, send)


class ForgingPrimary(SilentPrimary):
    """Founds views that forget what was prepared, or choose another batch for it."""

    def transmit(self, send: Send) -> None:
        payload = send.payload
        if isinstance(payload, consensus_pb2.Envelope) and payload.kind == NEW_VIEW and payload.replica == self.id:
            payload = self.forge(consensus_pb2.NewView.FromString(payload.body))
        self.cluster.send(self, Send(send.to, payload))

    def forge(self, body: consensus_pb2.NewView) -> consensus_pb2.Envelope:
        signer = self.signer()
        view = View(body.view)
        sequences = [consensus_pb2.Vote.FromString(vote.body).sequence for vote in body.pre_prepares]
        votes = [signer.vote(PRE_PREPARE, view, Seq(sequence), bytes(32)).envelope for sequence in sequences]
        extra = signer.vote(PRE_PREPARE, view, Seq(max(sequences, default=self.height) + 1), bytes(32))
        forged = self.cluster.random.choice((votes[1:] if votes else [extra.envelope], [*votes, extra.envelope]))
        return signer.new_view(view, list(body.view_changes), forged).envelope


class PaddingPrimary(Dishonest):
    """Adds to its proposals a field that no signature covers."""

    def transmit(self, send: Send) -> None:
        payload = send.payload
        if isinstance(payload, consensus_pb2.Proposal):
            envelope = payload.pre_prepare.SerializeToString() + b"\x7a\x04junk"
            padded = consensus_pb2.Envelope.FromString(envelope)
            payload = consensus_pb2.Proposal(pre_prepare=padded, batch=payload.batch)
        self.cluster.send(self, Send(send.to, payload))


class MeddlingPrimary(Dishonest):
    """Puts into its batches what does not belong there."""

    def transmit(self, send: Send) -> None:
        payload = send.payload
        if isinstance(payload, consensus_pb2.Proposal) and self.is_own_proposal(payload) and payload.batch:
            sequence = consensus_pb2.Vote.FromString(payload.pre_prepare.body).sequence
            twisted = self.twist(transaction_pb2.Batch.FromString(payload.batch))
            send = Send(send.to, self.proposal(sequence, twisted))
        self.cluster.send(self, send)

    def twist(self, batch: transaction_pb2.Batch) -> bytes:
        """Well formed or not; what is well formed has to be refused by execution."""
        dice, transactions = self.cluster.random, list(batch.transactions)
        proposer, proposed_ms = self.id, batch.proposed_ms
        kind = dice.randint(0, 6)
        if kind == 0:
            transactions += self.ordered_before()
        elif kind == 1:
            transactions.append(self.unauthorised())
        elif kind == 2:
            transactions += transactions[:1]
        elif kind == 3:
            transactions = [raw[:-1] + bytes([raw[-1] ^ 1]) for raw in transactions]
        elif kind == 4:
            transactions.append(self.unauthorised(forged=True))
        elif kind == 5:
            proposed_ms += dice.choice((2_000, 600_000))
        else:
            proposed_ms -= 2 * self.ledger.genesis.parameters.max_lifetime_ms
        return encode_batch(proposer, proposed_ms, transactions)

    def ordered_before(self) -> list[bytes]:
        """Transactions that are in the chain already."""
        if not self.height:
            return []
        height = Height(self.cluster.random.randint(1, self.height))
        return list(self.ledger.store.transactions(height))[:3]

    def unauthorised(self, *, forged: bool = False) -> bytes:
        """A record of some department, signed by a key that is not registered; forged, it claims to be by the one that is."""
        consortium = self.cluster.consortium
        department = consortium.departments[0]
        signer: Signer = self.ledger.seat.signers[sorted(self.ledger.seat.signers)[-1]]
        if forged:
            signer = Forger(consortium.system_signer(department).public_key, signer)
        record = consortium.record(department, 1_000 + self.height, 1, b"")
        expires_ms = self.clock.now_ms() + 60_000
        nonce = self.height.to_bytes(16, "big")
        return build_transaction(consortium.genesis, signer, department, expires_ms, records=[record], nonce=nonce)


@dataclass(frozen=True)
class Forger:
    """Signs with one key as if it were another."""

    public_key: bytes
    own: Signer

    def sign(self, domain: Domain, message: bytes) -> bytes:
        """A signature that does not hold."""
        return self.own.sign(domain, message)

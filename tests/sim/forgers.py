"""Liars that know the protocol: what they say is right in all but one thing, so that nothing but that thing's check refuses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from huzheng.v1 import block_pb2, consensus_pb2

from consensus.events import EnvelopeReceived, Event, Send
from consensus.replica import Replica
from consensus.votes import COMMIT, NEW_VIEW, PRE_PREPARE, PREPARE, VIEW_CHANGE, PeerPayload
from ledger.crypto import Domain, Height, ReplicaId, Seq, strict
from ledger.crypto.types import View
from tests.sim.judge import Start, ballot_of
from tests.sim.liars import Dishonest

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster

AGITATE_MS = 300


class Forger(Dishonest):
    """Signs votes and whole VIEW-CHANGEs with any body."""

    def signed_vote(self, kind: int, view: int, sequence: int, digest: bytes) -> consensus_pb2.Envelope:
        return self.signer().vote(kind, View(view), Seq(sequence), digest).envelope

    def last_block(self) -> consensus_pb2.Checkpoint:
        """Proved by its certificate, unless the epoch starts from it."""
        point = self.ledger.checkpoint()
        base = self.ledger.store.epoch_at(Height(point.height + 1)).base
        certificate = point.certificate if point.height > base else b""
        return consensus_pb2.Checkpoint(height=point.height, block_hash=point.block_hash, certificate=certificate)

    def signed(self, body: consensus_pb2.ViewChange) -> consensus_pb2.Envelope:
        written = strict.write(body)
        signature = self.key().sign(Domain.SIGN_VIEW_CHANGE, self.core.membership.chain_id + written)
        return consensus_pb2.Envelope(replica=self.id, kind=VIEW_CHANGE, body=written, signature=signature)

    def propose_empty(self, view: int, sequence: int) -> None:
        """A sound batch, in any place."""
        batch = self.ledger.empty_batch()
        digest = self.cluster.suite.digest(Domain.BATCH, batch)
        vote = self.signed_vote(PRE_PREPARE, view, sequence, digest)
        self.cluster.send(self, Send(None, consensus_pb2.Proposal(pre_prepare=vote, batch=batch)))


class ProofForger(Forger):
    """Its VIEW-CHANGEs prove a little less than they claim."""

    def transmit(self, send: Send) -> None:
        payload = send.payload
        if (
            isinstance(payload, consensus_pb2.Envelope)
            and payload.kind == VIEW_CHANGE
            and payload.replica == self.id
            and self.cluster.random.random() < 0.8
        ):
            payload = self.signed(self.forge(consensus_pb2.ViewChange.FromString(payload.body)))
        self.cluster.send(self, Send(send.to, payload))

    def forge(self, body: consensus_pb2.ViewChange) -> consensus_pb2.ViewChange:
        """The body with one fault in it, if there is a place for it."""
        forgeries: list[Callable[[consensus_pb2.ViewChange], None]] = [self.leap, self.leap_with_a_seal_short]
        if body.prepared:
            forgeries += [self.shorten, self.shorten, self.double, self.double, self.swap_batch]
        self.cluster.random.choice(forgeries)(body)
        return body

    def shorten(self, body: consensus_pb2.ViewChange) -> None:
        """A certificate with a PREPARE too few."""
        del body.prepared[-1].prepares[-1]

    def double(self, body: consensus_pb2.ViewChange) -> None:
        """A certificate with a PREPARE that counts twice."""
        prepares = body.prepared[-1].prepares
        if len(prepares) > 1:
            prepares[1].CopyFrom(prepares[0])

    def swap_batch(self, body: consensus_pb2.ViewChange) -> None:
        """A certificate whose PREPAREs are for something else, if this replica was the primary of its view."""
        ballot = ballot_of(body.prepared[-1].pre_prepare)
        vote = self.signed_vote(PRE_PREPARE, ballot.view, ballot.sequence, self.cluster.suite.digest(Domain.BATCH, b""))
        body.prepared[-1].pre_prepare.CopyFrom(vote)

    def leap(self, body: consensus_pb2.ViewChange) -> None:
        """A block that nobody made."""
        body.checkpoint.height += self.cluster.random.choice((1, 3, 1_000))
        body.checkpoint.certificate = b""
        self.drop_below(body)

    def leap_with_a_seal_short(self, body: consensus_pb2.ViewChange) -> None:
        """A block with a seal too few."""
        certificate = block_pb2.Certificate.FromString(body.checkpoint.certificate)
        if certificate.seals:
            del certificate.seals[-1]
            body.checkpoint.certificate = strict.write(certificate)

    @staticmethod
    def drop_below(body: consensus_pb2.ViewChange) -> None:
        """Certificates lie above the block."""
        kept = [c for c in body.prepared if ballot_of(c.pre_prepare).sequence > body.checkpoint.height]
        del body.prepared[:]
        body.prepared.extend(kept)


class ViewForger(Forger):
    """Founds views soundly but for one replica, to which it shows what is no quorum's, or not for that view; all else follows as it must."""

    def __init__(self, cluster: Cluster, replica: ReplicaId, place: int | None = None) -> None:
        self.heard: dict[int, list[consensus_pb2.Envelope]] = {}
        """The VIEW-CHANGEs of each replica."""
        self.founding = consensus_pb2.NewView()
        """Its newest NEW-VIEW."""
        self.usurped = 0
        """The newest view that it founded though another is its primary."""
        self.waits = False
        """Whom it deceives hears it no more for a while, so it may wait until something is prepared."""
        super().__init__(cluster, replica, place)

    def step(self, event: Event) -> None:
        super().step(event)
        if isinstance(event, EnvelopeReceived) and event.envelope.kind == VIEW_CHANGE:
            self.heard.setdefault(event.envelope.replica, []).append(event.envelope)
            self.found_out_of_turn()

    def transmit(self, send: Send) -> None:
        payload = send.payload
        if not isinstance(payload, consensus_pb2.Envelope) or payload.replica != self.id:
            self.cluster.send(self, send)
            return
        if payload.kind == NEW_VIEW and self.founding.SerializeToString(deterministic=True) != payload.body:
            self.founding = consensus_pb2.NewView.FromString(payload.body)
            self.waits = self.cluster.random.random() < 0.5
        if payload.kind == COMMIT and ballot_of(payload).view == self.founding.view > 0:
            self.deceive(self.look_ahead)
            self.propose_what_is_settled()
        for peer in self.cluster.machines:
            if peer is self or send.to not in (None, peer.id):
                continue
            if payload.kind != NEW_VIEW or peer.id != self.victim:
                self.cluster.send(self, Send(peer.id, payload))
            elif not self.waits:
                self.deceive(self.cluster.random.choice((self.repeat, self.replay)))

    @property
    def victim(self) -> ReplicaId:
        """Another one in each view."""
        members = [member.replica for member in self.core.membership.members]
        n = len(members)
        return members[(members.index(self.id) + 1 + self.founding.view // n % (n - 1)) % n]

    def deceive(self, forgery: Callable[[list[consensus_pb2.Envelope]], list[consensus_pb2.Envelope]]) -> None:
        changes = forgery(list(self.founding.view_changes))
        self.cluster.send(self, Send(self.victim, self.founded(self.founding.view, changes)))

    def found_out_of_turn(self) -> None:
        """A NEW-VIEW as it must be, but for its signer."""
        view, membership = self.core.view, self.core.membership
        newest = [changes[-1] for _, changes in sorted(self.heard.items())]
        wanted = [change for change in newest if self.is_for(change, view)]
        if self.usurped != view and len(wanted) >= membership.q and membership.primary(view) != self.id:
            self.usurped = view
            self.cluster.send(self, Send(None, self.founded(view, wanted[: membership.q])))

    def is_for(self, change: consensus_pb2.Envelope, view: int) -> bool:
        """Whether a VIEW-CHANGE is for this view of the epoch in force."""
        try:
            body = consensus_pb2.ViewChange.FromString(change.body)
        except DecodeError:
            return False
        return (body.epoch, body.view) == (self.core.membership.epoch, view)

    def start_of(self, view: int, changes: list[consensus_pb2.Envelope]) -> Start:
        """What follows from VIEW-CHANGEs."""
        witness = self.cluster.checks.witnesses.of(self.core.membership.epoch)
        assert witness is not None
        return witness.judge.start_of(view, changes)

    def propose_what_is_settled(self) -> None:
        """Another batch for the last block below its view, for those that have not stored it."""
        start = self.start_of(self.founding.view, list(self.founding.view_changes))
        self.propose_empty(start.view, start.height)

    def founded(self, view: int, changes: list[consensus_pb2.Envelope]) -> consensus_pb2.Envelope:
        """The NEW-VIEW that follows from VIEW-CHANGEs."""
        start = self.start_of(view, changes)
        votes = [
            self.signed_vote(PRE_PREPARE, view, number, digest) for number, digest in sorted(start.digests.items())
        ]
        return self.signer().new_view(View(view), changes, votes).envelope

    def repeat(self, changes: list[consensus_pb2.Envelope]) -> list[consensus_pb2.Envelope]:
        """One of them stands for two."""
        at = self.cluster.random.randrange(1, len(changes))
        return [*changes[:at], changes[at - 1], *changes[at + 1 :]]

    def replay(self, changes: list[consensus_pb2.Envelope]) -> list[consensus_pb2.Envelope]:
        """What some said for earlier views, most often when they had prepared less."""
        return [self.cluster.random.choice([change, *self.heard.get(change.replica, [])[:1]]) for change in changes]

    def look_ahead(self, changes: list[consensus_pb2.Envelope]) -> list[consensus_pb2.Envelope]:
        """Its own, with what was prepared in the very view that is to begin."""
        core = self.core
        assert isinstance(core, Replica)
        safety = core._context.safety
        body = consensus_pb2.ViewChange.FromString(changes[0].body)
        body.checkpoint.CopyFrom(self.last_block())
        del body.prepared[:]
        body.prepared.extend(safety._prepared[sequence].certificate for sequence in sorted(safety._prepared))
        others = [change for change in changes if change.replica != self.id]
        kept = sorted(others, key=lambda change: change.replica)[: len(changes) - 1]
        return sorted([*kept, self.signed(body)], key=lambda change: change.replica)


class Usurper(Forger):
    """Proposes though it is not its turn, with a batch and a signature that are right."""

    def transmit(self, send: Send) -> None:
        self.cluster.send(self, send)
        payload = send.payload
        if isinstance(payload, consensus_pb2.Envelope) and payload.kind == PREPARE and payload.replica == self.id:
            ballot = ballot_of(payload)
            self.propose_empty(ballot.view, ballot.sequence + 1)


class Dissenter(Forger):
    """Prepares and commits something else than the others, in the same place; sometimes what they do, too."""

    def transmit(self, send: Send) -> None:
        payload = send.payload
        if isinstance(payload, consensus_pb2.Envelope) and payload.kind in (PREPARE, COMMIT):
            ballot = ballot_of(payload)
            if self.cluster.random.random() < 0.3:
                self.cluster.send(self, send)
            payload = self.signed_vote(payload.kind, ballot.view, ballot.sequence, bytes(32))
        self.cluster.send(self, Send(send.to, payload))


class Agitator(Forger):
    """Finds fault with every primary and asks for the next view, again and again; alone it must move nobody."""

    def boot(self) -> None:
        super().boot()
        self.later(AGITATE_MS, self.agitate)

    def transmit(self, send: Send) -> None:
        self.cluster.send(self, Send(send.to, self.agitated(send.payload)))

    def agitated(self, payload: PeerPayload) -> PeerPayload:
        if not isinstance(payload, consensus_pb2.ReplicaStatus):
            return payload
        status = consensus_pb2.ReplicaStatus()
        status.CopyFrom(payload)
        status.suspects_primary = True
        return status

    def agitate(self) -> None:
        core = self.core
        without_vote = consensus_pb2.ReplicaStatus(epoch=core.membership.epoch, stored_height=self.height)
        status = core._standing.status() if isinstance(core, Replica) else without_vote
        self.cluster.send(self, Send(None, self.agitated(status)))
        if self.cluster.random.random() < 0.5:
            view = core.view + self.cluster.random.choice((1, 1, 2))
            epoch = core.membership.epoch
            body = consensus_pb2.ViewChange(epoch=epoch, view=view, checkpoint=self.last_block())
            self.cluster.send(self, Send(None, self.signed(body)))
        self.later(AGITATE_MS, self.agitate)

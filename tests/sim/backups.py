"""Replicas that spoil agreement and view changes in ways of their own, each soundly signed."""

from __future__ import annotations

from functools import partial

from huzheng.v1 import block_pb2, consensus_pb2

from consensus.events import Send
from consensus.votes import COMMIT, SEAL, VIEW_CHANGE, Checkpoint, PeerPayload
from ledger.crypto import Domain, Height, ReplicaId, View
from tests.sim.cluster import Cluster
from tests.sim.liars import Dishonest
from tests.sim.machine import Machine


class Withholder(Dishonest):
    """Prepares, but commits and seals to some only, or to nobody."""

    def transmit(self, send: Send) -> None:
        payload = send.payload
        if not isinstance(payload, consensus_pb2.Envelope) or payload.kind not in (COMMIT, SEAL):
            self.cluster.send(self, send)
            return
        for peer in self.cluster.machines:
            if send.to in (None, peer.id) and peer.id != self.id and self.cluster.random.random() < 0.2:
                self.cluster.send(self, Send(peer.id, payload))


class WrongLedger(Dishonest):
    """Executes wrongly, and seals what comes out: all of its kind the same."""

    def transmit(self, send: Send) -> None:
        payload = send.payload
        if isinstance(payload, consensus_pb2.Envelope) and payload.kind == SEAL and payload.replica == self.id:
            seal = block_pb2.Seal.FromString(payload.body)
            wrong = self.cluster.suite.digest(Domain.STATE, seal.block_hash)
            payload = self.signer().seal(Height(seal.height), wrong).envelope
        self.cluster.send(self, Send(send.to, payload))


class StaleChanger(Dishonest):
    """Asks for new views from an old block with its true certificate, as if it had prepared nothing since."""

    def transmit(self, send: Send) -> None:
        payload = send.payload
        if not isinstance(payload, consensus_pb2.Envelope) or payload.kind != VIEW_CHANGE or payload.replica != self.id:
            self.cluster.send(self, send)
            return
        view = View(consensus_pb2.ViewChange.FromString(payload.body).view)
        for peer in self.cluster.machines:
            if send.to in (None, peer.id) and peer.id != self.id:
                self.cluster.send(self, Send(peer.id, self.stale(view)))

    def stale(self, view: View) -> PeerPayload:
        """Another one to each peer, so that it can be found out."""
        base = self.ledger.store.epoch_at(Height(self.height + 1)).base
        height = Height(self.cluster.random.randint(base, self.height))
        store = self.ledger.store
        certificate = store.certificate(height) if height > base else b""
        checkpoint = Checkpoint(height, store.block_hash(height), certificate)
        return self.signer().view_change(view, checkpoint, []).envelope


class Flooder(Dishonest):
    """With each message asks for one view higher, and founds views that nobody asked for."""

    def boot(self) -> None:
        self.flooded_view = 0
        super().boot()

    def transmit(self, send: Send) -> None:
        self.cluster.send(self, send)
        self.flooded_view += 1
        checkpoint = self.ledger.checkpoint()
        change = self.signer().view_change(View(self.flooded_view), checkpoint, []).envelope
        self.cluster.send(self, Send(send.to, change))
        membership = self.core.membership
        view = View(self.flooded_view * membership.n + [m.replica for m in membership.members].index(self.id))
        new_view = self.signer().new_view(view, [change] * membership.q, []).envelope
        self.cluster.send(self, Send(send.to, new_view))


TWIN_PLACE = 100
"""How far the second of two twins is from the first."""
SEEN_MS = 3_000
"""How long each replica sees the same one of two twins."""


class Twin(Machine):
    """Two honest machines with one key, each seen by some of the others only, and by others after a while."""

    is_liar = True
    listens = False

    @classmethod
    def machines_of(cls, cluster: Cluster, replica: ReplicaId) -> list[Machine]:
        first, second = cls(cluster, replica), cls(cluster, replica, replica + TWIN_PLACE)
        cls.show(cluster, first, second)
        return [first, second]

    @staticmethod
    def show(cluster: Cluster, first: Machine, second: Machine) -> None:
        """Deals out anew who sees which of the two."""
        places = {first.place, second.place}
        cluster.apart = {pair for pair in cluster.apart if not places & set(pair)}
        cluster.apart |= {(first.place, second.place), (second.place, first.place)}
        for machine in cluster.machines:
            if machine.place not in places:
                hidden, seen = cluster.random.sample((first, second), 2)
                cluster.apart |= {(machine.place, hidden.place), (hidden.place, machine.place)}
                if machine.up and seen.up and cluster.reaches(seen, machine):
                    machine.connected(seen)
                    seen.connected(machine)
        cluster.at(SEEN_MS, partial(Twin.show, cluster, first, second))

    def dies_now(self) -> bool:
        return False

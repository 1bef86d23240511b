"""A replica that does what is right, but loses its vote log again and again: no liar, and no less faulty.

Once a greeting shows it a message of its own that is not in its log, it must sign nothing more (docs/protocol.md C18).
"""

from __future__ import annotations

from huzheng.v1 import consensus_pb2

from consensus.events import Event, GreetingReceived, Ready, Send
from consensus.replica import Replica
from consensus.votes import COMMIT, PRE_PREPARE, PREPARE
from ledger.crypto import ReplicaId
from ledger.store import layout
from node.seat import Core
from tests.sim.checks import logged_view
from tests.sim.cluster import Cluster
from tests.sim.judge import ballot_of
from tests.sim.machine import Machine


class BrokenPromise(Exception):
    """It did what not even this replica may do."""


class Amnesiac(Machine):
    """Its vote log is emptied, or put back from a copy."""

    is_liar = True

    def __init__(self, cluster: Cluster, replica: ReplicaId, place: int | None = None) -> None:
        self.backup: dict[bytes, bytes] = {}
        self.said: set[bytes] = set()
        self.was_told = False
        super().__init__(cluster, replica, place)

    def boot(self) -> None:
        self.was_told = False
        super().boot()
        self.later(self.cluster.random.randint(500, 4_000), self.back_up)
        self.later(self.cluster.random.randint(1_000, 8_000), self.lose_votes)

    def back_up(self) -> None:
        self.backup = self.disk.under(layout.VOTE)

    def lose_votes(self) -> None:
        if self.cluster.down_count < self.cluster.max_down:
            self.crash()
            self.disk.put_back(layout.VOTE, self.cluster.random.choice(({}, self.backup)))
            self.cluster.counts["vote logs lost"] += 1

    def report(self, ready: Ready, core: Core) -> None:
        """It may find its votes lost; others don't care what else it finds."""
        if ready.votes_lost:
            self.cluster.counts["lost votes found out"] += 1
            self.lose_vote(core)

    def step(self, event: Event) -> None:
        core = self.core
        is_asking = isinstance(core, Replica) and not core.may_vote and not core.halted
        if is_asking and isinstance(event, GreetingReceived) and event.greeting.epoch == core.membership.epoch:
            self.was_told |= any(self.has_forgotten(envelope) for envelope in event.greeting.seen)
        super().step(event)

    def has_forgotten(self, envelope: consensus_pb2.Envelope) -> bool:
        """Whether this is a vote of its own, above its last block, that is not on its disk.

        What it proposed again is there in its NEW-VIEW, until it leaves that view and enters another.
        """
        is_own = envelope.replica == self.id and envelope.kind in (PRE_PREPARE, PREPARE, COMMIT)
        if not is_own or ballot_of(envelope).sequence <= self.height or envelope.signature not in self.said:
            return False
        votes, vote = self.disk.values(layout.VOTE), consensus_pb2.Vote.FromString(envelope.body)
        if envelope.kind == PRE_PREPARE and vote.view < logged_view(votes, vote.epoch):
            return False
        return not any(envelope.signature in value for value in votes)

    def transmit(self, send: Send) -> None:
        payload = send.payload
        envelope = payload.pre_prepare if isinstance(payload, consensus_pb2.Proposal) else payload
        if isinstance(envelope, consensus_pb2.Envelope) and envelope.replica == self.id:
            if self.was_told and envelope.signature not in self.said:
                raise BrokenPromise(f"replica {self.id} signs after it was told that it has forgotten votes")
            self.said.add(envelope.signature)
        self.cluster.send(self, send)

"""One simulated replica with its disk: the production core, and a stand-in for the ledger; it dies and comes back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from huzheng.v1 import consensus_pb2

from consensus.events import (
    BatchChecked,
    BatchReceived,
    BatchVerdict,
    BlockExecuted,
    BlockStored,
    Certified,
    EnvelopeReceived,
    Event,
    FetchBlocks,
    FetchEnded,
    GreetingReceived,
    PeerConnected,
    ProposalReceived,
    ProposeBatch,
    Ready,
    Send,
    StatusReceived,
    TimePassed,
    WorkWaiting,
)
from consensus.replica import Replica
from consensus.vote_log import LogEntry
from consensus.votes import VIEW_CHANGE, Checkpoint, PeerPayload
from ledger.crypto import Height, ReplicaId, verify_certificate
from ledger.errors import HuzhengError
from node.patience import Patience

if TYPE_CHECKING:
    from tests.sim.core.cluster import Cluster

BLOCKS_A_FETCH = 8
DEAF_MS = 1_000
"""How long a peer is not heard that sent what no correct replica sends."""

StoredBlock = tuple[bytes, bytes, bytes]
"""Batch, block hash, certificate."""


@dataclass
class Disk:
    """What survives a crash."""

    votes: dict[bytes, bytes] = field(default_factory=dict)
    blocks: list[StoredBlock] = field(default_factory=list)
    """Of heights 1, 2, …"""
    forgotten: dict[bytes, bytes] | None = None
    """The vote log before the last write: what a disk that does not keep its word comes back with."""


class Crash(Exception):
    """The machine dies here."""


class Machine:
    """A correct replica."""

    is_liar = False

    def __init__(self, cluster: Cluster, replica: ReplicaId) -> None:
        self.cluster = cluster
        self.id = replica
        self.disk = Disk()
        self.up = False
        self.life = 0
        self.pending: list[bytes] = []
        self.patience = Patience()
        self.executor_free_ms = 0
        self.deaf_until_ms: dict[ReplicaId, int] = {}
        self.start()

    # --- life and death ---

    def start(self) -> None:
        self.up = True
        self.life += 1
        self.cluster.checks.witness.on_started(self.id)
        self.timer_ms = 0
        self.executed = [block[1] for block in self.disk.blocks]
        self.executed_batches = [block[0] for block in self.disk.blocks]
        self.core = Replica(
            self.cluster.config(self.id), self.checkpoint(), self.disk.votes.items(), self.cluster.now_ms
        )
        self.cluster.later(0, self, lambda: self.survive(self.drive))
        for peer in self.cluster.machines:
            if peer is not self and peer.up:
                self.feed(PeerConnected(peer.id))
                if self.up:
                    peer.feed(PeerConnected(self.id))

    def checkpoint(self) -> Checkpoint:
        height = Height(len(self.disk.blocks))
        if not height:
            return Checkpoint(height, bytes(32), b"")
        _, block_hash, certificate = self.disk.blocks[-1]
        return Checkpoint(height, block_hash, certificate)

    def survive(self, work: Callable[[], None]) -> None:
        """Does some work; the machine may die of it and comes back later."""
        if not self.up:
            return
        try:
            work()
        except Crash:
            self.up = False
            self.cluster.crashes += 1
            if self.cluster.faults.loses_votes and self.disk.forgotten is not None:
                self.disk.votes, self.disk.forgotten = self.disk.forgotten, None
            down_ms = self.cluster.random.randint(1, self.cluster.faults.max_down_ms)
            self.cluster.at(down_ms, self.start)

    def dies_now(self) -> bool:
        cluster = self.cluster
        return cluster.random.random() < cluster.faults.crash and cluster.down_count < cluster.max_down

    def maybe_crash(self) -> None:
        if self.dies_now():
            raise Crash

    # --- the loop of the daemon ---

    def receive(self, sender: ReplicaId, payload: object) -> None:
        """A message arrived. A liar does not let anybody remind it of what it said."""
        if self.is_liar and isinstance(payload, consensus_pb2.Greeting):
            payload = consensus_pb2.Greeting()
        if self.cluster.now_ms >= self.deaf_until_ms.get(sender, 0):
            self.feed(event_of(sender, payload))

    def feed(self, event: Event) -> None:
        """Steps an event, then does what the core wants done."""

        def step() -> None:
            self.core.step(event, self.cluster.now_ms)
            self.drive()

        self.survive(step)

    def take_in(self, request: bytes) -> None:
        """A client, or another node, brings a request; it outlives a crash, as clients ask again."""
        self.pending.append(request)
        self.patience.arrived(request, "clients", self.cluster.now_ms)
        self.cluster.later(0, self, partial(self.survive, self.drive))

    def drive(self) -> None:
        self.core.step(WorkWaiting(self.patience.owed_since_ms()), self.cluster.now_ms)
        while True:
            pending = self.pending_work()
            if self.core.wants_batch(len(pending), sum(map(len, pending)), self.cluster.now_ms):
                self.core.step(ProposeBatch(self.cluster.make_batch(self, pending)), self.cluster.now_ms)
            ready = self.core.ready()
            if ready == Ready():
                break
            self.act(ready)
        self.check_memory()
        self.set_timer(max(self.cluster.now_ms + 1, self.core.next_deadline()))

    def set_timer(self, due_ms: int) -> None:
        """One timer at a time: an earlier one takes the place of a later one."""
        if self.cluster.now_ms < self.timer_ms <= due_ms:
            return
        self.timer_ms = due_ms
        self.cluster.later(due_ms - self.cluster.now_ms, self, partial(self.ring, due_ms))

    def ring(self, due_ms: int) -> None:
        if self.timer_ms == due_ms:
            self.feed(TimePassed())

    def pending_work(self) -> list[bytes]:
        in_flight = self.cluster.requests_in([slot.batch for slot in self.core._context.window])
        done = self.cluster.requests_in(self.executed_batches) | in_flight
        return [request for request in self.pending if request not in done]

    def act(self, ready: Ready) -> None:
        self.maybe_crash()
        if ready.votes:
            self.write_votes(ready.votes)
        for send in ready.sends:
            self.check_durable(send.payload)
            self.transmit(send)
        self.maybe_crash()
        self.report(ready)
        for check in ready.checks:
            early = self.cluster.random.random() < self.cluster.faults.early
            verdict = BatchVerdict.EARLY if early else BatchVerdict.VALID
            answer = BatchChecked(check.sequence, check.batch_digest, verdict)
            self.cluster.later(self.cluster.random.randint(0, 3), self, partial(self.feed, answer))
        for decided in ready.decided:
            self.execute(decided.height, decided.batch)
        for certified in ready.certified:
            store = partial(self.survive, partial(self.store, certified))
            self.cluster.later(self.cluster.faults.store_ms, self, store)
        if ready.fetch is not None:
            self.cluster.later(5, self, partial(self.survive, partial(self.fetch, ready.fetch)))

    def write_votes(self, entries: Sequence[LogEntry]) -> None:
        """One synchronous write. If the power fails meanwhile it is there whole or not at all, or torn if the disk is bad."""
        if not self.is_liar:
            self.cluster.checks.witness.on_logged(self.id, entries)
        whole = len(entries)
        if self.dies_now():
            kept = self.cluster.random.randint(0, whole) if self.cluster.faults.torn else whole
            self.disk.votes.update(entries[: self.cluster.random.choice((0, kept))])
            raise Crash
        self.disk.forgotten = dict(self.disk.votes) if self.cluster.faults.loses_votes else None
        self.disk.votes.update(entries)
        self.maybe_crash()

    def transmit(self, send: Send) -> None:
        self.cluster.send(self, send)

    def report(self, ready: Ready) -> None:
        self.cluster.checks.on_ready(self.id, ready)
        for peer in ready.faulty:
            self.deaf_until_ms[peer] = self.cluster.now_ms + DEAF_MS
        assert ready.diverged is None, f"replica {self.id} diverged"
        assert not ready.votes_lost or self.cluster.faults.loses_votes, f"replica {self.id} takes its votes for lost"

    def check_durable(self, payload: PeerPayload) -> None:
        """What carries a signature of this replica is on its disk before it leaves."""
        if not isinstance(payload, consensus_pb2.Proposal | consensus_pb2.Envelope):
            return
        envelope = payload.pre_prepare if isinstance(payload, consensus_pb2.Proposal) else payload
        if (
            envelope.kind == VIEW_CHANGE
            and consensus_pb2.ViewChange.FromString(envelope.body).view < self.logged_view()
        ):
            # Left again already: nothing more is ever signed for that view.
            return
        on_disk = any(envelope.signature in value for value in self.disk.votes.values())
        assert on_disk, f"replica {self.id} sends a message of kind {envelope.kind} that is not on its disk"

    def logged_view(self) -> int:
        """The view that the log on disk binds this replica to."""
        entries = map(consensus_pb2.VoteLogEntry.FromString, self.disk.votes.values())
        return max((entry.view.view for entry in entries), default=0)

    def check_memory(self) -> None:
        """A window of slots, and in each no more than one message of a kind by each replica."""
        n = len(self.cluster.membership.members)
        assert len(self.core._context.window) <= self.core._context.window.size
        for slot in self.core._context.window:
            assert max(len(slot.prepares), len(slot.commits), len(slot.seals)) <= n

    # --- the ledger's part ---

    def execute(self, height: Height, batch: bytes) -> None:
        if height <= len(self.executed):
            return
        assert height == len(self.executed) + 1
        parent = self.executed[-1] if self.executed else bytes(32)
        block_hash = hashlib.sha256(parent + batch).digest()
        self.executed.append(block_hash)
        self.executed_batches.append(batch)
        answer = BlockExecuted(height, block_hash)
        self.executor_free_ms = max(self.executor_free_ms, self.cluster.now_ms + self.cluster.random.randint(0, 3))
        self.cluster.later(self.executor_free_ms - self.cluster.now_ms, self, lambda: self.feed(answer))

    def store(self, certified: Certified) -> None:
        if certified.height <= len(self.disk.blocks):
            return
        assert certified.height == len(self.disk.blocks) + 1
        assert self.executed[certified.height - 1] == certified.block_hash
        batch = self.executed_batches[certified.height - 1]
        self.append((batch, certified.block_hash, certified.certificate))

    def append(self, block: StoredBlock) -> None:
        """Block and trimmed log in one synchronous write."""
        self.maybe_crash()
        self.disk.blocks.append(block)
        height = Height(len(self.disk.blocks))
        self.disk.votes = {
            key: value for key, value in self.disk.votes.items() if not 0 < int.from_bytes(key[:8], "big") <= height
        }
        self.disk.forgotten = None
        self.patience.ordered(sorted(self.cluster.requests_in([block[0]])), self.cluster.now_ms)
        self.cluster.on_stored(self, height)
        self.maybe_crash()
        self.core.step(BlockStored(self.checkpoint()), self.cluster.now_ms)
        self.drive()

    # --- fetching blocks ---

    def serve(self, start: int) -> list[StoredBlock]:
        """What this replica sends to one that asks for blocks after `start`."""
        return self.disk.blocks[start : start + BLOCKS_A_FETCH] if self.up else []

    def fetch(self, request: FetchBlocks) -> None:
        """From one peer after the other over a reliable channel, until one has brought something; the certificate is what convinces."""
        ended = FetchEnded()
        for peer in request.peers:
            before = len(self.disk.blocks)
            sound = all(
                self.apply(before + i, block) for i, block in enumerate(self.cluster.machine(peer).serve(before), 1)
            )
            if len(self.disk.blocks) > before:
                ended = FetchEnded(peer, complete=sound)
                break
        self.core.step(ended, self.cluster.now_ms)
        self.drive()

    def apply(self, height: int, block: StoredBlock) -> bool:
        batch, block_hash, certificate = block
        try:
            verify_certificate(self.cluster.suite, self.cluster.membership, certificate, Height(height), block_hash)
        except HuzhengError:
            self.cluster.bad_blocks += 1
            return False
        if height <= len(self.disk.blocks):
            return True
        if height > len(self.executed):
            self.executed.append(block_hash)
            self.executed_batches.append(batch)
        assert self.executed[height - 1] == block_hash
        self.append(block)
        return True


def event_of(sender: ReplicaId, payload: object) -> Event:
    """A peer's message as the node steps it in."""
    if isinstance(payload, consensus_pb2.Proposal):
        return ProposalReceived(sender, payload.pre_prepare, payload.batch)
    if isinstance(payload, consensus_pb2.Envelope):
        return EnvelopeReceived(sender, payload)
    if isinstance(payload, consensus_pb2.Greeting):
        return GreetingReceived(sender, payload)
    if isinstance(payload, consensus_pb2.BatchFound):
        return BatchReceived(sender, payload.batch)
    assert isinstance(payload, consensus_pb2.ReplicaStatus)
    return StatusReceived(sender, payload)

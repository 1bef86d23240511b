"""A whole cluster of production replicas in one thread: virtual time, a lossy network, crashes at every durable boundary.

The ledger is a stand-in whose block hash is a running hash over the batches; everything else is the code the daemon runs.
Everything follows from the seed.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from huzheng.v1 import consensus_pb2

from consensus.batching import BatchingPolicy
from consensus.events import (
    BatchChecked,
    BatchVerdict,
    BlockExecuted,
    BlockStored,
    Certified,
    EnvelopeReceived,
    Event,
    FetchBlocks,
    FetchEnded,
    PeerConnected,
    ProposalReceived,
    ProposeBatch,
    Ready,
    Send,
    StatusReceived,
    TimePassed,
)
from consensus.replica import Replica, ReplicaConfig
from ledger.crypto import SIMULATION, Epoch, Height, Member, Membership, ReplicaId, Suite, verify_certificate


@dataclass(frozen=True)
class Faults:
    """How bad the world is. Probabilities are per message or per durable write."""

    drop: float = 0.0
    duplicate: float = 0.0
    max_delay_ms: int = 5
    crash: float = 0.0
    max_down_ms: int = 3_000
    early: float = 0.0
    """Share of batch checks that find the proposal ahead of the own clock."""


@dataclass
class Disk:
    """What survives a crash."""

    votes: dict[bytes, bytes] = field(default_factory=dict)
    blocks: list[tuple[bytes, bytes, bytes]] = field(default_factory=list)
    """(batch, block hash, certificate) of heights 1, 2, …"""


class Crash(Exception):
    """The machine dies here."""


class Machine:
    """One replica with its disk; dies and comes back."""

    def __init__(self, cluster: Cluster, replica: ReplicaId) -> None:
        self.cluster = cluster
        self.id = replica
        self.disk = Disk()
        self.up = False
        self.life = 0
        self.pending: list[bytes] = []
        self.executor_free_ms = 0
        self.start()

    def start(self) -> None:
        self.up = True
        self.life += 1
        self.executed = [block[1] for block in self.disk.blocks]
        self.executed_batches = [block[0] for block in self.disk.blocks]
        self.core = Replica(
            self.cluster.config(self.id), Height(len(self.disk.blocks)), self.disk.votes.items(), self.cluster.now_ms
        )
        self.cluster.later(0, self, lambda: self.survive(self.drive))
        for peer in self.cluster.machines:
            if peer is not self and peer.up:
                self.feed(PeerConnected(peer.id))
                peer.feed(PeerConnected(self.id))

    def feed(self, event: Event) -> None:
        """Steps an event, then does what the core wants done."""

        def step() -> None:
            self.core.step(event, self.cluster.now_ms)
            self.drive()

        self.survive(step)

    def survive(self, work: Callable[[], None]) -> None:
        """Does some work; the machine may die of it and comes back later."""
        if not self.up:
            return
        try:
            work()
        except Crash:
            self.up = False
            self.cluster.crashes += 1
            down_ms = self.cluster.random.randint(1, self.cluster.faults.max_down_ms)
            self.cluster.at(down_ms, self.start)

    def drive(self) -> None:
        while True:
            pending = self.pending_work()
            if self.core.wants_batch(len(pending), sum(map(len, pending)), self.cluster.now_ms):
                self.core.step(ProposeBatch(self.cluster.make_batch(self, pending)), self.cluster.now_ms)
            ready = self.core.ready()
            if ready == Ready():
                break
            self.act(ready)
        deadline = max(self.core.next_deadline(), self.cluster.now_ms + 1)
        self.cluster.later(deadline - self.cluster.now_ms, self, lambda: self.feed(TimePassed()))

    def pending_work(self) -> list[bytes]:
        done = self.cluster.requests_in(self.executed_batches) | self.in_flight_requests
        return [request for request in self.pending if request not in done]

    @property
    def in_flight_requests(self) -> set[bytes]:
        slots = self.core._window
        return self.cluster.requests_in([slot.batch for slot in slots])

    def act(self, ready: Ready) -> None:
        self.maybe_crash()
        if ready.votes:
            self.disk.votes.update(ready.votes)
            self.maybe_crash()
        for send in ready.sends:
            self.cluster.send(self, send)
        self.maybe_crash()
        for check in ready.checks:
            early = self.cluster.random.random() < self.cluster.faults.early
            verdict = BatchVerdict.EARLY if early else BatchVerdict.VALID
            answer = BatchChecked(check.sequence, check.batch_digest, verdict)
            self.cluster.later(self.cluster.random.randint(0, 3), self, partial(self.feed, answer))
        for decided in ready.decided:
            self.execute(decided.height, decided.batch)
        for certified in ready.certified:
            self.store(certified)
        if ready.fetch is not None:
            self.fetch(ready.fetch)
        for proof in ready.evidence:
            self.cluster.evidence.append(proof)
        if ready.diverged is not None:
            raise AssertionError(f"replica {self.id} diverged at {ready.diverged.height}")

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
        self.cluster.later(1, self, lambda: self.store_now(certified))

    def store_now(self, certified: Certified) -> None:
        if certified.height <= len(self.disk.blocks):
            return
        assert certified.height == len(self.disk.blocks) + 1
        assert self.executed[certified.height - 1] == certified.block_hash
        self.append(self.executed_batches[certified.height - 1], certified.block_hash, certified.certificate)

    def append(self, batch: bytes, block_hash: bytes, certificate: bytes) -> None:
        self.disk.blocks.append((batch, block_hash, certificate))
        height = Height(len(self.disk.blocks))
        self.disk.votes = {
            key: value for key, value in self.disk.votes.items() if not 0 < int.from_bytes(key[:8], "big") <= height
        }
        self.cluster.check_block(self, height)
        self.feed(BlockStored(height))

    def fetch(self, request: FetchBlocks) -> None:
        """Fetches over a reliable side channel; the certificate is what convinces."""
        for peer_id in request.peers:
            peer = self.cluster.machine(peer_id)
            start = len(self.disk.blocks)
            blocks = peer.disk.blocks[start : start + 8] if peer.up else []
            if not blocks:
                continue
            self.cluster.later(5, self, partial(self.apply, peer_id, blocks, start))
            return
        self.cluster.later(5, self, lambda: self.feed(FetchEnded()))

    def apply(self, peer: ReplicaId, blocks: list[tuple[bytes, bytes, bytes]], start: int) -> None:
        for offset, (batch, block_hash, certificate) in enumerate(blocks):
            height = Height(start + offset + 1)
            if height <= len(self.disk.blocks) or not self.up:
                continue
            verify_certificate(self.cluster.suite, self.cluster.membership, certificate, height, block_hash)
            if height > len(self.executed):
                self.executed.append(block_hash)
                self.executed_batches.append(batch)
            assert self.executed[height - 1] == block_hash
            self.append(batch, block_hash, certificate)
        self.feed(FetchEnded(peer, complete=False))

    def maybe_crash(self) -> None:
        cluster = self.cluster
        if cluster.random.random() < cluster.faults.crash and cluster.down_count < cluster.max_down:
            raise Crash


class Cluster:
    """n machines and what connects them."""

    def __init__(
        self, seed: int, n: int, faults: Faults, max_down: int | None = None, suite: Suite = SIMULATION
    ) -> None:
        self.random = random.Random(seed)
        self.faults = faults
        self.suite = suite
        self.now_ms = 1_000
        self.queue: list[tuple[int, int, Callable[[], None]]] = []
        self.order = 0
        self.crashes = 0
        self.dropped = 0
        self.evidence: list[object] = []
        self.agreed: list[bytes] = []
        self.signers = {ReplicaId(i): suite.signer(bytes([i]) * 32) for i in range(1, n + 1)}
        members = tuple(Member(i, f"d{i}", signer.public_key) for i, signer in self.signers.items())
        self.membership = Membership(b"c" * 32, Epoch(0), members)
        self.max_down = n if max_down is None else max_down
        self.machines: list[Machine] = []
        for replica in self.signers:
            self.machines.append(Machine(self, replica))

    @property
    def down_count(self) -> int:
        return sum(not machine.up for machine in self.machines)

    def config(self, replica: ReplicaId) -> ReplicaConfig:
        policy = BatchingPolicy(pipeline_depth=4, heartbeat_ms=10_000, full_bytes=1_000, worthwhile_transactions=4)
        return ReplicaConfig(self.suite, self.membership, replica, self.signers[replica], 16, 1 << 20, policy)

    def machine(self, replica: ReplicaId) -> Machine:
        return self.machines[replica - 1]

    # --- time ---

    def at(self, delay_ms: int, action: Callable[[], None]) -> None:
        self.order += 1
        heapq.heappush(self.queue, (self.now_ms + delay_ms, self.order, action))

    def later(self, delay_ms: int, machine: Machine, action: Callable[[], None]) -> None:
        """Runs an action if the machine is then still in the same life."""
        life = machine.life
        self.at(delay_ms, lambda: action() if machine.up and machine.life == life else None)

    def run_until(self, condition: Callable[[], bool], limit_ms: int) -> None:
        """Runs until a condition holds; fails when it does not within the limit of virtual time."""
        end_ms = self.now_ms + limit_ms
        while not condition():
            if not self.queue or self.queue[0][0] > end_ms:
                raise AssertionError(f"not within {limit_ms} ms: heights {[len(m.disk.blocks) for m in self.machines]}")
            self.now_ms, _, action = heapq.heappop(self.queue)
            action()

    # --- network ---

    def send(self, sender: Machine, send: Send) -> None:
        targets = [m for m in self.machines if m is not sender and (send.to is None or m.id == send.to)]
        for target in targets:
            copies = 1 + (self.random.random() < self.faults.duplicate)
            for _ in range(copies):
                if self.random.random() < self.faults.drop:
                    self.dropped += 1
                    continue
                event = self.event(sender.id, send.payload)
                self.at(self.random.randint(1, self.faults.max_delay_ms), partial(target.feed, event))

    @staticmethod
    def event(sender: ReplicaId, payload: object) -> Event:
        if isinstance(payload, consensus_pb2.Proposal):
            return ProposalReceived(sender, payload.pre_prepare, payload.batch)
        if isinstance(payload, consensus_pb2.Envelope):
            return EnvelopeReceived(sender, payload)
        assert isinstance(payload, consensus_pb2.ReplicaStatus)
        return StatusReceived(sender, payload)

    # --- work ---

    def submit(self, request: bytes) -> None:
        """A client that tells every replica, as a node does that forwards what is not yet done."""
        for machine in self.machines:
            machine.pending.append(request)
            self.later(0, machine, partial(machine.survive, machine.drive))

    @staticmethod
    def make_batch(machine: Machine, pending: list[bytes]) -> bytes:
        height = len(machine.disk.blocks)
        return b"%d:%d|" % (machine.cluster.now_ms, height) + b"".join(pending[:10])

    @staticmethod
    def requests_in(batches: list[bytes]) -> set[bytes]:
        """Requests are 8 bytes each, after the batch's prefix."""
        found: set[bytes] = set()
        for batch in batches:
            body = batch.partition(b"|")[2]
            found.update(body[i : i + 8] for i in range(0, len(body), 8))
        return found

    # --- checks that know nothing of the core ---

    def check_block(self, machine: Machine, height: Height) -> None:
        _, block_hash, certificate = machine.disk.blocks[height - 1]
        verify_certificate(self.suite, self.membership, certificate, height, block_hash)
        if height <= len(self.agreed):
            assert self.agreed[height - 1] == block_hash, f"replica {machine.id} disagrees at height {height}"
        else:
            assert height == len(self.agreed) + 1
            self.agreed.append(block_hash)

    def everywhere(self, requests: set[bytes]) -> bool:
        """Whether every machine is up and has stored all these requests."""
        return all(
            machine.up and requests <= self.requests_in([block[0] for block in machine.disk.blocks])
            for machine in self.machines
        )

"""A whole cluster of production replicas in one thread: virtual time, a lossy network, crashes at every durable boundary.

The ledger is a stand-in whose block hash is a running hash over the batches; everything else is the code the daemon runs.
Everything follows from the seed.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from huzheng.v1 import consensus_pb2

from consensus.batching import BatchingPolicy
from consensus.events import PeerConnected, Send
from consensus.replica import ReplicaConfig
from ledger.crypto import SIMULATION, Epoch, Height, Member, Membership, ReplicaId, Suite
from tests.sim.core.checks import Checks
from tests.sim.core.machine import Machine
from tests.sim.core.silence import Silence


@dataclass(frozen=True)
class Faults:
    """How bad the world is. Probabilities are per message or per durable write."""

    drop: float = 0.0
    duplicate: float = 0.0
    min_delay_ms: int = 1
    max_delay_ms: int = 5
    crash: float = 0.0
    max_down_ms: int = 3_000
    early: float = 0.0
    """Share of batch checks that find the proposal ahead of the own clock."""
    store_ms: int = 1
    """How long it takes until a block is durable."""
    torn: bool = False
    """A write of votes that the power failed in may be there in part: less than the store promises."""
    loses_votes: bool = False
    """The last write of votes before a crash is lost though it was synced: what no replica can bear."""


class Cluster:
    """n machines and what connects them. `liars` says which are faulty, and how."""

    def __init__(
        self,
        seed: int,
        n: int,
        faults: Faults,
        max_down: int | None = None,
        suite: Suite = SIMULATION,
        liars: Mapping[int, type[Machine]] | None = None,
        window: int = 16,
    ) -> None:
        self.random = random.Random(seed)
        self.faults = faults
        self.suite = suite
        self.now_ms = 1_000
        self.queue: list[tuple[int, int, Callable[[], None]]] = []
        self.order = 0
        self.crashes = 0
        self.dropped = 0
        self.cut_off: set[tuple[ReplicaId, ReplicaId]] = set()
        """From whom to whom nothing gets through."""
        self.silences: list[Silence] = []
        self.bad_blocks = 0
        """Fetched blocks whose certificate did not hold."""
        self.signers = {ReplicaId(i): suite.signer(bytes([i]) * 32) for i in range(1, n + 1)}
        members = tuple(Member(i, f"d{i}", signer.public_key) for i, signer in self.signers.items())
        self.membership = Membership(b"c" * 32, Epoch(0), members)
        self.max_down = n if max_down is None else max_down
        self.window = window
        kinds = {ReplicaId(replica): kind for replica, kind in (liars or {}).items()}
        self.checks = Checks(suite, self.membership, window, kinds.__contains__)
        self.machines: list[Machine] = []
        for replica in self.signers:
            self.machines.append(kinds.get(replica, Machine)(self, replica))

    @property
    def correct(self) -> list[Machine]:
        return [machine for machine in self.machines if not machine.is_liar]

    @property
    def down_count(self) -> int:
        return sum(not machine.up for machine in self.machines)

    def config(self, replica: ReplicaId) -> ReplicaConfig:
        policy = BatchingPolicy(pipeline_depth=4, heartbeat_ms=10_000, full_bytes=1_000, worthwhile_transactions=4)
        return ReplicaConfig(self.suite, self.membership, replica, self.signers[replica], self.window, 1 << 20, policy)

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
            self.run_one()

    def run_for(self, duration_ms: int) -> None:
        """Runs for some virtual time, whatever comes of it."""
        end_ms = self.now_ms + duration_ms
        while self.queue and self.queue[0][0] <= end_ms:
            self.run_one()

    def run_one(self) -> None:
        self.now_ms, _, action = heapq.heappop(self.queue)
        action()

    # --- network ---

    def send(self, sender: Machine, send: Send) -> None:
        """Carries a message to its targets; what correct replicas sign is checked on the way."""
        payload = send.payload
        self.checks.witness.on_sent(sender.id, payload)
        if not sender.is_liar and isinstance(payload, consensus_pb2.Proposal):
            self.checks.on_sent(payload.pre_prepare)
        if not sender.is_liar and isinstance(payload, consensus_pb2.Envelope):
            self.checks.on_sent(payload)
        for target in self.machines:
            if target is sender or send.to not in (None, target.id) or (sender.id, target.id) in self.cut_off:
                continue
            if any(silence.covers(sender.id, target.id, payload) for silence in self.silences):
                self.dropped += 1
                continue
            copies = 1 + (self.random.random() < self.faults.duplicate)
            for _ in range(copies):
                if self.random.random() < self.faults.drop:
                    self.dropped += 1
                    continue
                delay_ms = self.random.randint(self.faults.min_delay_ms, self.faults.max_delay_ms)
                self.at(delay_ms, partial(self.deliver, sender.id, target, payload))

    def deliver(self, sender: ReplicaId, target: Machine, payload: object) -> None:
        if target.up:
            self.checks.witness.on_delivered(sender, target.id, payload)
        target.receive(sender, payload)

    def part(self, *groups: Sequence[int]) -> None:
        """Nothing gets through between the groups."""
        of = {ReplicaId(replica): number for number, group in enumerate(groups) for replica in group}
        self.cut_off = {(a, b) for a in of for b in of if of[a] != of[b]}

    def heal(self) -> None:
        """Everything gets through again; links come up anew."""
        self.cut_off = set()
        for machine in self.machines:
            for peer in self.machines:
                if machine is not peer and machine.up and peer.up:
                    machine.feed(PeerConnected(peer.id))

    # --- work ---

    def submit(self, request: bytes) -> None:
        """A client that tells every replica, as a node does that forwards what is not yet done."""
        for machine in self.machines:
            machine.take_in(request)

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

    def on_stored(self, machine: Machine, height: Height) -> None:
        if not machine.is_liar:
            batch, block_hash, certificate = machine.disk.blocks[height - 1]
            self.checks.on_stored(machine.id, height, block_hash, certificate)
            self.checks.acknowledged |= self.requests_in([batch])

    # --- what became of it ---

    def everywhere(self, requests: set[bytes]) -> bool:
        """Whether every correct machine is up and has stored all these requests."""
        return all(
            machine.up and requests <= self.requests_in([block[0] for block in machine.disk.blocks])
            for machine in self.correct
        )

    def check_requests(self) -> None:
        """No acknowledged request is missing where the chain is as long; while one primary rules, none is ordered twice.

        A new primary may order again what it does not know to be in a batch that it proposes again; the ledger refuses the second.
        """
        for machine in self.correct:
            seen = [r for block in machine.disk.blocks for r in sorted(self.requests_in([block[0]]))]
            assert machine.core.view > 0 or len(seen) == len(set(seen)), "a request was ordered twice"
            if len(machine.disk.blocks) == len(self.checks.chain):
                assert self.checks.acknowledged <= set(seen), "an acknowledged request is lost"

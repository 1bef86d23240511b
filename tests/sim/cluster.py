"""A whole cluster of production replicas in one thread: virtual time, a lossy network, crashes at every durable boundary.

Consensus, ledger, store, pool and forwarding are the code the daemon runs; disks, clocks, network and clients are simulated.
Everything follows from the seed.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from huzheng.v1 import consensus_pb2

from consensus.events import Event, Send
from consensus.votes import PeerPayload
from ledger.block import ExecutedBlock
from ledger.crypto import SIMULATION, Height, Membership, ReplicaId, Signer, Suite
from node.peer_events import as_event
from node.peer_messages import read_message, write_message
from tests.sim.checks import Checks
from tests.sim.clients import Clients
from tests.sim.consortium import PARAMETERS, Request, consortium_of
from tests.sim.faults import Faults
from tests.sim.machine import Machine
from tests.sim.silence import Silence

TELL_MS = 5_000
"""How often machines tell one another what their clocks show."""
MAX_KEYS = 4
"""Keys that one replica has in its life."""


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
        followers: Sequence[int] = (),
        watermark_window: int = PARAMETERS.watermark_window,
        kinds: Mapping[int, type[Machine]] | None = None,
    ) -> None:
        """`followers`: further machines, of replicas that may get a vote later. `kinds`: correct machines with a peculiarity."""
        self.random = random.Random(seed)
        self.faults = faults
        self.suite = suite
        self.consortium = consortium_of(n, watermark_window, suite.name)
        self.now_ms = 1_000
        self.queue: list[tuple[int, int, Callable[[], None]]] = []
        self.order = 0
        self.counts: Counter[str] = Counter()
        """What happened, for tables and for tests that must have met it."""
        self.trace = hashlib.blake2b(digest_size=16)
        """Of every message, crash and block, in order: the same for the same seed."""
        self.cut_off: set[tuple[int, int]] = set()
        """From which place to which nothing gets through."""
        self.apart: set[tuple[int, int]] = set()
        """As `cut_off`, for good: who of two twins is not seen by whom."""
        self.silences: list[Silence] = []
        """Which kinds of messages get lost, on their way from whom to whom."""
        self.max_down = n if max_down is None else max_down
        self.checks = Checks(self.consortium, (liars or {}).__contains__)
        self.clients = Clients(self)
        self.machines: list[Machine] = []
        for replica in map(ReplicaId, [*range(1, n + 1), *followers]):
            self.machines += {**(kinds or {}), **(liars or {})}.get(replica, Machine).machines_of(self, replica)
        for machine in self.machines:
            machine.start()
        self.at(TELL_MS, self.tell_clocks)

    @property
    def membership(self) -> Membership:
        """Of the first epoch."""
        return self.consortium.genesis.membership

    @property
    def correct(self) -> list[Machine]:
        return [machine for machine in self.machines if not machine.is_liar]

    @property
    def down_count(self) -> int:
        return sum(not machine.up for machine in self.machines)

    def machine(self, replica: int) -> Machine:
        return next(machine for machine in self.machines if machine.id == replica)

    def signers_of(self, replica: int) -> Mapping[bytes, Signer]:
        """All the keys a replica may ever have, by public key."""
        signers = [self.consortium.replica_signer(replica, number) for number in range(MAX_KEYS)]
        return {signer.public_key: signer for signer in signers}

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
                heights = {machine.place: machine.height for machine in self.machines}
                raise AssertionError(f"not within {limit_ms} ms: heights {heights}")
            self.run_one()

    def run_for(self, duration_ms: int) -> None:
        """Runs for some virtual time, whatever comes of it."""
        end_ms = self.now_ms + duration_ms
        while self.queue and self.queue[0][0] <= end_ms:
            self.run_one()

    def run_one(self) -> None:
        self.now_ms, _, action = heapq.heappop(self.queue)
        action()

    def note(self, what: str, *parts: bytes | int) -> None:
        """One line of the trace."""
        values = [part.hex() if isinstance(part, bytes) else str(part) for part in parts]
        self.trace.update(f"{self.now_ms} {what} {' '.join(values)}\n".encode())

    # --- network ---

    def send(self, sender: Machine, send: Send) -> None:
        """Carries a message to its targets: a status to all, anything else to members only."""
        raw = write_message(send.payload)
        self.note("sent", sender.place, send.to or 0, raw)
        self.checks.witnesses.on_sent(sender.id, send.payload)
        event = as_event(sender.id, read_message(raw))
        is_status = isinstance(send.payload, consensus_pb2.ReplicaStatus)
        for target in self.machines:
            is_meant = send.to is None and (is_status or sender.core.membership.member(target.id) is not None)
            if target.id == send.to or (is_meant and target.id != sender.id):
                if any(silence.covers(sender.id, target.id, send.payload) for silence in self.silences):
                    self.counts["messages silenced"] += 1
                    continue
                self.carry(sender, target, partial(self.deliver, sender.id, target, send.payload, event))

    def deliver(self, sender: ReplicaId, target: Machine, payload: PeerPayload, event: Event) -> None:
        """A message is there."""
        if target.up:
            self.checks.witnesses.on_delivered(sender, target.id, payload)
        target.receive(sender, event)

    def carry(self, sender: Machine, target: Machine, arrive: Callable[[], None]) -> None:
        """Something arrives once, twice or never, after a time of its own, so before or after what was sent earlier."""
        if not self.reaches(sender, target):
            return
        copies = 1 + (self.random.random() < self.faults.duplicate)
        for _ in range(copies):
            if self.random.random() < self.faults.drop:
                self.counts["messages lost"] += 1
                continue
            self.at(self.random.randint(self.faults.min_delay_ms, self.faults.max_delay_ms), arrive)

    def reaches(self, sender: Machine, target: Machine) -> bool:
        """Whether anything gets through from one machine to another."""
        pair = (sender.place, target.place)
        return pair not in self.cut_off and pair not in self.apart

    def blocks_of(self, asker: Machine, replica: ReplicaId, start: Height, count: int) -> list[bytes]:
        """What a peer answers to one that asks for blocks."""
        for peer in self.machines:
            if peer.id == replica and peer.up and self.reaches(asker, peer) and self.reaches(peer, asker):
                return peer.serve(start, count)
        return []

    def part(self, *groups: Sequence[int]) -> None:
        """Nothing gets through between the groups."""
        of = {place: number for number, group in enumerate(groups) for place in group}
        self.cut_off = {(a, b) for a in of for b in of if of[a] != of[b]}

    def silence(self, some: Sequence[int], others: Sequence[int]) -> None:
        """Nothing gets through from some to the others; the other way it does."""
        self.cut_off = {(a, b) for a in some for b in others}

    def heal(self) -> None:
        """Everything gets through again; links come up anew."""
        self.cut_off = set()
        for machine in self.machines:
            for peer in self.machines:
                if machine is not peer and machine.up and peer.up and self.reaches(peer, machine):
                    machine.connected(peer)

    def tell_clocks(self) -> None:
        """Each machine tells the others what its clock shows."""
        for sender in self.machines:
            for target in self.machines:
                if (
                    sender.up
                    and target.up
                    and sender is not target
                    and (sender.place, target.place) not in self.cut_off
                ):
                    target.clock.heard(sender.id, sender.told_ms() - self.random.randint(0, 5))
        self.at(TELL_MS, self.tell_clocks)

    # --- what machines say happened ---

    def on_crash(self, machine: Machine) -> None:
        self.counts["crashes"] += 1
        self.note("crash", machine.place)
        for peer in self.machines:
            if peer is not machine and peer.up:
                peer.clock.forget(machine.id)

    def on_stored(self, machine: Machine, block: ExecutedBlock, certificate: bytes) -> None:
        self.note("stored", machine.place, block.height, block.block_hash, certificate)
        if not machine.is_liar:
            self.checks.on_stored(machine, block, certificate)

    # --- work ---

    def submit(self, request: Request) -> None:
        """A client that tells every node."""
        self.clients.tell_all(request)

    def everywhere(self, requests: Sequence[Request]) -> bool:
        """Whether every correct machine is up and has stored all these requests."""
        return self.everywhere_but(None, requests)

    def everywhere_but(self, away: Machine | None, requests: Sequence[Request]) -> bool:
        """As `everywhere`, but for one machine."""
        places = self.checks.chain.places
        if any(request.id not in places for request in requests):
            return False
        last = max((places[request.id] for request in requests), default=0)
        return all(machine.up and machine.height >= last for machine in self.correct if machine is not away)

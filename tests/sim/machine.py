"""One simulated replica: production core and ledger in a loop like the daemon's; it dies and comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from huzheng.v1 import consensus_pb2

from consensus.events import (
    BatchChecked,
    BlockExecuted,
    Certified,
    CheckBatch,
    Decided,
    Event,
    GreetingReceived,
    PeerConnected,
    Ready,
    Send,
    TimePassed,
    WorkWaiting,
)
from consensus.replica import InvariantViolation, Replica
from consensus.safety import SafetyViolation
from ledger.block import ExecutedBlock
from ledger.crypto import Height, ReplicaId
from ledger.errors import HuzhengError
from node.clock import NetworkClock
from node.forwarding import Forwarding
from node.seat import Core
from node.succession import Succession
from tests.sim.consortium import START_MS, Request
from tests.sim.fetching import Fetching
from tests.sim.ledger import Ledger
from tests.sim.links import Links
from tests.sim.storage import Disk, PowerFailure

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster

TURNS_BETWEEN_CHECKS = 8
DEAF_MS = 1_000
"""How long a peer is not heard that sent what no correct replica sends."""


class Machine:
    """A correct replica."""

    is_liar = False
    accepts_lost_votes = False
    listens = True
    """Whether it lets others remind it of what it said."""

    def __init__(self, cluster: Cluster, replica: ReplicaId, place: int | None = None) -> None:
        """`place`: where it is in the network; its id, unless another machine has the same."""
        self.cluster = cluster
        self.id = replica
        self.place = replica if place is None else place
        self.disk = Disk(cluster.random, self.dies_now)
        self.up = False
        self.life = 0
        self.clock_off_ms = 0
        """How far its wall clock is ahead of the right time."""
        self.ledger: Ledger
        self.succession: Succession

    @classmethod
    def machines_of(cls, cluster: Cluster, replica: ReplicaId) -> list[Machine]:
        """The machines that act for a replica: one, if nothing is wrong."""
        return [cls(cluster, replica)]

    # --- life and death ---

    def start(self) -> None:
        """Comes up with what its disk holds."""
        self.up = True
        self.life += 1
        self.survive(self.boot)

    def boot(self) -> None:
        cluster, faults = self.cluster, self.cluster.faults
        self.disk.is_torn, self.disk.loses_votes = faults.torn, faults.loses_votes
        self.clock = NetworkClock(cluster.consortium.genesis.membership.f, self.wall_ms)
        signers = cluster.signers_of(self.id)
        self.ledger = Ledger(
            cluster.consortium,
            self.disk,
            self.id,
            signers,
            self.clock,
            lambda: cluster.now_ms,
            accepts_lost_votes=self.accepts_lost_votes,
        )
        self.awake = self.writing = False
        self.turns = self.timer_ms = self.ledger_free_ms = self.heard_ms = 0
        self.owed_since_ms: int | None = None
        self.deaf_until_ms: dict[ReplicaId, int] = {}
        self.fetching = Fetching(self)
        self.succession = Succession(self.ledger.seat, self.ledger.members, self.clock, lambda: cluster.now_ms)
        cluster.checks.on_started(self)
        self.links = Links(cluster, self)
        self.forwarding = Forwarding(lambda: self.core, self.ledger.mempool, cluster.now_ms)
        cluster.clients.ask_again(self)
        for peer in cluster.machines:
            if peer is not self and peer.up and cluster.reaches(peer, self):
                self.connected(peer)
                peer.connected(self)
        self.wake()

    @property
    def core(self) -> Core:
        """The one at work."""
        return self.succession.core

    def survive(self, work: Callable[[], None]) -> None:
        """Does some work; the machine may die of it and comes back later."""
        if not self.up:
            return
        try:
            work()
        except PowerFailure:
            self.crash()
        except (InvariantViolation, SafetyViolation, HuzhengError, AssertionError):
            # A liar's core can't know that it lied.
            if not self.is_liar:
                raise
            self.cluster.counts["liars that broke"] += 1
            self.crash()

    def crash(self) -> None:
        """The power is gone; it comes back."""
        self.up = False
        self.cluster.on_crash(self)
        self.disk.crash()
        self.cluster.at(self.cluster.random.randint(1, self.cluster.faults.max_down_ms), self.start)

    def later(self, delay_ms: int, work: Callable[[], None]) -> None:
        """Some work in this life, if it is not over by then."""
        self.cluster.later(delay_ms, self, partial(self.survive, work))

    def dies_now(self) -> bool:
        cluster = self.cluster
        return cluster.random.random() < cluster.faults.crash and cluster.down_count < cluster.max_down

    def maybe_crash(self) -> None:
        if self.dies_now():
            raise PowerFailure

    def wall_ms(self) -> int:
        """What its own clock shows."""
        return START_MS + self.cluster.now_ms + self.clock_off_ms

    def told_ms(self) -> int:
        """What it tells others that its clock shows."""
        return self.wall_ms()

    # --- what comes in ---

    def connected(self, peer: Machine) -> None:
        """A link is up."""
        self.clock.heard(peer.id, peer.told_ms())
        self.post(PeerConnected(peer.id))
        if peer.id == self.core.primary:
            self.forwarding.hand_over()

    def receive(self, sender: ReplicaId, event: Event) -> None:
        """A message arrived."""
        if not self.up or self.cluster.now_ms < self.deaf_until_ms.get(sender, 0):
            return
        if not self.listens and isinstance(event, GreetingReceived):
            event = GreetingReceived(sender, consensus_pb2.Greeting(epoch=event.greeting.epoch))
        self.post(event)

    def receive_forwarded(self, transactions: Iterable[bytes]) -> None:
        """Another node handed these on."""
        if self.up:
            for raw in transactions:
                self.admit(raw)
            self.wake()

    def take_in(self, request: Request) -> None:
        """A client brings a request."""
        if self.up and self.admit(request.raw):
            self.forwarding.add(self.cluster.consortium.checked(request.raw))
            self.wake()

    def admit(self, raw: bytes) -> bool:
        """Whether a transaction waits here that did not before."""
        transaction = self.cluster.consortium.checked(raw)
        late = transaction.expires_ms <= self.clock.now_ms()
        if late or self.ledger.store.transaction_place(transaction.id) is not None:
            return False
        return self.ledger.mempool.add(transaction)

    # --- the loop of the daemon ---

    def post(self, event: Event) -> None:
        self.succession.events.append(event)
        self.wake()

    def wake(self) -> None:
        if not self.awake:
            self.awake = True
            self.later(0, self.turn)

    def turn(self) -> None:
        """Many steps, one `ready()`, one synchronous write, then act."""
        self.awake = False
        if self.writing:
            return
        now_ms = self.cluster.now_ms
        while self.succession.events:
            self.step(self.succession.events.popleft())
        self.tell_what_is_owed()
        if now_ms >= self.core.next_deadline():
            self.core.step(TimePassed(), now_ms)
        self.propose()
        self.forwarding.send(self.links, now_ms)
        ready = self.core.ready()
        if ready != Ready():
            self.act(ready, self.core)
        self.turns += 1
        if self.turns % TURNS_BETWEEN_CHECKS == 0:
            self.check_memory()
        if not self.writing:
            self.set_timer()

    def step(self, event: Event) -> None:
        self.core.step(event, self.cluster.now_ms)

    def tell_what_is_owed(self) -> None:
        since_ms = self.ledger.mempool.owed_since_ms()
        if since_ms != self.owed_since_ms:
            self.owed_since_ms = since_ms
            self.core.step(WorkWaiting(since_ms), self.cluster.now_ms)

    def propose(self) -> None:
        mempool, now_ms = self.ledger.mempool, self.cluster.now_ms
        while self.core.wants_batch(mempool.pending_count, mempool.pending_bytes, now_ms):
            proposal = self.ledger.make_batch()
            if not proposal.transactions and not self.core.wants_batch(0, 0, now_ms):
                return
            self.core.step(proposal, now_ms)

    def set_timer(self) -> None:
        """One timer at a time: an earlier one takes the place of a later one."""
        now_ms, spread_ms = self.cluster.now_ms, self.forwarding.next_ms()
        due_ms = self.core.next_deadline() if spread_ms is None else min(self.core.next_deadline(), spread_ms)
        due_ms = max(now_ms + 1, due_ms)
        if not now_ms < self.timer_ms <= due_ms:
            self.timer_ms = due_ms
            self.later(due_ms - now_ms, partial(self.ring, due_ms))

    def ring(self, due_ms: int) -> None:
        if self.timer_ms == due_ms:
            self.wake()

    def act(self, ready: Ready, core: Core) -> None:
        """As the daemon does it: what a core wants done is done also when another takes its place meanwhile."""
        self.maybe_crash()
        if not self.is_liar:
            self.cluster.checks.witnesses.on_acting(self.id, core.membership.epoch, ready)
        delay_ms = self.cluster.random.randint(0, self.cluster.faults.max_write_ms) if ready.votes else 0
        self.writing = delay_ms > 0
        if self.writing:
            self.later(delay_ms, partial(self.written, ready, core))
        else:
            self.written(ready, core)

    def written(self, ready: Ready, core: Core) -> None:
        """The votes become durable; only now does anything else happen."""
        if ready.votes:
            self.ledger.store.write_votes(ready.votes)
            self.maybe_crash()
        self.act_on(ready, core)
        self.report(ready, core)
        if self.writing:
            self.writing = False
            self.wake()

    def act_on(self, ready: Ready, core: Core) -> None:
        for send in ready.sends:
            if not self.is_liar:
                self.cluster.checks.on_leaving(self, send.payload)
            self.transmit(send)
        self.maybe_crash()
        for check in ready.checks:
            check_ms = self.cluster.random.randint(0, 3) + self.cluster.faults.work_ms
            self.later(check_ms, partial(self.check, check, core))
        for decided in ready.decided:
            self.ledger_job(partial(self.execute, decided, core), self.cluster.faults.work_ms)
        for certified in ready.certified:
            self.ledger_job(partial(self.store, certified), self.cluster.faults.store_ms)
        if ready.fetch is not None:
            self.later(5, partial(self.fetching.start, ready.fetch, core))
        if ready.view_entered is not None:
            self.view_entered()

    def transmit(self, send: Send) -> None:
        self.cluster.send(self, send)

    def view_entered(self) -> None:
        """What was proposed and not decided may be lost; what waits goes to the new primary."""
        self.ledger.mempool.requeue_in_flight()
        self.forwarding.hand_over()
        self.wake()

    def report(self, ready: Ready, core: Core) -> None:
        self.cluster.checks.on_ready(self.id, ready)
        self.cluster.counts.update(trace.event for trace in ready.trace)
        for peer in ready.faulty:
            self.deaf_until_ms[peer] = self.cluster.now_ms + DEAF_MS
        assert ready.diverged is None, f"replica {self.id} diverged"
        if ready.votes_lost:
            assert self.cluster.faults.loses_votes, f"replica {self.id} takes its votes for lost"
            self.lose_vote(core)

    def lose_vote(self, core: Core) -> None:
        """The next epoch, if this one is over, may give it another key."""
        if self.succession.is_past(core):
            self.enter_epoch()
        else:
            self.succession.follow()

    # --- the ledger's thread ---

    def ledger_job(self, work: Callable[[], None], takes_ms: int = 0) -> None:
        """One after the other, in order."""
        now_ms = self.cluster.now_ms
        self.ledger_free_ms = max(self.ledger_free_ms, now_ms + self.cluster.random.randint(0, 3)) + takes_ms
        self.later(self.ledger_free_ms - now_ms, work)

    def answer(self, core: Core, event: Event) -> None:
        """What a core asked for."""
        if self.succession.answer(core, event):
            self.wake()

    def check(self, check: CheckBatch, core: Core) -> None:
        verdict = self.ledger.judge(check)
        self.cluster.counts[f"proposals {verdict.name.lower()}"] += 1
        self.answer(core, BatchChecked(check.sequence, check.batch_digest, check.proposer, verdict))

    def execute(self, decided: Decided, core: Core) -> None:
        block = self.ledger.execute(decided)
        if block is not None:
            self.done_in_thread(partial(self.answer, core, BlockExecuted(block.height, block.block_hash)))

    def store(self, certified: Certified) -> None:
        self.maybe_crash()
        block = self.ledger.worker.store(certified.height, certified.certificate)
        if block is not None:
            self.durable([(block, certified.certificate)])

    def durable(self, blocks: Sequence[tuple[ExecutedBlock, bytes]], then: Callable[[], None] = lambda: None) -> None:
        """Blocks are on the disk; once the loop has heard of them, something goes on."""
        for block, certificate in blocks:
            self.cluster.on_stored(self, block, certificate)
        self.done_in_thread(partial(self.stored, blocks, then))

    def done_in_thread(self, tell: Callable[[], None]) -> None:
        """The loop hears of the ledger's work in the order in which it was done, maybe later."""
        now_ms, late_ms = self.cluster.now_ms, self.cluster.faults.loop_late_ms
        if late_ms:
            self.heard_ms = max(self.heard_ms, now_ms + self.cluster.random.randint(0, late_ms))
            self.later(self.heard_ms - now_ms, tell)
        else:
            tell()

    def stored(self, blocks: Sequence[tuple[ExecutedBlock, bytes]], then: Callable[[], None]) -> None:
        """The core hears of stored blocks, and ends with its epoch's last one (M8)."""
        for block, certificate in blocks:
            self.ledger.stored(block)
            self.succession.stored(block, certificate)
            if self.succession.ends_with(block.height):
                self.enter_epoch()
        self.wake()
        then()

    def enter_epoch(self) -> None:
        """The next block is another epoch's."""
        self.succession.enter_epoch()
        self.owed_since_ms = None
        self.view_entered()

    # --- what it has ---

    @property
    def height(self) -> Height:
        """Of its last stored block."""
        return self.ledger.store.tip.height

    def serve(self, start: int, count: int) -> list[bytes]:
        """What this replica sends to one that asks for blocks from `start` on."""
        store = self.ledger.store
        return [store.block(Height(height)) for height in range(start, min(start + count - 1, store.tip.height) + 1)]

    def check_memory(self) -> None:
        """A window of slots, in each no more than one message of a kind by each replica, and no more blocks than that in memory."""
        if not isinstance(self.core, Replica):
            return
        n, window = self.core.membership.n, self.core._context.window
        assert len(window) <= window.size
        for slot in window:
            assert max(len(slot.prepares), len(slot.commits), len(slot.seals)) <= n
        assert len(self.ledger.worker._executed) <= window.size
        assert len(self.ledger.checked) <= window.size

"""Drives the consensus core: many steps, one `ready()`, one synchronous write, then act.

Everything here runs on the event loop, except the ledger's work (one thread, in order), the vote log's writes (one thread) and signature
checks (several threads). Of these the small ones run on the loop as well, see node/hand_over.py.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine

import structlog
from huzheng.v1 import consensus_pb2, replica_service_pb2

from consensus.batching import MOST_TRANSACTIONS
from consensus.events import (
    Event,
    PeerConnected,
    ProposeBatch,
    Ready,
    Send,
    TimePassed,
    WorkWaiting,
)
from consensus.follower import Follower
from consensus.replica import InvariantViolation, Replica
from consensus.safety import SafetyViolation
from ledger.block import ExecutedBlock
from ledger.crypto.types import ReplicaId
from ledger.errors import Code, HuzhengError
from ledger.transaction import WellFormedTransaction, encode_batch
from node.clock import monotonic_ms
from node.forwarding import Forwarding
from node.hand_over import AtOnce, OrderedThread
from node.intake import NOT_WELL_FORMED, Intake
from node.off_loop import OffLoop, Parts
from node.peer_events import FromPeer, as_event, weight
from node.peer_messages import write_message
from node.peers import MAX_BACKLOG_BYTES, Peers
from node.seat import Core
from node.succession import Succession

log = structlog.get_logger("replica")

STOPPED_WAIT_MS = 1_000
FORWARDS_AT_ONCE = 2
"""Groups of a peer's forwarded transactions being checked; more are not read from it."""
SMALL_VOTES_BYTES = 64 * 1024
"""Votes of so many bytes together, batches included, take a disk no longer than few."""
BATCH_FRAME_BYTES = 64
"""More than a batch's proposer and time take."""

_LEVELS = {"view left": "info", "view entered": "info", "primary suspected": "warning", "votes lost": "error"}
"""Steps of consensus that an operator sees; all others are for debugging."""


class Runtime:
    """One replica at work."""

    def __init__(
        self,
        parts: Parts,
        on_stored: Callable[[ExecutedBlock, bytes], None],
        on_membership: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_membership` hears of each stored block that changed who belongs or who is to vote."""
        self._genesis = parts.genesis
        self._seat = parts.seat
        self._store = parts.store
        self._mempool = parts.mempool
        self._clock = parts.clock
        self._evidence = parts.evidence
        self._on_stored = on_stored
        self._on_membership = on_membership
        self.peers: Peers
        self.intake: Intake
        self.problem: HuzhengError | None = None
        self._halted = False
        self.counts: Counter[str] = Counter()
        at_once = AtOnce()
        self._off_loop = OffLoop(parts, self._answer, self._stored, at_once)
        self._votes_thread = OrderedThread("votes", at_once)
        self._wake = asyncio.Event()
        self._backlog: Counter[ReplicaId] = Counter()
        self._drained = asyncio.Event()
        self._admitting: dict[ReplicaId, asyncio.Semaphore] = {}
        self._owed_since_ms: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._succession = Succession(parts.seat, parts.consortium, parts.clock, monotonic_ms)
        self._forwarding = Forwarding(lambda: self.core, parts.mempool, monotonic_ms())

    @property
    def core(self) -> Core:
        """The one at work."""
        return self._succession.core

    # --- from the rest of the node ---

    def offer(self, transaction: WellFormedTransaction) -> None:
        """A transaction was taken in here: propose it, or hand it to the primary."""
        self._forwarding.add(transaction)
        self._wake.set()

    def post(self, event: Event) -> None:
        """Queues an event for the core."""
        self._succession.events.append(event)
        self._wake.set()

    def on_peer_connected(self, peer: ReplicaId) -> None:
        """A link is up: tell the peer where we stand, and hand pending transactions to a primary that is back."""
        self.post(PeerConnected(peer))
        if peer == self.core.primary:
            self._forwarding.hand_over()

    def on_peer_lost(self, peer: ReplicaId) -> None:
        """A link is down."""
        self._clock.forget(peer)

    async def on_peer_message(self, peer: ReplicaId, message: replica_service_pb2.PeerMessage) -> None:
        """Queues a peer's message; waits while too many of this peer's are unprocessed."""
        which = message.WhichOneof("message")
        if which == "clock":
            if self.core.membership.member(peer) is not None:
                self._clock.heard(peer, message.clock.clock_ms)
        elif which == "forwarded":
            if isinstance(self.core, Follower) or self.core.membership.member(peer) is None:
                # Who has no vote takes no transactions in (M9), and has none to hand on.
                return
            room = self._admitting.setdefault(peer, asyncio.Semaphore(FORWARDS_AT_ONCE))
            await room.acquire()
            self._spawn(self._admit(peer, message.forwarded, room))
        elif which is not None:
            event = as_event(peer, message)
            self._backlog[peer] += weight(event)
            self.post(event)
            while self._backlog[peer] > MAX_BACKLOG_BYTES and not self._stopping:
                self._drained.clear()
                await self._drained.wait()

    async def _admit(
        self, peer: ReplicaId, forwarded: replica_service_pb2.ForwardedTransactions, room: asyncio.Semaphore
    ) -> None:
        """Apart from the peer's stream, so that votes don't wait for signature checks."""
        try:
            await self.intake.admit_forwarded(forwarded.transactions)
        except Exception as error:
            if isinstance(error, HuzhengError) and error.code in NOT_WELL_FORMED:
                self.peers.fault(peer, error)
            else:
                # What a peer hands on must not end this replica's voting.
                log.error("forwarded transactions dropped", peer=peer, exc_info=error)
        finally:
            room.release()
        self._wake.set()

    # --- the loop ---

    async def run(self) -> None:
        """Works until `stop`. Raises what makes going on impossible."""
        self._tell_seat()
        while True:
            await self._wait()
            if self._stopping:
                return
            self._step_all()
            self._propose()
            if not self._halted:
                self._forwarding.send(self.peers, monotonic_ms())
            core = self.core
            ready = core.ready()
            if ready != Ready():
                await self._act(ready, core)

    async def stop(self) -> None:
        """Stops after the work in hand; everything durable stays consistent whenever this is cut short."""
        self._stopping = True
        self._wake.set()
        self._drained.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._off_loop.shutdown)
        await asyncio.to_thread(self._votes_thread.shutdown)

    async def _wait(self) -> None:
        if not self._succession.events and not self._wake.is_set():
            # One that stopped voting proposes nothing, however long a proposal is due.
            shortest_ms = STOPPED_WAIT_MS if self._halted else 1
            spread_ms = self._forwarding.next_ms()
            due_ms = self.core.next_deadline() if spread_ms is None else min(self.core.next_deadline(), spread_ms)
            delay_ms = max(shortest_ms, due_ms - monotonic_ms())
            timer = asyncio.get_running_loop().call_later(delay_ms / 1000, self._wake.set)
            await self._wake.wait()
            timer.cancel()
        self._wake.clear()

    def _step_all(self) -> None:
        now_ms = monotonic_ms()
        events = self._succession.events
        while events:
            event = events.popleft()
            if isinstance(event, FromPeer):
                self._backlog[event.sender] -= weight(event)
            self._step(event, now_ms)
        self._drained.set()
        self._tell_what_is_owed(now_ms)
        if now_ms >= self.core.next_deadline():
            self._step(TimePassed(), now_ms)

    def _tell_what_is_owed(self, now_ms: int) -> None:
        since_ms = self._mempool.owed_since_ms()
        if since_ms != self._owed_since_ms:
            self._owed_since_ms = since_ms
            self._step(WorkWaiting(since_ms), now_ms)

    def _step(self, event: Event, now_ms: int) -> None:
        try:
            self.core.step(event, now_ms)
        except (InvariantViolation, SafetyViolation) as error:
            raise HuzhengError(Code.REPLICA_BUG, str(error)) from error

    def _propose(self) -> None:
        now_ms = monotonic_ms()
        while not self._halted and self.core.wants_batch(
            self._mempool.pending_count, self._mempool.pending_bytes, now_ms
        ):
            proposal = self._make_batch()
            if not proposal.transactions and not self.core.wants_batch(0, 0, now_ms):
                return
            self._step(proposal, now_ms)

    def _make_batch(self) -> ProposeBatch:
        """A batch of what waits; empty when nothing that waits may go into one now.

        T4: a transaction whose expiry this clock finds too far away would spoil the whole batch, so it waits.
        """
        parameters = self._genesis.parameters
        proposed_ms = self._clock.now_ms()
        taken = self._mempool.take(
            parameters.max_batch_bytes - BATCH_FRAME_BYTES,
            min(parameters.max_batch_transactions, MOST_TRANSACTIONS),
            latest_expiry_ms=proposed_ms + parameters.max_lifetime_ms,
        )
        raws = [transaction.raw for transaction in taken]
        return ProposeBatch(encode_batch(self._seat.replica, proposed_ms, raws), len(raws))

    async def _act(self, ready: Ready, core: Core) -> None:
        """Does what a core wants done, also when another takes its place meanwhile: its messages say which epoch they are of."""
        if ready.votes:
            await self._write_votes(ready)
        # When this node stops, its threads take no more work.
        if self._halted or self._stopping:
            return
        for send in ready.sends:
            self._send(send, core)
        for check in ready.checks:
            self._spawn(self._off_loop.check(check, core))
        for decided in ready.decided:
            self._spawn(self._off_loop.execute(decided, core))
        for certified in ready.certified:
            self._spawn(self._off_loop.store(certified))
        if ready.fetch is not None:
            self._spawn(self._off_loop.fetch(ready.fetch, core, self.peers))
        if ready.view_entered is not None:
            self._on_view_entered()
        self._report(ready, core)

    def _send(self, send: Send, core: Core) -> None:
        message = write_message(send.payload)
        if send.to is not None:
            self.peers.send(send.to, message)
        else:
            # Where it stands is for all to hear, replicas without a vote too, who follow by it.
            is_status = isinstance(send.payload, consensus_pb2.ReplicaStatus)
            self.peers.broadcast(message, None if is_status else core.membership)

    def _on_view_entered(self) -> None:
        """What was proposed and not decided may be lost; what waits goes to the new primary."""
        self._mempool.requeue_in_flight()
        self._forwarding.hand_over()
        self._wake.set()

    async def _write_votes(self, ready: Ready) -> None:
        size = sum(len(value) for _, value in ready.votes)
        is_small = size <= SMALL_VOTES_BYTES and not self._off_loop.is_writing
        try:
            await self._votes_thread.run(is_small, self._store.write_votes, ready.votes)
            self.counts["vote_log_writes"] += 1
        except HuzhengError as error:
            self._give_up(error)

    def _report(self, ready: Ready, core: Core) -> None:
        for trace in ready.trace:
            self.counts[trace.event] += 1
            level = "error" if trace.is_alarm else _LEVELS.get(trace.event, "debug")
            getattr(log, level)(trace.event, **trace.fields)
        for proof in ready.evidence:
            self._evidence.keep(proof, core.membership)
        for replica, reason in ready.faulty.items():
            self.peers.fault(replica, HuzhengError(Code.INVALID_REQUEST, reason))
        if ready.votes_lost:
            self._lose_vote(core)
        if ready.diverged is not None:
            certified = ready.diverged.certified_hash.hex()
            self._give_up(
                HuzhengError(Code.DIVERGED, f"height {ready.diverged.height}: a quorum certified {certified}")
            )

    def _give_up(self, error: HuzhengError) -> None:
        """Stores no more blocks, but goes on answering reads; the operator is told why and what to do."""
        if not self._halted:
            self._halted = True
            self._tell_problem(error)

    def _lose_vote(self, core: Core) -> None:
        """Follows the chain, which may give this replica another key (M9)."""
        if self._succession.is_past(core):
            # The next epoch may give it another key. Its core, if there is one, read the log before it said that the key
            # has ended, and has done nothing since.
            self._enter_epoch()
            return
        self._succession.follow()
        self._tell_problem(HuzhengError(Code.VOTE_LOG_LOST))

    def _tell_problem(self, error: HuzhengError) -> None:
        self.problem = error
        log.critical("replica stopped voting", code=error.code, detail=error.detail, hint=error.hint())
        # Nobody should wait here for a block.
        self.intake.refuse(f"it stopped voting: {error.code}")

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is None:
            return
        error = task.exception()
        if not isinstance(error, HuzhengError):
            log.error("internal error", exc_info=error)
            error = HuzhengError(Code.REPLICA_BUG, type(error).__name__)
        self._give_up(error)

    def _answer(self, core: Core, event: Event) -> None:
        """What a core asked for; the next epoch's has not asked."""
        if self._succession.answer(core, event):
            self._wake.set()

    # --- blocks and epochs ---

    def _stored(self, block: ExecutedBlock, certificate: bytes) -> None:
        changed = self._succession.stored(block, certificate)
        self._wake.set()
        self._on_stored(block, certificate)
        if changed:
            self._on_membership()
        if self._succession.ends_with(block.height):
            self._enter_epoch()

    def _enter_epoch(self) -> None:
        """The next block is another epoch's (M8)."""
        if self._halted:
            # What was still going on when it stopped.
            return
        self._succession.enter_epoch()
        # The new core has not been told yet.
        self._owed_since_ms = None
        self._tell_seat()
        self._on_view_entered()

    def _tell_seat(self) -> None:
        """Whether it has a vote in this epoch, for the log and for clients."""
        membership, votes = self.core.membership, isinstance(self.core, Replica)
        log.info("epoch entered", epoch=membership.epoch, members=membership.n, votes=votes)
        if self._succession.unknown_rules is not None:
            self._give_up(self._succession.unknown_rules)
        elif votes and not self.core.halted:
            self.problem = None
            self.intake.reopen()
        elif self.problem is None:
            log.warning("replica follows without a vote", replica=self._seat.replica, epoch=membership.epoch)
            self.intake.refuse("it has no vote in this epoch")

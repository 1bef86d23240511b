"""The PBFT replica: `step(event, now)` in, `ready()` out (Castro & Liskov, TOCS 2002, with signatures; docs/protocol.md section 6).

Every height is a checkpoint: its digest is the block hash, its messages are the seals, and a quorum of equal seals is both the block's
certificate and the stable checkpoint that trims the log. This file puts the parts together and hands events to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from consensus.context import Context, InvariantViolation, ReplicaConfig
from consensus.events import (
    BatchChecked,
    BatchReceived,
    BlockExecuted,
    BlockStored,
    EnvelopeReceived,
    Event,
    FetchEnded,
    GreetingReceived,
    LastHeightKnown,
    PeerConnected,
    ProposalReceived,
    ProposeBatch,
    Ready,
    StatusReceived,
    TimePassed,
    WorkWaiting,
)
from consensus.greeting import Probation
from consensus.ordering import Ordering
from consensus.restoring import restore_window
from consensus.safety import SafetyRules
from consensus.sealing import Sealing
from consensus.slot import Stage
from consensus.standing import STATUS_IDLE_MS, Standing
from consensus.suspicion import Suspicion
from consensus.view_change import max_body_bytes
from consensus.view_changing import ViewChanging
from consensus.vote_log import LogEntry, read_vote_log, still_binding
from consensus.votes import Authenticator, Checkpoint, EnvelopeSigner, NewView, SealVote, ViewChange
from ledger.crypto.membership import Membership
from ledger.crypto.types import Height, ReplicaId, View

__all__ = ["InvariantViolation", "Replica", "ReplicaConfig"]

_FROM_PEERS = (EnvelopeReceived, ProposalReceived, StatusReceived, GreetingReceived, BatchReceived)
_IN_PROBATION = (
    StatusReceived,
    GreetingReceived,
    PeerConnected,
    BlockStored,
    FetchEnded,
    WorkWaiting,
    LastHeightKnown,
    TimePassed,
)
"""What a replica takes in before it may vote; all else comes again."""


class Replica:
    """One replica's consensus state in one epoch. Deterministic: depends on the events and times it is given alone."""

    def __init__(self, config: ReplicaConfig, stored: Checkpoint, votes: Iterable[LogEntry], now_ms: int) -> None:
        """Starts after the last stored block, with the vote log as found on disk.

        Raises HuzhengError(VOTE_LOG_CORRUPT) when the log is damaged.
        """
        membership = config.membership
        checkpoint = replace(stored, certificate=b"") if stored.height == config.base else stored
        authenticator = Authenticator(config.suite, membership)
        restored = read_vote_log(still_binding(votes, checkpoint.height), authenticator, config.replica)
        is_revived = restored.ended and config.accepts_lost_votes
        restored.ended = restored.ended and not is_revived
        signer = EnvelopeSigner(config.signer, config.replica, membership.chain_id, membership.epoch)
        safety = SafetyRules(signer, membership, checkpoint.height, restored)
        if is_revived:
            safety.revive_key()
        self._context = context = Context(config, checkpoint, authenticator, safety, now_ms)
        context.memory.restore(restored, checkpoint)
        self._suspicion = Suspicion(config.batching.heartbeat_ms, config.batching.pipeline_depth, now_ms)
        self._ordering = Ordering(context, self._suspicion)
        self._sealing = Sealing(context)
        self._views = ViewChanging(context, self._ordering, self._suspicion)
        self._probation = Probation(context)
        self._standing = Standing(context, self._ordering, self._views, self._probation)
        self._handlers: dict[type, Callable[[Any], None]] = {
            EnvelopeReceived: self._on_envelope,
            ProposalReceived: self._ordering.on_proposal,
            StatusReceived: self._standing.on_status,
            GreetingReceived: self._on_greeting,
            BatchReceived: self._on_batch,
            BatchChecked: self._ordering.on_batch_checked,
            ProposeBatch: self._ordering.propose,
            BlockExecuted: lambda event: self._sealing.on_executed(event, self._ordering.decided),
            BlockStored: self._on_stored,
            FetchEnded: self._standing.on_fetch_ended,
            PeerConnected: self._standing.on_peer_connected,
            WorkWaiting: self._on_work_waiting,
            LastHeightKnown: self._on_last_height_known,
            TimePassed: self._on_time_passed,
        }
        restore_window(context, restored)
        self._ordering.next_sequence = max(self._ordering.next_sequence, self._ordering.first_unproposed())
        if safety.has_ended:
            context.halted = context.ready.votes_lost = True
        elif self._probation.is_over:
            self._start_voting()

    # --- what the node asks ---

    @property
    def membership(self) -> Membership:
        """Who votes in its epoch."""
        return self._context.membership

    @property
    def view(self) -> View:
        """The current view."""
        return self._context.view

    @property
    def is_view_entered(self) -> bool:
        """Whether the view is at work: not between its first VIEW-CHANGE here and its NEW-VIEW."""
        return self._context.safety.is_entered

    @property
    def is_suspecting(self) -> bool:
        """Whether this replica finds that the primary does not do its work."""
        return self._views.is_suspecting

    @property
    def may_vote(self) -> bool:
        """Whether enough peers have greeted it since its start."""
        return self._probation.is_over

    @property
    def primary(self) -> ReplicaId:
        """The current view's primary (I3)."""
        return self._context.primary

    @property
    def is_primary(self) -> bool:
        """Whether this replica is the primary."""
        return self._context.is_primary

    @property
    def halted(self) -> bool:
        """Whether this replica votes no more: it found itself diverged, or its vote log lost."""
        return self._context.halted

    @property
    def stored(self) -> Height:
        """The last height known to be durable with its certificate."""
        return self._context.window.stored

    @property
    def network_height(self) -> Height:
        """The highest height that more peers than can be faulty say they have stored."""
        return max(self.stored, self._standing.catch_up.vouched_height(self._context.membership.f))

    def peer_height(self, replica: ReplicaId) -> Height:
        """The height a peer last said it has stored; 0 if it has not said."""
        return self._standing.catch_up.peer_height(replica)

    def wants_batch(self, pending_transactions: int, pending_bytes: int, now_ms: int) -> bool:
        """Whether the node should make a batch now and step `ProposeBatch` (C3)."""
        if not self._probation.is_over or not self._ordering.may_propose():
            return False
        if not self._in_flight and self._context.window.last is not None:
            # The epoch's last block is awaited.
            return True
        pace = self._ordering.pace
        expected = pace.expected if now_ms < self._rest_ends_ms else 0
        idle_ms = now_ms - pace.proposed_ms
        slots = map(self._context.window.get, self._in_flight)
        sizes = [0 if slot is None else len(slot.batch) for slot in slots]
        return self._context.config.batching.wants_batch(sizes, pending_transactions, pending_bytes, idle_ms, expected)

    def owing_since_ms(self) -> int | None:
        """Since when the primary leaves this node's work undone, as far as that is the primary's fault (C14); None if it does not."""
        return self._suspicion.owing_since_ms()

    def next_deadline(self) -> int:
        """When `TimePassed` is due, in the milliseconds of `now`."""
        if self._context.halted:
            return self._context.now_ms + STATUS_IDLE_MS
        deadlines = [self._standing.next_status_ms]
        if self._probation.is_over:
            patience = self._views.deadline_ms()
            if patience is not None:
                # One that is behind looks again with its next status.
                deadlines.append(max(patience, self._standing.next_status_ms) if self._standing.is_behind else patience)
            if not self._in_flight and self._ordering.may_propose():
                deadlines.append(self._ordering.pace.proposed_ms + self._context.config.batching.heartbeat_ms)
                if self._rest_ends_ms > self._context.now_ms:
                    deadlines.append(self._rest_ends_ms)
        return min(deadlines)

    def ready(self) -> Ready:
        """Takes everything that is to be done since the last call."""
        context = self._context
        ready, context.ready = context.ready, Ready()
        ready.votes = context.safety.take_unsaved()
        return ready

    def step(self, event: Event, now_ms: int) -> None:
        """Takes one event in. `now_ms` never runs backwards."""
        context = self._context
        context.now_ms = max(context.now_ms, now_ms)
        if context.halted or (isinstance(event, _FROM_PEERS) and not self._hears(event.sender)):
            return
        if not self._probation.is_over and not isinstance(event, _IN_PROBATION):
            return
        self._handlers[type(event)](event)
        self._look_at_next_block()
        if len(context.window) > 0 or not context.safety.is_entered:
            self._standing.hasten()
        self.check_invariants()

    def check_invariants(self) -> None:
        """Raises InvariantViolation when the replica contradicts itself. O(1)."""
        ordering, sealing, window = self._ordering, self._sealing, self._context.window
        if not self.stored <= sealing.certified <= sealing.executed <= ordering.decided <= window.high:
            raise InvariantViolation(
                f"stored {self.stored}, certified {sealing.certified}, executed {sealing.executed}, decided {ordering.decided}"
            )
        if len(window) > window.size:
            raise InvariantViolation(f"{len(window)} slots in a window of {window.size}")
        if ordering.next_sequence <= self.stored:
            raise InvariantViolation(f"next sequence {ordering.next_sequence} at or below stored {self.stored}")
        if not self._views.check_bounds():
            raise InvariantViolation("more view changes kept than there are members")

    def _hears(self, sender: ReplicaId) -> bool:
        """Replicas without a vote have no say in how far the chain is, either."""
        context = self._context
        return sender not in context.ready.faulty and context.membership.member(sender) is not None

    # --- events that concern several parts ---

    def _on_envelope(self, event: EnvelopeReceived) -> None:
        """A signed message: parsed cheaply first, verified only if it can still matter (C2)."""
        config = self._context.config
        limit = max_body_bytes(event.envelope.kind, config.membership, config.watermark_window)
        claim = self._context.authenticator.read(event.envelope) if len(event.envelope.body) <= limit else None
        if claim is None:
            self._context.ignore(event.sender, "malformed message")
        elif isinstance(claim.content, SealVote):
            self._sealing.on_seal(event.sender, claim, claim.content)
        elif isinstance(claim.content, ViewChange):
            self._views.on_view_change(event.sender, claim, claim.content)
        elif isinstance(claim.content, NewView):
            self._views.on_new_view(event.sender, claim, claim.content)
        else:
            self._ordering.on_vote(event.sender, claim, claim.content)

    def _on_batch(self, event: BatchReceived) -> None:
        """A batch that this replica may have asked for (C17)."""
        context = self._context
        if len(event.batch) > context.config.max_batch_bytes:
            context.blame(event.sender, "batch too large")
            return
        digest = context.authenticator.batch_digest(event.batch)
        if not self._views.on_batch(digest, event.batch) and not self._ordering.on_batch(digest, event.batch):
            context.ignore(event.sender, "batch not asked for")

    def _on_greeting(self, event: GreetingReceived) -> None:
        if self._probation.on_greeting(event):
            self._start_voting()

    def _start_voting(self) -> None:
        """Goes on where the vote log ended."""
        for slot in list(self._context.window):
            self._ordering.advance(slot)
        self._views.restore()
        self._views.ask_again()
        self._suspicion.view_entered(self._context.now_ms)
        self._standing.tell()

    def _on_stored(self, event: BlockStored) -> None:
        """A block is durable with its certificate: it is the stable checkpoint, and the log below it goes (C10)."""
        context, checkpoint = self._context, event.checkpoint
        if checkpoint.height <= self.stored:
            return
        context.checkpoint = checkpoint
        context.window.advance(checkpoint.height)
        context.batches.trim(checkpoint.height)
        context.safety.trim(checkpoint.height)
        if self._probation.is_over:
            self._ordering.on_stored(checkpoint.height)
            self._sealing.on_stored(checkpoint.height)
        else:
            self._ordering.skip_to(checkpoint.height)
            self._sealing.skip_to(checkpoint.height)
        self._standing.on_stored(checkpoint.height)
        self._suspicion.block_stored(context.now_ms, not self._ordering.has_open_proposals())

    def _on_work_waiting(self, event: WorkWaiting) -> None:
        self._suspicion.work_waits(event.since_ms, self._context.now_ms)
        self._look()

    def _look_at_next_block(self) -> None:
        height = Height(self.stored + 1)
        slot = self._context.window.get(height)
        self._suspicion.next_block_is(height, Stage.AWAITED if slot is None else slot.stage, self._context.now_ms)

    def _on_last_height_known(self, event: LastHeightKnown) -> None:
        """What waited while the epoch before ended is about that one."""
        if event.height > self.stored:
            self._context.window.last = event.height

    def _on_time_passed(self, _event: TimePassed) -> None:
        self._look()
        self._standing.tell_when_due()

    def _look(self) -> None:
        if self._probation.is_over and self._views.look(self._standing.is_behind):
            self._standing.tell()

    @property
    def _in_flight(self) -> range:
        """Sequence numbers of batches that have no certificate yet."""
        return range(self._sealing.certified + 1, self._ordering.next_sequence)

    @property
    def _rest_ends_ms(self) -> int:
        return self._ordering.pace.rest_ends_ms(self._sealing.certified, self._sealing.certified_ms)

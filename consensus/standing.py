"""Where this replica and its peers stand: status, retransmission, catching up, greetings (docs/protocol.md C11, C12, C18)."""

from __future__ import annotations

from huzheng.v1 import consensus_pb2

from consensus.catch_up import CatchUp
from consensus.context import Context
from consensus.events import FetchEnded, PeerConnected, StatusReceived
from consensus.greeting import Probation
from consensus.ordering import Ordering
from consensus.retransmission import MAX_BATCH_BYTES, describe_slots, forget_sent, missing_at_peer
from consensus.slot import Proposal
from consensus.view_changing import ViewChanging
from ledger.crypto.types import Height, ReplicaId

STATUS_BUSY_MS = 250
"""How often a replica with an open slot, in no view, or behind its peers, says where it stands."""
STATUS_IDLE_MS = 2_000
ANSWER_INTERVAL_MS = 100
"""A peer's status is answered this often; correct replicas don't send more, and an answer may be large."""

MAX_WANTED = 64
"""Batches asked for in one status; the next one asks for the rest."""


class Standing:
    """Belongs to one replica."""

    def __init__(self, context: Context, ordering: Ordering, views: ViewChanging, probation: Probation) -> None:
        self._context = context
        self._ordering = ordering
        self._views = views
        self._probation = probation
        self._next_status_ms = context.now_ms
        self._answered_ms: dict[ReplicaId, int] = {}
        self.catch_up = CatchUp(context.checkpoint.height, context.now_ms)

    @property
    def next_status_ms(self) -> int:
        """When the next status is due."""
        return self._next_status_ms

    @property
    def is_behind(self) -> bool:
        """Whether more peers than can be faulty have blocks that this replica lacks."""
        return self.catch_up.vouched_height(self._context.membership.f) > self._context.window.stored

    def hasten(self) -> None:
        """Something is open: what is lost on the way must be noticed soon."""
        self._next_status_ms = min(self._next_status_ms, self._context.now_ms + STATUS_BUSY_MS)

    def on_status(self, event: StatusReceived) -> None:
        """A peer's standing: send what it lacks, and note what this replica lacks itself (C11, C12)."""
        context, status = self._context, event.status
        self.catch_up.heard(event.sender, Height(status.stored_height))
        self.fetch_if_behind()
        if status.epoch != context.membership.epoch:
            context.ignore(event.sender, "other epoch")
            return
        if self._probation.is_over:
            self._views.heard_status(event.sender, status)
        if context.now_ms - self._answered_ms.get(event.sender, -ANSWER_INTERVAL_MS) < ANSWER_INTERVAL_MS:
            context.ignore(event.sender, "status too soon")
            return
        self._answered_ms[event.sender] = context.now_ms
        self._answer(event.sender, status)

    def _answer(self, peer: ReplicaId, status: consensus_pb2.ReplicaStatus) -> None:
        context = self._context
        if status.wants_greeting:
            context.send(peer, context.memory.greeting_for(peer))
        if not self._probation.is_over:
            # It may just have come to this epoch: now it can greet.
            context.send(peer, self.status())
            return
        if status.stored_height < context.window.stored or status.view < context.view or self._lacks_proposal(status):
            context.send(peer, self.status())
        for envelope in self._views.missing_at_peer(status):
            context.send(peer, envelope)
        self._send_wanted_batches(peer, status)
        if status.view != context.view:
            return
        for payload in missing_at_peer(status, context.window, context.own, context.is_primary, context.now_ms, peer):
            context.send(peer, payload)

    def _lacks_proposal(self, status: consensus_pb2.ReplicaStatus) -> bool:
        """Whether the peer has a proposal of this view that never came here."""
        context = self._context
        if status.view != context.view or not context.safety.is_entered:
            return False
        for there in status.slots:
            if there.has_batch and context.window.covers(there.sequence):
                slot = context.window.get(there.sequence)
                if slot is None or slot.pre_prepare is None:
                    return True
        return False

    def _send_wanted_batches(self, peer: ReplicaId, status: consensus_pb2.ReplicaStatus) -> None:
        """C17, bounded: the peer's next status asks for the rest."""
        sent_bytes = 0
        for digest in status.wanted_batches[:MAX_WANTED]:
            batch = self._context.batches.get(digest)
            if not batch:
                # Unknown, or the null batch, which everybody has.
                continue
            if sent_bytes > 0 and sent_bytes + len(batch) > MAX_BATCH_BYTES:
                return
            sent_bytes += len(batch)
            self._context.send(peer, consensus_pb2.BatchFound(batch=batch))

    def on_peer_connected(self, event: PeerConnected) -> None:
        """A link is up."""
        forget_sent(self._context.window, event.replica)
        self._context.send(event.replica, self._context.memory.greeting_for(event.replica))
        self._context.send(event.replica, self.status())

    def on_fetch_ended(self, event: FetchEnded) -> None:
        """A fetch is over."""
        self.catch_up.ended(event, self._context.now_ms)
        self.fetch_if_behind()

    def on_stored(self, height: Height) -> None:
        """A block became durable."""
        self.catch_up.stored(height, self._context.now_ms)

    def tell_when_due(self) -> None:
        """Says where this replica stands, if it is time."""
        context = self._context
        if context.now_ms < self._next_status_ms:
            return
        self.fetch_if_behind()
        for slot in context.window:
            if slot.proposal is Proposal.EARLY:
                self._ordering.check(slot)
        self.tell()

    def tell(self) -> None:
        """Says to all where this replica stands."""
        context = self._context
        context.send_all(self.status())
        settled = context.safety.is_entered and self._probation.is_over
        busy = len(context.window) > 0 or self.catch_up.is_behind or not settled
        self._next_status_ms = context.now_ms + (STATUS_BUSY_MS if busy else STATUS_IDLE_MS)

    def fetch_if_behind(self) -> None:
        """C11."""
        request = self.catch_up.next_fetch(self._context.now_ms)
        if request is not None:
            self._context.ready.fetch = request

    def status(self) -> consensus_pb2.ReplicaStatus:
        """Where this replica stands, for its peers."""
        context = self._context
        return consensus_pb2.ReplicaStatus(
            epoch=context.membership.epoch,
            view=context.view,
            stored_height=context.window.stored,
            slots=describe_slots(context.window),
            suspects_primary=self._views.is_suspecting,
            view_entered=context.safety.is_entered,
            view_changes=self._views.known_senders(),
            wanted_batches=(self._views.missing_batches + self._ordering.missing_batches())[:MAX_WANTED],
            wants_greeting=not self._probation.is_over,
        )

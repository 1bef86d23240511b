"""A replica without a vote keeps up with the chain by fetching its blocks (docs/protocol.md M9).

It stands where a `Replica` stands while its key is not a member's, or must not sign: the node drives both alike.
"""

from __future__ import annotations

from huzheng.v1 import consensus_pb2

from consensus.catch_up import CatchUp
from consensus.events import BlockStored, Event, FetchBlocks, FetchEnded, PeerConnected, Ready, Send, StatusReceived
from ledger.crypto.membership import Membership
from ledger.crypto.types import Height, ReplicaId, View

STATUS_MS = 2_000
"""How often it says how far it is."""
POLL_MS = 1_000
"""How often it asks anybody for blocks while no member tells it that there are any."""


class Follower:
    """Follows one epoch. Signs nothing; deterministic as `Replica` is."""

    halted = False
    is_primary = False
    is_suspecting = False
    may_vote = False
    is_view_entered = True
    view = View(0)

    def __init__(self, membership: Membership, stored: Height, now_ms: int) -> None:
        self.membership = membership
        self.stored = stored
        self._catch_up = CatchUp(stored, now_ms)
        self._now_ms = now_ms
        self._status_ms = now_ms
        self._poll_ms = now_ms
        self._is_fetching = False
        self._ready = Ready()

    @property
    def primary(self) -> ReplicaId:
        """The primary of the epoch's first view; which one rules now, nobody tells a follower."""
        return self.membership.primary(self.view)

    @property
    def network_height(self) -> Height:
        """The highest height that more members than can be faulty say they have stored."""
        return max(self.stored, self._catch_up.vouched_height(self.membership.f))

    def peer_height(self, replica: ReplicaId) -> Height:
        """The height a peer last said it has stored; 0 if it has not said."""
        return self._catch_up.peer_height(replica)

    def wants_batch(self, _pending_transactions: int, _pending_bytes: int, _now_ms: int) -> bool:
        """Never."""
        return False

    def owing_since_ms(self) -> int | None:
        """Never: it has nobody to blame."""
        return None

    def next_deadline(self) -> int:
        """When `TimePassed` is due, in the milliseconds of `now`."""
        return self._status_ms if self._is_fetching else min(self._status_ms, self._poll_ms)

    def ready(self) -> Ready:
        """Takes everything that is to be done since the last call. A fetch that names no peers may go to any."""
        ready, self._ready = self._ready, Ready()
        return ready

    def step(self, event: Event, now_ms: int) -> None:
        """Takes one event in; what concerns votes is passed over."""
        self._now_ms = max(self._now_ms, now_ms)
        if isinstance(event, StatusReceived):
            if self.membership.member(event.sender) is not None:
                self._catch_up.heard(event.sender, Height(event.status.stored_height))
        elif isinstance(event, PeerConnected):
            self._ready.sends.append(Send(event.replica, self._status()))
        elif isinstance(event, BlockStored):
            self.stored = max(self.stored, event.checkpoint.height)
            self._catch_up.stored(self.stored, self._now_ms)
        elif isinstance(event, FetchEnded):
            self._is_fetching = False
            self._catch_up.ended(event, self._now_ms)
            # Whoever brought something may have more.
            self._poll_ms = self._now_ms + (0 if event.helper is not None else POLL_MS)
        self._fetch_when_due()
        if self._now_ms >= self._status_ms:
            self._status_ms = self._now_ms + STATUS_MS
            self._ready.sends.append(Send(None, self._status()))

    def _fetch_when_due(self) -> None:
        if self._is_fetching:
            return
        request = self._catch_up.next_fetch(self._now_ms)
        if request is None and self._now_ms >= self._poll_ms:
            request = FetchBlocks(Height(self.stored + 1), ())
        if request is not None:
            self._is_fetching = True
            self._ready.fetch = request

    def _status(self) -> consensus_pb2.ReplicaStatus:
        return consensus_pb2.ReplicaStatus(epoch=self.membership.epoch, stored_height=self.stored, view_entered=True)

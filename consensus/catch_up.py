"""When to fetch blocks from peers instead of waiting for votes (docs/protocol.md C11)."""

from __future__ import annotations

from consensus.events import FetchBlocks
from ledger.crypto.types import Height, ReplicaId

STUCK_MS = 500
"""A replica that stored nothing for this long while a peer has more asks for blocks."""
FAR_BEHIND = 16
"""This many blocks behind, it asks at once."""
MAX_BACK_OFF_MS = 8_000


class CatchUp:
    """Tracks peers' heights and decides when a fetch is due. What peers say is a hint only: blocks prove themselves."""

    def __init__(self, stored: Height, now_ms: int) -> None:
        self._stored = stored
        self._progress_ms = now_ms - STUCK_MS
        self._peer_heights: dict[ReplicaId, Height] = {}
        self._fetching_from: Height | None = None
        self._back_off_ms = 0
        self._not_before_ms = now_ms

    @property
    def best_peer_height(self) -> Height:
        """The highest height any peer claims."""
        return max(self._peer_heights.values(), default=Height(0))

    def peer_height(self, peer: ReplicaId) -> Height:
        """The height a peer claims; 0 if it has not said."""
        return self._peer_heights.get(peer, Height(0))

    @property
    def is_behind(self) -> bool:
        """Whether some peer claims more than is stored here."""
        return self.best_peer_height > self._stored

    def heard(self, peer: ReplicaId, height: Height) -> None:
        """A peer said how far it is."""
        self._peer_heights[peer] = height

    def stored(self, height: Height, now_ms: int) -> None:
        """A block became durable here."""
        self._stored = height
        self._progress_ms = now_ms

    def next_fetch(self, now_ms: int) -> FetchBlocks | None:
        """The fetch that is due now, if any; the caller must report its end with `ended`."""
        if self._fetching_from is not None or not self.is_behind or now_ms < self._not_before_ms:
            return None
        stuck = now_ms - self._progress_ms >= STUCK_MS
        if not stuck and self.best_peer_height < self._stored + FAR_BEHIND:
            return None
        ahead = sorted(
            (peer for peer, height in self._peer_heights.items() if height > self._stored),
            key=lambda peer: (-self._peer_heights[peer], peer),
        )
        self._fetching_from = self._stored
        return FetchBlocks(Height(self._stored + 1), tuple(ahead))

    def ended(self, now_ms: int) -> None:
        """The fetch is over; one that brought nothing is followed by a pause that doubles up to a cap."""
        brought = self._fetching_from is not None and self._stored > self._fetching_from
        self._fetching_from = None
        self._back_off_ms = 0 if brought else min(max(STUCK_MS, 2 * self._back_off_ms), MAX_BACK_OFF_MS)
        self._not_before_ms = now_ms + self._back_off_ms

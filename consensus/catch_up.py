"""When to fetch blocks from peers instead of waiting for votes (docs/protocol.md C11)."""

from __future__ import annotations

from dataclasses import dataclass

from consensus.events import FetchBlocks, FetchEnded
from ledger.crypto.types import Height, ReplicaId

STUCK_MS = 500
"""A replica that stored nothing for this long while a peer has more asks for blocks."""
FAR_BEHIND = 16
"""This many blocks behind, it asks at once."""
MAX_BACK_OFF_MS = 32_000


@dataclass(slots=True)
class _Source:
    """A peer that blocks may be fetched from."""

    height: Height
    strikes: int = 0
    """Turns since the last in which it sent all it had."""
    back_off_ms: int = 0
    not_before_ms: int = 0


class CatchUp:
    """Tracks peers' heights and decides when a fetch is due. What peers say is a hint only: blocks prove themselves."""

    def __init__(self, stored: Height, now_ms: int) -> None:
        self._stored = stored
        self._progress_ms = now_ms - STUCK_MS
        self._sources: dict[ReplicaId, _Source] = {}
        self._asked: tuple[ReplicaId, ...] | None = None

    def vouched_height(self, max_faulty: int) -> Height:
        """The highest height that more peers claim than can be faulty; 0 if there is none."""
        heights = sorted((source.height for source in self._sources.values()), reverse=True)
        return heights[max_faulty] if len(heights) > max_faulty else Height(0)

    def peer_height(self, peer: ReplicaId) -> Height:
        """The height a peer claims; 0 if it has not said."""
        return self._source(peer).height

    @property
    def is_behind(self) -> bool:
        """Whether some peer claims more than is stored here."""
        return any(source.height > self._stored for source in self._sources.values())

    def heard(self, peer: ReplicaId, height: Height) -> None:
        """A peer said how far it is."""
        self._sources.setdefault(peer, _Source(height)).height = height

    def stored(self, height: Height, now_ms: int) -> None:
        """A block became durable here."""
        self._stored = height
        self._progress_ms = now_ms

    def next_fetch(self, now_ms: int) -> FetchBlocks | None:
        """The fetch that is due now, if any; the caller must report its end with `ended`.

        First come the peers that did not fail when last asked: one that claims much and sends nothing must not be in the way.
        """
        if self._asked is not None:
            return None
        ahead = [
            (source.strikes, -source.height, peer)
            for peer, source in self._sources.items()
            if source.height > self._stored and now_ms >= source.not_before_ms
        ]
        stuck = now_ms - self._progress_ms >= STUCK_MS
        if not stuck and all(-height < self._stored + FAR_BEHIND for _, height, _ in ahead):
            return None
        self._asked = tuple(peer for _, _, peer in sorted(ahead)) or None
        return None if self._asked is None else FetchBlocks(Height(self._stored + 1), self._asked)

    def ended(self, event: FetchEnded, now_ms: int) -> None:
        """The fetch is over; a peer that brought nothing is left alone for a time that doubles up to a cap."""
        for peer in self._asked or ():
            source = self._source(peer)
            if peer == event.helper:
                source.strikes = 0 if event.complete else source.strikes + 1
                source.back_off_ms = 0
                break
            source.strikes += 1
            source.back_off_ms = min(max(STUCK_MS, 2 * source.back_off_ms), MAX_BACK_OFF_MS)
            source.not_before_ms = now_ms + source.back_off_ms
        self._asked = None

    def _source(self, peer: ReplicaId) -> _Source:
        return self._sources.get(peer) or _Source(Height(0))

"""Which heights are asked of which peer, and what came: the plan of one fetch, without any I/O.

Heights from the next to apply up to a window ahead are missing, asked of one peer, or held. Peers get disjoint ranges, the lowest missing
heights first. Nothing waits for a peer that is slow: who has nothing else to do takes over the range that holds up all others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ledger.crypto.types import Height, ReplicaId

RANGE_BLOCKS = 64
"""Asked of a peer at a time."""
WINDOW_BLOCKS = 512
"""Blocks asked for or held above the last one applied, however many are lacking."""
MAX_HELD_BYTES = 32 * 1024 * 1024
"""Of blocks that wait for one below them; beyond it only the next one to apply is read."""
PATIENCE_MS = 2_000
"""For so long a range may hold up a peer that has nothing to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A range that a peer was asked for. Each is one of its own: the same peer may be asked for the same heights again."""

    peer: ReplicaId
    first: Height
    count: int


@dataclass(frozen=True, slots=True)
class Held:
    """A block as a peer sent it, in which nothing is checked yet."""

    peer: ReplicaId
    raw: bytes


class FetchPlan:
    """Belongs to one fetch. Times are milliseconds of a monotonic clock."""

    def __init__(
        self, first: Height, peers: Sequence[ReplicaId], claimed_height: Callable[[ReplicaId], Height]
    ) -> None:
        """`claimed_height` says how far a peer says it is; 0 if it has not said."""
        self._next = first
        self._gap = first
        self._gap_asked: Asked | None = None
        self._gap_since_ms = 0
        self._peers = tuple(peers)
        self._claimed_height = claimed_height
        self._last_of: dict[ReplicaId, Height] = {}
        self._left: set[ReplicaId] = set()
        self._slow: set[ReplicaId] = set()
        self._asked: dict[Height, Asked] = {}
        self._held: dict[Height, Held] = {}
        self._held_bytes = 0
        self._closed_at: int | None = None

    @property
    def next_height(self) -> Height:
        """The lowest height that is not applied."""
        return self._next

    @property
    def held_bytes(self) -> int:
        """What the blocks here take."""
        return self._held_bytes

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to come, and nothing is left to apply."""
        if self._next in self._held or self._asked:
            return False
        return self._next >= self._end or not any(self._has(peer, self._next) for peer in self._peers)

    def is_served_by(self, peer: ReplicaId) -> bool:
        """Whether the peer may be asked for something still."""
        return peer not in self._left

    def close(self) -> None:
        """From now on nothing is asked for above what was asked for until now."""
        self._closed_at = max([self._next - 1, *self._asked, *self._held]) + 1

    # --- asking ---

    def ask(self, peer: ReplicaId, now_ms: int) -> Asked | None:
        """The range to ask this peer for now; None while there is nothing for it."""
        first = self._lowest_missing(peer)
        if first is None and self._is_held_up(peer, now_ms):
            first = self._gap
            self._take_away(self._asked[first])
        if first is None:
            return None
        heights = self._missing_from(first, peer)
        asked = Asked(peer, first, len(heights))
        self._asked.update(dict.fromkeys(heights, asked))
        self._watch_gap(now_ms)
        return asked

    def may_read(self, asked: Asked, height: Height) -> bool:
        """Whether there is room for the block of this height, which comes next in the range."""
        return self._held_bytes < MAX_HELD_BYTES or height == self._next or not self.is_current(asked, height)

    def should_give_up(self, asked: Asked, now_ms: int) -> bool:
        """Whether a range that finds no room had better be given up for the one that holds up all."""
        gap = self._asked.get(self._gap)
        return gap is not asked and self._has(asked.peer, self._gap) and (gap is None or self._is_overdue(now_ms))

    def is_current(self, asked: Asked, height: Height) -> bool:
        """Whether this height is expected of this range; not once another peer was asked for it."""
        return self._asked.get(height) is asked

    # --- what came of it ---

    def hold(self, asked: Asked, height: Height, raw: bytes, now_ms: int) -> None:
        """A peer sent a block that `is_current`."""
        del self._asked[height]
        self._held[height] = Held(asked.peer, raw)
        self._held_bytes += len(raw)
        self._watch_gap(now_ms)

    def ended(self, asked: Asked, now_ms: int, *, had_no_more: bool) -> None:
        """The peer sends no more of this range, because it has no more or for another reason."""
        rest = self._forget(asked)
        if rest and had_no_more:
            known = self._last_of.get(asked.peer, rest[0])
            self._last_of[asked.peer] = Height(min(known, rest[0] - 1))
        self._watch_gap(now_ms)

    def leave(self, peer: ReplicaId, now_ms: int, *, lied: bool) -> None:
        """The peer is asked for nothing more; of one that lied nothing is kept that was not applied."""
        self._left.add(peer)
        for asked in {asked for asked in self._asked.values() if asked.peer == peer}:
            self._forget(asked)
        if lied:
            for height in [height for height, held in self._held.items() if held.peer == peer]:
                self._held_bytes -= len(self._held.pop(height).raw)
                self._gap = min(self._gap, height)
        self._watch_gap(now_ms)

    def ready_from(self, height: Height) -> Iterator[tuple[Height, Held]]:
        """Held blocks without a gap, from a height on."""
        while (held := self._held.get(height)) is not None:
            yield height, held
            height = Height(height + 1)

    def applied(self, height: Height, now_ms: int) -> None:
        """All blocks up to this one are stored, wherever they came from."""
        for done in range(self._next, height + 1):
            held = self._held.pop(Height(done), None)
            if held is not None:
                self._held_bytes -= len(held.raw)
            self._asked.pop(Height(done), None)
        self._next = Height(max(self._next, height + 1))
        self._gap = max(self._gap, self._next)
        self._watch_gap(now_ms)

    # --- within ---

    @property
    def _end(self) -> int:
        """Nothing is asked for from this height on."""
        end = self._next + WINDOW_BLOCKS
        return end if self._closed_at is None else min(end, self._closed_at)

    def _has(self, peer: ReplicaId, height: Height) -> bool:
        """Whether the peer is one to ask for this height."""
        if peer in self._left:
            return False
        if peer in self._last_of and height > self._last_of[peer]:
            return False
        claimed = self._claimed_height(peer)
        return claimed == 0 or height <= claimed

    def _is_for(self, peer: ReplicaId, height: Height) -> bool:
        """As `_has`; a peer that was too slow has only what nobody else has."""
        if not self._has(peer, height):
            return False
        return peer not in self._slow or not any(
            self._has(other, height) for other in self._peers if other not in self._slow
        )

    def _lowest_missing(self, peer: ReplicaId) -> Height | None:
        for height in map(Height, range(self._gap, self._end)):
            if height not in self._asked and height not in self._held:
                return height if self._is_for(peer, height) else None
        return None

    def _missing_from(self, first: Height, peer: ReplicaId) -> list[Height]:
        heights = []
        for height in map(Height, range(first, min(first + RANGE_BLOCKS, self._end))):
            if height in self._asked or height in self._held or not self._has(peer, height):
                break
            heights.append(height)
        return heights

    def _is_held_up(self, peer: ReplicaId, now_ms: int) -> bool:
        asked = self._asked.get(self._gap)
        return asked is not None and asked.peer != peer and self._is_for(peer, self._gap) and self._is_overdue(now_ms)

    def _is_overdue(self, now_ms: int) -> bool:
        return self._gap_asked is not None and now_ms - self._gap_since_ms >= PATIENCE_MS

    def _take_away(self, asked: Asked) -> None:
        self._slow.add(asked.peer)
        self._forget(asked)

    def _forget(self, asked: Asked) -> list[Height]:
        """Heights of the range that did not come, from now on missing; ascending."""
        heights = map(Height, range(asked.first, asked.first + asked.count))
        rest = [height for height in heights if self._asked.get(height) is asked]
        for height in rest:
            del self._asked[height]
        return rest

    def _watch_gap(self, now_ms: int) -> None:
        """Notes since when the lowest height that is not here waits for the same range."""
        while self._gap in self._held:
            self._gap = Height(self._gap + 1)
        asked = self._asked.get(self._gap)
        if asked is not self._gap_asked:
            self._gap_asked, self._gap_since_ms = asked, now_ms

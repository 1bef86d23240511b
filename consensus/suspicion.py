"""When a replica loses patience with its primary, and how long it waits for a new view (docs/protocol.md C14, C16)."""

from __future__ import annotations

from collections import deque

from consensus.batching import MOST_REST_MS
from consensus.slot import Stage
from ledger.crypto.types import Height

BASE_TIMEOUT_MS = 1_000
MAX_TIMEOUT_MS = 32_000
SHORT_VIEW_MS = 1_500
"""A view that was left sooner, or in which no block was stored, or whose primary was too slow, makes the next timeout twice as long."""
RECOVERY_MS = 10_000
"""So long a time of blocks and no suspicion halves the timeout again."""
MAX_SLOW_PROPOSALS = 4
"""So many more late proposals than timely ones make a primary too slow."""
BLOCKS_FOR_OTHERS = 4
"""So many more blocks than can be in flight may go by without what waits, however long they take."""
MOST_TIMEOUTS = 4
"""Steps of the next block give a primary no more time than this in all, for what waits."""

_REMEMBERED = 256
"""Times at which the clock went on: of as many blocks, about."""
_EXCUSED = (Stage.CHECKING, Stage.DECIDED, Stage.EXECUTED, Stage.CERTIFIED)
"""The next block waits for this replica itself to check, execute or store it, or for seals, which a primary can't hold up."""


class Suspicion:
    """Measures one replica's primary against what is owed. All times are the replica's own clock.

    What ends in `_at` is by a clock that stands still while the next block waits for nothing that the primary does.
    """

    def __init__(self, heartbeat_ms: int, pipeline_depth: int, now_ms: int) -> None:
        self._heartbeat_ms = heartbeat_ms
        self._doublings = 0
        self._entered_ms = now_ms
        """When the view was entered."""
        self._excused_ms = 0
        """For how long that clock has stood still."""
        self._excused_since_ms: int | None = None
        """Up to when that is counted; None while the clock goes."""
        self._stood_still: deque[tuple[int, int]] = deque([(now_ms, 0)], maxlen=_REMEMBERED)
        """When it went on, and `_excused_ms` then; ascending."""
        self._entered_at = now_ms
        self._progress_at = now_ms
        """When the next block last came further, or the view was entered."""
        self._reached = Height(0), Stage.AWAITED
        """How far it has come in this view."""
        self._stored_ms: deque[int] = deque(maxlen=pipeline_depth + BLOCKS_FOR_OTHERS)
        """When the last blocks became durable here."""
        self._blocks_in_view = 0
        self._steady_ms = now_ms
        """Since when all has been well, or the timeout was last halved."""
        self._slowest_ms = 0
        """The latest proposal since then."""
        self._work_since_ms: int | None = None
        self._work_since_at = 0
        self._idle_since_ms: int | None = now_ms
        """Since when no proposal is open; None while one is."""
        self._slow = 0
        self._proven = False

    @property
    def timeout_ms(self) -> int:
        """How long a primary may owe something."""
        return min(BASE_TIMEOUT_MS << self._doublings, MAX_TIMEOUT_MS)

    def is_due(self, now_ms: int) -> bool:
        """Whether the primary is to be suspected."""
        deadline_ms = self.deadline_ms()
        return self._proven or self._slow >= MAX_SLOW_PROPOSALS or (deadline_ms is not None and now_ms >= deadline_ms)

    def deadline_ms(self) -> int | None:
        """When patience ends if nothing happens; None while the next block waits for nothing that the primary does."""
        since = [ms for ms in (self.owing_since_ms(), self._idle_until_ms()) if ms is not None]
        return min(since) + self.timeout_ms if since else None

    def owing_since_ms(self) -> int | None:
        """Since when the primary leaves this node's work undone, as far as that is the primary's fault; None if it does not."""
        if self._work_since_ms is None:
            return None
        since_ms = max(self._work_since_ms, self._entered_ms)
        if len(self._stored_ms) == self._stored_ms.maxlen and self._stored_ms[0] > since_ms:
            return since_ms
        if self._excused_since_ms is not None:
            return None
        since_at = max(self._work_since_at, self._entered_at)
        latest_at = since_at + (MOST_TIMEOUTS - 1) * self.timeout_ms
        return self._excused_ms + max(since_at, min(self._progress_at, latest_at))

    def _idle_until_ms(self) -> int | None:
        """When a block is due though nothing waits."""
        return self._excused_ms + self._progress_at + self._heartbeat_ms if self._excused_since_ms is None else None

    def next_block_is(self, height: Height, stage: Stage, now_ms: int) -> None:
        """How far the block above the last stored one has come."""
        self._count_excused(now_ms)
        if self._excused_ms > self._stood_still[-1][1]:
            self._stood_still.append((now_ms, self._excused_ms))
        if (height, stage) > self._reached:
            self._reached, self._progress_at = (height, stage), now_ms - self._excused_ms
        self._excused_since_ms = now_ms if stage in _EXCUSED else None

    def _count_excused(self, now_ms: int) -> None:
        if self._excused_since_ms is not None:
            self._excused_ms += now_ms - self._excused_since_ms
            self._excused_since_ms = now_ms

    def work_waits(self, since_ms: int | None, now_ms: int) -> None:
        """Since when the primary owes this node something."""
        self._count_excused(now_ms)
        self._work_since_ms = since_ms
        self._work_since_at = 0 if since_ms is None else since_ms - self._excused_until(since_ms)

    def _excused_until(self, then_ms: int) -> int:
        """For how long the clock had stood still at some time, as far as that is remembered."""
        return next((excused for ms, excused in reversed(self._stood_still) if ms <= then_ms), self._stood_still[0][1])

    def primary_proved_faulty(self) -> None:
        """The primary did what no correct one does."""
        self._proven = True

    def proposal_came(self, now_ms: int) -> None:
        """A proposal of the primary's own came: was it asked for long ago, with nothing else to wait for?"""
        if self._idle_since_ms is not None and self._work_since_ms is not None:
            owed_ms = max(self._idle_since_ms + MOST_REST_MS, self._work_since_ms, self._entered_ms)
            waited_ms = max(0, now_ms - owed_ms)
            self._slowest_ms = max(self._slowest_ms, waited_ms)
            self._slow = self._slow + 1 if 2 * waited_ms >= self.timeout_ms else max(0, self._slow - 1)
        self._idle_since_ms = None

    def proposals_open(self) -> None:
        """Something is in flight, so the primary need not propose at once."""
        self._idle_since_ms = None

    def block_stored(self, now_ms: int, nothing_open: bool) -> None:
        """A block became durable here."""
        self._stored_ms.append(now_ms)
        self._blocks_in_view += 1
        if nothing_open:
            self._idle_since_ms = now_ms
        if now_ms - self._steady_ms >= RECOVERY_MS:
            # Half the timeout must leave room for what the distance to the primary was seen to cost.
            if self._doublings > 0 and 4 * self._slowest_ms < self.timeout_ms // 2:
                self._doublings -= 1
            self._steady_ms = now_ms
            self._slowest_ms = 0

    def view_left(self, now_ms: int, *, lost_patience: bool) -> None:
        """The view was given up, be it entered or not; `lost_patience`: by this replica itself, not only by others."""
        was_short = self._blocks_in_view == 0 or now_ms - self._entered_ms < SHORT_VIEW_MS
        if lost_patience and (was_short or self._slow >= MAX_SLOW_PROPOSALS):
            self._doublings = min(self._doublings + 1, (MAX_TIMEOUT_MS // BASE_TIMEOUT_MS).bit_length() - 1)
        self._start_over(now_ms)

    def view_entered(self, now_ms: int) -> None:
        """A new view begins with a clean slate."""
        self._start_over(now_ms)

    def _start_over(self, now_ms: int) -> None:
        self._count_excused(now_ms)
        self._entered_ms = self._steady_ms = now_ms
        self._entered_at = self._progress_at = now_ms - self._excused_ms
        self._reached = Height(0), Stage.AWAITED
        self._blocks_in_view = 0
        self._slowest_ms = 0
        self._idle_since_ms = now_ms
        self._slow = 0
        self._proven = False

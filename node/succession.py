"""The core at work, what it is to hear, and the next epoch's in its place (docs/protocol.md M8, M9)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from consensus.events import BlockStored, Event, LastHeightKnown, PeerConnected
from consensus.votes import Checkpoint
from ledger.block import ExecutedBlock
from ledger.crypto.types import Height
from ledger.errors import Code, HuzhengError
from node.clock import NetworkClock
from node.consortium import Consortium
from node.peer_events import FromPeer
from node.seat import Core, Seat


class Succession:
    """One core at a time. Belongs to one loop, which hears of stored blocks in order, however far the store is ahead of it."""

    def __init__(self, seat: Seat, consortium: Consortium, clock: NetworkClock, now_ms: Callable[[], int]) -> None:
        """`now_ms`: the clock of the cores' timers."""
        self._seat = seat
        self._consortium = consortium
        self._clock = clock
        self._now_ms = now_ms
        self.events: deque[Event] = deque()
        """What the core is to take in next."""
        self.core: Core
        self.unknown_rules: HuzhengError | None = None
        """Why it only follows, though the chain names one of its keys: this software does not know the epoch's rules."""
        self._last_height: Height | None
        """Of the core's own epoch."""
        self._sit_down(at_start=True)

    def answer(self, core: Core, event: Event) -> bool:
        """Queues what a core asked for, and says whether; the next epoch's has not asked."""
        if core is not self.core:
            return False
        self.events.append(event)
        return True

    def stored(self, block: ExecutedBlock, certificate: bytes) -> bool:
        """Queues what a stored block means for the core; whether the block changed who belongs or who is to vote."""
        changed = self._consortium.stored(block)
        if changed:
            self._last_height = self._consortium.last_height_of(self.core.membership.epoch)
            if self._last_height is not None:
                # First, so that no slot is ever opened above it.
                self.events.append(LastHeightKnown(self._last_height))
        self.events.append(BlockStored(Checkpoint(block.height, block.block_hash, certificate)))
        return changed

    def ends_with(self, height: Height) -> bool:
        """Whether the core's epoch is over with this block."""
        return self._last_height is not None and height >= self._last_height

    def is_past(self, core: Core) -> bool:
        """Whether a core's epoch is over, be it that the loop has not heard so yet."""
        return core is not self.core or self._consortium.in_force.epoch != core.membership.epoch

    def enter_epoch(self) -> None:
        """The next block is another epoch's."""
        self._sit_down(at_start=False)

    def follow(self) -> None:
        """Goes on without a vote in the same epoch."""
        self._replace(self._seat.follow(self._now_ms()))

    def _sit_down(self, *, at_start: bool) -> None:
        self.unknown_rules = None
        try:
            self._replace(self._seat.take(self._now_ms(), at_start=at_start))
        except HuzhengError as error:
            if error.code is not Code.PROTOCOL_UNKNOWN:
                raise
            self.unknown_rules = error
            self.follow()
        self._last_height = self._consortium.last_height_of(self.core.membership.epoch)
        self._clock.follow(self.core.membership)

    def _replace(self, core: Core) -> None:
        """What peers say is for the core to come too; what the node answered or stored is the old one's affair."""
        self.core = core
        kept = [event for event in self.events if isinstance(event, FromPeer | PeerConnected)]
        self.events.clear()
        self.events.extend(kept)

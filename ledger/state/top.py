"""The upper part of the state tree: its sixteen levels from the root down to the slots, in memory (docs/protocol.md K2).

As in `ledger.state.records`, one thread changes it and others may read any height that is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ledger.crypto import Suite
from ledger.crypto.types import Height
from ledger.state.proof import EMPTY, NODE, TOP_LEVELS

SLOTS = 1 << TOP_LEVELS
_NO_CHILDREN = EMPTY + EMPTY


class Top:
    """By position: the root is at 1, the children of i at 2 i and 2 i + 1, the slots from SLOTS on."""

    def __init__(self, suite: Suite, slots: Mapping[int, bytes]) -> None:
        """`slots`: hashes of those that have any."""
        self._hash = suite.plain_hash
        self._nodes = [EMPTY] * (2 * SLOTS)
        self._undos: dict[Height, dict[int, bytes]] = {}
        """What each block changed, as it was before; ascending."""
        self._update(slots, {})

    @property
    def root(self) -> bytes:
        """After the newest block."""
        return self._nodes[1]

    def at(self, position: int, height: Height) -> bytes:
        """A hash as a block that is kept left it. From any thread."""
        found = self._nodes[position]
        for later in tuple(self._undos):
            undo = self._undos.get(later)
            if later > height and undo is not None and position in undo:
                return undo[position]
        return found

    def execute(self, height: Height, slots: Mapping[int, bytes]) -> None:
        """The next block changes the hashes of these slots."""
        undo = self._undos[height] = {}
        self._update(slots, undo)

    def revert(self, height: Height) -> None:
        """Takes the newest block back."""
        for position, before in self._undos[height].items():
            self._nodes[position] = before
        del self._undos[height]

    def changed_by(self, height: Height) -> int:
        """How many hashes are kept of what a block changed."""
        return len(self._undos.get(height, ()))

    def forget(self, height: Height) -> None:
        """What was before a block is not asked for any more."""
        self._undos.pop(height, None)

    def _update(self, slots: Mapping[int, bytes], undo: dict[int, bytes]) -> None:
        nodes, hash_ = self._nodes, self._hash
        changed: list[int] = []
        for slot in sorted(slots):
            position = SLOTS + slot
            undo[position] = nodes[position]
            nodes[position] = slots[slot]
            changed.append(position)
        for _ in range(TOP_LEVELS):
            changed = _parents(changed)
            for position in changed:
                children = nodes[2 * position] + nodes[2 * position + 1]
                undo[position] = nodes[position]
                nodes[position] = EMPTY if children == _NO_CHILDREN else hash_(NODE + children)


def _parents(positions: Iterable[int]) -> list[int]:
    """Each once; ascending, as the positions are."""
    return list(dict.fromkeys([position >> 1 for position in positions]))

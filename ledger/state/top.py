"""The upper part of the state tree: its sixteen levels from the root down to the slots, in memory (docs/protocol.md K2).

As in `ledger.state.records`, one thread changes it and others may read any height that is kept.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence

from ledger.crypto import HASH_BYTES, Suite
from ledger.crypto.types import Height
from ledger.state.noted import Noted
from ledger.state.proof import EMPTY, NODE, TOP_LEVELS

SLOTS = 1 << TOP_LEVELS
_PAIR_BYTES = 2 * HASH_BYTES


class Top:
    """By position: the root is at 1, the children of i at 2 i and 2 i + 1, the slots from SLOTS on."""

    def __init__(self, suite: Suite, slots: Mapping[int, bytes]) -> None:
        """`slots`: hashes of those that have any."""
        self._node_state = suite.plain_state(NODE)
        self._no_children = suite.plain_hash(NODE + EMPTY + EMPTY)
        # A map, as its slices are bytes; memory of its own, as nothing is to be looked for in the whole heap.
        self._hashes = mmap.mmap(-1, 2 * SLOTS * HASH_BYTES)
        self._undos: dict[Height, Noted] = {}
        """The pairs of hashes that each block changed, as they were before, by their parents' positions; ascending."""
        self._update(slots, Noted(_PAIR_BYTES))

    @property
    def root(self) -> bytes:
        """After the newest block."""
        return self._hashes[HASH_BYTES:_PAIR_BYTES]

    def root_at(self, height: Height) -> bytes:
        """The root as a block that is kept left it. From any thread."""
        return self._as_left((0,), height)[0][HASH_BYTES:]

    def walk(self, slot: int, height: Height) -> tuple[list[bytes], bool]:
        """The siblings on the way from the root to a slot as a block that is kept left them, and whether it has any leaf.

        They end at a level below which there is nothing. From any thread.
        """
        position = SLOTS + slot
        parents = [position >> level for level in range(TOP_LEVELS, 0, -1)]
        pairs = self._as_left((0, *parents), height)
        siblings: list[bytes] = []
        if pairs[0][HASH_BYTES:] == EMPTY:
            return siblings, False
        for depth, pair in enumerate(pairs[1:], 1):
            is_right = position >> (TOP_LEVELS - depth) & 1
            left, right = pair[:HASH_BYTES], pair[HASH_BYTES:]
            siblings.append(left if is_right else right)
            if (right if is_right else left) == EMPTY:
                return siblings, False
        return siblings, True

    def _as_left(self, parents: Sequence[int], height: Height) -> list[bytes]:
        """The pairs of hashes below these positions (below 0 the root alone, second) as a block that is kept left them."""
        # First: what is changed meanwhile is noted before.
        pairs = self._pairs(parents)
        missing = set(parents)
        for later in tuple(self._undos):
            undo = self._undos.get(later) if later > height else None
            if undo is None:
                continue
            for place, parent in enumerate(parents):
                if parent in missing:
                    before = undo.find(parent)
                    if before is not None:
                        pairs[place] = before
                        missing.discard(parent)
        return pairs

    def execute(self, height: Height, slots: Mapping[int, bytes]) -> None:
        """The next block changes the hashes of these slots."""
        undo = self._undos[height] = Noted(_PAIR_BYTES)
        self._update(slots, undo)

    def revert(self, height: Height) -> None:
        """Takes the newest block back."""
        for parent, pair in self._undos[height].items():
            self._hashes[_PAIR_BYTES * parent : _PAIR_BYTES * (parent + 1)] = pair
        del self._undos[height]

    def changed_by(self, height: Height) -> int:
        """How many pairs of hashes are kept of what a block changed."""
        return len(self._undos.get(height, ()))

    def forget(self, height: Height) -> None:
        """What was before a block is not asked for any more."""
        self._undos.pop(height, None)

    def _update(self, slots: Mapping[int, bytes], undo: Noted) -> None:
        positions: Sequence[int] = [SLOTS + slot for slot in slots]
        hashes: Sequence[bytes] = list(slots.values())
        for _ in range(TOP_LEVELS):
            positions = self._set(positions, hashes, undo)
            hashes = self._hash(positions)
        self._set(positions, hashes, undo)

    def _hash(self, parents: Sequence[int]) -> list[bytes]:
        """What they hash to, their children being what they are."""
        copy, hashes = self._node_state.copy, []
        for pair in self._pairs(parents):
            state = copy()
            state.update(pair)
            hashes.append(state.digest())
        if self._no_children in hashes:
            return [EMPTY if hash_ == self._no_children else hash_ for hash_ in hashes]
        return hashes

    def _set(self, positions: Sequence[int], hashes: Sequence[bytes], undo: Noted) -> Sequence[int]:
        """The positions of their parents, each once."""
        parents = list(dict.fromkeys([position >> 1 for position in positions]))
        undo.raws += b"".join(self._pairs(parents))
        undo.indexes.extend(parents)
        target = self._hashes
        for position, hash_ in zip(positions, hashes, strict=True):
            target[32 * position : 32 * position + 32] = hash_
        return parents

    def _pairs(self, parents: Sequence[int]) -> list[bytes]:
        hashes = self._hashes
        return [hashes[64 * parent : 64 * parent + 64] for parent in parents]

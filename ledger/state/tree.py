"""The state tree: a binary sparse Merkle tree over paths and digests (docs/protocol.md section 11, ADR 14).

The levels from the root down to the 65,536 slots are in memory, made again from the slots when the tree is opened; the tries below the
slots are in record files. What was before each of the newest blocks is kept for a while, so that proofs can be made for them too.
"""

from __future__ import annotations

from collections.abc import Mapping

from ledger.crypto import HASH_BYTES, Height, Suite
from ledger.errors import Code, HuzhengError
from ledger.state.leaves import Leaves
from ledger.state.proof import EMPTY, TOP_LEVELS, Walk, bit
from ledger.state.records import Records, RecordStorage
from ledger.state.top import SLOTS, Top
from ledger.state.trie import LEAF_BYTES, NODE_BYTES, SLOT_BYTES, Node, Tries, is_leaf

RECORD_SIZES: Mapping[str, int] = {"slots": SLOT_BYTES, "nodes": NODE_BYTES, "leaves": LEAF_BYTES}
"""Of each file, bytes of a record."""
MAX_KEPT = 200_000
"""Records and pairs of hashes that are kept of older blocks: some 16 MB, and 20 MB more where older blocks are asked about."""

Changed = Mapping[str, bytes]
"""Of each file the records that a block changed, each after its index (8 bytes)."""


class StateTree:
    """Blocks are executed one after the other, and stored in the same order. Only one thread does so; any may read."""

    def __init__(self, suite: Suite, storages: Mapping[str, RecordStorage], stored: Height, kept_blocks: int) -> None:
        """`storages`: one for each of RECORD_SIZES, as the block `stored` left it.

        `kept_blocks`: how many of the blocks before the last stored one can be asked about.
        """
        self._kept_blocks = kept_blocks
        self._files = {name: Records(storages[name]) for name in RECORD_SIZES}
        self._slots = self._files["slots"]
        self._tries = Tries(suite, self._slots, self._files["nodes"], self._files["leaves"])
        self._top = Top(suite, self._used_slots())
        self.executed = self.stored = self.oldest = stored
        self._kept = 0

    def close(self) -> None:
        """Closes the files."""
        for records in self._files.values():
            records.storage.close()

    def root(self, height: Height) -> bytes:
        """After a block. Raises HuzhengError(NOT_FOUND) if it is not kept."""
        self._require_kept(height)
        return self._top.root_at(height)

    # --- blocks ---

    def execute(self, height: Height, leaves: Leaves) -> bytes:
        """Sets paths to digests, or removes them (None), as the next block does; the root after it.

        Blocks from this height on that were executed before, and are not stored, are taken back.

        Raises:
            HuzhengError: STORE_CORRUPT if the tree is damaged where it was read. The block is not executed then.
        """
        if not self.stored < height <= self.executed + 1:
            raise ValueError(f"block {height} after block {self.executed}, stored {self.stored}")
        while self.executed >= height:
            self._revert()
        for records in self._files.values():
            records.begin(height)
        try:
            changed = self._tries.update(leaves)
        except BaseException:
            for records in self._files.values():
                records.revert(height)
            raise
        self._top.execute(height, changed)
        self.executed = height
        return self._top.root

    def changes(self, height: Height) -> Changed:
        """The records that a block changed, as it left them. There is room for them in the files when this returns.

        Raises:
            HuzhengError: STORE_DISK_FULL, STORE_WRITE_FAILED.
        """
        return {name: records.changes(height) for name, records in self._files.items()}

    def store(self, height: Height, changed: Changed) -> None:
        """The oldest executed block that is not stored yet is stored now. `changed`: its `changes`.

        Raises:
            HuzhengError: STORE_DISK_FULL, STORE_WRITE_FAILED.
        """
        if height != self.stored + 1 or height > self.executed:
            raise ValueError(f"block {height} stored after block {self.stored}, executed {self.executed}")
        for name, records in self._files.items():
            records.store(changed[name])
        self.stored = height
        self._kept += self._size(height)
        while self.oldest < height and (height - self.oldest > self._kept_blocks or self._kept > MAX_KEPT):
            self.oldest = Height(self.oldest + 1)
            self._kept -= self._size(self.oldest)
            for part in self._parts():
                part.forget(self.oldest)

    def flush(self) -> Height:
        """The last block that is stored now is on disk, with all before it, when this returns. From any thread.

        Raises:
            HuzhengError: STORE_DISK_FULL, STORE_WRITE_FAILED.
        """
        height = self.stored
        for records in self._files.values():
            records.storage.flush()
        return height

    def _revert(self) -> None:
        self._top.revert(self.executed)
        for records in self._files.values():
            records.revert(self.executed)
        self.executed = Height(self.executed - 1)

    def _size(self, height: Height) -> int:
        return sum(part.changed_by(height) for part in self._parts())

    def _parts(self) -> tuple[Records | Top, ...]:
        return (*self._files.values(), self._top)

    # --- proofs ---

    def walk(self, path: bytes, height: Height) -> Walk:
        """The way to a path in the tree after a block. From any thread.

        If the block ceases to be kept meanwhile, or the files are damaged, what comes out does not lead to its root.

        Raises:
            HuzhengError: NOT_FOUND if the block is not kept.
        """
        self._require_kept(height)
        slot = int.from_bytes(path[: TOP_LEVELS // 8], "big")
        siblings, is_used = self._top.walk(slot, height)
        if not is_used:
            return Walk(tuple(siblings), None)
        pointer = int.from_bytes(self._slots.at(slot, height)[HASH_BYTES:], "big")
        while pointer and not is_leaf(pointer) and len(siblings) < 8 * HASH_BYTES:
            node = Node.decode(self._files["nodes"].at(pointer >> 1, height))
            (pointer, _), (_, sibling) = (
                (node.right, node.left) if bit(path, len(siblings)) else (node.left, node.right)
            )
            siblings.append(sibling)
        if not pointer:
            return Walk(tuple(siblings), None)
        raw = self._files["leaves"].at(pointer >> 1, height)
        return Walk(tuple(siblings), (raw[:HASH_BYTES], raw[HASH_BYTES:]))

    def _require_kept(self, height: Height) -> None:
        if not self.oldest <= height <= self.executed:
            raise HuzhengError(Code.NOT_FOUND, f"the state at block {height}; kept are {self.oldest} to {self.stored}")

    # --- within ---

    def _used_slots(self) -> dict[int, bytes]:
        storage = self._slots.storage
        hashes = {slot: storage.read(slot)[:HASH_BYTES] for slot in storage.used() if slot < SLOTS}
        return {slot: hash_ for slot, hash_ in hashes.items() if hash_ != EMPTY}

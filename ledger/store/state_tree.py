"""The state tree's files beside the database, and what brings them up to its last block after a crash (docs/protocol.md S11).

A block's write has the records that it changes in the files. They are written there once that is durable, and the system brings them to the
disk when it likes; now and then `flush` makes sure of it, and the changes up to there are not needed any more.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from huzheng.v1 import store_pb2

from ledger.block import ExecutedBlock, Tip
from ledger.crypto import Height, Suite, strict
from ledger.errors import Code, HuzhengError
from ledger.state import SEEN_PREFIX, Leaves, leaf_digest, leaf_path
from ledger.state.proof import Walk
from ledger.state.record_file import RecordFile
from ledger.state.records import RecordStorage, split
from ledger.state.tree import RECORD_SIZES, Changed, StateTree
from ledger.store import layout
from ledger.store.engine import Batch, Engine

DIRECTORY = "tree"
FLUSH_BYTES = 32 * 1024 * 1024
"""Of changes, after which the files should be flushed. As much is done again after a crash, in some seconds."""
KEPT_BLOCKS = 64
"""Blocks before the last one for which proofs can be made."""
_BUILD_KEYS = 10_000
"""How many keys are put into a new tree at a time."""

OpenFiles = Callable[[], Mapping[str, RecordStorage]]


def files_in(directory: Path) -> OpenFiles:
    """Opens the record files in a directory, making it if it is missing."""

    def open_files() -> Mapping[str, RecordStorage]:
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise HuzhengError(Code.STORE_ACCESS, f"{directory}: {error.strerror}") from error
        return {name: RecordFile(directory / name, size) for name, size in RECORD_SIZES.items()}

    return open_files


def remove_files(directory: Path) -> None:
    """So that they are made anew. Nothing is lost: they follow from the state."""
    shutil.rmtree(directory, ignore_errors=True)


class StoredTree:
    """The tree of an open database."""

    def __init__(self, engine: Engine, tree: StateTree, marked: Height, unflushed_bytes: int = 0) -> None:
        """`unflushed_bytes`: of the changes after the block `marked`."""
        self._engine = engine
        self._tree = tree
        self._marked = marked
        """The last block that `!tree` says is on disk."""
        self._flushed = marked
        self._unflushed_bytes = unflushed_bytes
        self._changed: dict[Height, Changed] = {}

    def close(self) -> None:
        """Closes the files."""
        self._tree.close()

    def root_after(self, height: Height, leaves: Leaves) -> bytes:
        """As `LedgerState.root_after`."""
        try:
            return self._tree.execute(height, leaves)
        except HuzhengError:
            # The next start makes it anew.
            _forget_mark(self._engine)
            raise

    def root(self, height: Height) -> bytes:
        """After a block that is kept. Raises HuzhengError(NOT_FOUND)."""
        return self._tree.root(height)

    def keeps(self, height: Height) -> bool:
        """Whether proofs can be made for a block that was stored."""
        return height >= self._tree.oldest

    def walk(self, path: bytes, height: Height) -> Walk:
        """As `StateTree.walk`."""
        return self._tree.walk(path, height)

    def put(self, batch: Batch, block: ExecutedBlock) -> None:
        """Adds to a block's write what brings the files up to it. `stored` is to follow.

        Raises:
            HuzhengError: STORE_DISK_FULL, STORE_WRITE_FAILED.
            RuntimeError: the block's root is not that of the tree: a bug.
        """
        tree = self._tree
        if tree.executed < block.height or tree.root(block.height) != block.tip.state_root:
            tree.execute(block.height, block.leaves)
        if tree.root(block.height) != block.tip.state_root:
            raise RuntimeError(f"block {block.height} has another state root than its changes make")
        changed = self._changed[block.height] = tree.changes(block.height)
        raw = strict.write(store_pb2.StoredTreeChanges(**changed))
        self._unflushed_bytes += len(raw)
        batch.put(layout.tree_changes_key(block.height), raw)
        if self._flushed > self._marked:
            _mark(batch, self._marked, self._flushed)
            self._marked = self._flushed

    def stored(self, height: Height) -> None:
        """The block is durable. Raises HuzhengError(STORE_DISK_FULL, STORE_WRITE_FAILED)."""
        self._tree.store(height, self._changed.pop(height))

    @property
    def is_flush_due(self) -> bool:
        """Whether `flush` should be called."""
        return self._unflushed_bytes >= FLUSH_BYTES

    def flush(self) -> None:
        """Sees to it that a crash costs little. From any thread, one at a time; takes as long as the disk does.

        Raises:
            HuzhengError: STORE_DISK_FULL, STORE_WRITE_FAILED.
        """
        self._unflushed_bytes = 0
        self._flushed = self._tree.flush()


def open_tree(
    engine: Engine,
    suite: Suite,
    tip: Tip,
    open_files: OpenFiles,
    remove: Callable[[], None],
    kept_blocks: int = KEPT_BLOCKS,
) -> StoredTree:
    """The tree as the last block left it: its files brought up to date, or made anew from the state if that does not lead to the block's root.

    Raises:
        HuzhengError: STORE_CORRUPT if the state does not lead there either; STORE_ACCESS, STORE_DISK_FULL, STORE_WRITE_FAILED.
    """
    mark = engine.get(layout.TREE_KEY)
    if mark is not None:
        files = open_files()
        try:
            unflushed_bytes = _write_again(engine, files)
            tree = StateTree(suite, files, tip.height, kept_blocks)
        except BaseException:
            _close(files)
            raise
        if tree.root(tip.height) == tip.state_root:
            return StoredTree(engine, tree, layout.decode_height(mark), unflushed_bytes)
        tree.close()
    return _make_anew(engine, suite, tip, open_files, remove, kept_blocks)


def _write_again(engine: Engine, files: Mapping[str, RecordStorage]) -> int:
    """In their order, so that of each record the last one stays. How many bytes of changes there are."""
    size = 0
    for _, raw in engine.scan(layout.TREE_CHANGES, layout.after_prefix(layout.TREE_CHANGES), fill_cache=False):
        changes = strict.read(store_pb2.StoredTreeChanges, raw)
        for name, storage in files.items():
            try:
                records = list(split(getattr(changes, name), storage.size))
            except struct.error as error:
                raise HuzhengError(Code.STORE_CORRUPT, "changes of the state tree") from error
            storage.reserve(1 + max((index for index, _ in records), default=-1))
            storage.write(records)
        size += len(raw)
    return size


def _make_anew(
    engine: Engine, suite: Suite, tip: Tip, open_files: OpenFiles, remove: Callable[[], None], kept_blocks: int
) -> StoredTree:
    _forget_mark(engine)
    remove()
    files = open_files()
    try:
        _fill(engine, suite, files)
        for storage in files.values():
            storage.flush()
        tree = StateTree(suite, files, tip.height, kept_blocks)
        if tree.root(tip.height) != tip.state_root:
            raise HuzhengError(Code.STORE_CORRUPT, f"the state does not lead to the state root of block {tip.height}")
    except BaseException:
        _close(files)
        raise
    batch = engine.batch()
    batch.put(layout.TREE_KEY, layout.encode_height(tip.height))
    for key, _ in engine.scan(layout.TREE_CHANGES, layout.after_prefix(layout.TREE_CHANGES), fill_cache=False):
        batch.delete(key)
    batch.write()
    return StoredTree(engine, tree, tip.height)


def _fill(engine: Engine, suite: Suite, files: Mapping[str, RecordStorage]) -> None:
    tree, height = StateTree(suite, files, Height(0), 0), Height(0)
    for leaves in _leaves(engine, suite):
        height = Height(height + 1)
        tree.execute(height, leaves)
        tree.store(height, tree.changes(height))


def _leaves(engine: Engine, suite: Suite) -> Iterator[dict[bytes, bytes | None]]:
    leaves: dict[bytes, bytes | None] = {}
    for stored_key, value in engine.scan(layout.STATE, layout.after_prefix(layout.STATE), fill_cache=False):
        key = stored_key[1:]
        if key.startswith(SEEN_PREFIX):
            continue
        leaves[leaf_path(suite, key)] = leaf_digest(suite, key, value)
        if len(leaves) == _BUILD_KEYS:
            yield leaves
            leaves = {}
    yield leaves


def _forget_mark(engine: Engine) -> None:
    batch = engine.batch()
    batch.delete(layout.TREE_KEY)
    batch.write()


def _mark(batch: Batch, before: Height, height: Height) -> None:
    batch.put(layout.TREE_KEY, layout.encode_height(height))
    for flushed in range(before + 1, height + 1):
        batch.delete(layout.tree_changes_key(flushed))


def _close(files: Mapping[str, RecordStorage]) -> None:
    for storage in files.values():
        storage.close()

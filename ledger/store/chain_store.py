"""A node's database: grows block by block, each in one atomic and synchronous write (docs/protocol.md section 7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from huzheng.v1 import store_pb2

from ledger.block import ExecutedBlock, Tip, read_header
from ledger.crypto import Height, strict
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.state import HEADS_PREFIX, SEEN_PREFIX, Leaves
from ledger.statement import Question
from ledger.stating import Source, build_statement
from ledger.store import layout
from ledger.store.audit_writing import AuditWriter
from ledger.store.engine import Batch, Engine, Entry, Reader
from ledger.store.expunging import Expunging
from ledger.store.high_water import HighWater
from ledger.store.opening import OpenedStore, create_scratch, open_store, read_tip
from ledger.store.reader import ChainReader
from ledger.store.state_tree import StoredTree
from ledger.store.stored_state import LastHeads, StoredState
from ledger.store.verified import VerifiedCache
from ledger.store.votes import VoteLog
from ledger.store.writing import put_block

_STATEMENT_TRIES = 3
_SCRUB_WAIT_S = 30.0
"""For so long who reads meanwhile may hold a scrub up; it is tried again later then."""


class ExecutableState(StoredState):
    """The state after the last stored block, with its tree: a `ledger.state.LedgerState`."""

    __slots__ = ("_tree",)

    def __init__(self, engine: Engine, tree: StoredTree) -> None:
        super().__init__(engine)
        self._tree = tree

    def root_after(self, height: Height, leaves: Leaves) -> bytes:
        """As `LedgerState.root_after`. In the thread that appends blocks."""
        return self._tree.root_after(height, leaves)


class ChainStore(ChainReader):
    """The stored chain and the vote log.

    Reads may come from any thread at any time. One thread appends blocks, another may write votes meanwhile. After a
    write that failed the store only reads: what LevelDB holds is consistent, but only opening it anew tells what is in
    it.
    """

    def __init__(self, path: Path, genesis: Genesis, opened: OpenedStore) -> None:
        super().__init__(genesis, opened.engine, opened.tip, opened.counts, VerifiedCache())
        self.path = path
        self._engine: Engine = opened.engine
        self._tree = opened.tree
        self.state: ExecutableState = ExecutableState(opened.engine, opened.tree)
        self._last_heads = LastHeads(_last_heads_key(opened.engine))
        self._high_water: HighWater | None = opened.high_water
        self._votes = VoteLog(opened.engine)
        self._failure: HuzhengError | None = None
        self._is_scrub_due = self._next_mark() is not None

    @classmethod
    def open(cls, path: Path, genesis: Genesis, *, create: bool = True) -> ChainStore:
        """Opens the database in a directory, which nothing else may have open; makes it first, if `create`.

        Raises:
            HuzhengError: STORE_ACCESS, STORE_FOREIGN, STORE_LOCKED, STORE_CORRUPT, STORE_ROLLED_BACK, STORE_VERSION,
                STORE_WRONG_CHAIN, STORE_DISK_FULL.
        """
        store = cls(path, genesis, open_store(path, genesis, create=create))
        try:
            if store.is_scrub_due:
                # A crash came in between.
                store.scrub()
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def scratch(cls, path: Path, genesis: Genesis) -> ChainStore:
        """A new database in an empty directory, to be thrown away: its writes are not synchronous."""
        return cls(path, genesis, create_scratch(path, genesis))

    def append(self, block: ExecutedBlock, certificate: bytes) -> None:
        """As `append_all`, of one block."""
        self.append_all([(block, certificate)])

    def append_all(self, certified: Sequence[tuple[ExecutedBlock, bytes]]) -> None:
        """Makes the next blocks durable with all that follows from them, in one write, and trims the vote log up to them.

        Raises:
            HuzhengError: STORE_DISK_FULL or STORE_WRITE_FAILED; nothing of the blocks is stored then, and no later write
                is tried.
            RuntimeError: a block does not follow the one before: a bug.
        """
        self._check_usable()
        batch, tip, counts = self._engine.batch(), self._tip, self._counts
        placed: set[bytes] = set()
        audit = AuditWriter(batch, self._reader, self._genesis.suite)
        expunging = Expunging(self._reader, [block for block, _ in certified])
        for block, certificate in certified:
            _check_follows(tip, block)
            self._put_tree(batch, block)
            counts = put_block(batch, self._reader, counts, block, certificate, placed, audit, expunging)
            tip = block.tip
        expunging.put_orders(batch, tip.height)
        self._votes.trim(batch, tip.height)
        for block, _ in certified:
            self._raise_last_heads(block)
        self._write(batch)
        if expunging.touched:
            self._cache.forget_transactions()
            self._is_scrub_due = True
        for block, _ in certified:
            self._write_tree(block.height)
        self._counts = counts
        self._tip = tip
        for block, _ in certified:
            self._raise_seen_floor(block)
        if self._high_water is not None:
            self._high_water.note_height(tip.height)

    def write_votes(self, entries: Sequence[Entry]) -> None:
        """Makes vote log entries durable together.

        Raises HuzhengError: STORE_DISK_FULL or STORE_WRITE_FAILED; none of them may be acted upon then.
        """
        self._check_usable()
        try:
            count = self._votes.write(entries)
        except HuzhengError as error:
            self._failure = error
            raise
        if self._high_water is not None:
            self._high_water.note_vote_writes(count)

    def votes(self) -> list[Entry]:
        """All vote log entries, in ascending order of keys."""
        return self._votes.entries()

    @contextmanager
    def snapshot(self) -> Iterator[ChainReader]:
        """The chain as it is now, whatever is appended meanwhile: for reads that must agree. For moments only."""
        # The tip first: the snapshot may have a block more, never one less.
        tip, counts, generation = self._tip, self._counts, self._cache.generation
        with self._engine.snapshot() as snapshot:
            yield ChainReader(self._genesis, snapshot, tip, counts, self._cache, generation, self._last_heads)

    @contextmanager
    def frozen(self) -> Iterator[tuple[ChainReader, Reader]]:
        """The chain and the whole database at one moment, whatever is appended meanwhile; for as long as it takes to copy it."""
        with self._engine.snapshot() as snapshot:
            tip, counts = read_tip(snapshot, self._genesis)
            yield ChainReader(self._genesis, snapshot, tip, counts, VerifiedCache()), snapshot

    @property
    def is_tree_flush_due(self) -> bool:
        """Whether `flush_tree` should be called."""
        return self._tree.is_flush_due

    def flush_tree(self) -> None:
        """Brings the state tree's files to the disk, so that a start after a crash is quick (S11). From any thread, one at a time.

        Raises:
            HuzhengError: STORE_DISK_FULL, STORE_WRITE_FAILED.
        """
        self._tree.flush()

    @property
    def lacks_payloads(self) -> bool:
        """Whether a payload is missing that nobody has ordered to be removed so far (E4)."""
        return next(self._engine.scan(layout.LACKING, layout.after_prefix(layout.LACKING)), None) is not None

    @property
    def is_scrub_due(self) -> bool:
        """Whether `scrub` should be called: payloads were removed, and their bytes are in LevelDB's files still."""
        return self._is_scrub_due

    def scrub(self) -> None:
        """Removes from the files what was removed from the database (S13); takes seconds. From any thread, one at a time.

        Raises:
            HuzhengError: STORE_DISK_FULL, STORE_WRITE_FAILED; a mark stays, and it is done when the database is opened again.
        """
        # First, so that what is appended meanwhile makes it due again.
        self._is_scrub_due = False
        marks = list(self._engine.scan(layout.SCRUB, layout.after_prefix(layout.SCRUB)))
        heights = {value[start : start + 8] for _, value in marks for start in range(0, len(value), 8)}
        ranges = [layout.transactions_range(layout.decode_height(height)) for height in sorted(heights)]
        if not self._engine.scrub([*ranges, layout.VOTES_RANGE], _SCRUB_WAIT_S):
            self._is_scrub_due = True
            return
        batch = self._engine.batch()
        for key, _ in marks:
            batch.delete(key)
        batch.write()

    def stop_scrub(self) -> None:
        """As the store is to be closed: a scrub in hand ends soon, and its marks stay. From any thread."""
        self._engine.stop_scrub()

    def _next_mark(self) -> Entry | None:
        return next(self._engine.scan(layout.SCRUB, layout.after_prefix(layout.SCRUB)), None)

    def statement(
        self, questions: Iterable[Question], keys: Iterable[bytes] = (), *, with_records: bool = False
    ) -> bytes:
        """What is the newest about subjects, what keys of the state have, and what there is not, as of the last block. From any thread.

        Raises:
            HuzhengError: NOT_READY before block 1, and while blocks go on faster than a statement is made; UNKNOWN_RESOURCE,
                INVALID_REQUEST if a key is that of heads or a seen id, TOO_LARGE, STORE_CORRUPT.
        """
        asked, wanted = list(questions), list(keys)
        for _ in range(_STATEMENT_TRIES):
            height, statement = self._statement(asked, wanted, with_records)
            if statement is not None:
                return statement
        raise HuzhengError(Code.NOT_READY, f"block {height} is not kept any more")

    def _statement(
        self, questions: Sequence[Question], keys: Sequence[bytes], with_records: bool
    ) -> tuple[Height, bytes | None]:
        """None if the block whose state it is about ceased to be kept meanwhile."""
        generation = self._cache.generation
        with self._engine.snapshot() as snapshot:
            # The tip that the snapshot has, which may be a block ahead of what was noted.
            height = Height(strict.read(store_pb2.StoredTip, snapshot.get(layout.TIP_KEY) or b"").height)
            if not height:
                raise HuzhengError(Code.NOT_READY, "no block is sealed yet")
            chain = ChainReader(self._genesis, snapshot, self._tip, self._counts, self._cache, generation)
            # A block is executed before it is stored, so the tree has what the snapshot has.
            source = Source(
                chain.header(height),
                chain.certificate(height),
                chain.state,
                lambda path: self._tree.walk(path, height),
                chain.contents if with_records else None,
            )
            try:
                return height, build_statement(self._genesis, source, questions, keys)
            except HuzhengError:
                # What was read of the tree then is not of this block, and looks damaged.
                if self._tree.keeps(height):
                    raise
                return height, None

    def entries(self) -> Iterator[Entry]:
        """The whole database, key by key in ascending order."""
        return self._engine.scan(b"", fill_cache=False)

    def close(self) -> None:
        """Unlocks the database. No other thread may be using it."""
        self._engine.close()
        self._tree.close()
        if self._high_water is not None:
            self._high_water.close()
            self._high_water = None

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise HuzhengError(self._failure.code, f"an earlier write failed: {self._failure.detail}")

    def _write(self, batch: Batch) -> None:
        try:
            batch.write()
        except HuzhengError as error:
            self._failure = error
            raise

    def _put_tree(self, batch: Batch, block: ExecutedBlock) -> None:
        try:
            self._tree.put(batch, block)
        except HuzhengError as error:
            self._failure = error
            raise

    def _write_tree(self, height: Height) -> None:
        try:
            self._tree.stored(height)
        except HuzhengError as error:
            self._failure = error
            raise

    def _raise_seen_floor(self, block: ExecutedBlock) -> None:
        dropped = [key for key, value in block.changes.items() if value is None and key.startswith(SEEN_PREFIX)]
        if dropped:
            self.state.skip_seen_below(max(dropped))

    def _raise_last_heads(self, block: ExecutedBlock) -> None:
        """Before the block can be read: what there is must be looked for."""
        heads = [key for key in block.changes if key[:1] == HEADS_PREFIX]
        self._last_heads.key = max([self._last_heads.key, *heads])


def _last_heads_key(engine: Engine) -> bytes:
    start = layout.STATE + HEADS_PREFIX
    try:
        found = engine.last_key(start, layout.after_prefix(start))
    except HuzhengError:
        # Whoever reads what is damaged there is told so; all heads are looked for.
        return layout.after_prefix(HEADS_PREFIX)
    return b"" if found is None else found[len(layout.STATE) :]


def _check_follows(tip: Tip, block: ExecutedBlock) -> None:
    header = read_header(block.header)
    if header.height != block.height or block.height != tip.height + 1:
        raise RuntimeError(f"block {block.height} appended after block {tip.height}")
    if header.parent_hash != tip.block_hash:
        raise RuntimeError(f"block {block.height} has another parent than the stored one")

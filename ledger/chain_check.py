"""Checks a whole database from nothing but the genesis (docs/protocol.md S9).

Every block is proven, executed again and stored anew in a scratch database; then the two are compared key by key. What
is not in a block can thus not differ unseen: an index, a state entry, a count, an entry too many.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from huzheng.v1 import consensus_pb2

from ledger.block_apply import apply_block, prove_block
from ledger.crypto import Height, strict
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.store import ChainStore, Entry, layout

Progress = Callable[[int, int], None]
"""Called with how many blocks are checked, and how many there are."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a checked database holds."""

    height: Height
    block_hash: bytes
    state_root: bytes
    time_ms: int
    transactions: int
    records: int
    entries: int
    """Keys compared, those of the vote log not included."""
    votes: int


def verify_chain(
    store: ChainStore,
    genesis: Genesis,
    progress: Progress = lambda _done, _total: None,
    *,
    scratch_in: Path | None = None,
) -> Summary:
    """Checks every byte of an open database that nothing writes to meanwhile.

    Takes about as much disk again, for the time of the check, in `scratch_in` (by default beside the database: where
    temporary files go is often memory), and memory for one block.

    Raises:
        HuzhengError: CHAIN_FAULT with the first fault found and where it is; STORE_DISK_FULL, STORE_WRITE_FAILED or
            STORE_ACCESS where it is the scratch database that fails.
    """
    try:
        scratch_directory = tempfile.TemporaryDirectory(
            prefix=f"{store.path.name}-verify-", dir=scratch_in or store.path.parent
        )
    except OSError as error:
        raise HuzhengError(Code.STORE_ACCESS, f"no place for the check: {error.strerror}") from error
    with scratch_directory as directory:
        scratch = ChainStore.scratch(Path(directory) / "scratch", genesis)
        try:
            entries = rebuild_and_compare(store, scratch, genesis, progress)
        finally:
            scratch.close()
    tip = store.tip
    return Summary(
        height=tip.height,
        block_hash=tip.block_hash,
        state_root=tip.state_root,
        time_ms=tip.time_ms,
        transactions=store.transaction_count,
        records=store.record_count,
        entries=entries,
        votes=_check_votes(store),
    )


def rebuild_and_compare(store: ChainStore, scratch: ChainStore, genesis: Genesis, progress: Progress) -> int:
    """Makes all blocks anew in an empty database and compares every key. Returns how many keys there are.

    Raises:
        HuzhengError: as `verify_chain`.
    """
    _rebuild(store, scratch, genesis, progress)
    count = _compare(store, scratch)
    for key, value in _entries_of(scratch):
        if key.startswith(layout.LACKING):
            # E4: whoever handed the block on has left it out.
            raise _fault(f"{_describe((key, value))}: somebody has left it out")
    return count


def _rebuild(store: ChainStore, scratch: ChainStore, genesis: Genesis, progress: Progress) -> None:
    total = store.tip.height
    for height in range(1, total + 1):
        try:
            raw = store.block(Height(height))
            block = prove_block(genesis, scratch.membership_at(Height(height)), raw)
            apply_block(scratch, genesis, block, None)
            if scratch.is_tree_flush_due:
                scratch.flush_tree()
        except HuzhengError as error:
            if error.code in (Code.STORE_DISK_FULL, Code.STORE_WRITE_FAILED):
                raise
            raise _fault(f"block {height}: {error.code}, {error.detail}") from error
        progress(height, total)


def _compare(store: ChainStore, scratch: ChainStore) -> int:
    """Walks both databases in step; memory use does not depend on their size."""
    expected, found = _entries_of(scratch), _entries_of(store)
    count = 0
    want, have = next(expected, None), next(found, None)
    while want is not None and have is not None and want[0] == have[0]:
        if want[1] != have[1]:
            raise _fault(f"{_describe(want)}: its value is not what the blocks make of it")
        count += 1
        want, have = next(expected, None), next(found, None)
    if want is not None and (have is None or want[0] < have[0]):
        raise _fault(f"{_describe(want)}: it is missing")
    if have is not None:
        raise _fault(f"{_describe(have)}: it does not follow from the blocks")
    return count


def _describe(entry: Entry) -> str:
    """What kind of entry it is, and of which block where that can be told. Never its key: a subject may be in it."""
    key, value = entry
    kind = layout.KINDS.get(key[:1], "entry of no known kind")
    height = layout.height_in(key, value)
    return kind if height is None else f"{kind} of block {height}"


def _fault(detail: str) -> HuzhengError:
    return HuzhengError(Code.CHAIN_FAULT, detail)


def _entries_of(store: ChainStore) -> Iterator[Entry]:
    """All entries that follow from the blocks."""
    try:
        for key, value in store.entries():
            if not layout.is_own(key):
                yield key, value
    except HuzhengError as error:
        raise _fault(f"reading on fails: {error.detail}") from error


def _check_votes(store: ChainStore) -> int:
    """The vote log can be read, and holds nothing but view, proposals, prepared slots and seals."""
    try:
        votes = store.votes()
    except HuzhengError as error:
        raise _fault(f"vote log: {error.detail}") from error
    for key, value in votes:
        where = f"vote log entry for sequence {int.from_bytes(key[: layout.VOTE_SEQUENCE_BYTES], 'big')}"
        try:
            entry = strict.read(consensus_pb2.VoteLogEntry, value)
        except HuzhengError:
            raise _fault(f"{where} is not in strict form") from None
        if len(key) < layout.VOTE_SEQUENCE_BYTES or entry.WhichOneof("entry") is None:
            raise _fault(f"{where} says nothing")
    return len(votes)

"""Copies of a database for backups (docs/protocol.md S14): all that follows from the blocks, and what the copy's votes are.

The vote log is not copied: it grows on after the copy, so that whoever voted by the copy could contradict what was signed since.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ledger.block import Tip
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.store import layout
from ledger.store.chain_store import ChainStore
from ledger.store.engine import Engine, Entry, Reader
from ledger.store.opening import read_tip
from ledger.store.reader import ChainReader

OnEntries = Callable[[int, int], None]
"""Called with how many entries are done, and how many there are, roughly where that is not known. What it raises ends the work."""
VotesOf = Callable[[ChainReader], Sequence[Entry]]

_ENTRIES_A_BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class ChainCopy:
    """What a copy holds."""

    tip: Tip
    entries: int


def copy_chain(
    store: ChainStore, genesis: Genesis, target: Path, votes_of: VotesOf, on_entries: OnEntries
) -> ChainCopy:
    """Writes the database as it is now to a new directory, while it goes on being used, and reads the copy back.

    `votes_of`: the entries that the copy's vote log is to have, given the chain as it is in the copy.

    Raises:
        HuzhengError: STORE_CORRUPT, STORE_ACCESS, STORE_DISK_FULL, STORE_WRITE_FAILED; STORE_WRITE_FAILED too if the copy does not say
            what was written.
    """
    target.mkdir(mode=0o700)
    with store.frozen() as (chain, reader):
        copy = Engine.open(target, create=True, sync=False)
        try:
            digest, count = _write(reader, copy, _estimate(chain), on_entries)
            _write_votes(copy, votes_of(chain))
        finally:
            copy.close()
    _sync_all(target)
    return ChainCopy(_read_back(target, genesis, digest, count, on_entries), count)


def _write(source: Reader, copy: Engine, estimate: int, on_entries: OnEntries) -> tuple[bytes, int]:
    digest, count, batch = _new_digest(), 0, copy.batch()
    for key, value in _copied(source):
        batch.put(key, value)
        _add(digest, key, value)
        count += 1
        if count % _ENTRIES_A_BATCH == 0:
            batch.write()
            batch = copy.batch()
            on_entries(count, max(count, estimate))
    batch.write()
    return digest.digest(), count


def _write_votes(copy: Engine, votes: Sequence[Entry]) -> None:
    if not votes:
        return
    batch = copy.batch()
    for key, value in votes:
        batch.put(layout.VOTE + key, value)
    batch.put(layout.VOTE_WRITES_KEY, layout.encode_height(1))
    batch.write()


def _read_back(target: Path, genesis: Genesis, written: bytes, entries: int, on_entries: OnEntries) -> Tip:
    copy = Engine.open(target, create=False)
    try:
        digest, count = _new_digest(), 0
        for key, value in _copied(copy):
            _add(digest, key, value)
            count += 1
            if count % _ENTRIES_A_BATCH == 0:
                on_entries(count, max(count, entries))
        if (digest.digest(), count) != (written, entries):
            raise HuzhengError(Code.STORE_WRITE_FAILED, f"{target}: it reads back otherwise than it was written")
        return read_tip(copy, genesis)[0]
    finally:
        copy.close()


def _copied(source: Reader) -> Iterator[Entry]:
    return (entry for entry in source.scan(b"", fill_cache=False) if not layout.is_own(entry[0]))


def _estimate(chain: ChainReader) -> int:
    """A block has some five entries, a transaction two, a record three."""
    return 5 * chain.tip.height + 2 * chain.transaction_count + 3 * chain.record_count


def _new_digest() -> Any:
    return hashlib.blake2b(digest_size=32)


def _add(digest: Any, key: bytes, value: bytes) -> None:
    digest.update(len(key).to_bytes(4, "big") + key + len(value).to_bytes(4, "big") + value)


def _sync_all(directory: Path) -> None:
    for path in directory.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())

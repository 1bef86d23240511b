"""Makes a stopped node's database anew from its peers, because it is damaged, lost, or holds another chain than theirs.

The new one grows beside the old one, which is put aside, never deleted, once the new one is whole; a rebuild that was interrupted goes on where
it was. What was signed is in the old database alone. If that can be read, its vote log is taken over, which is safe because the new database
has at least the height of the old one: whatever the old log had trimmed is at or below it, where nothing is signed any more (C10).
Otherwise nobody knows what its key has signed, and the new log says that the key has ended (C18): the node follows without a vote.

Once whole it has a name of its own, so that a power failure between putting the old one aside and taking its place costs nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc

from consensus.events import FetchBlocks
from consensus.vote_log import ended_entry
from ledger.block_apply import CheckedBlock, check_block
from ledger.crypto import Height, ReplicaId
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.store import ChainStore
from node.config import NodeConfig
from node.consortium import Consortium
from node.fetch import BlockFetcher, FetchParts
from node.ledger_worker import LedgerWorker
from node.peer_book import PeerBook
from node.peers import Peer
from node.private_file import sync_directory
from node.server import max_message_bytes
from node.tls import channel_credentials, channel_options, load_material, own_authority

UNREADABLE = (Code.STORE_CORRUPT, Code.STORE_ROLLED_BACK)
"""What may be wrong with a database that is to be put aside; anything else is no reason to put it aside."""
_SEQUENCE_BYTES = 8

OnProgress = Callable[[Height], None]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What came of it."""

    height: Height
    block_hash: bytes
    fetched: int
    """Blocks that peers sent."""
    taken_over: int
    """Blocks that no peer had and the old database did."""
    aside: Path | None
    """Where the old database is now; None if there was none."""
    votes: int | None
    """Entries of the vote log that was taken over; None if it was lost."""
    reason: HuzhengError | None
    """Why it was lost, if the database was there."""
    differs_from: Height | None
    """The first height at which the old chain was another one."""


def rebuild(config: NodeConfig, genesis: Genesis, on_progress: OnProgress) -> Rebuilt:
    """Rebuilds the database of a node that is not running.

    Raises:
        HuzhengError: REBUILD_INCOMPLETE; STORE_LOCKED if the node runs; other STORE_… of which the database is not the cause; TLS_….
    """
    data = config.node.data
    finish_interrupted(data)
    growing, whole = _growing(data), _whole(data)
    with ExitStack() as stack:
        old, reason = _open_old(data, genesis)
        if old is not None:
            stack.callback(old.close)
        new = ChainStore.open(growing, genesis)
        stack.callback(new.close)
        before = new.tip.height
        _fetch(config, genesis, new, on_progress)
        fetched = new.tip.height - before
        taken_over = 0 if old is None else _take_over_blocks(old, new, genesis)
        if new.tip.height == 0:
            raise HuzhengError(Code.REBUILD_INCOMPLETE, "no peer sent a block")
        votes, reason = _take_over_votes(old, new, ReplicaId(config.node.replica), reason)
        differs_from = None if old is None else _first_difference(old, new)
        tip = new.tip
    _rename(growing, whole)
    aside = _put_aside(data) if data.exists() else None
    _rename(whole, data)
    return Rebuilt(tip.height, tip.block_hash, fetched, taken_over, aside, votes, reason, differs_from)


def _open_old(data: Path, genesis: Genesis) -> tuple[ChainStore | None, HuzhengError | None]:
    if not data.exists():
        return None, None
    try:
        return ChainStore.open(data, genesis, create=False), None
    except HuzhengError as error:
        if error.code not in UNREADABLE:
            raise
        return None, error


# --- blocks ---


def _fetch(config: NodeConfig, genesis: Genesis, store: ChainStore, on_progress: OnProgress) -> None:
    """Until no peer has more."""
    worker = LedgerWorker(genesis, store, lambda _: None)

    async def apply(blocks: Sequence[CheckedBlock]) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(ledger, worker.apply, blocks)
        if store.is_tree_flush_due:
            await loop.run_in_executor(ledger, store.flush_tree)
        on_progress(store.tip.height)

    async def fetch_all(workers: ThreadPoolExecutor) -> None:
        fetcher = BlockFetcher(FetchParts(genesis, store, workers, lambda _: None, apply))
        while True:
            # Anew each time: the blocks tell who joined and who left.
            consortium = Consortium(store)
            peers = {peer.replica: peer for peer in PeerBook(config, consortium).peers()}
            open_channel = _channel_opener(config, genesis, consortium, peers)
            request = FetchBlocks(Height(store.tip.height + 1), tuple(peers))
            ended = await fetcher.fetch(request, open_channel, lambda _: Height(0))
            if ended.helper is None or ended.complete:
                return

    with ThreadPoolExecutor(1) as ledger, ThreadPoolExecutor(os.cpu_count() or 1) as workers:
        asyncio.run(fetch_all(workers))


def _channel_opener(
    config: NodeConfig, genesis: Genesis, consortium: Consortium, peers: Mapping[ReplicaId, Peer]
) -> Callable[[ReplicaId], grpc.aio.Channel]:
    authorities = consortium.authorities
    own = own_authority(config.tls, config.node.department, authorities)
    material = load_material(config.tls.certificate, config.tls.key, own, datetime.now(UTC))
    limit = max_message_bytes(genesis.parameters)

    def open_channel(replica: ReplicaId) -> grpc.aio.Channel:
        peer = peers[replica]
        credentials = channel_credentials(material, authorities[peer.department])
        options = [*channel_options(peer.department, replica), ("grpc.max_receive_message_length", limit)]
        return grpc.aio.secure_channel(peer.address, credentials, options)

    return open_channel


def _take_over_blocks(old: ChainStore, new: ChainStore, genesis: Genesis) -> int:
    """Blocks that the peers don't have (yet) prove themselves too, wherever they come from."""
    worker = LedgerWorker(genesis, new, lambda _: None)
    first = new.tip.height + 1
    for height in map(Height, range(first, old.tip.height + 1)):
        try:
            worker.apply([check_block(genesis, new.membership_at(height), old.block(height))])
        except HuzhengError as error:
            if error.code not in (Code.BAD_BLOCK, Code.BAD_CERTIFICATE, Code.STORE_CORRUPT, Code.DIVERGED):
                raise
            detail = f"no peer has block {height}, and the old database's is not sound: {error.code}"
            raise HuzhengError(Code.REBUILD_INCOMPLETE, detail) from error
    return new.tip.height + 1 - first


def _first_difference(old: ChainStore, new: ChainStore) -> Height | None:
    """A block's hash covers all blocks before it, so that halving finds the first that differs. One that can't be read differs."""

    def is_same(height: int) -> bool:
        try:
            return old.block_hash(Height(height)) == new.block_hash(Height(height))
        except HuzhengError:
            return False

    low, high = 0, int(min(old.tip.height, new.tip.height))
    if is_same(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_same(middle) else (low, middle)
    return Height(high)


# --- votes ---


def _take_over_votes(
    old: ChainStore | None, new: ChainStore, own: ReplicaId, reason: HuzhengError | None
) -> tuple[int | None, HuzhengError | None]:
    try:
        entries = None if old is None else old.votes()
    except HuzhengError as error:
        if error.code not in UNREADABLE:
            raise
        entries, reason = None, error
    if entries is None:
        member = new.membership_at(Height(new.tip.height + 1)).member(own)
        if member is not None:
            new.write_votes([ended_entry(member.public_key)])
        return None, reason
    # Those of sequence 0 are kept for good; the others as if this height had been stored in the old database.
    kept = [entry for entry in entries if not 0 < int.from_bytes(entry[0][:_SEQUENCE_BYTES]) <= new.tip.height]
    if kept:
        new.write_votes(kept)
    return len(kept), None


# --- directories ---


def finish_interrupted(data: Path) -> None:
    """Puts a database in its place that is whole, with its votes, while the old one is aside already.

    While the old one is not aside, the node may sign more with it: then the new one has to be made whole again. To be called
    before anything is signed, so that a copy of a vote log that is not the newest never takes the place of one.
    """
    if not _whole(data).exists():
        return
    _rename(_whole(data), _growing(data) if data.exists() else data)


def _growing(data: Path) -> Path:
    return data.with_name(data.name + ".rebuilding")


def _whole(data: Path) -> Path:
    return data.with_name(data.name + ".rebuilt")


def _rename(old: Path, new: Path) -> None:
    old.rename(new)
    sync_directory(new.parent)


def _put_aside(data: Path) -> Path:
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    aside = next(path for path in _names(data, day) if not path.exists())
    _rename(data, aside)
    return aside


def _names(data: Path, day: str) -> Iterator[Path]:
    yield data.with_name(f"{data.name}.before-{day}")
    number = 2
    while True:
        yield data.with_name(f"{data.name}.before-{day}-{number}")
        number += 1

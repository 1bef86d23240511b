"""Opening a database: is it ours, whole, of this chain, and as new as it was? (docs/protocol.md S7, S8)."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from huzheng.v1 import block_pb2, store_pb2

from ledger import merkle
from ledger.block import Tip
from ledger.crypto import Domain, Height, strict, verify_certificate
from ledger.epochs import epoch_at
from ledger.errors import Code, HuzhengError
from ledger.execution import genesis_block
from ledger.genesis import Genesis
from ledger.store import layout
from ledger.store.audit_writing import AuditWriter
from ledger.store.engine import Engine, Reader
from ledger.store.expunging import Expunging
from ledger.store.high_water import FILE_NAME, HighWater
from ledger.store.state_tree import DIRECTORY, StoredTree, files_in, open_tree, remove_files
from ledger.store.stored_state import StoredState
from ledger.store.writing import put_block

_CREATING: Final = "CREATING"
"""A file that is there while a database is being made: what lies beside it holds nothing yet."""
_IGNORED: Final = frozenset({"lost+found"})
_OUR_FILE: Final = re.compile(rf"{FILE_NAME}|{DIRECTORY}|LOCK|LOG(\.old)?|MANIFEST-\d+|\d+\.(log|ldb|sst|dbtmp)")


@dataclass(frozen=True, slots=True)
class OpenedStore:
    """An open database and where its chain stands."""

    engine: Engine
    high_water: HighWater | None
    tip: Tip
    counts: store_pb2.StoredTip
    tree: StoredTree


def open_store(path: Path, genesis: Genesis, *, create: bool) -> OpenedStore:
    """See `ChainStore.open`."""
    try:
        if _must_create(path, create):
            _create(path, genesis)
        return _open(path, genesis)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise HuzhengError(Code.STORE_DISK_FULL if full else Code.STORE_ACCESS, f"{path}: {error.strerror}") from error


def create_scratch(path: Path, genesis: Genesis) -> OpenedStore:
    """See `ChainStore.scratch`."""
    engine = Engine.open(path, create=True, sync=False)
    create_in(engine, genesis)
    tip, counts = read_tip(engine, genesis)
    return OpenedStore(engine, None, tip, counts, _open_tree(path, engine, genesis, tip))


def _open_tree(path: Path, engine: Engine, genesis: Genesis, tip: Tip) -> StoredTree:
    directory = path / DIRECTORY
    return open_tree(engine, genesis.suite, tip, files_in(directory), lambda: remove_files(directory))


def _must_create(path: Path, create: bool) -> bool:
    if not path.exists() and create:
        path.mkdir(mode=0o700, parents=True)
    names = set(os.listdir(path)) - _IGNORED
    if "CURRENT" in names and _CREATING not in names:
        return False
    if _CREATING not in names and names:
        if all(_OUR_FILE.fullmatch(name) for name in names):
            raise HuzhengError(Code.STORE_CORRUPT, f"{path}: the file CURRENT is missing")
        raise HuzhengError(Code.STORE_FOREIGN, str(path))
    if not create:
        raise HuzhengError(Code.STORE_ACCESS, f"{path}: there is no database here")
    return True


def _create(path: Path, genesis: Genesis) -> None:
    marker = path / _CREATING
    if marker.exists():
        Engine.destroy(path)
        remove_files(path / DIRECTORY)
    marker.touch(mode=0o600)
    _sync_directory(path)
    engine = Engine.open(path, create=True)
    try:
        create_in(engine, genesis)
    finally:
        engine.close()
    marker.unlink()
    _sync_directory(path)


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def create_in(engine: Engine, genesis: Genesis) -> None:
    """Writes what a new chain starts with into an empty database."""
    batch = engine.batch()
    batch.put(layout.FORMAT_KEY, layout.encode_height(layout.STORE_VERSION))
    batch.put(layout.CHAIN_KEY, genesis.chain_id)
    batch.put(layout.GENESIS_KEY, genesis.raw)
    block, audit = genesis_block(genesis), AuditWriter(batch, engine, genesis.suite)
    put_block(batch, engine, store_pb2.StoredTip(), block, b"", set(), audit, Expunging(engine, [block]))
    batch.write()


def _open(path: Path, genesis: Genesis) -> OpenedStore:
    engine = Engine.open(path, create=False)
    try:
        _check_meta(engine, genesis)
        tip, counts = read_tip(engine, genesis)
        high_water = HighWater(path)
        try:
            _check_high_water(high_water, engine, tip)
            tree = _open_tree(path, engine, genesis, tip)
        except BaseException:
            high_water.close()
            raise
    except BaseException:
        engine.close()
        raise
    return OpenedStore(engine, high_water, tip, counts, tree)


def _check_meta(engine: Engine, genesis: Genesis) -> None:
    version = engine.get(layout.FORMAT_KEY)
    if version is None:
        ours = engine.get(layout.CHAIN_KEY) is not None or next(engine.scan(b""), None) is None
        raise HuzhengError(Code.STORE_CORRUPT if ours else Code.STORE_FOREIGN, "no format version")
    if version != layout.encode_height(layout.STORE_VERSION):
        number = int.from_bytes(version[:8], "big")
        raise HuzhengError(Code.STORE_VERSION, f"version {number}, this software reads {layout.STORE_VERSION}")
    same_chain = engine.get(layout.CHAIN_KEY) == genesis.chain_id
    same_genesis = engine.get(layout.GENESIS_KEY) == genesis.raw
    if not same_chain and not same_genesis:
        raise HuzhengError(Code.STORE_WRONG_CHAIN)
    if not same_chain or not same_genesis:
        raise HuzhengError(Code.STORE_CORRUPT, "chain id and genesis do not belong together")


def read_tip(engine: Reader, genesis: Genesis) -> tuple[Tip, store_pb2.StoredTip]:
    """The last block, checked as far as it can be without the blocks before it."""
    try:
        counts = strict.read(store_pb2.StoredTip, engine.get(layout.TIP_KEY) or b"")
        height = Height(counts.height)
        stored = strict.read(store_pb2.StoredBlock, engine.get(layout.block_key(height)) or b"")
        header = strict.read(block_pb2.BlockHeader, stored.header)
    except HuzhengError as error:
        raise HuzhengError(Code.STORE_CORRUPT, f"last block: {error.detail} is not in strict form") from None
    suite = genesis.suite
    if suite.digest(Domain.BLOCK, stored.header) != counts.block_hash:
        raise _bad_tip(height, "its header has another hash")
    if header.height != height or header.chain_id != genesis.chain_id:
        raise _bad_tip(height, "its header is for another height or chain")
    if height:
        try:
            membership = epoch_at(genesis, StoredState(engine), height).membership
            verify_certificate(suite, membership, stored.certificate, height, counts.block_hash)
        except HuzhengError as error:
            raise _bad_tip(height, error.detail) from error
    elif counts.block_hash != genesis_block(genesis).block_hash:
        raise _bad_tip(height, "it does not follow from the genesis")
    if engine.get(layout.block_key(height + 1)) is not None:
        raise _bad_tip(height, "there is a block after it")
    history = _read_history(engine, genesis, header, counts.block_hash)
    return Tip(height, counts.block_hash, stored.header, header.time_ms, header.state_root, history), counts


def _bad_tip(height: int, why: str) -> HuzhengError:
    return HuzhengError(Code.STORE_CORRUPT, f"last block, {height}: {why}")


def _read_history(
    engine: Reader, genesis: Genesis, header: block_pb2.BlockHeader, block_hash: bytes
) -> merkle.Frontier:
    """The history tree over all blocks, from its stored nodes."""
    size, start, hashes = header.height, 0, []
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            hashes.append(engine.get(layout.history_node_key(level, start >> level)) or b"")
            start += 1 << level
    try:
        history = merkle.Frontier(genesis.suite, size, hashes)
    except HuzhengError:
        raise _bad_tip(size, "history nodes") from None
    if history.root() != header.history_root:
        raise _bad_tip(size, "its history root is not that of the stored nodes")
    for level, index, node in history.append(block_hash):
        if engine.get(layout.history_node_key(level, index)) != node:
            raise _bad_tip(size, "history nodes")
    return history


def _check_high_water(high_water: HighWater, engine: Engine, tip: Tip) -> None:
    if tip.height < high_water.height:
        raise HuzhengError(
            Code.STORE_ROLLED_BACK, f"block {high_water.height} was durable, the last one here is {tip.height}"
        )
    count = int.from_bytes(engine.get(layout.VOTE_WRITES_KEY) or b"", "big")
    if count < high_water.vote_writes:
        raise HuzhengError(Code.STORE_ROLLED_BACK, f"{high_water.vote_writes - count} vote log writes are missing")

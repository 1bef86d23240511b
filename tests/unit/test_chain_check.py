"""A database is checked from the genesis alone, and nothing that differs from what the blocks make passes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, cast

import pytest
from huzheng.v1 import block_pb2

from ledger.block import ExecutedBlock
from ledger.chain_check import Summary, rebuild_and_compare, verify_chain
from ledger.crypto import ED25519_SHA256, Domain, strict
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.state.tree import RECORD_SIZES, StateTree
from ledger.store import ChainStore, Entry, layout
from ledger.store.opening import OpenedStore, create_in, read_tip
from ledger.store.state_tree import StoredTree, open_tree
from tests.builders import Consortium
from tests.chains import stored_chain, vote_entry
from tests.memory_records import MemoryRecords

REBUILT_FROM = (layout.BLOCK, layout.RESULTS, layout.TRANSACTION)
"""Kinds of entries that blocks are made from; the others are only compared."""


class MemoryEngine:
    """A database in memory: checks of thousands of databases take seconds."""

    def __init__(self, entries: dict[bytes, bytes]) -> None:
        self.entries = entries

    def get(self, key: bytes) -> bytes | None:
        return self.entries.get(key)

    def scan(self, start: bytes, stop: bytes | None = None, *, fill_cache: bool = True) -> Iterator[Entry]:
        keys = sorted(key for key in self.entries if start <= key and (stop is None or key < stop))
        return ((key, self.entries[key]) for key in keys)

    def last_key(self, start: bytes, stop: bytes) -> bytes | None:
        return max((key for key in self.entries if start <= key < stop), default=None)

    def batch(self) -> MemoryEngine:
        return self

    def put(self, key: bytes, value: bytes) -> None:
        self.entries[key] = value

    def delete(self, key: bytes) -> None:
        self.entries.pop(key, None)

    def write(self) -> None:
        pass


def memory_store(genesis: Genesis, entries: dict[bytes, bytes], like: ChainStore | None = None) -> ChainStore:
    """A store over these entries; with the tip of another store, if they are damaged perhaps."""
    engine = cast(Any, MemoryEngine(entries))
    if like is None:
        create_in(engine, genesis)
        tip, counts = read_tip(engine, genesis)
    else:
        tip, counts = like.tip, like._counts
    files = {name: MemoryRecords(size) for name, size in RECORD_SIZES.items()}
    tree = StoredTree(engine, StateTree(genesis.suite, files, tip.height, 0), tip.height)
    if like is None:
        tree = open_tree(engine, genesis.suite, tip, lambda: files, lambda: None)
    return ChainStore(Path("memory"), genesis, OpenedStore(engine, None, tip, counts, tree))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Consortium, ChainStore, dict[bytes, bytes]]]:
    consortium, _, store = stored_chain(tmp_path_factory.mktemp("sound") / "db")
    yield consortium, store, dict(store.entries())
    store.close()


def fault(store: ChainStore, genesis: Genesis) -> str | None:
    """What the check finds, if anything. Any other error than a CHAIN_FAULT fails the test."""
    try:
        rebuild_and_compare(store, memory_store(genesis, {}), genesis, lambda _done, _total: None)
    except HuzhengError as error:
        if error.code is not Code.CHAIN_FAULT:
            raise
        return error.detail
    return None


def flips(data: bytes) -> Iterator[bytes]:
    """The data with one bit flipped, for each of its bytes."""
    for position, byte in enumerate(data):
        yield data[:position] + bytes([byte ^ 1 << position % 8]) + data[position + 1 :]


def damaged(
    entries: dict[bytes, bytes], kinds: tuple[bytes, ...], *, rest: bool = False
) -> Iterator[dict[bytes, bytes]]:
    """Databases with one byte flipped in one key or value of these kinds, or of all others."""
    for key, value in entries.items():
        if (key[:1] in kinds) is rest or layout.is_own(key):
            continue
        others = {other: content for other, content in entries.items() if other != key}
        for flipped in flips(value):
            yield others | {key: flipped}
        for flipped in flips(key):
            if not layout.is_own(flipped):
                yield others | {flipped: value}


def test_a_sound_database_passes_and_is_summed_up(tmp_path: Path) -> None:
    consortium, chain, store = stored_chain(tmp_path / "db", ED25519_SHA256)
    seen: list[tuple[int, int]] = []
    summary = verify_chain(store, consortium.genesis, lambda done, total: seen.append((done, total)))
    assert (summary.height, summary.block_hash) == (5, chain.tip.block_hash)
    assert (summary.transactions, summary.records, summary.votes) == (7, 4, 2)
    assert summary.entries == sum(not layout.is_own(key) for key, _ in store.entries())
    assert seen == [(done, 5) for done in range(1, 6)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["db"]
    store.close()


def test_a_chain_of_the_genesis_alone_passes(tmp_path: Path) -> None:
    consortium = Consortium()
    store = ChainStore.open(tmp_path / "db", consortium.genesis)
    assert verify_chain(store, consortium.genesis).height == 0
    store.close()


def test_a_flipped_byte_in_what_blocks_are_made_of_is_found(
    sound: tuple[Consortium, ChainStore, dict[bytes, bytes]],
) -> None:
    """Every third byte of all entries."""
    consortium, store, entries = sound
    count = 0
    for changed in islice(damaged(entries, REBUILT_FROM), None, None, 3):
        assert fault(memory_store(consortium.genesis, changed, like=store), consortium.genesis) is not None
        count += 1
    assert count > 1_700


def test_a_flipped_byte_in_any_other_entry_is_found(
    sound: tuple[Consortium, ChainStore, dict[bytes, bytes]],
) -> None:
    """Every byte in a comparison with the right database; some of each entry by the whole check."""
    from ledger.chain_check import _compare

    consortium, store, entries = sound
    genesis = consortium.genesis
    right = memory_store(genesis, dict(entries), like=store)
    for number, changed in enumerate(damaged(entries, REBUILT_FROM, rest=True)):
        wrong = memory_store(genesis, changed, like=store)
        with pytest.raises(HuzhengError) as raised:
            _compare(wrong, right)
        assert raised.value.code is Code.CHAIN_FAULT
        if number % 29 == 0:
            assert fault(wrong, genesis) is not None


def test_a_missing_key_is_found(sound: tuple[Consortium, ChainStore, dict[bytes, bytes]]) -> None:
    consortium, store, entries = sound
    for missing in entries:
        if not layout.is_own(missing):
            rest = {key: value for key, value in entries.items() if key != missing}
            assert fault(memory_store(consortium.genesis, rest, like=store), consortium.genesis) is not None


def test_a_key_too_many_is_found(sound: tuple[Consortium, ChainStore, dict[bytes, bytes]]) -> None:
    consortium, store, entries = sound
    for key in list(entries):
        for added in (
            key + b"\x00",
            key[:-1] + bytes([key[-1] ^ 1]),
            b"\x00",
            b"\xff",
            b"!",
            layout.STATE + b"hx\x00y",
        ):
            if added not in entries and not layout.is_own(added):
                more = memory_store(consortium.genesis, entries | {added: b""}, like=store)
                assert fault(more, consortium.genesis) is not None


def test_the_fault_says_where_and_repeats_no_value(sound: tuple[Consortium, ChainStore, dict[bytes, bytes]]) -> None:
    consortium, store, entries = sound
    genesis = consortium.genesis

    def found(changes: dict[bytes, bytes]) -> str | None:
        return fault(memory_store(genesis, entries | changes, like=store), genesis)

    block = layout.block_key(4)
    assert found({block: entries[block][:-1] + b"\x00"}) == (
        "block 4: BAD_CERTIFICATE, the seal of replica 3 does not verify"
    )
    version = next(key for key in entries if key[:1] == layout.VERSION)
    assert found({version: bytes(16)}) == "version index of block 1: its value is not what the blocks make of it"
    head = next(key for key in entries if key.startswith(b"sh"))
    assert found({head: b""}) == "state entry: its value is not what the blocks make of it"
    assert (
        found({b"h" + bytes(32): layout.encode_height(9)})
        == "block hash index of block 9: it does not follow from the blocks"
    )


def test_a_block_that_a_quorum_sealed_but_does_not_follow_is_found(tmp_path: Path) -> None:
    """Even all replicas together can't make a database pass that breaks the rules of execution."""
    consortium = Consortium()
    chain = consortium.chain()
    block = chain.add(consortium.transaction([consortium.record(1)]))
    forged = with_header(consortium, chain.blocks[0], block, state_root=bytes(32))
    store = ChainStore.open(tmp_path / "db", consortium.genesis)
    store.append(forged, consortium.certificate(forged))
    with pytest.raises(HuzhengError) as raised:
        verify_chain(store, consortium.genesis)
    assert raised.value.code is Code.CHAIN_FAULT
    assert raised.value.detail == "block 1: DIVERGED, height 1: state_root"
    store.close()


@pytest.mark.parametrize("value", [b"", b"\xff\xff", b"\x22\x01\x00"])
def test_a_vote_log_entry_that_cannot_be_read_is_found(tmp_path: Path, value: bytes) -> None:
    consortium, _, store = stored_chain(tmp_path / "db")
    store.write_votes([((7).to_bytes(8, "big") + b"v", value)])
    with pytest.raises(HuzhengError) as raised:
        verify_chain(store, consortium.genesis)
    assert raised.value.code is Code.CHAIN_FAULT
    assert raised.value.detail.startswith("vote log entry for sequence 7")
    store.close()


def test_damaged_files_are_found_or_make_no_difference(tmp_path: Path) -> None:
    """Flips bytes in the files themselves: what LevelDB, opening and the check let pass must be the whole chain."""
    consortium, _, store = stored_chain(tmp_path / "sound", ED25519_SHA256)
    expected = verify_chain(store, consortium.genesis)
    store.close()
    # Opened once more, part of the entries are in a table and part in a log.
    store = ChainStore.open(tmp_path / "sound", consortium.genesis)
    store.write_votes([vote_entry(expected.height + 2, 0)])
    store.close()
    found = total = 0
    for file in sorted(
        path
        for path in (tmp_path / "sound").iterdir()
        if path.is_file() and path.stat().st_size and path.name[:3] != "LOG"
    ):
        content = file.read_bytes()
        for position in range(0, len(content), max(1, len(content) // 24)):
            copy = tmp_path / "copy"
            shutil.copytree(tmp_path / "sound", copy)
            flipped = bytes([content[position] ^ 1 << position % 8])
            (copy / file.name).write_bytes(content[:position] + flipped + content[position + 1 :])
            result = open_and_check(copy, consortium.genesis)
            shutil.rmtree(copy)
            total += 1
            if isinstance(result, Summary):
                same = (expected.block_hash, expected.entries, expected.votes + 1)
                assert (result.block_hash, result.entries, result.votes) == same, file.name
            else:
                assert result in (Code.STORE_CORRUPT, Code.STORE_ROLLED_BACK, Code.CHAIN_FAULT)
                found += 1
    assert found > total * 3 / 4


def open_and_check(path: Path, genesis: Genesis) -> Summary | Code:
    """The summary of the database in a directory, or the code of the error that keeps it from passing."""
    try:
        store = ChainStore.open(path, genesis, create=False)
    except HuzhengError as error:
        return error.code
    try:
        return verify_chain(store, genesis)
    except HuzhengError as error:
        return error.code
    finally:
        store.close()


def with_header(consortium: Consortium, parent: ExecutedBlock, block: ExecutedBlock, **fields: Any) -> ExecutedBlock:
    """The block with some fields of its header changed, as if it had been executed so."""
    header = block_pb2.BlockHeader.FromString(block.header)
    for name, value in fields.items():
        setattr(header, name, value)
    raw = strict.write(header)
    block_hash = consortium.genesis.suite.digest(Domain.BLOCK, raw)
    history = parent.tip.history.copy()
    nodes = tuple(history.append(block_hash))
    tip = replace(block.tip, header=raw, block_hash=block_hash, history=history)
    return replace(block, header=raw, block_hash=block_hash, history_nodes=nodes, tip=tip)

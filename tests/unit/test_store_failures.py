"""Reads that find damage say so, and whatever stops a write leaves a consistent database behind."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.chain_check import verify_chain
from ledger.crypto import Height
from ledger.errors import Code, HuzhengError
from ledger.store import ChainStore, RecordPlace, layout
from ledger.store.verified import VerifiedCache
from tests.builders import OBJECTION, Chain, Consortium, unit_code
from tests.chains import stored_chain

Read = Callable[[ChainStore, Chain], object]

READS: list[tuple[bytes, Read]] = [
    (layout.BLOCK, lambda store, chain: store.header(Height(1))),
    (layout.HISTORY_NODE, lambda store, chain: store.header(Height(1))),
    (layout.RESULTS, lambda store, chain: store.results(Height(1))),
    (layout.TRANSACTION, lambda store, chain: store.block(Height(1))),
    (layout.TRANSACTION, lambda store, chain: store.record(RecordPlace(Height(1), 0, 0))),
    (layout.TRANSACTION_ID, lambda store, chain: store.transaction_place(chain.blocks[1].transactions[0].id)),
    (layout.BLOCK_HASH, lambda store, chain: store.height_of(chain.blocks[1].block_hash)),
    (layout.RECORD, lambda store, chain: store.current(OBJECTION, unit_code(1))),
    (layout.VERSION, lambda store, chain: store.history(OBJECTION, unit_code(1))),
    (layout.STATE + b"h", lambda store, chain: store.current(OBJECTION, unit_code(1))),
    (layout.STATE + b"h", lambda store, chain: store.list_current(OBJECTION)),
]


@pytest.mark.parametrize("value", [b"", b"\xff", None])
@pytest.mark.parametrize(("kind", "read"), READS)
def test_a_damaged_entry_is_reported_when_it_is_read(
    tmp_path: Path, kind: bytes, read: Read, value: bytes | None
) -> None:
    _, chain, store = stored_chain(tmp_path / "db")
    batch = store._engine.batch()
    for key, old in list(store.entries()):
        if key.startswith(kind):
            batch.put(key, old + b"x" if value is None else value)
    batch.write()
    with pytest.raises(HuzhengError) as raised:
        read(store, chain)
    assert raised.value.code is Code.STORE_CORRUPT
    store.close()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Chain, ChainStore]]:
    _, chain, store = stored_chain(tmp_path_factory.mktemp("mixed") / "db")
    yield chain, store
    store.close()


def unnoticed(store: ChainStore, key: bytes, read: Callable[[], object]) -> set[int]:
    """The positions in an entry's value where a flipped bit makes no difference to a read."""
    engine = store._engine
    value = engine.get(key) or b""
    positions = set()
    for position in range(len(value)):
        put(store, key, value[:position] + bytes([value[position] ^ 1 << position % 8]) + value[position + 1 :])
        try:
            read()
        except HuzhengError as error:
            if error.code is not Code.STORE_CORRUPT:
                raise
        else:
            positions.add(position)
    put(store, key, value)
    return positions


def put(store: ChainStore, key: bytes, value: bytes) -> None:
    """Changes an entry behind the store's back."""
    batch = store._engine.batch()
    batch.put(key, value)
    batch.write()
    store._cache = VerifiedCache()


def span(value: bytes, part: bytes) -> set[int]:
    """Where a part lies, with the tag and the length before it."""
    start = value.index(part)
    return set(range(start - 3, start + len(part)))


def test_a_flipped_byte_of_a_header_is_noticed_when_it_is_read(mixed: tuple[Chain, ChainStore]) -> None:
    """Certificates are for those who rely on them, and for `chain verify`."""
    _, store = mixed
    certificate = store.certificate(Height(2))
    key = layout.block_key(2)
    value = store._engine.get(key) or b""
    assert unnoticed(store, key, lambda: store.header(Height(2))) <= span(value, certificate)


def test_a_flipped_byte_of_a_result_is_noticed_when_it_is_read(mixed: tuple[Chain, ChainStore]) -> None:
    _, store = mixed
    assert unnoticed(store, layout.results_key(2), lambda: store.results(Height(2))) == set()


def test_a_flipped_byte_of_a_record_is_noticed_when_it_is_read(mixed: tuple[Chain, ChainStore]) -> None:
    """Signatures are for those who rely on them, and for `chain verify`."""
    chain, store = mixed
    transaction = chain.blocks[1].transactions[0]
    missed = unnoticed(store, layout.transaction_key(1, 0), lambda: store.record(RecordPlace(Height(1), 0, 0)))
    assert missed <= span(transaction.raw, transaction.signature)


FORKED = """
import sys
from pathlib import Path
from ledger.errors import HuzhengError
from ledger.store import ChainStore
from tests.builders import Consortium
from tests.chains import vote_entry

consortium = Consortium()
chain = consortium.chain()
store = ChainStore.open(Path(sys.argv[1]), consortium.genesis)
while True:
    number = chain.tip.height + 1
    records = [consortium.record(10 * number + n) for n in range(5)]
    block = chain.add(consortium.transaction(records, nonce=number), time_ms=consortium.now_ms)
    if number <= store.tip.height:
        continue
    try:
        store.write_votes([vote_entry(number, view) for view in range(3)])
        print("votes", number, flush=True)
        store.append(block, consortium.certificate(block))
    except HuzhengError as error:
        print(error.code, store.tip.height, flush=True)
        try:
            store.write_votes([vote_entry(number, 9)])
        except HuzhengError as again:
            print(again.code, store.tip.height, flush=True)
        sys.exit(3)
    print("block", number, flush=True)
"""


def writer(path: Path, *, max_file_bytes: int | None = None) -> subprocess.Popen[str]:
    """A process that writes votes and blocks for ever, and says what is durable."""

    def limit() -> None:
        if max_file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))

    return subprocess.Popen(
        [sys.executable, "-c", FORKED, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=limit,
    )


def durable(output: str) -> tuple[int, int]:
    """The last height whose votes, and whose block, the writer said were durable."""
    lines = [line.split() for line in output.splitlines() if line.endswith(tuple("0123456789"))]
    votes = max((int(number) for what, number in lines if what == "votes"), default=0)
    return votes, max((int(number) for what, number in lines if what == "block"), default=0)


def test_a_process_killed_at_any_moment_leaves_a_consistent_database(tmp_path: Path) -> None:
    """What was said to be durable is there, and what is there is whole."""
    generator = random.Random(7)
    consortium = Consortium()
    before = 0
    for _ in range(8):
        with writer(tmp_path / "db") as process:
            if process.stdout is None:
                pytest.fail("no output")
            first = process.stdout.readline()
            time.sleep(generator.random() / 10)
            process.send_signal(signal.SIGKILL)
            votes, height = durable(first + process.stdout.read())
        store = ChainStore.open(tmp_path / "db", consortium.genesis)
        assert height <= store.tip.height <= max(height, before) + 1
        before = store.tip.height
        logged = {int.from_bytes(key[:8], "big") for key, _ in store.votes()}
        assert votes <= store.tip.height or votes in logged
        assert all(sequence > store.tip.height for sequence in logged)
        verify_chain(store, consortium.genesis)
        store.close()
    assert store.tip.height > 8


@pytest.mark.parametrize("max_file_bytes", [2_700_000, 3_000_001])
def test_a_write_that_fails_stores_nothing_and_ends_writing(tmp_path: Path, max_file_bytes: int) -> None:
    with writer(tmp_path / "db", max_file_bytes=max_file_bytes) as process:
        if process.stdout is None:
            pytest.fail("no output")
        output = process.stdout.read()
    assert process.returncode == 3
    _, height = durable(output)
    assert output.splitlines()[-2:] == [f"STORE_DISK_FULL {height}"] * 2
    consortium = Consortium()
    store = ChainStore.open(tmp_path / "db", consortium.genesis)
    assert store.tip.height == height > 0
    verify_chain(store, consortium.genesis)
    store.close()


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="needs to mount a small file system")
def test_a_full_disk_stops_writing_and_space_makes_it_go_on(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", disk], capture_output=True).returncode:
        pytest.skip("cannot mount")
    try:
        with writer(disk / "db") as process:
            if process.stdout is None:
                pytest.fail("no output")
            output = process.stdout.read()
        _, height = durable(output)
        assert output.splitlines()[-2:] == [f"STORE_DISK_FULL {height}"] * 2
        consortium = Consortium()
        with pytest.raises(HuzhengError) as raised:
            ChainStore.open(disk / "db", consortium.genesis)
        assert raised.value.code is Code.STORE_DISK_FULL
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        store = ChainStore.open(disk / "db", consortium.genesis)
        assert store.tip.height == height > 0
        verify_chain(store, consortium.genesis)
        store.close()
    finally:
        subprocess.run(["umount", disk], check=True)

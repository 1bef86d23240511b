"""A database is opened only if it is ours, whole, of this chain and as new as it was; every refusal says what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.errors import Code, HuzhengError
from ledger.store import ChainStore, layout
from ledger.store.engine import Engine
from ledger.store.high_water import FILE_NAME, HighWater
from tests.builders import Consortium
from tests.chains import store_blocks, stored_chain, vote_entry


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """The directory of a closed database with the mixed chain."""
    _, _, store = stored_chain(tmp_path / "db")
    store.close()
    return tmp_path / "db"


def refusal(path: Path, consortium: Consortium | None = None, *, create: bool = True) -> HuzhengError:
    """The error with which a database is refused; it says where, and opens nothing."""
    with pytest.raises(HuzhengError) as raised:
        ChainStore.open(path, (consortium or Consortium()).genesis, create=create)
    assert raised.value.hint("en")
    return raised.value


def change(path: Path, changes: dict[bytes, bytes | None]) -> None:
    """Changes entries of a closed database."""
    engine = Engine.open(path, create=False)
    batch = engine.batch()
    for key, value in changes.items():
        if value is None:
            batch.delete(key)
        else:
            batch.put(key, value)
    batch.write()
    engine.close()


def test_a_missing_database_is_made_only_on_request(tmp_path: Path) -> None:
    assert refusal(tmp_path / "db", create=False).code is Code.STORE_ACCESS
    assert not (tmp_path / "db").exists()
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "empty", create=False).code is Code.STORE_ACCESS
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_database_in_use_by_another_process_is_refused(closed: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from ledger.store.engine import Engine\n"
        f"engine = Engine.open(Path({str(closed)!r}), create=False); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as holder:
        if holder.stdout is None:
            pytest.fail("no output")
        assert holder.stdout.readline() == "open\n"
        assert refusal(closed).code is Code.STORE_LOCKED
        holder.communicate("")
    ChainStore.open(closed, Consortium().genesis).close()


def test_a_database_of_another_chain_is_refused(closed: Path) -> None:
    assert refusal(closed, Consortium(n=7)).code is Code.STORE_WRONG_CHAIN


def test_a_database_of_another_version_is_refused(closed: Path) -> None:
    change(closed, {layout.FORMAT_KEY: layout.encode_height(1)})
    error = refusal(closed)
    assert (error.code, error.detail) == (Code.STORE_VERSION, "version 1, this software reads 4")


def test_somebody_elses_directory_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert refusal(tmp_path).code is Code.STORE_FOREIGN
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_somebody_elses_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    engine = Engine.open(tmp_path / "db", create=True)
    batch = engine.batch()
    batch.put(b"their key", b"their value")
    batch.write()
    engine.close()
    assert refusal(tmp_path / "db").code is Code.STORE_FOREIGN
    engine = Engine.open(tmp_path / "db", create=False)
    assert list(engine.scan(b"")) == [(b"their key", b"their value")]
    engine.close()


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert refusal(tmp_path / "file").code is Code.STORE_ACCESS
    assert refusal(tmp_path / "file" / "db").code is Code.STORE_ACCESS


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_a_directory_without_permission_is_refused(closed: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from ledger.errors import HuzhengError
from ledger.store import ChainStore
from tests.builders import Consortium
genesis = Consortium().genesis
os.setuid(65534)
for path in sys.argv[1:]:
    try:
        ChainStore.open(Path(path), genesis)
    except HuzhengError as error:
        print(error.code)
"""
    result = subprocess.run(
        [sys.executable, "-c", program, closed, closed.parent / "new"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    assert result.stdout.split() == ["STORE_ACCESS", "STORE_ACCESS"]


def test_a_mount_point_with_lost_and_found_is_empty_enough(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    ChainStore.open(tmp_path, Consortium().genesis).close()


@pytest.mark.parametrize("name", ["CURRENT", "MANIFEST", ".log"])
def test_a_missing_file_never_makes_a_new_chain(closed: Path, name: str) -> None:
    for path in closed.iterdir():
        if name in path.name:
            path.unlink()
    assert refusal(closed).code in (Code.STORE_CORRUPT, Code.STORE_ROLLED_BACK)


def test_creation_cut_short_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "db"
    store = ChainStore.open(path, Consortium().genesis)
    before = dict(store.entries())
    store.close()
    change(path, {layout.GENESIS_KEY: None, layout.TIP_KEY: None})
    (path / "CREATING").touch()
    store = ChainStore.open(path, Consortium().genesis)
    assert dict(store.entries()) == before
    store.close()
    assert not (path / "CREATING").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (layout.FORMAT_KEY, None),
        (layout.CHAIN_KEY, bytes(32)),
        (layout.GENESIS_KEY, b""),
        (layout.TIP_KEY, None),
        (layout.TIP_KEY, b"\xff"),
        (layout.TIP_KEY, b"\x08\x04"),
        (layout.block_key(5), None),
        (layout.block_key(5), b"\x0a\x01x"),
        (layout.block_key(6), b""),
        (layout.history_node_key(0, 4), bytes(32)),
        (layout.history_node_key(2, 0), None),
        (layout.VOTE_WRITES_KEY, b"\x01"),
    ],
)
def test_a_last_block_that_does_not_hold_together_is_refused(closed: Path, key: bytes, value: bytes | None) -> None:
    change(closed, {key: value})
    assert refusal(closed).code is Code.STORE_CORRUPT


def test_a_last_block_without_its_certificate_is_refused(closed: Path) -> None:
    engine = Engine.open(closed, create=False)
    raw = engine.get(layout.block_key(5)) or b""
    engine.close()
    change(closed, {layout.block_key(5): raw[:-1] + bytes([raw[-1] ^ 1])})
    error = refusal(closed)
    assert (error.code, error.detail) == (
        Code.STORE_CORRUPT,
        "last block, 5: the seal of replica 3 does not verify",
    )


def test_blocks_that_were_durable_and_are_gone_are_noticed(tmp_path: Path) -> None:
    """S8: a log whose end is missing looks to LevelDB like one that a crash cut short."""
    consortium = Consortium()
    chain = consortium.chain()
    store = ChainStore.open(tmp_path / "db", consortium.genesis)
    store_blocks(store, consortium, [chain.add()])
    shutil.copytree(tmp_path / "db", tmp_path / "old")
    store_blocks(store, consortium, [chain.add()])
    store.close()
    for log in (tmp_path / "db").glob("*.log"):
        shutil.copy(tmp_path / "old" / log.name, log)
    error = refusal(tmp_path / "db")
    assert (error.code, error.detail) == (Code.STORE_ROLLED_BACK, "block 2 was durable, the last one here is 1")


def test_votes_that_were_durable_and_are_gone_are_noticed(tmp_path: Path) -> None:
    consortium = Consortium()
    store = ChainStore.open(tmp_path / "db", consortium.genesis)
    store.write_votes([vote_entry(1, 0)])
    (log,) = (tmp_path / "db").glob("*.log")
    size = log.stat().st_size
    store.write_votes([vote_entry(1, 1)])
    store.close()
    os.truncate(log, size)
    error = refusal(tmp_path / "db")
    assert (error.code, error.detail) == (Code.STORE_ROLLED_BACK, "1 vote log writes are missing")


def test_a_note_that_cannot_be_read_refuses_nothing(closed: Path) -> None:
    note = HighWater(closed)
    assert (note.height, note.vote_writes) == (5, 1)
    note.close()
    for content in (b"", b"short", bytes(24), b"\xff" * 24):
        (closed / FILE_NAME).write_bytes(content)
        ChainStore.open(closed, Consortium().genesis).close()
    (closed / FILE_NAME).unlink()
    store = ChainStore.open(closed, Consortium().genesis)
    assert store.tip.height == 5
    store.close()

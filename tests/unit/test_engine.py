"""LevelDB as the store uses it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.errors import Code, HuzhengError
from ledger.store.engine import Engine, Reader

COUNT = 4_000


def _key(number: int) -> bytes:
    return b"k%08d" % number


def _value(number: int) -> bytes:
    return b"%d" % number * 40


def _filled(path: Path) -> Engine:
    engine = Engine.open(path, create=True)
    batch = engine.batch()
    for number in range(0, COUNT, 2):
        batch.put(_key(number), _value(number))
    batch.write()
    engine.compact(b"", b"\xff")
    return engine


def test_a_snapshot_finds_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    engine = _filled(tmp_path)
    with engine.snapshot() as snapshot:
        batch = engine.batch()
        batch.put(_key(1), b"later")
        batch.delete(_key(2))
        batch.write()
        found = [snapshot.get(_key(number)) for number in (0, 1, 2, 3, COUNT - 2, COUNT - 1, 5, 0)]
        assert found == [_value(0), None, _value(2), None, _value(COUNT - 2), None, None, _value(0)]
        assert snapshot.get(b"") is None
        assert snapshot.get(b"k") is None
    assert (engine.get(_key(1)), engine.get(_key(2))) == (b"later", None)
    engine.close()


def test_several_threads_may_look_into_one_snapshot(tmp_path: Path) -> None:
    engine = _filled(tmp_path)
    with engine.snapshot() as snapshot, ThreadPoolExecutor(4) as threads:
        numbers = [number * 7 % COUNT for number in range(COUNT)]
        found = list(threads.map(lambda number: snapshot.get(_key(number)), numbers))
    assert found == [None if number % 2 else _value(number) for number in numbers]
    engine.close()


def _outcome(reader: Reader, number: int) -> bytes | Code | None:
    try:
        return reader.get(_key(number))
    except HuzhengError as error:
        return error.code


def test_a_damaged_block_is_told_of_and_what_is_whole_is_found_after_it(tmp_path: Path) -> None:
    _filled(tmp_path).close()
    [table] = tmp_path.glob("*.ldb")
    raw = bytearray(table.read_bytes())
    for place in range(len(raw) // 4, len(raw) // 2, len(raw) // 16):
        raw[place] ^= 1
    table.write_bytes(raw)
    engine = Engine.open(tmp_path, create=False)
    with engine.snapshot() as snapshot:
        found = {number: _outcome(snapshot, number) for number in range(0, COUNT, 2)}
    damaged = [number for number, outcome in found.items() if outcome is Code.STORE_CORRUPT]
    assert 0 < len(damaged) < COUNT // 4
    assert max(damaged) < COUNT - 2, "what comes after is whole"
    assert all(found[number] == _value(number) for number in found if number not in damaged)
    engine.close()


@pytest.mark.parametrize("look_up", [0, COUNT - 2])
def test_nobody_waits_for_a_snapshot_that_is_closed(tmp_path: Path, look_up: int) -> None:
    engine = _filled(tmp_path)
    with engine.snapshot() as snapshot:
        snapshot.get(_key(look_up))
        assert not engine.scrub([(b"k", b"l")], timeout_s=0.01)
    assert engine.scrub([(b"k", b"l")], timeout_s=10)
    engine.close()

"""Simulated disks keep LevelDB's promises, and break no other."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import plyvel
import pytest

from ledger.errors import Code, HuzhengError
from tests.sim.consortium import consortium_of
from tests.sim.storage import Database, Disk, PowerFailure, open_store


def disk(fails_at: int = 0, seed: int = 1) -> Disk:
    """A disk whose power fails when it is asked for the so-manyth time; each write asks twice."""
    asked = iter(range(1, 1_000_000))
    return Disk(random.Random(seed), lambda: next(asked) == fails_at)


def key(number: int) -> bytes:
    return b"k%03d" % number


def change_both(dice: random.Random, databases: list[Any]) -> None:
    batches = [database.write_batch(sync=True) for database in databases]
    for _ in range(dice.randint(0, 6)):
        name, value = key(dice.randint(0, 40)), dice.randbytes(4)
        for batch in batches:
            if value[0] < 100:
                batch.delete(name)
            else:
                batch.put(name, value)
    for batch in batches:
        batch.write()


def test_reads_find_what_leveldb_finds(tmp_path: Path) -> None:
    dice = random.Random(3)
    real, simulated = plyvel.DB(str(tmp_path), create_if_missing=True), Database(disk())
    snapshots: list[list[Any]] = []
    for _ in range(200):
        change_both(dice, [real, simulated])
        snapshots = [*snapshots[-3:], [real.snapshot(), simulated.snapshot()]]
        start, stop = key(dice.randint(0, 40)), dice.choice((None, key(dice.randint(0, 40))))
        for pair in ([real, simulated], *snapshots):
            found = []
            for database in pair:
                with database.iterator(start=start, stop=stop) as entries:
                    found.append((list(entries), database.get(start)))
            assert found[0] == found[1]
    real.close()


@pytest.mark.parametrize("seed", range(20))
def test_a_write_that_the_power_failed_in_is_there_whole_or_not_at_all(seed: int) -> None:
    broken = disk(fails_at=1, seed=seed)
    with pytest.raises(PowerFailure):
        broken.write([(key(i), b"value") for i in range(9)], sync=True)
    broken.crash()
    assert len(broken.entries) in (0, 9)


@pytest.mark.parametrize("seed", range(20))
def test_writes_without_sync_are_lost_from_the_last_one_on(seed: int) -> None:
    broken = disk(seed=seed)
    broken.write([(key(0), b"old")], sync=True)
    for i in range(1, 6):
        broken.write([(key(i), b"new"), (key(0), b"%d" % i)], sync=False)
    broken.crash()
    kept = len(broken.keys) - 1
    assert broken.keys == [key(i) for i in range(kept + 1)]
    assert broken.entries[key(0)] == (b"%d" % kept if kept else b"old")


@pytest.mark.parametrize("seed", range(20))
def test_what_was_synced_stays(seed: int) -> None:
    broken = disk(seed=seed)
    broken.write([(key(1), b"unsynced")], sync=False)
    broken.write([(key(2), b"synced")], sync=True)
    broken.crash()
    assert broken.keys == [key(1), key(2)]


def test_a_disk_that_forgets_votes_behind_its_high_water_mark_is_found_out() -> None:
    genesis, forgetful = consortium_of(4, 16, "simulation").genesis, disk()
    store = open_store(forgetful, genesis)
    entry = (bytes(8) + b"v", b"vote")
    store.write_votes([entry])
    before = dict(forgetful.entries)
    store.write_votes([entry])
    forgetful.entries.clear()
    forgetful.entries.update(before)
    with pytest.raises(HuzhengError) as caught:
        open_store(forgetful, genesis)
    assert caught.value.code is Code.STORE_ROLLED_BACK

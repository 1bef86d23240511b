"""Whatever moment the power fails, the next opening finds all that was kept, and finishes what was begun to be forgotten."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.errors import Code, HuzhengError
from ledger.store.engine import Engine
from node.vault import layout
from node.vault.keyring import Keyring
from node.vault.keyring_file import KeyringFile
from node.vault.vault import Vault
from tests.vault_crash import DEPOSIT, ERASED, UNTOUCHED
from tests.vaults import entry_of, master_key, new_vault, open_vault, places_in, record_id

ROOT = Path(__file__).resolve().parents[2]


def crash_at_each_step(directory: Path, operation: str) -> list[Path]:
    """Copies of a vault in which an operation was killed before its first, its second step and so on, and one where it was done."""
    command = [sys.executable, "-m", "tests.vault_crash", str(directory), operation]
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    return [directory / str(step) for step in range(int(done.stdout))]


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """The folder with `start`, a vault of three records and a deposit."""
    (tmp_path / "start").mkdir()
    with new_vault(tmp_path / "start", 3) as vault:
        vault.put(record_id(DEPOSIT), entry_of(DEPOSIT, expires_ms=1_000))
    return tmp_path


def state_of(vault: Vault, number: int) -> str:
    """What became of a record."""
    entry, erased = vault.get(record_id(number)), vault.is_erased(record_id(number))
    return {(True, False): "kept", (False, True): "erased", (False, False): "unknown"}[entry is not None, erased]


def check_files(directory: Path) -> Keyring:
    """Nothing is left of a replaced keyring, and both copies are the same; what they hold."""
    places = places_in(directory)
    assert places.escrow
    assert {path.name for path in places.directory.iterdir()} == {"entries", "keyring"}
    assert [path.name for path in places.escrow.parent.iterdir()] == [places.escrow.name]
    assert places.escrow.read_bytes() == places.keyring_file.read_bytes()
    return KeyringFile(places.keyring_file, None, master_key(directory)).load().keyring


def index_at_start(start: Path, number: int) -> int:
    """The index of a record's key."""
    engine = Engine.open(places_in(start / "start").database, create=False)
    key = layout.record_key(record_id(number))
    value = engine.get(key)
    engine.close()
    assert value
    return layout.parse(key, value).index


def look(directory: Path, numbers: list[int]) -> list[str]:
    """What became of records, as the next opening finds them, and the opening after that."""
    with open_vault(directory) as vault:
        states = [state_of(vault, number) for number in numbers]
        check_files(directory)
        assert vault.get(record_id(UNTOUCHED)) == entry_of(UNTOUCHED)
        vault.put(record_id(30), entry_of(30))
        assert vault.get(record_id(30)) == entry_of(30)
    with open_vault(directory) as vault:
        assert [state_of(vault, number) for number in numbers] == states
    return states


def once_done_stays_done(states: list[list[str]]) -> bool:
    """Whether the earlier state is followed by the later one, once and for all."""
    return states == sorted(states, key=states.index) and len({tuple(state) for state in states}) == 2


def test_an_erasure_is_done_or_not_begun_and_what_is_done_has_no_key(start: Path) -> None:
    index = index_at_start(start, ERASED)
    copies = crash_at_each_step(start, "erase")
    states = [look(copy, [ERASED, DEPOSIT]) for copy in copies]
    assert len(copies) > 20
    assert states[0] == ["kept", "kept"]
    assert states[-1] == ["erased", "erased"]
    assert once_done_stays_done(states)
    for copy, state in zip(copies, states, strict=True):
        assert (index in check_files(copy)) is (state == ["kept", "kept"])


def test_a_deposit_that_expires_is_there_or_unknown(start: Path) -> None:
    states = [look(copy, [ERASED, DEPOSIT]) for copy in crash_at_each_step(start, "expire")]
    assert states[0] == ["kept", "kept"]
    assert states[-1] == ["kept", "unknown"]
    assert once_done_stays_done(states)


def test_what_is_put_in_is_there_wholly_or_not_at_all(start: Path) -> None:
    copies = crash_at_each_step(start, "put")
    states = []
    for copy in copies:
        states.append(look(copy, [20, 21]))
        check_files(copy)
    assert states[0] == ["unknown", "unknown"]
    assert states[-1] == ["kept", "kept"]
    assert once_done_stays_done(states)
    with open_vault(copies[-1]) as vault:
        assert vault.get(record_id(DEPOSIT)) == entry_of(DEPOSIT)


def reopened_or_reapplied(directory: Path) -> bool:
    """Opens a vault that may be a restored one, after applying the erasures if it asks for that; whether it asked."""
    try:
        open_vault(directory).close()
    except HuzhengError as error:
        if error.code is not Code.VAULT_RESTORED:
            raise
        Vault.reapply(places_in(directory), master_key(directory), [record_id(ERASED)])
        return True
    return False


def test_a_restored_vault_opens_only_once_the_erasures_were_applied(start: Path) -> None:
    with open_vault(start / "start") as vault:
        vault.backup(start / "start" / "backup")
    shutil.rmtree(places_in(start / "start").database)
    copies = crash_at_each_step(start, "reapply")
    asked = []
    for copy in copies:
        if not places_in(copy).database.exists():
            Vault.restore(copy / "backup", places_in(copy))
        asked.append(reopened_or_reapplied(copy))
        assert look(copy, [ERASED, DEPOSIT]) == ["erased", "kept"]
        check_files(copy)
    assert asked[-1] is False
    assert sum(asked) > 20

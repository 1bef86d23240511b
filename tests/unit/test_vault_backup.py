"""A backup is worth nothing alone, and a restored vault is used only after all that was erased is erased again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import Code, HuzhengError
from ledger.store.engine import Engine
from node.vault import layout
from node.vault.backup import BackupSummary
from node.vault.opening import Reapplied, VaultPlaces
from node.vault.vault import Vault
from tests.vaults import entry_of, master_key, new_vault, open_vault, places_in, record_id


def code_of(action: Callable[[], object]) -> Code:
    """The code of the error that an action ends with."""
    with pytest.raises(HuzhengError) as raised:
        action()
    return raised.value.code


def lose_database(directory: Path) -> None:
    """As a broken disk would; the keyring is elsewhere."""
    shutil.rmtree(places_in(directory).database)


def restored(directory: Path, erased: list[bytes]) -> Vault:
    """The vault after its database was lost and came back from `backup`."""
    lose_database(directory)
    Vault.restore(directory / "backup", places_in(directory))
    # Also where nothing was erased or put in since.
    assert code_of(lambda: open_vault(directory)) is Code.VAULT_RESTORED
    Vault.reapply(places_in(directory), master_key(directory), erased)
    return open_vault(directory)


def test_a_backup_brings_back_all_that_was_there(tmp_path: Path) -> None:
    with new_vault(tmp_path, 5) as vault:
        person = vault.persons.person_id("ID_CARD", "TEST1", "样本")
        vault.put(record_id(10), entry_of(10, expires_ms=5))
        vault.erase([record_id(4)])
        assert vault.backup(tmp_path / "backup") == BackupSummary(records=5, persons=1)
    with restored(tmp_path, []) as vault:
        assert [vault.get(record_id(number)) for number in range(5)] == [*map(entry_of, range(4)), None]
        assert vault.is_erased(record_id(4))
        assert vault.persons.find("ID_CARD", "TEST1") == person
        assert vault.expire(5) == [record_id(10)]


def test_the_vault_goes_on_while_a_backup_is_made_and_the_backup_is_of_one_moment(tmp_path: Path) -> None:
    with new_vault(tmp_path, 2) as vault:
        vault.backup(tmp_path / "backup")
        vault.put(record_id(7), entry_of(7))
    with restored(tmp_path, []) as vault:
        assert vault.get(record_id(1)) == entry_of(1)
        assert vault.get(record_id(7)) is None


def test_there_is_no_keyring_in_a_backup(tmp_path: Path) -> None:
    with new_vault(tmp_path, 2) as vault:
        vault.backup(tmp_path / "backup")
        keyring = places_in(tmp_path).keyring_file.read_bytes()
    files = [path for path in (tmp_path / "backup").rglob("*") if path.is_file()]
    assert files
    assert not any(path.name == "keyring" or keyring[-64:] in path.read_bytes() for path in files)


def test_a_restored_vault_does_not_open_before_the_erasures_were_applied(tmp_path: Path) -> None:
    with new_vault(tmp_path, 4) as vault:
        vault.backup(tmp_path / "backup")
        vault.erase([record_id(1)])
    lose_database(tmp_path)
    places, key = places_in(tmp_path), master_key(tmp_path)
    Vault.restore(tmp_path / "backup", places)
    assert code_of(lambda: open_vault(tmp_path)) is Code.VAULT_RESTORED
    # Record 2 was erased on chain, and this vault had not been told of it before.
    assert Vault.reapply(places, key, [record_id(1), record_id(2), record_id(9)]) == Reapplied(kept=2, erased=2)
    with open_vault(tmp_path) as vault:
        assert [vault.get(record_id(number)) for number in range(4)] == [entry_of(0), None, None, entry_of(3)]
        assert [vault.is_erased(record_id(number)) for number in (0, 1, 2, 3, 9)] == [False, True, True, False, True]


def test_what_was_erased_without_being_on_chain_stays_erased_in_a_restored_vault(tmp_path: Path) -> None:
    with new_vault(tmp_path, 1) as vault:
        person = vault.persons.person_id("ID_CARD", "TEST1", "样本")
        vault.put(record_id(10), entry_of(10, expires_ms=5))
        vault.backup(tmp_path / "backup")
        vault.persons.erase_person(person)
        vault.expire(5)
    with restored(tmp_path, []) as vault:
        assert vault.persons.person(person) is None
        assert vault.persons.person_id("ID_CARD", "TEST1", "样本") != person
        assert vault.get(record_id(10)) is None
        assert not vault.is_erased(record_id(10))
        assert vault._entries.keys(layout.DEPOSIT, layout.after(layout.DEPOSIT)) == []


def test_a_database_copied_back_by_hand_is_noticed(tmp_path: Path) -> None:
    vault = new_vault(tmp_path, 3)
    vault.close()
    places = places_in(tmp_path)
    shutil.copytree(places.database, tmp_path / "copy")
    with open_vault(tmp_path) as vault:
        vault.erase([record_id(1)])
    lose_database(tmp_path)
    shutil.copytree(tmp_path / "copy", places.database)
    assert code_of(lambda: open_vault(tmp_path)) is Code.VAULT_RESTORED
    Vault.reapply(places, master_key(tmp_path), [])
    with open_vault(tmp_path) as vault:
        assert [vault.get(record_id(number)) for number in range(3)] == [entry_of(0), None, entry_of(2)]


def test_an_old_copy_from_before_further_entries_is_noticed_too(tmp_path: Path) -> None:
    new_vault(tmp_path, 1).close()
    places = places_in(tmp_path)
    shutil.copytree(places.database, tmp_path / "copy")
    with open_vault(tmp_path) as vault:
        vault.put(record_id(5), entry_of(5))
    lose_database(tmp_path)
    shutil.copytree(tmp_path / "copy", places.database)
    assert code_of(lambda: open_vault(tmp_path)) is Code.VAULT_RESTORED


def test_what_only_a_newer_backup_has_can_not_be_read_after_an_older_one_was_used(tmp_path: Path) -> None:
    with new_vault(tmp_path, 2) as vault:
        vault.backup(tmp_path / "backup")
        vault.put(record_id(5), entry_of(5))
        vault.backup(tmp_path / "newer")
    with restored(tmp_path, []) as vault:
        assert vault.get(record_id(5)) is None
        vault.put(record_id(6), entry_of(6))
        # Record 5 can't be named to its key any more, so its key had to go with the restore.
        assert vault.erase([record_id(5)]) == 0
    lose_database(tmp_path)
    shutil.copytree(tmp_path / "newer", places_in(tmp_path).database)
    Vault.reapply(places_in(tmp_path), master_key(tmp_path), [])
    with open_vault(tmp_path) as vault:
        assert [vault.get(record_id(number)) for number in (0, 5)] == [entry_of(0), None]


def test_a_stale_keyring_is_healed_by_giving_up_all_that_the_database_does_not_have(tmp_path: Path) -> None:
    vault = new_vault(tmp_path, 3)
    places = places_in(tmp_path)
    old = places.keyring_file.read_bytes()
    vault.backup(tmp_path / "backup")
    vault.erase([record_id(1)])
    vault.close()
    assert places.escrow
    for path in (places.keyring_file, places.escrow):
        path.write_bytes(old)
    assert code_of(lambda: open_vault(tmp_path)) is Code.VAULT_ROLLED_BACK
    assert Vault.reapply(places, master_key(tmp_path), [record_id(1)]) == Reapplied(kept=2, erased=0)
    # The backup still has record 1, and nothing opens it any more.
    with restored(tmp_path, []) as vault:
        assert [vault.get(record_id(number)) for number in range(3)] == [entry_of(0), None, entry_of(2)]


def test_a_healed_vault_takes_none_of_the_keyrings_from_before(tmp_path: Path) -> None:
    vault = new_vault(tmp_path, 4)
    places = VaultPlaces(tmp_path / "vault")
    old = []
    for number in range(3):
        old.append(places.keyring_file.read_bytes())
        vault.erase([record_id(number)])
    old.append(places.keyring_file.read_bytes())
    vault.close()
    places.keyring_file.write_bytes(old[0])
    Vault.reapply(places, master_key(tmp_path), [])
    Vault.open(places, master_key(tmp_path)).close()
    for keyring in old:
        places.keyring_file.write_bytes(keyring)
        assert code_of(lambda: Vault.open(places, master_key(tmp_path))) is Code.VAULT_ROLLED_BACK


def test_reapplying_again_does_no_harm_and_finishes_an_erasure_that_was_begun(tmp_path: Path) -> None:
    vault = new_vault(tmp_path, 3)
    (tmp_path / "medium").rename(tmp_path / "taken out")
    assert code_of(lambda: vault.erase([record_id(1)])) is Code.VAULT_ESCROW
    vault.close()
    (tmp_path / "taken out").rename(tmp_path / "medium")
    places, key = places_in(tmp_path), master_key(tmp_path)
    assert Vault.reapply(places, key, []).kept == 2
    assert Vault.reapply(places, key, []) == Reapplied(kept=2, erased=0)
    with open_vault(tmp_path) as vault:
        assert [vault.get(record_id(number)) for number in range(3)] == [entry_of(0), None, entry_of(2)]
        assert vault.is_erased(record_id(1))
        vault.put(record_id(8), entry_of(8))
        assert vault.get(record_id(8)) == entry_of(8)


def test_an_erasure_whose_keyring_was_not_written_yet_is_finished_by_reapplying_or_opening(tmp_path: Path) -> None:
    vault = new_vault(tmp_path, 4)
    in_the_way = tmp_path / "vault" / ".keyring.new"
    for number in (1, 2):
        in_the_way.mkdir()
        assert code_of(lambda: vault.erase([record_id(number)])) is Code.STORE_ACCESS  # noqa: B023
        assert vault.get(record_id(number)) == entry_of(number)
        vault.close()
        in_the_way.rmdir()
        if number == 1:
            reapplied = Vault.reapply(places_in(tmp_path), master_key(tmp_path), [])
            assert reapplied == Reapplied(kept=3, erased=1)
        vault = open_vault(tmp_path)
    assert [vault.get(record_id(number)) for number in range(4)] == [entry_of(0), None, None, entry_of(3)]
    vault.close()


def test_a_backup_that_is_not_whole_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    with new_vault(tmp_path, 300) as vault:
        vault.backup(tmp_path / "backup")
    lose_database(tmp_path)
    places = places_in(tmp_path)
    tables = [path for path in (tmp_path / "backup").iterdir() if path.suffix in (".log", ".ldb")]
    largest = max(tables, key=lambda path: path.stat().st_size)
    whole = largest.read_bytes()
    for cut in (len(whole) // 2, len(whole) - 5):
        largest.write_bytes(whole[:cut])
        assert code_of(lambda: Vault.restore(tmp_path / "backup", places)) in (Code.VAULT_BACKUP, Code.STORE_CORRUPT)
        assert not places.database.exists()
    assert code_of(lambda: Vault.restore(tmp_path / "medium", places)) is Code.VAULT_BACKUP
    largest.write_bytes(whole)
    shutil.copytree(tmp_path / "backup", tmp_path / "thinned")
    engine = Engine.open(tmp_path / "thinned", create=False)
    batch = engine.batch()
    batch.delete(layout.record_key(record_id(7)))
    batch.write()
    engine.close()
    assert code_of(lambda: Vault.restore(tmp_path / "thinned", places)) is Code.VAULT_BACKUP
    assert not places.database.exists()
    Vault.restore(tmp_path / "backup", places)


def test_a_backup_is_never_written_over_something_nor_restored_over_a_database(tmp_path: Path) -> None:
    with new_vault(tmp_path, 1) as vault:
        vault.backup(tmp_path / "backup")
        assert code_of(lambda: vault.backup(tmp_path / "backup")) is Code.VAULT_EXISTS
    assert code_of(lambda: Vault.restore(tmp_path / "backup", places_in(tmp_path))) is Code.VAULT_EXISTS


def test_a_backup_goes_with_its_own_keyring_only(tmp_path: Path) -> None:
    with new_vault(tmp_path, 1) as vault:
        vault.backup(tmp_path / "backup")
    other = VaultPlaces(tmp_path / "other")
    Vault.create(other, master_key(tmp_path))
    shutil.rmtree(other.database)
    assert code_of(lambda: Vault.restore(tmp_path / "backup", other)) is Code.VAULT_FOREIGN
    assert not other.database.exists()


def test_restoring_writes_nothing_where_the_backup_is(tmp_path: Path) -> None:
    with new_vault(tmp_path, 1) as vault:
        vault.backup(tmp_path / "backup")
    before = {path.name: path.read_bytes() for path in (tmp_path / "backup").iterdir()}
    restored(tmp_path, []).close()
    assert {path.name: path.read_bytes() for path in (tmp_path / "backup").iterdir()} == before

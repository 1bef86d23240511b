"""A vault keeps what it was given, gives nothing else out, and says what is wrong with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from huzheng.v1 import vault_pb2 as pb

from ledger.commitments import SecretField
from ledger.errors import Code, HuzhengError
from ledger.store.engine import Engine
from node.vault import layout
from node.vault.master_key import KeyFile, create_master_key_file
from node.vault.opening import Reapplied, VaultPlaces
from node.vault.secrets import Origin, VaultEntry
from node.vault.vault import Vault, VaultCheck
from tests.vaults import entry_of, master_key, new_vault, open_vault, places_in, record_id, values_of


def code_of(action: Callable[[], object]) -> Code:
    """The code of the error that an action ends with."""
    with pytest.raises(HuzhengError) as raised:
        action()
    return raised.value.code


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with new_vault(tmp_path, 3) as vault:
        yield vault


def raw_engine(directory: Path) -> Engine:
    """The database of a vault that is not open."""
    return Engine.open(places_in(directory).database, create=False)


def deposits(directory: Path) -> list[bytes]:
    """The marks of deposits in a vault that is not open."""
    engine = raw_engine(directory)
    marks = [key for key, _ in engine.scan(layout.DEPOSIT, layout.after(layout.DEPOSIT))]
    engine.close()
    return marks


def test_entries_come_back_as_they_were_put_in_also_after_reopening(tmp_path: Path) -> None:
    with new_vault(tmp_path, 3) as vault:
        assert [vault.get(record_id(number)) for number in range(4)] == [entry_of(0), entry_of(1), entry_of(2), None]
    with open_vault(tmp_path) as vault:
        assert [vault.get(record_id(number)) for number in range(4)] == [entry_of(0), entry_of(1), entry_of(2), None]


def test_an_entry_is_never_overwritten_by_another(vault: Vault) -> None:
    vault.put(record_id(0), entry_of(0))
    assert code_of(lambda: vault.put(record_id(0), entry_of(1))) is Code.VAULT_CONFLICT
    assert code_of(lambda: vault.put(record_id(0), entry_of(0, origin=Origin.COPY))) is Code.VAULT_CONFLICT
    fewer = VaultEntry(entry_of(0).fields[:1], Origin.OWN)
    more = VaultEntry((*entry_of(0).fields, SecretField(3, "x", b"salt")), Origin.OWN)
    assert code_of(lambda: vault.put(record_id(0), fewer)) is Code.VAULT_CONFLICT
    assert code_of(lambda: vault.put(record_id(0), more)) is Code.VAULT_CONFLICT
    assert vault.get(record_id(0)) == entry_of(0)


def test_one_refused_entry_refuses_all_that_are_put_with_it(vault: Vault) -> None:
    assert code_of(lambda: vault.put_all({record_id(7): entry_of(7), record_id(0): entry_of(1)})) is Code.VAULT_CONFLICT
    assert vault.get(record_id(7)) is None


def test_reads_of_one_record_add_up_but_never_contradict(vault: Vault) -> None:
    first, second = entry_of(9).fields
    vault.put(record_id(9), VaultEntry((second,), Origin.COPY))
    vault.put(record_id(9), VaultEntry((first,), Origin.COPY))
    assert vault.get(record_id(9)) == entry_of(9, origin=Origin.COPY)
    other = VaultEntry((SecretField(1, "another", first.salt),), Origin.COPY)
    assert code_of(lambda: vault.put(record_id(9), other)) is Code.VAULT_CONFLICT


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (VaultEntry((entry_of(1).fields[1], entry_of(1).fields[0]), Origin.OWN), Code.INVALID_REQUEST),
        (VaultEntry((SecretField(0, "x", b""),), Origin.OWN), Code.INVALID_REQUEST),
        (VaultEntry((SecretField(1, "secret \ud800", b""),), Origin.OWN), Code.INVALID_REQUEST),
        (VaultEntry((), Origin.OWN, -1), Code.INVALID_REQUEST),
        (VaultEntry((SecretField(1, "x" * (1 << 20), b""),), Origin.OWN), Code.TOO_LARGE),
    ],
    ids=["order", "number", "half a character", "time", "size"],
)
def test_what_is_no_entry_is_refused_and_not_repeated(vault: Vault, entry: VaultEntry, code: Code) -> None:
    with pytest.raises(HuzhengError) as raised:
        vault.put(record_id(8), entry)
    assert raised.value.code is code
    assert "secret" not in str(raised.value)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    assert vault.get(record_id(8)) is None


def test_a_record_id_has_32_bytes(vault: Vault) -> None:
    assert code_of(lambda: vault.get(b"short")) is Code.INVALID_REQUEST
    assert code_of(lambda: vault.put(b"short", entry_of(0))) is Code.INVALID_REQUEST
    assert code_of(lambda: vault.erase([b"short"])) is Code.INVALID_REQUEST


def test_a_deposit_stays_until_its_transaction_expires_unless_its_record_is_on_chain(vault: Vault) -> None:
    vault.put_all({record_id(number): entry_of(number, expires_ms=1000 + number) for number in (10, 11, 12)})
    assert vault.confirm([record_id(11), record_id(99)]) == 1
    assert vault.expire(1009) == []
    assert vault.expire(1011) == [record_id(10)]
    assert vault.get(record_id(10)) is None
    assert vault.get(record_id(11)) == entry_of(11)
    assert vault.get(record_id(12)) == entry_of(12, expires_ms=1012)
    assert vault.confirm([record_id(11)]) == 0


def test_a_deposit_that_expired_was_not_erased_and_may_be_made_again(vault: Vault) -> None:
    vault.put(record_id(10), entry_of(10, expires_ms=5))
    vault.expire(5)
    assert not vault.is_erased(record_id(10))
    vault.put(record_id(10), entry_of(10, expires_ms=7))
    vault.put(record_id(10), entry_of(10, expires_ms=9))
    vault.put(record_id(10), entry_of(10, expires_ms=8))
    assert vault.expire(8) == []
    assert vault.expire(9) == [record_id(10)]


def test_a_record_on_chain_does_not_become_a_deposit_again(vault: Vault) -> None:
    vault.put(record_id(0), entry_of(0, expires_ms=5))
    assert vault.get(record_id(0)) == entry_of(0)
    assert vault.expire(5) == []


def test_a_mark_that_somebody_planted_expires_nothing(tmp_path: Path) -> None:
    new_vault(tmp_path, 1).close()
    engine = raw_engine(tmp_path)
    batch = engine.batch()
    batch.put(layout.deposit_key(5, record_id(0)), b"")
    batch.write()
    engine.close()
    with open_vault(tmp_path) as vault:
        assert vault.expire(5) == []
        assert vault.get(record_id(0)) == entry_of(0)


def test_erasing_takes_what_it_names_for_good_and_nothing_else(tmp_path: Path) -> None:
    with new_vault(tmp_path, 3) as vault:
        vault.put(record_id(10), entry_of(10, expires_ms=5))
        assert vault.erase([record_id(1), record_id(10), record_id(77)]) == 2
        assert vault.erase([record_id(1), record_id(10), record_id(77)]) == 0
    with open_vault(tmp_path) as vault:
        assert [vault.get(record_id(number)) for number in (0, 1, 2, 10)] == [entry_of(0), None, entry_of(2), None]
        assert [vault.is_erased(record_id(number)) for number in (0, 1, 10, 77, 78)] == [False, True, True, True, False]
        assert code_of(lambda: vault.put(record_id(1), entry_of(1))) is Code.VAULT_ERASED
        assert code_of(lambda: vault.put(record_id(77), entry_of(77))) is Code.VAULT_ERASED
    assert deposits(tmp_path) == []


def test_entries_that_were_exchanged_or_changed_are_named_and_not_given_out(tmp_path: Path) -> None:
    new_vault(tmp_path, 3).close()
    engine = raw_engine(tmp_path)
    keys = [layout.record_key(record_id(number)) for number in range(3)]
    values = [engine.get(key) or b"" for key in keys]
    batch = engine.batch()
    batch.put(keys[0], values[1])
    batch.put(keys[1], values[0])
    batch.put(keys[2], values[2][:-1] + bytes([values[2][-1] ^ 1]))
    batch.write()
    engine.close()
    with open_vault(tmp_path) as vault:
        for number in range(3):
            with pytest.raises(HuzhengError) as raised:
                vault.get(record_id(number))
            assert raised.value.code is Code.VAULT_CORRUPT
            assert record_id(number).hex() in raised.value.detail


@pytest.mark.parametrize("place", [0, 3, 4, 27, 28, 60, -1])
def test_every_byte_of_an_entry_is_authenticated(tmp_path: Path, place: int) -> None:
    new_vault(tmp_path, 1).close()
    engine = raw_engine(tmp_path)
    key = layout.record_key(record_id(0))
    value = bytearray(engine.get(key) or b"")
    value[place] ^= 1
    batch = engine.batch()
    batch.put(key, bytes(value))
    batch.write()
    engine.close()
    with open_vault(tmp_path) as vault:
        assert code_of(lambda: vault.get(record_id(0))) is Code.VAULT_CORRUPT
        # Its index may be another entry's.
        assert code_of(lambda: vault.erase([record_id(0)])) is Code.VAULT_CORRUPT
        assert code_of(lambda: vault._entries.erase([key])) is Code.VAULT_CORRUPT


def damage(directory: Path, number: int) -> None:
    """Changes a byte of a record's ciphertext on the disk."""
    engine = raw_engine(directory)
    key = layout.record_key(record_id(number))
    value = engine.get(key) or b""
    batch = engine.batch()
    batch.put(key, value[:-1] + bytes([value[-1] ^ 1]))
    batch.write()
    engine.close()


def test_a_check_names_what_is_damaged_and_reapplying_gives_it_up_if_told_to(tmp_path: Path) -> None:
    with new_vault(tmp_path, 4) as vault:
        vault.persons.person_id("ID_CARD", "TEST1", "样本")
        assert vault.check() == VaultCheck(4, 1, ())
    damage(tmp_path, 2)
    places, key = places_in(tmp_path), master_key(tmp_path)
    name = f"record {record_id(2).hex()}"
    with open_vault(tmp_path) as vault:
        assert vault.check() == VaultCheck(3, 1, (name,))
        assert code_of(lambda: vault.backup(tmp_path / "backup")) is Code.VAULT_CORRUPT
    with pytest.raises(HuzhengError) as raised:
        Vault.reapply(places, key, [record_id(0)])
    assert (raised.value.code, raised.value.detail) == (Code.VAULT_CORRUPT, name)
    reapplied = Vault.reapply(places, key, [record_id(0)], give_up_damaged=True)
    assert reapplied == Reapplied(kept=3, erased=1, damaged=1)
    with open_vault(tmp_path) as vault:
        assert sorted(vault.record_ids()) == sorted([record_id(1), record_id(3)])
        # It was not erased, so whoever has the values still may put them in again.
        vault.put(record_id(2), entry_of(2))
        assert vault.check() == VaultCheck(3, 1, ())


def test_reading_does_not_wait_for_an_erasure(vault: Vault) -> None:
    with vault._entries.lock, ThreadPoolExecutor(1) as pool:
        assert pool.submit(vault.get, record_id(0)).result(timeout=60) == entry_of(0)


def test_no_index_is_used_twice_however_often_the_vault_is_opened(tmp_path: Path) -> None:
    new_vault(tmp_path, 2).close()
    for number in (2, 3):
        with open_vault(tmp_path) as vault:
            vault.put(record_id(number), entry_of(number))
            vault.erase([record_id(number - 2)])
            vault.put(record_id(number + 10), entry_of(number + 10))
    engine = raw_engine(tmp_path)
    values = engine.scan(layout.RECORD, layout.after(layout.RECORD))
    indices = [layout.parse(key, value).index for key, value in values]
    engine.close()
    assert len(indices) == 4
    assert len(set(indices)) == 4


def test_another_master_key_opens_nothing_and_is_told_from_damage(tmp_path: Path) -> None:
    new_vault(tmp_path, 1).close()
    create_master_key_file(tmp_path / "other.key")
    places = places_in(tmp_path)
    assert code_of(lambda: Vault.open(places, KeyFile(tmp_path / "other.key"))) is Code.VAULT_LOCKED
    whole = places.keyring_file.read_bytes()
    for place in range(0, len(whole), 7):
        places.keyring_file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert code_of(lambda: open_vault(tmp_path)) is Code.VAULT_CORRUPT
    places.keyring_file.write_bytes(whole)
    open_vault(tmp_path).close()


def test_a_vault_is_open_once(tmp_path: Path) -> None:
    with new_vault(tmp_path):
        assert code_of(lambda: open_vault(tmp_path)) is Code.STORE_LOCKED


def test_a_vault_is_never_made_over_something(tmp_path: Path) -> None:
    new_vault(tmp_path, 1).close()
    key = master_key(tmp_path)
    assert code_of(lambda: Vault.create(places_in(tmp_path), key)) is Code.VAULT_EXISTS
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert code_of(lambda: Vault.create(VaultPlaces(tmp_path / "full"), key)) is Code.VAULT_EXISTS
    escrow = places_in(tmp_path).escrow
    assert code_of(lambda: Vault.create(VaultPlaces(tmp_path / "other", escrow=escrow), key)) is Code.VAULT_EXISTS


def test_what_is_no_vault_is_not_opened(tmp_path: Path) -> None:
    new_vault(tmp_path, 1).close()
    places = places_in(tmp_path)
    assert code_of(lambda: Vault.open(VaultPlaces(tmp_path / "nowhere"), master_key(tmp_path))) is Code.VAULT_FOREIGN
    shutil.rmtree(places.database)
    Engine.open(places.database, create=True).close()
    assert code_of(lambda: open_vault(tmp_path)) is Code.VAULT_FOREIGN


def test_the_keyring_of_another_vault_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        Vault.create(VaultPlaces(tmp_path / name), master_key(tmp_path))
    mixed = VaultPlaces(tmp_path / "one", keyring=tmp_path / "two" / "keyring")
    assert code_of(lambda: Vault.open(mixed, master_key(tmp_path))) is Code.VAULT_FOREIGN
    copied = VaultPlaces(tmp_path / "one", escrow=tmp_path / "two" / "keyring")
    assert code_of(lambda: Vault.open(copied, master_key(tmp_path))) is Code.VAULT_FOREIGN


def test_a_vault_without_its_keyring_says_so_and_its_second_copy_replaces_it(tmp_path: Path) -> None:
    new_vault(tmp_path, 2).close()
    places = places_in(tmp_path)
    places.keyring_file.unlink()
    assert code_of(lambda: open_vault(tmp_path)) is Code.VAULT_KEYRING_MISSING
    assert places.escrow
    shutil.copy2(places.escrow, places.keyring_file)
    with open_vault(tmp_path) as vault:
        assert vault.get(record_id(1)) == entry_of(1)


def test_files_that_others_can_read_are_refused(tmp_path: Path) -> None:
    new_vault(tmp_path).close()
    keyring = places_in(tmp_path).keyring_file
    assert keyring.stat().st_mode & 0o777 == 0o600
    keyring.chmod(0o640)
    assert code_of(lambda: open_vault(tmp_path)) is Code.KEY_FILE_MODE


def test_a_keyring_older_than_the_last_erasure_is_refused(tmp_path: Path) -> None:
    vault = new_vault(tmp_path, 3)
    places = places_in(tmp_path)
    old = places.keyring_file.read_bytes()
    vault.erase([record_id(1)])
    vault.close()
    assert places.escrow
    newest = places.escrow.read_bytes()
    places.keyring_file.write_bytes(old)
    # The second copy tells, and where there is none the database does.
    assert code_of(lambda: open_vault(tmp_path)) is Code.VAULT_ROLLED_BACK
    places.escrow.unlink()
    assert code_of(lambda: open_vault(tmp_path)) is Code.VAULT_ROLLED_BACK
    places.keyring_file.write_bytes(newest)
    with open_vault(tmp_path) as vault:
        assert vault.get(record_id(2)) == entry_of(2)


def test_without_its_second_copy_nothing_counts_as_erased(tmp_path: Path) -> None:
    vault = new_vault(tmp_path, 3)
    medium = tmp_path / "medium"
    medium.rename(tmp_path / "taken out")
    assert code_of(lambda: vault.erase([record_id(1)])) is Code.VAULT_ESCROW
    assert not vault.is_erased(record_id(1))
    assert code_of(lambda: vault.erase([record_id(2)])) is Code.VAULT_ESCROW
    (tmp_path / "taken out").rename(medium)
    # The next erasure finishes the one that was begun.
    vault.erase([record_id(2)])
    assert [vault.get(record_id(number)) for number in range(3)] == [entry_of(0), None, None]
    assert vault.is_erased(record_id(1))
    vault.close()
    places = places_in(tmp_path)
    assert places.escrow
    assert places.escrow.read_bytes() == places.keyring_file.read_bytes()


def test_a_vault_does_not_open_without_its_second_copy_and_renews_one_that_is_lost_or_damaged(tmp_path: Path) -> None:
    new_vault(tmp_path, 1).close()
    places = places_in(tmp_path)
    assert places.escrow
    for contents in (None, b"", b"damaged"):
        places.escrow.unlink()
        if contents is not None:
            places.escrow.write_bytes(contents)
            places.escrow.chmod(0o600)
        open_vault(tmp_path).close()
        assert places.escrow.read_bytes() == places.keyring_file.read_bytes()
    (tmp_path / "medium").rename(tmp_path / "taken out")
    gone = VaultPlaces(tmp_path / "vault", escrow=places.escrow)
    assert code_of(lambda: Vault.open(gone, master_key(tmp_path))) is Code.VAULT_ESCROW


def test_no_repr_and_no_error_shows_values(vault: Vault) -> None:
    entry = vault.get(record_id(0))
    assert entry
    shown = repr(entry) + repr(entry.fields) + repr(vault) + repr(vault.persons)
    assert not any(value in shown for value in values_of(0))
    assert entry.fields[0].salt.hex() not in shown
    assert repr(entry.fields[0].salt) not in shown


def test_the_vault_is_used_up_when_all_indices_were_given_out(tmp_path: Path) -> None:
    new_vault(tmp_path).close()
    engine = raw_engine(tmp_path)
    batch = engine.batch()
    batch.put(layout.STATE_KEY, pb.VaultState(reserved=(1 << 32) - 1).SerializeToString(deterministic=True))
    batch.write()
    engine.close()
    with open_vault(tmp_path) as vault:
        vault.put(record_id(0), entry_of(0))
        assert code_of(lambda: vault.put(record_id(1), entry_of(1))) is Code.VAULT_EXHAUSTED
        assert vault.get(record_id(0)) == entry_of(0)

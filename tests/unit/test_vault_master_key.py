"""Master keys in files and from passphrases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import Code, HuzhengError
from node.vault.master_key import KeyFile, MasterKey, Passphrase, create_master_key_file
from node.vault.opening import VaultPlaces
from node.vault.vault import Vault
from tests.vaults import entry_of, record_id


def code_of(action: Callable[[], object]) -> Code:
    """The code of the error that an action ends with."""
    with pytest.raises(HuzhengError) as raised:
        action()
    return raised.value.code


def weak(passphrase: bytes) -> Passphrase:
    """A passphrase that costs a test nothing."""
    return Passphrase(passphrase, passes=1, memory_kib=64)


def make_vault(directory: Path, key: MasterKey) -> VaultPlaces:
    """A vault with one record, which was written to twice."""
    places = VaultPlaces(directory / "vault")
    Vault.create(places, key)
    with Vault.open(places, key) as vault:
        vault.put_all({record_id(number): entry_of(number) for number in range(2)})
        vault.erase([record_id(0)])
    return places


def test_a_passphrase_opens_what_it_sealed_with_the_cost_it_was_sealed_at(tmp_path: Path) -> None:
    places = make_vault(tmp_path, weak("口令一".encode()))
    with Vault.open(places, Passphrase("口令一".encode())) as vault:
        assert vault.get(record_id(1)) == entry_of(1)
    assert code_of(lambda: Vault.open(places, weak(b"another"))) is Code.VAULT_LOCKED


def test_a_key_file_and_a_passphrase_do_not_open_each_others_vaults(tmp_path: Path) -> None:
    create_master_key_file(tmp_path / "key")
    places = make_vault(tmp_path, KeyFile(tmp_path / "key"))
    assert code_of(lambda: Vault.open(places, weak(b"x"))) is Code.VAULT_LOCKED
    (tmp_path / "other").mkdir()
    places = make_vault(tmp_path / "other", weak(b"x"))
    assert code_of(lambda: Vault.open(places, KeyFile(tmp_path / "key"))) is Code.VAULT_LOCKED


def test_a_key_file_is_private_whole_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    create_master_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_bytes()) == 32
    assert code_of(lambda: create_master_key_file(path)) is Code.KEY_FILE_EXISTS
    places = make_vault(tmp_path, KeyFile(path))
    path.chmod(0o644)
    assert code_of(lambda: Vault.open(places, KeyFile(path))) is Code.KEY_FILE_MODE
    path.chmod(0o600)
    path.write_bytes(bytes(31))
    assert code_of(lambda: Vault.open(places, KeyFile(path))) is Code.KEY_FILE_INVALID
    path.unlink()
    assert code_of(lambda: Vault.open(places, KeyFile(path))) is Code.KEY_FILE_MISSING


def test_a_master_key_is_changed_without_touching_an_entry(tmp_path: Path) -> None:
    create_master_key_file(tmp_path / "key")
    places = make_vault(tmp_path, weak(b"old"))
    Vault.change_master_key(places, weak(b"old"), KeyFile(tmp_path / "key"))
    assert code_of(lambda: Vault.open(places, weak(b"old"))) is Code.VAULT_LOCKED
    with Vault.open(places, KeyFile(tmp_path / "key")) as vault:
        assert vault.get(record_id(1)) == entry_of(1)
        assert vault.is_erased(record_id(0))

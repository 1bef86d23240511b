"""A master key in a PKCS#11 token, tried with SoftHSM where that is installed (CONTRIBUTING.md says how)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger.errors import Code, HuzhengError
from node.vault.keyring_file import read_header
from node.vault.master_key import Passphrase
from node.vault.opening import VaultPlaces
from node.vault.token_key import PinRefusedError, TokenKey
from node.vault.vault import Vault
from tests.vaults import entry_of, record_id

LIBRARIES = [
    Path(path)
    for path in (
        os.environ.get("HUZHENG_SOFTHSM", ""),
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
        "/opt/homebrew/lib/softhsm/libsofthsm2.so",
    )
    if path
]
LIBRARY = next((path for path in LIBRARIES if path.exists()), None)
PIN = "135790"

needs_softhsm = pytest.mark.skipif(
    LIBRARY is None or shutil.which("softhsm2-util") is None,
    reason="SoftHSM is not installed (apt-get install softhsm2)",
)


def code_of(action: Callable[[], object]) -> Code:
    """The code of the error that an action ends with."""
    with pytest.raises(HuzhengError) as raised:
        action()
    assert PIN not in str(raised.value)
    return raised.value.code


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> TokenKey:
    """A token of this module's own. SoftHSM reads its configuration once in a process."""
    assert LIBRARY
    directory = tmp_path_factory.mktemp("softhsm")
    (directory / "tokens").mkdir()
    configuration = directory / "softhsm2.conf"
    configuration.write_text(
        f"directories.tokendir = {directory}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    command = ["softhsm2-util", "--init-token", "--free", "--label", "vault", "--so-pin", "97531", "--pin", PIN]
    subprocess.run([*command, "--module", str(LIBRARY)], check=True, capture_output=True, timeout=60)
    return TokenKey(LIBRARY, "vault", PIN)


def key_ids(token: TokenKey, vault_id: bytes) -> set[bytes]:
    """The keys that the token has for a vault."""
    from node.vault.token_key import _keys

    with token._session() as session:
        return {key.id for key in _keys(session, vault_id)}


@needs_softhsm
def test_a_token_opens_the_vault_and_has_one_key_for_it_at_any_time(token: TokenKey, tmp_path: Path) -> None:
    places = VaultPlaces(tmp_path / "vault", escrow=tmp_path / "copy")
    Vault.create(places, token)
    with Vault.open(places, token) as vault:
        vault.put_all({record_id(number): entry_of(number) for number in range(3)})
        vault.erase([record_id(1)])
    header = read_header(places.keyring_file.read_bytes())
    assert key_ids(token, header.vault_id) == {header.protection.token.key_id}
    with Vault.open(places, token) as vault:
        assert [vault.get(record_id(number)) for number in range(3)] == [entry_of(0), None, entry_of(2)]


@needs_softhsm
def test_a_keyring_from_before_an_erasure_can_not_be_opened_even_with_the_token(
    token: TokenKey, tmp_path: Path
) -> None:
    places = VaultPlaces(tmp_path / "vault")
    Vault.create(places, token)
    with Vault.open(places, token) as vault:
        vault.put_all({record_id(number): entry_of(number) for number in range(2)})
    shutil.copytree(places.directory, tmp_path / "stolen")
    stolen = VaultPlaces(tmp_path / "stolen")
    with Vault.open(stolen, token) as vault:
        # This test would see it: before the erasure, the copy opens.
        assert vault.get(record_id(1)) == entry_of(1)
    with Vault.open(places, token) as vault:
        vault.erase([record_id(1)])
    assert code_of(lambda: Vault.open(stolen, token)) is Code.VAULT_LOCKED
    assert code_of(lambda: Vault.reapply(stolen, token, [])) is Code.VAULT_LOCKED


@needs_softhsm
def test_keys_of_another_vault_in_the_token_are_left_alone(token: TokenKey, tmp_path: Path) -> None:
    places = [VaultPlaces(tmp_path / name) for name in ("one", "two")]
    for place in places:
        Vault.create(place, token)
    for place in places:
        with Vault.open(place, token) as vault:
            vault.put(record_id(0), entry_of(0))
            vault.erase([record_id(0)])
    for place in places:
        Vault.open(place, token).close()


@needs_softhsm
def test_a_wrong_pin_or_a_missing_token_is_said_without_repeating_the_pin(token: TokenKey, tmp_path: Path) -> None:
    places = VaultPlaces(tmp_path / "vault")
    Vault.create(places, token)
    with pytest.raises(PinRefusedError) as raised:
        Vault.open(places, TokenKey(token.library, "vault", PIN + "0"))
    assert raised.value.code is Code.VAULT_TOKEN
    assert PIN not in str(raised.value)
    assert code_of(lambda: Vault.open(places, TokenKey(token.library, "other", PIN))) is Code.VAULT_TOKEN
    Vault.open(places, token).close()


def test_a_library_that_is_not_there_is_said_so_and_no_pin_is_shown(tmp_path: Path) -> None:
    missing = TokenKey(tmp_path / "none.so", "vault", PIN)
    assert code_of(lambda: Vault.create(VaultPlaces(tmp_path / "vault"), missing)) is Code.VAULT_TOKEN
    assert PIN not in repr(missing)


@needs_softhsm
def test_a_vault_moves_into_a_token_and_out_of_it(token: TokenKey, tmp_path: Path) -> None:
    places, passphrase = VaultPlaces(tmp_path / "vault"), Passphrase(b"x", passes=1, memory_kib=64)
    Vault.create(places, passphrase)
    Vault.change_master_key(places, passphrase, token)
    Vault.change_master_key(places, token, token)
    Vault.open(places, token).close()
    vault_id = read_header(places.keyring_file.read_bytes()).vault_id
    assert len(key_ids(token, vault_id)) == 1
    Vault.change_master_key(places, token, passphrase)
    Vault.open(places, passphrase).close()
    assert key_ids(token, vault_id) == set()

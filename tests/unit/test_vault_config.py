"""The vault that a node.toml names: its places, and its master key from whichever source."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import Code, HuzhengError
from node.config import NodeConfig, load_config
from node.network import init_network
from node.network_plan import local_plan
from node.vault.opening import VaultPlaces
from node.vault.token_key import TokenKey
from node.vault.vault import Vault
from node.vault_config import master_key, open_vault, vault_places
from tests.vaults import entry_of, record_id

WORDS = "correct horse battery staple"


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("HUZHENG_VAULT_PASSPHRASE", "HUZHENG_VAULT_PASSPHRASE_FILE"):
        monkeypatch.delenv(variable, raising=False)
    return init_network(tmp_path / "network", local_plan(1)).nodes["planning"]


def changed(node: Path, old: str, new: str) -> NodeConfig:
    file = node / "node.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return load_config(node)


def code_of(caught: pytest.ExceptionInfo[HuzhengError]) -> Code:
    return caught.value.code


def test_keyring_and_its_copy_are_where_the_file_says(node: Path) -> None:
    config = changed(node, 'directory = "vault"', 'directory = "vault"\nkeyring = "ring"\nescrow = "copy"')
    assert vault_places(config) == VaultPlaces(node / "vault", node / "ring", node / "copy")


def test_a_node_without_a_vault_has_none(node: Path) -> None:
    text = (node / "node.toml").read_text()
    start, stop = text.index("[vault]"), text.index("# Metrics")
    (node / "node.toml").write_text(text[:start] + text[stop:])
    config = load_config(node)
    assert open_vault(config) is None
    with pytest.raises(HuzhengError) as caught:
        vault_places(config)
    assert code_of(caught) is Code.CONFIG_INVALID


def test_the_key_file_opens_the_vault(node: Path) -> None:
    with open_vault(load_config(node)) or pytest.fail("no vault") as vault:
        vault.put(record_id(1), entry_of(1))
        assert vault.get(record_id(1)) == entry_of(1)


@pytest.mark.parametrize("way", ["file", "variable", "named file"])
def test_a_passphrase_is_taken_from_where_the_operator_put_it(
    node: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    words = node / "words"
    words.write_text(WORDS + "\n")
    words.chmod(0o600)
    setting = 'passphrase_file = "words"' if way == "file" else "passphrase = true"
    before = master_key(load_config(node))
    config = changed(node, 'key_file = "keys/vault.key"', setting)
    if way == "variable":
        monkeypatch.setenv("HUZHENG_VAULT_PASSPHRASE", WORDS)
    elif way == "named file":
        monkeypatch.setenv("HUZHENG_VAULT_PASSPHRASE_FILE", str(words))
    Vault.change_master_key(vault_places(config), before, master_key(config))
    with open_vault(config) or pytest.fail("no vault") as vault:
        assert vault.record_ids() == []
    words.write_text("another\n")
    monkeypatch.setenv("HUZHENG_VAULT_PASSPHRASE", "another")
    with pytest.raises(HuzhengError) as caught:
        open_vault(config)
    assert code_of(caught) is Code.VAULT_LOCKED


def test_without_a_passphrase_it_says_where_to_put_one(node: Path) -> None:
    config = changed(node, 'key_file = "keys/vault.key"', "passphrase = true")
    with pytest.raises(HuzhengError) as caught:
        master_key(config)
    assert code_of(caught) is Code.KEY_PASSPHRASE_NEEDED
    assert "HUZHENG_VAULT_PASSPHRASE_FILE" in caught.value.detail


def test_a_passphrase_or_pin_that_others_can_read_is_refused(node: Path) -> None:
    (node / "words").write_text(WORDS)
    (node / "words").chmod(0o644)
    for setting in (
        'passphrase_file = "words"',
        'token = { library = "words", label = "vault", pin_file = "words" }',
    ):
        config = changed(node, 'key_file = "keys/vault.key"', setting)
        with pytest.raises(HuzhengError) as caught:
            master_key(config)
        assert code_of(caught) is Code.KEY_FILE_MODE
        changed(node, setting, 'key_file = "keys/vault.key"')


def test_a_token_is_named_by_its_library_and_label(node: Path) -> None:
    (node / "pin").write_text("1234\n")
    (node / "pin").chmod(0o600)
    config = changed(
        node, 'key_file = "keys/vault.key"', 'token = { library = "pin", label = "vault", pin_file = "pin" }'
    )
    assert master_key(config) == TokenKey(node / "pin", "vault", "1234")


@pytest.mark.parametrize("written", [b"", b"\n", b"\xff\n"])
def test_what_is_no_pin_is_not_given_to_a_token(node: Path, written: bytes) -> None:
    """A token counts wrong ones, and a file is empty for a moment while another PIN is written to it."""
    (node / "pin").write_bytes(written)
    (node / "pin").chmod(0o600)
    config = changed(
        node, 'key_file = "keys/vault.key"', 'token = { library = "pin", label = "vault", pin_file = "pin" }'
    )
    with pytest.raises(HuzhengError) as caught:
        master_key(config)
    assert code_of(caught) is Code.VAULT_TOKEN

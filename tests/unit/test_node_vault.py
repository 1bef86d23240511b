"""The vault of a running node: open at once, or, if it was restored, not before the node has caught up with the chain."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import structlog
from msgspec.structs import replace

from ledger.errors import Code, HuzhengError
from ledger.genesis import Parameters
from ledger.store import ChainReader, ChainStore
from node import node_vault
from node.config import NodeConfig, TokenSection
from node.node_vault import NodeVault
from node.restore import Options, restore
from node.vault.opening import Reapplied
from node.vault.token_key import PinRefusedError, TokenKey
from node.vault.vault import Vault
from node.vault_config import master_key, vault_places
from node.vault_restored import has_caught_up, reopen_restored
from tests.backups import StoppedNode
from tests.sequencer import until
from tests.vaults import entry_of


@pytest.fixture
def restored(tmp_path: Path) -> StoppedNode:
    node = StoppedNode.make(tmp_path / "node")
    node.back_up(tmp_path / "backup")
    restore(tmp_path / "backup", node.lose(), Options(), lambda *_: None)
    return node


def test_a_vault_that_is_well_is_open_from_the_start(tmp_path: Path) -> None:
    node = StoppedNode.make(tmp_path / "node")
    held = NodeVault(node.config)
    assert held.require() is held.vault is not None
    held.close()
    # Another process may have it then.
    node.vault().close()


def test_a_restored_vault_is_used_by_nobody_until_the_node_has_caught_up(
    restored: StoppedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_vault, "LOOK_EVERY_S", 0)
    held = NodeVault(restored.config)
    asked: list[Code] = []

    def caught_up_at_the_third_look() -> bool:
        assert held.vault is None
        with pytest.raises(HuzhengError) as caught:
            held.require()
        asked.append(caught.value.code)
        return len(asked) == 3

    with restored.store() as store:
        asyncio.run(held.reopen(store, caught_up_at_the_third_look))
    assert asked == [Code.VAULT_CLOSED] * 3
    vault = held.require()
    assert vault is not None
    assert vault.get(restored.record_id(1)) == entry_of(1)
    held.close()


def test_what_prevents_it_is_tried_again(restored: StoppedNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_vault, "RETRY_S", 0)
    held = NodeVault(restored.config)
    key = restored.directory / "keys" / "vault.key"
    mounted = key.with_name("elsewhere")
    key.rename(mounted)
    looks = 0

    def mount_at_the_second_look() -> bool:
        nonlocal looks
        looks += 1
        if looks == 2:
            mounted.rename(key)
        return True

    with restored.store() as store:
        asyncio.run(held.reopen(store, mount_at_the_second_look))
    assert looks == 2
    assert held.require() is not None
    held.close()


def test_a_vault_whose_medium_is_not_mounted_keeps_no_node_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_vault, "RETRY_S", 0)
    node = StoppedNode.make(tmp_path / "node")
    key = node.directory / "keys" / "vault.key"
    mounted = key.with_name("elsewhere")
    key.rename(mounted)
    held = NodeVault(node.config)
    assert held.trouble is not None
    assert held.trouble.code is Code.KEY_FILE_MISSING
    with pytest.raises(HuzhengError) as caught:
        held.require_one()
    # Whoever asks is told that, and not where keys are.
    assert (caught.value.code, caught.value.detail) == (Code.VAULT_CLOSED, "KEY_FILE_MISSING")

    async def mounted_later(store: ChainStore) -> None:
        opening = asyncio.ensure_future(held.reopen(store, lambda: False))
        await asyncio.sleep(0)
        mounted.rename(key)
        await opening

    with node.store() as store:
        asyncio.run(mounted_later(store))
    assert held.trouble is None
    assert held.require() is not None
    held.close()


def test_whoever_types_a_wrong_passphrase_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = StoppedNode.make(tmp_path / "node")
    assert node.config.vault is not None
    typed = replace(node.config.vault, key_file=None, passphrase=True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("node.vault_config.getpass", lambda _: "wrong")
    with pytest.raises(HuzhengError) as caught:
        NodeVault(replace(node.config, vault=typed))
    assert caught.value.code is Code.VAULT_LOCKED


def test_a_restored_vault_waits_for_the_chain_though_its_passphrase_was_typed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_restored(_config: NodeConfig) -> Vault:
        raise HuzhengError(Code.VAULT_RESTORED)

    node = StoppedNode.make(tmp_path / "node")
    assert node.config.vault is not None
    typed = replace(node.config.vault, key_file=None, passphrase=True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr(node_vault, "open_vault", open_restored)
    held = NodeVault(replace(node.config, vault=typed))
    assert held.trouble is not None
    assert held.trouble.code is Code.VAULT_RESTORED


def test_a_token_is_not_tried_again_with_a_pin_that_it_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens lock themselves after some wrong ones, and a node tries every minute."""
    monkeypatch.setattr(node_vault, "RETRY_S", 0.001)
    node = StoppedNode.make(tmp_path / "node")
    key, pin_file = master_key(node.config), tmp_path / "pin"
    pins: list[str] = []

    def open_with_token(config: NodeConfig) -> Vault:
        token = master_key(config)
        assert isinstance(token, TokenKey)
        pins.append(token.pin)
        if token.pin != "right":
            raise PinRefusedError(Code.VAULT_TOKEN, "vault: PinIncorrect")
        return Vault.open(vault_places(node.config), key)

    def write_pin(pin: str) -> None:
        pin_file.write_text(pin)
        pin_file.chmod(0o600)

    async def corrected_later(held: NodeVault, store: ChainStore) -> None:
        opening = asyncio.ensure_future(held.reopen(store, lambda: False))
        await asyncio.sleep(0.1)
        write_pin("wrong too")
        await until(lambda: len(pins) == 2)
        await asyncio.sleep(0.1)
        assert held.trouble is not None
        assert held.trouble.code is Code.VAULT_TOKEN
        write_pin("right")
        await opening

    monkeypatch.setattr(node_vault, "open_vault", open_with_token)
    write_pin("wrong")
    assert node.config.vault is not None
    token = TokenSection(library=tmp_path / "library.so", label="vault", pin_file=pin_file)
    held = NodeVault(replace(node.config, vault=replace(node.config.vault, key_file=None, token=token)))
    with node.store() as store:
        asyncio.run(corrected_later(held, store))
    assert pins == ["wrong", "wrong too", "right"]
    assert held.require() is not None
    held.close()


def test_a_fault_while_it_is_opened_is_told_and_it_is_tried_again(
    restored: StoppedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_vault, "RETRY_S", 0)
    held, faults = NodeVault(restored.config), [RuntimeError("a bug")]

    def faulty(config: NodeConfig, chain: ChainReader) -> tuple[Vault, Reapplied]:
        if faults:
            raise faults.pop()
        return reopen_restored(config, chain)

    monkeypatch.setattr(node_vault, "reopen_restored", faulty)
    with restored.store() as store, structlog.testing.capture_logs() as logged:
        asyncio.run(held.reopen(store, lambda: True))
    assert [line["event"] for line in logged] == ["internal error", "vault reopened"]
    assert held.require() is not None
    held.close()


def test_a_node_has_caught_up_when_its_last_block_is_of_after_its_start_and_young() -> None:
    parameters = Parameters(clock_bound_ms=5_000, heartbeat_ms=10_000)
    start_ms = 1_000_000
    # A young block of before the start: others may have ordered erasures since.
    assert not has_caught_up(start_ms - 1, start_ms + 1, start_ms, parameters)
    # The proposer's clock may have been ahead by so much.
    assert not has_caught_up(start_ms + 5_000, start_ms + 5_000, start_ms, parameters)
    assert has_caught_up(start_ms + 5_001, start_ms + 35_000, start_ms, parameters)
    # While it fetched, the others went on.
    assert not has_caught_up(start_ms + 5_001, start_ms + 35_001, start_ms, parameters)

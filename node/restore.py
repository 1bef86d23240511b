"""Makes a node again from a backup, on a machine that has nothing of it but what was kept apart: key files and the newest keyring.

It never votes with its old key: that is in no backup, the vote log in the backup says that it has ended (S14), and the configuration names a
fresh key that was made here. The vault does not open before all erasures on chain are applied to it again (`node.vault_restored`).
"""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.store import ChainStore
from node import backup_manifest as layout
from node.backup import AUTHORITY, EVIDENCE, GENESIS
from node.backup_manifest import Manifest, OnBytes, read_manifest, verify_files
from node.config import CONFIG_NAME, NodeConfig, config_as_if_at
from node.evidence import evidence_path
from node.joining import SEAT_FILE, make_new_key
from node.keyfile import find_passphrase
from node.private_file import sync_directory, write_new_file
from node.restore_vault import KeyringChoice, put_vault_in_place
from node.vault.opening import disk_errors
from node.vault_config import vault_places


@dataclass(frozen=True, slots=True)
class Options:
    """What the operator decides."""

    keyring: Path | None = None
    """The newest keyring, where it is not in its place yet and not at `vault.escrow` either."""
    without_vault: bool = False
    """The keyring is lost, and with it all confidential values."""
    accepts_old_keyring: bool = False
    """Though it is older than the backup. It opens what was erased in between, until that is erased again by the chain."""
    passphrase: bytes | None = None
    """Encrypts the fresh key."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of it."""

    manifest: Manifest
    config: NodeConfig
    key: Path
    """The fresh consensus key."""
    seat: Path
    """To be handed out: it proposes the fresh key."""
    has_vault: bool
    missing: tuple[Path, ...]
    """Files that the configuration names and that are to be put back before the node can start."""


def restore(backup: Path, directory: Path, options: Options, on_bytes: OnBytes) -> Restored:
    """Restores a node into a directory that is not there, or that holds key files and a keyring only. All or nothing.

    Raises:
        HuzhengError: BACKUP_INVALID, BACKUP_TARGET_USED, CONFIG_INVALID; VAULT_KEYRING_MISSING, VAULT_FOREIGN, VAULT_ROLLED_BACK where the
            keyring is older than the backup; STORE_… of the chain, VAULT_… of the vault; KEY_FILE_EXISTS, FILE_ACCESS.
    """
    with disk_errors(directory), ExitStack() as undo:
        manifest = read_manifest(backup)
        verify_files(backup, manifest, on_bytes)
        target = directory.absolute()
        key = target / "keys" / f"consensus-{datetime.now(UTC):%Y-%m-%d}.key"
        config, text = _configure(backup, target, key)
        genesis = Genesis.read((backup / layout.FILES / GENESIS).read_bytes())
        _check_belongs(manifest, config, genesis)
        _refuse_used(config, target, key)
        _make_directories(config, key)
        has_vault = manifest.vault is not None and not options.without_vault
        if manifest.vault is not None and has_vault:
            keyring = KeyringChoice(options.keyring, options.accepts_old_keyring)
            put_vault_in_place(backup, manifest.vault, vault_places(config), keyring, undo)
        growing = _restore_chain(backup, config, genesis, undo)
        _write_files(backup, config, target, undo)
        seat = _make_key(config, genesis, key, target / SEAT_FILE, options.passphrase, undo)
        growing.rename(config.node.data)
        sync_directory(config.node.data.parent)
        # Last: without it nothing can be started.
        write_new_file(target / CONFIG_NAME, text.encode(), private=False)
        undo.pop_all()
    return Restored(manifest, config, key, seat, has_vault, tuple(_missing(config)))


# --- the configuration ---


def _configure(backup: Path, target: Path, key: Path) -> tuple[NodeConfig, str]:
    """The backup's configuration as it is to be in the new place, with the fresh key for the old one."""
    old = (backup / layout.FILES / CONFIG_NAME).read_text()
    text = with_consensus_key(old, f"keys/{key.name}")
    return config_as_if_at(target / CONFIG_NAME, text), text


_CONSENSUS_KEY: Final = re.compile(r"(?m)^[ \t]*consensus_key[ \t]*=.*$")
_NEXT_KEY: Final = re.compile(r"(?m)^[ \t]*next_consensus_key[ \t]*=.*\n?")


def with_consensus_key(text: str, path: str) -> str:
    """The text of a `node.toml` in which a key takes the place of those that were there, and is to be entered by a change too.

    Raises:
        HuzhengError: CONFIG_INVALID where the setting is not on a line of its own.
    """
    line = f'consensus_key = "{path}"'
    changed, count = _CONSENSUS_KEY.subn(f"{line}\nnext_{line}", _NEXT_KEY.sub("", text))
    before, after = tomllib.loads(text), tomllib.loads(changed) if count == 1 else {}
    for tables in (before, after):
        for name in ("consensus_key", "next_consensus_key"):
            tables.get("node", {}).pop(name, None)
    if before != after:
        raise HuzhengError(Code.CONFIG_INVALID, f"{CONFIG_NAME}\nnode.consensus_key: not on a line of its own")
    return changed


def _check_belongs(manifest: Manifest, config: NodeConfig, genesis: Genesis) -> None:
    own = (manifest.chain_id, manifest.department, manifest.replica)
    if own != (genesis.chain_id.hex(), config.node.department, config.node.replica):
        raise HuzhengError(Code.BACKUP_INVALID, "manifest, genesis and configuration are not of one node")


def _refuse_used(config: NodeConfig, target: Path, key: Path) -> None:
    data = config.node.data
    used = [target / CONFIG_NAME, target / SEAT_FILE, config.node.genesis, key, data, evidence_path(data)]
    used += data.parent.glob(f"{data.name}.*") if data.parent.is_dir() else []
    if config.vault is not None:
        used.append(vault_places(config).database)
    for path in used:
        if path.exists():
            raise HuzhengError(Code.BACKUP_TARGET_USED, str(path))


def _make_directories(config: NodeConfig, key: Path) -> None:
    for directory in (key.parent, config.node.genesis.parent, config.node.data.parent):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def _write_files(backup: Path, config: NodeConfig, target: Path, undo: ExitStack) -> None:
    files = backup / layout.FILES
    pairs = [(files / GENESIS, config.node.genesis), (files / EVIDENCE, evidence_path(config.node.data))]
    if config.tls.authority is not None and not config.tls.authority.exists():
        pairs.append((files / AUTHORITY, config.tls.authority))
    for source, place in pairs:
        if source.exists():
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_new_file(place, source.read_bytes(), private=False)
            undo.callback(place.unlink, missing_ok=True)


def _missing(config: NodeConfig) -> Iterator[Path]:
    wanted = [config.tls.certificate, config.tls.key, config.tls.authority]
    if config.vault is not None:
        vault = config.vault
        wanted += [vault.key_file, vault.passphrase_file, vault.signing_key]
        wanted += [] if vault.token is None else [vault.token.library, vault.token.pin_file]
    return (path for path in wanted if path is not None and not path.exists())


# --- the key ---


def _make_key(
    config: NodeConfig, genesis: Genesis, key: Path, seat: Path, passphrase: bytes | None, undo: ExitStack
) -> Path:
    make_new_key(config, genesis, key, seat, passphrase=passphrase, ask=find_passphrase)
    undo.callback(seat.unlink, missing_ok=True)
    undo.callback(key.unlink, missing_ok=True)
    return seat


# --- the chain ---


def _restore_chain(backup: Path, config: NodeConfig, genesis: Genesis, undo: ExitStack) -> Path:
    """The database beside its place, whole and without a vote."""
    growing = config.node.data.with_name(f".{config.node.data.name}.restoring")
    shutil.rmtree(growing, ignore_errors=True)
    undo.callback(shutil.rmtree, growing, ignore_errors=True)
    shutil.copytree(backup / layout.CHAIN, growing)
    growing.chmod(0o700)
    # Checks the last block, and makes the state tree anew, which must have the root that the block was sealed with.
    ChainStore.open(growing, genesis, create=False).close()
    return growing

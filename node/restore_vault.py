"""Puts a backup's ciphertexts beside the newest keyring. It does not open before all erasures on chain are applied to it again."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import Code, HuzhengError
from node import backup_manifest as layout
from node.backup_manifest import Manifest, OnBytes, VaultPart, read_manifest, verify_files
from node.config import NodeConfig
from node.private_file import write_new_file
from node.vault.keyring_file import read_keyring_file
from node.vault.opening import VaultPlaces, disk_errors
from node.vault.status import keyring_header
from node.vault.vault import Vault
from node.vault.wiped_file import wipe
from node.vault_config import vault_places


@dataclass(frozen=True, slots=True)
class KeyringChoice:
    """Which keyring the operator takes."""

    file: Path | None = None
    """The newest, where it is neither in its place nor at `vault.escrow`."""
    accepts_old: bool = False
    """Though it is older than the backup. It opens what was erased in between, until that is erased again by the chain."""


def restore_vault(backup: Path, config: NodeConfig, keyring: KeyringChoice, on_bytes: OnBytes) -> Manifest:
    """Restores the vault alone of a node that is stopped and whose chain is well. All or nothing.

    Raises:
        HuzhengError: BACKUP_INVALID, also for a backup of another node or without a vault; as `put_vault_in_place`.
    """
    manifest = read_manifest(backup)
    if manifest.vault is None:
        raise HuzhengError(Code.BACKUP_INVALID, f"{backup}: there is no vault in it")
    if (manifest.department, manifest.replica) != (config.node.department, config.node.replica):
        raise HuzhengError(Code.BACKUP_INVALID, f"{backup}: of replica {manifest.replica} of {manifest.department}")
    verify_files(backup, manifest, on_bytes)
    with ExitStack() as undo:
        put_vault_in_place(backup, manifest.vault, vault_places(config), keyring, undo)
        undo.pop_all()
    return manifest


def put_vault_in_place(
    backup: Path, part: VaultPart, places: VaultPlaces, keyring: KeyringChoice, undo: ExitStack
) -> None:
    """Puts keyring and database where they belong. `undo` takes back what was done.

    Raises:
        HuzhengError: VAULT_KEYRING_MISSING, VAULT_FOREIGN; VAULT_ROLLED_BACK where the keyring is older than the backup or its own second
            copy; BACKUP_TARGET_USED where there is one in its place and another is given; as `Vault.restore`.
    """
    with disk_errors(places.directory):
        _put_keyring_in_place(places, keyring.file, undo)
        _check_keyring(places, part, accepts_old=keyring.accepts_old)
        Vault.restore(backup / layout.VAULT, places)
        undo.callback(shutil.rmtree, places.database, ignore_errors=True)


def _put_keyring_in_place(places: VaultPlaces, given: Path | None, undo: ExitStack) -> None:
    """Copies the keyring to its place if it is elsewhere; the original stays where it is, for it may be the second copy."""
    place = places.keyring_file
    if place.exists():
        if given is not None:
            raise HuzhengError(Code.BACKUP_TARGET_USED, str(place))
        return
    escrow = places.escrow if places.escrow is not None and places.escrow.exists() else place
    data = read_keyring_file(given or escrow)
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_new_file(place, data, private=True)
    undo.callback(wipe, place)


def _check_keyring(places: VaultPlaces, part: VaultPart, *, accepts_old: bool) -> None:
    header = keyring_header(places.keyring_file)
    if header.vault_id.hex() != part.vault_id:
        raise HuzhengError(Code.VAULT_FOREIGN, f"{places.keyring_file} is the keyring of another vault")
    known = {"the backup": part.generation}
    if places.escrow is not None and places.escrow.exists():
        known[str(places.escrow)] = keyring_header(places.escrow).generation
    newest = max(known, key=lambda name: known[name])
    if header.generation < known[newest] and not accepts_old:
        generations = f"it is of generation {header.generation}, {newest} of {known[newest]}"
        raise HuzhengError(Code.VAULT_ROLLED_BACK, f"{places.keyring_file}: {generations}")

"""What `[vault]` of a `node.toml` says, as the vault wants it."""

from __future__ import annotations

import os
import sys
from getpass import getpass
from pathlib import Path
from typing import Final

from ledger.errors import Code, HuzhengError
from node.config import NodeConfig, VaultSection
from node.private_file import read_file, read_private_file
from node.vault.master_key import KeyFile, MasterKey, Passphrase
from node.vault.opening import VaultPlaces
from node.vault.token_key import TokenKey
from node.vault.vault import Vault

VAULT_PASSPHRASE_VARIABLE: Final = "HUZHENG_VAULT_PASSPHRASE"
VAULT_PASSPHRASE_FILE_VARIABLE: Final = "HUZHENG_VAULT_PASSPHRASE_FILE"


def open_vault(config: NodeConfig) -> Vault | None:
    """The node's vault; None if it has none.

    Raises:
        HuzhengError: as `Vault.open` and `master_key`.
    """
    return None if config.vault is None else Vault.open(vault_places(config), master_key(config))


def vault_section(config: NodeConfig) -> VaultSection:
    """What is said of the vault.

    Raises:
        HuzhengError: CONFIG_INVALID where nothing is.
    """
    if config.vault is None:
        raise HuzhengError(Code.CONFIG_INVALID, f"{config.file}\n[vault]: missing section")
    return config.vault


def vault_places(config: NodeConfig) -> VaultPlaces:
    """Where the vault is. Raises HuzhengError(CONFIG_INVALID) if the node has none."""
    vault = vault_section(config)
    return VaultPlaces(vault.directory, vault.keyring, vault.escrow)


def master_key(config: NodeConfig) -> MasterKey:
    """The master key, which asks for a passphrase where it is to be typed in.

    Raises:
        HuzhengError: CONFIG_INVALID if the node has no vault; KEY_PASSPHRASE_NEEDED, FILE_ACCESS, KEY_FILE_MISSING, KEY_FILE_MODE, VAULT_TOKEN.
    """
    vault = vault_section(config)
    if vault.key_file is not None:
        return KeyFile(vault.key_file)
    if vault.token is not None:
        return TokenKey(vault.token.library, vault.token.label, _pin(vault.token.pin_file))
    if vault.passphrase_file is not None:
        return Passphrase(
            _line(
                read_private_file(vault.passphrase_file, Code.KEY_FILE_MISSING, Code.KEY_FILE_MODE),
                str(vault.passphrase_file),
            )
        )
    return Passphrase(find_vault_passphrase(vault.directory))


def find_vault_passphrase(directory: Path) -> bytes:
    """The passphrase of a vault: in the file or the variable that the environment names, or typed in.

    Raises:
        HuzhengError: FILE_ACCESS; KEY_PASSPHRASE_NEEDED if there is none.
    """
    file = os.environ.get(VAULT_PASSPHRASE_FILE_VARIABLE)
    if file:
        # Not held to mode 0600: systemd hands credentials over with an access list that shows as group rights.
        return _line(read_file(Path(file), Code.FILE_ACCESS), file)
    value = os.environb.get(VAULT_PASSPHRASE_VARIABLE.encode())
    if value:
        return value
    if sys.stdin.isatty():
        try:
            typed = getpass(f"Passphrase for the vault {directory}: ").encode()
        except EOFError:
            typed = b""
        if typed:
            return typed
    needed = f"{directory}: set {VAULT_PASSPHRASE_VARIABLE} or {VAULT_PASSPHRASE_FILE_VARIABLE}"
    raise HuzhengError(Code.KEY_PASSPHRASE_NEEDED, needed)


def _line(data: bytes, what: str) -> bytes:
    line = data.rstrip(b"\r\n")
    if not line:
        raise HuzhengError(Code.KEY_PASSPHRASE_NEEDED, f"{what}: empty")
    return line


def _pin(path: Path) -> str:
    data = read_private_file(path, Code.KEY_FILE_MISSING, Code.KEY_FILE_MODE)
    try:
        pin = data.rstrip(b"\r\n").decode()
    except UnicodeDecodeError:
        raise HuzhengError(Code.VAULT_TOKEN, f"{path}: not a text in UTF-8") from None
    if not pin:
        # A file that is just being written: the token would count this as a wrong one, and lock itself after a few.
        raise HuzhengError(Code.VAULT_TOKEN, f"{path}: empty")
    return pin

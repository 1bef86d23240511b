"""Vaults for tests, with synthetic values in them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ledger.commitments import SecretField
from node.vault.master_key import KeyFile, create_master_key_file
from node.vault.opening import VaultPlaces
from node.vault.secrets import Origin, VaultEntry
from node.vault.vault import Vault


def record_id(number: int) -> bytes:
    """The id of a synthetic record."""
    return hashlib.sha256(b"record %d" % number).digest()


def values_of(number: int) -> tuple[str, str]:
    """A name and a number of a document, unmistakable on a disk."""
    return f"张测试{number:06}·ZHANG", f"TESTDOC{number:011}X"


def entry_of(number: int, *, expires_ms: int = 0, origin: Origin = Origin.OWN) -> VaultEntry:
    """The confidential fields of a synthetic record."""
    salts = [hashlib.sha256(b"salt %d %d" % (number, field)).digest()[:16] for field in (1, 2)]
    name, document = values_of(number)
    return VaultEntry((SecretField(1, name, salts[0]), SecretField(2, document, salts[1])), origin, expires_ms)


def master_key(directory: Path) -> KeyFile:
    """The master key in a file there, which is made if it is not there."""
    path = directory / "master.key"
    if not path.exists():
        create_master_key_file(path)
    return KeyFile(path)


def places_in(directory: Path) -> VaultPlaces:
    """A vault in `vault`, its keyring's second copy in `medium`."""
    (directory / "medium").mkdir(exist_ok=True)
    return VaultPlaces(directory / "vault", escrow=directory / "medium" / "keyring.copy")


def new_vault(directory: Path, count: int = 0) -> Vault:
    """An open vault that holds so many records, from 0."""
    places, key = places_in(directory), master_key(directory)
    Vault.create(places, key)
    vault = Vault.open(places, key)
    vault.put_all({record_id(number): entry_of(number) for number in range(count)})
    return vault


def open_vault(directory: Path) -> Vault:
    """The vault that `new_vault` made there."""
    return Vault.open(places_in(directory), master_key(directory))

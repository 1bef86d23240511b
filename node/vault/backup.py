"""Backups of a vault's database. They hold ciphertexts and no keyring: alone they are worth nothing, and what was erased
after they were made stays erased."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from huzheng.v1 import vault_pb2 as pb

from ledger.crypto import strict
from ledger.errors import Code, HuzhengError
from ledger.store.engine import Engine, Reader
from node.private_file import sync_directory
from node.vault import layout
from node.vault.entries import Entries, read_message, read_state
from node.vault.keyring import Keyring
from node.vault.keyring_file import read_header, read_keyring_file
from node.vault.opening import VaultPlaces, disk_errors, put_in_place, read_identity

_ENTRIES_A_BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class BackupSummary:
    """What a backup holds: records and persons."""

    records: int
    persons: int


def back_up(entries: Entries, target: Path) -> BackupSummary:
    """Copies the database as it is now, while it goes on being used, and reads the copy back; see `Vault.backup`."""
    snapshot, keyring = entries.snapshot()
    with snapshot, disk_errors(target):
        if target.exists() and any(target.iterdir()):
            raise HuzhengError(Code.VAULT_EXISTS, str(target))
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy = Engine.open(target, create=True)
        try:
            _copy(snapshot, copy)
        finally:
            copy.close()
        sync_directory(target.parent)
    return _verified(target, keyring)


def restore(backup: Path, places: VaultPlaces) -> None:
    """Puts a backup in the place of a vault's database, which must not be there; see `Vault.restore`."""
    with disk_errors(places.directory):
        if places.database.exists():
            raise HuzhengError(Code.VAULT_EXISTS, str(places.database))
        places.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        header = read_header(read_keyring_file(places.keyring_file))
        shutil.rmtree(places.unfinished, ignore_errors=True)
        if not (backup / "CURRENT").is_file():
            raise HuzhengError(Code.VAULT_BACKUP, str(backup))
        # Opening a database writes into it: not where the backup is.
        shutil.copytree(backup, places.unfinished)
        places.unfinished.chmod(0o700)
        _sync_all(places.unfinished)
        engine = Engine.open(places.unfinished, create=False)
        try:
            _check(engine, backup)
            if read_identity(engine, backup) != header.vault_id:
                raise HuzhengError(Code.VAULT_FOREIGN, f"{places.keyring_file} is the keyring of another vault")
            batch = engine.batch()
            batch.delete(layout.BACKUP_KEY)
            batch.write()
        finally:
            engine.close()
        put_in_place(places)


def _sync_all(directory: Path) -> None:
    for path in directory.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    sync_directory(directory)


def _copy(source: Reader, copy: Engine) -> None:
    batch, count = copy.batch(), 0
    for kind in layout.BACKED_UP:
        for key, value in source.scan(kind, layout.after(kind), fill_cache=False):
            batch.put(key, value)
            count += 1
            if count % _ENTRIES_A_BATCH == 0:
                batch.write()
                batch = copy.batch()
    batch.write()
    # What says that it is complete comes last.
    last = copy.batch()
    state = read_state(source)
    state.restored = True
    last.put(layout.IDENTITY_KEY, source.get(layout.IDENTITY_KEY) or b"")
    last.put(layout.STATE_KEY, strict.write(state))
    last.put(layout.BACKUP_KEY, strict.write(_describe(source)))
    last.write()


def _describe(source: Reader) -> pb.VaultBackup:
    digest, count = hashlib.blake2b(digest_size=32), 0
    for kind in layout.BACKED_UP:
        for key, value in source.scan(kind, layout.after(kind), fill_cache=False):
            _add(digest, key)
            _add(digest, value)
            count += 1
    return pb.VaultBackup(entry_count=count, digest=digest.digest())


def _add(digest: Any, data: bytes) -> None:
    digest.update(len(data).to_bytes(8, "big") + data)


def _check(copy: Engine, path: Path) -> None:
    raw = copy.get(layout.BACKUP_KEY)
    if raw is None:
        raise HuzhengError(Code.VAULT_BACKUP, f"{path}: it is not complete")
    if read_message(pb.VaultBackup, raw) != _describe(copy):
        raise HuzhengError(Code.VAULT_BACKUP, f"{path}: it is damaged")


def _verified(target: Path, keyring: Keyring) -> BackupSummary:
    """Reads a backup from the disk and decrypts all of it."""
    counts = dict.fromkeys(layout.ENCRYPTED, 0)
    copy = Engine.open(target, create=False)
    try:
        _check(copy, target)
        for kind in layout.ENCRYPTED:
            for key, value in copy.scan(kind, layout.after(kind), fill_cache=False):
                layout.decrypt(keyring, key, value)
                counts[kind] += 1
    finally:
        copy.close()
    return BackupSummary(records=counts[layout.RECORD], persons=counts[layout.PERSON])

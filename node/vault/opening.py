"""Making and opening a vault: is it one, is it whole, and do its database and its keyring belong to the same moment?

The database knows the generation that its keyring has, and from which index on that keyring has given out nothing; it
learns of both before the keyring does. So a keyring of an older generation was put back, or a database of a newer one is
missing: neither can go unnoticed.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from huzheng.v1 import vault_pb2 as pb
from nacl.utils import random

from ledger.crypto import strict
from ledger.errors import Code, HuzhengError
from ledger.store.engine import Engine
from node.private_file import sync_directory
from node.vault import layout
from node.vault.entries import Entries, read_message, read_state
from node.vault.keyring import SEED_BYTES, Keyring
from node.vault.keyring_file import VAULT_ID_BYTES, KeyringFile, KeyringState, read_header, read_keyring_file
from node.vault.master_key import MasterKey

DATABASE: Final = "entries"
KEYRING: Final = "keyring"

_UNFINISHED: Final = ".entries.unfinished"
"""The database while it is being made or restored."""
_IGNORED: Final = frozenset({"lost+found", _UNFINISHED})


@dataclass(frozen=True, slots=True)
class VaultPlaces:
    """Where a vault is: its directory, its keyring (by default the file `keyring` in there), and that one's second copy.

    The keyring should lie where overwritten bytes are gone; the second copy on another medium.
    """

    directory: Path
    keyring: Path | None = None
    escrow: Path | None = None

    @property
    def database(self) -> Path:
        """The directory of the database."""
        return self.directory / DATABASE

    @property
    def unfinished(self) -> Path:
        """Where a database is until it is complete."""
        return self.directory / _UNFINISHED

    @property
    def keyring_file(self) -> Path:
        """The keyring file."""
        return self.keyring or self.directory / KEYRING


@dataclass(frozen=True, slots=True)
class Reapplied:
    """What became of the entries of a restored vault: how many are there, were erased, and were given up as damaged."""

    kept: int
    erased: int
    damaged: int = 0


@dataclass(slots=True)
class _Found:
    """The entries of a database: those that are whole with their indices, those whose keys were given up, and the damaged."""

    indices: dict[bytes, int] = field(default_factory=dict)
    erased: list[bytes] = field(default_factory=list)
    damaged: list[bytes] = field(default_factory=list)


def create(places: VaultPlaces, master_key: MasterKey) -> None:
    """Makes an empty vault; see `Vault.create`."""
    with disk_errors(places.directory):
        places.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_used(places)
        shutil.rmtree(places.unfinished, ignore_errors=True)
        places.unfinished.mkdir(mode=0o700)
        vault_id = random(VAULT_ID_BYTES)
        engine = Engine.open(places.unfinished, create=True)
        try:
            _write_identity(engine, vault_id, pb.VaultState())
        finally:
            engine.close()
        state = KeyringState(vault_id, 0, 0, Keyring.new(random(SEED_BYTES)))
        KeyringFile(places.keyring_file, places.escrow, master_key).replace(state)
        put_in_place(places)


def open_entries(places: VaultPlaces, master_key: MasterKey) -> Entries:
    """The entries of a vault, an erasure that was begun being finished; see `Vault.open`."""
    with _opened(places, master_key) as (engine, keyring_file, keyring):
        state = read_state(engine)
        erasing = engine.get(layout.ERASURE_KEY) is not None
        if state.restored:
            raise HuzhengError(Code.VAULT_RESTORED, str(places.directory))
        if keyring.generation > state.generation or keyring.reserved > state.reserved:
            raise HuzhengError(Code.VAULT_RESTORED, f"{places.database} is older than {places.keyring_file}")
        if keyring.generation + erasing < state.generation:
            generations = f"it is of generation {keyring.generation}, the database of {state.generation}"
            raise HuzhengError(Code.VAULT_ROLLED_BACK, f"{places.keyring_file}: {generations}")
        entries = Entries(engine, keyring_file, keyring)
        entries.finish_erasure()
        return entries


def reapply(
    places: VaultPlaces, master_key: MasterKey, erased: Collection[bytes], *, give_up_damaged: bool
) -> Reapplied:
    """Erases records in a vault that is not open, and gives up all keys but those of its entries; see `Vault.reapply`."""
    with _opened(places, master_key) as (engine, keyring_file, keyring):
        state = read_state(engine)
        wanted = {layout.record_key(record_id) for record_id in erased} | _begun(engine)
        found = _find(engine, keyring.keyring)
        if found.damaged and not give_up_damaged:
            raise HuzhengError(Code.VAULT_CORRUPT, ", ".join(map(layout.name_of, found.damaged[:10])))
        kept = {key: index for key, index in found.indices.items() if key not in wanted}
        reserved = max(keyring.reserved, state.reserved)
        generation = max(keyring.generation, state.generation) + 1
        left = keyring.keyring.restrict(kept.values(), reserved)
        keyring_file.replace(replace(keyring, generation=generation, reserved=reserved, keyring=left))
        gone = [key for key in found.indices if key in wanted] + found.erased
        _delete(engine, gone, found.damaged, erased, pb.VaultState(generation=generation, reserved=reserved))
        engine.close()
        return Reapplied(len(kept), len(gone), len(found.damaged))


def change_master_key(places: VaultPlaces, old: MasterKey, new: MasterKey) -> None:
    """Seals the keyring of a vault that is not open under another master key; see `Vault.change_master_key`."""
    with _opened(places, old) as (engine, _, keyring):
        KeyringFile(places.keyring_file, places.escrow, new).replace(keyring)
        engine.close()
        # It may be the same token that has the new key too.
        now = read_header(read_keyring_file(places.keyring_file)).protection
        old.forget_others(keyring.vault_id, [now])


@contextmanager
def _opened(places: VaultPlaces, master_key: MasterKey) -> Iterator[tuple[Engine, KeyringFile, KeyringState]]:
    """An open database and its keyring; the database is closed if anything goes wrong."""
    with disk_errors(places.directory):
        if not (places.database / "CURRENT").exists():
            raise HuzhengError(Code.VAULT_FOREIGN, f"{places.directory}: there is no vault here")
        engine = Engine.open(places.database, create=False)
        try:
            vault_id = read_identity(engine, places.database)
            keyring_file = KeyringFile(places.keyring_file, places.escrow, master_key)
            keyring = keyring_file.load()
            if keyring.vault_id != vault_id:
                raise HuzhengError(Code.VAULT_FOREIGN, f"{places.keyring_file} is the keyring of another vault")
            yield engine, keyring_file, keyring
        except BaseException:
            engine.close()
            raise


def read_identity(engine: Engine, path: Path) -> bytes:
    """A database's vault id. Raises HuzhengError(VAULT_FOREIGN, VAULT_CORRUPT, STORE_VERSION)."""
    raw = engine.get(layout.IDENTITY_KEY)
    if raw is None:
        raise HuzhengError(Code.VAULT_FOREIGN, f"{path}: this is no vault's database")
    identity = read_message(pb.VaultIdentity, raw)
    if identity.format != layout.FORMAT:
        raise HuzhengError(Code.STORE_VERSION, f"version {identity.format}, this software reads {layout.FORMAT}")
    return identity.vault_id


def put_in_place(places: VaultPlaces) -> None:
    """Gives a database that is complete its name."""
    places.unfinished.rename(places.database)
    sync_directory(places.directory)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Says what failed at a path. Raises HuzhengError(STORE_DISK_FULL, STORE_ACCESS) for an OSError."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        code = Code.STORE_DISK_FULL if full else Code.STORE_ACCESS
        raise HuzhengError(code, f"{error.filename or path}: {error.strerror}") from None


def _refuse_used(places: VaultPlaces) -> None:
    for path in (places.keyring_file, places.escrow):
        if path is not None and path.exists():
            raise HuzhengError(Code.VAULT_EXISTS, str(path))
    if set(os.listdir(places.directory)) - _IGNORED:
        raise HuzhengError(Code.VAULT_EXISTS, str(places.directory))


def _write_identity(engine: Engine, vault_id: bytes, state: pb.VaultState) -> None:
    batch = engine.batch()
    batch.put(layout.IDENTITY_KEY, strict.write(pb.VaultIdentity(format=layout.FORMAT, vault_id=vault_id)))
    batch.put(layout.STATE_KEY, strict.write(state))
    batch.write()


def _begun(engine: Engine) -> set[bytes]:
    """The entries of an erasure that was begun."""
    raw = engine.get(layout.ERASURE_KEY)
    return set() if raw is None else {entry.key for entry in read_message(pb.VaultErasure, raw).entries}


def _find(engine: Engine, keyring: Keyring) -> _Found:
    found = _Found()
    for kind in layout.ENCRYPTED:
        for key, value in engine.scan(kind, layout.after(kind), fill_cache=False):
            if layout.is_whole(keyring, key, value):
                found.indices[key] = layout.parse(key, value).index
            elif layout.was_given_up(keyring, key, value):
                found.erased.append(key)
            else:
                found.damaged.append(key)
    return found


def _delete(
    engine: Engine, gone: Collection[bytes], damaged: Collection[bytes], erased: Collection[bytes], state: pb.VaultState
) -> None:
    """Deletes entries whose keys were given up. Records are marked as erased, but for deposits that have expired, and
    damaged ones, which may be put in again."""
    deposits = {}
    for key, _ in engine.scan(layout.DEPOSIT, layout.after(layout.DEPOSIT)):
        deposits[layout.record_key(layout.deposit_in(key)[1])] = key
    batch = engine.batch()
    for key in [*gone, *damaged]:
        batch.delete(key)
        if key in deposits:
            batch.delete(deposits[key])
    records = {key[1:] for key in gone if key.startswith(layout.RECORD) and key not in deposits}
    for record_id in records.union(erased):
        batch.put(layout.tombstone_key(record_id), b"")
    batch.delete(layout.ERASURE_KEY)
    batch.put(layout.STATE_KEY, strict.write(state))
    batch.write()
    engine.compact(b"", b"\xff")

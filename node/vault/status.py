"""What can be said of a vault without its master key. The database is opened for it: not while another process has it open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from huzheng.v1 import vault_pb2 as pb

from ledger.errors import Code, HuzhengError
from ledger.store.engine import Engine
from node.vault import layout
from node.vault.entries import read_state
from node.vault.keyring_file import read_header, read_keyring_file
from node.vault.opening import VaultPlaces, disk_errors, read_identity


@dataclass(frozen=True, slots=True)
class VaultStatus:
    """Where a vault stands. Nothing of the keyrings is proven: their seals are not opened."""

    vault_id: bytes
    generation: int
    """Of the keyring once the last erasure is finished, as the database knows it."""
    keyring_generation: int
    escrow_generation: int | None
    """None if there is no second copy."""
    sealed_with: str
    """key_file, passphrase or token."""
    restored: bool
    """It came from a backup, and does not open before all erasures are applied again."""
    erasing: bool
    """An erasure was begun and is finished when it is opened next."""
    records: int
    persons: int

    @property
    def is_rolled_back(self) -> bool:
        """Whether the keyring is older than the database: one is put back that opens what was erased."""
        return self.keyring_generation + self.erasing < self.generation


def inspect(places: VaultPlaces) -> VaultStatus:
    """Looks at a vault that is not open.

    Raises:
        HuzhengError: VAULT_FOREIGN, VAULT_CORRUPT, VAULT_KEYRING_MISSING, VAULT_ESCROW, KEY_FILE_MODE; STORE_LOCKED where it is open,
            STORE_CORRUPT, STORE_ACCESS, STORE_VERSION.
    """
    header = keyring_header(places.keyring_file)
    escrow = None if places.escrow is None or not places.escrow.exists() else keyring_header(places.escrow)
    with disk_errors(places.directory):
        if not (places.database / "CURRENT").exists():
            raise HuzhengError(Code.VAULT_FOREIGN, f"{places.directory}: there is no vault here")
        engine = Engine.open(places.database, create=False)
        try:
            vault_id, state = read_identity(engine, places.database), read_state(engine)
            if header.vault_id != vault_id:
                raise HuzhengError(Code.VAULT_FOREIGN, f"{places.keyring_file} is the keyring of another vault")
            return VaultStatus(
                vault_id=vault_id,
                generation=state.generation,
                keyring_generation=header.generation,
                escrow_generation=None if escrow is None else escrow.generation,
                sealed_with=header.protection.WhichOneof("kind") or "",
                restored=state.restored,
                erasing=engine.get(layout.ERASURE_KEY) is not None,
                records=_count(engine, layout.RECORD),
                persons=_count(engine, layout.PERSON),
            )
        finally:
            engine.close()


def keyring_header(path: Path) -> pb.KeyringHeader:
    """What a keyring file says of itself. Raises HuzhengError(VAULT_KEYRING_MISSING, KEY_FILE_MODE, VAULT_CORRUPT)."""
    return read_header(read_keyring_file(path))


def _count(engine: Engine, kind: bytes) -> int:
    return sum(1 for _ in engine.scan(kind, layout.after(kind), fill_cache=False))

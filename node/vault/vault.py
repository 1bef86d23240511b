"""The vault of a department: the only place where the values of confidential fields are kept, and can be forgotten.

No protocol, no clock and no network here: a caller says what is on chain and what time it is there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ledger.errors import Code, HuzhengError
from node.vault import backup, layout, opening, secrets
from node.vault.backup import BackupSummary
from node.vault.entries import Changes, Entries
from node.vault.master_key import MasterKey
from node.vault.opening import Reapplied, VaultPlaces
from node.vault.persons import Persons
from node.vault.secrets import VaultEntry


@dataclass(frozen=True, slots=True)
class VaultCheck:
    """How many records and persons are whole, and the kinds and ids of entries that are damaged."""

    records: int
    persons: int
    damaged: tuple[str, ...]


class Vault:
    """An open vault. Every method may be called from any thread, and blocks on the disk: not on an event loop.

    A record id has 32 bytes; another length raises HuzhengError(INVALID_REQUEST). Whatever reads may raise VAULT_CORRUPT,
    which names the entry, or STORE_CORRUPT; whatever writes may raise STORE_DISK_FULL and STORE_WRITE_FAILED, and where
    the keyring is written STORE_ACCESS, VAULT_ESCROW and those of the master key (VAULT_TOKEN, KEY_FILE_MISSING).
    """

    __slots__ = ("_entries", "persons")

    def __init__(self, entries: Entries) -> None:
        """Use `open`."""
        self._entries = entries
        self.persons = Persons(entries)

    @staticmethod
    def create(places: VaultPlaces, master_key: MasterKey) -> None:
        """Makes an empty vault in a directory that is empty or not there.

        Raises:
            HuzhengError: VAULT_EXISTS, STORE_ACCESS, STORE_DISK_FULL, VAULT_ESCROW, those of the master key.
        """
        opening.create(places, master_key)

    @classmethod
    def open(cls, places: VaultPlaces, master_key: MasterKey) -> Vault:
        """Opens a vault and finishes an erasure that was begun.

        Raises:
            HuzhengError: VAULT_FOREIGN, STORE_LOCKED where it is open elsewhere, STORE_ACCESS, STORE_CORRUPT, STORE_VERSION;
                VAULT_KEYRING_MISSING, KEY_FILE_MODE, VAULT_LOCKED, VAULT_CORRUPT, VAULT_ESCROW, those of the master key;
                VAULT_RESTORED where the database is an old one, and VAULT_ROLLED_BACK where the keyring is: `reapply`.
        """
        return cls(opening.open_entries(places, master_key))

    @staticmethod
    def reapply(
        places: VaultPlaces,
        master_key: MasterKey,
        erased_record_ids: Collection[bytes],
        *,
        give_up_damaged: bool = False,
    ) -> Reapplied:
        """Makes a restored vault fit to be opened: erases in it whatever of these records is there.

        They are all that were ever erased on chain. What was erased under the present keyring without being on chain (persons,
        deposits that expired) is gone anyhow. All keys are given up but those of the entries that are there then: entries that
        only a newer backup has can't be read afterwards, and could not be erased if they could. Doing it again does no harm.

        Damaged entries are lost for good with `give_up_damaged`; without it they are an error, and nothing is changed.

        Raises:
            HuzhengError: as `open`, but for VAULT_RESTORED; VAULT_ROLLED_BACK only where the second copy of the keyring is newer;
                VAULT_CORRUPT with up to ten damaged entries.
        """
        return opening.reapply(places, master_key, erased_record_ids, give_up_damaged=give_up_damaged)

    @staticmethod
    def restore(backup_directory: Path, places: VaultPlaces) -> None:
        """Puts a backup in the place of a database that is lost, beside the keyring, which must be the newest there is.

        The vault opens only after `reapply`.

        Raises:
            HuzhengError: VAULT_BACKUP, VAULT_EXISTS, VAULT_FOREIGN, VAULT_KEYRING_MISSING, KEY_FILE_MODE, VAULT_CORRUPT,
                STORE_ACCESS, STORE_DISK_FULL.
        """
        backup.restore(backup_directory, places)

    @staticmethod
    def change_master_key(places: VaultPlaces, old: MasterKey, new: MasterKey) -> None:
        """Seals the keyring under another master key; no entry changes. The old one opens only keyrings of before, so it is
        to be destroyed if that is why it was changed.

        Raises:
            HuzhengError: as `open`, and those of the new master key.
        """
        opening.change_master_key(places, old, new)

    def backup(self, target: Path) -> BackupSummary:
        """Writes the ciphertexts as they are now to a new or empty directory, and reads all of it back. No keyring is in it.

        The vault goes on being used meanwhile.

        Raises:
            HuzhengError: VAULT_EXISTS, STORE_ACCESS, STORE_DISK_FULL, STORE_WRITE_FAILED, VAULT_BACKUP, VAULT_CORRUPT.
        """
        return backup.back_up(self._entries, target)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the vault; another process may open it then. No other thread may be using it."""
        self._entries.close()

    def get(self, record_id: bytes) -> VaultEntry | None:
        """What is kept of a record; None if that is nothing."""
        message = self._entries.get(layout.record_key(record_id))
        return None if message is None else secrets.decode(message)

    def record_ids(self) -> list[bytes]:
        """The ids of all records of which something is kept."""
        return [key[1:] for key in self._entries.keys(layout.RECORD, layout.after(layout.RECORD))]

    def deposits(self) -> list[bytes]:
        """The ids of the records that were deposited and not confirmed."""
        marks = self._entries.keys(layout.DEPOSIT, layout.after(layout.DEPOSIT))
        return [layout.deposit_in(mark)[1] for mark in marks]

    @property
    def has_deposits(self) -> bool:
        """Whether there are any of these."""
        return self._entries.has_any(layout.DEPOSIT)

    def check(self) -> VaultCheck:
        """Decrypts everything. The vault goes on being used meanwhile."""
        records, persons = self._entries.check(layout.RECORD), self._entries.check(layout.PERSON)
        return VaultCheck(records[0], persons[0], (*records[1], *persons[1]))

    def put(self, record_id: bytes, entry: VaultEntry) -> None:
        """Keeps an entry, durably; see `put_all`."""
        self.put_all({record_id: entry})

    def put_all(self, entries: Mapping[bytes, VaultEntry]) -> None:
        """Keeps entries by record id, all or none, durably, in one write.

        The same entry again changes nothing, but a deposit of it may last longer. Further fields of a copy are added.

        Raises:
            HuzhengError: VAULT_CONFLICT where something else is kept, VAULT_ERASED where the record was erased,
                INVALID_REQUEST, TOO_LARGE, VAULT_EXHAUSTED.
        """
        with self._entries.lock:
            changed: dict[bytes, tuple[VaultEntry | None, VaultEntry]] = {}
            for record_id, entry in entries.items():
                if self.is_erased(record_id):
                    raise HuzhengError(Code.VAULT_ERASED, f"record {record_id.hex()}")
                stored = self.get(record_id)
                merged = entry if stored is None else entry.merged_into(stored)
                if merged is None:
                    raise HuzhengError(Code.VAULT_CONFLICT, f"record {record_id.hex()}")
                if merged != stored:
                    changed[record_id] = stored, merged
            self._write(changed)

    def confirm(self, record_ids: Iterable[bytes]) -> int:
        """These records are on chain now: their deposits do not expire any more. How many deposits that were; ids that the
        vault does not know are passed over. One durable write."""
        with self._entries.lock:
            changed: dict[bytes, tuple[VaultEntry | None, VaultEntry]] = {}
            for record_id in record_ids:
                stored = self.get(record_id)
                if stored is not None and stored.expires_ms:
                    changed[record_id] = stored, VaultEntry(stored.fields, stored.origin)
            self._write(changed)
            return len(changed)

    def expire(self, now_ms: int) -> list[bytes]:
        """Erases deposits whose transaction can't take effect any more; their record ids.

        `now_ms` is the time of the last block, of which all records were confirmed. Such a record may be deposited again.
        """
        with self._entries.lock:
            due = self._entries.keys(layout.DEPOSIT, layout.deposits_until(now_ms))
            # What a mark says is not authenticated, what the entry says is.
            expired = [
                record_id for time_ms, record_id in map(layout.deposit_in, due) if self._expires(record_id, time_ms)
            ]
            self._entries.erase((layout.record_key(record_id) for record_id in expired), Changes(delete=due))
            return expired

    def erase(self, record_ids: Iterable[bytes]) -> int:
        """Makes what is kept of these records unreadable for good; how many of them there were.

        When this returns, neither this database nor any backup of it can be read with the keyring, whoever has the master key.
        Records that the vault does not know are marked as erased too. Doing it again does no harm; a record erased before costs
        a look-up only, so a whole list of erasures on chain can be given at each start.
        """
        with self._entries.lock:
            marks = {layout.tombstone_key(record_id): record_id for record_id in record_ids}
            fresh = {mark: record_id for mark, record_id in marks.items() if not self._entries.has(mark)}
            stored = {record_id: self.get(record_id) for record_id in fresh.values()}
            deposits = [
                layout.deposit_key(entry.expires_ms, record_id)
                for record_id, entry in stored.items()
                if entry is not None and entry.expires_ms
            ]
            keys = [layout.record_key(record_id) for record_id in fresh.values()]
            return self._entries.erase(keys, Changes(put=list(fresh), delete=deposits))

    def is_erased(self, record_id: bytes) -> bool:
        """Whether the record was erased here, or was to be although it was never here."""
        return self._entries.has(layout.tombstone_key(record_id))

    def _expires(self, record_id: bytes, time_ms: int) -> bool:
        stored = self.get(record_id)
        return stored is not None and stored.expires_ms == time_ms

    def _write(self, changed: Mapping[bytes, tuple[VaultEntry | None, VaultEntry]]) -> None:
        if not changed:
            return
        messages, put, delete = {}, [], []
        for record_id, (old, new) in changed.items():
            messages[layout.record_key(record_id)] = secrets.encode(new)
            if old is not None and old.expires_ms and old.expires_ms != new.expires_ms:
                delete.append(layout.deposit_key(old.expires_ms, record_id))
            if new.expires_ms:
                put.append(layout.deposit_key(new.expires_ms, record_id))
        self._entries.put(messages, Changes(put, delete))

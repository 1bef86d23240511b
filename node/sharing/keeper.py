"""Keeps a department's vault in step with the chain: what was deposited is confirmed, what is ordered to be erased is erased.

Reads and writes databases: call it in a worker thread, one call at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from huzheng.v1 import transaction_pb2 as pb

from ledger.commitments import SecretField
from ledger.crypto import Domain, Height, strict
from ledger.genesis import Genesis
from ledger.sharing.erasing import find_erasure
from ledger.store import ChainReader
from node.sharing.erasures import Erased, counts, erased_on_chain, erased_since
from node.vault.secrets import Origin, VaultEntry
from node.vault.vault import Vault

ERASED_AT_ONCE = 256
"""Records whose keys are given up in one write of the keyring."""


class VaultKeeper:
    """One vault and the chain that it goes by."""

    def __init__(self, genesis: Genesis, store: ChainReader, opened: Callable[[], Vault], department: str) -> None:
        """`opened`: gives the vault; raises HuzhengError(VAULT_CLOSED) while it can't be used."""
        self._genesis = genesis
        self._store = store
        self._opened = opened
        self._department = department
        self._followed = Height(0)

    @property
    def _vault(self) -> Vault:
        return self._opened()

    def secrets(self, record_id: bytes) -> tuple[SecretField, ...] | None:
        """All confidential fields of a record of this department's, in order; None if they are not here."""
        entry = self._vault.get(record_id)
        if entry is None or entry.origin is not Origin.OWN:
            return None
        return entry.fields

    def deposit(self, records: Mapping[bytes, tuple[SecretField, ...]], expires_ms: int) -> None:
        """Keeps all confidential fields of records of this department, durably; see `node.vault_access.SecretStore`."""
        self._vault.put_all(
            {record_id: VaultEntry(fields, Origin.OWN, expires_ms) for record_id, fields in records.items()}
        )

    def keep_copy(self, record_id: bytes, fields: tuple[SecretField, ...]) -> None:
        """Keeps fields of another department's record that were given out under a read, durably.

        Raises:
            HuzhengError: VAULT_CONFLICT, VAULT_ERASED; those of the disk.
        """
        self._vault.put(record_id, VaultEntry(fields, Origin.COPY))

    def catch_up(self) -> list[Erased]:
        """At the start: all that the chain says is done here. Returns what is to be acknowledged.

        Values may be asked for meanwhile: what the state says is erased is refused whether the vault still has it or not.

        Raises:
            HuzhengError: those of the vault.
        """
        tip = self._store.tip
        self._vault.confirm(deposit for deposit in self._vault.deposits() if self._is_stored(deposit))
        self._vault.expire(tip.time_ms)
        ordered = list(erased_on_chain(self._store))
        self._erase(ordered)
        self._followed = tip.height
        return [erased for erased in ordered if self.must_acknowledge(erased)]

    def follow(self) -> list[Erased]:
        """Does what the blocks since the last call say. Returns what is to be acknowledged."""
        tip = self._store.tip
        if self._vault.has_deposits:
            for height in range(self._followed + 1, tip.height + 1):
                self._vault.confirm(list(self._own_records(Height(height))))
        ordered = list(erased_since(self._store, self._followed))
        self._erase(ordered)
        self._followed = tip.height
        self._vault.expire(tip.time_ms)
        return [item for item in ordered if self.must_acknowledge(item)]

    def _own_records(self, height: Height) -> Iterator[bytes]:
        """The records of this department that a block brought."""
        for raw, result in zip(self._store.transactions(height), self._store.results(height), strict=True):
            if strict.read(pb.TransactionResult, result).code != pb.RESULT_CODE_ACCEPTED:
                continue
            transaction = pb.Transaction.FromString(raw)
            if pb.TransactionBody.FromString(transaction.body).department == self._department:
                yield from (self._genesis.suite.digest(Domain.RECORD, record) for record in transaction.records)

    def _erase(self, ordered: Iterable[Erased]) -> None:
        own = [item.record_id for item in ordered if counts(self._store, item)]
        for start in range(0, len(own), ERASED_AT_ONCE):
            self._vault.erase(own[start : start + ERASED_AT_ONCE])

    def _is_stored(self, record_id: bytes) -> bool:
        return self._store.record_place(record_id) is not None

    def must_acknowledge(self, item: Erased) -> bool:
        """Whether this department owes one: the record's own does, and whoever may have got its values under a read."""
        state = find_erasure(self._store.state, item.owner, item.record_id)
        if state is None or any(done.department == self._department for done in state.done):
            return False
        if not counts(self._store, item):
            return False
        return item.owner == self._department or self._has_read(item)

    def _has_read(self, item: Erased) -> bool:
        return self._department in self._store.audit.holders(item.record_id, item.owner)

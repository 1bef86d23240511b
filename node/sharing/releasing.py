"""Gives out what a read asked for, once the read is ordered (docs/protocol.md G7). Reads the database: call it in a worker thread."""

from __future__ import annotations

from collections.abc import Callable

from huzheng.v1 import disclosure_pb2
from huzheng.v1 import sharing_pb2 as sharing

from ledger.crypto import HASH_BYTES, strict
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.sharing.erasing import is_erased
from ledger.sharing.reading import find_read
from ledger.store import ChainStore
from node.disclosing import record_disclosure
from node.identity import Caller, Role
from node.vault_access import SecretStore

RELEASE_WINDOW_MS = 24 * 3_600_000
"""How long after a read, in the chain's time, its answer is given out again (G7)."""

Seal = Callable[[bytes, bytes], bytes]
"""Seals a message to a public key."""


class Releaser:
    """Answers reads of one department's records."""

    def __init__(
        self, genesis: Genesis, store: ChainStore, department: str, secrets: SecretStore | None, seal: Seal
    ) -> None:
        """`secrets`: None where this node has no vault."""
        self._genesis = genesis
        self._store = store
        self._department = department
        self._secrets = secrets
        self._seal = seal

    def release(self, read_id: bytes, caller: Caller) -> bytes:
        """The `ReadAnswer` to a read, sealed to the key that the read names. May be asked for again.

        Raises:
            HuzhengError: INVALID_REQUEST; UNKNOWN_READ, also while this node lacks the read's block; NOT_PARTY; ALREADY_DONE once
                it was acknowledged; RELEASE_OVER; ERASED; VAULT_NOT_CONFIGURED, VAULT_CLOSED, VALUES_MISSING; NOT_READY; those of the vault.
        """
        if len(read_id) != HASH_BYTES:
            raise HuzhengError(Code.INVALID_REQUEST, "a read's id has 32 bytes")
        read = find_read(self._store.state, read_id)
        if read is None:
            raise HuzhengError(Code.UNKNOWN_READ)
        self._check(read, caller)
        answer = disclosure_pb2.ReadAnswer(read=read_id, disclosure=self._disclosure(read))
        return self._seal(strict.write(answer), read.reader_key)

    def _check(self, read: sharing.ReadState, caller: Caller) -> None:
        caller.require(Role.SYSTEM)
        if read.owner != self._department or read.reader != caller.department:
            raise HuzhengError(Code.NOT_PARTY)
        if read.acknowledged_ms:
            raise HuzhengError(Code.ALREADY_DONE, "the read was acknowledged")
        if self._store.tip.time_ms > read.time_ms + RELEASE_WINDOW_MS:
            raise HuzhengError(Code.RELEASE_OVER)
        if is_erased(self._store.state, read.owner, read.record_id):
            raise HuzhengError(Code.ERASED)

    def _disclosure(self, read: sharing.ReadState) -> bytes:
        if self._secrets is None:
            raise HuzhengError(Code.VAULT_NOT_CONFIGURED)
        fields = self._secrets.secrets(read.record_id)
        place = self._store.record_place(read.record_id)
        if fields is None or place is None:
            raise HuzhengError(Code.VALUES_MISSING, f"record {read.record_id.hex()}")
        there = {field.number for field in fields}
        numbers = [number for number in read.fields if number in there]
        return record_disclosure(self._genesis, self._store, place, fields, numbers)

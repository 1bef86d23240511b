"""What a department's own systems and clerks may do with its vault: deposit values before their record is submitted, and
show values of records on chain. Reads and writes databases: call it in worker threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from huzheng.v1 import disclosure_pb2, transaction_pb2
from huzheng.v1 import vault_service_pb2 as pb

from ledger.catalogue import SALT_BYTES, CompiledResource
from ledger.catalogue_rules import MAX_CONFIDENTIAL, is_ascending
from ledger.commitments import SecretField, check_value, confidential_root
from ledger.crypto import HASH_BYTES, Domain, strict
from ledger.disclosure import verify_disclosure
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.sharing.erasing import is_erased
from ledger.sharing.reading import find_read
from ledger.store import ChainStore
from node.disclosing import record_disclosure
from node.identity import Caller, Role

MAX_SECRETS_BYTES = 1 << 20
"""Of one record's confidential fields: what an entry of a vault may have."""

Secrets = tuple[SecretField, ...]


class SecretStore(Protocol):
    """Where the values of a department's own records are kept. Methods may be called from any thread."""

    def deposit(self, records: Mapping[bytes, Secrets], expires_ms: int) -> None:
        """Keeps all confidential fields of records by record id, all or none, durably. The same again changes nothing.

        `expires_ms`: when they may be erased unless the record is on chain by then; 0: it is.

        Raises:
            HuzhengError: where something else is kept of a record, where it was erased, and what the disk does.
        """
        ...

    def secrets(self, record_id: bytes) -> Secrets | None:
        """All confidential fields of a record, in order; None if they are not here."""
        ...

    def keep_copy(self, record_id: bytes, fields: Secrets) -> None:
        """Keeps fields of another department's record, durably. The same again changes nothing, others are added.

        Raises:
            HuzhengError: where something else is kept of the record, where it was erased, and what the disk does.
        """
        ...


class VaultAccess:
    """The vault of one department, to those who belong to it."""

    def __init__(
        self,
        genesis: Genesis,
        chain: ChainStore,
        department: str,
        secrets: SecretStore | None,
        now_ms: Callable[[], int],
    ) -> None:
        """`secrets`: None where this node has no vault. `now_ms`: the network's time."""
        self._genesis = genesis
        self._chain = chain
        self._department = department
        self._secrets = secrets
        self._now_ms = now_ms

    def deposit(self, request: pb.DepositRequest, caller: Caller) -> None:
        """Keeps the values of records that are about to be submitted, if the records commit to just them.

        Raises:
            HuzhengError: CALLER_NOT_ALLOWED, VAULT_NOT_CONFIGURED, INVALID_REQUEST, TOO_LARGE, EXPIRED, LIFETIME_TOO_LONG; of a
                record NOT_STRICT, UNKNOWN_RESOURCE, SCHEMA_MISMATCH, NOT_OWNER, BAD_COMMITMENT, BAD_FIELD, MISSING_FIELD; those
                of the vault.
        """
        secrets = self._opened(caller, Role.SYSTEM)
        if not 1 <= len(request.records) <= self._genesis.parameters.max_transaction_records:
            raise HuzhengError(Code.INVALID_REQUEST, "records: none, or more than a transaction may have")
        self._check_expiry(request.expires_ms)
        records = dict(self._checked(index, deposited) for index, deposited in enumerate(request.records))
        secrets.deposit(records, request.expires_ms)
        # Of one that is on chain already, as when a submission goes on after a crash, nothing may expire.
        there = {record_id: kept for record_id, kept in records.items() if self._is_on_chain(record_id)}
        if there:
            secrets.deposit(there, 0)

    def keep(self, request: pb.KeepRequest, caller: Caller) -> None:
        """Keeps what another department gave out under a read of this one.

        Raises:
            HuzhengError: CALLER_NOT_ALLOWED, VAULT_NOT_CONFIGURED, UNKNOWN_READ, NOT_PARTY, ERASED, BAD_ANSWER; as
                `verify_disclosure`; those of the vault.
        """
        secrets = self._opened(caller, Role.SYSTEM)
        read = find_read(self._chain.state, request.read)
        if read is None:
            raise HuzhengError(Code.UNKNOWN_READ)
        if read.reader != self._department:
            raise HuzhengError(Code.NOT_PARTY)
        if is_erased(self._chain.state, read.owner, read.record_id):
            raise HuzhengError(Code.ERASED)
        verdict = verify_disclosure(request.disclosure, self._genesis)
        if verdict.record.id != read.record_id or not set(verdict.values) <= set(read.fields):
            raise HuzhengError(Code.BAD_ANSWER, "not what the read asked for")
        shown = strict.read(disclosure_pb2.Disclosure, request.disclosure).fields
        secrets.keep_copy(read.record_id, tuple(SecretField(item.number, item.value, item.salt) for item in shown))

    def disclose(self, request: pb.DiscloseRequest, caller: Caller) -> bytes:
        """A `Disclosure` of fields of one of the department's records on chain.

        Raises:
            HuzhengError: CALLER_NOT_ALLOWED, VAULT_NOT_CONFIGURED, INVALID_REQUEST, NOT_FOUND, NOT_OWNER, ERASED, VALUES_MISSING,
                UNKNOWN_FIELD, NOT_READY; those of the vault.
        """
        secrets = self._opened(caller, Role.SYSTEM, Role.CLERK)
        if len(request.record_id) != HASH_BYTES:
            raise HuzhengError(Code.INVALID_REQUEST, f"record_id: {HASH_BYTES} bytes are needed")
        if not (1 <= len(request.fields) <= MAX_CONFIDENTIAL and is_ascending(request.fields)):
            raise HuzhengError(Code.INVALID_REQUEST, f"fields: 1 to {MAX_CONFIDENTIAL} numbers in ascending order")
        place = self._chain.record_place(request.record_id)
        if place is None:
            raise HuzhengError(Code.NOT_FOUND, "no record has this id")
        if self._chain.record(place).department != self._department:
            raise HuzhengError(Code.NOT_OWNER, "another department's record")
        if is_erased(self._chain.state, self._department, request.record_id):
            raise HuzhengError(Code.ERASED)
        fields = secrets.secrets(request.record_id)
        if fields is None:
            raise HuzhengError(Code.VALUES_MISSING, f"record {request.record_id.hex()}")
        return record_disclosure(self._genesis, self._chain, place, fields, request.fields)

    def _opened(self, caller: Caller, *roles: Role) -> SecretStore:
        caller.require(*roles)
        if caller.department != self._department:
            raise HuzhengError(Code.CALLER_NOT_ALLOWED, f"the vault is that of {self._department}, for nobody else")
        if self._secrets is None:
            raise HuzhengError(Code.VAULT_NOT_CONFIGURED)
        return self._secrets

    def _check_expiry(self, expires_ms: int) -> None:
        now_ms = self._now_ms()
        if expires_ms <= now_ms:
            raise HuzhengError(Code.EXPIRED, "expires_ms")
        if expires_ms > now_ms + self._genesis.parameters.max_lifetime_ms:
            raise HuzhengError(Code.LIFETIME_TOO_LONG, "expires_ms")

    def _is_on_chain(self, record_id: bytes) -> bool:
        return self._chain.record_place(record_id) is not None

    def _checked(self, index: int, deposited: pb.DepositedRecord) -> tuple[bytes, Secrets]:
        """A record's id and fields, if it commits to just these. Errors say which record, and no value."""
        try:
            record = strict.read(transaction_pb2.Record, deposited.record)
            self._check(record, deposited.fields)
        except HuzhengError as error:
            detail = f"record {index + 1}" + (f": {error.detail}" if error.detail else "")
            raise HuzhengError(error.code, detail) from None
        fields = tuple(SecretField(field.number, field.value, field.salt) for field in deposited.fields)
        if confidential_root(self._genesis.suite, fields) != record.confidential_root:
            raise HuzhengError(Code.BAD_COMMITMENT, f"record {index + 1}: it commits to other values")
        return self._genesis.suite.digest(Domain.RECORD, deposited.record), fields

    def _check(self, record: transaction_pb2.Record, fields: Sequence[pb.DepositedField]) -> None:
        definition = self._definition(record)
        if sum(field.ByteSize() for field in fields) > MAX_SECRETS_BYTES:
            raise HuzhengError(Code.TOO_LARGE, f"confidential fields of more than {MAX_SECRETS_BYTES} bytes")
        if [field.number for field in fields] != [spec.number for spec in definition.confidential] or not fields:
            raise HuzhengError(Code.BAD_COMMITMENT, "not all confidential fields of its schema version, and no others")
        if any(len(field.salt) != SALT_BYTES for field in fields):
            raise HuzhengError(Code.BAD_COMMITMENT, f"a salt that has not {SALT_BYTES} bytes")
        for spec, field in zip(definition.confidential, fields, strict=True):
            check_value(spec, field.value)

    def _definition(self, record: transaction_pb2.Record) -> CompiledResource:
        published = self._chain.published()
        resource = published.find(record.resource)
        if resource is None:
            raise HuzhengError(Code.UNKNOWN_RESOURCE)
        if resource.department != self._department:
            raise HuzhengError(Code.NOT_OWNER, f"{record.resource} belongs to {resource.department}")
        definition = published.version(record.resource, record.schema_version)
        if definition is None:
            raise HuzhengError(Code.SCHEMA_MISMATCH)
        return definition

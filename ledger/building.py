"""Builds records and transactions, as a department's system or the command line does."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from huzheng.v1 import transaction_pb2 as pb

from ledger import merkle
from ledger.catalogue import SALT_BYTES, CompiledResource, encode_payload
from ledger.commitments import SecretField, confidential_root, secret_fields
from ledger.crypto import Domain, Signer, strict
from ledger.errors import Code, HuzhengError
from ledger.fields.entry import InputValue
from ledger.genesis import Genesis
from ledger.transaction import NONCE_BYTES, check_reliance


@dataclass(frozen=True, slots=True)
class BuiltRecord:
    """A record ready for a transaction."""

    id: bytes
    raw: bytes
    payload: bytes
    secrets: tuple[SecretField, ...] = ()
    """What only its department's vault is to keep: all confidential fields, those without value too."""


def build_record(
    genesis: Genesis,
    resource: str | CompiledResource,
    subject: str,
    version: int,
    replaces: bytes,
    values: Mapping[str, InputValue] | None,
    *,
    confidential: Mapping[str, InputValue] | None = None,
    relies_on: Iterable[pb.Reliance] = (),
    salt: bytes | None = None,
) -> BuiltRecord:
    """A record that asserts these public and confidential values, or revokes if there are no public ones (`None`).
    `resource`: a name in the genesis, or what was published. `relies_on`: in any order.

    Raises:
        HuzhengError: UNKNOWN_RESOURCE, BAD_SUBJECT, UNKNOWN_FIELD, BAD_FIELD, MISSING_FIELD; BAD_COMMITMENT where a revoking
            record is given confidential values; MALFORMED_TRANSACTION where it relies on too many, or twice on one subject.
    """
    definition = genesis.catalogue.get(resource) if isinstance(resource, str) else resource
    if definition is None:
        raise HuzhengError(Code.UNKNOWN_RESOURCE)
    if not definition.subject_fits(subject):
        raise HuzhengError(Code.BAD_SUBJECT, f"{definition.name}: must be {definition.subject.expected}")
    payload = b""
    if values is not None:
        payload = encode_payload(definition, values, secrets.token_bytes(SALT_BYTES) if salt is None else salt)
    kept = _secrets(definition, values, confidential or {})
    relied = sorted(relies_on, key=lambda one: (one.resource, one.subject))
    check_reliance(relied)
    record = pb.Record(
        resource=definition.name,
        subject=subject,
        version=version,
        replaces=replaces,
        action=pb.RECORD_ACTION_REVOKE if values is None else pb.RECORD_ACTION_ASSERT,
        schema_version=definition.schema_version,
        payload_digest=genesis.suite.digest(Domain.PAYLOAD, payload),
        confidential_root=confidential_root(genesis.suite, kept),
        relies_on=relied,
    )
    raw = strict.write(record)
    return BuiltRecord(genesis.suite.digest(Domain.RECORD, raw), raw, payload, kept)


def _secrets(
    definition: CompiledResource, values: Mapping[str, InputValue] | None, confidential: Mapping[str, InputValue]
) -> tuple[SecretField, ...]:
    if values is not None:
        return secret_fields(definition, confidential)
    if confidential:
        raise HuzhengError(Code.BAD_COMMITMENT, "a revoking record has no confidential fields")
    return ()


def build_transaction(
    genesis: Genesis,
    signer: Signer,
    department: str,
    expires_ms: int,
    *,
    records: Sequence[BuiltRecord] = (),
    operations: Sequence[pb.Operation] = (),
    nonce: bytes | None = None,
) -> bytes:
    """A signed transaction (T1, T2)."""
    suite = genesis.suite
    body = strict.write(
        pb.TransactionBody(
            chain_id=genesis.chain_id,
            department=department,
            public_key=signer.public_key,
            nonce=secrets.token_bytes(NONCE_BYTES) if nonce is None else nonce,
            expires_ms=expires_ms,
            records_root=merkle.root(suite, [record.id for record in records]) if records else b"",
            record_count=len(records),
            operations=operations,
        )
    )
    transaction = pb.Transaction(
        body=body,
        signature=signer.sign(Domain.SIGN_TRANSACTION, body),
        records=[record.raw for record in records],
        payloads=[record.payload for record in records],
    )
    return strict.write(transaction)


def transaction_id(genesis: Genesis, raw: bytes) -> bytes:
    """The id of a transaction that this program built or read from a place it trusts."""
    return genesis.suite.digest(Domain.TRANSACTION, strict.read(pb.Transaction, raw).body)

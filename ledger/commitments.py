"""Confidential fields: how a record commits to their values, and the paths that show one of them (docs/protocol.md section 15)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from huzheng.v1.transaction_pb2 import FieldValue

from ledger import merkle
from ledger.catalogue import SALT_BYTES, CompiledResource, canonical_values
from ledger.crypto import Domain, Suite, strict
from ledger.errors import Code, HuzhengError
from ledger.fields.entry import InputValue
from ledger.fields.values import CompiledField


def fresh_salt() -> bytes:
    """16 random bytes."""
    return secrets.token_bytes(SALT_BYTES)


@dataclass(frozen=True, slots=True)
class SecretField:
    """What a vault keeps of a confidential field: its number, its value (empty: it has none), and the salt of its commitment.

    No repr shows value or salt.
    """

    number: int
    value: str = field(repr=False)
    salt: bytes = field(repr=False)


def secret_fields(
    resource: CompiledResource, values: Mapping[str, InputValue], new_salt: Callable[[], bytes] = fresh_salt
) -> tuple[SecretField, ...]:
    """All confidential fields of a schema version, in order, those without value included; each gets a salt of its own.

    Values may be written as people write them. Raises UNKNOWN_FIELD, BAD_FIELD or MISSING_FIELD; the detail never has a value.
    """
    texts = canonical_values(resource, resource.confidential, values)
    return tuple(SecretField(spec.number, texts.get(spec.number, ""), new_salt()) for spec in resource.confidential)


def commitment(suite: Suite, secret: SecretField) -> bytes:
    """The leaf, 32 bytes, that commits to a field (P1)."""
    content = strict.write(FieldValue(number=secret.number, value=secret.value))
    return suite.digest(Domain.CONFIDENTIAL, secret.salt, content)


def confidential_root(suite: Suite, fields: Sequence[SecretField]) -> bytes:
    """The root, 32 bytes, over all confidential fields of a record; empty if its schema version has none (P1)."""
    return merkle.root(suite, [commitment(suite, secret) for secret in fields]) if fields else b""


def paths(suite: Suite, fields: Sequence[SecretField], numbers: Collection[int]) -> dict[int, list[bytes]]:
    """The path of each of these numbers' leaves, by number; `fields` are all of the record, in order."""
    tree = merkle.levels(suite, [commitment(suite, secret) for secret in fields])
    return {
        secret.number: merkle.inclusion_path_from_nodes(
            suite, lambda level, index: tree[level][index], place, len(fields)
        )
        for place, secret in enumerate(fields)
        if secret.number in numbers
    }


def place_of(resource: CompiledResource, number: int) -> int | None:
    """At which place of the tree a confidential field's leaf is; None if the schema version has no such field."""
    return next((place for place, spec in enumerate(resource.confidential) if spec.number == number), None)


def check_value(spec: CompiledField, value: str) -> None:
    """That a confidential field may have this value, or none where it is empty (P2).

    Raises:
        HuzhengError: MISSING_FIELD, BAD_FIELD; the detail never has the value.
    """
    if not value:
        if spec.required:
            raise HuzhengError(Code.MISSING_FIELD, f"{spec.name}: is required")
    elif not spec.fits(value):
        raise HuzhengError(Code.BAD_FIELD, f"{spec.name}: must be {spec.expected}")

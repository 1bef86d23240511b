"""Records whose ids are proved, with what they say (docs/protocol.md R6, Q6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from huzheng.v1 import catalogue_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.catalogue import CompiledResource, read_fields
from ledger.crypto import Domain, strict
from ledger.errors import Code, HuzhengError
from ledger.expunged import is_removed
from ledger.genesis import Genesis

Versions = Callable[[str, int], CompiledResource | catalogue_pb2.Resource | None]
"""Definitions that are known, by name and schema version."""


@dataclass(frozen=True, slots=True)
class Relied:
    """A record that another one says it relies on; it was in force when the other was accepted."""

    resource: str
    subject: str
    record_id: bytes

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the id in hex."""
        return {"resource": self.resource, "subject": self.subject, "record_id": self.record_id.hex()}


def relied_by(record: pb.Record) -> tuple[Relied, ...]:
    """What a record relies on, by resource and subject."""
    return tuple(Relied(one.resource, one.subject, one.record_id) for one in record.relies_on)


@dataclass(frozen=True, slots=True)
class ProvenRecord:
    """A record that a receipt or statement proves. Only `read_proven` makes one."""

    id: bytes
    resource: str
    subject: str
    version: int
    replaces: bytes
    revokes: bool
    values: dict[str, str] | None
    """Public fields by name, or by number where it is not known (R6); empty where the record revokes or was refused. None if the payload was
    removed or is not shown."""
    schema_version: int
    confidential_root: bytes
    """What it commits to its confidential fields with; empty if it has none."""
    relies_on: tuple[Relied, ...]

    @property
    def is_shown(self) -> bool:
        """Whether what it says is here; if not, it is proved all the same that it was there."""
        return self.values is not None

    def to_dict(self) -> dict[str, Any]:
        """For JSON: hashes in hex."""
        return {
            "id": self.id.hex(),
            "resource": self.resource,
            "subject": self.subject,
            "version": self.version,
            "replaces": self.replaces.hex(),
            "action": "revoke" if self.revokes else "assert",
            "fields": self.values,
            "relies_on": [relied.to_dict() for relied in self.relies_on],
        }


def record_id(genesis: Genesis, raw: bytes) -> bytes:
    """A record's id (T1)."""
    return genesis.suite.digest(Domain.RECORD, raw)


def read_proven(
    genesis: Genesis, raw: bytes, payload: bytes, *, accepted: bool, versions: Versions | None = None
) -> ProvenRecord:
    """What a record says. That something commits to its id is for the caller to know. `versions`: those of the genesis unless given.

    Raises:
        HuzhengError: NOT_STRICT, BAD_PROOF, UNKNOWN_FIELD.
    """
    record = strict.read(pb.Record, raw)
    is_shown = genesis.suite.digest(Domain.PAYLOAD, payload) == record.payload_digest
    if not is_shown and not is_removed(genesis.suite, record, payload):
        raise HuzhengError(Code.BAD_PROOF, "the payload is not the one the record commits to")
    revokes = record.action == pb.RECORD_ACTION_REVOKE
    values: dict[str, str] | None = {} if is_shown else None
    # What a refused record holds was perhaps never checked.
    if accepted and not revokes and is_shown:
        known = genesis.version if versions is None else versions
        cited = known(record.resource, record.schema_version)
        values = read_fields(cited, payload, genesis.catalogue.get(record.resource))
    return ProvenRecord(
        record_id(genesis, raw),
        record.resource,
        record.subject,
        record.version,
        record.replaces,
        revokes,
        values,
        record.schema_version,
        record.confidential_root,
        relied_by(record),
    )

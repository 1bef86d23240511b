"""Disclosures: chosen confidential fields of one record, for whoever holds the genesis file (docs/protocol.md section 15).

Needs no node, no network, no database. What is shown of one field says nothing of another one: neither its value, nor
whether it has one; how many there are, the schema version says anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from huzheng.v1 import block_pb2, disclosure_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger import merkle
from ledger.catalogue import SALT_BYTES, CompiledResource
from ledger.catalogue_rules import MAX_CONFIDENTIAL, MAX_TEXT_BYTES
from ledger.commitments import SecretField, check_value, commitment, confidential_root, paths, place_of
from ledger.crypto import strict
from ledger.epoch_proof import MAX_EPOCHS_BYTES
from ledger.epochs import EpochTerms
from ledger.errors import Code, HuzhengError
from ledger.fields.values import CompiledField
from ledger.genesis import Genesis
from ledger.proven_record import ProvenRecord
from ledger.receipt import RECEIPT_OVERHEAD_BYTES, Verdict, verify_receipt
from ledger.sealed_block import SealedBlock

MAX_FIELDS_BYTES = MAX_CONFIDENTIAL * (MAX_TEXT_BYTES + 1024)
"""Of a disclosure without its receipt and its proof of the schema version (P3)."""

Definitions = Callable[[str, int], CompiledResource | None]
"""Gives a schema version of a resource that is proved by something else than the genesis; None if it does not know it."""


@dataclass(frozen=True, slots=True)
class ShownField:
    """A confidential field as a disclosure proves it."""

    number: int
    name: str
    value: str = field(repr=False)
    """Empty: the record has no value there."""


@dataclass(frozen=True, slots=True)
class DisclosureVerdict:
    """What a valid disclosure proves. Only `verify_disclosure` makes one."""

    receipt: Verdict
    record: ProvenRecord
    """Accepted, and asserts."""
    definition: CompiledResource
    """The record's schema version."""
    fields: tuple[ShownField, ...]

    @property
    def values(self) -> dict[int, str]:
        """By number; empty where the record has no value."""
        return {shown.number: shown.value for shown in self.fields}

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the receipt's, and confidential fields by name; null where the record has no value."""
        return {**self.receipt.to_dict(), "confidential": {shown.name: shown.value or None for shown in self.fields}}


def build_disclosure(
    genesis: Genesis, receipt: bytes, fields: Sequence[SecretField], numbers: Collection[int]
) -> bytes:
    """Shows these numbers of a record, whose receipt this is and all of whose confidential fields these are, in order.

    Raises:
        HuzhengError: BAD_COMMITMENT where the record commits to other fields, UNKNOWN_FIELD for a number that is not among them,
            NOT_STRICT.
    """
    record = strict.read(pb.Record, strict.read(block_pb2.Receipt, receipt).record.record)
    if confidential_root(genesis.suite, fields) != record.confidential_root:
        raise HuzhengError(Code.BAD_COMMITMENT, "the record commits to other values")
    unknown = set(numbers) - {secret.number for secret in fields}
    if unknown:
        raise HuzhengError(
            Code.UNKNOWN_FIELD, f"{record.resource}: {min(unknown)} is no confidential field of the record"
        )
    ways = paths(genesis.suite, fields, numbers)
    shown = [
        disclosure_pb2.DisclosedField(
            number=secret.number, value=secret.value, salt=secret.salt, path=ways[secret.number]
        )
        for secret in fields
        if secret.number in ways
    ]
    return strict.write(disclosure_pb2.Disclosure(receipt=receipt, fields=shown))


def verify_disclosure(
    raw: bytes,
    genesis: Genesis,
    anchor: SealedBlock | None = None,
    history: bytes = b"",
    known_epochs: Iterable[EpochTerms] = (),
    definitions: Definitions | None = None,
) -> DisclosureVerdict:
    """What the disclosure proves, trusting the genesis alone (P1 to P3), and, if one is given, that it is of the anchor's chain.

    `history`: the `HistoryProof` that links the receipt's block with the anchor. `known_epochs`: as of `verify_receipt`.
    `definitions`: asked for a schema version that the genesis does not have.

    Raises:
        HuzhengError: with the reason why it proves nothing: as `verify_receipt`; SCHEMA_UNKNOWN. BAD_FIELD and MISSING_FIELD
            where the record does commit to what is shown, so that its department is proved to have broken P2.
    """
    disclosure = _read(raw, genesis)
    receipt = verify_receipt(disclosure.receipt, genesis, anchor, history, known_epochs)
    record = _asserted(receipt)
    definition = _definition(genesis, record, definitions)
    _check_order(disclosure.fields)
    specs = [_verify_commitment(genesis, definition, record, shown) for shown in disclosure.fields]
    # Only now is it known that the department itself committed to the values.
    for spec, shown in zip(specs, disclosure.fields, strict=True):
        check_value(spec, shown.value)
    fields = tuple(
        ShownField(spec.number, spec.name, shown.value) for spec, shown in zip(specs, disclosure.fields, strict=True)
    )
    return DisclosureVerdict(receipt, record, definition, fields)


def max_disclosure_bytes(genesis: Genesis) -> int:
    """Of a disclosure with all that may be in it."""
    return genesis.parameters.max_transaction_bytes + RECEIPT_OVERHEAD_BYTES + MAX_EPOCHS_BYTES + MAX_FIELDS_BYTES


def _read(raw: bytes, genesis: Genesis) -> disclosure_pb2.Disclosure:
    """P3, its form; the receipt has limits of its own (R1, R8)."""
    if len(raw) > max_disclosure_bytes(genesis):
        raise HuzhengError(Code.TOO_LARGE, "disclosure")
    disclosure = strict.read(disclosure_pb2.Disclosure, raw)
    if len(raw) - len(disclosure.receipt) > MAX_FIELDS_BYTES:
        raise HuzhengError(Code.TOO_LARGE, "disclosure: fields")
    if disclosure.catalogue:
        # Statements have no entries yet (Q8); what can't be checked must not look as if it had been.
        raise HuzhengError(Code.BAD_PROOF, "a proof of the schema version, which this software can't check")
    return disclosure


def _asserted(receipt: Verdict) -> ProvenRecord:
    record = receipt.record
    if record is None or not receipt.accepted or record.revokes:
        raise HuzhengError(Code.BAD_PROOF, "the receipt is of no record that was accepted and asserts")
    return record


def _definition(genesis: Genesis, record: ProvenRecord, definitions: Definitions | None) -> CompiledResource:
    found = genesis.catalogue.get(record.resource)
    if found is not None and found.schema_version == record.schema_version:
        return found
    published = None if definitions is None else definitions(record.resource, record.schema_version)
    if published is None:
        raise HuzhengError(Code.SCHEMA_UNKNOWN, f"{record.resource}, version {record.schema_version}")
    return published


def _check_order(fields: Sequence[disclosure_pb2.DisclosedField]) -> None:
    if len(fields) > MAX_CONFIDENTIAL:
        raise HuzhengError(Code.BAD_PROOF, f"more than {MAX_CONFIDENTIAL} fields")
    if any(before.number >= after.number for before, after in pairwise(fields)):
        raise HuzhengError(Code.BAD_PROOF, "fields that are not in order")


def _verify_commitment(
    genesis: Genesis, definition: CompiledResource, record: ProvenRecord, shown: disclosure_pb2.DisclosedField
) -> CompiledField:
    """That the record commits to what is shown of a field, at that field's place."""
    place = place_of(definition, shown.number)
    if place is None:
        raise HuzhengError(Code.UNKNOWN_FIELD, f"{definition.name}: {shown.number} is no confidential field")
    if len(shown.salt) != SALT_BYTES:
        raise HuzhengError(Code.BAD_PROOF, f"a salt that has not {SALT_BYTES} bytes")
    leaf = commitment(genesis.suite, SecretField(shown.number, shown.value, shown.salt))
    size = len(definition.confidential)
    if merkle.root_from_path(genesis.suite, leaf, place, size, shown.path) != record.confidential_root:
        raise HuzhengError(Code.BAD_PROOF, f"{definition.confidential[place].name}: not what the record commits to")
    return definition.confidential[place]

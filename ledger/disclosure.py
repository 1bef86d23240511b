"""Disclosures: chosen confidential fields of one record, for whoever holds the genesis file (docs/protocol.md section 15).

Needs no node, no network, no database. What is shown of one field says nothing of another one: neither its value, nor
whether it has one; how many there are, the schema version says anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from huzheng.v1 import block_pb2, disclosure_pb2, statement_pb2
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
from ledger.proven_record import ProvenRecord, Versions
from ledger.published import compiled, version_key
from ledger.receipt import RECEIPT_OVERHEAD_BYTES, Verdict, verify_receipt
from ledger.sealed_block import SealedBlock
from ledger.statement import max_statement_bytes, verify_statement

MAX_FIELDS_BYTES = MAX_CONFIDENTIAL * (MAX_TEXT_BYTES + 1024)
"""Of a disclosure without its receipt and its proof of the schema version (P3)."""

ProveVersion = Callable[[str, int], bytes]
"""Gives the statement that proves a schema version of a resource, with its proofs of epochs (P3)."""


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
    genesis: Genesis,
    receipt: bytes,
    fields: Sequence[SecretField],
    numbers: Collection[int],
    prove_version: ProveVersion | None = None,
) -> bytes:
    """Shows these numbers of a record, whose receipt this is and all of whose confidential fields these are, in order.

    `prove_version`: asked where the genesis does not have the record's schema version.

    Raises:
        HuzhengError: BAD_COMMITMENT where the record commits to other fields, UNKNOWN_FIELD for a number that is not among them,
            SCHEMA_UNKNOWN where `prove_version` is needed and not given, NOT_STRICT; what `prove_version` raises.
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
    catalogue = _version_proof(genesis, record, prove_version)
    return strict.write(disclosure_pb2.Disclosure(receipt=receipt, fields=shown, catalogue=catalogue))


def _version_proof(genesis: Genesis, record: pb.Record, prove_version: ProveVersion | None) -> bytes:
    """`catalogue` of a disclosure of a record; empty where the genesis has its schema version."""
    if genesis.version(record.resource, record.schema_version) is not None:
        return b""
    if prove_version is None:
        raise _schema_unknown(record.resource, record.schema_version)
    return prove_version(record.resource, record.schema_version)


def _schema_unknown(resource: str, schema_version: int) -> HuzhengError:
    return HuzhengError(Code.SCHEMA_UNKNOWN, f"{resource}, version {schema_version}")


def is_disclosure(raw: bytes) -> bool:
    """Whether these bytes can be no other proof than a disclosure (P3), be it sound or not."""
    try:
        disclosure = strict.read(disclosure_pb2.Disclosure, raw)
        return bool(disclosure.fields or strict.read(block_pb2.Receipt, disclosure.receipt).result)
    except HuzhengError:
        return False


def verify_disclosure(
    raw: bytes,
    genesis: Genesis,
    anchor: SealedBlock | None = None,
    history: bytes = b"",
    known_epochs: Iterable[EpochTerms] = (),
    catalogue_history: bytes = b"",
) -> DisclosureVerdict:
    """What the disclosure proves, trusting the genesis alone (P1 to P3), and, if one is given, that it is of the anchor's chain.

    `history`: the `HistoryProof` that links the receipt's block with the anchor; `catalogue_history`: that of the block as of which
    the schema version is proved, where the genesis does not have it. `known_epochs`: as of `verify_receipt` and `verify_statement`.

    Raises:
        HuzhengError: with the reason why it proves nothing: as `verify_receipt` and, where it proves the schema version,
            `verify_statement`; SCHEMA_UNKNOWN where it does not and the genesis does not have it. BAD_FIELD and MISSING_FIELD
            where the record does commit to what is shown, so that its department is proved to have broken P2.
    """
    epochs = tuple(known_epochs)
    disclosure = _read(raw, genesis)
    proved = None
    if disclosure.catalogue:
        verify_statement(disclosure.catalogue, genesis, epochs, anchor, catalogue_history)
        proved = _proved_version(disclosure.catalogue)
    receipt = verify_receipt(disclosure.receipt, genesis, anchor, history, epochs, _with_proved(genesis, proved))
    if disclosure.catalogue:
        _require_same_epochs(disclosure)
    record = _asserted(receipt)
    definition = _definition(genesis, record, proved)
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
    receipt = genesis.parameters.max_transaction_bytes + RECEIPT_OVERHEAD_BYTES + MAX_EPOCHS_BYTES
    return receipt + max_statement_bytes(genesis) + MAX_EPOCHS_BYTES + MAX_FIELDS_BYTES


def _read(raw: bytes, genesis: Genesis) -> disclosure_pb2.Disclosure:
    """P3, its form; the receipt and the statement have limits of their own (R1, Q1, R8)."""
    if len(raw) > max_disclosure_bytes(genesis):
        raise HuzhengError(Code.TOO_LARGE, "disclosure")
    disclosure = strict.read(disclosure_pb2.Disclosure, raw)
    if len(raw) - len(disclosure.receipt) - len(disclosure.catalogue) > MAX_FIELDS_BYTES:
        raise HuzhengError(Code.TOO_LARGE, "disclosure: fields")
    return disclosure


def _proved_version(statement: bytes) -> CompiledResource:
    """The schema version that a verified statement proves, if it proves nothing else: there is one way to say it (P3)."""
    message = strict.read(statement_pb2.Statement, statement)
    if message.leaves or message.records or len(message.entries) != 1:
        raise HuzhengError(Code.BAD_PROOF, "catalogue: not one entry and nothing else")
    [entry] = message.entries
    try:
        definition = compiled(entry.value)
    except HuzhengError:
        raise HuzhengError(Code.BAD_PROOF, "catalogue: no resource, or one that no block makes") from None
    if entry.key != version_key(definition.name, definition.schema_version):
        raise HuzhengError(Code.BAD_PROOF, "catalogue: an entry that is no schema version")
    return definition


def _require_same_epochs(disclosure: disclosure_pb2.Disclosure) -> None:
    """Names are vouched for by no older keys than values: those of an epoch that is over may have been stolen since (P3)."""
    receipt = [proof.header for proof in strict.read(block_pb2.Receipt, disclosure.receipt).epochs]
    catalogue = [proof.header for proof in strict.read(statement_pb2.Statement, disclosure.catalogue).epochs]
    if catalogue[: len(receipt)] != receipt:
        raise HuzhengError(Code.BAD_PROOF, "catalogue: not of the receipt's epochs")


def _with_proved(genesis: Genesis, proved: CompiledResource | None) -> Versions:
    """What is known of schema versions: the genesis', and one that is proved."""

    def find(name: str, schema_version: int) -> CompiledResource | None:
        if proved is not None and (proved.name, proved.schema_version) == (name, schema_version):
            return proved
        return genesis.version(name, schema_version)

    return find


def _asserted(receipt: Verdict) -> ProvenRecord:
    record = receipt.record
    if record is None or not receipt.accepted or record.revokes:
        raise HuzhengError(Code.BAD_PROOF, "the receipt is of no record that was accepted and asserts")
    return record


def _definition(genesis: Genesis, record: ProvenRecord, proved: CompiledResource | None) -> CompiledResource:
    """The record's schema version: the genesis', or else the one that the disclosure proves."""
    known = genesis.version(record.resource, record.schema_version)
    if proved is None:
        if known is None:
            raise _schema_unknown(record.resource, record.schema_version)
        return known
    if known is not None:
        raise HuzhengError(Code.BAD_PROOF, "catalogue: a proof of a schema version that the genesis has")
    if (proved.name, proved.schema_version) != (record.resource, record.schema_version):
        raise HuzhengError(Code.BAD_PROOF, "catalogue: a proof of another schema version than the record's")
    return proved


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

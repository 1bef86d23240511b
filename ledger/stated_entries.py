"""Entries of the state in statements, and what follows from them for resources that the genesis does not have (docs/protocol.md Q8).

Needs no node, no network, no database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from huzheng.v1 import catalogue_pb2, state_pb2, statement_pb2

from ledger.catalogue import CompiledResource
from ledger.crypto import Suite, strict
from ledger.errors import Code, HuzhengError
from ledger.fields.values import CompiledField, compile_spec
from ledger.genesis import Genesis
from ledger.published import RESOURCE_PREFIX, version_key
from ledger.registers import GROUP_SLOTS, MAX_REGISTER_RESOURCES, PAGE_SLOTS, register_of
from ledger.sharing.reading import ACCOUNT_PREFIX
from ledger.state import SEEN_PREFIX, leaf_digest, leaf_path
from ledger.state.heads import HEADS_PREFIX
from ledger.state.proof import root_from_proof

MAX_ENTRIES = 64
"""Of one statement."""

Entries = Mapping[bytes, bytes | None]
"""Values by key of the state; None: it is not there."""


def is_provable(key: bytes) -> bool:
    """Whether what a key has can be shown as an entry: heads have a proof of their own, seen ids are not in the tree."""
    return key != b"" and not key.startswith((HEADS_PREFIX, SEEN_PREFIX))


def verify_entries(suite: Suite, root: bytes, proofs: Sequence[statement_pb2.EntryProof]) -> Entries:
    """What these keys have under a state root.

    Raises:
        HuzhengError: BAD_PROOF.
    """
    if len(proofs) > MAX_ENTRIES:
        raise HuzhengError(Code.BAD_PROOF, f"more than {MAX_ENTRIES} entries")
    entries: dict[bytes, bytes | None] = {}
    previous = b""
    for proof in proofs:
        if proof.key <= previous:
            raise HuzhengError(Code.BAD_PROOF, "entries that are not in order")
        previous = proof.key
        if not is_provable(proof.key):
            raise HuzhengError(Code.BAD_PROOF, "an entry that is heads or a seen id")
        value = proof.value or None
        path, digest = leaf_path(suite, proof.key), leaf_digest(suite, proof.key, value)
        if root_from_proof(suite, path, digest, proof.path) != root:
            raise HuzhengError(Code.BAD_PROOF, "an entry that does not lead to the block's state root")
        entries[proof.key] = value
    return entries


@dataclass(frozen=True, slots=True)
class Page:
    """The resources of a page of a register that a verifier knows."""

    least_groups: int
    """A leaf has no fewer: those of the genesis' resources."""
    resources: Mapping[int, str]
    """By number within the page."""


class StatedCatalogue:
    """The resources of the genesis, with those that a statement's entries add.

    Raises HuzhengError when made, if no block makes such entries: BAD_PROOF, NOT_STRICT.
    """

    __slots__ = ("_genesis", "_later", "_subjects", "_versions")

    def __init__(self, genesis: Genesis, entries: Entries) -> None:
        self._genesis = genesis
        self._versions = dict(_versions(entries))
        self._later: dict[tuple[str, int], dict[int, str]] = {}
        self._subjects: dict[str, CompiledField] = {}
        for name, state in _resources(entries):
            if name not in genesis.catalogue:
                self._add(name, state)

    def _add(self, name: str, state: state_pb2.ResourceState) -> None:
        newest = self._versions.get((name, state.newest_version))
        if newest is None:
            # Which subjects it can have is not known, so there is nothing that could be said of it.
            return
        self._subjects[name] = _subject(newest)
        if state.number >= MAX_REGISTER_RESOURCES:
            raise HuzhengError(Code.BAD_PROOF, "a resource with a number that none has")
        page, number = divmod(state.number, PAGE_SLOTS)
        place = (register_of(name), page)
        if number in self._page_of_genesis(place) or number in self._later.get(place, {}):
            raise HuzhengError(Code.BAD_PROOF, "two resources with one number")
        self._later.setdefault(place, {})[number] = name

    def page(self, register: str, page: int) -> Page | None:
        """A page of a register; None if no resource in it is known."""
        of_genesis = self._page_of_genesis((register, page))
        resources = of_genesis | self._later.get((register, page), {})
        if not resources:
            return None
        widths = {self._genesis.slots[name].width for name in of_genesis.values()}
        return Page(max(widths, default=GROUP_SLOTS) // GROUP_SLOTS, resources)

    def _page_of_genesis(self, place: tuple[str, int]) -> dict[int, str]:
        slots = self._genesis.slots.items()
        return {slot.number: name for name, slot in slots if (slot.register, slot.page) == place}

    def subject(self, name: str) -> CompiledField | None:
        """What subjects of a resource look like; None if it is not known."""
        known = self._genesis.catalogue.get(name)
        return self._subjects.get(name) if known is None else known.subject

    def version(self, name: str, schema_version: int) -> CompiledResource | catalogue_pb2.Resource | None:
        """A schema version; None if it is not known."""
        return self._genesis.version(name, schema_version) or self._versions.get((name, schema_version))


def check_accounts(catalogue: StatedCatalogue, entries: Entries) -> None:
    """That there were no reads is said of subjects that the resource can have, and not of what only looks like one (Q8).

    Raises:
        HuzhengError: BAD_SUBJECT; BAD_PROOF if the resource is not known.
    """
    for key, value in entries.items():
        if value is not None or not key.startswith(ACCOUNT_PREFIX):
            continue
        name, _, subject = key[len(ACCOUNT_PREFIX) :].partition(b"\0")
        specification = catalogue.subject(_text(name) or "")
        if specification is None:
            raise HuzhengError(Code.BAD_PROOF, "an account of a resource that is not known")
        text = _text(subject)
        if text is None or not specification.fits(text):
            raise HuzhengError(Code.BAD_SUBJECT, "an account of what no record can be about")


def _resources(entries: Entries) -> Iterator[tuple[str, state_pb2.ResourceState]]:
    for key, value in entries.items():
        if value is None or not key.startswith(RESOURCE_PREFIX) or b"\0" in key:
            continue
        name = _text(key[len(RESOURCE_PREFIX) :])
        if name is not None:
            yield name, strict.read(state_pb2.ResourceState, value)


def _versions(entries: Entries) -> Iterator[tuple[tuple[str, int], catalogue_pb2.Resource]]:
    for key, value in entries.items():
        if value is None or not key.startswith(RESOURCE_PREFIX) or b"\0" not in key:
            continue
        resource = strict.read(catalogue_pb2.Resource, value)
        if version_key(resource.name, resource.schema_version) != key:
            raise HuzhengError(Code.BAD_PROOF, "a schema version under another's key")
        yield (resource.name, resource.schema_version), resource


def _subject(resource: catalogue_pb2.Resource) -> CompiledField:
    try:
        if resource.subject.type in catalogue_pb2.FieldType.values() and resource.subject.type:
            return compile_spec(resource.subject)
    except HuzhengError:
        pass
    raise HuzhengError(Code.BAD_PROOF, "a resource that no block makes")


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None

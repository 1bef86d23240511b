"""Persons are referred to by random ids; whom an id stands for is known here alone, and can be erased.

No hash of a document's number is stored, keyed or not: whoever had the key could try all numbers. Who asks by number is
answered from an index in memory, which the first such call makes by decrypting all persons.
"""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from huzheng.v1 import vault_pb2 as pb
from nacl.utils import random

from ledger.crypto import strict
from ledger.errors import Code, HuzhengError
from node.vault import layout
from node.vault.entries import Entries, read_message

_MAX_CHARACTERS: Final = 256
_FINGERPRINT_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Person:
    """An identity document and its holder's name. No repr shows them.

    Two documents are the same if their types and numbers are, width and case of letters apart.
    """

    document_type: str = field(repr=False)
    number: str = field(repr=False)
    name: str = field(repr=False)


class Persons:
    """The persons of a vault; threads and errors as there. A person's id is 26 characters of base32 in lower case."""

    __slots__ = ("_entries", "_fingerprint_key", "_ids")

    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        # Of this process only: the index in memory holds neither numbers nor what they could be found from elsewhere.
        self._fingerprint_key = random(hashlib.blake2b.MAX_KEY_SIZE)
        self._ids: dict[bytes, bytes] | None = None

    def person_id(self, document_type: str, number: str, name: str) -> str:
        """The id of a document's holder, which is made if there is none; see `person_ids`."""
        return self.person_ids([Person(document_type, number, name)])[0]

    def person_ids(self, persons: Sequence[Person]) -> list[str]:
        """The ids of documents' holders, in order. New ones are random, and durable, in one write for all.

        Raises:
            HuzhengError: VAULT_CONFLICT, with the id, where a document's holder is known by another name (`rename`);
                INVALID_REQUEST where something is empty or too long. Nothing is stored then.
        """
        with self._entries.lock:
            known = self._index()
            fresh: dict[bytes, tuple[bytes, Person]] = {}
            found = []
            for person in map(_normal, persons):
                fingerprint = self._fingerprint(person)
                person_id = known.get(fingerprint)
                if person_id is None:
                    person_id, made = fresh.setdefault(fingerprint, (random(layout.PERSON_ID_BYTES), person))
                else:
                    made = self._read(person_id)
                if made.name != person.name:
                    raise HuzhengError(Code.VAULT_CONFLICT, f"person {_shown(person_id)} has another name")
                found.append(person_id)
            if fresh:
                self._entries.put({layout.person_key(new): _encode(person) for new, person in fresh.values()})
                known.update({fingerprint: new for fingerprint, (new, _) in fresh.items()})
            return [_shown(person_id) for person_id in found]

    def find(self, document_type: str, number: str) -> str | None:
        """The id of a document's holder, or None; raises INVALID_REQUEST as `person_ids`."""
        with self._entries.lock:
            person_id = self._index().get(self._fingerprint(_normal(Person(document_type, number, "-"))))
            return None if person_id is None else _shown(person_id)

    def person(self, person_id: str) -> Person | None:
        """Whom an id stands for; None if it was erased or never made. Raises INVALID_REQUEST if it is no id."""
        message = self._entries.get(layout.person_key(_parsed(person_id)))
        return None if message is None else _decode(message)

    def rename(self, person_id: str, name: str) -> None:
        """Notes a person's new name, durably.

        Raises:
            HuzhengError: NOT_FOUND, INVALID_REQUEST.
        """
        with self._entries.lock:
            old = self.person(person_id)
            if old is None:
                raise HuzhengError(Code.NOT_FOUND, f"person {person_id}")
            renamed = _normal(Person(old.document_type, old.number, name))
            self._entries.put({layout.person_key(_parsed(person_id)): _encode(renamed)})

    def erase_person(self, person_id: str) -> bool:
        """Makes unreadable for good whom an id stands for; whether it stood for anybody. The document gets another id next time."""
        with self._entries.lock:
            person = self.person(person_id)
            # Made anew where it fails halfway: the id is not to be given out again once this was begun.
            known, self._ids = self._ids, None
            erased = self._entries.erase([layout.person_key(_parsed(person_id))]) > 0
            if known is not None and person is not None:
                known.pop(self._fingerprint(person), None)
            self._ids = known
            return erased

    def _index(self) -> dict[bytes, bytes]:
        if self._ids is None:
            self._entries.finish_erasure()
            persons = self._entries.scan(layout.PERSON)
            self._ids = {self._fingerprint(_decode(message)): key[1:] for key, message in persons}
        return self._ids

    def _read(self, person_id: bytes) -> Person:
        message = self._entries.get(layout.person_key(person_id))
        if message is None:
            raise HuzhengError(Code.VAULT_CORRUPT, f"person {_shown(person_id)} is gone")
        return _decode(message)

    def _fingerprint(self, person: Person) -> bytes:
        kind = person.document_type.encode()
        data = len(kind).to_bytes(4, "big") + kind + person.number.encode()
        return hashlib.blake2b(data, key=self._fingerprint_key, digest_size=_FINGERPRINT_BYTES).digest()


def _normal(person: Person) -> Person:
    """The form that is stored and compared."""
    number = unicodedata.normalize("NFKC", person.number).strip().upper()
    normal = Person(person.document_type.strip(), number, unicodedata.normalize("NFC", person.name).strip())
    if any("\ud800" <= letter <= "\udfff" for letter in normal.document_type + number + normal.name):
        raise HuzhengError(Code.INVALID_REQUEST, "half a character")
    if not all(0 < len(text) <= _MAX_CHARACTERS for text in (normal.document_type, normal.number, normal.name)):
        raise HuzhengError(
            Code.INVALID_REQUEST, f"document type, number and name have 1 to {_MAX_CHARACTERS} characters"
        )
    return normal


def _encode(person: Person) -> bytes:
    return strict.write(
        pb.VaultPerson(document_type=person.document_type, document_number=person.number, name=person.name)
    )


def _decode(message: bytes) -> Person:
    read = read_message(pb.VaultPerson, message)
    return Person(read.document_type, read.document_number, read.name)


def _shown(person_id: bytes) -> str:
    return base64.b32encode(person_id).decode().rstrip("=").lower()


def _parsed(text: str) -> bytes:
    try:
        person_id = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except ValueError:
        person_id = b""
    # Base32 has several texts for the same bytes; an id has one.
    if len(person_id) != layout.PERSON_ID_BYTES or _shown(person_id) != text:
        raise HuzhengError(Code.INVALID_REQUEST, "no person's id")
    return person_id

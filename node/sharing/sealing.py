"""Answers to reads: sealed by the owner's node to the key of one read, opened and checked by whoever asked (docs/protocol.md G7).

A sealed box is libsodium's `crypto_box_seal`: X25519, XSalsa20 and Poly1305 with a key pair of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from huzheng.v1 import disclosure_pb2
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from ledger.crypto import strict
from ledger.disclosure import DisclosureVerdict, verify_disclosure
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis


@dataclass(frozen=True, slots=True)
class ReaderKey:
    """The key pair of one read; it is used for no other."""

    secret: bytes = field(repr=False)
    """32 bytes."""

    @classmethod
    def new(cls) -> ReaderKey:
        """A fresh one."""
        return cls(bytes(PrivateKey.generate()))

    @property
    def public(self) -> bytes:
        """32 bytes."""
        return bytes(PrivateKey(self.secret).public_key)


@dataclass(frozen=True, slots=True)
class AskedFor:
    """What an answer must be about."""

    read_id: bytes
    record_id: bytes
    """The record that was in force when the read was ordered (G6)."""
    fields: tuple[int, ...]
    """Numbers, in ascending order."""


def seal(message: bytes, public_key: bytes) -> bytes:
    """The message for whoever has the secret key. Raises HuzhengError(BAD_OPERATION) for a key that nobody can have."""
    try:
        return SealedBox(PublicKey(public_key)).encrypt(message)
    except (CryptoError, RuntimeError, ValueError):
        raise HuzhengError(Code.BAD_OPERATION, "the read's key is no X25519 key") from None


def open_answer(genesis: Genesis, sealed: bytes, key: ReaderKey, asked: AskedFor) -> tuple[bytes, DisclosureVerdict]:
    """The `Disclosure` in a sealed answer, and what it proves.

    Raises:
        HuzhengError: BAD_ANSWER if it is not for this key or not about what was asked for; as `verify_disclosure`.
    """
    try:
        message = SealedBox(PrivateKey(key.secret)).decrypt(sealed)
    except (CryptoError, ValueError):
        raise HuzhengError(Code.BAD_ANSWER, "sealed to another key") from None
    answer = strict.read(disclosure_pb2.ReadAnswer, message)
    if answer.read != asked.read_id:
        raise HuzhengError(Code.BAD_ANSWER, "the answer to another read")
    verdict = verify_disclosure(answer.disclosure, genesis)
    if verdict.record.id != asked.record_id:
        raise HuzhengError(Code.BAD_ANSWER, "another record than the one that was read")
    there = {spec.number for spec in verdict.definition.confidential}
    if [shown.number for shown in verdict.fields] != [number for number in asked.fields if number in there]:
        raise HuzhengError(Code.BAD_ANSWER, "other fields than were asked for")
    return answer.disclosure, verdict

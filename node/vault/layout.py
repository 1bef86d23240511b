"""Keys of a vault's database, and how an entry is encrypted.

The first byte of a key says what kind of entry it is. Record ids are on chain anyway, and a person's id is random, so keys
are not secret. What is:

    index (4 bytes) ‖ nonce (24) ‖ XChaCha20-Poly1305 of the padded message, with tag ‖ index ‖ key as associated data
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError
from nacl.utils import random

from ledger.errors import Code, HuzhengError
from node.vault.keyring import Keyring

FORMAT: Final = 1
RECORD_ID_BYTES: Final = 32
PERSON_ID_BYTES: Final = 16

IDENTITY_KEY: Final = b"!vault"
STATE_KEY: Final = b"!state"
ERASURE_KEY: Final = b"!erasing"
BACKUP_KEY: Final = b"!backup"

DEPOSIT: Final = b"d"
PERSON: Final = b"p"
RECORD: Final = b"r"
TOMBSTONE: Final = b"x"

ENCRYPTED: Final = (PERSON, RECORD)
"""The kinds whose values are encrypted."""
BACKED_UP: Final = (DEPOSIT, PERSON, RECORD, TOMBSTONE)
"""The kinds that a backup has."""

_ENTRY_TAG: Final = b"huzheng/vault/1/entry"
_INDEX: Final = struct.Struct(">I")
_TIME: Final = struct.Struct(">Q")
_NONCE_BYTES: Final = bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
# The length of a name or of a number says something about it.
_PADDED_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Indexed:
    """What an entry's value holds: the index of its key, and the message, still encrypted."""

    index: int
    nonce: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)


def record_key(record_id: bytes) -> bytes:
    """Value: an encrypted VaultEntry. Raises HuzhengError(INVALID_REQUEST) unless the id has 32 bytes."""
    return RECORD + _checked(record_id)


def tombstone_key(record_id: bytes) -> bytes:
    """Value: nothing. The record was erased. Raises as `record_key`."""
    return TOMBSTONE + _checked(record_id)


def deposit_key(expires_ms: int, record_id: bytes) -> bytes:
    """Value: nothing. The record is not on chain yet. Raises as `record_key`."""
    return DEPOSIT + _TIME.pack(expires_ms) + _checked(record_id)


def deposit_in(key: bytes) -> tuple[int, bytes]:
    """The time and the record of a deposit's key."""
    return int(_TIME.unpack_from(key, 1)[0]), key[1 + _TIME.size :]


def deposits_until(time_ms: int) -> bytes:
    """The first key after all deposits that expire at this time or before."""
    return DEPOSIT + _TIME.pack(time_ms + 1)


def person_key(person: bytes) -> bytes:
    """Value: an encrypted VaultPerson."""
    return PERSON + person


def name_of(key: bytes) -> str:
    """What an entry is called in errors: its kind and id."""
    kinds = {DEPOSIT: "deposit", PERSON: "person", RECORD: "record", TOMBSTONE: "tombstone"}
    return f"{kinds.get(key[:1], 'entry')} {key[1:].hex()}"


def after(kind: bytes) -> bytes:
    """The first key after all of a kind."""
    return bytes([kind[0] + 1])


def encrypt(keyring: Keyring, key: bytes, index: int, message: bytes) -> bytes:
    """An entry's value. Raises ValueError if the index was punctured."""
    secret = keyring.key(index)
    if secret is None:
        raise ValueError("an index whose key was given up")
    nonce, place = random(_NONCE_BYTES), _INDEX.pack(index)
    padded = bindings.sodium_pad(message, _PADDED_BYTES)
    data = _ENTRY_TAG + place + key
    return place + nonce + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(padded, data, nonce, secret)


def parse(key: bytes, value: bytes) -> Indexed:
    """An entry's value in its parts. Raises HuzhengError(VAULT_CORRUPT)."""
    start = _INDEX.size + _NONCE_BYTES
    if len(value) <= start:
        raise HuzhengError(Code.VAULT_CORRUPT, name_of(key))
    return Indexed(_INDEX.unpack_from(value)[0], value[_INDEX.size : start], value[start:])


def decrypt(keyring: Keyring, key: bytes, value: bytes) -> bytes:
    """An entry's message. Raises HuzhengError(VAULT_CORRUPT), also where its key was given up."""
    parts = parse(key, value)
    secret = keyring.key(parts.index)
    if secret is None:
        raise HuzhengError(Code.VAULT_CORRUPT, f"{name_of(key)}: its key was given up")
    data = _ENTRY_TAG + _INDEX.pack(parts.index) + key
    try:
        padded = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(parts.ciphertext, data, parts.nonce, secret)
        return bytes(bindings.sodium_unpad(padded, _PADDED_BYTES))
    except (CryptoError, ValueError):
        raise HuzhengError(Code.VAULT_CORRUPT, name_of(key)) from None


def is_whole(keyring: Keyring, key: bytes, value: bytes) -> bool:
    """Whether an entry can be decrypted."""
    try:
        decrypt(keyring, key, value)
    except HuzhengError:
        return False
    return True


def was_given_up(keyring: Keyring, key: bytes, value: bytes) -> bool:
    """Whether an entry names an index whose key was given up; nothing proves the index then."""
    try:
        return parse(key, value).index not in keyring
    except HuzhengError:
        return False


def _checked(record_id: bytes) -> bytes:
    if len(record_id) != RECORD_ID_BYTES:
        raise HuzhengError(Code.INVALID_REQUEST, f"a record id has {RECORD_ID_BYTES} bytes")
    return record_id

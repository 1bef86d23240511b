"""What a vault keeps of a record: the values of its confidential fields and their salts. No repr shows them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from huzheng.v1 import vault_pb2 as pb

from ledger.commitments import SecretField
from ledger.crypto import strict
from ledger.errors import Code, HuzhengError

MAX_ENTRY_BYTES: Final = 1 << 20


class Origin(IntEnum):
    """Where the values come from: this department's own record, or another's that released them under a read."""

    OWN = pb.VAULT_ORIGIN_OWN
    COPY = pb.VAULT_ORIGIN_COPY


@dataclass(frozen=True, slots=True)
class VaultEntry:
    """The confidential fields of a record, by ascending numbers.

    `expires_ms` is for a deposit, whose record is not on chain yet: when its transaction expires, in ms of block time.
    """

    fields: tuple[SecretField, ...]
    origin: Origin
    expires_ms: int = 0

    def merged_into(self, stored: VaultEntry) -> VaultEntry | None:
        """What is stored once this was put on top of it; None if they contradict each other.

        A record on chain stays so, and of two deposits the later time counts. Reads of one record may each have released
        some of its fields.
        """
        if self.origin is not stored.origin:
            return None
        both = {**_by_number(stored), **_by_number(self)}
        own = self.origin is Origin.OWN
        if own and self.fields != stored.fields:
            return None
        if any(both[number] != kept for number, kept in _by_number(stored).items()):
            return None
        expires_ms = max(self.expires_ms, stored.expires_ms) if self.expires_ms and stored.expires_ms else 0
        return replace(stored, fields=tuple(both[number] for number in sorted(both)), expires_ms=expires_ms)


def encode(entry: VaultEntry) -> bytes:
    """An entry's message, before it is encrypted.

    Raises:
        HuzhengError: INVALID_REQUEST where fields do not ascend or numbers are out of range, TOO_LARGE.
    """
    numbers = [field.number for field in entry.fields]
    if numbers != sorted(set(numbers)) or any(not 0 < number < 1 << 32 for number in numbers):
        raise HuzhengError(Code.INVALID_REQUEST, "fields of an entry: their numbers must ascend")
    if not 0 <= entry.expires_ms < 1 << 63:
        raise HuzhengError(Code.INVALID_REQUEST, "expires_ms")
    try:
        fields = [pb.SecretField(number=field.number, value=field.value, salt=field.salt) for field in entry.fields]
    except ValueError:
        # Protobuf's own error would repeat the value.
        raise HuzhengError(Code.INVALID_REQUEST, "fields of an entry: half a character") from None
    origin = pb.VaultOrigin.ValueType(entry.origin)
    message = strict.write(pb.VaultEntry(fields=fields, expires_ms=entry.expires_ms, origin=origin))
    if len(message) > MAX_ENTRY_BYTES:
        raise HuzhengError(Code.TOO_LARGE, f"an entry has at most {MAX_ENTRY_BYTES} bytes")
    return message


def decode(message: bytes) -> VaultEntry:
    """What `encode` wrote. Raises HuzhengError(VAULT_CORRUPT)."""
    try:
        read = strict.read(pb.VaultEntry, message)
        fields = tuple(SecretField(field.number, field.value, field.salt) for field in read.fields)
        return VaultEntry(fields, Origin(read.origin), read.expires_ms)
    except (HuzhengError, ValueError):
        raise HuzhengError(Code.VAULT_CORRUPT, "an entry of another version") from None


def _by_number(entry: VaultEntry) -> dict[int, SecretField]:
    return {field.number: field for field in entry.fields}

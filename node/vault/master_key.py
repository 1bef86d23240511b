"""What a vault's keyring is sealed with: a key file, or a passphrase; a PKCS#11 token is in `token_key`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from huzheng.v1 import vault_pb2 as pb
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.utils import random

from ledger.errors import Code, HuzhengError
from node.private_file import read_private_file, write_new_file

SEALING_KEY_BYTES: Final = 32

_KIB: Final = 1024
# What a keyring that somebody tampered with may make this machine do.
_MAX_PASSES: Final = 16
_MAX_MEMORY_KIB: Final = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SealingKey:
    """A key that seals a keyring, and what is written beside it to get that key again."""

    key: bytes = field(repr=False)
    protection: pb.KeyProtection


class MasterKey(Protocol):
    """Gives the keys that seal keyrings. The caller sees to it that one thread uses it at a time."""

    def new_sealing_key(self, vault_id: bytes) -> SealingKey:
        """A key for the next keyring file of a vault. Raises HuzhengError(VAULT_TOKEN, KEY_FILE_...)."""
        ...

    def sealing_key(self, vault_id: bytes, protection: pb.KeyProtection) -> bytes:
        """The key that a keyring file was sealed with, or some other one if this is not its master key.

        Raises:
            HuzhengError: VAULT_LOCKED where it is known to be another one, VAULT_TOKEN, KEY_FILE_...
        """
        ...

    def forget_others(self, vault_id: bytes, kept: Collection[pb.KeyProtection]) -> None:
        """Destroys what gives all sealing keys of a vault but those kept, where a master key can do that."""
        ...


def create_master_key_file(path: Path) -> None:
    """Makes a new key file: 32 random bytes, mode 0600.

    Raises:
        HuzhengError: KEY_FILE_EXISTS, FILE_ACCESS.
    """
    try:
        write_new_file(path, random(SEALING_KEY_BYTES), private=True)
    except FileExistsError:
        raise HuzhengError(Code.KEY_FILE_EXISTS, str(path)) from None
    except OSError as error:
        raise HuzhengError(Code.FILE_ACCESS, f"{path}: {error.strerror}") from None


class KeyFile:
    """A master key in a file of 32 bytes that only its owner may read. It is read anew each time it is needed."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def new_sealing_key(self, vault_id: bytes) -> SealingKey:
        return SealingKey(self._read(), pb.KeyProtection(key_file=pb.KeyFileProtection()))

    def sealing_key(self, vault_id: bytes, protection: pb.KeyProtection) -> bytes:
        if protection.WhichOneof("kind") != "key_file":
            raise sealed_otherwise(protection)
        return self._read()

    def forget_others(self, vault_id: bytes, kept: Collection[pb.KeyProtection]) -> None:
        pass

    def _read(self) -> bytes:
        key = read_private_file(self._path, Code.KEY_FILE_MISSING, Code.KEY_FILE_MODE)
        if len(key) != SEALING_KEY_BYTES:
            raise HuzhengError(Code.KEY_FILE_INVALID, f"{self._path}: it has not {SEALING_KEY_BYTES} bytes")
        return key


class Passphrase:
    """A master key made from a passphrase by Argon2id (RFC 9106), once; it stays in memory."""

    __slots__ = ("_memory_kib", "_passes", "_passphrase", "_sealing")

    def __init__(
        self,
        passphrase: bytes,
        *,
        passes: int = argon2id.OPSLIMIT_MODERATE,
        memory_kib: int = argon2id.MEMLIMIT_MODERATE // _KIB,
    ) -> None:
        """`passes` and `memory_kib` (256 MiB) are for keyrings sealed from now on; an existing one says what it took."""
        self._passphrase = passphrase
        self._passes = passes
        self._memory_kib = memory_kib
        self._sealing: SealingKey | None = None

    def new_sealing_key(self, vault_id: bytes) -> SealingKey:
        if self._sealing is None:
            salt = random(argon2id.SALTBYTES)
            made = pb.PassphraseProtection(salt=salt, passes=self._passes, memory_kib=self._memory_kib)
            self._sealing = self._derive(pb.KeyProtection(passphrase=made))
        return self._sealing

    def sealing_key(self, vault_id: bytes, protection: pb.KeyProtection) -> bytes:
        if protection.WhichOneof("kind") != "passphrase":
            raise sealed_otherwise(protection)
        if self._sealing is None or self._sealing.protection != protection:
            self._sealing = self._derive(protection)
        return self._sealing.key

    def forget_others(self, vault_id: bytes, kept: Collection[pb.KeyProtection]) -> None:
        pass

    def _derive(self, protection: pb.KeyProtection) -> SealingKey:
        how = protection.passphrase
        if len(how.salt) != argon2id.SALTBYTES or how.passes > _MAX_PASSES or how.memory_kib > _MAX_MEMORY_KIB:
            raise HuzhengError(Code.VAULT_CORRUPT, "keyring: parameters of Argon2id")
        try:
            key = argon2id.kdf(
                SEALING_KEY_BYTES, self._passphrase, how.salt, opslimit=how.passes, memlimit=how.memory_kib * _KIB
            )
        except CryptoError:
            needed = f"Argon2id with {how.passes} passes and {how.memory_kib} KiB of memory"
            raise HuzhengError(Code.VAULT_LOCKED, f"{needed} could not be run") from None
        return SealingKey(key, protection)


def sealed_otherwise(protection: pb.KeyProtection) -> HuzhengError:
    """The error for a master key of another kind than the keyring was sealed with."""
    names = {"key_file": "a key file", "passphrase": "a passphrase", "token": "a PKCS#11 token"}
    kind = names.get(protection.WhichOneof("kind") or "", "something that this version does not know")
    return HuzhengError(Code.VAULT_LOCKED, f"it was sealed with {kind}")

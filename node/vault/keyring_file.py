"""The file that a keyring lies in, sealed under the master key, and its second copy.

    huzheng-keyring 1 LF ‖ BLAKE2b-256 of what follows ‖ SealedKeyring

It never goes into a backup of the database: whoever had an old keyring could read what was erased since.
"""

from __future__ import annotations

import errno
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from google.protobuf.message import Message
from huzheng.v1 import vault_pb2 as pb
from nacl import bindings
from nacl.exceptions import CryptoError
from nacl.utils import random

from ledger.crypto import strict
from ledger.errors import Code, HuzhengError
from node.private_file import read_private_file
from node.vault.keyring import INDICES, Keyring
from node.vault.master_key import MasterKey
from node.vault.wiped_file import replace_and_wipe, settle

M = TypeVar("M", bound=Message)

VAULT_ID_BYTES: Final = 16
FORMAT: Final = 1

_MAGIC: Final = b"huzheng-keyring 1\n"
_TAG: Final = b"huzheng/vault/1/keyring"
_DIGEST_BYTES: Final = 32
_NONCE_BYTES: Final = bindings.crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
# Of some seven million nodes. What is read is held in memory whole.
_MAX_BYTES: Final = 256 * 1024 * 1024
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class KeyringState:
    """What a keyring file says: which vault it is of, how many punctures it has seen, the first index never given out."""

    vault_id: bytes
    generation: int
    reserved: int
    keyring: Keyring = field(repr=False)


class KeyringFile:
    """A keyring file and, where one is asked for, its second copy on another medium."""

    __slots__ = ("_escrow", "_master_key", "_path")

    def __init__(self, path: Path, escrow: Path | None, master_key: MasterKey) -> None:
        self._path = path
        self._escrow = escrow
        self._master_key = master_key

    def load(self) -> KeyringState:
        """What the file says; the second copy is the same afterwards.

        Raises:
            HuzhengError: VAULT_KEYRING_MISSING, KEY_FILE_MODE, VAULT_CORRUPT, VAULT_LOCKED, VAULT_FOREIGN where the second
                copy is another vault's, VAULT_ROLLED_BACK where it is newer, VAULT_ESCROW, those of the master key.
        """
        data = read_keyring_file(self._path)
        header, state = self._unseal(data)
        _settle(self._path, Code.STORE_ACCESS)
        self._renew_escrow(data, header)
        self._master_key.forget_others(header.vault_id, [header.protection])
        return state

    def replace(self, state: KeyringState) -> None:
        """Puts a new state in the place of the old one: durable in both files when this returns, and the old bytes wiped.

        Raises:
            HuzhengError: VAULT_ESCROW where only the first file has it yet, STORE_DISK_FULL, STORE_ACCESS, those of the
                master key. Calling it again does what is missing.
        """
        sealing = self._master_key.new_sealing_key(state.vault_id)
        header = pb.KeyringHeader(
            format=FORMAT, vault_id=state.vault_id, generation=state.generation, protection=sealing.protection
        )
        data = _seal(header, state, sealing.key)
        try:
            replace_and_wipe(self._path, data)
        except OSError as error:
            raise _write_error(self._path, error, Code.STORE_ACCESS) from None
        self._write_escrow(data)
        self._master_key.forget_others(state.vault_id, [sealing.protection])

    def _unseal(self, data: bytes) -> tuple[pb.KeyringHeader, KeyringState]:
        sealed, header = _parse(data)
        key = self._master_key.sealing_key(header.vault_id, header.protection)
        try:
            plain = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
                sealed.ciphertext, _TAG + sealed.header, sealed.nonce, key
            )
        except CryptoError:
            raise HuzhengError(Code.VAULT_LOCKED, str(self._path)) from None
        contents = _read(pb.KeyringContents, plain)
        if contents.reserved > INDICES:
            raise HuzhengError(Code.VAULT_CORRUPT, "keyring: reserved")
        keyring = Keyring.unpack(contents.nodes)
        return header, KeyringState(header.vault_id, header.generation, contents.reserved, keyring)

    def _renew_escrow(self, data: bytes, header: pb.KeyringHeader) -> None:
        if self._escrow is None:
            return
        _settle(self._escrow, Code.VAULT_ESCROW)
        copy = _read_copy(self._escrow)
        if copy == data:
            return
        theirs = _header_of(copy)
        # One that is damaged is written again, as one is that is missing or older.
        if theirs is not None and theirs.vault_id != header.vault_id:
            raise HuzhengError(Code.VAULT_FOREIGN, f"{self._escrow} is the keyring of another vault")
        if theirs is not None and theirs.generation > header.generation:
            generations = f"{self._path} is of generation {header.generation}, {self._escrow} of {theirs.generation}"
            raise HuzhengError(Code.VAULT_ROLLED_BACK, generations)
        self._write_escrow(data)

    def _write_escrow(self, data: bytes) -> None:
        if self._escrow is None:
            return
        try:
            replace_and_wipe(self._escrow, data)
        except OSError as error:
            raise _write_error(self._escrow, error, Code.VAULT_ESCROW) from None


def read_keyring_file(path: Path) -> bytes:
    """The bytes of a keyring file.

    Raises:
        HuzhengError: VAULT_KEYRING_MISSING, KEY_FILE_MODE.
    """
    return read_private_file(path, Code.VAULT_KEYRING_MISSING, Code.KEY_FILE_MODE, _MAX_BYTES)


def read_header(data: bytes) -> pb.KeyringHeader:
    """What a keyring file says without its key; nothing proves it.

    Raises:
        HuzhengError: VAULT_CORRUPT.
    """
    return _parse(data)[1]


def _seal(header: pb.KeyringHeader, state: KeyringState, key: bytes) -> bytes:
    raw_header, nonce = strict.write(header), random(_NONCE_BYTES)
    plain = strict.write(pb.KeyringContents(reserved=state.reserved, nodes=state.keyring.pack()))
    ciphertext = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, _TAG + raw_header, nonce, key)
    body = strict.write(pb.SealedKeyring(header=raw_header, nonce=nonce, ciphertext=ciphertext))
    return _MAGIC + _digest(body) + body


def _parse(data: bytes) -> tuple[pb.SealedKeyring, pb.KeyringHeader]:
    start = len(_MAGIC) + _DIGEST_BYTES
    body = data[start:]
    # Tells damage from a wrong master key; it proves nothing, what is sealed does.
    if data[: len(_MAGIC)] != _MAGIC or data[len(_MAGIC) : start] != _digest(body):
        raise HuzhengError(Code.VAULT_CORRUPT, "keyring: not a whole keyring file")
    sealed = _read(pb.SealedKeyring, body)
    header = _read(pb.KeyringHeader, sealed.header)
    if header.format != FORMAT or len(header.vault_id) != VAULT_ID_BYTES or len(sealed.nonce) != _NONCE_BYTES:
        raise HuzhengError(Code.VAULT_CORRUPT, "keyring: format")
    return sealed, header


def _read(message_type: type[M], data: bytes) -> M:
    try:
        return strict.read(message_type, data)
    except HuzhengError as error:
        raise HuzhengError(Code.VAULT_CORRUPT, f"keyring: {error.detail}") from None


def _settle(path: Path, otherwise: Code) -> None:
    try:
        settle(path)
    except OSError as error:
        raise _write_error(path, error, otherwise) from None


def _read_copy(path: Path) -> bytes:
    """Nothing if there is none."""
    if not path.exists():
        return b""
    try:
        return read_keyring_file(path)
    except HuzhengError as error:
        raise HuzhengError(Code.VAULT_ESCROW, error.detail) from None


def _header_of(copy: bytes) -> pb.KeyringHeader | None:
    try:
        return read_header(copy)
    except HuzhengError:
        return None


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()


def _write_error(path: Path, error: OSError, otherwise: Code) -> HuzhengError:
    full = error.errno in _FULL and otherwise is not Code.VAULT_ESCROW
    return HuzhengError(Code.STORE_DISK_FULL if full else otherwise, f"{path}: {error.strerror}")

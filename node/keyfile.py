"""Files with the Ed25519 keys that sign votes (consensus), records (system) and key changes (admin).

A key file is PKCS#8 in PEM (RFC 8410), with two lines before it that say what the key is for and which public key
belongs to it, so that a mix-up is noticed and nobody needs the passphrase to look.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from getpass import getpass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.utils import random

from ledger.crypto import SEED_BYTES, Signer, Suite
from ledger.errors import Code, HuzhengError
from node.pkcs8 import is_encrypted, read_private_key, write_private_key
from node.private_file import read_file, read_private_file, write_new_file

PASSPHRASE_VARIABLE = "HUZHENG_PASSPHRASE"
PASSPHRASE_FILE_VARIABLE = "HUZHENG_PASSPHRASE_FILE"
PassphraseSource = Callable[[Path], bytes | None]

_KIND_LINE = re.compile(rb"^huzheng-key: ([a-z]{1,20})$", re.MULTILINE)
_PUBLIC_KEY_LINE = re.compile(rb"^public-key: ([0-9a-f]{64})$", re.MULTILINE)
_PEM_START = re.compile(rb"^-----BEGIN (ENCRYPTED )?PRIVATE KEY-----", re.MULTILINE)


class KeyKind(StrEnum):
    """What a signing key is for."""

    CONSENSUS = "consensus"
    SYSTEM = "system"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class KeyFileLabel:
    """What a key file says of itself, unproven. A file made by other software says nothing."""

    kind: KeyKind | None
    public_key: bytes | None
    encrypted: bool


def create_key_file(path: Path, kind: KeyKind, suite: Suite, passphrase: bytes | None) -> bytes:
    """Makes a new key in a new file of mode 0600; returns its public key (32 bytes).

    Raises:
        HuzhengError: KEY_FILE_EXISTS, FILE_ACCESS.
    """
    seed = random(SEED_BYTES)
    public_key = suite.signer(seed).public_key
    pem = write_private_key(Ed25519PrivateKey.from_private_bytes(seed), passphrase)
    label = f"huzheng-key: {kind}\npublic-key: {public_key.hex()}\n".encode()
    try:
        write_new_file(path, label + pem, private=True)
    except FileExistsError:
        raise HuzhengError(Code.KEY_FILE_EXISTS, str(path)) from None
    except OSError as error:
        raise HuzhengError(Code.FILE_ACCESS, f"{path}: {error.strerror}") from None
    return public_key


def read_label(path: Path) -> KeyFileLabel:
    """What a key file says of itself.

    Raises:
        HuzhengError: KEY_FILE_MISSING, KEY_FILE_INVALID.
    """
    return _label(path, read_file(path, Code.KEY_FILE_MISSING))


def load_signer(path: Path, kind: KeyKind, suite: Suite, passphrase: PassphraseSource | None = None) -> Signer:
    """The signer with the key in a file; only if that is encrypted, a passphrase is asked for (`find_passphrase`).

    Raises:
        HuzhengError: KEY_FILE_MISSING, KEY_FILE_MODE, KEY_FILE_INVALID, KEY_WRONG_KIND, KEY_PASSPHRASE_NEEDED,
            KEY_PASSPHRASE_WRONG.
    """
    data = read_private_file(path, Code.KEY_FILE_MISSING, Code.KEY_FILE_MODE)
    label = _label(path, data)
    if label.kind is not None and label.kind is not kind:
        raise HuzhengError(Code.KEY_WRONG_KIND, f"{path} holds a {label.kind} key; needed: {kind}")
    secret = (passphrase or find_passphrase)(path) if label.encrypted else None
    key = read_private_key(data, secret, str(path))
    if not isinstance(key, Ed25519PrivateKey):
        raise HuzhengError(Code.KEY_WRONG_KIND, f"{path} holds no Ed25519 key")
    # The only place where the secret leaves `cryptography`: libsodium is what signs and verifies.
    signer = suite.signer(key.private_bytes_raw())
    if label.public_key is not None and label.public_key != signer.public_key:
        raise HuzhengError(Code.KEY_FILE_INVALID, f"{path}: its public-key line is not its key's")
    return signer


def find_passphrase(path: Path) -> bytes | None:
    """The passphrase: in the file or the variable that the environment names, or typed in; None if there is none.

    Raises:
        HuzhengError: FILE_ACCESS.
    """
    file = os.environ.get(PASSPHRASE_FILE_VARIABLE)
    if file:
        # Not held to mode 0600: systemd hands credentials over with an access list that shows as group rights.
        return read_file(Path(file), Code.FILE_ACCESS).rstrip(b"\r\n")
    value = os.environb.get(PASSPHRASE_VARIABLE.encode())
    if value:
        return value
    if sys.stdin.isatty():
        try:
            return getpass(f"Passphrase for {path}: ").encode()
        except EOFError:
            return None
    return None


def _label(path: Path, data: bytes) -> KeyFileLabel:
    start = _PEM_START.search(data)
    if start is None:
        raise HuzhengError(Code.KEY_FILE_INVALID, str(path))
    head = data[: start.start()]
    kind = _KIND_LINE.search(head)
    public_key = _PUBLIC_KEY_LINE.search(head)
    if kind is not None and kind[1].decode() not in KeyKind.__members__.values():
        raise HuzhengError(Code.KEY_FILE_INVALID, f"{path}: unknown kind of key")
    return KeyFileLabel(
        KeyKind(kind[1].decode()) if kind else None,
        bytes.fromhex(public_key[1].decode()) if public_key else None,
        is_encrypted(data),
    )

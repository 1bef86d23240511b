"""Private keys in PEM files (PKCS#8, RFC 5958), encrypted so that a stolen file does not soon give up its passphrase.

`cryptography` encrypts with 2,048 rounds of PBKDF2: a thousand guesses a second on one core. We write the same
container with scrypt (PBES2 of RFC 8018, scrypt of RFC 7914), which `cryptography` and OpenSSL read.
"""

from __future__ import annotations

import secrets
from base64 import encodebytes

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import padding, serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ledger.errors import Code, HuzhengError

# 16 MiB, five times in a row: about 0.2 s a guess, and within what OpenSSL's own commands accept.
SCRYPT_COST = 1 << 14
SCRYPT_BLOCK_SIZE = 8
SCRYPT_PARALLEL = 5
_SALT_BYTES = 16
_KEY_BYTES = 32
_IV_BYTES = 16
_OID_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_OID_SCRYPT = bytes.fromhex("06092b06010401da47040b")
_OID_AES256_CBC = bytes.fromhex("060960864801650304012a")
_SEQUENCE = 0x30
_INTEGER = 0x02
_OCTETS = 0x04


def write_private_key(key: PrivateKeyTypes, passphrase: bytes | None) -> bytes:
    """The key in PEM, encrypted if there is a passphrase."""
    if passphrase is None:
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    plain = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    der = _encrypted(plain, passphrase)
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + encodebytes(der) + b"-----END ENCRYPTED PRIVATE KEY-----\n"


def read_private_key(pem: bytes, passphrase: bytes | None, what: str) -> PrivateKeyTypes:
    """The key in a PEM file; a passphrase for a file that is not encrypted is ignored.

    `what` names the file in errors.

    Raises:
        HuzhengError: KEY_FILE_INVALID, KEY_PASSPHRASE_NEEDED, KEY_PASSPHRASE_WRONG.
    """
    encrypted = is_encrypted(pem)
    if encrypted and not passphrase:
        raise HuzhengError(Code.KEY_PASSPHRASE_NEEDED, what)
    try:
        return serialization.load_pem_private_key(pem, passphrase if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # A wrong passphrase decrypts to noise, which now and then looks like padding: it can't be told from a damaged
        # file.
        code = Code.KEY_PASSPHRASE_WRONG if encrypted else Code.KEY_FILE_INVALID
        raise HuzhengError(code, what) from None


def is_encrypted(pem: bytes) -> bool:
    """Whether the PEM needs a passphrase."""
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in pem or b"\nProc-Type: 4,ENCRYPTED" in pem


def _encrypted(plain: bytes, passphrase: bytes) -> bytes:
    salt = secrets.token_bytes(_SALT_BYTES)
    iv = secrets.token_bytes(_IV_BYTES)
    key = Scrypt(salt, _KEY_BYTES, SCRYPT_COST, SCRYPT_BLOCK_SIZE, SCRYPT_PARALLEL).derive(passphrase)
    padder = padding.PKCS7(_IV_BYTES * 8).padder()
    encryptor = Cipher(algorithms.AES256(key), modes.CBC(iv)).encryptor()
    encrypted = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    costs = (_integer(number) for number in (SCRYPT_COST, SCRYPT_BLOCK_SIZE, SCRYPT_PARALLEL))
    derivation = _der(_SEQUENCE, _OID_SCRYPT, _der(_SEQUENCE, _der(_OCTETS, salt), *costs))
    scheme = _der(_SEQUENCE, _OID_AES256_CBC, _der(_OCTETS, iv))
    algorithm = _der(_SEQUENCE, _OID_PBES2, _der(_SEQUENCE, derivation, scheme))
    return _der(_SEQUENCE, algorithm, _der(_OCTETS, encrypted))


def _integer(number: int) -> bytes:
    # One bit more than the number needs, as DER integers have a sign.
    return _der(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1))


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + content

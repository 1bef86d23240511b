"""Key files: made once, for their owner only, opened only with the right passphrase and for the right purpose."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.crypto import ED25519_SHA256, Domain
from ledger.errors import Code, HuzhengError
from node.keyfile import KeyKind, create_key_file, find_passphrase, load_signer, read_label
from node.pkcs8 import read_private_key, write_private_key

PASSPHRASE = "通行口令 pass".encode()


@pytest.fixture
def key_path(tmp_path: Path) -> Path:
    return tmp_path / "system.key"


def load(path: Path, passphrase: bytes | None = None, kind: KeyKind = KeyKind.SYSTEM) -> bytes:
    return load_signer(path, kind, ED25519_SHA256, lambda _: passphrase).public_key


def refused(path: Path, passphrase: bytes | None = None, kind: KeyKind = KeyKind.SYSTEM) -> Code:
    with pytest.raises(HuzhengError) as caught:
        load(path, passphrase, kind)
    assert str(path) in caught.value.detail
    return caught.value.code


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
def test_a_key_comes_back_as_the_signer_that_verifies(key_path: Path, passphrase: bytes | None) -> None:
    public_key = create_key_file(key_path, KeyKind.SYSTEM, ED25519_SHA256, passphrase)
    signer = load_signer(key_path, KeyKind.SYSTEM, ED25519_SHA256, lambda _: passphrase)
    assert signer.public_key == public_key
    signature = signer.sign(Domain.SIGN_TRANSACTION, b"body")
    assert ED25519_SHA256.verify(Domain.SIGN_TRANSACTION, public_key, b"body", signature)


def test_a_key_file_is_for_its_owner_alone_whatever_the_umask(key_path: Path) -> None:
    before = os.umask(0)
    try:
        create_key_file(key_path, KeyKind.SYSTEM, ED25519_SHA256, None)
    finally:
        os.umask(before)
    assert stat.S_IMODE(key_path.stat().st_mode) == 0o600


def test_a_key_file_is_never_overwritten(key_path: Path) -> None:
    create_key_file(key_path, KeyKind.SYSTEM, ED25519_SHA256, None)
    contents = key_path.read_bytes()
    with pytest.raises(HuzhengError) as caught:
        create_key_file(key_path, KeyKind.SYSTEM, ED25519_SHA256, None)
    assert caught.value.code is Code.KEY_FILE_EXISTS
    assert key_path.read_bytes() == contents


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o660, 0o602])
def test_a_key_file_that_others_can_read_or_write_is_refused(key_path: Path, mode: int) -> None:
    create_key_file(key_path, KeyKind.SYSTEM, ED25519_SHA256, None)
    key_path.chmod(mode)
    assert refused(key_path) is Code.KEY_FILE_MODE


def test_an_encrypted_key_needs_the_right_passphrase(key_path: Path) -> None:
    create_key_file(key_path, KeyKind.SYSTEM, ED25519_SHA256, PASSPHRASE)
    assert refused(key_path, None) is Code.KEY_PASSPHRASE_NEEDED
    assert refused(key_path, b"") is Code.KEY_PASSPHRASE_NEEDED
    assert refused(key_path, b"wrong") is Code.KEY_PASSPHRASE_WRONG


def test_a_passphrase_for_a_plain_key_is_not_asked_for(key_path: Path) -> None:
    create_key_file(key_path, KeyKind.SYSTEM, ED25519_SHA256, None)

    def must_not_be_called(_: Path) -> bytes:
        raise RuntimeError

    load_signer(key_path, KeyKind.SYSTEM, ED25519_SHA256, must_not_be_called)


def test_a_key_for_another_use_is_refused(key_path: Path) -> None:
    create_key_file(key_path, KeyKind.CONSENSUS, ED25519_SHA256, None)
    assert refused(key_path, kind=KeyKind.SYSTEM) is Code.KEY_WRONG_KIND


def test_a_tls_key_is_not_a_signing_key(key_path: Path) -> None:
    key_path.write_bytes(write_private_key(ec.generate_private_key(ec.SECP256R1()), None))
    key_path.chmod(0o600)
    assert refused(key_path) is Code.KEY_WRONG_KIND


def test_an_ed25519_key_made_by_other_software_is_accepted(key_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    key_path.write_bytes(write_private_key(key, None))
    key_path.chmod(0o600)
    assert load(key_path) == key.public_key().public_bytes_raw()
    assert read_label(key_path).kind is None


@pytest.mark.parametrize(
    "contents",
    [b"", b"\x00" * 64, b"huzheng-key: system\n", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"],
    ids=["empty", "zeros", "label alone", "no key inside"],
)
def test_what_is_no_key_file_is_refused(key_path: Path, contents: bytes) -> None:
    key_path.write_bytes(contents)
    key_path.chmod(0o600)
    assert refused(key_path) is Code.KEY_FILE_INVALID


def test_an_unknown_kind_and_a_false_public_key_are_refused(key_path: Path) -> None:
    create_key_file(key_path, KeyKind.SYSTEM, ED25519_SHA256, None)
    contents = key_path.read_bytes()
    key_path.write_bytes(contents.replace(b"huzheng-key: system", b"huzheng-key: spare"))
    assert refused(key_path) is Code.KEY_FILE_INVALID
    public_key = read_label_key(contents)
    key_path.write_bytes(contents.replace(public_key, public_key[::-1]))
    assert refused(key_path) is Code.KEY_FILE_INVALID


def read_label_key(contents: bytes) -> bytes:
    return contents.split(b"public-key: ")[1][:64]


def test_a_missing_file_a_directory_and_a_pipe_are_refused(tmp_path: Path, key_path: Path) -> None:
    assert refused(key_path) is Code.KEY_FILE_MISSING
    assert refused(tmp_path) is Code.KEY_FILE_MISSING
    os.mkfifo(key_path, 0o600)
    assert refused(key_path) in (Code.KEY_FILE_MISSING, Code.KEY_FILE_INVALID)


def test_the_label_is_read_without_the_passphrase(key_path: Path) -> None:
    public_key = create_key_file(key_path, KeyKind.ADMIN, ED25519_SHA256, PASSPHRASE)
    label = read_label(key_path)
    assert (label.kind, label.public_key, label.encrypted) == (KeyKind.ADMIN, public_key, True)


def test_the_passphrase_comes_from_a_file_or_the_environment(
    tmp_path: Path, key_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUZHENG_PASSPHRASE", "from variable")
    assert find_passphrase(key_path) == b"from variable"
    file = tmp_path / "passphrase"
    file.write_bytes(b" from file \n")
    monkeypatch.setenv("HUZHENG_PASSPHRASE_FILE", str(file))
    assert find_passphrase(key_path) == b" from file "
    monkeypatch.setenv("HUZHENG_PASSPHRASE_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(HuzhengError) as caught:
        find_passphrase(key_path)
    assert caught.value.code is Code.FILE_ACCESS


def test_encrypted_keys_are_plain_pkcs8_that_other_software_reads() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = write_private_key(key, PASSPHRASE)
    opened = serialization.load_pem_private_key(pem, PASSPHRASE)
    assert isinstance(opened, ec.EllipticCurvePrivateKey)
    assert opened.private_numbers() == key.private_numbers()


def test_every_damaged_byte_of_an_encrypted_key_gives_an_error_of_ours() -> None:
    key = Ed25519PrivateKey.generate()
    pem = bytearray(write_private_key(key, None))
    for position in range(0, len(pem), 3):
        damaged = bytes([*pem[:position], pem[position] ^ 0x15, *pem[position + 1 :]])
        try:
            read_private_key(damaged, b"x", "key")
        except HuzhengError:
            continue

"""Ed25519 against published vectors and against the curve's equation."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto import ED25519_SHA256, Domain
from ledger.crypto.ed25519 import verify_raw
from ledger.errors import Code, HuzhengError
from tests.naive import ed25519 as naive
from tests.vectors import load

RFC_8032 = load("rfc8032.json")["cases"]
SPECCHECK = load("ed25519_speccheck.json")["cases"]
WYCHEPROOF = load("wycheproof_ed25519.json")["cases"]
KEYS = load("ed25519_keys.json")["cases"]

Case = dict[str, Any]


def _name(case: Case) -> str:
    return str(case["name"])


def _parts(case: Case) -> tuple[bytes, bytes, bytes]:
    return bytes.fromhex(case["public_key"]), bytes.fromhex(case["message"]), bytes.fromhex(case["signature"])


@pytest.mark.parametrize("case", RFC_8032, ids=_name)
def test_rfc_8032_keys_and_signatures(case: Case) -> None:
    public_key, message, signature = _parts(case)
    assert ED25519_SHA256.signer(bytes.fromhex(case["seed"])).public_key == public_key
    assert verify_raw(public_key, message, signature)
    assert not verify_raw(public_key, message + b"\x00", signature)


@pytest.mark.parametrize("case", SPECCHECK + WYCHEPROOF, ids=_name)
def test_published_verdicts(case: Case) -> None:
    assert verify_raw(*_parts(case)) == case["valid"]


@pytest.mark.parametrize("case", SPECCHECK, ids=_name)
def test_edge_cases_by_the_curves_equation(case: Case) -> None:
    assert naive.verify(*_parts(case)) == case["valid"]


@pytest.mark.parametrize("case", KEYS, ids=_name)
def test_admissible_keys(case: Case) -> None:
    assert ED25519_SHA256.is_admissible_key(bytes.fromhex(case["key"])) == case["admissible"]


def test_some_keys_verify_but_may_not_be_registered() -> None:
    case = SPECCHECK[3]
    assert verify_raw(*_parts(case))
    assert not ED25519_SHA256.is_admissible_key(bytes.fromhex(case["public_key"]))


@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=300))
@settings(max_examples=30, deadline=None)
def test_what_is_signed_verifies_in_its_domain_only(seed: bytes, message: bytes) -> None:
    signer = ED25519_SHA256.signer(seed)
    signature = signer.sign(Domain.SIGN_PREPARE, message)
    assert ED25519_SHA256.verify(Domain.SIGN_PREPARE, signer.public_key, message, signature)
    assert not ED25519_SHA256.verify(Domain.SIGN_COMMIT, signer.public_key, message, signature)
    assert verify_raw(signer.public_key, Domain.SIGN_PREPARE + message, signature)
    assert ED25519_SHA256.is_admissible_key(signer.public_key)


@given(public_key=st.binary(max_size=70), message=st.binary(max_size=70), signature=st.binary(max_size=130))
@settings(max_examples=200, deadline=None)
def test_verify_never_raises(public_key: bytes, message: bytes, signature: bytes) -> None:
    assert not ED25519_SHA256.verify(Domain.SIGN_SEAL, public_key, message, signature)


def test_a_byte_more_or_less_is_refused_even_where_libsodium_would_not_see_it() -> None:
    public_key, message, signature = _parts(RFC_8032[3])
    assert verify_raw(public_key, message, signature)
    assert not verify_raw(public_key + b"\x00", message, signature)
    assert not verify_raw(public_key[:-1], message, signature)
    assert not verify_raw(public_key, message[1:], signature + message[:1])
    assert not verify_raw(public_key, signature[63:] + message, signature[:63])


def test_no_flipped_bit_of_a_signature_verifies() -> None:
    signer = ED25519_SHA256.signer(bytes(32))
    signature = signer.sign(Domain.SIGN_SEAL, b"block")
    for bit in range(512):
        flipped = (int.from_bytes(signature, "big") ^ 1 << bit).to_bytes(64, "big")
        assert not ED25519_SHA256.verify(Domain.SIGN_SEAL, signer.public_key, b"block", flipped)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_seed_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(HuzhengError) as error:
        ED25519_SHA256.signer(bytes(length))
    assert error.value.code == Code.BAD_KEY


def test_a_signer_shows_no_secret() -> None:
    seed = bytes(range(32))
    shown = repr(ED25519_SHA256.signer(seed))
    assert seed.hex() not in shown
    assert repr(seed) not in shown

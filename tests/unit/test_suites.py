"""Domains, suites and the self-test."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from hashlib import blake2b, sha256

import pytest

from ledger.crypto import ED25519_SHA256, SIMULATION, Domain, Suite, self_test, suite_named
from ledger.errors import Code, HuzhengError
from tests.vectors import load

DOMAINS = load("domains.json")
SUITES = [ED25519_SHA256, SIMULATION]


def test_no_domain_is_a_prefix_of_another() -> None:
    for one in Domain:
        assert [other for other in Domain if other.startswith(one)] == [one]


def test_domains_are_those_of_the_protocol() -> None:
    kinds = {domain[1:].decode().removeprefix("huzheng/v1/") for domain in Domain}
    assert all(domain[0] == len(domain) - 1 for domain in Domain)
    assert kinds == {
        *("genesis", "record", "payload", "transaction", "result", "block", "batch", "state"),
        *(
            "state-key",
            "state-value",
            "state-heads",
            "state-seed",
            "state-blind",
            "confidential",
            "grant",
            "read",
            "reads",
        ),
        *("sign-transaction", "sign-pre-prepare", "sign-prepare", "sign-commit", "sign-seal"),
        *("sign-view-change", "sign-new-view", "sign-membership", "sign-possession"),
    }


@pytest.mark.parametrize("case", DOMAINS["cases"], ids=lambda case: f"{case['suite']} {case['domain']}")
def test_golden_hashes_and_signatures(case: dict[str, str]) -> None:
    suite, domain = suite_named(case["suite"], allow_simulation=True), Domain[case["domain"]]
    content, signer = bytes.fromhex(DOMAINS["content"]), suite.signer(bytes.fromhex(DOMAINS["seed"]))
    assert bytes(domain).hex() == case["prefix"]
    if "digest" in case:
        assert suite.digest(domain, content).hex() == case["digest"]
    else:
        assert signer.public_key.hex() == case["public_key"]
        assert signer.sign(domain, content).hex() == case["signature"]
        assert suite.verify(domain, signer.public_key, content, bytes.fromhex(case["signature"]))


def test_digest_is_the_hash_of_the_prefix_and_the_parts() -> None:
    tag = b"\x11huzheng/v1/record"
    assert ED25519_SHA256.digest(Domain.RECORD, b"a", b"", b"bc") == sha256(tag + b"abc").digest()
    assert SIMULATION.digest(Domain.RECORD, b"a", b"bc") == blake2b(b"abc", digest_size=32, key=tag).digest()
    assert ED25519_SHA256.plain_hash(b"abc") == sha256(b"abc").digest()


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_a_plain_hash_goes_on_from_what_all_begin_with(suite: Suite) -> None:
    state = suite.plain_state(b"a")
    for rest in (b"", b"bc", bytes(64)):
        one = state.copy()
        one.update(rest)
        assert one.digest() == suite.plain_hash(b"a" + rest)


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_hashes_keys_and_signatures_have_their_lengths(suite: Suite) -> None:
    signer = suite.signer(bytes(32))
    assert len(suite.digest(Domain.BLOCK)) == len(suite.plain_hash(b"")) == len(signer.public_key) == 32
    assert len(signer.sign(Domain.SIGN_SEAL, b"")) == 64


@pytest.mark.parametrize("length", [0, 31, 33, 64, 65, 1000])
def test_simulation_never_raises_on_odd_keys(length: int) -> None:
    assert not SIMULATION.verify(Domain.SIGN_SEAL, bytes(length), b"message", bytes(64))
    assert not SIMULATION.is_admissible_key(bytes(length))


def test_simulation_is_refused_in_production() -> None:
    with pytest.raises(HuzhengError) as error:
        suite_named("simulation")
    assert error.value.code == Code.SUITE_REFUSED
    assert suite_named("simulation", allow_simulation=True) is SIMULATION


@pytest.mark.parametrize("name", ["", "ed25519", "ED25519-SHA256", "sm2-sm3"])
def test_unknown_suites_are_refused(name: str) -> None:
    with pytest.raises(HuzhengError) as error:
        suite_named(name, allow_simulation=True)
    assert error.value.code == Code.SUITE_UNKNOWN


def test_self_test_passes_and_is_quick() -> None:
    self_test()
    started = time.perf_counter()
    self_test()
    assert time.perf_counter() - started < 0.5  # a few ms; the bound is wide for busy machines


def test_self_test_finds_a_lenient_verifier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nacl.bindings.crypto_sign_open", lambda signed, key: signed[64:])
    with pytest.raises(HuzhengError) as error:
        self_test()
    assert error.value.code == Code.CRYPTO_SELF_TEST


def test_self_test_finds_a_lenient_key_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nacl.bindings.crypto_core_ed25519_is_valid_point", lambda key: True)
    with pytest.raises(HuzhengError) as error:
        self_test()
    assert error.value.code == Code.CRYPTO_SELF_TEST


def test_self_test_finds_a_lenient_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.crypto.strict.read", lambda message_type, data: message_type())
    with pytest.raises(HuzhengError) as error:
        self_test()
    assert error.value.code == Code.CRYPTO_SELF_TEST


def test_self_test_passes_with_protobufs_other_backend() -> None:
    environment = {**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    code = "from ledger.crypto import self_test; self_test()"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)

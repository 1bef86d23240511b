"""Certificates: what a department's CA issues, and whom a certificate proves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from ledger.errors import Code, HuzhengError
from node import identity
from node.authority import sound_authority
from node.identity import Caller, CallerDirectory, Role
from node.pki import Authority, Leaf, issue, leaf_builder, new_authority, read_authority, server_name
from node.tls import ClientRoots, TlsFiles, load_material

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PLANNING = new_authority("planning", "规划和自然资源委员会", NOW)
TAX = new_authority("tax", "税务局", NOW)
AUTHORITIES = {"planning": PLANNING.certificate_der, "tax": TAX.certificate_der}
DIRECTORY = CallerDirectory(AUTHORITIES, NOW.timestamp)
CLERK = Caller("tax", Role.CLERK, "wang")
REPLICA = Caller("tax", Role.REPLICA, "2")


def leaf_of(leaf: Leaf) -> x509.Certificate:
    return x509.load_pem_x509_certificate(leaf.certificate_pem)


def refused(pem: bytes) -> Code:
    with pytest.raises(HuzhengError) as caught:
        DIRECTORY.identify_certificate(pem)
    return caught.value.code


def with_names(names: list[x509.GeneralName] | None, authority: Authority = TAX) -> bytes:
    """A certificate with any subject alternative names."""
    key = ec.generate_private_key(ec.SECP256R1())
    template = leaf_builder(authority, CLERK, key.public_key(), NOW, 1).sign(authority.key, hashes.SHA256())
    builder = x509.CertificateBuilder(
        issuer_name=template.issuer,
        subject_name=template.subject,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=template.not_valid_before_utc,
        not_valid_after=template.not_valid_after_utc,
    )
    if names is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_a_ca_may_issue_leaves_only() -> None:
    certificate = PLANNING.certificate
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value.ca
    assert constraints.value.path_length == 0
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign
    assert not usage.digital_signature
    assert certificate.not_valid_after_utc - NOW > timedelta(days=3650)


def test_a_replica_serves_and_calls_while_others_only_call() -> None:
    for holder, uses in (
        (REPLICA, {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH}),
        (CLERK, {ExtendedKeyUsageOID.CLIENT_AUTH}),
    ):
        leaf = leaf_of(issue(TAX, holder, NOW))
        assert set(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == uses
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        served = names.get_values_for_type(x509.DNSName)
        assert served == ([server_name("tax", 2)] if holder is REPLICA else [])
        assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_leaf_never_outlives_its_ca() -> None:
    leaf = leaf_of(issue(TAX, CLERK, NOW, days=100_000))
    assert leaf.not_valid_after_utc == TAX.certificate.not_valid_after_utc


def test_a_ca_key_comes_back_with_its_passphrase_only() -> None:
    pem, key = TAX.certificate_pem, TAX.key_pem(b"secret")
    assert read_authority("tax", pem, key, b"secret").certificate == TAX.certificate
    for passphrase, code in ((None, Code.KEY_PASSPHRASE_NEEDED), (b"no", Code.KEY_PASSPHRASE_WRONG)):
        with pytest.raises(HuzhengError) as caught:
            read_authority("tax", pem, key, passphrase)
        assert caught.value.code is code
    with pytest.raises(HuzhengError) as caught:
        read_authority("tax", pem, PLANNING.key_pem(None), None)
    assert caught.value.code is Code.TLS_KEY_MISMATCH


@pytest.mark.parametrize("holder", [CLERK, REPLICA, Caller("tax", Role.SYSTEM, "core-1.a_b")])
def test_a_certificate_proves_its_holder(holder: Caller) -> None:
    assert DIRECTORY.identify_certificate(issue(TAX, holder, NOW).certificate_pem) == holder


def test_a_department_cannot_issue_in_the_name_of_another() -> None:
    forged = issue(PLANNING, CLERK, NOW).certificate_pem
    assert refused(forged) is Code.CALLER_DEPARTMENT_MISMATCH
    # Nor does an earlier answer about a good certificate help a forged one.
    DIRECTORY.identify_certificate(issue(TAX, CLERK, NOW).certificate_pem)
    assert refused(forged) is Code.CALLER_DEPARTMENT_MISMATCH


def test_a_ca_of_the_same_name_proves_nothing() -> None:
    impostor = new_authority("tax", "税务局", NOW)
    assert impostor.certificate.subject == TAX.certificate.subject
    assert refused(issue(impostor, CLERK, NOW).certificate_pem) is Code.CALLER_UNKNOWN


def test_a_certificate_from_below_an_intermediate_ca_proves_nothing() -> None:
    # A CA may lack the path length limit; what it did not sign itself still does not count.
    own = new_authority("tax", "中间机构", NOW)
    public_key = own.key.public_key()
    crossed = (
        x509.CertificateBuilder(
            TAX.certificate.subject, own.certificate.subject, public_key, 7, NOW, NOW + timedelta(days=9)
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(TAX.key, hashes.SHA256())
    )
    assert identity.is_issued_by(crossed, TAX.certificate)
    assert refused(issue(Authority("tax", crossed, own.key), CLERK, NOW).certificate_pem) is Code.CALLER_UNKNOWN


@pytest.mark.parametrize(
    "uris",
    [
        None,
        [],
        ["urn:huzheng:tax:clerk:wang", "urn:huzheng:planning:clerk:wang"],
        ["urn:huzheng:tax:clerk"],
        ["urn:huzheng:tax:clerk:"],
        ["urn:huzheng:tax:clerk:wang:operator"],
        ["urn:huzheng:tax:boss:wang"],
        ["urn:huzheng:tax:CLERK:wang"],
        ["urn:huzheng:tax:clerk:wang\n"],
        ["urn:huzheng:tax:replica:two"],
        ["urn:huzheng:tax:replica:0"],
        ["urn:huzheng:tax:replica:02"],
        ["URN:huzheng:tax:clerk:wang"],
        ["https://huzheng/tax/clerk/wang"],
    ],
)
def test_a_certificate_without_exactly_one_good_name_is_refused(uris: list[str] | None) -> None:
    names: list[x509.GeneralName] = [x509.DNSName("wang.tax.huzheng.internal")]
    names += [x509.UniformResourceIdentifier(uri) for uri in uris or []]
    assert refused(with_names(None if uris is None else names)) is Code.CALLER_NAME_INVALID


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused(pem: bytes) -> None:
    assert refused(pem) is Code.CALLER_UNKNOWN


class Context:
    def __init__(self, properties: Mapping[str, Iterable[bytes]]) -> None:
        self._properties = properties

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        return self._properties


def test_the_caller_of_a_connection_is_its_one_certificate() -> None:
    pem = issue(TAX, CLERK, NOW).certificate_pem
    assert DIRECTORY.identify(Context({"x509_pem_cert": [pem]})) == CLERK
    cases: list[dict[str, list[bytes]]] = [
        {},
        {"x509_pem_cert": []},
        {"x509_pem_cert": [pem, pem]},
        {"x509_common_name": [b"tax"]},
    ]
    for properties in cases:
        with pytest.raises(HuzhengError) as caught:
            DIRECTORY.identify(Context(properties))
        assert caught.value.code is Code.CALLER_UNKNOWN


def test_a_certificate_that_expires_during_a_connection_ends_with_it() -> None:
    now = [NOW.timestamp()]
    directory = CallerDirectory(AUTHORITIES, lambda: now[0])
    pem = issue(TAX, CLERK, NOW, days=1).certificate_pem
    assert directory.identify_certificate(pem) == CLERK
    now[0] += 86_400
    with pytest.raises(HuzhengError) as caught:
        directory.identify_certificate(pem)
    assert caught.value.code is Code.CALLER_EXPIRED


def test_an_unreadable_ca_lets_nobody_in_and_shuts_nobody_else_out() -> None:
    pem = issue(TAX, CLERK, NOW).certificate_pem
    directory = CallerDirectory({**AUTHORITIES, "joined": b"no certificate"}, NOW.timestamp)
    assert directory.identify_certificate(pem) == CLERK


def changed(der: bytes, old: str, new: str) -> bytes:
    assert bytes.fromhex(old) in der
    return der.replace(bytes.fromhex(old), bytes.fromhex(new), 1)


UNSOUND = {
    "of another version": changed(TAX.certificate_der, "a003020102", "a003020101"),
    "on a curve that nobody knows": changed(TAX.certificate_der, "06082a8648ce3d030107", "06082a8648ce3d03017f"),
    "with an extension not in DER": changed(TAX.certificate_der, "30060101ff", "30060101fe"),
    "cut short": TAX.certificate_der[:-1],
    "no certificate": b"CA",
}


@pytest.mark.parametrize("der", UNSOUND.values(), ids=UNSOUND)
def test_a_ca_that_is_not_sound_spoils_nothing_for_others(der: bytes) -> None:
    assert sound_authority(TAX.certificate_der) is not None
    assert sound_authority(der) is None
    directory = CallerDirectory({"court": der, **AUTHORITIES}, NOW.timestamp)
    assert directory.identify_certificate(issue(TAX, CLERK, NOW).certificate_pem) == CLERK
    assert ClientRoots([der, *AUTHORITIES.values()]).pem == ClientRoots(AUTHORITIES.values()).pem


def test_departments_come_and_change_while_the_node_runs() -> None:
    pem = issue(TAX, CLERK, NOW).certificate_pem
    directory = CallerDirectory({"planning": AUTHORITIES["planning"]}, NOW.timestamp)
    for authorities, known in (({}, False), (AUTHORITIES, True), ({"tax": AUTHORITIES["planning"]}, False)):
        directory.replace(authorities)
        if known:
            assert directory.identify_certificate(pem) == CLERK
        else:
            with pytest.raises(HuzhengError) as caught:
                directory.identify_certificate(pem)
            assert caught.value.code is Code.CALLER_UNKNOWN


def test_a_private_key_never_shows_in_a_log() -> None:
    leaf = issue(TAX, CLERK, NOW)
    assert "PRIVATE" not in repr(leaf)


def test_the_memory_of_callers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "CACHED_CALLERS", 2)
    directory = CallerDirectory(AUTHORITIES, NOW.timestamp)
    for name in ("a", "b", "c"):
        directory.identify_certificate(issue(TAX, Caller("tax", Role.CLERK, name), NOW).certificate_pem)
    assert len(directory._known) == 2


def test_a_caller_is_held_to_its_role() -> None:
    CLERK.require(Role.OPERATOR, Role.CLERK)
    with pytest.raises(HuzhengError) as caught:
        CLERK.require(Role.OPERATOR)
    assert caught.value.code is Code.CALLER_NOT_ALLOWED


def test_only_a_replicas_certificate_names_a_replica() -> None:
    assert REPLICA.replica == 2
    with pytest.raises(HuzhengError) as caught:
        _ = CLERK.replica
    assert caught.value.code is Code.CALLER_NOT_ALLOWED


def put(directory: Path, leaf: Leaf) -> tuple[Path, Path]:
    certificate, key = directory / "tls.crt", directory / "tls.key"
    certificate.write_bytes(leaf.certificate_pem)
    key.write_bytes(leaf.key_pem)
    key.chmod(0o600)
    return certificate, key


def test_good_material_is_loaded_with_its_expiry(tmp_path: Path) -> None:
    certificate, key = put(tmp_path, issue(TAX, REPLICA, NOW, days=31))
    material = load_material(certificate, key, TAX.certificate_der, NOW, REPLICA)
    assert material.holder == REPLICA
    assert material.expiry_ms == int((NOW + timedelta(days=31)).timestamp()) * 1000
    assert not material.expires_soon(NOW)
    assert material.expires_soon(NOW + timedelta(days=2))


@pytest.mark.parametrize(
    ("days_later", "code", "said"),
    [(366, Code.TLS_EXPIRED, "expired 2027-03-01 12:00:00 UTC"), (-1, Code.TLS_NOT_YET_VALID, "valid from 2026-03-01")],
)
def test_a_certificate_outside_its_dates_is_named_with_them(
    tmp_path: Path, days_later: int, code: Code, said: str
) -> None:
    certificate, key = put(tmp_path, issue(TAX, REPLICA, NOW))
    with pytest.raises(HuzhengError) as caught:
        load_material(certificate, key, TAX.certificate_der, NOW + timedelta(days=days_later))
    assert caught.value.code is code
    assert str(certificate) in caught.value.detail
    assert said in caught.value.detail


def test_a_fresh_certificate_suits_a_clock_that_is_a_little_behind(tmp_path: Path) -> None:
    certificate, key = put(tmp_path, issue(TAX, REPLICA, NOW))
    load_material(certificate, key, TAX.certificate_der, NOW - timedelta(minutes=59))


def test_material_that_cannot_work_is_refused_with_the_reason(tmp_path: Path) -> None:
    leaf = issue(TAX, REPLICA, NOW)
    certificate, key = put(tmp_path, leaf)

    def code(ca: Authority = TAX, holder: Caller = REPLICA) -> Code:
        with pytest.raises(HuzhengError) as caught:
            load_material(certificate, key, ca.certificate_der, NOW, holder)
        return caught.value.code

    assert code(ca=PLANNING) is Code.TLS_WRONG_ISSUER
    assert code(holder=Caller("tax", Role.REPLICA, "3")) is Code.TLS_WRONG_HOLDER
    key.chmod(0o640)
    assert code() is Code.TLS_KEY_MODE
    put(tmp_path, replace(leaf, key_pem=issue(TAX, REPLICA, NOW).key_pem))
    assert code() is Code.TLS_KEY_MISMATCH
    put(tmp_path, replace(leaf, certificate_pem=leaf.key_pem))
    assert code() is Code.TLS_FILE_INVALID
    put(tmp_path, replace(leaf, key_pem=TAX.key_pem(b"secret")))
    assert code() is Code.TLS_FILE_INVALID
    key.unlink()
    assert code() is Code.TLS_FILE_INVALID


def test_a_renewed_pair_is_taken_up_and_a_broken_one_is_reported_once(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    authority = new_authority("tax", "税务局", now)
    certificate, key = put(tmp_path, issue(authority, REPLICA, now))
    reloaded: list[int] = []
    broken: list[Code] = []
    files = TlsFiles(
        certificate,
        key,
        authority.certificate_der,
        holder=REPLICA,
        on_reload=lambda material: reloaded.append(material.expiry_ms),
        on_broken=lambda error: broken.append(error.code),
    )
    first = files.current()
    renewed = issue(authority, REPLICA, now, days=30)
    certificate.write_bytes(renewed.certificate_pem)
    assert files.current() is first
    assert files.current() is first
    assert broken == [Code.TLS_KEY_MISMATCH]
    key.write_bytes(renewed.key_pem)
    assert files.current().certificate_pem == renewed.certificate_pem
    assert reloaded == [files.expiry_ms()]
    key.unlink()
    assert files.current().certificate_pem == renewed.certificate_pem
    assert broken == [Code.TLS_KEY_MISMATCH, Code.TLS_FILE_INVALID]

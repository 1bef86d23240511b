"""Department CAs and the TLS certificates they issue.

Keys are ECDSA P-256, since gRPC's TLS library offers no Ed25519 certificates. They only protect connections: what is
true on the chain hangs on the Ed25519 keys in `node.keyfile`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ledger.errors import Code, HuzhengError
from node.identity import Caller, Role
from node.pkcs8 import read_private_key, write_private_key

AUTHORITY_DAYS = 3652
LEAF_DAYS = 365
# Certificates start in the past, so that a machine whose clock is a little behind accepts a fresh one.
BACKDATED = timedelta(hours=1)
_COMMON_NAME_CHARACTERS = 64
_AUTHORITY_NAME = "Huzheng CA "


@dataclass(frozen=True, slots=True)
class Authority:
    """A department's CA."""

    department: str
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """For files."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def certificate_der(self) -> bytes:
        """For the genesis."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def key_pem(self, passphrase: bytes | None) -> bytes:
        """PKCS#8, encrypted if there is a passphrase."""
        return write_private_key(self.key, passphrase)


@dataclass(frozen=True, slots=True)
class Leaf:
    """An end certificate and its key, both PEM."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)
    not_after: datetime


def server_name(department: str, replica: int) -> str:
    """The DNS name in a replica's certificate. It never resolves: clients expect it whatever the address they dial."""
    return f"replica-{replica}.{department}.huzheng.internal"


def new_authority(department: str, organisation: str, now: datetime, days: int = AUTHORITY_DAYS) -> Authority:
    """A new CA for a department. `organisation`: the department's name for people."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(organisation, _AUTHORITY_NAME + department)
    public_key = key.public_key()
    usage = _key_usage(digital_signature=False, issue=True)
    certificate = (
        _builder(now, days)
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(department, certificate, key)


def authority_department(certificate: x509.Certificate) -> str | None:
    """The department that a CA made by `new_authority` says it is for; None for a CA made elsewhere."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = str(names[0].value) if len(names) == 1 else ""
    return name.removeprefix(_AUTHORITY_NAME) if name.startswith(_AUTHORITY_NAME) else None


def read_authority(department: str, certificate_pem: bytes, key_pem: bytes, passphrase: bytes | None) -> Authority:
    """A CA from its files' contents.

    Raises:
        HuzhengError: TLS_FILE_INVALID, TLS_WRONG_HOLDER, TLS_KEY_MISMATCH, KEY_FILE_INVALID, KEY_PASSPHRASE_NEEDED,
            KEY_PASSPHRASE_WRONG.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except ValueError:
        raise HuzhengError(Code.TLS_FILE_INVALID, f"CA certificate of {department}") from None
    owner = authority_department(certificate)
    if owner not in (None, department):
        raise HuzhengError(Code.TLS_WRONG_HOLDER, f"the CA is that of {owner}, not of {department}")
    key = read_private_key(key_pem, passphrase, f"CA key of {department}")
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise HuzhengError(Code.TLS_KEY_MISMATCH, f"CA of {department}")
    return Authority(department, certificate, key)


def issue(authority: Authority, holder: Caller, now: datetime, days: int = LEAF_DAYS) -> Leaf:
    """A new key and a certificate for it. It never outlives the CA's."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = leaf_builder(authority, holder, key.public_key(), now, days).sign(authority.key, hashes.SHA256())
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    return Leaf(pem, write_private_key(key, None), certificate.not_valid_after_utc)


def leaf_builder(
    authority: Authority, holder: Caller, key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    """The unsigned certificate of a holder."""
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(holder.uri)]
    uses = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if holder.role is Role.REPLICA:
        names.append(x509.DNSName(server_name(holder.department, int(holder.name))))
        uses.append(ExtendedKeyUsageOID.SERVER_AUTH)
    issuer = authority.certificate
    organisation = issuer.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    subject = _name(str(organisation[0].value) if organisation else "", f"{holder.role} {holder.name}")
    issuer_key = issuer.public_key()
    if not isinstance(issuer_key, ec.EllipticCurvePublicKey):
        raise HuzhengError(Code.TLS_KEY_MISMATCH, f"CA of {authority.department}")
    return (
        _builder(now, days, limit=issuer.not_valid_after_utc)
        .subject_name(subject)
        .issuer_name(issuer.subject)
        .public_key(key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True, issue=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _builder(now: datetime, days: int, limit: datetime | None = None) -> x509.CertificateBuilder:
    start = now.astimezone(UTC).replace(microsecond=0)
    end = start + timedelta(days=days)
    if limit is not None:
        end = min(end, limit)
    builder = x509.CertificateBuilder().serial_number(x509.random_serial_number())
    return builder.not_valid_before(start - BACKDATED).not_valid_after(end)


def _name(organisation: str, common_name: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name[:_COMMON_NAME_CHARACTERS])]
    if organisation:
        limited = organisation[:_COMMON_NAME_CHARACTERS]
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, limited))
    return x509.Name(attributes)


def _key_usage(*, digital_signature: bool, issue: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=issue,
        crl_sign=issue,
        encipher_only=False,
        decipher_only=False,
    )

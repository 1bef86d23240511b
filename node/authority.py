"""Departments' CA certificates: which ones a node relies on.

The chain does not judge them (docs/protocol.md I1, M2), so one that is not sound may stand there. It lets nobody in, and spoils nothing for others:
gRPC stops reading its roots at the first that it can't read, and `cryptography` raises many kinds of errors on what it can't.
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ledger.errors import Code, HuzhengError

CURVES = ("secp256r1", "secp384r1")
"""Of CAs' keys: those that every TLS library has."""


def check_authority(pem: bytes, what: str, now: datetime) -> x509.Certificate:
    """A CA certificate that a genesis may hold: self-signed, allowed to issue, valid now, with a key gRPC can use.

    `what` names its origin in errors.

    Raises:
        HuzhengError: TLS_FILE_INVALID.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except Exception:
        raise HuzhengError(Code.TLS_FILE_INVALID, f"{what}: not a self-signed CA certificate") from None
    _check_sound(certificate, what)
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        raise HuzhengError(Code.TLS_FILE_INVALID, f"{what}: the CA certificate is not valid today")
    return certificate


def sound_authority(der: bytes) -> x509.Certificate | None:
    """A CA certificate as `check_authority` wants it, but for its dates; None for any other bytes."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        _check_sound(certificate, "")
    except Exception:
        return None
    return certificate


def _check_sound(certificate: x509.Certificate, what: str) -> None:
    try:
        certificate.verify_directly_issued_by(certificate)
        # All of it: some parts are read only when they are asked for.
        extensions = certificate.extensions
        is_ca = extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        may_sign = extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
        key = certificate.public_key()
    except Exception:
        raise HuzhengError(Code.TLS_FILE_INVALID, f"{what}: not a self-signed CA certificate") from None
    if not (is_ca and may_sign):
        raise HuzhengError(Code.TLS_FILE_INVALID, f"{what}: the certificate may not issue others")
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise HuzhengError(Code.TLS_FILE_INVALID, f"{what}: the CA's key is not an ECDSA key on P-256 or P-384")

"""Mutual TLS for the daemon and its clients, with certificates that can be replaced while the daemon runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from ledger.errors import Code, HuzhengError
from node.authority import check_authority, sound_authority
from node.config import TlsSection
from node.identity import Caller, caller_named_in, is_issued_by
from node.pki import server_name
from node.private_file import read_file, read_private_file

WARN_BEFORE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """A certificate and its key that were checked to belong together."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)
    holder: Caller
    not_after: datetime

    @property
    def expiry_ms(self) -> int:
        """When the certificate expires, milliseconds since 1970."""
        return int(self.not_after.timestamp() * 1000)

    def expires_soon(self, now: datetime) -> bool:
        """Whether it is time to renew it."""
        return self.not_after - now < WARN_BEFORE


def load_material(
    certificate: Path, key: Path, ca_certificate: bytes, now: datetime, holder: Caller | None = None
) -> TlsMaterial:
    """Reads a certificate and its key, and checks all that would make TLS fail later without a reason.

    `ca_certificate`: the CA (DER) of the department that must have issued it. `holder`: whom it must be for, if that is
    known.

    Raises:
        HuzhengError: TLS_FILE_INVALID, TLS_KEY_MODE, TLS_KEY_MISMATCH, TLS_WRONG_ISSUER, TLS_WRONG_HOLDER,
            TLS_EXPIRED, TLS_NOT_YET_VALID, CALLER_NAME_INVALID.
    """
    certificate_pem = read_file(certificate, Code.TLS_FILE_INVALID)
    key_pem = read_private_file(key, Code.TLS_FILE_INVALID, Code.TLS_KEY_MODE)
    leaf = _parse_certificate(certificate, certificate_pem)
    if _public_key_of(key, key_pem) != leaf.public_key():
        raise HuzhengError(Code.TLS_KEY_MISMATCH, f"{certificate}, {key}")
    if not is_issued_by(leaf, x509.load_der_x509_certificate(ca_certificate)):
        raise HuzhengError(Code.TLS_WRONG_ISSUER, str(certificate))
    named = caller_named_in(leaf)
    if holder is not None and named != holder:
        raise HuzhengError(Code.TLS_WRONG_HOLDER, f"{certificate} is for {named.uri}; needed: {holder.uri}")
    if leaf.not_valid_after_utc <= now:
        raise HuzhengError(Code.TLS_EXPIRED, f"{certificate}, expired {_show(leaf.not_valid_after_utc)}")
    if leaf.not_valid_before_utc > now:
        since = _show(leaf.not_valid_before_utc)
        raise HuzhengError(Code.TLS_NOT_YET_VALID, f"{certificate}, valid from {since}; this clock says {_show(now)}")
    return TlsMaterial(certificate_pem, key_pem, named, leaf.not_valid_after_utc)


class TlsFiles:
    """A certificate and key on disk, re-read when the files change. Safe to use from several threads.

    A new pair that is broken is refused and the old one kept: a half-finished renewal must not take a node down.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path,
        ca_certificate: bytes,
        *,
        holder: Caller | None = None,
        on_reload: Callable[[TlsMaterial], None] = lambda _: None,
        on_broken: Callable[[HuzhengError], None] = lambda _: None,
    ) -> None:
        """Loads the files; raises as `load_material`. The callbacks may be called from any thread."""
        self._certificate = certificate
        self._key = key
        self._ca_certificate = ca_certificate
        self._holder = holder
        self._on_reload = on_reload
        self._on_broken = on_broken
        self._lock = Lock()
        self._seen = self._fingerprint()
        self._material = self._load()

    def current(self) -> TlsMaterial:
        """The newest good pair. Costs two `stat` calls unless the files have changed."""
        with self._lock:
            before = self._material
            error = self._refresh()
            material = self._material
        if error is not None:
            self._on_broken(error)
        elif material is not before:
            self._on_reload(material)
        return material

    def expiry_ms(self) -> int:
        """When the certificate in use expires, milliseconds since 1970."""
        return self.current().expiry_ms

    def _refresh(self) -> HuzhengError | None:
        # Read before the files: a change after it is noticed the next time.
        found = self._fingerprint()
        if found == self._seen:
            return None
        self._seen = found
        try:
            self._material = self._load()
        except HuzhengError as error:
            return error
        return None

    def _load(self) -> TlsMaterial:
        now = datetime.now(UTC)
        return load_material(self._certificate, self._key, self._ca_certificate, now, self._holder)

    def _fingerprint(self) -> tuple[tuple[int, ...], ...]:
        return tuple(_file_fingerprint(path) for path in (self._certificate, self._key))


class ClientRoots:
    """The CAs (DER) whose clients a server lets in. They may be replaced while it runs, from any thread."""

    def __init__(self, ca_certificates: Iterable[bytes]) -> None:
        self.pem = b""
        self.replace(ca_certificates)

    def replace(self, ca_certificates: Iterable[bytes]) -> None:
        """For connections from now on. One that is not sound lets nobody in."""
        sound = filter(None, map(sound_authority, ca_certificates))
        self.pem = b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in sound)


def server_credentials(files: TlsFiles, roots: ClientRoots) -> grpc.ServerCredentials:
    """Credentials that demand a client certificate of one of the CAs and serve the newest good certificate.

    A renewed certificate is served to the next connection; connections that are open stay so.
    """

    def newest() -> tuple[TlsMaterial, bytes]:
        return files.current(), roots.pem

    def configuration(material: TlsMaterial, pem: bytes) -> grpc.ServerCertificateConfiguration:
        pair = (material.key_pem, material.certificate_pem)
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=pem)

    served = newest()

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal served
        found = newest()
        if found[0] is served[0] and found[1] is served[1]:
            return None
        served = found
        return configuration(*found)

    # The stubs do not know that None means "no change".
    return grpc.dynamic_ssl_server_credentials(
        configuration(*served),
        fetch,  # type: ignore[arg-type]
        require_client_authentication=True,
    )


def channel_credentials(material: TlsMaterial, server_ca_certificate: bytes) -> grpc.ChannelCredentials:
    """Credentials to call a node of the department whose CA (DER) this is; no other department's certificate will do.

    A channel keeps them for life: after a renewal, make a new channel.
    """
    return grpc.ssl_channel_credentials(_pem(server_ca_certificate), material.key_pem, material.certificate_pem)


def channel_options(department: str, replica: int) -> list[tuple[str, str]]:
    """Channel options that make the client expect this replica's name, whatever the address."""
    return [("grpc.ssl_target_name_override", server_name(department, replica))]


def own_authority(tls: TlsSection, department: str, known: Mapping[str, bytes]) -> bytes:
    """The CA (DER) of this machine's department: as the chain names it, or while it does not, as the configuration does.

    `known`: department id -> CA certificate.

    Raises:
        HuzhengError: TLS_FILE_INVALID; CONFIG_NOT_GENESIS if neither names one.
    """
    if department in known:
        return known[department]
    if tls.authority is None:
        detail = f"no department {department} in the genesis; one that joined later names its CA as tls.authority"
        raise HuzhengError(Code.CONFIG_NOT_GENESIS, detail)
    certificate = check_authority(
        read_file(tls.authority, Code.TLS_FILE_INVALID), str(tls.authority), datetime.now(UTC)
    )
    return certificate.public_bytes(serialization.Encoding.DER)


def _parse_certificate(path: Path, pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except (ValueError, x509.InvalidVersion):
        raise HuzhengError(Code.TLS_FILE_INVALID, f"{path}: not a certificate in PEM") from None


def _public_key_of(path: Path, pem: bytes) -> object:
    try:
        return serialization.load_pem_private_key(pem, None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise HuzhengError(Code.TLS_FILE_INVALID, f"{path}: not an unencrypted private key in PEM") from None


def _pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)


def _file_fingerprint(path: Path) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _show(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

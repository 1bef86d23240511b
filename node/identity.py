"""Who is calling: what a TLS client certificate proves about its holder.

A certificate's text is never trusted alone. gRPC has checked that some department's CA stands behind it; here we find
out which one by verifying the signature with each CA of the genesis, and only then compare that with the name in the
certificate. Otherwise any department's CA could issue certificates in the name of another.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from threading import Lock
from typing import Protocol

from cryptography import x509

from ledger.crypto import ReplicaId
from ledger.errors import Code, HuzhengError
from node.authority import sound_authority

CACHED_CALLERS = 4096
_URI = re.compile(r"urn:huzheng:([a-z][a-z0-9-]{1,31}):([a-z]+):([a-z0-9][a-z0-9._-]{0,63})")
_REPLICA_NAME = re.compile(r"[1-9][0-9]{0,8}")


class Role(StrEnum):
    """What a certificate is for."""

    REPLICA = "replica"
    SYSTEM = "system"
    CLERK = "clerk"
    OPERATOR = "operator"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Caller:
    """The proven holder of a TLS certificate. Only `CallerDirectory` makes one from a connection."""

    department: str
    role: Role
    # A replica's name is its id in decimal.
    name: str

    @property
    def uri(self) -> str:
        """As in the certificate's subject alternative name."""
        return f"urn:huzheng:{self.department}:{self.role}:{self.name}"

    def require(self, *roles: Role) -> None:
        """Refuses callers in any other role.

        Raises:
            HuzhengError: CALLER_NOT_ALLOWED.
        """
        if self.role not in roles:
            raise HuzhengError(Code.CALLER_NOT_ALLOWED, f"a {self.role} certificate; needed: {', '.join(roles)}")

    @property
    def replica(self) -> ReplicaId:
        """The id of the calling replica; whether its department runs one with that id, the caller has not proven.

        Raises:
            HuzhengError: CALLER_NOT_ALLOWED.
        """
        self.require(Role.REPLICA)
        return ReplicaId(int(self.name))


class PeerContext(Protocol):
    """The part of `grpc.aio.ServicerContext` that names the peer."""

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """What TLS found out, by property name."""
        ...


class CallerDirectory:
    """Tells callers apart by the departments' CAs. Safe to use from several threads."""

    def __init__(self, ca_certificates: Mapping[str, bytes], clock_s: Callable[[], float] = time.time) -> None:
        """`ca_certificates`: department id -> CA certificate (DER). `clock_s`: seconds since 1970."""
        self._authorities: Mapping[str, x509.Certificate] = {}
        # Fingerprint -> the caller, and when its certificate expires.
        self._known: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()
        self._clock_s = clock_s
        self._lock = Lock()
        self.replace(ca_certificates)

    def replace(self, ca_certificates: Mapping[str, bytes]) -> None:
        """The departments from now on. A CA that can't be read lets nobody in: a department may have joined with one."""
        read = {department: sound_authority(der) for department, der in sorted(ca_certificates.items())}
        with self._lock:
            self._authorities = {department: ca for department, ca in read.items() if ca is not None}
            self._known.clear()

    def identify(self, context: PeerContext) -> Caller:
        """The caller behind a gRPC call.

        TLS has checked the dates in the handshake, but a connection may stay open for months: the expiry is checked
        again.

        Raises:
            HuzhengError: CALLER_UNKNOWN, CALLER_NAME_INVALID, CALLER_DEPARTMENT_MISMATCH, CALLER_EXPIRED.
        """
        certificates = list(context.auth_context().get("x509_pem_cert", ()))
        if len(certificates) != 1:
            raise HuzhengError(Code.CALLER_UNKNOWN, "the connection carries no client certificate")
        return self.identify_certificate(certificates[0])

    def identify_certificate(self, pem: bytes) -> Caller:
        """The caller that a certificate (PEM) names, if the department it names has issued it. Raises as `identify`."""
        caller, expiry_s = self._proven(pem)
        if self._clock_s() >= expiry_s:
            raise HuzhengError(Code.CALLER_EXPIRED)
        return caller

    def _proven(self, pem: bytes) -> tuple[Caller, float]:
        fingerprint = sha256(pem).digest()
        with self._lock:
            known = self._known.get(fingerprint)
            if known is not None:
                self._known.move_to_end(fingerprint)
                return known
        proven = self._verify(pem)
        with self._lock:
            self._known[fingerprint] = proven
            while len(self._known) > CACHED_CALLERS:
                self._known.popitem(last=False)
        return proven

    def _verify(self, pem: bytes) -> tuple[Caller, float]:
        try:
            leaf = x509.load_pem_x509_certificate(pem)
        except (ValueError, x509.InvalidVersion):
            raise HuzhengError(Code.CALLER_UNKNOWN, "the client certificate cannot be read") from None
        issuers = [department for department, ca in self._authorities.items() if is_issued_by(leaf, ca)]
        if not issuers:
            raise HuzhengError(Code.CALLER_UNKNOWN, "no department of this chain issued the client certificate itself")
        caller = caller_named_in(leaf)
        if caller.department not in issuers:
            raise HuzhengError(Code.CALLER_DEPARTMENT_MISMATCH, f"issued by the CA of {issuers[0]}")
        return caller, leaf.not_valid_after_utc.timestamp()


def is_issued_by(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether the authority's key signed the leaf itself. Says nothing of dates and uses."""
    try:
        leaf.verify_directly_issued_by(authority)
    except Exception:
        # Of many kinds: an algorithm that is not known, a key that is none, a signature that does not hold.
        return False
    return True


def caller_named_in(leaf: x509.Certificate) -> Caller:
    """The identity that a certificate claims; proven only once its issuer is.

    Raises:
        HuzhengError: CALLER_NAME_INVALID unless it has exactly one URI, of the form
            `urn:huzheng:<department>:<role>:<name>`.
    """
    try:
        alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = alternative.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        raise HuzhengError(Code.CALLER_NAME_INVALID, "no readable subject alternative name") from None
    match = _URI.fullmatch(uris[0]) if len(uris) == 1 else None
    if match is None:
        raise HuzhengError(Code.CALLER_NAME_INVALID, "not exactly one huzheng URI")
    department, role, name = match.groups()
    if role not in Role.__members__.values():
        raise HuzhengError(Code.CALLER_NAME_INVALID, "unknown role")
    if role == Role.REPLICA and not _REPLICA_NAME.fullmatch(name):
        raise HuzhengError(Code.CALLER_NAME_INVALID, "a replica is named by its id")
    return Caller(department, Role(role), name)

"""How a department joins: it makes its own keys, keeps the secret ones, and hands out one public file, `member.json`.

Nobody else ever sees a department's secret keys, not even whoever assembles the genesis.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Meta, Struct

from ledger.crypto import ReplicaId, Suite, suite_named
from ledger.errors import Code, HuzhengError
from node.authority import check_authority
from node.config import DepartmentId
from node.identity import Caller, Role
from node.keyfile import KeyKind, create_key_file
from node.network_plan import DepartmentPlan, NetworkPlan
from node.network_texts import AUTHORITY_README
from node.pki import LEAF_DAYS, Authority, issue, new_authority
from node.private_file import read_file, write_new_file

PublicKeyHex = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
CLIENT_ROLES = (Role.SYSTEM, Role.CLERK, Role.OPERATOR, Role.AUDITOR)


class Member(Struct, frozen=True, forbid_unknown_fields=True):
    """A member file: all that the genesis says of a department that the plan does not."""

    format: Literal[1]
    department: DepartmentId
    replica: Annotated[int, Meta(ge=1, lt=1 << 31)]
    suite: str
    # PEM
    ca_certificate: str
    consensus_key: PublicKeyHex
    system_keys: list[PublicKeyHex]
    admin_keys: list[PublicKeyHex]

    @property
    def replica_id(self) -> ReplicaId:
        """As the plan has it."""
        return ReplicaId(self.replica)

    @property
    def ca_certificate_der(self) -> bytes:
        """For the genesis."""
        return x509.load_pem_x509_certificate(self.ca_certificate.encode()).public_bytes(Encoding.DER)


@dataclass(frozen=True, slots=True)
class Places:
    """Where a department's files go."""

    node: Path
    clients: Path
    authority: Path
    member: Path

    @classmethod
    def below(cls, directory: Path) -> Places:
        """The layout of a department that sets up its own machine."""
        return cls(directory / "node", directory / "clients", directory / "authority", directory / "member.json")


def prepare(
    plan: NetworkPlan,
    department: str,
    places: Places,
    now: datetime,
    *,
    passphrase: bytes | None = None,
    tls_days: int = LEAF_DAYS,
) -> Member:
    """Makes a department's CA, keys, certificates and member file in directories that do not exist yet.

    `passphrase` encrypts the CA's key and all signing keys; TLS keys are never encrypted, as gRPC reads them
    unattended.

    Raises:
        HuzhengError: NETWORK_PLAN_INVALID.
        OSError: something is in the way, or the disk is full.
    """
    replica = plan.replica_of(department)
    described = plan.department(replica)
    suite = suite_named(plan.suite)
    authority = new_authority(department, described.name_zh, now)
    _write_authority(authority, places.authority, described, passphrase)
    consensus_key = _make_node_keys(authority, places.node, replica, suite, now, tls_days, passphrase)
    # The node's own: it can be revoked without the systems', and no secret key is in two places.
    node_key = create_key_file(places.node / "keys" / "signing.key", KeyKind.SYSTEM, suite, passphrase)
    for role in CLIENT_ROLES:
        _make_certificate(authority, places.clients / role, Caller(department, role, f"{role}-1"), now, tls_days)
    keys = places.clients / Role.SYSTEM
    member = Member(
        format=1,
        department=department,
        replica=replica,
        suite=plan.suite,
        ca_certificate=authority.certificate_pem.decode(),
        consensus_key=consensus_key.hex(),
        system_keys=[
            create_key_file(keys / "keys" / "signing.key", KeyKind.SYSTEM, suite, passphrase).hex(),
            node_key.hex(),
        ],
        admin_keys=[create_key_file(keys / "keys" / "admin.key", KeyKind.ADMIN, suite, passphrase).hex()],
    )
    places.member.parent.mkdir(parents=True, exist_ok=True)
    document = msgspec.json.format(msgspec.json.encode(member), indent=2) + b"\n"
    write_new_file(places.member, document, private=False)
    return member


def read_member(path: Path, now: datetime) -> Member:
    """Reads and checks a member file.

    Raises:
        HuzhengError: MEMBER_FILE_INVALID, TLS_FILE_INVALID.
    """
    data = read_file(path, Code.MEMBER_FILE_INVALID)
    try:
        member = msgspec.json.decode(data, type=Member)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HuzhengError(Code.MEMBER_FILE_INVALID, f"{path}: {error}") from None
    check_authority(member.ca_certificate.encode(), str(path), now)
    return member


def _write_authority(
    authority: Authority, directory: Path, described: DepartmentPlan, passphrase: bytes | None
) -> None:
    directory.mkdir(parents=True, mode=0o700)
    write_new_file(directory / "ca.crt", authority.certificate_pem, private=False)
    write_new_file(directory / "ca.key", authority.key_pem(passphrase), private=True)
    readme = AUTHORITY_README.format(department=described.id, name_zh=described.name_zh, name_en=described.name_en)
    write_new_file(directory / "README.txt", readme.encode(), private=False)


def _make_node_keys(
    authority: Authority,
    directory: Path,
    replica: ReplicaId,
    suite: Suite,
    now: datetime,
    days: int,
    passphrase: bytes | None,
) -> bytes:
    _make_certificate(authority, directory, Caller(authority.department, Role.REPLICA, str(replica)), now, days)
    return create_key_file(directory / "keys" / "consensus.key", KeyKind.CONSENSUS, suite, passphrase)


def _make_certificate(authority: Authority, directory: Path, holder: Caller, now: datetime, days: int) -> None:
    keys = directory / "keys"
    keys.mkdir(parents=True, mode=0o700)
    leaf = issue(authority, holder, now, days)
    write_new_file(keys / "tls.crt", leaf.certificate_pem, private=False)
    write_new_file(keys / "tls.key", leaf.key_pem, private=True)

"""What a department hands out when its replica is to join or to get another key: one public file, `seat.json`.

It proves that the department has the consensus key, and for a department that is new brings all that the others must know of it.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from huzheng.v1 import genesis_pb2
from huzheng.v1 import membership_pb2 as pb
from msgspec import Meta, Struct

from ledger.crypto import Signer
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.membership_change import build_seat, check_seat
from node.authority import check_authority
from node.config import DepartmentId
from node.member import Member, PublicKeyHex
from node.network_plan import DepartmentPlan, Name
from node.private_file import read_file, write_new_file


class JoiningDepartment(Struct, frozen=True, forbid_unknown_fields=True):
    """What the genesis says of a department that was there from the start."""

    credit_code: str
    name_zh: Name
    name_en: Name
    # PEM
    ca_certificate: str
    system_keys: list[PublicKeyHex]
    admin_keys: list[PublicKeyHex]


class SeatFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A replica with its key. All hexadecimal: the Replica that is signed and the proof of possession (M2)."""

    format: Literal[1]
    chain_id: PublicKeyHex
    department: DepartmentId
    replica: int
    consensus_key: PublicKeyHex
    seat: Annotated[str, Meta(pattern=r"^([0-9a-f]{2})+\Z")]
    proof: Annotated[str, Meta(pattern=r"^[0-9a-f]{128}\Z")]
    # A member already, whose key this one takes the place of.
    replaces_key: bool = False
    joins: JoiningDepartment | None = None

    @property
    def message(self) -> pb.SeatReplica:
        """As in a change."""
        return pb.SeatReplica(replica=bytes.fromhex(self.seat), proof=bytes.fromhex(self.proof))

    def department_actions(self, known: Container[str]) -> Iterator[pb.MembershipAction]:
        """What a change does to let the department's nodes and people in; nothing if it is known."""
        if self.joins is not None and self.department not in known:
            yield pb.MembershipAction(add_department=_department(self.department, self.joins))

    def actions(self, known: Container[str]) -> Iterator[pb.MembershipAction]:
        """What a change does to let this replica vote with this key. `known`: departments that the chain has."""
        yield from self.department_actions(known)
        if self.replaces_key:
            yield pb.MembershipAction(replace_key=self.message)
        else:
            yield pb.MembershipAction(add_replica=self.message)


def new_key_seat(genesis: Genesis, department: str, replica: int, signer: Signer) -> SeatFile:
    """For a member that is to get the signer's key."""
    return _seat(genesis, department, replica, signer, None, replaces_key=True)


def joining_seat(genesis: Genesis, member: Member, described: DepartmentPlan, signer: Signer) -> SeatFile:
    """For a replica that is to join, with its department where the genesis does not know that."""
    joins = None
    if member.department not in genesis.departments:
        joins = JoiningDepartment(
            described.credit_code,
            described.name_zh,
            described.name_en,
            member.ca_certificate,
            member.system_keys,
            member.admin_keys,
        )
    return _seat(genesis, member.department, member.replica, signer, joins, replaces_key=False)


def write_seat(path: Path, seat: SeatFile) -> None:
    """Writes a new file. Raises OSError."""
    write_new_file(path, msgspec.json.format(msgspec.json.encode(seat), indent=2) + b"\n", private=False)


def read_seat_file(path: Path, genesis: Genesis, now: datetime) -> SeatFile:
    """Reads and checks a seat file.

    Raises:
        HuzhengError: MEMBER_FILE_INVALID, TLS_FILE_INVALID, WRONG_CHAIN, MALFORMED_TRANSACTION, NOT_STRICT, BAD_SIGNATURE.
    """
    data = read_file(path, Code.MEMBER_FILE_INVALID)
    try:
        seat = msgspec.json.decode(data, type=SeatFile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HuzhengError(Code.MEMBER_FILE_INVALID, f"{path}: {error}") from None
    if seat.chain_id != genesis.chain_id.hex():
        raise HuzhengError(Code.WRONG_CHAIN, str(path))
    found = check_seat(seat.message, genesis)
    if (found.replica, found.department, found.public_key.hex()) != (seat.replica, seat.department, seat.consensus_key):
        raise HuzhengError(Code.MEMBER_FILE_INVALID, f"{path}: says otherwise than what it proves")
    if seat.joins is not None:
        check_authority(seat.joins.ca_certificate.encode(), str(path), now)
        _refuse_known_authority(path, seat.joins, genesis)
    return seat


def _refuse_known_authority(path: Path, joins: JoiningDepartment, genesis: Genesis) -> None:
    """Two departments with one CA could act in each other's name."""
    key = x509.load_pem_x509_certificate(joins.ca_certificate.encode()).public_key()
    for department in genesis.departments.values():
        if x509.load_der_x509_certificate(department.ca_certificate).public_key() == key:
            raise HuzhengError(Code.MEMBER_FILE_INVALID, f"{path}: the CA's key is that of {department.id}")


def _seat(
    genesis: Genesis,
    department: str,
    replica: int,
    signer: Signer,
    joins: JoiningDepartment | None,
    *,
    replaces_key: bool,
) -> SeatFile:
    message = build_seat(genesis, replica, department, signer)
    return SeatFile(
        1,
        genesis.chain_id.hex(),
        department,
        replica,
        signer.public_key.hex(),
        message.replica.hex(),
        message.proof.hex(),
        replaces_key,
        joins,
    )


def _department(department: str, joins: JoiningDepartment) -> genesis_pb2.Department:
    authority = x509.load_pem_x509_certificate(joins.ca_certificate.encode())
    roles = ((genesis_pb2.KEY_ROLE_SYSTEM, joins.system_keys), (genesis_pb2.KEY_ROLE_ADMIN, joins.admin_keys))
    keys = [genesis_pb2.SigningKey(public_key=bytes.fromhex(key), role=role) for role, keys in roles for key in keys]
    return genesis_pb2.Department(
        id=department,
        credit_code=joins.credit_code,
        name_zh=joins.name_zh,
        name_en=joins.name_en,
        ca_certificate=authority.public_bytes(Encoding.DER),
        keys=sorted(keys, key=lambda key: key.public_key),
    )

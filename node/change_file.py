"""A change of the membership on its way from one department to the next: `ChangeMembership` as a file, with the approvals so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from huzheng.v1 import membership_pb2 as pb

from ledger.crypto import Signer, strict
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.membership_change import approve, check_approval, read_change
from node.authority import sound_authority
from node.private_file import read_file, replace_file, write_new_file


def write_change(path: Path, change: bytes) -> None:
    """A new change that nobody has approved.

    Raises:
        HuzhengError: FILE_ACCESS.
    """
    try:
        write_new_file(path, strict.write(pb.ChangeMembership(change=change)), private=False)
    except OSError as error:
        raise HuzhengError(Code.FILE_ACCESS, f"{path}: {error.strerror}") from None


def read_changes(paths: Sequence[Path], genesis: Genesis) -> pb.ChangeMembership:
    """One change, with the approvals of all its copies.

    Raises:
        HuzhengError: BAD_FILE; WRONG_CHAIN, BAD_SIGNATURE, MALFORMED_TRANSACTION, NOT_STRICT of what is in them.
    """
    read = [_read(path, genesis) for path in paths]
    if any(operation.change != read[0].change for operation in read):
        raise HuzhengError(Code.BAD_FILE, "the files are of different changes")
    approvals = {approval.department: approval for operation in read for approval in operation.approvals}
    return _joined(read[0].change, approvals)


def add_approval(path: Path, genesis: Genesis, department: str, signer: Signer) -> pb.ChangeMembership:
    """Approves a change in the name of a department; the file has it from then on.

    Raises:
        HuzhengError: as `read_changes`; TLS_FILE_INVALID for a department with a CA that no node would rely on; FILE_ACCESS.
    """
    operation = read_changes([path], genesis)
    _check_authorities(path, read_change(operation.change, genesis))
    approvals = {approval.department: approval for approval in operation.approvals}
    approvals[department] = approve(operation.change, department, signer)
    approved = _joined(operation.change, approvals)
    try:
        replace_file(path, strict.write(approved), private=False)
    except OSError as error:
        raise HuzhengError(Code.FILE_ACCESS, f"{path}: {error.strerror}") from None
    return approved


def _check_authorities(path: Path, change: pb.MembershipChange) -> None:
    """Not a rule of the chain (M2), so that whoever approves has to see to it."""
    for action in change.actions:
        department = action.add_department
        if action.HasField("add_department") and sound_authority(department.ca_certificate) is None:
            raise HuzhengError(Code.TLS_FILE_INVALID, f"{path}: CA certificate of {department.id}")


def _joined(change: bytes, approvals: Mapping[str, pb.Approval]) -> pb.ChangeMembership:
    return pb.ChangeMembership(change=change, approvals=[approvals[department] for department in sorted(approvals)])


def _read(path: Path, genesis: Genesis) -> pb.ChangeMembership:
    raw = read_file(path, Code.BAD_FILE)
    try:
        operation = strict.read(pb.ChangeMembership, raw)
        read_change(operation.change, genesis)
    except HuzhengError as error:
        if error.code is Code.WRONG_CHAIN:
            raise
        raise HuzhengError(Code.BAD_FILE, f"{path}: no change of a membership") from None
    for approval in operation.approvals:
        check_approval(operation.change, approval, genesis)
    return operation

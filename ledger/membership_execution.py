"""Carries out a change of the membership (docs/protocol.md M3 to M5). Its form and signatures have been checked (T3)."""

from __future__ import annotations

from huzheng.v1 import genesis_pb2
from huzheng.v1 import membership_pb2 as pb
from huzheng.v1 import transaction_pb2 as tx

from ledger.crypto import Height, strict
from ledger.epochs import (
    EpochTerms,
    department_key,
    epoch_entries,
    has_department,
    newest_epoch,
    next_epoch,
)
from ledger.genesis import Genesis
from ledger.membership_change import read_seat
from ledger.outcome import Refused
from ledger.state import Overlay, RegisteredKey, admin_keys_key, read_key, signing_key_key


def change_membership(
    genesis: Genesis, state: Overlay, operation: pb.ChangeMembership, time_ms: int, place: tuple[Height, int]
) -> None:
    """Enters into the state what a change makes; `place` is the block and the position of its transaction.

    Raises:
        Refused.
    """
    change = strict.read(pb.MembershipChange, operation.change)
    current = newest_epoch(genesis, state)
    if current.first_height > place[0]:
        raise Refused(tx.RESULT_CODE_CHANGE_PENDING)
    if change.epoch != current.epoch:
        raise Refused(tx.RESULT_CODE_WRONG_EPOCH)
    if change.expires_ms <= time_ms:
        raise Refused(tx.RESULT_CODE_CHANGE_EXPIRED)
    _check_approvals(state, current, operation)
    for index, action in enumerate(change.actions):
        _enter(genesis, state, action, index)
    following = next_epoch(current, change, place, genesis.parameters.watermark_window)
    for key, value in epoch_entries(following):
        state.set(key, value)


def _check_approvals(state: Overlay, current: EpochTerms, operation: pb.ChangeMembership) -> None:
    voices = current.departments
    for index, approval in enumerate(operation.approvals):
        key = read_key(state, approval.public_key)
        if approval.department not in voices or key is None or key.department != approval.department:
            raise Refused(tx.RESULT_CODE_NOT_APPROVED, index)
        if key.revoked or key.role != genesis_pb2.KEY_ROLE_ADMIN:
            raise Refused(tx.RESULT_CODE_NOT_APPROVED, index)
    if len(operation.approvals) < current.approvals_needed:
        raise Refused(tx.RESULT_CODE_NOT_APPROVED, len(operation.approvals))


def _enter(genesis: Genesis, state: Overlay, action: pb.MembershipAction, index: int) -> None:
    """Departments and keys; who votes is `next_epoch`'s to say."""
    which = action.WhichOneof("action")
    if which == "add_department":
        _add_department(genesis, state, action.add_department, index)
    elif which in ("add_replica", "replace_key"):
        member = read_seat(action.add_replica if which == "add_replica" else action.replace_key)
        if not has_department(genesis, state, member.department):
            raise Refused(tx.RESULT_CODE_BAD_DEPARTMENT, index)
        key = RegisteredKey(member.department, genesis_pb2.KEY_ROLE_CONSENSUS)
        _register(genesis, state, member.public_key, key, index)


def _add_department(genesis: Genesis, state: Overlay, department: genesis_pb2.Department, index: int) -> None:
    if has_department(genesis, state, department.id):
        raise Refused(tx.RESULT_CODE_BAD_DEPARTMENT, index)
    state.set(department_key(department.id), strict.write(department))
    for key in department.keys:
        _register(genesis, state, key.public_key, RegisteredKey(department.id, key.role), index)
    admins = sum(key.role == genesis_pb2.KEY_ROLE_ADMIN for key in department.keys)
    state.set(admin_keys_key(department.id), admins.to_bytes(4, "big"))


def _register(genesis: Genesis, state: Overlay, public_key: bytes, key: RegisteredKey, index: int) -> None:
    if is_known_key(genesis, state, public_key):
        raise Refused(tx.RESULT_CODE_KEY_EXISTS, index)
    state.set(signing_key_key(public_key), key.encode())


def is_known_key(genesis: Genesis, state: Overlay, public_key: bytes) -> bool:
    """Whether a key is or was anybody's: no key is ever used twice."""
    votes = any(member.public_key == public_key for member in genesis.membership.members)
    return votes or read_key(state, public_key) is not None

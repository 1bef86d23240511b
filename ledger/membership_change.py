"""Changes of the membership, as far as they can be judged without any state, and how they are made (docs/protocol.md M2, M3, T3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from huzheng.v1 import genesis_pb2
from huzheng.v1 import membership_pb2 as pb
from huzheng.v1 import transaction_pb2 as tx

from ledger.crypto import Domain, Member, ReplicaId, Signer, strict
from ledger.errors import Code, HuzhengError
from ledger.genesis import DEPARTMENT_ROLES, MAX_REPLICAS, Genesis, read_department

MAX_CHANGE_BYTES = 32 * 1024
MAX_ACTIONS = 16
MAX_AUTHORITY_BYTES = 8 * 1024
MAX_REPLICA_ID = 999_999_999


def check_change(operation: pb.ChangeMembership, genesis: Genesis) -> None:
    """Checks form, limits and every signature of a change.

    Raises:
        HuzhengError: MALFORMED_TRANSACTION, NOT_STRICT, WRONG_CHAIN, BAD_SIGNATURE.
    """
    change = read_change(operation.change, genesis)
    for action in change.actions:
        _check_action(action, genesis)
    _check_approvals(operation, genesis)


def read_change(raw: bytes, genesis: Genesis) -> pb.MembershipChange:
    """A change of this chain, its actions not looked at yet.

    Raises:
        HuzhengError: MALFORMED_TRANSACTION, NOT_STRICT, WRONG_CHAIN.
    """
    if len(raw) > MAX_CHANGE_BYTES:
        raise _malformed(f"a change of the membership has at most {MAX_CHANGE_BYTES} bytes")
    change = strict.read(pb.MembershipChange, raw)
    if change.chain_id != genesis.chain_id:
        raise HuzhengError(Code.WRONG_CHAIN, "change of the membership")
    if not 1 <= len(change.actions) <= MAX_ACTIONS:
        raise _malformed(f"a change of the membership has 1 to {MAX_ACTIONS} actions")
    return change


def _check_action(action: pb.MembershipAction, genesis: Genesis) -> None:
    which = action.WhichOneof("action")
    if which is None:
        raise _malformed("an action this version does not know")
    if which == "add_department":
        _check_department(action.add_department, genesis)
    elif which == "add_replica":
        check_seat(action.add_replica, genesis)
    elif which == "replace_key":
        check_seat(action.replace_key, genesis)


def _check_department(message: genesis_pb2.Department, genesis: Genesis) -> None:
    try:
        department = read_department(message)
    except HuzhengError as error:
        raise _malformed(error.detail) from None
    if not 1 <= len(department.ca_certificate) <= MAX_AUTHORITY_BYTES:
        raise _malformed(f"a CA certificate has 1 to {MAX_AUTHORITY_BYTES} bytes")
    if any(key.role not in DEPARTMENT_ROLES for key in department.keys):
        raise _malformed("a department's key has no role that this version knows")
    if not all(genesis.suite.is_admissible_key(key.public_key) for key in department.keys):
        raise _malformed("a department's key is not admissible")


def read_seat(seat: pb.SeatReplica) -> Member:
    """Who sits down. Raises HuzhengError(NOT_STRICT)."""
    replica = strict.read(genesis_pb2.Replica, seat.replica)
    return Member(ReplicaId(replica.id), replica.department, replica.public_key)


def check_seat(seat: pb.SeatReplica, genesis: Genesis) -> Member:
    """Who sits down, having proven to have the key.

    Raises:
        HuzhengError: MALFORMED_TRANSACTION, NOT_STRICT, BAD_SIGNATURE.
    """
    member = read_seat(seat)
    if not 1 <= member.replica <= MAX_REPLICA_ID:
        raise _malformed(f"a replica's id is a number from 1 to {MAX_REPLICA_ID}")
    if not genesis.suite.is_admissible_key(member.public_key):
        raise _malformed("a replica's key is not admissible")
    message = genesis.chain_id + seat.replica
    if not genesis.suite.verify(Domain.SIGN_POSSESSION, member.public_key, message, seat.proof):
        raise HuzhengError(Code.BAD_SIGNATURE, "a replica's proof of its key")
    return member


def _check_approvals(operation: pb.ChangeMembership, genesis: Genesis) -> None:
    approvals = operation.approvals
    if not 1 <= len(approvals) <= MAX_REPLICAS:
        raise _malformed(f"a change of the membership has 1 to {MAX_REPLICAS} approvals")
    if any(a.department >= b.department for a, b in pairwise(approvals)):
        raise _malformed("approvals are not in strictly ascending order of departments")
    for approval in approvals:
        check_approval(operation.change, approval, genesis)


def check_approval(change: bytes, approval: pb.Approval, genesis: Genesis) -> None:
    """Raises HuzhengError(BAD_SIGNATURE). Whose key it is, execution judges."""
    if not genesis.suite.verify(Domain.SIGN_MEMBERSHIP, approval.public_key, change, approval.signature):
        raise HuzhengError(Code.BAD_SIGNATURE, "approval of a change of the membership")


def _malformed(detail: str) -> HuzhengError:
    return HuzhengError(Code.MALFORMED_TRANSACTION, detail)


# --- making them ---


def build_seat(genesis: Genesis, replica: int, department: str, signer: Signer) -> pb.SeatReplica:
    """A replica with its consensus key and the proof of it; `signer` has that key, which has signed nothing else yet."""
    raw = strict.write(genesis_pb2.Replica(id=replica, department=department, public_key=signer.public_key))
    return pb.SeatReplica(replica=raw, proof=signer.sign(Domain.SIGN_POSSESSION, genesis.chain_id + raw))


def build_change(genesis: Genesis, epoch: int, expires_ms: int, actions: Iterable[pb.MembershipAction]) -> bytes:
    """The bytes that departments sign.

    Raises:
        HuzhengError: as `check_change`, signatures of approvals excepted.
    """
    change = pb.MembershipChange(chain_id=genesis.chain_id, epoch=epoch, expires_ms=expires_ms, actions=actions)
    raw = strict.write(change)
    for action in read_change(raw, genesis).actions:
        _check_action(action, genesis)
    return raw


def approve(change: bytes, department: str, signer: Signer) -> pb.Approval:
    """A department's consent, by one of its admin keys."""
    signature = signer.sign(Domain.SIGN_MEMBERSHIP, change)
    return pb.Approval(department=department, public_key=signer.public_key, signature=signature)


def change_operation(change: bytes, approvals: Sequence[pb.Approval]) -> tx.Operation:
    """The operation that carries a change out; approvals are put in order."""
    ordered = sorted(approvals, key=lambda approval: approval.department)
    return tx.Operation(change_membership=pb.ChangeMembership(change=change, approvals=ordered))

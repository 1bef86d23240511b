"""Who votes, how many votes decide, and what a certificate proves (docs/protocol.md I2 to I4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from huzheng.v1 import block_pb2

from ledger.crypto import strict
from ledger.crypto.domains import Domain
from ledger.crypto.suite import Suite
from ledger.crypto.types import Epoch, Height, ReplicaId, View
from ledger.errors import Code, HuzhengError


def max_faulty(n: int) -> int:
    """f: how many of n replicas may be faulty (I2)."""
    return (n - 1) // 3


def quorum(n: int) -> int:
    """q: so many that any two quorums share a correct replica (I2). 2f + 1 is too few for n = 5, 6, 8, 9."""
    return (n + max_faulty(n)) // 2 + 1


@dataclass(frozen=True, slots=True)
class Member:
    """A replica that votes."""

    replica: ReplicaId
    department: str
    public_key: bytes


@dataclass(frozen=True, slots=True)
class Membership:
    """The replicas of one epoch, ordered by id."""

    chain_id: bytes
    epoch: Epoch
    members: tuple[Member, ...]
    n: int = field(init=False, repr=False, compare=False)
    """Number of replicas."""
    f: int = field(init=False, repr=False, compare=False)
    """How many may be faulty."""
    q: int = field(init=False, repr=False, compare=False)
    """How many make a quorum."""
    _positions: Mapping[ReplicaId, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ids = [member.replica for member in self.members]
        if not ids or ids[0] < 1 or any(a >= b for a, b in pairwise(ids)):
            raise ValueError("a membership has members, in strictly ascending order of ids from 1")
        n = len(ids)
        for name, number in (("n", n), ("f", max_faulty(n)), ("q", quorum(n))):
            object.__setattr__(self, name, number)
        object.__setattr__(self, "_positions", {replica: index for index, replica in enumerate(ids)})

    def member(self, replica: ReplicaId) -> Member | None:
        """The member with this id, or None."""
        index = self._positions.get(replica)
        return None if index is None else self.members[index]

    def primary(self, view: View) -> ReplicaId:
        """Who proposes in the view (I3)."""
        return self.members[view % len(self.members)].replica


def seal_message(chain_id: bytes, epoch: Epoch, height: Height, block_hash: bytes) -> bytes:
    """What a seal signs, in the domain SIGN_SEAL: the chain id, then a Seal in strict form."""
    return chain_id + strict.write(block_pb2.Seal(epoch=epoch, height=height, block_hash=block_hash))


def build_certificate(membership: Membership, seals: Mapping[ReplicaId, bytes]) -> bytes:
    """The certificate, in strict form, of the q members with the lowest ids among `seals`.

    The caller has verified the signatures.

    Raises:
        HuzhengError: BAD_CERTIFICATE if there are seals of fewer than q members.
    """
    chosen = [member.replica for member in membership.members if member.replica in seals][: membership.q]
    if len(chosen) < membership.q:
        raise HuzhengError(Code.BAD_CERTIFICATE, f"{len(chosen)} seals, the quorum is {membership.q}")
    signatures = [block_pb2.SealSignature(replica=replica, signature=seals[replica]) for replica in chosen]
    return strict.write(block_pb2.Certificate(seals=signatures))


def verify_certificate(
    suite: Suite, membership: Membership, certificate: bytes, height: Height, block_hash: bytes
) -> None:
    """Accept a certificate for this block (I4): strict form, exactly q seals, members in ascending order, each valid.

    Raises:
        HuzhengError: BAD_CERTIFICATE.
    """
    try:
        seals = strict.read(block_pb2.Certificate, certificate).seals
    except HuzhengError:
        raise HuzhengError(Code.BAD_CERTIFICATE, "not in strict form") from None
    if len(seals) != membership.q:
        raise HuzhengError(Code.BAD_CERTIFICATE, f"{len(seals)} seals, the quorum is {membership.q}")
    if any(a.replica >= b.replica for a, b in pairwise(seals)):
        raise HuzhengError(Code.BAD_CERTIFICATE, "the seals are not in strictly ascending order of replicas")
    message = seal_message(membership.chain_id, membership.epoch, height, block_hash)
    for seal in seals:
        member = membership.member(ReplicaId(seal.replica))
        if member is None:
            raise HuzhengError(Code.BAD_CERTIFICATE, "a seal is by a replica that is no member")
        if not suite.verify(Domain.SIGN_SEAL, member.public_key, message, seal.signature):
            raise HuzhengError(Code.BAD_CERTIFICATE, f"the seal of replica {seal.replica} does not verify")

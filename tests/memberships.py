"""Changes of the membership of a test consortium, and chains on which they are carried out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from huzheng.v1 import genesis_pb2
from huzheng.v1 import membership_pb2 as pb

from ledger.crypto import Height, ReplicaId
from ledger.epochs import EpochTerms, epoch_at
from ledger.genesis import Parameters
from ledger.membership_change import approve, build_change, build_seat, change_operation
from ledger.rules import RULES, Rules
from ledger.store import ChainStore
from tests.builders import Chain, Consortium

WINDOW = 4
APPROVERS = ("housing", "planning", "police")


def changeable(n: int = 4, rules: dict[int, Rules] | None = None) -> Consortium:
    """A consortium whose protocol has changes of the membership, with the smallest window."""
    parameters = Parameters(watermark_window=WINDOW)
    return Consortium(n=n, parameters=parameters, rules=rules or RULES)


def seat(consortium: Consortium, replica: int, department: str = "tax", key: str = "") -> pb.SeatReplica:
    """A replica with a key that follows from its name."""
    signer = consortium.signer(key or f"replica {replica}")
    consortium.replica_signers[ReplicaId(1_000_000 + len(consortium.replica_signers))] = signer
    return build_seat(consortium.genesis, replica, department, signer)


def add(consortium: Consortium, replica: int, department: str = "tax", key: str = "") -> pb.MembershipAction:
    """Adds a replica."""
    return pb.MembershipAction(add_replica=seat(consortium, replica, department, key))


def rekey(consortium: Consortium, replica: int, department: str, key: str) -> pb.MembershipAction:
    """Replaces a replica's key."""
    return pb.MembershipAction(replace_key=seat(consortium, replica, department, key))


def remove(replica: int) -> pb.MembershipAction:
    """Removes a replica."""
    return pb.MembershipAction(remove_replica=pb.RemoveReplica(replica=replica))


def activate(version: int) -> pb.MembershipAction:
    """Activates a protocol version."""
    return pb.MembershipAction(activate_protocol=pb.ActivateProtocol(version=version))


def add_department(consortium: Consortium, name: str = "water", key: str = "") -> pb.MembershipAction:
    """Adds a department with one admin key."""
    public_key = consortium.signer(key or f"{name} admin").public_key
    keys = [genesis_pb2.SigningKey(public_key=public_key, role=genesis_pb2.KEY_ROLE_ADMIN)]
    department = genesis_pb2.Department(id=name, name_zh=name, name_en=name, ca_certificate=b"ca", keys=keys)
    return pb.MembershipAction(add_department=department)


def change_transaction(
    consortium: Consortium,
    *actions: pb.MembershipAction,
    epoch: int = 0,
    approvers: Sequence[str] = APPROVERS,
    expires_ms: int | None = None,
    nonce: int = 900,
) -> bytes:
    """A change, approved by the admin keys of these departments, submitted by planning."""
    expires_ms = consortium.now_ms + 1_000_000 if expires_ms is None else expires_ms
    change = build_change(consortium.genesis, epoch, expires_ms, actions)
    approvals = [approve(change, name, consortium.signer(f"{name} admin")) for name in approvers]
    return consortium.transaction(operations=[change_operation(change, approvals)], nonce=nonce + epoch)


def grow_to(chain: Chain, height: int) -> None:
    """Adds null blocks until the chain has this height."""
    while chain.tip.height < height:
        chain.add_null()


def terms_at(chain: Chain, height: int) -> EpochTerms:
    """The epoch of a height, as the chain's newest state tells."""
    return epoch_at(chain.consortium.genesis, chain.state, Height(height))


def stored(path: Path, chain: Chain) -> ChainStore:
    """The chain in a new database, each block sealed by the members of its epoch."""
    store = ChainStore.open(path, chain.consortium.genesis)
    store_up_to(store, chain, chain.tip.height)
    return store


def store_up_to(store: ChainStore, chain: Chain, height: int) -> None:
    """Appends the chain's next blocks, each sealed by the members of its epoch."""
    for block in chain.blocks[store.tip.height + 1 : height + 1]:
        membership = terms_at(chain, block.height).membership
        store.append(block, chain.consortium.certificate(block, membership))


def carry_out(chain: Chain, *steps: Sequence[pb.MembershipAction]) -> None:
    """One change after the other, each when the one before is in force, with a record in each epoch."""
    for epoch, actions in enumerate(steps):
        chain.add(chain.consortium.transaction([chain.consortium.record(epoch + 1)], nonce=epoch))
        voices = sorted(terms_at(chain, chain.tip.height).departments)
        chain.add(change_transaction(chain.consortium, *actions, epoch=epoch, approvers=voices))
        grow_to(chain, chain.tip.height + WINDOW)
    chain.add(chain.consortium.transaction([chain.consortium.record(len(steps) + 1)], nonce=len(steps)))

"""A chain whose members change, and receipts from before and after (docs/protocol.md M1 to M5, R8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from huzheng.v1 import block_pb2, genesis_pb2
from huzheng.v1 import membership_pb2 as membership
from huzheng.v1 import transaction_pb2 as pb

from ledger.crypto import Domain
from tests.naive import merkle
from tests.naive.ledger import tagged_hash
from tests.vectors import example
from tests.vectors.example import Built, signer, transaction, transaction_id, write

_WINDOW = 8
CHANGED = 7
FIRST = CHANGED + _WINDOW + 1
"""The first height of epoch 1 (M5)."""


def _seat(replica: int, department: str, key: str, chain_id: bytes = example.CHAIN_ID) -> membership.SeatReplica:
    raw = write(genesis_pb2.Replica(id=replica, department=department, public_key=signer(key).public_key))
    return membership.SeatReplica(replica=raw, proof=signer(key).sign(Domain.SIGN_POSSESSION, chain_id + raw))


def _change(epoch: int = 0, chain_id: bytes = example.CHAIN_ID, joins: int = 6) -> bytes:
    """Department gamma joins, with a replica."""
    actions = [
        membership.MembershipAction(add_department=_gamma()),
        membership.MembershipAction(add_replica=_seat(joins, "gamma", f"replica {joins}", chain_id)),
    ]
    return write(
        membership.MembershipChange(chain_id=chain_id, epoch=epoch, expires_ms=example.EXPIRES_MS, actions=actions)
    )


def changing(chain_id: bytes = example.CHAIN_ID, joins: int = 6) -> bytes:
    """The transaction with the change."""
    return _transaction(_change(0, chain_id, joins), chain_id)


def _too_much() -> bytes:
    """Of five replicas two are new: the three that stay are no quorum."""
    actions = [
        membership.MembershipAction(add_replica=_seat(6, "alpha", "replica 6")),
        membership.MembershipAction(replace_key=_seat(2, "beta", "replica 2 again")),
    ]
    return write(membership.MembershipChange(chain_id=example.CHAIN_ID, expires_ms=example.EXPIRES_MS, actions=actions))


def _gamma() -> genesis_pb2.Department:
    department = example.department("gamma")
    department.ca_certificate = b"certificate"
    return department


def _transaction(change: bytes, chain_id: bytes = example.CHAIN_ID) -> bytes:
    approvals = [
        membership.Approval(
            department=name,
            public_key=signer(f"{name} admin").public_key,
            signature=signer(f"{name} admin").sign(Domain.SIGN_MEMBERSHIP, change),
        )
        for name in ("alpha", "beta")
    ]
    operation = pb.Operation(change_membership=membership.ChangeMembership(change=change, approvals=approvals))
    return transaction(key="alpha admin", operations=[operation], chain_id=chain_id)


def certified(
    header: bytes, epoch: int, height: int, replicas: Sequence[int], chain_id: bytes = example.CHAIN_ID
) -> bytes:
    """The certificate of a block of some epoch, by these replicas."""
    seal = write(block_pb2.Seal(epoch=epoch, height=height, block_hash=tagged_hash("block", header)))
    seals = [
        block_pb2.SealSignature(
            replica=replica, signature=signer(f"replica {replica}").sign(Domain.SIGN_SEAL, chain_id + seal)
        )
        for replica in replicas
    ]
    return write(block_pb2.Certificate(seals=seals))


def sealed(
    height: int,
    epoch: int,
    raw: bytes,
    replicas: Sequence[int],
    code: int = 1,
    chain_id: bytes = example.CHAIN_ID,
    **fields: Any,
) -> block_pb2.EpochProof:
    """A block with one transaction, sealed by these replicas, in the form of a proof. `fields`: others of its header."""
    identifier = transaction_id(raw)
    result = write(pb.TransactionResult(transaction_id=identifier, code=code))  # type: ignore[arg-type]
    header = write(
        block_pb2.BlockHeader(
            chain_id=chain_id,
            height=height,
            epoch=epoch,
            proposer=1,
            time_ms=example.NOW_MS,
            protocol_version=3,
            transaction_count=1,
            transactions_root=merkle.root([identifier]),
            results_root=merkle.root([tagged_hash("result", result)]),
            **fields,
        )
    )
    return block_pb2.EpochProof(
        header=header,
        certificate=certified(header, epoch, height, replicas, chain_id),
        body=pb.Transaction.FromString(raw).body,
        result=result,
    )


def receipt_of(block: block_pb2.EpochProof, raw: bytes, epochs: Sequence[block_pb2.EpochProof]) -> str:
    """Of a block's only transaction, in hexadecimal."""
    return write(
        block_pb2.Receipt(
            header=block.header,
            certificate=block.certificate,
            body=block.body,
            signature=pb.Transaction.FromString(raw).signature,
            result=block.result,
            epochs=epochs,
        )
    ).hex()


def first_change() -> block_pb2.EpochProof:
    """That epoch 0 ended, by rights."""
    return sealed(CHANGED, 0, _transaction(_change()), (1, 2, 3))


def _receipts() -> list[dict[str, object]]:
    change_raw = changing()
    record = transaction(Built())
    change = first_change()
    after = sealed(FIRST, 1, record, (1, 2, 5, 6))
    wrong = {
        "without its path": ("EPOCH_UNKNOWN", after, []),
        "path with a change too many": ("EPOCH_UNKNOWN", after, [change, change]),
        "sealed by the members before": ("BAD_CERTIFICATE", sealed(FIRST, 1, record, (1, 2, 3)), [change]),
        "sealed by one seal too few": ("BAD_CERTIFICATE", sealed(FIRST, 1, record, (1, 2, 6)), [change]),
        "sealed by a replica that never was": (
            "BAD_CERTIFICATE",
            sealed(FIRST, 1, record, (1, 2, 4, 6)),
            [change],
        ),
        "block before the epoch's first": ("BAD_PROOF", sealed(FIRST - 1, 1, record, (1, 2, 5, 6)), [change]),
        "change that was refused": ("BAD_PROOF", after, [sealed(CHANGED, 0, change_raw, (1, 2, 3), 24)]),
        "change without certificate": ("BAD_CERTIFICATE", after, [sealed(CHANGED, 0, change_raw, ())]),
        "change that is none": ("BAD_PROOF", after, [sealed(CHANGED, 0, record, (1, 2, 3))]),
        "change for another epoch": ("BAD_PROOF", after, [sealed(CHANGED, 0, _transaction(_change(1)), (1, 2, 3))]),
        "change of too much at once": (
            "BAD_PROOF",
            after,
            [sealed(CHANGED, 0, _transaction(_too_much()), (1, 2, 3))],
        ),
        "change sealed by who joins by it": ("BAD_CERTIFICATE", after, [sealed(CHANGED, 0, change_raw, (1, 2, 6))]),
    }
    cases: list[dict[str, object]] = [
        {"name": "before the change", "code": None, "epoch": 0, "receipt": receipt_of(change, change_raw, [])},
        {"name": "after the change", "code": None, "epoch": 1, "receipt": receipt_of(after, record, [change])},
    ]
    cases += [
        {"name": name, "code": code, "epoch": None, "receipt": receipt_of(block, record, epochs)}
        for name, (code, block, epochs) in wrong.items()
    ]
    return cases


def _file() -> dict[str, object]:
    change = _change()
    return {
        "source": "Our own, written by scripts/gen_vectors.",
        "genesis": example.GENESIS.hex(),
        "change": change.hex(),
        "transaction": _transaction(change).hex(),
        "changed_at": CHANGED,
        "first_height": FIRST,
        "members": [
            {"replica": replica, "public_key": signer(f"replica {replica}").public_key.hex()}
            for replica in (1, 2, 3, 5, 6)
        ],
        "receipts": _receipts(),
    }


VECTORS = {"membership.json": _file}

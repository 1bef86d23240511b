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


def _seat(replica: int, department: str, key: str) -> membership.SeatReplica:
    raw = write(genesis_pb2.Replica(id=replica, department=department, public_key=signer(key).public_key))
    return membership.SeatReplica(replica=raw, proof=signer(key).sign(Domain.SIGN_POSSESSION, example.CHAIN_ID + raw))


def _change(epoch: int = 0) -> bytes:
    """Department gamma joins, with replica 6."""
    actions = [
        membership.MembershipAction(add_department=_gamma()),
        membership.MembershipAction(add_replica=_seat(6, "gamma", "replica 6")),
    ]
    return write(
        membership.MembershipChange(
            chain_id=example.CHAIN_ID, epoch=epoch, expires_ms=example.EXPIRES_MS, actions=actions
        )
    )


def changing() -> bytes:
    """The transaction with the change."""
    return _transaction(_change())


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


def _transaction(change: bytes) -> bytes:
    approvals = [
        membership.Approval(
            department=name,
            public_key=signer(f"{name} admin").public_key,
            signature=signer(f"{name} admin").sign(Domain.SIGN_MEMBERSHIP, change),
        )
        for name in ("alpha", "beta")
    ]
    operation = pb.Operation(change_membership=membership.ChangeMembership(change=change, approvals=approvals))
    return transaction(key="alpha admin", operations=[operation])


def sealed(
    height: int, epoch: int, raw: bytes, replicas: Sequence[int], code: int = 1, **fields: Any
) -> block_pb2.EpochProof:
    """A block with one transaction, sealed by these replicas, in the form of a proof. `fields`: others of its header."""
    identifier = transaction_id(raw)
    result = write(pb.TransactionResult(transaction_id=identifier, code=code))  # type: ignore[arg-type]
    header = write(
        block_pb2.BlockHeader(
            chain_id=example.CHAIN_ID,
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
    seal = write(block_pb2.Seal(epoch=epoch, height=height, block_hash=tagged_hash("block", header)))
    seals = [
        block_pb2.SealSignature(
            replica=replica, signature=signer(f"replica {replica}").sign(Domain.SIGN_SEAL, example.CHAIN_ID + seal)
        )
        for replica in replicas
    ]
    return block_pb2.EpochProof(
        header=header,
        certificate=write(block_pb2.Certificate(seals=seals)),
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

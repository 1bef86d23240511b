"""How transactions end, as tests say and compare it, and what they are made of where `Consortium` makes none such."""

from __future__ import annotations

from collections.abc import Sequence

from huzheng.v1 import genesis_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.block import ExecutedBlock
from ledger.crypto import ReplicaId, Signer
from ledger.transaction import WellFormedBatch, check_transaction
from tests.builders import Chain, Consortium
from tests.naive.ledger import Result

SYSTEM, ADMIN = genesis_pb2.KEY_ROLE_SYSTEM, genesis_pb2.KEY_ROLE_ADMIN


def results(block: ExecutedBlock) -> list[Result]:
    """Code and index of each transaction."""
    messages = [pb.TransactionResult.FromString(raw) for raw in block.results]
    assert tuple(message.code for message in messages) == block.codes
    assert [message.transaction_id for message in messages] == [item.id for item in block.transactions]
    return [(pb.ResultCode.Name(message.code).removeprefix("RESULT_CODE_"), message.index) for message in messages]


def one(chain: Chain, raw: bytes, time_ms: int | None = None) -> Result:
    """How a transaction alone in a block ends."""
    return results(chain.add(raw, time_ms=time_ms))[0]


def add_key(signer: Signer | bytes, role: int = SYSTEM) -> pb.Operation:
    public_key = signer if isinstance(signer, bytes) else signer.public_key
    key = genesis_pb2.SigningKey(public_key=public_key, role=role)  # type: ignore[arg-type]
    return pb.Operation(add_key=pb.AddKey(key=key))


def revoke_key(signer: Signer) -> pb.Operation:
    return pb.Operation(revoke_key=pb.RevokeKey(public_key=signer.public_key))


def unchecked_batch(consortium: Consortium, time_ms: int, *raws: bytes) -> WellFormedBatch:
    """A batch that may break T4, as one in a fetched block could."""
    transactions = tuple(check_transaction(raw, consortium.genesis) for raw in raws)
    return WellFormedBatch(b"?", ReplicaId(1), time_ms, transactions)


def with_revoked_keys(chain: Chain) -> Chain:
    """Adds and revokes keys of two departments."""
    consortium = chain.consortium
    old, old_admin, foreign = (consortium.signer(name) for name in ("revoked", "revoked admin", "tax revoked"))
    own = [add_key(old), add_key(old_admin, ADMIN), revoke_key(old), revoke_key(old_admin)]
    tax = [add_key(foreign), revoke_key(foreign)]
    block = chain.add(
        consortium.transaction(operations=own, nonce=900),
        consortium.transaction(operations=tax, department="tax", nonce=901),
    )
    assert results(block) == [("ACCEPTED", 0)] * 2
    return chain


def payload(fields: Sequence[tuple[int, str]], salt: bytes = b"s" * 16) -> bytes:
    values = [pb.FieldValue(number=number, value=value) for number, value in fields]
    return pb.Payload(salt=salt, fields=values).SerializeToString(deterministic=True)

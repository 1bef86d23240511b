"""Orders to erase confidential values and to remove payloads (docs/protocol.md section 17)."""

from __future__ import annotations

from dataclasses import dataclass

from huzheng.v1 import sharing_pb2 as sharing
from huzheng.v1 import transaction_pb2 as pb

from ledger.catalogue_rules import MAX_LEGAL_BYTES, is_ascending
from ledger.crypto import HASH_BYTES, strict
from ledger.sharing.context import Context
from ledger.state.entries import StateReader

MAX_RECORDS = 256
"""Of one order."""
ERASURE_PREFIX = b"x"
EXPUNGE_PREFIX = b"p"


def erasure_key(department: str, record_id: bytes) -> bytes:
    """Where an erasure is kept, as an `ErasureState`."""
    return b"%s%s\0%s" % (ERASURE_PREFIX, department.encode(), record_id)


@dataclass(frozen=True, slots=True)
class ExpungeOrder:
    """Which payload is to be removed: of the record at a position in a transaction, if that is the department's."""

    department: str
    transaction_id: bytes
    position: int


def expunges_prefix(department: str, transaction_id: bytes) -> bytes:
    """What the keys of all a department's expunges in a transaction start with."""
    return b"%s%s\0%s" % (EXPUNGE_PREFIX, department.encode(), transaction_id)


def expunge_key(department: str, transaction_id: bytes, position: int) -> bytes:
    """Where an expunge is kept, as an `ExpungeState`."""
    return expunges_prefix(department, transaction_id) + position.to_bytes(4, "big")


def read_expunge_key(key: bytes) -> ExpungeOrder:
    """What the key of an expunge says."""
    department, rest = key[len(EXPUNGE_PREFIX) :].split(b"\0", 1)
    return ExpungeOrder(department.decode(), rest[:HASH_BYTES], int.from_bytes(rest[HASH_BYTES:], "big"))


def find_expunge(
    state: StateReader, department: str, transaction_id: bytes, position: int
) -> sharing.ExpungeState | None:
    """An expunge that was ordered, or None. Raises HuzhengError(NOT_STRICT) if the state is damaged there."""
    raw = state.get(expunge_key(department, transaction_id, position))
    return None if raw is None else strict.read(sharing.ExpungeState, raw)


def is_erased(state: StateReader, department: str, record_id: bytes) -> bool:
    """Whether a department has ordered the erasure of a record's values."""
    return state.get(erasure_key(department, record_id)) is not None


def find_erasure(state: StateReader, department: str, record_id: bytes) -> sharing.ErasureState | None:
    """An erasure that was ordered, or None. Raises HuzhengError(NOT_STRICT) if the state is damaged there."""
    raw = state.get(erasure_key(department, record_id))
    return None if raw is None else strict.read(sharing.ErasureState, raw)


def order_erasure(context: Context, operation: sharing.OrderErasure) -> None:
    """E1."""
    context.require(1 <= len(operation.records) <= MAX_RECORDS and is_ascending(operation.records))
    context.require_text(operation.legal_basis, MAX_LEGAL_BYTES)
    state = strict.write(
        sharing.ErasureState(height=context.height, time_ms=context.time_ms, legal_basis=operation.legal_basis)
    )
    for record_id in operation.records:
        context.require_hash(record_id)
        context.require(not is_erased(context.state, context.department, record_id), pb.RESULT_CODE_ALREADY_DONE)
        context.state.set(erasure_key(context.department, record_id), state)


def acknowledge_erasure(context: Context, operation: sharing.AcknowledgeErasure) -> None:
    """E2."""
    context.require_hash(operation.record)
    state = find_erasure(context.state, operation.department, operation.record)
    if state is None:
        raise context.refuse(pb.RESULT_CODE_NOT_PUBLISHED)
    done = {item.department: item for item in state.done}
    context.require(context.department not in done, pb.RESULT_CODE_ALREADY_DONE)
    done[context.department] = sharing.ErasureDone(department=context.department, time_ms=context.time_ms)
    del state.done[:]
    state.done.extend(done[department] for department in sorted(done))
    context.state.set(erasure_key(operation.department, operation.record), strict.write(state))


def order_expunge(context: Context, operation: sharing.Expunge) -> None:
    """E3."""
    context.require_hash(operation.transaction_id)
    context.require(operation.record_index < context.genesis.parameters.max_transaction_records)
    context.require_text(operation.legal_basis, MAX_LEGAL_BYTES)
    key = expunge_key(context.department, operation.transaction_id, operation.record_index)
    context.require(context.state.get(key) is None, pb.RESULT_CODE_ALREADY_DONE)
    state = sharing.ExpungeState(height=context.height, time_ms=context.time_ms, legal_basis=operation.legal_basis)
    context.state.set(key, strict.write(state))

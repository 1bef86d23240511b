"""Transactions and batches that are well formed: what can be judged without any state (docs/protocol.md T1 to T4).

A `WellFormedTransaction` can only be got from `check_transaction` and `check_batch`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from huzheng.v1 import transaction_pb2 as pb

from ledger import merkle
from ledger.crypto import HASH_BYTES, Domain, ReplicaId, Suite, strict
from ledger.errors import Code, HuzhengError
from ledger.expunged import is_removed, judgement
from ledger.genesis import MAX_TIME_MS, PROTOCOL_VERSION, Genesis, Parameters
from ledger.membership_change import check_change

NONCE_BYTES = 16
MAX_OPERATIONS = 16
MAX_RELIANCE = 16
"""Records that one record may cite."""

INCONCLUSIVE = (pb.RESULT_CODE_LIFETIME_TOO_LONG, pb.RESULT_CODE_EXPIRED, pb.RESULT_CODE_REPEATED)
"""Refusals that say nothing of how the same transaction ended in another block (X4)."""


@dataclass(frozen=True, slots=True)
class RecordInTransaction:
    """A record whose id, payload digest and place in its transaction hold."""

    id: bytes
    raw: bytes
    record: pb.Record
    payload: bytes
    removed: pb.ResultCode.ValueType | None = None
    """None where the payload is here. Where it was removed: what X5's checks of it came to when it was there (E4)."""


@dataclass(frozen=True, slots=True)
class WellFormedTransaction:
    """A transaction for which T3 holds, its signature included."""

    id: bytes
    raw: bytes
    body_raw: bytes
    body: pb.TransactionBody
    signature: bytes
    records: tuple[RecordInTransaction, ...]

    @property
    def department(self) -> str:
        """Who submits it."""
        return self.body.department

    @property
    def expires_ms(self) -> int:
        """From this block time on it is never executed."""
        return self.body.expires_ms


@dataclass(frozen=True, slots=True)
class WellFormedBatch:
    """A batch for which T4 holds."""

    raw: bytes
    proposer: ReplicaId
    """0 for the null batch."""
    proposed_ms: int
    transactions: tuple[WellFormedTransaction, ...]


Known = Callable[[bytes], WellFormedTransaction | None]
"""Finds a transaction by its bytes among those that were checked before."""


def check_transaction(
    raw: bytes, genesis: Genesis, result: pb.TransactionResult | None = None
) -> WellFormedTransaction:
    """Reads a transaction and checks T3: first what is cheap, then the signature, then what the signature covers.

    `result`: how it ended, which the caller has proved. Payloads that were removed may be missing then, and only then (E4).

    Raises:
        HuzhengError: TOO_LARGE, NOT_STRICT, WRONG_CHAIN, MALFORMED_TRANSACTION, BAD_SIGNATURE.
    """
    parameters, suite = genesis.parameters, genesis.suite
    if len(raw) > parameters.max_transaction_bytes:
        raise HuzhengError(Code.TOO_LARGE, f"a transaction may have {parameters.max_transaction_bytes} bytes")
    transaction = strict.read(pb.Transaction, raw)
    body_raw, signature = transaction.body, transaction.signature
    body = strict.read(pb.TransactionBody, body_raw)
    _check_body(body, genesis)
    _check_counts(transaction, body, parameters)
    if not suite.verify(Domain.SIGN_TRANSACTION, body.public_key, body_raw, signature):
        raise HuzhengError(Code.BAD_SIGNATURE, "transaction")
    for operation in body.operations:
        if operation.HasField("change_membership"):
            check_change(operation.change_membership, genesis)
    raw_records = list(transaction.records)
    ids = _check_root(raw_records, body, suite)
    records = tuple(
        _check_record((identifier, position), record, payload, genesis, result)
        for position, (identifier, record, payload) in enumerate(
            zip(ids, raw_records, transaction.payloads, strict=True)
        )
    )
    return WellFormedTransaction(suite.digest(Domain.TRANSACTION, body_raw), raw, body_raw, body, signature, records)


def _check_body(body: pb.TransactionBody, genesis: Genesis) -> None:
    if body.chain_id != genesis.chain_id:
        raise HuzhengError(Code.WRONG_CHAIN, "transaction")
    if len(body.nonce) != NONCE_BYTES:
        raise _malformed(f"the nonce has {NONCE_BYTES} bytes")
    if len(body.operations) > MAX_OPERATIONS:
        raise _malformed(f"more than {MAX_OPERATIONS} operations")
    if not body.record_count and not body.operations:
        raise _malformed("neither records nor operations")
    kinds = [operation.WhichOneof("operation") for operation in body.operations]
    if any(kind not in genesis.rules[PROTOCOL_VERSION].operations for kind in kinds):
        raise _malformed("an operation this version does not know")
    if "change_membership" in kinds and (len(kinds) > 1 or body.record_count):
        raise _malformed("a change of the membership stands alone in its transaction")


def _check_counts(transaction: pb.Transaction, body: pb.TransactionBody, parameters: Parameters) -> None:
    count = len(transaction.records)
    if count != body.record_count or len(transaction.payloads) != count:
        raise _malformed("record_count, records and payloads differ in number")
    if count > parameters.max_transaction_records:
        raise HuzhengError(Code.TOO_LARGE, f"a transaction may have {parameters.max_transaction_records} records")


def _check_root(raw_records: Sequence[bytes], body: pb.TransactionBody, suite: Suite) -> list[bytes]:
    ids = [suite.digest(Domain.RECORD, raw) for raw in raw_records]
    if (merkle.root(suite, ids) if ids else b"") != body.records_root:
        raise _malformed("records_root is not the root over the records")
    # Of two equal leaves each could be proved at the place of the other.
    if len(set(ids)) != len(ids):
        raise _malformed("a record twice")
    return ids


def _check_record(
    place: tuple[bytes, int], raw: bytes, payload: bytes, genesis: Genesis, result: pb.TransactionResult | None
) -> RecordInTransaction:
    """`place`: its id and its position."""
    identifier, position = place
    parameters, suite, removed = genesis.parameters, genesis.suite, None
    record = strict.read(pb.Record, raw)
    if len(payload) > parameters.max_payload_bytes:
        raise HuzhengError(Code.TOO_LARGE, f"a payload may have {parameters.max_payload_bytes} bytes")
    if suite.digest(Domain.PAYLOAD, payload) != record.payload_digest:
        if result is None or not is_removed(suite, record, payload):
            raise _malformed("a payload is not the one its record commits to")
        removed = judgement(result, position)
    if record.version < 1 or len(record.replaces) != (HASH_BYTES if record.version > 1 else 0):
        raise _malformed("version or replaces")
    if record.action == pb.RECORD_ACTION_REVOKE:
        if record.version < 2 or payload or record.confidential_root:
            raise _malformed("a revoking record has a version from 2 on, no payload and no confidential fields")
    elif record.action != pb.RECORD_ACTION_ASSERT:
        raise _malformed("action")
    if len(record.confidential_root) not in (0, HASH_BYTES):
        raise _malformed("confidential_root")
    check_reliance(record.relies_on)
    return RecordInTransaction(identifier, raw, record, payload, removed)


def check_reliance(relies_on: Sequence[pb.Reliance]) -> None:
    """What T3 says of the records that one relies on.

    Raises:
        HuzhengError: MALFORMED_TRANSACTION.
    """
    if len(relies_on) > MAX_RELIANCE:
        raise _malformed(f"a record relies on at most {MAX_RELIANCE} others")
    if any((a.resource, a.subject) >= (b.resource, b.subject) for a, b in pairwise(relies_on)):
        raise _malformed("what a record relies on is not in strictly ascending order")
    if any(len(relied.record_id) != HASH_BYTES for relied in relies_on):
        raise _malformed("a record's id has 32 bytes")


def _malformed(detail: str) -> HuzhengError:
    return HuzhengError(Code.MALFORMED_TRANSACTION, detail)


def check_batch(raw: bytes, genesis: Genesis, known: Known) -> WellFormedBatch:
    """Reads a batch and checks T4. Transactions that `known` finds are not checked again.

    Raises:
        HuzhengError: BAD_BATCH, or what `check_transaction` raises.
    """
    if not raw:
        return WellFormedBatch(raw, ReplicaId(0), 0, ())
    parameters = genesis.parameters
    if len(raw) > parameters.max_batch_bytes:
        raise HuzhengError(Code.BAD_BATCH, "too large")
    batch = strict.read(pb.Batch, raw)
    if batch.proposer < 1:
        raise HuzhengError(Code.BAD_BATCH, "no proposer")
    if batch.proposed_ms > MAX_TIME_MS:
        raise HuzhengError(Code.BAD_BATCH, "a time after the year 9999")
    if len(batch.transactions) > parameters.max_batch_transactions:
        raise HuzhengError(Code.BAD_BATCH, "too many transactions")
    transactions = tuple(known(item) or check_transaction(item, genesis) for item in batch.transactions)
    if len({transaction.id for transaction in transactions}) != len(transactions):
        raise HuzhengError(Code.BAD_BATCH, "a transaction twice")
    latest_ms = batch.proposed_ms + parameters.max_lifetime_ms
    if any(transaction.expires_ms > latest_ms for transaction in transactions):
        raise HuzhengError(Code.BAD_BATCH, "a transaction that lives too long")
    return WellFormedBatch(raw, ReplicaId(batch.proposer), batch.proposed_ms, transactions)


def encode_batch(proposer: ReplicaId, proposed_ms: int, transactions: Sequence[bytes]) -> bytes:
    """A batch in strict form."""
    return strict.write(pb.Batch(proposer=proposer, proposed_ms=proposed_ms, transactions=transactions))

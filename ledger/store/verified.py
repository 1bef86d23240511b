"""Blocks and transactions as read back, checked against what commits to them, with the trees that proofs need."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from huzheng.v1 import block_pb2, store_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger import merkle
from ledger.crypto import Domain
from ledger.errors import Code, HuzhengError
from ledger.expunged import is_removed
from ledger.genesis import Genesis
from ledger.receipt import BlockProofs, block_proofs
from ledger.store.cache import WeightedCache
from ledger.store.layout import Place

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True)
class VerifiedBlock:
    """A block's results are those that its header commits to. Only `verify_block` makes one."""

    transaction_ids: tuple[bytes, ...]
    proofs: BlockProofs

    @property
    def results(self) -> tuple[bytes, ...]:
        """TransactionResults in their order."""
        return self.proofs.results


@dataclass(frozen=True, slots=True)
class VerifiedTransaction:
    """A transaction's records and payloads are those that its body commits to, but for payloads that were removed.

    Only `verify_transaction` makes one.
    """

    id: bytes
    message: pb.Transaction
    department: str
    record_ids: tuple[bytes, ...]
    record_levels: list[list[bytes]]
    """The tree over the record ids; see `merkle.levels`."""
    raw_bytes: int


def verify_block(
    genesis: Genesis,
    header: bytes,
    certificate: bytes,
    results: Sequence[bytes],
    epochs: tuple[block_pb2.EpochProof, ...] = (),
) -> VerifiedBlock:
    """Raises HuzhengError(BAD_PROOF) if these are not the results of this header."""
    suite = genesis.suite
    ids = tuple(_parse(pb.TransactionResult, result).transaction_id for result in results)
    proofs = block_proofs(genesis, header, certificate, ids, results, epochs)
    fields = _parse(block_pb2.BlockHeader, header)
    empty = merkle.root(suite, ())
    found = (
        len(ids),
        proofs.transaction_levels[-1][0] if ids else empty,
        proofs.result_levels[-1][0] if ids else empty,
    )
    if found != (fields.transaction_count, fields.transactions_root, fields.results_root):
        raise HuzhengError(Code.BAD_PROOF, "the results are not those of the header")
    return VerifiedBlock(ids, proofs)


def verify_transaction(genesis: Genesis, raw: bytes) -> VerifiedTransaction:
    """Raises HuzhengError(BAD_PROOF) if its records are not those of its body. The caller checks the id.

    The signature is not checked: nothing but execution relies on it, which has checked it.
    """
    suite = genesis.suite
    message = _parse(pb.Transaction, raw)
    body = _parse(pb.TransactionBody, message.body)
    ids = tuple(suite.digest(Domain.RECORD, record) for record in message.records)
    levels = merkle.levels(suite, ids)
    if (levels[-1][0] if levels else b"") != body.records_root or len(message.payloads) != len(ids):
        raise HuzhengError(Code.BAD_PROOF, "the records are not those of the body")
    for raw_record, payload in zip(message.records, message.payloads, strict=True):
        record = _parse(pb.Record, raw_record)
        if suite.digest(Domain.PAYLOAD, payload) == record.payload_digest:
            continue
        if not is_removed(suite, record, payload):
            raise HuzhengError(Code.BAD_PROOF, "a payload is not the one of its record")
    identifier = suite.digest(Domain.TRANSACTION, message.body)
    return VerifiedTransaction(identifier, message, body.department, ids, levels, len(raw))


class VerifiedCache:
    """What was verified last: proofs of many things of one block or transaction need it but once."""

    __slots__ = ("_lock", "blocks", "epochs", "generation", "sealed", "transactions")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.generation = 0
        """Grows when payloads were removed: what was read of transactions before is not kept any more."""
        self.epochs: dict[int, block_pb2.EpochProof] = {}
        self.sealed: WeightedCache[int, store_pb2.StoredBlock] = WeightedCache(
            lambda block: len(block.header) + len(block.certificate), 512 * 1024
        )
        """Headers that belong to their heights, and certificates."""
        # Some 10 MB: a result takes about 600 bytes with its nodes in both trees.
        self.blocks: WeightedCache[int, VerifiedBlock] = WeightedCache(lambda block: len(block.results) + 1, 16_384)
        # Some 20 MB: a record takes about 400 bytes besides its own with its nodes in the tree.
        self.transactions: WeightedCache[Place, VerifiedTransaction] = WeightedCache(
            lambda transaction: transaction.raw_bytes + 400 * len(transaction.record_ids), 16 * 1024 * 1024
        )

    def keep_transaction(self, place: Place, transaction: VerifiedTransaction, generation: int) -> None:
        """Keeps what was read in a generation, if that is not over."""
        with self._lock:
            if generation == self.generation:
                self.transactions.put(place, transaction)

    def forget_transactions(self) -> None:
        """Payloads were removed: no transaction that was read before is kept."""
        with self._lock:
            self.generation += 1
            self.transactions.clear()


def _parse(message_type: type[M], raw: bytes) -> M:
    try:
        return message_type.FromString(raw)
    except DecodeError:
        raise HuzhengError(Code.BAD_PROOF, f"{message_type.DESCRIPTOR.name} cannot be read") from None

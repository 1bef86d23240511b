"""Receipts of what is stored. They read the database and build trees: a large block's are for a worker thread."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass

from huzheng.v1 import transaction_pb2 as pb

from ledger.block import ExecutedBlock
from ledger.genesis import Genesis
from ledger.receipt import build_receipt
from ledger.store import ChainReader, Place, RecordPlace
from ledger.transaction import INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class FinalTransaction:
    """A transaction whose block is durable here with its certificate."""

    id: bytes
    place: Place
    receipt: bytes
    """Receipt without record, in strict form; it also proves a refusal."""


def block_receipts(
    genesis: Genesis, chain: ChainReader, block: ExecutedBlock, ids: Container[bytes]
) -> Iterator[FinalTransaction]:
    """The receipts of those of a stored block's transactions that are asked for, each for its first result."""
    proofs = chain.verified_block(block.height).proofs
    for index, transaction in enumerate(block.transactions):
        if transaction.id not in ids:
            continue
        place = Place(block.height, index)
        if block.codes[index] in INCONCLUSIVE:
            # It may have had a first result, which stays its answer (docs/protocol.md X4).
            place = chain.transaction_place(transaction.id) or place
        if place == Place(block.height, index):
            message = pb.Transaction(body=transaction.body_raw, signature=transaction.signature)
            receipt = build_receipt(genesis, proofs, index, message)
        else:
            receipt = transaction_receipt(genesis, chain, place)
        yield FinalTransaction(transaction.id, place, receipt)


def transaction_receipt(genesis: Genesis, chain: ChainReader, place: Place) -> bytes:
    """How the transaction at a place ended."""
    transaction = chain.verified_transaction(place).message
    return build_receipt(genesis, chain.verified_block(place.height).proofs, place.index, transaction)


def record_receipt(genesis: Genesis, chain: ChainReader, place: RecordPlace) -> bytes:
    """That the record at a place took effect."""
    transaction = chain.verified_transaction(place.transaction_place)
    proofs = chain.verified_block(place.height).proofs
    return build_receipt(
        genesis, proofs, place.transaction, transaction.message, place.record, transaction.record_levels
    )

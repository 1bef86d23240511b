"""Receipts of what is stored. They read the database: call them in a worker thread."""

from __future__ import annotations

from ledger.genesis import Genesis
from ledger.receipt import build_receipt
from ledger.store import ChainReader, Place, RecordPlace


def transaction_receipt(genesis: Genesis, chain: ChainReader, place: Place) -> bytes:
    """How the transaction at a place ended."""
    transaction = chain.verified_transaction(place).message
    return build_receipt(genesis, chain.verified_block(place.height).proofs, place.index, transaction)


def record_receipt(genesis: Genesis, chain: ChainReader, place: RecordPlace) -> bytes:
    """That the record at a place took effect."""
    transaction = chain.verified_transaction(place.transaction_place).message
    proofs = chain.verified_block(place.height).proofs
    return build_receipt(genesis, proofs, place.transaction, transaction, place.record)

"""Disclosures of records that are stored here. They read the database: call them in a worker thread."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from huzheng.v1 import statement_pb2

from ledger.block import read_header
from ledger.commitments import SecretField
from ledger.crypto import strict
from ledger.disclosure import build_disclosure
from ledger.genesis import Genesis
from ledger.published import version_key
from ledger.store import ChainStore, RecordPlace
from node.receipts import record_receipt


def record_disclosure(
    genesis: Genesis, store: ChainStore, place: RecordPlace, fields: Sequence[SecretField], numbers: Collection[int]
) -> bytes:
    """The `Disclosure` of these numbers of the record at a place, all of whose confidential fields these are, in order.

    It needs the genesis alone: a schema version that came later is proved in it (P3).

    Raises:
        HuzhengError: BAD_COMMITMENT, UNKNOWN_FIELD; NOT_READY while blocks go on faster than the proof is made.
    """
    receipt = record_receipt(genesis, store, place)
    return build_disclosure(genesis, receipt, fields, numbers, partial(version_statement, store))


def version_statement(store: ChainStore, name: str, schema_version: int) -> bytes:
    """The statement that a schema version is in the catalogue as of the last block, and nothing else, with its proofs of epochs.

    Raises:
        HuzhengError: NOT_READY while blocks go on faster than it is made.
    """
    statement = strict.read(statement_pb2.Statement, store.statement((), [version_key(name, schema_version)]))
    statement.epochs.extend(store.epoch_proofs(read_header(statement.header).epoch))
    return strict.write(statement)

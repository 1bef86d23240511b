"""What a block adds to the database: the one place that says which entries follow from it (docs/protocol.md S1 to S3, S12, S13)."""

from __future__ import annotations

from huzheng.v1 import store_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.block import ExecutedBlock
from ledger.crypto import strict
from ledger.store import layout
from ledger.store.audit_writing import AuditWriter
from ledger.store.engine import Batch, Reader
from ledger.store.expunging import Expunging
from ledger.transaction import INCONCLUSIVE


def put_block(
    batch: Batch,
    reader: Reader,
    before: store_pb2.StoredTip,
    block: ExecutedBlock,
    certificate: bytes,
    placed: set[bytes],
    audit: AuditWriter,
    expunging: Expunging,
) -> store_pb2.StoredTip:
    """Adds to the batch all that follows from a block and its certificate. Returns the new tip entry.

    `placed` are the ids of the transactions that blocks before it brought into this batch; those of this block are added. `audit` adds
    to the same batch. `expunging`: what of transactions is not to be kept; `Expunging.put_orders` is for the caller.
    """
    _put_contents(batch, block, certificate, expunging)
    _put_state(batch, block)
    record_count = _put_indexes(batch, reader, block, placed, audit)
    tip = store_pb2.StoredTip(
        height=block.height,
        block_hash=block.block_hash,
        transaction_count=before.transaction_count + len(block.transactions),
        record_count=before.record_count + record_count,
    )
    batch.put(layout.TIP_KEY, strict.write(tip))
    return tip


def _put_contents(batch: Batch, block: ExecutedBlock, certificate: bytes, expunging: Expunging) -> None:
    contents = store_pb2.StoredBlock(header=block.header, certificate=certificate)
    batch.put(layout.block_key(block.height), strict.write(contents))
    if block.results:
        batch.put(layout.results_key(block.height), strict.write(store_pb2.StoredResults(results=block.results)))
    for index, transaction in enumerate(block.transactions):
        stored = expunging.stored_form(block.height, transaction)
        batch.put(layout.transaction_key(block.height, index), stored.raw)
        for position in stored.lacking:
            place = layout.encode_place(block.height, index)
            batch.put(layout.lacking_key(transaction.id, position), place)


def _put_state(batch: Batch, block: ExecutedBlock) -> None:
    for key, value in block.changes.items():
        if value is None:
            batch.delete(layout.STATE + key)
        else:
            batch.put(layout.STATE + key, value)


def _put_indexes(batch: Batch, reader: Reader, block: ExecutedBlock, placed: set[bytes], audit: AuditWriter) -> int:
    """Returns how many records took effect."""
    batch.put(layout.block_hash_key(block.block_hash), layout.encode_height(block.height))
    for level, index, node in block.history_nodes:
        batch.put(layout.history_node_key(level, index), node)
    record_count = 0
    newest: dict[str, int] = {}
    has_operations = False
    for index, (transaction, code) in enumerate(zip(block.transactions, block.codes, strict=True)):
        key = layout.transaction_id_key(transaction.id)
        if code not in INCONCLUSIVE or (transaction.id not in placed and reader.get(key) is None):
            placed.add(transaction.id)
            batch.put(key, layout.encode_place(block.height, index))
        else:
            batch.put(layout.repeat_key(transaction.id, block.height, index), b"")
        if transaction.body.operations:
            has_operations = True
            audit.operations(block, index)
        if code != pb.RESULT_CODE_ACCEPTED:
            continue
        record_count += len(transaction.records)
        for position, item in enumerate(transaction.records):
            record, resource = item.record, item.record.resource
            place = layout.encode_record_place(block.height, index, position)
            batch.put(layout.record_key(item.id), place)
            batch.put(layout.version_key(resource, record.subject, record.version), place)
            newest[resource] = block.height
            if record.relies_on:
                audit.relies(record, place)
    audit.newest(newest)
    if has_operations:
        audit.finish(block)
    return record_count

"""What orders to remove payloads make of a write of blocks (docs/protocol.md E3, S13).

A payload that is to be removed is not written any more, and what was written is overwritten in the write that brings the order. The bytes are
then still in LevelDB's files: a mark says so until they were scrubbed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from huzheng.v1 import transaction_pb2 as pb

from ledger.block import ExecutedBlock
from ledger.crypto import strict
from ledger.errors import Code, HuzhengError
from ledger.expunged import without_payload
from ledger.sharing.erasing import EXPUNGE_PREFIX, ExpungeOrder, expunges_prefix, read_expunge_key
from ledger.store import layout
from ledger.store.engine import Batch, Reader
from ledger.store.layout import Place
from ledger.transaction import WellFormedTransaction


@dataclass(frozen=True, slots=True)
class Stored:
    """How a transaction of a block is kept."""

    raw: bytes
    lacking: tuple[int, ...]
    """Positions of payloads that are not there although nobody has ordered that, as far as this chain goes."""


class Expunging:
    """The orders in force for one write of blocks: those of the blocks themselves, and those before."""

    def __init__(self, reader: Reader, blocks: Iterable[ExecutedBlock]) -> None:
        self._reader = reader
        self._orders: dict[bytes, list[ExpungeOrder]] = {}
        for order in _orders_in(blocks):
            self._orders.setdefault(order.transaction_id, []).append(order)
        kind = layout.ORDERED
        self._are_any_stored = next(reader.scan(kind, layout.after_prefix(kind)), None) is not None
        self._touched: set[int] = set()

    @property
    def touched(self) -> frozenset[int]:
        """The heights of blocks with transactions that the orders were about."""
        return frozenset(self._touched)

    def stored_form(self, height: int, transaction: WellFormedTransaction) -> Stored:
        """How to keep a transaction that comes with one of the blocks."""
        removed = [position for position, item in enumerate(transaction.records) if item.removed is not None]
        ordered = self._ordered(transaction) if self._orders or self._are_any_stored else frozenset[int]()
        raw = transaction.raw
        if ordered:
            self._touched.add(height)
            message = strict.read(pb.Transaction, raw)
            for position in ordered:
                without_payload(message, position)
            raw = strict.write(message)
        return Stored(raw, tuple(position for position in removed if position not in ordered))

    def put_orders(self, batch: Batch, height: int) -> None:
        """Removes payloads that are stored already, and marks what is to be scrubbed. `height`: of the last block of this write."""
        for transaction_id, orders in self._orders.items():
            batch.put(layout.ordered_key(transaction_id), b"")
            for place in self._places(transaction_id):
                self._remove(batch, place, orders)
        if self._touched:
            heights = b"".join(layout.encode_height(touched) for touched in sorted(self._touched))
            batch.put(layout.scrub_key(height), heights)

    def _ordered(self, transaction: WellFormedTransaction) -> frozenset[int]:
        """Positions of payloads that are not to be kept."""
        department = transaction.department
        found = {order.position for order in self._orders.get(transaction.id, ()) if order.department == department}
        if self._are_any_stored and self._reader.get(layout.ordered_key(transaction.id)) is not None:
            prefix = layout.STATE + expunges_prefix(department, transaction.id)
            for key, _ in self._reader.scan(prefix, prefix + b"\xff" * 5):
                found.add(read_expunge_key(key[len(layout.STATE) :]).position)
        return frozenset(position for position in found if position < len(transaction.records))

    def _places(self, transaction_id: bytes) -> Iterator[Place]:
        """All places of a transaction that is stored: it can have been ordered more than once (X3, 3)."""
        first = self._reader.get(layout.transaction_id_key(transaction_id))
        if first is None:
            return
        yield layout.decode_place(first)
        prefix = layout.repeats_prefix(transaction_id)
        for key, _ in self._reader.scan(prefix, prefix + b"\xff" * 13):
            yield layout.decode_place(key[len(prefix) :])

    def _remove(self, batch: Batch, place: Place, orders: Iterable[ExpungeOrder]) -> None:
        key = layout.transaction_key(place.height, place.index)
        message, department = _read(self._reader.get(key), place)
        found = [order for order in orders if order.department == department and order.position < len(message.payloads)]
        if not found:
            return
        self._touched.add(place.height)
        for order in found:
            batch.delete(layout.lacking_key(order.transaction_id, order.position))
        changed = [without_payload(message, order.position) for order in found]
        if any(changed):
            batch.put(key, strict.write(message))


def _orders_in(blocks: Iterable[ExecutedBlock]) -> Iterator[ExpungeOrder]:
    for block in blocks:
        for key, value in block.changes.items():
            if value is not None and key.startswith(EXPUNGE_PREFIX):
                yield read_expunge_key(key)


def _read(raw: bytes | None, place: Place) -> tuple[pb.Transaction, str]:
    """A stored transaction and its department."""
    try:
        if raw is None:
            raise DecodeError
        message = pb.Transaction.FromString(raw)
        return message, pb.TransactionBody.FromString(message.body).department
    except DecodeError:
        raise HuzhengError(Code.STORE_CORRUPT, f"transaction, block {place.height}") from None

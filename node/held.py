"""Transactions from peers that this node can't take in yet: their key is not known here, or they expire too late.

A peer that stores a block before this node does may hand on a transaction whose key that block registers. It is held, not
dropped; and not taken in, since anyone can make a signature under a key that nobody has registered.
"""

from __future__ import annotations

from collections import OrderedDict

from ledger.transaction import WellFormedTransaction

MAX_HELD = 256
MAX_HELD_BYTES = 8 * 1024 * 1024


class HeldTransactions:
    """Bounded; the oldest go first. Belongs to one event loop."""

    def __init__(self) -> None:
        self._held: OrderedDict[bytes, WellFormedTransaction] = OrderedDict()
        self._bytes = 0

    def put(self, transaction: WellFormedTransaction) -> None:
        """Holds a transaction, and drops the oldest ones if there are too many."""
        if transaction.id in self._held:
            return
        self._held[transaction.id] = transaction
        self._bytes += len(transaction.raw)
        while len(self._held) > MAX_HELD or self._bytes > MAX_HELD_BYTES:
            _, oldest = self._held.popitem(last=False)
            self._bytes -= len(oldest.raw)

    def waiting(self) -> list[WellFormedTransaction]:
        """All that are held, the oldest first."""
        return list(self._held.values())

    def remove(self, transaction_id: bytes) -> None:
        """Holds it no longer."""
        transaction = self._held.pop(transaction_id, None)
        if transaction is not None:
            self._bytes -= len(transaction.raw)

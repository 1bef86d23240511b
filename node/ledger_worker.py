"""The ledger's side of a replica: executes, stores and fetches blocks, strictly one after the other, in one thread of its own.

All methods but the constructor run in that thread; the event loop only hands work over and gets `ExecutedBlock`s back.
"""

from __future__ import annotations

from ledger.block import ExecutedBlock
from ledger.block_apply import apply_block, prove_block
from ledger.crypto.types import Height
from ledger.execution import execute
from ledger.genesis import Genesis
from ledger.state import PendingState
from ledger.store import ChainStore
from ledger.transaction import Known, WellFormedBatch, check_batch


class LedgerWorker:
    """Blocks executed in memory on top of the stored chain, and the store itself."""

    def __init__(self, genesis: Genesis, store: ChainStore, known: Known) -> None:
        self._genesis = genesis
        self._store = store
        self._known = known
        self._state = PendingState(store.state)
        self._executed: dict[Height, ExecutedBlock] = {}
        self._tip = store.tip

    def execute(self, height: Height, batch: bytes, checked: WellFormedBatch | None) -> ExecutedBlock | None:
        """Executes a decided batch on top of the block before; None when a fetched block came first."""
        if height <= self._tip.height:
            return self._executed.get(height)
        well_formed = checked or check_batch(batch, self._genesis, self._known)
        block = execute(self._genesis, self._state, self._tip, well_formed)
        self._state.push(block)
        self._executed[block.height] = block
        self._tip = block.tip
        return block

    def store(self, height: Height, certificate: bytes) -> ExecutedBlock | None:
        """Makes an executed block durable with its certificate; None when it is already."""
        if height <= self._store.tip.height:
            return None
        block = self._executed[height]
        self._store.append(block, certificate)
        self._forget(height)
        return block

    def apply(self, fetched: bytes) -> tuple[ExecutedBlock, bytes] | None:
        """Makes a fetched block durable, with its certificate; None when it is already.

        Raises HuzhengError when the block does not prove itself, or (DIVERGED) when this replica executed another one at its height.
        """
        height = Height(self._store.tip.height + 1)
        block = prove_block(self._genesis, self._store.membership_at(height), fetched)
        if block.height < height:
            return None
        executed = self._executed.get(block.height)
        stored = apply_block(self._store, self._genesis, block, executed, self._known)
        if executed is None:
            self._tip = stored.tip
        self._forget(block.height)
        return stored, block.certificate

    def _forget(self, height: Height) -> None:
        if self._executed.pop(height, None) is not None:
            self._state.pop_stored(height)

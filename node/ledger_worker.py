"""The ledger's side of a replica: executes, stores and fetches blocks, strictly one after the other.

One method is called at a time, in a thread of its own or, to store a small block, on the event loop; `is_small` at any time.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.block import ExecutedBlock
from ledger.block_apply import CheckedBlock, execute_again, require_same
from ledger.crypto.types import Height
from ledger.errors import HuzhengError
from ledger.execution import execute
from ledger.genesis import Genesis
from ledger.state import PendingState
from ledger.store import ChainStore
from ledger.transaction import Known, WellFormedBatch, check_batch
from node.hand_over import is_small_block


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
        with self._store.snapshot() as chain, self._state.reading(chain.state):
            block = execute(self._genesis, self._state, self._tip, well_formed)
        self._state.push(block)
        self._executed[block.height] = block
        self._tip = block.tip
        return block

    def is_small(self, height: Height) -> bool:
        """Whether storing an executed block takes no longer than handing it over to a thread."""
        block = self._executed.get(height)
        return block is not None and is_small_block(block)

    def store(self, height: Height, certificate: bytes) -> ExecutedBlock | None:
        """Makes an executed block durable with its certificate; None when it is already."""
        if height <= self._store.tip.height:
            return None
        block = self._executed[height]
        self._store.append(block, certificate)
        self._forget(height)
        return block

    def apply(self, fetched: Sequence[CheckedBlock]) -> list[tuple[ExecutedBlock, bytes]]:
        """Makes fetched blocks durable in one write, each with its certificate; passes over those that are already.

        Stops before a block that is in disorder. Raises HuzhengError when that is the first one: BAD_BLOCK if it does not follow the
        block before, DIVERGED if this replica makes or made another one, PROTOCOL_UNKNOWN if it does not know the rules; STORE_…
        """
        done: list[tuple[ExecutedBlock, bytes]] = []
        for block in fetched:
            if block.height <= self._store.tip.height:
                continue
            try:
                done.append((self._execute_again(block), block.proven.certificate))
            except HuzhengError:
                if not done:
                    raise
                # What comes before it is in order; it is the first one the next time.
                break
        if done:
            self._store.append_all(done)
        for executed, _ in done:
            self._forget(executed.height)
        return done

    def _execute_again(self, block: CheckedBlock) -> ExecutedBlock:
        executed = self._executed.get(block.height)
        if executed is not None:
            require_same(executed, block.proven)
            return executed
        with self._store.snapshot() as chain, self._state.reading(chain.state):
            executed = execute_again(self._genesis, self._state, self._tip, block.proven, block.transactions)
        self._state.push(executed)
        self._executed[executed.height] = executed
        self._tip = executed.tip
        return executed

    def _forget(self, height: Height) -> None:
        if self._executed.pop(height, None) is not None:
            self._state.pop_stored(height)

"""A ledger of one replica in one process: the node's own intake, ledger and store, and no consensus in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ledger.block import ExecutedBlock
from ledger.crypto import ReplicaId
from ledger.execution import execute
from ledger.store import ChainStore
from ledger.transaction import WellFormedTransaction, check_batch, encode_batch
from node.feed import BlockFeed
from node.intake import Intake
from node.mempool import Mempool
from node.metrics import Metrics
from tests.builders import Consortium


class OneReplica:
    """Blocks are made when a test says so, or by `keep_sealing`. Make it inside a running event loop."""

    def __init__(
        self,
        path: Path,
        consortium: Consortium,
        *,
        max_transactions: int = 1_000,
        max_submissions_per_second: int = 100_000,
    ) -> None:
        self.consortium = consortium
        self.genesis = consortium.genesis
        self.now_ms = consortium.now_ms
        self.store = ChainStore.open(path, self.genesis)
        self.mempool = Mempool(max_transactions, 1 << 30)
        self.metrics = Metrics()
        self.feed = BlockFeed(self.store.tip.height, max_watchers=16)
        self.workers = ThreadPoolExecutor(2)
        self.offered: list[WellFormedTransaction] = []
        self.intake = Intake(
            self.genesis,
            self.store,
            self.mempool,
            self.workers,
            self.offered.append,
            lambda: self.now_ms,
            feed=self.feed,
            metrics=self.metrics,
            max_submissions_per_second=max_submissions_per_second,
        )

    def close(self) -> None:
        """Ends all threads and closes the database."""
        self.intake.close()
        self.workers.shutdown()
        self.store.close()

    def seal(self, *raws: bytes) -> ExecutedBlock:
        """Makes and stores a block of these transactions, or of what is pending; tells the intake."""
        block = self.store_block(*raws)
        self.intake.on_stored(block, self.consortium.certificate(block))
        return block

    def store_block(self, *raws: bytes) -> ExecutedBlock:
        """As `seal`, without telling the intake."""
        parameters = self.genesis.parameters
        if not raws:
            taken = self.mempool.take(parameters.max_batch_bytes - 64, parameters.max_batch_transactions)
            raws = tuple(item.raw for item in taken)
        batch = check_batch(encode_batch(ReplicaId(1), self.now_ms, raws), self.genesis, self.mempool.verified)
        block = execute(self.genesis, self.store.state, self.store.tip, batch)
        self.store.append(block, self.consortium.certificate(block))
        return block

    async def keep_sealing(self) -> None:
        """Makes a block whenever something is pending."""
        while True:
            if self.mempool.pending_count:
                self.seal()
            await asyncio.sleep(0.002)

    def count(self, metric: str, **labels: str) -> float:
        """The value of a counter."""
        return self.metrics.registry.get_sample_value(f"{metric}_total", labels) or 0.0


async def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Waits until something holds; raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.001)

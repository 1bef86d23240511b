"""A simulated machine's ledger: production store, worker and pool, on a simulated disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from consensus.batching import BatchingPolicy
from consensus.events import BatchVerdict, CheckBatch, Decided, ProposeBatch
from consensus.votes import Checkpoint
from ledger.block import ExecutedBlock
from ledger.crypto import ReplicaId, Signer
from ledger.errors import HuzhengError
from ledger.transaction import WellFormedBatch, check_batch, encode_batch
from node.clock import NetworkClock
from node.consortium import Consortium as StoredConsortium
from node.ledger_worker import LedgerWorker
from node.mempool import Mempool
from node.seat import Seat
from tests.sim.consortium import Consortium
from tests.sim.storage import Disk, open_store

POLICY = BatchingPolicy(
    pipeline_depth=4, heartbeat_ms=10_000, full_bytes=1_000, worthwhile_transactions=4, few_transactions=1
)
"""Fuller batches than few and small transactions would make with the daemon's own."""
BATCH_FRAME_BYTES = 64
MAX_PENDING = 1_000


FLUSH_INTERVAL = 8
"""Blocks between two times that the state tree is brought to the disk."""


class Ledger:
    """From one start of its machine to the next crash."""

    def __init__(
        self,
        consortium: Consortium,
        disk: Disk,
        replica: ReplicaId,
        signers: Mapping[bytes, Signer],
        clock: NetworkClock,
        now_ms: Callable[[], int],
        *,
        accepts_lost_votes: bool,
    ) -> None:
        """`now_ms`: the clock that timers go by. `accepts_lost_votes`: in the epoch that it starts in (C18)."""
        self.genesis = consortium.genesis
        self.replica = replica
        self.clock = clock
        self.now_ms = now_ms
        self.store = open_store(disk, self.genesis)
        self.mempool = Mempool(MAX_PENDING, MAX_PENDING * self.genesis.parameters.max_transaction_bytes, now_ms)
        self.worker = LedgerWorker(self.genesis, self.store, self.mempool.verified)
        self.members = StoredConsortium(self.store)
        self.seat = Seat(self.genesis, self.store, replica, signers, accepts_lost_votes, POLICY)
        self.checked: dict[int, WellFormedBatch] = {}

    def checkpoint(self) -> Checkpoint:
        """The last stored block."""
        tip = self.store.tip
        return Checkpoint(tip.height, tip.block_hash, self.store.certificate(tip.height))

    # --- batches ---

    def make_batch(self) -> ProposeBatch:
        """A batch of what waits; empty when nothing that waits may go into one now."""
        parameters = self.genesis.parameters
        proposed_ms = self.clock.now_ms()
        taken = self.mempool.take(
            parameters.max_batch_bytes - BATCH_FRAME_BYTES,
            parameters.max_batch_transactions,
            latest_expiry_ms=proposed_ms + parameters.max_lifetime_ms,
        )
        return ProposeBatch(encode_batch(self.replica, proposed_ms, [item.raw for item in taken]), len(taken))

    def empty_batch(self) -> bytes:
        """What is proposed when nothing waits."""
        return encode_batch(self.replica, self.clock.now_ms(), [])

    def judge(self, check: CheckBatch) -> BatchVerdict:
        """T4 and T5, as the daemon judges them."""
        try:
            batch = check_batch(check.batch, self.genesis, self.mempool.verified)
        except HuzhengError:
            return BatchVerdict.INVALID
        self.checked[check.sequence] = batch
        if batch.proposer != check.proposer:
            return BatchVerdict.INVALID
        latest_ms = self.clock.now_ms() + self.genesis.parameters.clock_bound_ms
        return BatchVerdict.EARLY if batch.proposed_ms > latest_ms else BatchVerdict.VALID

    # --- blocks ---

    def execute(self, decided: Decided) -> ExecutedBlock | None:
        """The block that a decided batch makes; None when a fetched one came first."""
        checked = self.checked.pop(decided.height, None)
        if checked is not None and checked.raw != decided.batch:
            checked = None
        return self.worker.execute(decided.height, decided.batch, checked)

    def stored(self, block: ExecutedBlock) -> None:
        """Takes note of a stored block."""
        if block.height % FLUSH_INTERVAL == self.replica % FLUSH_INTERVAL:
            self.store.flush_tree()
        for sequence in [sequence for sequence in self.checked if sequence <= block.height]:
            del self.checked[sequence]
        self.mempool.ordered([transaction.id for transaction in block.transactions])
        self.mempool.drop_expired(block.time_ms)

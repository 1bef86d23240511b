"""What one record costs one node, step by step: CPU time of each thing that is done for it, apart from the network and from waiting.

Blocks go through the functions that a node calls, with real signatures and a real database, in one thread: so nothing waits for anything, and the sum
is what a node can't do without as it is written now. Beside it stand the signature check alone, measured between the same blocks, and a message and a
call by gRPC; and what rate all that would allow if consensus, network and clients took nothing.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ledger.block import ExecutedBlock, Tip
from ledger.crypto import ED25519_SHA256, Domain, ReplicaId
from ledger.execution import execute
from ledger.published import Published
from ledger.state import PendingState
from ledger.store import ChainStore
from ledger.transaction import WellFormedBatch, WellFormedTransaction, check_batch, check_transaction, encode_batch
from node.entry import judge, knows_signer, refuse_personal_data
from node.receipts import block_receipts
from scripts.local.bench.machine import machine
from scripts.local.bench.messages import call_us, message_us
from scripts.local.bench.standalone import parser, tell
from tests.builders import Consortium

T = TypeVar("T")
REPLICAS = 4
SIZES = ((1, 64), (1, 512), (1_000, 1))
"""Records a transaction, transactions a block."""
FULL_BLOCKS, QUICK_BLOCKS = 60, 12

CHECK = "signature check alone"
STEPS = {
    "check of a transaction": 1.0,
    "entry: personal data": 1 / REPLICAS,
    "entry: prior judgement, place": 1 / REPLICAS,
    "forwarded: whose key, place": 1 / REPLICAS,
    "batch made": 1 / REPLICAS,
    "batch read, all known": 1.0,
    "execution with both trees": 1.0,
    "write": 1.0,
    "receipt": 1 / REPLICAS,
}
"""What is done, and for which part of all records a node does it when each of the four takes in a quarter."""


@dataclass(frozen=True)
class StepCosts:
    """Of blocks of one size, in µs a record."""

    records_a_transaction: int
    transactions_a_block: int
    check_us: float
    steps_us: dict[str, float]

    @property
    def node_us(self) -> float:
        """What a node does for a record on average."""
        return sum(STEPS[name] * cost for name, cost in self.steps_us.items())

    def of_v(self, check_us: float, per_call_us: float = 0.0) -> float:
        """The part of V that these steps allow on any number of cores, if each transaction of one record also takes a call of so many µs.

        V has one check of so many µs for a record and replica.
        """
        return REPLICAS * check_us / (REPLICAS * self.node_us + per_call_us)


class _Clock:
    """Adds up CPU time by step."""

    def __init__(self) -> None:
        self.samples: dict[str, list[float]] = {}

    def time(self, step: str, work: Callable[[], T], records: int) -> T:
        """What `work` returns; its time, divided among so many records, is noted."""
        started_ns = time.process_time_ns()
        result = work()
        self.samples.setdefault(step, []).append((time.process_time_ns() - started_ns) / 1_000 / records)
        return result

    def median_us(self, step: str) -> float:
        """Over all blocks."""
        return statistics.median(self.samples[step])


class _Node:
    """A chain that grows without consensus: the seals are made with all replicas' keys."""

    def __init__(self, directory: Path) -> None:
        self._consortium = Consortium(ED25519_SHA256)
        self._genesis = self._consortium.genesis
        self._store = ChainStore.open(directory, self._genesis)
        self._state = PendingState(self._store.state)
        self._number = 0

    def close(self) -> None:
        """Closes the database."""
        self._store.close()

    def block(self, clock: _Clock, records: int, transactions: int) -> None:
        """One block of new records, each step of which is timed."""
        genesis, store, now_ms = self._genesis, self._store, self._consortium.now_ms
        raws = [self._transaction(records) for _ in range(transactions)]
        count = records * transactions
        done = clock.time("check of a transaction", lambda: [check_transaction(raw, genesis) for raw in raws], count)
        clock.time(CHECK, lambda: self._check_signatures(done), transactions)
        published = store.published()
        clock.time("entry: personal data", lambda: _each(done, lambda it: refuse_personal_data(published, it)), count)
        clock.time("entry: prior judgement, place", lambda: _each(done, lambda it: self._judge(published, it)), count)
        clock.time("forwarded: whose key, place", lambda: _each(done, self._look_up), count)
        known = {transaction.raw: transaction for transaction in done}
        batch = clock.time("batch made", lambda: encode_batch(ReplicaId(1), now_ms, raws), count)
        checked = clock.time("batch read, all known", lambda: check_batch(batch, genesis, known.get), count)
        parent = store.tip
        block = clock.time("execution with both trees", lambda: self._execute(parent, checked), count)
        self._state.push(block)
        certificate = self._consortium.certificate(block)
        clock.time("write", lambda: store.append(block, certificate), count)
        self._state.pop_stored(block.height)
        ids = {transaction.id for transaction in done}
        clock.time("receipt", lambda: list(block_receipts(genesis, store, block, ids)), count)

    def _judge(self, published: Published, transaction: WellFormedTransaction) -> None:
        with self._store.snapshot() as chain:
            judge(self._genesis, chain.state, published, transaction, self._consortium.now_ms)
            chain.transaction_place(transaction.id)

    def _look_up(self, transaction: WellFormedTransaction) -> None:
        with self._store.snapshot() as chain:
            knows_signer(chain.state, transaction)
            chain.transaction_place(transaction.id)

    def _execute(self, parent: Tip, batch: WellFormedBatch) -> ExecutedBlock:
        with self._store.snapshot() as chain, self._state.reading(chain.state):
            return execute(self._genesis, self._state, parent, batch)

    def _transaction(self, records: int) -> bytes:
        numbers = range(self._number, self._number + records)
        self._number += records
        return self._consortium.transaction([self._consortium.record(number) for number in numbers], nonce=numbers[0])

    def _check_signatures(self, transactions: Iterable[WellFormedTransaction]) -> None:
        for it in transactions:
            self._genesis.suite.verify(Domain.SIGN_TRANSACTION, it.body.public_key, it.body_raw, it.signature)


def _each(transactions: Iterable[WellFormedTransaction], work: Callable[[WellFormedTransaction], object]) -> None:
    for transaction in transactions:
        work(transaction)


def measure(records: int, transactions: int, blocks: int, on_block: Callable[[], None]) -> StepCosts:
    """Of blocks of one size, on a chain of their own; the first ones warm up."""
    clock = _Clock()
    with tempfile.TemporaryDirectory(prefix="huzheng-bench-") as directory:
        node = _Node(Path(directory) / "data")
        try:
            for number in range(blocks):
                if number == blocks // 6:
                    clock = _Clock()
                node.block(clock, records, transactions)
                on_block()
        finally:
            node.close()
    steps = {step: clock.median_us(step) for step in STEPS}
    return StepCosts(records, transactions, clock.median_us(CHECK), steps)


def show(costs: list[StepCosts], per_message_us: float, per_call_us: float) -> None:
    """A table for people."""
    table = Table(title="CPU time of one node, µs a record")
    table.add_column("step")
    table.add_column("of the records", justify="right")
    for cost in costs:
        table.add_column(f"{cost.records_a_transaction} × {cost.transactions_a_block}", justify="right")
    for step, share in STEPS.items():
        table.add_row(step, f"{share:.0%}", *(f"{cost.steps_us[step]:.1f}" for cost in costs))
    table.add_row("[bold]a node, on average", "", *(f"[bold]{cost.node_us:.1f}" for cost in costs))
    table.add_row(CHECK + ", a transaction", "", *(f"{cost.check_us:.1f}" for cost in costs))
    check_us = costs[0].check_us
    table.add_row("[bold]these steps alone allow, of V", "", *(f"[bold]{cost.of_v(check_us):.2f}" for cost in costs))
    with_calls = [
        f"{cost.of_v(check_us, per_call_us):.2f}" if cost.records_a_transaction == 1 else "" for cost in costs
    ]
    table.add_row("with a unary call for each", "", *with_calls)
    Console().print(table)
    Console().print(f"Columns: records a transaction × transactions a block. {machine()}")
    Console().print(
        f"A vote's way by gRPC takes {per_message_us:.0f} µs, sender and receiver together; a unary call {per_call_us:.0f} µs."
    )


def main() -> int:
    """The command line."""
    arguments = parser("steps", __doc__, f"{QUICK_BLOCKS} blocks of each size, not {FULL_BLOCKS}").parse_args()
    blocks = QUICK_BLOCKS if arguments.quick else FULL_BLOCKS
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("blocks", total=blocks * len(SIZES))
        costs = [measure(*size, blocks, lambda: progress.advance(task)) for size in SIZES]
    per_message_us, per_call_us = message_us(), call_us()
    report = {
        "machine": machine(),
        "costs": [asdict(cost) | {"node_us": cost.node_us, "of_v": cost.of_v(costs[0].check_us)} for cost in costs],
        "message_us": per_message_us,
        "call_us": per_call_us,
    }
    tell(report, arguments.output, lambda _report: show(costs, per_message_us, per_call_us))
    return 0


if __name__ == "__main__":
    sys.exit(main())

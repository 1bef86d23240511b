"""Closed loops: so many transactions are under way at any time, by unary calls or by streams.

Clients take the node's word for a result; they check no receipts.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from huzheng.v1 import block_pb2, ledger_service_pb2, transaction_pb2

from scripts.local.bench.latency_figures import latency_figures
from scripts.local.network import NetworkFailure
from scripts.local.workload import Workload

CALL_TIMEOUT_S = 60.0
_ONE_AT_A_TIME_PER_S = 1_000
"""More than one client that waits for each answer brings to an end in a second."""
_BATCHED_OF_V = 4.0
"""More than a machine reaches, of V, with one signature for many records."""


@dataclass(frozen=True, slots=True)
class Load:
    """One way of loading a network."""

    records: int
    """A transaction."""
    outstanding: int
    """Transactions under way: that many clients, or together on one stream for each department."""
    is_stream: bool = False

    @property
    def name(self) -> str:
        """For people."""
        records = f"{self.records:,} record{'s' * (self.records > 1)}"
        if self.is_stream:
            return f"{records}, stream, {self.outstanding} outstanding"
        return f"{records}, {self.outstanding} client{'s' * (self.outstanding > 1)}"


@dataclass(frozen=True, slots=True)
class Measured:
    """What a load brought."""

    records: int
    seconds: float
    latencies_s: list[float]

    @property
    def records_per_s(self) -> float:
        """The rate."""
        return self.records / self.seconds

    def figures(self, limit: float) -> dict[str, float]:
        """For a row. `limit`: V, records/s."""
        rates = {"records_per_s": self.records_per_s, "of_v": self.records_per_s / limit}
        return rates | latency_figures(self.latencies_s)


def middle(measured: Sequence[Measured]) -> Measured:
    """Of several turns that in the middle, by rate."""
    return sorted(measured, key=lambda one: one.records_per_s)[(len(measured) - 1) // 2]


class Run:
    """One department's part under way: hands out transactions signed beforehand until time is up and notes how long each took."""

    def __init__(self, transactions: Sequence[bytes], seconds: float) -> None:
        self._transactions = iter(transactions)
        self._end_s = time.monotonic() + seconds
        self.is_over = False
        self.latencies_s: list[float] = []

    def next(self) -> bytes | None:
        """The next transaction, or None when it is time to stop."""
        self.is_over = time.monotonic() > self._end_s
        if self.is_over:
            return None
        found = next(self._transactions, None)
        if found is None:
            raise NetworkFailure("faster than the bench thought possible: it ran out of signed transactions")
        return found

    def done(self, since_s: float, receipt: bytes) -> None:
        """One answer is here. Raises NetworkFailure unless it says accepted."""
        self.latencies_s.append(time.monotonic() - since_s)
        require_accepted(receipt)


def require_accepted(receipt: bytes) -> None:
    """Raises NetworkFailure unless a receipt says accepted."""
    result = transaction_pb2.TransactionResult.FromString(block_pb2.Receipt.FromString(receipt).result)
    if result.code != transaction_pb2.RESULT_CODE_ACCEPTED:
        raise NetworkFailure(f"refused: {transaction_pb2.ResultCode.Name(result.code)}")


def measure(workload: Workload, load: Load, seconds: float, limit: float, departments: Sequence[str] = ()) -> Measured:
    """Loads the network for so many seconds, through these departments' own nodes, or all.

    `limit`: V, records/s. What was under way at the end is waited for, and counts.
    """
    departments = departments or sorted(workload.users)
    prepared = _prepare(workload, load, seconds, limit, departments)
    return asyncio.run(_measure(workload, load, seconds, prepared))


async def _measure(workload: Workload, load: Load, seconds: float, prepared: dict[str, list[bytes]]) -> Measured:
    departments = list(prepared)
    begun_s = time.monotonic()
    runs = {department: Run(raws, seconds) for department, raws in prepared.items()}
    if load.is_stream:
        each = load.outstanding // len(departments)
        work = [_stream(workload, department, runs[department], each) for department in departments]
    else:
        callers = [departments[i % len(departments)] for i in range(load.outstanding)]
        work = [_unary(workload, caller, runs[caller]) for caller in callers]
    await asyncio.gather(*work)
    latencies_s = [latency_s for run in runs.values() for latency_s in run.latencies_s]
    return Measured(len(latencies_s) * load.records, time.monotonic() - begun_s, latencies_s)


async def _unary(workload: Workload, department: str, run: Run) -> None:
    """One client that submits one transaction after the other to its department's node."""
    channel, stub = workload.stub(department)
    while (raw := run.next()) is not None:
        since_s = time.monotonic()
        response = await stub.Submit(ledger_service_pb2.SubmitRequest(transaction=raw), timeout=CALL_TIMEOUT_S)
        run.done(since_s, response.receipt)
    await channel.close(None)


async def _stream(workload: Workload, department: str, run: Run, outstanding: int) -> None:
    """One stream to the department's node with so many transactions under way; what may be sent goes in one message."""
    channel, stub = workload.stub(department)
    room, changed = outstanding, asyncio.Event()
    since_s: dict[int, float] = {}

    async def requests() -> AsyncIterator[ledger_service_pb2.SubmitStreamRequest]:
        nonlocal room
        tags = itertools.count()
        while True:
            changed.clear()
            raws = [raw for raw in (run.next() for _ in range(room)) if raw is not None]
            room -= len(raws)
            group = [ledger_service_pb2.TaggedTransaction(tag=next(tags), transaction=raw) for raw in raws]
            since_s.update((item.tag, time.monotonic()) for item in group)
            if group:
                yield ledger_service_pb2.SubmitStreamRequest(transactions=group)
            if run.is_over:
                return
            await changed.wait()

    async for response in stub.SubmitStream(requests()):
        for answer in response.answers:
            if answer.HasField("problem"):
                raise NetworkFailure(f"refused: {answer.problem.code}")
            run.done(since_s.pop(answer.tag), answer.receipt)
        room += len(response.answers)
        changed.set()
    await channel.close(None)


def _prepare(
    workload: Workload, load: Load, seconds: float, limit: float, departments: Sequence[str]
) -> dict[str, list[bytes]]:
    """Signs beforehand more than could be used up."""
    most_per_s = limit * (1.5 if load.records == 1 else _BATCHED_OF_V) / load.records
    if not load.is_stream:
        most_per_s = min(most_per_s, _ONE_AT_A_TIME_PER_S * load.outstanding)
    count = int(most_per_s * seconds / len(departments)) + load.outstanding + 1
    return {
        department: [workload.transaction(department, load.records) for _ in range(count)] for department in departments
    }

"""Throughput and latency of four real daemons on this machine: real TLS, synchronous storage, every signature checked by every node.

The load generator runs on the same cores. V is what signature checks alone would allow: cores / (4 × the time of one check), measured
in the same run. Clients take the node's word for a result; they check no receipts. What proofs cost: scripts/bench proofs. Reads of
confidential fields: scripts/bench sharing.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from huzheng.v1 import block_pb2, ledger_service_pb2, transaction_pb2
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ledger.crypto import ED25519_SHA256, Domain
from scripts.local.network import LocalNetwork, NetworkFailure
from scripts.local.workload import Workload

REPLICAS = 4
CALL_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Scenario:
    """One way of loading the network."""

    name: str
    records: int
    """Records a transaction."""
    outstanding: int
    stream: bool


SCENARIOS = (
    Scenario("1 record, one at a time", 1, 1, stream=False),
    Scenario("1 record, 64 clients", 1, 64, stream=False),
    Scenario("1 record, stream, 64 outstanding", 1, 64, stream=True),
    Scenario("1 record, stream, 512 outstanding", 1, 512, stream=True),
    Scenario("1,000 records, 4 outstanding", 1_000, 4, stream=False),
)


@dataclass(frozen=True)
class Measured:
    """What a scenario brought."""

    name: str
    records: int
    seconds: float
    records_per_s: float
    p50_ms: float
    p99_ms: float
    of_v: float


class Run:
    """One scenario under way: hands out pre-signed transactions until time is up and notes how long each took."""

    def __init__(self, transactions: Sequence[bytes], seconds: float) -> None:
        self._transactions = iter(transactions)
        self._end = time.monotonic() + seconds
        self.is_over = False
        self.latencies_s: list[float] = []

    def next(self) -> bytes | None:
        """The next transaction, or None when it is time to stop."""
        self.is_over = time.monotonic() > self._end
        if self.is_over:
            return None
        found = next(self._transactions, None)
        if found is None:
            raise NetworkFailure("the bench ran out of transactions; make --seconds smaller")
        return found

    def done(self, started: float, receipt: bytes) -> None:
        """One answer is here. Raises NetworkFailure unless it says accepted."""
        self.latencies_s.append(time.monotonic() - started)
        result = transaction_pb2.TransactionResult.FromString(block_pb2.Receipt.FromString(receipt).result)
        if result.code != transaction_pb2.RESULT_CODE_ACCEPTED:
            raise NetworkFailure(f"refused: {transaction_pb2.ResultCode.Name(result.code)}")


async def unary(workload: Workload, department: str, run: Run) -> None:
    """One client that submits one transaction after the other to its department's node."""
    channel, stub = workload.stub(department)
    while (raw := run.next()) is not None:
        started = time.monotonic()
        response = await stub.Submit(ledger_service_pb2.SubmitRequest(transaction=raw), timeout=CALL_TIMEOUT_S)
        run.done(started, response.receipt)
    await channel.close(None)


async def stream(workload: Workload, department: str, run: Run, outstanding: int) -> None:
    """One stream to the department's node with so many transactions under way; what may be sent goes in one message."""
    channel, stub = workload.stub(department)
    room, changed = outstanding, asyncio.Event()
    started: dict[int, float] = {}

    async def requests() -> AsyncIterator[ledger_service_pb2.SubmitStreamRequest]:
        nonlocal room
        tags = itertools.count()
        while True:
            changed.clear()
            raws = [raw for raw in (run.next() for _ in range(room)) if raw is not None]
            room -= len(raws)
            group = [ledger_service_pb2.TaggedTransaction(tag=next(tags), transaction=raw) for raw in raws]
            started.update((item.tag, time.monotonic()) for item in group)
            if group:
                yield ledger_service_pb2.SubmitStreamRequest(transactions=group)
            if run.is_over:
                return
            await changed.wait()

    async for response in stub.SubmitStream(requests()):
        for answer in response.answers:
            if answer.HasField("problem"):
                raise NetworkFailure(f"refused: {answer.problem.code}")
            run.done(started.pop(answer.tag), answer.receipt)
        room += len(response.answers)
        changed.set()
    await channel.close(None)


async def measure(workload: Workload, scenario: Scenario, seconds: float, limit: float) -> Measured:
    """Loads the network for so many seconds. `limit`: V, records/s."""
    departments = sorted(workload.users)
    per_department = _prepare(workload, scenario, seconds, limit)
    runs = {department: Run(per_department[department], seconds) for department in departments}
    begun = time.monotonic()
    if scenario.stream:
        each = scenario.outstanding // len(departments)
        work = [stream(workload, department, runs[department], each) for department in departments]
    else:
        names = [departments[i % len(departments)] for i in range(scenario.outstanding)]
        work = [unary(workload, name, runs[name]) for name in names]
    await asyncio.gather(*work)
    took = time.monotonic() - begun
    latencies = sorted(latency for run in runs.values() for latency in run.latencies_s)
    count = len(latencies) * scenario.records
    return Measured(
        scenario.name,
        count,
        took,
        count / took,
        percentile(latencies, 0.50) * 1000,
        percentile(latencies, 0.99) * 1000,
        count / took / limit,
    )


def _prepare(workload: Workload, scenario: Scenario, seconds: float, limit: float) -> dict[str, list[bytes]]:
    """Signs beforehand more than could be used up."""
    ceiling = limit if scenario.records == 1 else 4 * limit
    if scenario.outstanding == 1:
        ceiling = 500
    count = int(ceiling * seconds / scenario.records / REPLICAS) + 8
    return {
        department: [workload.transaction(department, scenario.records) for _ in range(count)]
        for department in workload.users
    }


def percentile(ascending: Sequence[float], share: float) -> float:
    """The value that this share of all stays below."""
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]


def verification_limit() -> tuple[float, float]:
    """(µs of one check of a 300-byte message, V in records/s)."""
    signer = ED25519_SHA256.signer(bytes(32))
    message = bytes(300)
    signature = signer.sign(Domain.SIGN_TRANSACTION, message)
    rounds = 3_000
    started = time.perf_counter()
    for _ in range(rounds):
        ED25519_SHA256.verify(Domain.SIGN_TRANSACTION, signer.public_key, message, signature)
    seconds = (time.perf_counter() - started) / rounds
    return seconds * 1e6, (os.cpu_count() or 1) / (REPLICAS * seconds)


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "unknown",
    )
    return {
        "cpu": model,
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def bench(directory: Path, seconds: float) -> dict[str, object]:
    """Runs all scenarios on a fresh network."""
    check_us, limit = verification_limit()
    network = LocalNetwork.create(directory)
    results: list[Measured] = []
    with network.running(), Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("warming up", total=len(SCENARIOS) + 1)
        workload = Workload(network)
        asyncio.run(measure(workload, SCENARIOS[1], min(seconds, 2.0), limit))
        progress.advance(task)
        for scenario in SCENARIOS:
            progress.update(task, description=scenario.name)
            results.append(asyncio.run(measure(workload, scenario, seconds, limit)))
            progress.advance(task)
    return {
        "machine": machine(),
        "check_us": check_us,
        "v_records_per_s": limit,
        "results": [asdict(result) for result in results],
    }


def show(report: dict[str, object]) -> None:
    """A table for people."""
    table = Table(title="Committed records, four nodes on this machine")
    for heading in ("load", "records/s", "of V", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="left" if heading == "load" else "right")
    for row in report["results"]:  # type: ignore[attr-defined]
        table.add_row(
            row["name"],
            f"{row['records_per_s']:,.0f}",
            f"{row['of_v']:.2f}",
            f"{row['p50_ms']:.1f}",
            f"{row['p99_ms']:.1f}",
        )
    Console().print(table)
    Console().print(
        f"V = {report['v_records_per_s']:,.0f} records/s ({report['check_us']:.0f} µs a check); {report['machine']}"
    )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of load in each scenario")
    parser.add_argument("--quick", action="store_true", help="2 seconds each")
    parser.add_argument("--output", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="huzheng-bench-") as directory:
            report = bench(Path(directory) / "network", 2.0 if arguments.quick else arguments.seconds)
    except NetworkFailure as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1
    if arguments.output == "json":
        print(json.dumps(report, indent=2))
    else:
        show(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Reads of confidential fields from end to end: four real daemons, real TLS, synchronous storage, a vault at the owner's node, a grant.

A reader has its read ordered and proved by the state, gets the values from the owner's node in a sealed box, opens it, checks them against the
record's commitments, and says in a second transaction that they are here, unless that is left out. The measure of it are writes in the same run: of one
record each, by the same client through the same node, their receipts checked as those of reads are. The client runs on the same cores as the nodes.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ledger.errors import HuzhengError
from scripts.local.bench.latency_figures import percentile
from scripts.local.bench.machine import machine
from scripts.local.bench.standalone import parser, tell
from scripts.local.network import LocalNetwork, NetworkFailure
from scripts.local.sharing import NAME, Sharer
from scripts.local.workload import Workload

OWNER, READER = "planning", "tax"
AT_ONCE = (1, 16, 64)
TURNS = 3
"""The loads take turns, so that what else the machine does disturbs all of them, not one."""
SUBJECTS = 64
PERSON = {"QLRZJZL": "1", "QLRMC": "王测试", "QLRZJH": "110108189912310020"}
"""Synthetic: nobody alive was born in 1899."""
WARM_UP_S = 2.0

Work = Callable[[], Awaitable[None]]
"""Does one whole thing. Raises HuzhengError or NetworkFailure if it fails."""


@dataclass(frozen=True)
class Measured:
    """What came of one kind of work, so many at once."""

    load: str
    at_once: int
    count: int
    seconds: float
    per_s: float
    p50_ms: float
    p99_ms: float
    of_writes: float
    """Of what writes reached, as many at once."""


class Loads:
    """What is measured."""

    def __init__(self, network: LocalNetwork, reader: Sharer, grant: bytes, subjects: list[str]) -> None:
        self._workload = Workload(network)
        self._reader = reader
        self._grant = grant
        self._subjects: Iterator[str] = itertools.cycle(subjects)

    @property
    def all(self) -> dict[str, Work]:
        """By name."""
        return {"write": self.write, "read": self.read, "read, acknowledged": self.read_and_acknowledge}

    async def write(self) -> None:
        """One new record."""
        final = await self._reader.client.submit(self._workload.transaction(READER))
        if final.verdict.refusal is not None:
            raise HuzhengError(final.verdict.refusal)

    async def read(self) -> None:
        """One read, its answer opened and checked."""
        await self._read()

    async def read_and_acknowledge(self) -> None:
        """The same, and that it is here is on chain."""
        await self._reader.acknowledge(await self._read())

    async def _read(self) -> bytes:
        # The key is on the disk before the read is submitted: others need not wait for that too.
        pending = await asyncio.to_thread(self._reader.begin, self._grant, next(self._subjects))
        answered = await self._reader.read(pending)
        if answered.verdict.values != {NAME: PERSON["QLRMC"]}:
            raise NetworkFailure("a read brought other values than were deposited")
        await asyncio.to_thread(self._reader.reads.forget, pending)
        return pending.id


@dataclass
class Tally:
    """What was done of one load so far, and how long it was under way."""

    latencies_s: list[float] = field(default_factory=list)
    seconds: float = 0.0

    async def measure(self, work: Work, at_once: int, seconds: float) -> None:
        """So many tasks do one after the other until time is up, and finish what they have begun."""
        begun = time.monotonic()

        async def one_after_the_other() -> None:
            while (started := time.monotonic()) < begun + seconds:
                await work()
                self.latencies_s.append(time.monotonic() - started)

        await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
        self.seconds += time.monotonic() - begun

    @property
    def per_s(self) -> float:
        """So many a second."""
        return len(self.latencies_s) / self.seconds

    def measured(self, load: str, at_once: int, writes: Tally) -> Measured:
        """Compared with writes, as many at once."""
        ordered = sorted(self.latencies_s)
        p50, p99 = (1_000 * percentile(ordered, share) for share in (0.50, 0.99))
        count, ratio = len(ordered), self.per_s / writes.per_s
        return Measured(load, at_once, count, self.seconds, self.per_s, p50, p99, ratio)


async def prepare(owner: Sharer, reader: Sharer) -> tuple[bytes, list[str]]:
    """Records with confidential values, and a grant to read them."""
    subjects = [f"110108001003GB00012F{number:08}" for number in range(SUBJECTS)]
    await asyncio.gather(*(owner.register(subject, PERSON) for subject in subjects))
    grant = await reader.apply(max_reads=1_000_000)
    await owner.approve(grant)
    return grant, subjects


async def run(network: LocalNetwork, seconds: float, step: Callable[[str], None]) -> list[Measured]:
    """Measures everything on a running network. `step`: is told what comes next."""
    results: list[Measured] = []
    async with AsyncExitStack() as stack:
        owner, reader = [await stack.enter_async_context(Sharer(network, name)) for name in (OWNER, READER)]
        loads = Loads(network, reader, *await prepare(owner, reader))
        step("warming up")
        await Tally().measure(loads.read, AT_ONCE[1], min(seconds, WARM_UP_S))
        for at_once in AT_ONCE:
            tallies = {name: Tally() for name in loads.all}
            for turn in range(TURNS):
                for name, work in loads.all.items():
                    step(f"{name}, {at_once} at once, turn {turn + 1} of {TURNS}")
                    await tallies[name].measure(work, at_once, seconds / TURNS)
            results += [tally.measured(name, at_once, tallies["write"]) for name, tally in tallies.items()]
    return results


def bench(directory: Path, seconds: float) -> dict[str, Any]:
    """Measures everything on a fresh network."""
    network = LocalNetwork.create(directory)
    with network.running(), Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("records and a grant", total=2 + len(AT_ONCE) * TURNS * 3)

        def step(name: str) -> None:
            progress.update(task, advance=1, description=name)

        results = asyncio.run(run(network, seconds, step))
        progress.advance(task)
    return {"machine": machine(), "results": [asdict(result) for result in results]}


def show(report: dict[str, Any]) -> None:
    """A table for people."""
    table = Table(title="Reads of a confidential field from end to end, four nodes on this machine")
    for heading in ("load", "at once", "a second", "of writes", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="left" if heading == "load" else "right")
    for row in report["results"]:
        numbers = f"{row['per_s']:,.1f}", f"{row['of_writes']:.2f}", f"{row['p50_ms']:.1f}", f"{row['p99_ms']:.1f}"
        table.add_row(row["load"], str(row["at_once"]), *numbers)
    Console().print(table)
    Console().print(str(report["machine"]))


def main() -> int:
    """The command line."""
    options = parser("sharing", __doc__, "2 seconds each")
    options.add_argument("--seconds", type=float, default=10.0, help="of each load, in turns")
    arguments = options.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="huzheng-bench-") as directory:
            report = bench(Path(directory) / "network", 2.0 if arguments.quick else arguments.seconds)
    except (NetworkFailure, HuzhengError) as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1
    tell(report, arguments.output, show)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The least that ordering signed records costs in Python on this machine: the normal case of PBFT over gRPC with mutual TLS, and nothing else.

Four processes check every record's signature, agree on batches by signed votes, write each batch durably and answer. They have no view changes,
no memory of what was sent, no execution, results, state or proofs. `bare` has PBFT's three rounds and one durable write a batch; `sealed` has what
docs/protocol.md demands besides, a round of seals and a durable write before each vote. What these reach is a limit of the interpreter, gRPC and the
machine, beside which a ledger's own cost can be seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from node.identity import Caller, Role
from node.pki import issue, new_authority
from scripts.local.bench.load import Load, Measured, measure, middle
from scripts.local.bench.machine import machine, measure_limit
from scripts.local.bench.skeleton_node import REPLICAS, Files, submit
from scripts.local.bench.standalone import parser, tell
from scripts.local.network import ROOT, LocalNetwork, NetworkFailure, free_ports
from scripts.local.workload import Workload

OUTSTANDING = (1, 64, 512)
BARE, SEALED, LEDGER = "bare", "sealed", "this ledger"
TURNS, QUICK_TURNS = 3, 1
SECONDS, QUICK_SECONDS = 5.0, 1.0
WARM_UP_S = 1.5
_NODE = "scripts.local.bench.skeleton_node"

Rows = dict[int, Measured]
"""By how many records are outstanding."""


@contextlib.contextmanager
def _nodes(directory: Path, base: int, variant: str) -> Iterator[None]:
    """All replicas up inside, linked with one another."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", _NODE, str(replica), str(base), str(directory), variant],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for replica in range(REPLICAS)
    ]
    try:
        for process in started:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise NetworkFailure(f"a replica of the skeleton did not start: exit {process.poll()}")
        yield
        if any(process.poll() is not None for process in started):
            raise NetworkFailure("a replica of the skeleton gave up")
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.communicate()


def _make_certificate(files: Files) -> None:
    """One for all: who is who matters to nobody here."""
    now = datetime.now(UTC)
    authority = new_authority("skeleton", "skeleton", now)
    leaf = issue(authority, Caller("skeleton", Role.REPLICA, "1"), now)
    files.write(authority.certificate_pem, leaf.certificate_pem, leaf.key_pem)


def skeleton(variant: str, seconds: float) -> Rows:
    """New replicas of the skeleton under each load."""
    with tempfile.TemporaryDirectory(prefix="huzheng-skeleton-") as name:
        files = Files(Path(name))
        _make_certificate(files)
        base = free_ports(REPLICAS)
        with _nodes(files.directory, base, variant):
            return {outstanding: asyncio.run(submit(files, base, outstanding, seconds)) for outstanding in OUTSTANDING}


def ledger(workload: Workload, seconds: float, limit: float) -> Rows:
    """A network of this ledger under the same loads."""
    loads = {outstanding: Load(1, outstanding, is_stream=outstanding > 1) for outstanding in OUTSTANDING}
    return {outstanding: measure(workload, load, seconds, limit) for outstanding, load in loads.items()}


def in_turns(turns: int, seconds: float, limit: float, on_turn: Callable[[], None]) -> dict[str, list[Rows]]:
    """All three, so many times, one after the other: what else the machine does disturbs them alike."""
    found: dict[str, list[Rows]] = {BARE: [], SEALED: [], LEDGER: []}
    with tempfile.TemporaryDirectory(prefix="huzheng-bench-") as name:
        network = LocalNetwork.create(Path(name) / "network")
        with network.running():
            workload = Workload(network)
            measure(workload, Load(1, max(OUTSTANDING), is_stream=True), WARM_UP_S, limit)
            for _ in range(turns):
                for variant in (BARE, SEALED):
                    found[variant].append(skeleton(variant, seconds))
                found[LEDGER].append(ledger(workload, seconds, limit))
                on_turn()
    return found


def figures(found: dict[str, list[Rows]], limit: float) -> list[dict[str, Any]]:
    """A row for each variant and load: the turn in the middle, and the median of what each turn's rate is of the sealed skeleton's."""
    rows = []
    for outstanding in OUTSTANDING:
        sealed = [turn[outstanding].records_per_s for turn in found[SEALED]]
        for variant, turns in found.items():
            measured = [turn[outstanding] for turn in turns]
            shares = [one.records_per_s / beside for one, beside in zip(measured, sealed, strict=True)]
            row = {"variant": variant, "outstanding": outstanding, "of_sealed": statistics.median(shares)}
            rows.append(row | middle(measured).figures(limit))
    return rows


def show(report: dict[str, Any]) -> None:
    """A table for people."""
    table = Table(title="Four replicas and their clients: ordering alone, and this ledger")
    for column in ("outstanding", "what", "records/s", "of V", "of sealed", "p50 ms", "p99 ms"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for row in report["rows"]:
        rates = (f"{row['records_per_s']:,.0f}", f"{row['of_v']:.3f}", f"{row['of_sealed']:.2f}")
        latencies = (f"{row['p50_ms']:,.1f}", f"{row['p99_ms']:,.1f}")
        table.add_row(str(row["outstanding"]), row["variant"], *rates, *latencies)
    Console().print(table)
    Console().print(f"V = {report['v_records_per_s']:,.0f} records/s; {report['machine']}", highlight=False)


def main() -> int:
    """The command line."""
    arguments = parser("skeleton", __doc__, f"{QUICK_TURNS} turn of {QUICK_SECONDS:.0f} s a load").parse_args()
    turns, seconds = (QUICK_TURNS, QUICK_SECONDS) if arguments.quick else (TURNS, SECONDS)
    limit = measure_limit().records_per_s(REPLICAS)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("turns", total=turns)
        found = in_turns(turns, seconds, limit, lambda: progress.advance(task))
    report = {"machine": machine(), "v_records_per_s": limit, "rows": figures(found, limit)}
    tell(report, arguments.output, show)
    return 0


if __name__ == "__main__":
    sys.exit(main())

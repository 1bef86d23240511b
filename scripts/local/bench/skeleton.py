"""The least that ordering signed records costs in Python on this machine: the normal case of PBFT over gRPC with mutual TLS, and nothing else.

Four processes check every record's signature, agree on batches by signed votes, write each batch durably and answer. They have no view changes,
no memory of what was sent, no execution, results, state or proofs. `bare` has PBFT's three rounds and one durable write a batch; `sealed` has what
docs/protocol.md demands besides, a round of seals and a durable write before each vote. What these reach is a limit of the interpreter, gRPC and the
machine, beside which a ledger's own cost can be seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from node.identity import Caller, Role
from node.pki import issue, new_authority
from scripts.local.bench.latency_figures import latency_figures
from scripts.local.bench.machine import machine, measure_limit
from scripts.local.bench.skeleton_node import REPLICAS, Files, submit
from scripts.local.bench.standalone import parser, tell
from scripts.local.network import ROOT, NetworkFailure, free_ports

OUTSTANDING = (1, 64, 512)
VARIANTS = ("bare", "sealed")
SECONDS, QUICK_SECONDS = 6.0, 2.0
_NODE = "scripts.local.bench.skeleton_node"


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


def measure(variant: str, seconds: float) -> dict[str, dict[str, float]]:
    """Rate and latencies by how many are outstanding."""
    limit = measure_limit()
    rows = {}
    with tempfile.TemporaryDirectory(prefix="huzheng-skeleton-") as name:
        files = Files(Path(name))
        _make_certificate(files)
        base = free_ports(REPLICAS)
        with _nodes(files.directory, base, variant):
            for outstanding in OUTSTANDING:
                latencies_s, took_s = asyncio.run(submit(files, base, outstanding, seconds))
                rate = len(latencies_s) / took_s
                rows[str(outstanding)] = {
                    "records_per_s": rate,
                    "of_v": rate / limit.records_per_s(REPLICAS),
                } | latency_figures(latencies_s)
    return rows


def show(report: dict[str, Any]) -> None:
    """A table for people."""
    table = Table(title="Ordering signed records and nothing else: four replicas and their clients")
    for column in ("rounds", "outstanding", "records/s", "of V", "p50 ms", "p99 ms"):
        table.add_column(column, justify="left" if column == "rounds" else "right")
    for variant, rows in report["variants"].items():
        for outstanding, row in rows.items():
            rate, share, p50, p99 = (row[name] for name in ("records_per_s", "of_v", "p50_ms", "p99_ms"))
            table.add_row(variant, outstanding, f"{rate:,.0f}", f"{share:.3f}", f"{p50:,.1f}", f"{p99:,.1f}")
    Console().print(table)
    Console().print(f"{report['machine']}", highlight=False)


def main() -> int:
    """The command line."""
    arguments = parser("skeleton", __doc__, f"{QUICK_SECONDS:.0f} s a load, not {SECONDS:.0f}").parse_args()
    seconds = QUICK_SECONDS if arguments.quick else SECONDS
    variants = {}
    with Progress(console=Console(stderr=True)) as progress:
        for variant in progress.track(VARIANTS, description="variants"):
            variants[variant] = measure(variant, seconds)
    tell({"machine": machine(), "variants": variants}, arguments.output, show)
    return 0


if __name__ == "__main__":
    sys.exit(main())

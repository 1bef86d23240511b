"""Simulates whole clusters from seeds, on all cores. A failure prints its seed, its plan and the command that plays it again."""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from tests.sim.forgers import FORGERS_BY_NAME
from tests.sim.liars import LIARS_BY_NAME
from tests.sim.scenario import plan_of, play

ENOUGH_RUNS = 200
"""So many runs must have met every fault there is."""
EXPECTED = (
    *("messages lost", "crashes", "partitions", "runs with view changes", "blocks that proved nothing"),
    *("equivocators proved", "runs with real signatures", "silences", "runs with slow disks"),
    *("views that proposed again", "views that chose between batches"),
    *(f"liars: {name}" for name in (*LIARS_BY_NAME, *FORGERS_BY_NAME)),
)


def run_seed(seed: int) -> tuple[int, Counter[str], str]:
    """What happened with a seed, and what went wrong, if anything."""
    try:
        return seed, play(plan_of(seed)), ""
    except Exception:
        return seed, Counter({"runs": 1}), traceback.format_exc(limit=-4)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--runs", type=int, default=100)
    arguments = parser.parse_args()
    console = Console(stderr=True)
    seeds = range(arguments.seed, arguments.seed + arguments.runs)
    total: Counter[str] = Counter()
    failures: list[int] = []
    started = time.monotonic()
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with ProcessPoolExecutor(os.cpu_count()) as pool, Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(seeds))
        for seed, happened, failure in pool.map(run_seed, seeds):
            progress.advance(task)
            total.update(happened)
            if failure:
                failures.append(seed)
                console.print(
                    f"seed {seed}: {plan_of(seed)}\n{failure}\nagain: scripts/simulate --seed {seed} --runs 1",
                    markup=False,
                )
    print_table(total, time.monotonic() - started)
    never = [name for name in EXPECTED if not total[name]] if arguments.runs >= ENOUGH_RUNS else []
    for name in never:
        console.print(f"never happened, so it was not tested: {name}")
    print(f"{len(failures)} of {arguments.runs} seeds failed" + (f": {failures}" if failures else ""))
    return 1 if failures or never else 0


def print_table(total: Counter[str], seconds: float) -> None:
    """What was injected and met."""
    table = Table("What", "Count")
    for name in sorted(total):
        table.add_row(name, f"{total[name]:,}")
    table.add_row("seeds a second", f"{total['runs'] / seconds:.1f}")
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())

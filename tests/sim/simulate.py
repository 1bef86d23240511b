"""Simulates whole clusters from seeds, on all cores. A failure prints its seed, the smallest plan that still fails, and the command that plays it."""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from tests.sim.liar_kinds import LIARS_BY_NAME
from tests.sim.plans import Plan, plan_of, without
from tests.sim.scenario import play, run_through
from tests.sim.shrinking import shrink

ENOUGH_RUNS = 300
"""So many runs must have met every fault there is."""
SAY_EVERY = 500
"""Where no progress bar is seen."""
EXPECTED = (
    *("messages lost", "crashes", "partitions", "one-way partitions", "wrong clocks", "proposals early"),
    *("runs with view changes", "blocks that proved nothing", "equivocators proved", "proposals invalid"),
    *(
        "runs with real signatures",
        "peaceful runs",
        "runs with liars and crashes",
        "replicas without a vote at the end",
    ),
    *("silences", "runs with slow disks", "views that proposed again", "views that chose between batches"),
    *("runs with late loops", "results: REPEATED", "results: UNKNOWN_KEY", "results: VERSION_CONFLICT"),
    *("changes: add", "changes: remove", "changes: rekey"),
    *(f"liars: {name}" for name in LIARS_BY_NAME),
)


def run_seed(seed: int, left_out: tuple[str, ...] = ()) -> tuple[int, Counter[str], str]:
    """What happened with a seed, and what went wrong, if anything."""
    plan = without(plan_of(seed), left_out)
    try:
        return seed, play(plan), ""
    except Exception:
        return seed, Counter({"runs": 1}), traceback.format_exc(limit=-4)


def failure_of(plan: Plan) -> str:
    """What goes wrong in a plan; empty if nothing."""
    try:
        play(plan)
    except Exception:
        return traceback.format_exc(limit=-4)
    return ""


def digest_of(seed: int) -> str:
    """Of all that happened with a seed, message by message."""
    cluster, _ = run_through(plan_of(seed))
    return cluster.trace.hexdigest()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at the same time")
    parser.add_argument("--without", default="", help="parts of the plan to leave out, as a failure names them")
    parser.add_argument(
        "--digest", action="store_true", help="print what identifies the first seed's run, message by message"
    )
    arguments = parser.parse_args()
    if arguments.digest:
        print(digest_of(arguments.seed))
        return 0
    left_out = tuple(name for name in arguments.without.split(",") if name)
    return simulate(range(arguments.seed, arguments.seed + arguments.runs), arguments.jobs, left_out)


def simulate(seeds: range, jobs: int, left_out: tuple[str, ...]) -> int:
    """Runs seeds and prints what happened; the exit status."""
    console = Console(stderr=True)
    total: Counter[str] = Counter()
    failures: dict[int, str] = {}
    started_s = time.monotonic()
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with ProcessPoolExecutor(jobs) as pool, Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(seeds))
        for seed, happened, failure in pool.map(partial(run_seed, left_out=left_out), seeds):
            progress.advance(task)
            total.update(happened)
            if total["runs"] % SAY_EVERY == 0 and not console.is_terminal:
                console.print(f"{total['runs']:,} of {len(seeds):,} seeds, {len(failures)} failed")
            if failure:
                failures[seed] = failure
                console.print(f"seed {seed} failed\n{failure}", markup=False)
    print_table(total, time.monotonic() - started_s)
    if failures:
        seed = min(failures)
        print_smallest(console, plan_of(seed), left_out, failures[seed])
    never = [name for name in EXPECTED if not total[name]] if len(seeds) >= ENOUGH_RUNS else []
    for name in never:
        console.print(f"never happened, so it was not tested: {name}")
    print(f"{len(failures)} of {len(seeds)} seeds failed" + (f": {list(failures)}" if failures else ""))
    return 1 if failures or never else 0


def print_smallest(console: Console, plan: Plan, left_out: tuple[str, ...], failure: str) -> None:
    """The first failure, made as small as can be."""
    console.print(f"looking for less of seed {plan.seed} that fails ...")
    smallest = shrink(plan, failure, failure_of, left_out=left_out)
    # Not broken into lines: the command is to be copied.
    console.print(f"{smallest.plan}\n{smallest.failure}\nagain: {smallest.command}", markup=False, soft_wrap=True)


def print_table(total: Counter[str], seconds: float) -> None:
    """What was injected and met."""
    table = Table("What", "Count")
    for name in sorted(total):
        table.add_row(name, f"{total[name]:,}")
    table.add_row("seeds a second", f"{total['runs'] / seconds:.1f}")
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())

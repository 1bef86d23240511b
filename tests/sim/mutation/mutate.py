"""Plants bugs in a copy of the replica, one at a time, and shows that the simulator notices each of them.

A bug is tried with the simulator's seeds from 0 on until one fails, and after the first of them with its scenarios.
It survives when nothing fails: then a check, a fault or a liar is missing. Exit status 1 if one survives or can't be planted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column, Table

from tests.sim.mutation.mutants import MUTANTS, ROOT, Mutant

CONTROL_SEEDS = 5
"""The copy without a bug must pass so many, or nothing that a bug does proves anything."""
EARLY_SEEDS = 25
"""After so many come the scenarios, which take as long."""
SCENARIOS = (
    *("tests/sim", "--ignore=tests/sim/mutation", "--ignore=tests/sim/test_scenarios.py"),
    *("--ignore=tests/sim/test_checks.py", "--ignore=tests/sim/test_storage.py"),
)
"""All but what plants bugs, plays seeds again, breaks production itself, or is about disks alone."""
COPIED = ("consensus", "ledger", "node", "tests")
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?)(?: - (.*))?$", re.MULTILINE)
VERDICT = re.compile(r"assert |(?:[\w.]*\.)?(?:AssertionError|Failed|\w+Violation|HuzhengError|ValueError)\b")


@dataclass(slots=True)
class Outcome:
    """What became of one mutant."""

    mutant: str
    rule: str
    found_by: str = ""
    """`seed 17`, the name of a scenario, or nothing: it survived."""
    seeds: int = 0
    """How many were played, the one that found it included."""
    failure: str = ""
    broken: str = ""
    """Why this was no trial at all."""
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether the bug was noticed."""
        return bool(self.found_by) and not self.broken


@contextmanager
def planted(mutant: Mutant | None) -> Iterator[Path]:
    """A copy of what the simulator runs, with the bug in it. Raises ValueError when it can't be planted."""
    text = None if mutant is None else mutant.planted(mutant.source())
    with tempfile.TemporaryDirectory(prefix="huzheng-mutant-") as name:
        copy = Path(name).resolve()
        for folder in COPIED:
            shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "vectors"))
        shutil.copy(ROOT / "setup.cfg", copy)
        if mutant is not None and text is not None:
            (copy / mutant.file).write_text(text)
        yield copy


def python_in(copy: Path, *arguments: str) -> subprocess.Popen[str]:
    """Runs Python so that it finds the copy's modules before the project's."""
    path = os.pathsep.join(map(str, (copy, ROOT, ROOT / "proto")))
    command = [sys.executable, *arguments]
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "400"}
    return subprocess.Popen(
        command, cwd=copy, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


@dataclass(frozen=True, slots=True)
class Trial:
    """How a bug is looked for."""

    seeds: int
    """At most so many."""
    on_seed: Callable[[], None] = lambda: None
    """Called after each."""


def play_seeds(copy: Path, first: int, count: int, outcome: Outcome, trial: Trial) -> None:
    """Plays seeds until one notices the bug."""
    child = python_in(copy, "-m", "tests.sim.mutation.trial", "--from", str(first), "--seeds", str(count))
    last = ""
    for line in child.stdout or ():
        last = line.strip()
        if not last.startswith("{"):
            continue
        said = json.loads(last)
        outcome.seeds += 1
        trial.on_seed()
        outcome.broken = said.get("broken", "")
        outcome.failure = said.get("noticed", "")
        if outcome.failure:
            outcome.found_by = f"seed {said['seed']}"
    if child.wait() != 0:
        outcome.broken = last or f"exit status {child.returncode}"


def play_scenarios(copy: Path, outcome: Outcome) -> None:
    """Runs the tests of the simulator until one notices the bug."""
    child = python_in(copy, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *SCENARIOS)
    output, _ = child.communicate()
    if child.returncode == 0:
        return
    failed = FAILED.search(output)
    test, reason = (failed[1], failed[2] or "") if failed else ("", output[-200:])
    if child.returncode == 1 and VERDICT.match(reason):
        outcome.found_by, outcome.failure = test.rpartition("::")[2], reason
    else:
        outcome.broken = f"{test}: {reason}"


def try_mutant(mutant: Mutant, trial: Trial) -> Outcome:
    """Plants a bug and looks who notices."""
    outcome = Outcome(mutant.name, mutant.rule)
    started = time.monotonic()
    try:
        with planted(mutant) as copy:
            early = min(trial.seeds, EARLY_SEEDS)
            play_seeds(copy, 0, early, outcome, trial)
            if not outcome.found_by and not outcome.broken:
                play_scenarios(copy, outcome)
            if not outcome.found_by and not outcome.broken and trial.seeds > early:
                play_seeds(copy, early, trial.seeds - early, outcome, trial)
    except ValueError as error:
        outcome.broken = str(error)
    outcome.seconds = round(time.monotonic() - started, 1)
    return outcome


def control() -> str:
    """What is wrong with a copy that has no bug; empty if nothing is."""
    outcome = Outcome("none", "")
    with planted(None) as copy:
        play_seeds(copy, 0, CONTROL_SEEDS, outcome, Trial(CONTROL_SEEDS))
    return outcome.broken or outcome.failure


def try_all(mutants: Sequence[Mutant], trial: Trial, jobs: int, console: Console) -> list[Outcome]:
    """All of them, with a progress bar."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[seeds]} seeds"),
    )
    with Progress(*columns, console=console) as progress, ThreadPoolExecutor(jobs) as pool:
        task = progress.add_task("mutants", total=len(mutants), seeds=0)

        def on_seed() -> None:
            progress.update(task, seeds=progress.tasks[task].fields["seeds"] + 1)

        def run(mutant: Mutant) -> Outcome:
            outcome = try_mutant(mutant, replace(trial, on_seed=on_seed))
            progress.advance(task)
            said = outcome.broken or (f"noticed by {outcome.found_by}" if outcome.found_by else "survived")
            console.print(f"{mutant.name}: {said}", markup=False, highlight=False, soft_wrap=True)
            return outcome

        return list(pool.map(run, mutants))


def print_table(outcomes: Sequence[Outcome]) -> None:
    """Each mutant, who found it, and what was noticed."""
    table = Table(Column("Mutant", no_wrap=True), "Rule", "Found by", "Seeds", "What was noticed")
    for outcome in outcomes:
        found_by = "broken" if outcome.broken else outcome.found_by or "survived"
        table.add_row(outcome.mutant, outcome.rule, found_by, str(outcome.seeds), outcome.broken or outcome.failure)
    Console().print(table)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__)
    names = [mutant.name for mutant in MUTANTS]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help="this mutant; may be repeated")
    parser.add_argument("--seeds", type=int, default=500, help="at most so many for each (default 500)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="mutants at a time (default: one on each core)"
    )
    parser.add_argument("--list", action="store_true", help="only say which there are")
    parser.add_argument("--output", choices=("table", "json"), default="table")
    arguments = parser.parse_args()
    mutants = [mutant for mutant in MUTANTS if mutant.name in (arguments.only or names)]
    if arguments.list:
        for mutant in mutants:
            print(f"{mutant.rule:4} {mutant.name} ({mutant.file})")
        return 0
    console = Console(stderr=True)
    fault = control()
    if fault:
        console.print(f"without any bug: {fault}", markup=False)
        return 1
    outcomes = try_all(mutants, Trial(arguments.seeds), arguments.jobs, console)
    if arguments.output == "json":
        print(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    else:
        print_table(outcomes)
    bad = [outcome.mutant for outcome in outcomes if not outcome.is_good]
    console.print(f"{len(bad)} of {len(outcomes)} mutants were not noticed" + (f": {', '.join(bad)}" if bad else ""))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

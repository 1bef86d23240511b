"""Fuzzes what reads bytes from anybody: receipts, statements, disclosures, proofs of history, anchors, forks, genesis files, strict form.

Inputs are changed inside of the messages that they hold, with real signatures, and those that cover new code are changed further. A reader may
refuse with one of the codes that it documents, within a second of CPU time and a bounded memory; it may find valid only what the vectors in
tests/vectors prove. Anything else is kept in a file, with the command that repeats it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tests.fuzzing.targets import MAX_BYTES, TARGETS, Target

USUAL = ("receipt", "statement")
FOUND = Path(".fuzz")
"""Where inputs are kept that something is wrong with."""
HANG_S = 20
"""Of wall-clock time: the child itself watches the CPU time."""
MAX_RESIDENT_MIB = 512
SAY_EVERY_S = 30.0
"""Where no progress bar is seen."""


@dataclass
class Outcome:
    """What fuzzing a target brought."""

    target: str
    done: int = 0
    seconds: float = 0.0
    covered: int = 0
    """Branches of `ledger`."""
    resident_mib: int = 0
    slowest_ms: float = 0.0
    said: Counter[str] = field(default_factory=Counter)
    failure: str = ""
    found: Path | None = None
    """The input that it fails with."""


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000, help="inputs, of all targets together")
    parser.add_argument("--seconds", type=int, default=0, help="stop after so many, of all targets together")
    parser.add_argument(
        "--target",
        action="append",
        choices=(*TARGETS, "all"),
        help="what to fuzz; may be given several times (default: receipt and statement)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of libFuzzer's random numbers")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="check this one input of one target")
    arguments = parser.parse_args()
    wanted = list(dict.fromkeys(arguments.target or USUAL))
    names = list(TARGETS) if "all" in wanted else wanted
    if arguments.repeat is not None:
        if len(names) != 1:
            parser.error("--repeat needs one --target")
        print(TARGETS[names[0]].check(arguments.repeat.read_bytes()))
        return 0
    return fuzz(names, arguments.runs, arguments.seconds, arguments.seed)


def fuzz(names: Sequence[str], runs: int, seconds: int, seed: int) -> int:
    """Fuzzes one target after the other and prints what came of it; the exit status."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    outcomes = []
    with Progress(*columns, console=console) as progress:
        for name in names:
            each = Limits(max(1, runs // len(names)), seconds // len(names), seed)
            outcomes.append(fuzz_one(TARGETS[name], each, progress))
    show(outcomes)
    for outcome in outcomes:
        if outcome.failure:
            console.print(f"{outcome.target} FAILED\n{outcome.failure}", markup=False, soft_wrap=True)
            if outcome.found is not None:
                console.print(f"input: {outcome.found}", markup=False, soft_wrap=True)
                command = f"scripts/fuzz --target {outcome.target} --repeat {outcome.found}"
                console.print(f"again: {command}", markup=False, soft_wrap=True)
    return 1 if any(outcome.failure for outcome in outcomes) else 0


@dataclass(frozen=True)
class Limits:
    """When a target is done."""

    runs: int
    seconds: int
    """0: no limit."""
    seed: int


def fuzz_one(target: Target, limits: Limits, progress: Progress) -> Outcome:
    """Runs libFuzzer on a target, in a process of its own."""
    task = progress.add_task(target.name, total=limits.runs)
    outcome = Outcome(target.name)
    FOUND.mkdir(exist_ok=True)
    started_s = said_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="huzheng-fuzz-") as directory:
        log = Path(directory) / "log"
        with log.open("w") as errors:
            child = subprocess.Popen(
                _command(target, limits, Path(directory)), stdout=subprocess.PIPE, stderr=errors, text=True
            )
        try:
            for line in child.stdout or ():
                _note(outcome, line)
                progress.update(task, completed=outcome.done)
                if not progress.console.is_terminal and time.monotonic() - said_s > SAY_EVERY_S:
                    said_s = time.monotonic()
                    progress.console.print(f"{target.name}: {outcome.done:,} of {limits.runs:,}")
            status = child.wait()
        finally:
            child.kill()
        outcome.seconds = time.monotonic() - started_s
        _read_log(outcome, log.read_text(errors="replace"), status)
    return outcome


def _command(target: Target, limits: Limits, directory: Path) -> list[str]:
    corpus = directory / "corpus"
    corpus.mkdir()
    for raw in (*target.seeds.sound, *target.seeds.unsound):
        if len(raw) <= MAX_BYTES:
            (corpus / hashlib.sha256(raw).hexdigest()).write_bytes(raw)
    return [
        *(sys.executable, "-m", "tests.fuzzing.child", target.name, str(limits.runs)),
        *(f"-runs={limits.runs}", f"-seed={limits.seed}", f"-max_len={MAX_BYTES}", "-len_control=0"),
        *(f"-timeout={HANG_S}", f"-rss_limit_mb={MAX_RESIDENT_MIB}", f"-artifact_prefix={FOUND}/{target.name}-"),
        *("-mutate_depth=2", "-reduce_inputs=0", "-print_final_stats=1"),
        *([f"-max_total_time={limits.seconds}"] if limits.seconds else []),
        str(corpus),
    ]


def _note(outcome: Outcome, line: str) -> None:
    """A line of the child's, or of a traceback."""
    if not line.startswith('{"done"'):
        outcome.failure += line
        return
    said = json.loads(line)
    outcome.done, outcome.said = said["done"], Counter(said["said"])
    outcome.slowest_ms = 1_000 * said["slowest_s"]


def _read_log(outcome: Outcome, log: str, status: int) -> None:
    """What libFuzzer wrote."""
    covered = re.findall(r"cov: (\d+)", log)
    outcome.covered = int(covered[-1]) if covered else 0
    resident = re.search(r"stat::peak_rss_mb: +(\d+)", log)
    outcome.resident_mib = int(resident[1]) if resident else 0
    executed = re.search(r"stat::number_of_executed_units: +(\d+)", log)
    outcome.done = int(executed[1]) if executed else outcome.done
    if not status:
        outcome.failure = ""
        return
    written = re.search(r"Test unit written to (\S+)", log)
    outcome.found = Path(written[1]) if written else None
    lines = [
        line
        for line in log.splitlines()
        if not re.match(r"#\d+\s|INFO|WARNING|stat::|MS: |0x|\\|artifact_prefix", line)
    ]
    outcome.failure += "\n".join(lines[-40:]) or f"the process ended with status {status}"


def show(outcomes: Sequence[Outcome]) -> None:
    """A table, and one line that sums it up."""
    table = Table("target", "inputs", "a second", "branches", "MiB", "slowest ms")
    for outcome in outcomes:
        table.add_row(
            outcome.target,
            f"{outcome.done:,}",
            f"{outcome.done / outcome.seconds:,.0f}",
            str(outcome.covered),
            str(outcome.resident_mib),
            f"{outcome.slowest_ms:.1f}",
        )
    Console().print(table)
    for outcome in outcomes:
        said = ", ".join(f"{name} {count:,}" for name, count in outcome.said.most_common())
        print(f"{outcome.target}: {said}")
    done, seconds = sum(outcome.done for outcome in outcomes), sum(outcome.seconds for outcome in outcomes)
    failed = [outcome.target for outcome in outcomes if outcome.failure]
    print(
        f"{done:,} inputs in {seconds:.0f} s, {done / seconds:,.0f} a second: "
        + (f"FAILED: {', '.join(failed)}" if failed else "nothing found")
    )


if __name__ == "__main__":
    sys.exit(main())

"""The command line of `scripts/bench`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from scripts.local import bench
from scripts.local.bench.machine import measure_limit
from scripts.local.bench.report import save, show
from scripts.local.bench.scenarios import SCENARIOS, Scenario
from scripts.local.bench.session import Plan, Session
from scripts.local.network import ROOT, NetworkFailure

SECONDS, QUICK_SECONDS = 10.0, 1.0


def run(scenarios: Sequence[Scenario], plan: Plan) -> dict[str, Any]:
    """Measures one scenario after the other, each on fresh networks; one that fails is noted, and the others go on."""
    columns = (MofNCompleteColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("signature checks", total=len(scenarios))
        session = Session(plan, measure_limit(), lambda load: progress.update(task, description=load))
        for scenario in scenarios:
            with tempfile.TemporaryDirectory(prefix="huzheng-bench-") as directory:
                session.enter(scenario.name, Path(directory))
                try:
                    scenario.run(session)
                except (NetworkFailure, grpc.RpcError) as failure:
                    session.failures[scenario.name] = str(failure)
            progress.advance(task)
    return session.report()


def main() -> int:
    """Exit status 1 if a scenario failed."""
    arguments = parser().parse_args()
    scenarios = chosen(arguments.scenarios, quick=arguments.quick, with_peers=arguments.peers)
    seconds = arguments.seconds or (QUICK_SECONDS if arguments.quick else SECONDS)
    report = run(scenarios, Plan(seconds, arguments.quick))
    save(report, arguments.out)
    if arguments.output == "json":
        print(json.dumps(report, indent=2))
    else:
        show(report)
        print(f"{arguments.out}/report.json, {arguments.out}/report.svg")
    return 1 if report["failures"] else 0


def chosen(names: Sequence[str], *, quick: bool, with_peers: bool) -> list[Scenario]:
    """The scenarios that are named, or the usual ones; in the order in which they are listed."""
    if "all" in names:
        return list(SCENARIOS.values())
    usual = [name for name, scenario in SCENARIOS.items() if scenario.is_usual and (scenario.is_quick or not quick)]
    wanted = {*(names or usual), *(["peers"] if with_peers else [])}
    return [scenario for name, scenario in SCENARIOS.items() if name in wanted]


def _known(name: str) -> str:
    """Not by `choices`, which also refuse that there is none."""
    if name not in SCENARIOS and name != "all":
        raise argparse.ArgumentTypeError(f"no such scenario: {name} (there are: {', '.join(SCENARIOS)}, all)")
    return name


def parser() -> argparse.ArgumentParser:
    """The options."""
    listed = "\n".join(f"  {scenario.name:10}{scenario.what}" for scenario in SCENARIOS.values())
    others = "\n".join(
        (
            "  proofs    What proofs cost (--help says more, as with those below).",
            "  audit     What an audit of reads costs.",
            "  sharing   Reads of confidential fields from end to end.",
            "  steps     What a record costs a node, step by step.",
            "  skeleton  What ordering alone costs, in turns with this ledger.",
        )
    )
    made = argparse.ArgumentParser(
        prog="scripts/bench",
        description=bench.__doc__,
        epilog=f"scenarios:\n{listed}\n\nmeasured by commands of their own, named first:\n{others}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "scenarios",
        nargs="*",
        metavar="SCENARIO",
        type=_known,
        help="some of those below, or all; without any, all but growth and peers: some ten minutes",
    )
    made.add_argument("--seconds", type=float, help=f"of load in each measurement ({SECONDS:.0f})")
    made.add_argument(
        "--quick", action="store_true", help="1 second each, fewer turns, without nodes: under two minutes"
    )
    made.add_argument("--peers", action="store_true", help="besides, the scenario peers")
    made.add_argument("--out", type=Path, default=ROOT / ".bench", help="the directory of report.json and report.svg")
    made.add_argument("--output", choices=("table", "json"), default="table", help="what is printed")
    return made


if __name__ == "__main__":
    sys.exit(main())

"""A report as tables for people, and as files."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from scripts.local.bench.plot import plot

_HEADINGS = {
    "records_per_s": "records/s",
    "reads_per_s": "reads/s",
    "intended_per_s": "intended/s",
    "of_v": "of V",
    "of_healthy": "of healthy",
    "of_shortest": "of the shortest",
    "of_peer": "of the peer",
    "between_nodes_bytes": "bytes between nodes",
    "with_clients_bytes": "bytes with clients",
    "disk_bytes": "bytes on disk",
    "transaction_bytes": "bytes signed",
    "resident_mib": "resident MiB",
    "own_mib": "own MiB",
    "node_us": "node µs a record",
}
_SIGNIFICANT = 3
_WIDTH = 140


def show(report: dict[str, Any]) -> None:
    """Tables, one a scenario."""
    # Elsewhere than in a terminal nobody said how wide a line may be.
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    rows = report["rows"]
    for scenario in dict.fromkeys(row["scenario"] for row in rows):
        console.print(_table(scenario, [row for row in rows if row["scenario"] == scenario]))
    console.print(f"V = {report['v_records_per_s']:,.0f} records/s ({report['check_us']:.0f} µs a check)")
    changes = ", ".join(f"{name} {count}" for name, count in report["view_changes"].items())
    console.print(f"View changes without a fault: {changes or 'not looked at'}")
    console.print(", ".join(f"{name}: {value}" for name, value in report["machine"].items()), highlight=False)
    for note in report["notes"]:
        console.print(note, markup=False)
    for scenario, failure in report["failures"].items():
        console.print(f"FAILED: {scenario}: {failure}", style="red", markup=False)


def save(report: dict[str, Any], directory: Path) -> None:
    """Writes report.json and report.svg."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    (directory / "report.svg").write_text(plot(report))


def figure(value: float) -> str:
    """A number as people read it: no more digits than mean anything."""
    if value == int(value) or abs(value) >= 10**_SIGNIFICANT:
        return f"{value:,.0f}"
    return f"{value:.{_SIGNIFICANT}g}"


def _table(scenario: str, rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title=scenario)
    table.add_column("load")
    names = list(dict.fromkeys(name for row in rows for name in row["figures"]))
    for name in names:
        table.add_column(_HEADINGS.get(name, name.replace("_", " ")), justify="right")
    for row in rows:
        shown = (row["figures"].get(name) for name in names)
        table.add_row(row["load"], *("" if value is None else figure(value) for value in shown))
    return table

"""One run of `scripts/bench`: its plan, what was measured so far, and the networks that scenarios measure."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts.local.bench.machine import Limit, machine
from scripts.local.network import LocalNetwork


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    seconds: float
    """Of load, in each measurement."""
    is_quick: bool = False
    """Fewer turns, smaller networks and shorter chains."""

    @property
    def turns(self) -> int:
        """So often what is compared takes turns, so that what else the machine does disturbs all of it."""
        return 1 if self.is_quick else 3


@dataclass(frozen=True, slots=True)
class Row:
    """What one load brought."""

    scenario: str
    load: str
    figures: dict[str, float]
    """By names that end in their units."""


class Session:
    """Collects rows. Scenarios say what they measure just now by `step`."""

    def __init__(self, plan: Plan, limit: Limit, step: Callable[[str], None]) -> None:
        self.plan = plan
        self.limit = limit
        self.rows: list[Row] = []
        self.view_changes: dict[str, int] = {}
        """In what ran without faults, by scenario: views that a replica left. There should be none."""
        self.failures: dict[str, str] = {}
        """What went wrong, by scenario."""
        self.notes: list[str] = []
        """What the reader should know besides."""
        self._step = step
        self._scenario = ""
        self._directory = Path()
        self._directories = 0

    def enter(self, scenario: str, directory: Path) -> None:
        """From now on rows are this scenario's, and its networks are made in this directory."""
        self._scenario, self._directory = scenario, directory

    def step(self, load: str) -> None:
        """Says what is being measured."""
        self._step(f"{self._scenario}: {load}")

    def add(self, load: str, figures: dict[str, float]) -> None:
        """One more row."""
        self.rows.append(Row(self._scenario, load, figures))

    def create(self, options: Sequence[str] = ()) -> LocalNetwork:
        """A new network that does not run yet. `options`: of `huzheng network init`."""
        return LocalNetwork.create(self.new_path(), options)

    def new_path(self) -> Path:
        """Where nothing is yet; what is made there goes when the scenario ends."""
        self._directories += 1
        return self._directory / str(self._directories)

    @contextlib.contextmanager
    def fault_free(self, network: LocalNetwork) -> Iterator[None]:
        """All daemons up inside, and all well: views that they leave are counted."""
        with network.running():
            yield
            self.count_view_changes(network)

    def count_view_changes(self, network: LocalNetwork) -> None:
        """Counts the views that the replica left that left the most, since it was started."""
        left = max(_views_left(node.metrics()) for node in network.nodes.values())
        self.view_changes[self._scenario] = self.view_changes.get(self._scenario, 0) + left

    def report(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "machine": machine(),
            "plan": asdict(self.plan),
            "check_us": self.limit.check_us,
            "v_records_per_s": self.limit.records_per_s(),
            "rows": [asdict(row) for row in self.rows],
            "view_changes": self.view_changes,
            "notes": self.notes,
            "failures": self.failures,
        }


def _views_left(metrics: str) -> int:
    prefix = 'huzheng_consensus_events_total{event="view left"} '
    return next((int(float(line.removeprefix(prefix))) for line in metrics.splitlines() if line.startswith(prefix)), 0)

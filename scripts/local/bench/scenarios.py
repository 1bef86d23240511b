"""What `scripts/bench` can measure, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scripts.local.bench.faults import down, far, kill
from scripts.local.bench.growth import growth
from scripts.local.bench.networks import nodes
from scripts.local.bench.open_loop import latency
from scripts.local.bench.peers.comparison import peers
from scripts.local.bench.reads import reads
from scripts.local.bench.session import Session
from scripts.local.bench.space import space
from scripts.local.bench.writes import batch, write


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of measurement, on networks of its own."""

    name: str
    run: Callable[[Session], None]
    is_usual: bool = True
    """Whether it is measured when no scenario is named."""
    is_quick: bool = True
    """Whether it is even if that is to be done in two minutes."""

    @property
    def what(self) -> str:
        """One line about it."""
        return (self.run.__doc__ or "").strip()


_ALL = (
    Scenario("write", write),
    Scenario("batch", batch),
    Scenario("latency", latency),
    Scenario("reads", reads),
    Scenario("down", down),
    Scenario("kill", kill),
    Scenario("far", far),
    Scenario("nodes", nodes, is_quick=False),
    Scenario("space", space),
    Scenario("growth", growth, is_usual=False),
    Scenario("peers", peers, is_usual=False),
)
SCENARIOS = {scenario.name: scenario for scenario in _ALL}

"""The same loads on chains that are short and long already.

The chains are made in one process with all consensus keys (`scripts.local.long_chain`); networks then take turns on them.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from scripts.local.bench.load import Load, Measured, measure, middle
from scripts.local.bench.session import Session
from scripts.local.bench.space import memory_figures
from scripts.local.bench.writes import warm_up
from scripts.local.long_chain import give_long_chain
from scripts.local.network import LocalNetwork
from scripts.local.workload import Workload

SHAPES = ((10, 1_000), (100, 1_000), (1_000, 1_000), (100_000, 1))
"""Blocks, and records in each."""
SHAPES_QUICK = ((1, 1_000), (10, 1_000), (1_000, 1))
LOAD = Load(1, 512, is_stream=True)


@dataclass(slots=True)
class _Chain:
    name: str
    network: LocalNetwork
    workload: Workload
    measured: list[Measured] = field(default_factory=list)
    memory: dict[str, float] = field(default_factory=dict)


def growth(session: Session) -> None:
    """The rate with 10,000, 100,000 and 1,000,000 records on the chain, and after 100,000 blocks."""
    limit = session.limit.records_per_s()
    shapes = SHAPES_QUICK if session.plan.is_quick else SHAPES
    chains = [_make(session, blocks, records) for blocks, records in shapes]
    for turn in range(session.plan.turns):
        for chain in chains:
            session.step(f"{chain.name}, turn {turn + 1}")
            with session.fault_free(chain.network):
                warm_up(session, chain.workload)
                chain.measured.append(measure(chain.workload, LOAD, session.plan.seconds, limit))
                chain.memory = memory_figures(chain.network)
    first = chains[0].measured
    for chain in chains:
        ratios = [one.records_per_s / base.records_per_s for one, base in zip(chain.measured, first, strict=True)]
        compared = {"of_shortest": statistics.median(ratios)}
        session.add(f"{chain.name}, {LOAD.name}", middle(chain.measured).figures(limit) | compared | chain.memory)


def _make(session: Session, blocks: int, records: int) -> _Chain:
    name = f"{blocks * records:,} records in {blocks:,} blocks"
    session.step(f"making {name}")
    network = session.create()
    workload = Workload(network)
    give_long_chain(network, workload, network.nodes.values(), blocks, records)
    return _Chain(name, network, workload)

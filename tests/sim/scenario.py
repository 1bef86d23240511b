"""One seed, one whole run: a size, a mix of faults and liars, a load, partitions; then peace, in which all must agree and finish."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from functools import partial

from ledger.crypto import ED25519_SHA256, SIMULATION
from tests.sim.cluster import Cluster, Faults
from tests.sim.liars import LIARS_BY_NAME
from tests.sim.machine import Machine
from tests.sim.requests import requests

REQUESTS = 40
TROUBLE_MS = 20_000
PEACE_MS = 120_000
"""Within so long after the last fault, every correct replica has every request."""


@dataclass(frozen=True)
class Plan:
    """What a seed stands for."""

    seed: int
    n: int
    faults: Faults
    liars: dict[int, type[Machine]]
    parts: tuple[tuple[int, int, tuple[int, ...], tuple[int, ...]], ...]
    """When, for how long, and between whom nothing gets through."""
    real_signatures: bool


def plan_of(seed: int) -> Plan:
    """Everything follows from the seed."""
    dice = random.Random(seed)
    n = dice.choice((4, 4, 5, 7, 10))
    faults = Faults(
        drop=dice.choice((0, 0.05, 0.2)),
        duplicate=dice.choice((0, 0.1)),
        max_delay_ms=dice.choice((5, 50, 300)),
        crash=dice.choice((0, 0.002, 0.01)),
        max_down_ms=dice.choice((500, 5_000)),
        early=dice.choice((0, 0.1)),
    )
    count = dice.choice((0, 0, 1, (n - 1) // 3))
    liars = {replica: dice.choice(list(LIARS_BY_NAME.values())) for replica in dice.sample(range(1, n + 1), count)}
    parts = []
    for _ in range(dice.choice((0, 2, 4))):
        replicas = dice.sample(range(1, n + 1), n)
        at = dice.randint(1, n - 1)
        start_ms, length_ms = dice.randint(0, TROUBLE_MS - 5_000), dice.randint(100, 5_000)
        parts.append((start_ms, length_ms, tuple(replicas[:at]), tuple(replicas[at:])))
    return Plan(seed, n, faults, liars, tuple(parts), dice.random() < 0.05)


def play(plan: Plan) -> Counter[str]:
    """Runs a plan; raises AssertionError when something is not as it must be. Returns what happened, for the table."""
    suite = ED25519_SHA256 if plan.real_signatures else SIMULATION
    max_down = plan.n if not plan.liars else (plan.n - 1) // 3
    cluster = Cluster(plan.seed, plan.n, plan.faults, max_down=max_down, suite=suite, liars=plan.liars)
    dice = random.Random(plan.seed + 1)
    for request in requests(REQUESTS):
        cluster.at(dice.randint(0, TROUBLE_MS - 2_000), partial(cluster.submit, request))
    for start_ms, length_ms, some, others in plan.parts:
        cluster.at(start_ms, partial(cluster.part, some, others))
        cluster.at(start_ms + length_ms, cluster.heal)
    cluster.run_for(TROUBLE_MS)
    cluster.faults = Faults(max_delay_ms=20)
    cluster.heal()
    cluster.run_until(partial(cluster.everywhere, set(requests(REQUESTS))), PEACE_MS)
    cluster.check_requests()
    return _what_happened(plan, cluster)


def _what_happened(plan: Plan, cluster: Cluster) -> Counter[str]:
    views = max(machine.core.view for machine in cluster.correct)
    happened = Counter(
        {
            "runs": 1,
            f"n = {plan.n}": 1,
            "blocks": len(cluster.checks.chain),
            "messages lost": cluster.dropped,
            "crashes": cluster.crashes,
            "partitions": len(plan.parts),
            "views left behind": views,
            "runs with view changes": views > 0,
            "blocks that proved nothing": cluster.bad_blocks,
            "equivocators proved": len(cluster.checks.accused),
            "runs with real signatures": plan.real_signatures,
        }
    )
    happened.update(f"liars: {kind.__name__}" for kind in plan.liars.values())
    return happened

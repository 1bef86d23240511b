"""One seed, one whole run: a size, a mix of faults and liars, a load, partitions; then peace, in which all must agree and finish."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial

from consensus.votes import COMMIT, NEW_VIEW, PRE_PREPARE, PREPARE, SEAL, VIEW_CHANGE
from ledger.crypto import ED25519_SHA256, SIMULATION
from tests.sim.core.cluster import Cluster, Faults
from tests.sim.core.forgers import FORGERS_BY_NAME
from tests.sim.core.liars import LIARS_BY_NAME
from tests.sim.core.machine import Machine
from tests.sim.core.requests import requests
from tests.sim.core.silence import Silence

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
    silences: tuple[tuple[int, int, Silence], ...] = ()
    """When, for how long, and which kind of message gets lost."""
    window: int = 16
    bursts: bool = False
    """Requests come in heaps, so that many batches are under way together."""


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
    count = dice.choice((0, 1, (n - 1) // 3))
    liars = {replica: dice.choice(list(LIARS_BY_NAME.values())) for replica in dice.sample(range(1, n + 1), count)}
    parts = []
    for _ in range(dice.choice((0, 2, 4))):
        replicas = dice.sample(range(1, n + 1), n)
        at = dice.randint(1, n - 1)
        start_ms, length_ms = dice.randint(0, TROUBLE_MS - 5_000), dice.randint(100, 5_000)
        parts.append((start_ms, length_ms, tuple(replicas[:at]), tuple(replicas[at:])))
    real_signatures = dice.random() < 0.05
    if dice.random() < 0.5:
        liars = {replica: dice.choice(list(FORGERS_BY_NAME.values())) for replica in liars}
    faults = replace(faults, store_ms=dice.choice((1, 1, 1, 300)))
    silences = tuple(_silence_of(dice, n) for _ in range(dice.choice((0, 4, 8, 16))))
    if dice.random() < 0.3:
        silences += _forgotten_certificate(dice, n)
    window, bursts = dice.choice((4, 16)), dice.random() < 0.6
    return Plan(seed, n, faults, liars, tuple(parts), real_signatures, silences, window, bursts)


def _silence_of(dice: random.Random, n: int) -> tuple[int, int, Silence]:
    """Of all to all, of all to some, or of some to some."""
    kind = dice.choice((PRE_PREPARE, PREPARE, COMMIT, COMMIT, SEAL, SEAL, VIEW_CHANGE, NEW_VIEW))
    everyone = list(range(1, n + 1))
    senders = dice.choice((everyone, dice.sample(everyone, dice.randint(1, n))))
    targets = dice.choice((everyone, dice.sample(everyone, dice.randint(1, n))))
    silence = Silence(kind, tuple(senders), tuple(targets))
    return dice.randint(0, TROUBLE_MS - 5_000), dice.randint(500, 5_000), silence


def _forgotten_certificate(dice: random.Random, n: int) -> tuple[tuple[int, int, Silence], ...]:
    """One replica alone prepares something, and is not heard when the others go on without it, until the view after."""
    everyone = tuple(range(1, n + 1))
    one, unheard = dice.sample(everyone, 2)
    others = tuple(replica for replica in everyone if replica != one)
    start_ms, alone_ms, later_ms = dice.randint(0, 8_000), dice.randint(1_500, 4_000), dice.randint(2_000, 5_000)
    return (
        (start_ms, alone_ms + later_ms, Silence(COMMIT, everyone, everyone)),
        (start_ms, alone_ms + later_ms, Silence(NEW_VIEW, everyone, (one,))),
        (start_ms, alone_ms, Silence(PREPARE, everyone, others)),
        (start_ms, alone_ms, Silence(VIEW_CHANGE, (one,), everyone)),
        (start_ms + alone_ms, later_ms, Silence(VIEW_CHANGE, (unheard,), everyone)),
    )


def play(plan: Plan) -> Counter[str]:
    """Runs a plan; raises AssertionError when something is not as it must be. Returns what happened, for the table."""
    suite = ED25519_SHA256 if plan.real_signatures else SIMULATION
    max_down = plan.n if not plan.liars else (plan.n - 1) // 3
    cluster = Cluster(
        plan.seed, plan.n, plan.faults, max_down=max_down, suite=suite, liars=plan.liars, window=plan.window
    )
    dice = random.Random(plan.seed + 1)
    heaps = [dice.randint(0, TROUBLE_MS - 2_000) for _ in range(3)] if plan.bursts else []
    for request in requests(REQUESTS):
        at_ms = dice.choice(heaps) + dice.randint(0, 30) if heaps else dice.randint(0, TROUBLE_MS - 2_000)
        cluster.at(at_ms, partial(cluster.submit, request))
    for start_ms, length_ms, some, others in plan.parts:
        cluster.at(start_ms, partial(cluster.part, some, others))
        cluster.at(start_ms + length_ms, cluster.heal)
    for start_ms, length_ms, silence in plan.silences:
        cluster.at(start_ms, partial(cluster.silences.append, silence))
        cluster.at(start_ms + length_ms, partial(cluster.silences.remove, silence))
    cluster.run_for(TROUBLE_MS)
    cluster.faults = Faults(max_delay_ms=20, store_ms=plan.faults.store_ms)
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
            "silences": len(plan.silences),
            "views that chose between batches": cluster.checks.witness.conflicts,
            "views that proposed again": cluster.checks.witness.proposed_again,
            "runs with slow disks": plan.faults.store_ms > 1,
            "views left behind": views,
            "runs with view changes": views > 0,
            "blocks that proved nothing": cluster.bad_blocks,
            "equivocators proved": len(cluster.checks.accused),
            "runs with real signatures": plan.real_signatures,
        }
    )
    happened.update(f"liars: {kind.__name__}" for kind in plan.liars.values())
    return happened

"""What a fault costs: one replica down, the primary killed, one replica far away.

Loads with and without the fault take turns on one network, through the other departments' nodes, so that only the replica is missing and not its clients.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import statistics
import sys
from collections.abc import Callable

from scripts.local import soak
from scripts.local.bench.latency_figures import latency_figures
from scripts.local.bench.load import Load, measure, middle
from scripts.local.bench.session import Session
from scripts.local.bench.writes import warm_up
from scripts.local.network import LocalNetwork, Node
from scripts.local.wires import Wires
from scripts.local.workload import Workload

LOAD = Load(1, 510, is_stream=True)
"""A third of it through each of three nodes."""
KILLS = 10
KILLS_QUICK = 2
KILL_WITHIN_S = 60.0
"""More is a failure, not a figure."""
FAR_S = 0.05


def down(session: Session) -> None:
    """One replica, not the primary, does not run."""
    network = session.create()
    with network.running():
        workload = Workload(network)
        victim = backup_of(network)
        warm_up(session, workload)
        session.count_view_changes(network)

        def take_away() -> None:
            victim.kill()

        def bring_back() -> None:
            victim.start()
            soak.wait_caught_up(network, victim)

        _compare(session, workload, victim, "one replica down", take_away, bring_back)


def far(session: Session) -> None:
    """One replica, not the primary, is 50 ms away from the others, in each direction."""
    network, wires = session.create(), Wires()
    victim = list(network.nodes.values())[-1]
    wires.around(network, victim)
    try:
        with session.fault_free(network):
            workload = Workload(network)
            warm_up(session, workload)

            def move(delay_s: float) -> None:
                wires.delay_s = delay_s

            _compare(session, workload, victim, "one replica 50 ms away", lambda: move(FAR_S), lambda: move(0.0))
    finally:
        wires.close()


def kill(session: Session) -> None:
    """The primary is killed under load, and comes back: how long until a transaction submitted after it is final elsewhere."""
    network = session.create()
    rounds = KILLS_QUICK if session.plan.is_quick else KILLS
    plan = soak.Plan(rounds=rounds, fault="kill-primary", within_s=KILL_WITHIN_S)
    tally = soak.Tally()
    with network.running():
        session.step(f"{rounds} kills of the primary")
        # Its rounds are told as they happen, and standard output is for the report.
        with contextlib.redirect_stdout(sys.stderr):
            asyncio.run(_kill_rounds(network, plan, tally))
    session.add("primary killed, until work goes on", {"kills": float(rounds)} | latency_figures(tally.outages_s))


async def _kill_rounds(network: LocalNetwork, plan: soak.Plan, tally: soak.Tally) -> None:
    workload = Workload(network)
    dice = random.Random(plan.seed)
    rounds = asyncio.ensure_future(soak.primary_rounds(network, workload, plan, dice, tally))
    await soak.load(workload, rounds, plan, tally)


def backup_of(network: LocalNetwork) -> Node:
    """A node that is not the primary."""
    primary = soak.primary_of(network)
    return next(node for node in network.nodes.values() if node is not primary)


def _compare(
    session: Session,
    workload: Workload,
    victim: Node,
    fault: str,
    begin: Callable[[], None],
    end: Callable[[], None],
) -> None:
    """Loads the network in turns without and with a fault."""
    limit, seconds = session.limit.records_per_s(), session.plan.seconds
    departments = [name for name in sorted(workload.users) if name != victim.department]
    without, with_it = [], []
    for turn in range(session.plan.turns):
        session.step(f"healthy, turn {turn + 1}")
        without.append(measure(workload, LOAD, seconds, limit, departments))
        begin()
        session.step(f"{fault}, turn {turn + 1}")
        with_it.append(measure(workload, LOAD, seconds, limit, departments))
        end()
    ratios = [one.records_per_s / other.records_per_s for one, other in zip(with_it, without, strict=True)]
    session.add("healthy", middle(without).figures(limit))
    session.add(fault, middle(with_it).figures(limit) | {"of_healthy": statistics.median(ratios)})

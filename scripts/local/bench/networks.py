"""Networks of other sizes: 4, 7 and 10 replicas on the same cores."""

from __future__ import annotations

from scripts.local.bench.load import Load, measure
from scripts.local.bench.session import Session
from scripts.local.bench.writes import warm_up
from scripts.local.workload import Workload

SIZES = (4, 7, 10)
SIZES_QUICK = (4, 7)
LOADS = (Load(1, 512, is_stream=True), Load(1_000, 4, is_stream=True))


def nodes(session: Session) -> None:
    """4, 7 and 10 replicas; V is that of so many."""
    for replicas in SIZES_QUICK if session.plan.is_quick else SIZES:
        limit = session.limit.records_per_s(replicas)
        session.step(f"{replicas} replicas start")
        network = session.create(["--departments", str(replicas)])
        with session.fault_free(network):
            workload = Workload(network)
            warm_up(session, workload)
            for load in LOADS:
                name = f"{replicas} replicas, {load.name}"
                session.step(name)
                session.add(name, measure(workload, load, session.plan.seconds, limit).figures(limit))

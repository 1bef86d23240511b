"""One plan, one whole run: trouble for a while, then peace, in which all must agree and finish."""

from __future__ import annotations

from collections import Counter
from functools import partial

from consensus.replica import Replica
from ledger.crypto import ED25519_SHA256, SIMULATION
from tests.sim.cluster import Cluster
from tests.sim.faults import Faults
from tests.sim.governing import Governor
from tests.sim.plans import PEACEFUL_DELAY_MS, TROUBLE_MS, Cut, Plan
from tests.sim.requests import finish

PEACE_MS = 120_000
"""Within so long after the last fault, every correct replica has every request and is in the last epoch."""


def play(plan: Plan) -> Counter[str]:
    """Runs a plan; raises AssertionError when something is not as it must be. Returns what happened, for the table."""
    return run_through(plan)[1]


def run_through(plan: Plan) -> tuple[Cluster, Counter[str]]:
    """As `play`, with the cluster as it is at the end."""
    cluster = _build(plan)
    governor = Governor(cluster, plan.changes)
    wanted = [cluster.consortium.request(number) for number, _ in plan.requests]
    cluster.checks.chain.signed.update(request.id for request in wanted)
    tell = cluster.clients.tell_one if plan.tells_one else cluster.clients.tell_all
    for request, (_, when_ms) in zip(wanted, plan.requests, strict=True):
        cluster.at(when_ms, partial(tell, request))
    for cut in plan.cuts:
        cluster.at(cut.start_ms, partial(_cut, cluster, cut))
        cluster.at(cut.start_ms + cut.length_ms, cluster.heal)
    for muted in plan.silences:
        cluster.at(muted.start_ms, partial(cluster.silences.append, muted.silence))
        cluster.at(muted.start_ms + muted.length_ms, partial(cluster.silences.remove, muted.silence))
    for jump in plan.jumps:
        cluster.at(jump.start_ms, partial(_set_clock, cluster, jump.replica, jump.off_ms))
    cluster.run_for(TROUBLE_MS)
    delay_ms = plan.faults.max_delay_ms if plan.is_peaceful else PEACEFUL_DELAY_MS
    slow = plan.faults
    cluster.faults = Faults(
        max_delay_ms=delay_ms, work_ms=slow.work_ms, store_ms=slow.store_ms, loop_late_ms=slow.loop_late_ms
    )
    cluster.heal()
    cluster.run_until(lambda: cluster.everywhere(wanted) and governor.is_done, PEACE_MS)
    finish(cluster)
    if plan.is_peaceful:
        assert not cluster.counts["view left"], "a view changed though nothing went wrong"
    return cluster, _what_happened(plan, cluster)


def _build(plan: Plan) -> Cluster:
    return Cluster(
        plan.seed,
        plan.n,
        plan.faults,
        max_down=(plan.n - 1) // 3 if plan.liars else plan.n,
        suite=ED25519_SHA256 if plan.real_signatures else SIMULATION,
        liars=plan.liars,
        followers=sorted({change.replica for change in plan.changes if change.kind == "add"}),
        watermark_window=plan.watermark_window,
    )


def _cut(cluster: Cluster, cut: Cut) -> None:
    if cut.one_way:
        cluster.silence(cut.some, cut.others)
    else:
        cluster.part(cut.some, cut.others)


def _set_clock(cluster: Cluster, replica: int, off_ms: int) -> None:
    for machine in cluster.machines:
        if machine.id == replica:
            machine.clock_off_ms = off_ms


def _what_happened(plan: Plan, cluster: Cluster) -> Counter[str]:
    happened = Counter(cluster.counts)
    happened.update(
        {
            "runs": 1,
            f"n = {plan.n}": 1,
            "blocks": len(cluster.checks.chain.hashes),
            "partitions": sum(not cut.one_way for cut in plan.cuts),
            "one-way partitions": sum(cut.one_way for cut in plan.cuts),
            "silences": len(plan.silences),
            "runs with slow ledgers": plan.faults.work_ms > 0,
            "runs with slow disks": plan.faults.store_ms > 0,
            "runs with late loops": plan.faults.loop_late_ms > 0,
            "views that chose between batches": cluster.checks.witnesses.conflicts,
            "views that proposed again": cluster.checks.witnesses.proposed_again,
            "wrong clocks": len({jump.replica for jump in plan.jumps if jump.start_ms}),
            "runs with view changes": cluster.counts["view entered"] > 0,
            "equivocators proved": len(cluster.checks.accused),
            "runs with real signatures": plan.real_signatures,
            "peaceful runs": plan.is_peaceful,
            "runs with requests told to one": plan.tells_one,
            "runs with liars and crashes": bool(plan.liars) and cluster.counts["crashes"] > 0,
            "replicas without a vote at the end": sum(not isinstance(m.core, Replica) for m in cluster.correct),
        }
    )
    happened.update({f"results: {code}": count for code, count in cluster.checks.chain.codes.items()})
    happened.update(f"liars: {kind.__name__}" for kind in plan.liars.values())
    happened.update(f"changes: {change.kind}" for change in plan.changes)
    return happened

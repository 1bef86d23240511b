"""Closed loops on a fresh network: records one by one, and many under one signature."""

from __future__ import annotations

from collections.abc import Sequence

from scripts.local.bench.load import Load, measure
from scripts.local.bench.session import Session
from scripts.local.network import LocalNetwork
from scripts.local.process import processor_s
from scripts.local.workload import Workload

SINGLE = (
    *(Load(1, clients) for clients in (1, 16, 64, 256)),
    *(Load(1, outstanding, is_stream=True) for outstanding in (64, 512)),
)
BATCHES = (Load(10, 64, is_stream=True), Load(100, 16, is_stream=True), Load(1_000, 4, is_stream=True))
WARM_UP = Load(1, 64, is_stream=True)
WARM_UP_S = 2.0


def write(session: Session) -> None:
    """Transactions of one record, by unary calls and by streams."""
    _loads(session, SINGLE)


def batch(session: Session) -> None:
    """Transactions of 10, 100 and 1,000 records, by streams."""
    _loads(session, BATCHES)


def warm_up(session: Session, workload: Workload) -> None:
    """The first calls of a network cost more than those after them."""
    measure(workload, WARM_UP, min(WARM_UP_S, session.plan.seconds), session.limit.records_per_s())


def _loads(session: Session, loads: Sequence[Load]) -> None:
    limit = session.limit.records_per_s()
    network = session.create()
    with session.fault_free(network):
        workload = Workload(network)
        warm_up(session, workload)
        for load in loads:
            session.step(load.name)
            before_s = _processor_s(network)
            measured = measure(workload, load, session.plan.seconds, limit)
            node_us = (_processor_s(network) - before_s) * 1e6 / len(network.nodes) / measured.records
            session.add(load.name, measured.figures(limit) | {"node_us": node_us})


def _processor_s(network: LocalNetwork) -> float:
    """What all daemons have used."""
    return sum(map(processor_s, network.nodes.values()))

"""This ledger and its peers in turns, pair by pair: while one is measured, the other does not run."""

from __future__ import annotations

import statistics

from scripts.local.bench.latency_figures import latency_figures
from scripts.local.bench.load import Load, Measured, measure, middle
from scripts.local.bench.peers.etcd import Etcd
from scripts.local.bench.peers.peer import Peer
from scripts.local.bench.peers.postgresql import PostgreSQL
from scripts.local.bench.peers.pysyncobj import PySyncObj
from scripts.local.bench.session import Session
from scripts.local.bench.writes import WARM_UP_S, warm_up
from scripts.local.network import LocalNetwork
from scripts.local.workload import Workload

CLIENTS = 64
LOADS = (Load(1, CLIENTS, is_stream=True), Load(1, CLIENTS), Load(1_000, 4, is_stream=True))
"""Of this ledger, each compared with all peers."""


def peers(session: Session) -> None:
    """The same work by etcd, PostgreSQL and pysyncobj, where they are installed: 300-byte writes, 64 clients."""
    network = session.create()
    workload = Workload(network)
    for peer in (Etcd(), PostgreSQL(has_standby=False), PostgreSQL(has_standby=True), PySyncObj()):
        if problem := peer.missing():
            session.notes.append(f"{peer.name} was left out, as it is not installed ({problem})")
        else:
            _compare(session, network, workload, peer)


def _compare(session: Session, network: LocalNetwork, workload: Workload, peer: Peer) -> None:
    ours: dict[Load, list[Measured]] = {load: [] for load in LOADS}
    theirs: list[Measured] = []
    for turn in range(session.plan.turns):
        session.step(f"{peer.name}, turn {turn + 1}")
        theirs.append(_measure_peer(session, peer))
        for load, measured in _measure_ours(session, network, workload).items():
            ours[load].append(measured)
        if peer.complaint:
            session.notes.append(f"{peer.name}: {peer.complaint}")
    rates = [one.records_per_s for one in theirs]
    shown = middle(theirs)
    session.add(peer.name, {"records_per_s": shown.records_per_s} | latency_figures(shown.latencies_s))
    for load, turns in ours.items():
        ratios = [one.records_per_s / rate for one, rate in zip(turns, rates, strict=True)]
        figures = middle(turns).figures(session.limit.records_per_s())
        session.add(f"beside {peer.name}: {load.name}", figures | {"of_peer": statistics.median(ratios)})


def _measure_peer(session: Session, peer: Peer) -> Measured:
    with peer.running(session.new_path()):
        peer.measure(min(WARM_UP_S, session.plan.seconds), CLIENTS)
        return peer.measure(session.plan.seconds, CLIENTS)


def _measure_ours(session: Session, network: LocalNetwork, workload: Workload) -> dict[Load, Measured]:
    limit, seconds = session.limit.records_per_s(), session.plan.seconds
    with session.fault_free(network):
        warm_up(session, workload)
        return {load: measure(workload, load, seconds, limit) for load in LOADS}

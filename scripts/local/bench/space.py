"""What a record takes: bytes on disk after compaction, bytes on the wire, memory of a replica."""

from __future__ import annotations

import statistics
from pathlib import Path

from ledger.genesis import Genesis
from ledger.store import ChainStore
from ledger.store.engine import Engine
from scripts.local.bench.load import Load, measure
from scripts.local.bench.session import Session
from scripts.local.bench.writes import WARM_UP_S
from scripts.local.network import LocalNetwork
from scripts.local.process import memory_bytes
from scripts.local.soak import settle
from scripts.local.wires import Wires
from scripts.local.workload import Workload

LOADS = (Load(1, 64, is_stream=True), Load(1_000, 4, is_stream=True))
_DATABASE_END = b"\xff" * 64
"""After every key."""


def space(session: Session) -> None:
    """Disk, wire and memory, with transactions of one record and of 1,000."""
    for load in LOADS:
        _measure(session, load)


def memory_figures(network: LocalNetwork) -> dict[str, float]:
    """Of the replica that takes most now: all of its memory that is resident, and without the database's files that LevelDB maps."""
    nodes = network.nodes.values()
    resident, own = (max(memory_bytes(node, what) for node in nodes) for what in ("VmRSS", "RssAnon"))
    return {"resident_mib": resident / 2**20, "own_mib": own / 2**20}


def disk_bytes(network: LocalNetwork) -> float:
    """The median of the nodes' databases, which are compacted first. No node may run."""
    return statistics.median(_compacted_bytes(node.data) for node in network.nodes.values())


def _measure(session: Session, load: Load) -> None:
    session.step(load.name)
    limit = session.limit.records_per_s()
    network, peers, clients = session.create(), Wires(), Wires()
    empty_bytes = _empty_bytes(session.new_path(), network)
    peers.between_nodes(network)
    clients.to_clients(network)
    try:
        with network.running():
            workload = Workload(network)
            warmed = measure(workload, load, min(WARM_UP_S, session.plan.seconds), limit).records
            before = peers.carried_bytes, clients.carried_bytes
            records = measure(workload, load, session.plan.seconds, limit).records
            after = peers.carried_bytes, clients.carried_bytes
            memory = memory_figures(network)
            session.count_view_changes(network)
            settle(network)
    finally:
        peers.close()
        clients.close()
    figures = {
        "records": float(records),
        "transaction_bytes": len(workload.transaction(next(iter(workload.users)), load.records)) / load.records,
        "disk_bytes": (disk_bytes(network) - empty_bytes) / (warmed + records),
        "between_nodes_bytes": (after[0] - before[0]) / records,
        "with_clients_bytes": (after[1] - before[1]) / records,
    }
    session.add(load.name, figures | memory)


def _empty_bytes(data: Path, network: LocalNetwork) -> int:
    """What a database has that holds nothing but the genesis."""
    data.mkdir()
    ChainStore.open(data, Genesis.read(network.genesis.read_bytes())).close()
    return _compacted_bytes(data)


def _compacted_bytes(data: Path) -> int:
    engine = Engine.open(data, create=False)
    engine.compact(b"", _DATABASE_END)
    engine.close()
    return sum(file.stat().st_size for file in data.rglob("*") if file.is_file())

"""The department node: puts the parts together, starts them in order, and stops them in reverse."""

from __future__ import annotations

import asyncio
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
import sdnotify
import structlog
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio  # type: ignore[attr-defined]

from consensus.batching import BatchingPolicy
from consensus.replica import Replica, ReplicaConfig
from consensus.votes import Checkpoint
from ledger.block import ExecutedBlock
from ledger.crypto import ReplicaId, Signer, self_test
from ledger.genesis import Genesis
from ledger.store import ChainStore
from node.clock import NetworkClock, monotonic_ms
from node.config import NodeConfig, check_against_genesis
from node.evidence import EvidenceFile
from node.feed import BlockFeed
from node.genesis_file import read_genesis
from node.http import HttpServer, Pages
from node.identity import Caller, CallerDirectory, Role
from node.intake import Intake
from node.keyfile import KeyKind, load_signer
from node.logs import set_up_logs
from node.mempool import Mempool
from node.metrics import Metrics
from node.peers import Peer, Peers
from node.queries import Queries
from node.runtime import Parts, Runtime
from node.server import Services, build_server, listen, max_message_bytes, raise_file_limit
from node.services.gate import Gate, current_caller
from node.services.ledger_service import LedgerService
from node.services.replica_service import ReplicaService
from node.status import NodeStatus
from node.tls import TlsFiles, channel_credentials, channel_options, server_credentials

log = structlog.get_logger("node")

GRACE_S = 5.0
"""How long a stopping node lets calls in hand finish."""
HEALTH_INTERVAL_S = 0.5
KEEPALIVE_MS = 20_000
READERS = 4
"""Threads that answer clients' reads."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What a node reads from its disk before it does anything."""

    config: NodeConfig
    genesis: Genesis
    signer: Signer
    store: ChainStore
    tls: TlsFiles
    callers: CallerDirectory


def open_node(config: NodeConfig) -> Opened:
    """Checks everything that can be checked before the node speaks to anyone. Raises HuzhengError with what to do."""
    self_test()
    genesis = read_genesis(config.node.genesis)
    signer = load_signer(config.node.consensus_key, KeyKind.CONSENSUS, genesis.suite)
    check_against_genesis(config, genesis, signer.public_key)
    authorities = {name: department.ca_certificate for name, department in genesis.departments.items()}
    tls = TlsFiles(
        config.tls.certificate,
        config.tls.key,
        authorities[config.node.department],
        holder=Caller(config.node.department, Role.REPLICA, str(config.node.replica)),
        on_reload=lambda _: log.info("tls certificate renewed"),
        on_broken=lambda error: log.error("renewed tls certificate refused", code=error.code, detail=error.detail),
    )
    return Opened(
        config, genesis, signer, ChainStore.open(config.node.data, genesis), tls, CallerDirectory(authorities)
    )


def build_core(opened: Opened, *, accepts_lost_votes: bool = False) -> Replica:
    """The consensus core, restored from the vote log. `accepts_lost_votes`: as the departments decided (C18)."""
    parameters = opened.genesis.parameters
    batching = BatchingPolicy(
        parameters.pipeline_depth, parameters.heartbeat_ms, full_bytes=parameters.max_batch_bytes // 2
    )
    replica_config = ReplicaConfig(
        opened.genesis.suite,
        opened.genesis.membership,
        ReplicaId(opened.config.node.replica),
        opened.signer,
        parameters.watermark_window,
        parameters.max_batch_bytes,
        batching,
        accepts_lost_votes=accepts_lost_votes,
    )
    tip = opened.store.tip
    checkpoint = Checkpoint(tip.height, tip.block_hash, opened.store.certificate(tip.height))
    return Replica(replica_config, checkpoint, opened.store.votes(), monotonic_ms())


class Daemon:
    """One running node."""

    def __init__(self, opened: Opened, *, accepts_lost_votes: bool = False) -> None:
        config, genesis, store = opened.config, opened.genesis, opened.store
        self._opened = opened
        self._workers = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="verify")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="read")
        clock = NetworkClock(genesis.membership.f)
        limits = config.limits
        mempool = Mempool(limits.pending_transactions_per_department, limits.pending_bytes_per_department)
        self.metrics = Metrics()
        replica = ReplicaId(config.node.replica)
        evidence = EvidenceFile(config.node.data)
        core = build_core(opened, accepts_lost_votes=accepts_lost_votes)
        if accepts_lost_votes:
            log.warning("lost votes accepted")
        parts = Parts(genesis, replica, core, store, mempool, clock, self._workers, evidence)
        self.runtime = Runtime(parts, self._on_stored)
        self.feed = BlockFeed(store.tip.height, limits.watchers)
        self.intake = Intake(
            genesis,
            store,
            mempool,
            self._workers,
            self.runtime.offer,
            clock.now_ms,
            feed=self.feed,
            metrics=self.metrics,
            max_submissions_per_second=limits.submissions_per_second_per_department,
        )
        self.runtime.intake = self.intake
        self.peers = Peers(replica, self._peer_list(), self.runtime, self._open_channel)
        self.runtime.peers = self.peers
        self.status = NodeStatus(config, genesis, store, opened.tls)
        self.status.connect(self.runtime, self.peers, mempool, clock, self.feed)
        self.metrics.read_from(self.status.readings())
        self._health = health_aio.HealthServicer()
        self._server = self._build_server()
        pages = Pages(self.metrics.exposition, self.status.problems, self.status.not_ready)
        self._http = HttpServer(pages, config.http.listen.host, config.http.listen.port)

    async def run(self, stop: asyncio.Event) -> None:
        """Serves until `stop` is set, then ends in order. Raises HuzhengError when it can't start."""
        config = self._opened.config
        authorities = [department.ca_certificate for department in self._opened.genesis.departments.values()]
        credentials = server_credentials(self._opened.tls, authorities)
        if config.http.enabled:
            await self._http.start()
        listen(self._server, config.node.listen, credentials)
        await self._server.start()
        self.peers.start()
        core = asyncio.ensure_future(self.runtime.run())
        log.info("node started", replica=config.node.replica, height=self._opened.store.tip.height)
        notifier = sdnotify.SystemdNotifier()
        notifier.notify("READY=1")
        watch = asyncio.ensure_future(self._tell_health())
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait([core, stopped], return_when=asyncio.FIRST_COMPLETED)
            if core.done():
                core.result()
        finally:
            notifier.notify("STOPPING=1")
            for task in (watch, stopped):
                task.cancel()
            await self._stop(core)

    async def _stop(self, core: asyncio.Future[None]) -> None:
        log.info("node stopping")
        self.intake.close()
        await self.peers.stop()
        await self._server.stop(GRACE_S)
        await self.runtime.stop()
        await asyncio.gather(core, return_exceptions=True)
        await self._http.stop()
        self._workers.shutdown()
        self._readers.shutdown()
        # Where peers' fetches read the database.
        await asyncio.get_running_loop().shutdown_default_executor()
        self._opened.store.close()
        log.info("node stopped", height=self._opened.store.tip.height)

    async def _tell_health(self) -> None:
        """Keeps gRPC's standard health service in step with readiness."""
        while True:
            serving = health_pb2.HealthCheckResponse.SERVING
            waiting = health_pb2.HealthCheckResponse.NOT_SERVING
            await self._health.set("", waiting if self.status.not_ready() else serving)
            await asyncio.sleep(HEALTH_INTERVAL_S)

    def _build_server(self) -> grpc.aio.Server:
        genesis, limits = self._opened.genesis, self._opened.config.limits
        gate = Gate(self._opened.callers, self.metrics, limits.concurrent_calls)
        replica_service = ReplicaService(
            self._opened.store, self.peers, lambda: current_caller().require_replica(genesis.membership)
        )
        queries = Queries(genesis, self._opened.store)
        ledger_service = LedgerService(self.intake, queries, self.feed, self.status, self._readers)
        services = Services(ledger_service, replica_service, self._health)
        return build_server(limits, genesis.parameters, gate, services)

    def _peer_list(self) -> list[Peer]:
        membership = self._opened.genesis.membership
        members = ((membership.member(replica), section) for replica, section in self._opened.config.peers.items())
        return [Peer(m.replica, m.department, str(section.address)) for m, section in members if m is not None]

    def _open_channel(self, peer: Peer) -> grpc.aio.Channel:
        genesis = self._opened.genesis
        authority = genesis.departments[peer.department].ca_certificate
        credentials = channel_credentials(self._opened.tls.current(), authority)
        limit = max_message_bytes(genesis.parameters)
        options = [
            *channel_options(peer.department, peer.replica),
            ("grpc.max_receive_message_length", limit),
            ("grpc.max_send_message_length", limit),
            ("grpc.keepalive_time_ms", KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", KEEPALIVE_MS // 2),
        ]
        return grpc.aio.secure_channel(peer.address, credentials, options=options)

    def _on_stored(self, block: ExecutedBlock, certificate: bytes) -> None:
        self.status.on_stored()
        self.intake.on_stored(block, certificate)


async def run(config: NodeConfig, *, accepts_lost_votes: bool = False) -> None:
    """Runs a node until SIGTERM or SIGINT. Raises HuzhengError when it can't start or go on."""
    set_up_logs(config.log.format, config.log.level)
    raise_file_limit()
    opened = open_node(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await Daemon(opened, accepts_lost_votes=accepts_lost_votes).run(stop)
    finally:
        opened.store.close()

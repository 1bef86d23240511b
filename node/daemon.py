"""The department node: puts the parts together, starts them in order, and stops them in reverse."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
import sdnotify
import structlog
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio  # type: ignore[attr-defined]

from ledger.block import ExecutedBlock
from ledger.crypto import ReplicaId, Signer, self_test
from ledger.genesis import Genesis
from ledger.store import ChainStore
from node.alert_watch import AlertWatch
from node.backup import OnProgress, Source, make_backup
from node.backup_manifest import encode_manifest
from node.clock import NetworkClock, monotonic_ms
from node.clock_watch import ClockWatch
from node.config import NodeConfig, check_against_chain
from node.consortium import Consortium
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
from node.node_vault import NodeVault
from node.off_loop import Parts
from node.peer_book import PeerBook
from node.peers import Peer, Peers
from node.queries import Queries
from node.rebuild import finish_interrupted
from node.runtime import Runtime
from node.seat import Seat
from node.server import Services, build_server, listen, max_message_bytes, raise_file_limit
from node.services.gate import Gate, current_caller
from node.services.ledger_service import READERS, LedgerService
from node.services.operator_service import OperatorService
from node.services.replica_service import ReplicaService
from node.services.sharing_service import SharingService
from node.services.vault_service import VaultService
from node.sharing.keeper import VaultKeeper
from node.sharing.releasing import Releaser
from node.sharing.sealing import seal
from node.sharing.vault_loop import VaultLoop
from node.status import NodeStatus
from node.tls import (
    ClientRoots,
    TlsFiles,
    channel_credentials,
    channel_options,
    own_authority,
    server_credentials,
)
from node.vault_access import VaultAccess
from node.vault_restored import has_caught_up

log = structlog.get_logger("node")

GRACE_S = 5.0
"""How long a stopping node lets calls in hand finish."""
HEALTH_INTERVAL_S = 0.5
KEEPALIVE_MS = 20_000


@dataclass(frozen=True, slots=True)
class Opened:
    """What a node reads from its disk before it does anything."""

    config: NodeConfig
    genesis: Genesis
    signers: Mapping[bytes, Signer]
    """By public key."""
    store: ChainStore
    consortium: Consortium
    tls: TlsFiles
    vault: NodeVault
    vault_signer: Signer | None
    """The department's key for acknowledgements of erasures."""

    def close(self) -> None:
        """Closes the databases. No other thread may be using them."""
        self.vault.close()
        self.store.close()


def open_node(config: NodeConfig) -> Opened:
    """Checks everything that can be checked before the node speaks to anyone. Raises HuzhengError with what to do."""
    self_test()
    genesis = read_genesis(config.node.genesis)
    signers = _load_signers(config, genesis)
    finish_interrupted(config.node.data)
    store = ChainStore.open(config.node.data, genesis)
    try:
        consortium = Consortium(store)
        check_against_chain(config, consortium, signers)
        tls, vault_signer = _open_tls(config, consortium), _load_vault_signer(config, genesis)
        return Opened(config, genesis, signers, store, consortium, tls, NodeVault(config), vault_signer)
    except BaseException:
        store.close()
        raise


def _load_signers(config: NodeConfig, genesis: Genesis) -> dict[bytes, Signer]:
    files = [config.node.consensus_key]
    if config.node.next_consensus_key is not None:
        files.append(config.node.next_consensus_key)
    signers = [load_signer(file, KeyKind.CONSENSUS, genesis.suite) for file in files]
    return {signer.public_key: signer for signer in signers}


def _load_vault_signer(config: NodeConfig, genesis: Genesis) -> Signer | None:
    if config.vault is None or config.vault.signing_key is None:
        return None
    return load_signer(config.vault.signing_key, KeyKind.SYSTEM, genesis.suite)


def _open_tls(config: NodeConfig, consortium: Consortium) -> TlsFiles:
    return TlsFiles(
        config.tls.certificate,
        config.tls.key,
        own_authority(config.tls, config.node.department, consortium.authorities),
        holder=Caller(config.node.department, Role.REPLICA, str(config.node.replica)),
        on_reload=lambda _: log.info("tls certificate renewed"),
        on_broken=lambda error: log.error("renewed tls certificate refused", code=error.code, detail=error.detail),
    )


def take_seat(opened: Opened, *, accepts_lost_votes: bool = False) -> Seat:
    """This node's place in consensus. `accepts_lost_votes`: as the departments decided (C18)."""
    replica = ReplicaId(opened.config.node.replica)
    return Seat(opened.genesis, opened.store, replica, opened.signers, accepts_lost_votes)


class Daemon:
    """One running node."""

    def __init__(self, opened: Opened, *, accepts_lost_votes: bool = False) -> None:
        config, genesis, store = opened.config, opened.genesis, opened.store
        self._opened = opened
        self._workers = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="verify")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="read")
        self._started_ms = monotonic_ms()
        clock = self._clock = NetworkClock(genesis.membership.f)
        self._clock_watch = ClockWatch(clock, genesis.parameters.clock_bound_ms)
        consortium = opened.consortium
        limits = config.limits
        mempool = Mempool(limits.pending_transactions_per_department, limits.pending_bytes_per_department)
        self.metrics = Metrics()
        replica = ReplicaId(config.node.replica)
        evidence = EvidenceFile(config.node.data)
        seat = take_seat(opened, accepts_lost_votes=accepts_lost_votes)
        if accepts_lost_votes:
            log.warning("lost votes accepted")
        parts = Parts(genesis, seat, consortium, store, mempool, clock, self._workers, evidence)
        self.runtime = Runtime(parts, self._on_stored, self._on_membership)
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
        self._book = PeerBook(config, consortium)
        self.peers = Peers(replica, self._book.peers(), self.runtime, self._open_channel)
        self.runtime.peers = self.peers
        self._own_authority = own_authority(config.tls, config.node.department, consortium.authorities)
        self._authorities = self._known_authorities()
        self._callers = CallerDirectory(self._authorities)
        self._roots = ClientRoots(self._authorities.values())
        self.status = NodeStatus(config, genesis, store, consortium, self._book, opened.tls, opened.vault)
        self.status.connect(self.runtime, self.peers, mempool, clock, self.feed)
        self.metrics.read_from(self.status.readings())
        self._health = health_aio.HealthServicer()
        self._operator = OperatorService(config.node.department, self._back_up)
        self._keeper = self._vault_keeper()
        self._vault_loop = self._follow_with_vault(self._keeper, clock)
        self._queries = Queries(genesis, store)
        self._alert_watch = AlertWatch(self._queries.audit.alerts, self._readers, self.metrics.alerts)
        self._server = self._build_server()
        pages = Pages(self.metrics.exposition, self.status.problems, self.status.not_ready)
        self._http = HttpServer(pages, config.http.listen.host, config.http.listen.port)

    async def run(self, stop: asyncio.Event) -> None:
        """Serves until `stop` is set, then ends in order. Raises HuzhengError when it can't start."""
        config = self._opened.config
        credentials = server_credentials(self._opened.tls, self._roots)
        if config.http.enabled:
            await self._http.start()
        listen(self._server, config.node.listen, credentials)
        await self._server.start()
        self.peers.start()
        core = asyncio.ensure_future(self.runtime.run())
        log.info("node started", replica=config.node.replica, height=self._opened.store.tip.height)
        notifier = sdnotify.SystemdNotifier()
        notifier.notify("READY=1")
        watch = asyncio.ensure_future(self._watch())
        reopening = asyncio.ensure_future(self._opened.vault.reopen(self._opened.store, self._has_caught_up))
        following = asyncio.ensure_future(self._run_vault())
        alerts = asyncio.ensure_future(self._alert_watch.run())
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait([core, stopped], return_when=asyncio.FIRST_COMPLETED)
            if core.done():
                core.result()
        finally:
            notifier.notify("STOPPING=1")
            for task in (watch, reopening, following, alerts, stopped):
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
        await asyncio.to_thread(self._operator.close)
        # Where peers' fetches read the database.
        await asyncio.get_running_loop().shutdown_default_executor()
        if self._vault_loop is not None:
            self._vault_loop.close()
        self._opened.close()
        log.info("node stopped", height=self._opened.store.tip.height)

    def _vault_keeper(self) -> VaultKeeper | None:
        opened = self._opened
        if opened.config.vault is None:
            return None
        return VaultKeeper(opened.genesis, opened.store, opened.vault.require_one, opened.config.node.department)

    def _follow_with_vault(self, keeper: VaultKeeper | None, clock: NetworkClock) -> VaultLoop | None:
        opened = self._opened
        if keeper is None:
            return None
        return VaultLoop(opened.genesis, keeper, opened.config.node.department, opened.vault_signer, clock.now_ms)

    async def _run_vault(self) -> None:
        if self._vault_loop is not None:
            await self._vault_loop.run(self.feed, self.intake)

    async def _watch(self) -> None:
        """Keeps gRPC's standard health service in step with readiness, the links with node.toml, and an eye on the clock."""
        while True:
            try:
                await self._look_around()
            except Exception as error:
                log.error("internal error", exc_info=error)
            await asyncio.sleep(HEALTH_INTERVAL_S)

    async def _look_around(self) -> None:
        serving = health_pb2.HealthCheckResponse.SERVING
        waiting = health_pb2.HealthCheckResponse.NOT_SERVING
        await self._health.set("", waiting if self.status.not_ready() else serving)
        self._clock_watch.look(monotonic_ms())
        if self._book.reread():
            log.info("peers read again")
            self.peers.update(self._book.peers())

    def _build_server(self) -> grpc.aio.Server:
        genesis, limits = self._opened.genesis, self._opened.config.limits
        gate = Gate(self._callers, self.metrics, limits.concurrent_calls)
        replica_service = ReplicaService(self._opened.store, self.peers, current_caller)
        ledger_service = LedgerService(self.intake, self._queries, self.feed, self.status, self._readers)
        department = self._opened.config.node.department
        releaser = Releaser(genesis, self._opened.store, department, self._keeper, seal)
        sharing_service = SharingService(releaser, self._readers)
        services = Services(
            ledger_service, replica_service, self._operator, self._health, sharing_service, self._vault_service()
        )
        return build_server(limits, genesis.parameters, gate, services)

    def _vault_service(self) -> VaultService:
        opened = self._opened
        access = VaultAccess(
            opened.genesis, opened.store, opened.config.node.department, self._keeper, self._clock.now_ms
        )
        return VaultService(access, self._readers)

    def _back_up(self, target: Path, on_progress: OnProgress) -> bytes:
        """In the thread of backups."""
        opened = self._opened
        source = Source(opened.config, opened.genesis, opened.store, opened.vault.require())
        return encode_manifest(make_backup(source, target, on_progress))

    def _has_caught_up(self) -> bool:
        now_ms = self._clock.now_ms()
        # By the network's clock, which is known only when peers are.
        started_ms = now_ms - (monotonic_ms() - self._started_ms)
        return has_caught_up(self._opened.store.tip.time_ms, now_ms, started_ms, self._opened.genesis.parameters)

    def _known_authorities(self) -> dict[str, bytes]:
        """The CAs of all departments, this node's own too while the chain does not name it."""
        return {self._opened.config.node.department: self._own_authority, **self._opened.consortium.authorities}

    def _on_membership(self) -> None:
        """A block changed who belongs to the consortium or who is to vote."""
        try:
            self._meet_members()
        except Exception as error:
            # What somebody put on the chain must not end this replica's voting.
            log.error("membership not taken over", exc_info=error)

    def _meet_members(self) -> None:
        """Who may call, and whom to call."""
        self._authorities = self._known_authorities()
        self._callers.replace(self._authorities)
        self._roots.replace(self._authorities.values())
        self.peers.update(self._book.peers())
        newest = self._opened.consortium.newest
        log.info("membership decided", epoch=newest.epoch, members=newest.membership.n, from_height=newest.first_height)
        for replica in self._book.without_address():
            log.warning("peer without address", peer=replica)

    def _open_channel(self, peer: Peer) -> grpc.aio.Channel:
        genesis = self._opened.genesis
        credentials = channel_credentials(self._opened.tls.current(), self._authorities[peer.department])
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
        opened.close()

"""Where this node stands: one source for `GetStatus`, `/healthz`, `/readyz` and the metrics' gauges."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from huzheng.v1 import ledger_service_pb2 as pb

from consensus.follower import Follower
from ledger.crypto import ReplicaId
from ledger.genesis import Genesis
from ledger.store import ChainStore
from node.clock import NetworkClock, monotonic_ms, wall_clock_ms
from node.config import NodeConfig
from node.consortium import Consortium
from node.feed import BlockFeed
from node.mempool import Mempool
from node.metrics import Readings
from node.node_vault import NodeVault
from node.peer_book import PeerBook
from node.peers import Peers
from node.runtime import Runtime
from node.tls import TlsFiles
from node.version import software_version

CATCHING_UP = "CATCHING_UP"
NO_QUORUM = "NO_QUORUM"
CHAIN_STALLED = "CHAIN_STALLED"
CLOCK_OFF = "CLOCK_OFF"
TLS_EXPIRES_SOON = "TLS_EXPIRES_SOON"
NOT_GREETED = "NOT_GREETED"
NO_VOTE = "NO_VOTE"
PEER_WITHOUT_ADDRESS = "PEER_WITHOUT_ADDRESS"
VIEW_CHANGING = "VIEW_CHANGING"
PRIMARY_SUSPECTED = "PRIMARY_SUSPECTED"
PAYLOADS_LEFT_OUT = "PAYLOADS_LEFT_OUT"

BEHIND_BLOCKS = 8
"""A node that is fewer blocks behind than this is ready: some blocks are always on their way."""
STALLED_HEARTBEATS = 3


class NodeStatus:
    """Reads the parts of a running node; belongs to its event loop."""

    def __init__(
        self,
        config: NodeConfig,
        genesis: Genesis,
        store: ChainStore,
        consortium: Consortium,
        book: PeerBook,
        tls: TlsFiles,
        vault: NodeVault,
    ) -> None:
        self._config = config
        self._genesis = genesis
        self._store = store
        self._consortium = consortium
        self._book = book
        self._tls = tls
        self._vault = vault
        self._started_ms = wall_clock_ms()
        self._stored_at_ms = monotonic_ms()
        self._runtime: Runtime
        self._peers: Peers
        self._mempool: Mempool
        self._clock: NetworkClock
        self._feed: BlockFeed

    def connect(self, runtime: Runtime, peers: Peers, mempool: Mempool, clock: NetworkClock, feed: BlockFeed) -> None:
        """Names the parts that are made after this one."""
        self._runtime, self._peers, self._mempool, self._clock, self._feed = runtime, peers, mempool, clock, feed

    def on_stored(self) -> None:
        """A block became durable."""
        self._stored_at_ms = monotonic_ms()

    # --- what is wrong ---

    def problems(self) -> Sequence[str]:
        """Codes of what stops this node from voting until someone acts."""
        problem = self._runtime.problem
        return () if problem is None else (str(problem.code),)

    def not_ready(self) -> Sequence[str]:
        """Why this node can't serve just now."""
        reasons = list(self.problems())
        if self._runtime.core.network_height > self._store.tip.height + BEHIND_BLOCKS:
            reasons.append(CATCHING_UP)
        core = self._runtime.core
        members = sum(core.membership.member(replica) is not None for replica in self._linked())
        if isinstance(core, Follower):
            reasons += [] if self._runtime.problem is not None else [NO_VOTE]
        elif members + 1 < core.membership.q:
            reasons.append(NO_QUORUM)
        elif not core.may_vote and not reasons:
            reasons.append(NOT_GREETED)
        return reasons

    def warnings(self) -> Sequence[str]:
        """Codes of all that an operator should look at."""
        warnings = list(self.not_ready())
        parameters = self._genesis.parameters
        if monotonic_ms() - self._stored_at_ms > STALLED_HEARTBEATS * parameters.heartbeat_ms:
            warnings.append(CHAIN_STALLED)
        if not self._runtime.core.is_view_entered:
            warnings.append(VIEW_CHANGING)
        if self._runtime.core.is_suspecting:
            warnings.append(PRIMARY_SUSPECTED)
        if self._book.without_address():
            warnings.append(PEER_WITHOUT_ADDRESS)
        if abs(self._clock.offset_ms) > parameters.clock_bound_ms // 2:
            warnings.append(CLOCK_OFF)
        if self._tls.current().expires_soon(datetime.now(UTC)):
            warnings.append(TLS_EXPIRES_SOON)
        if CATCHING_UP not in warnings and self._store.lacks_payloads:
            warnings.append(PAYLOADS_LEFT_OUT)
        if self._vault.trouble is not None:
            warnings.append(str(self._vault.trouble.code))
        return warnings

    # --- for callers ---

    def response(self) -> pb.GetStatusResponse:
        """The answer to `GetStatus`."""
        tip = self._store.tip
        core = self._runtime.core
        return pb.GetStatusResponse(
            chain_id=self._genesis.chain_id,
            network=self._genesis.name,
            department=self._config.node.department,
            replica=self._config.node.replica,
            software_version=software_version(),
            protocol_version=self._consortium.in_force.protocol_version,
            epoch=core.membership.epoch,
            view=core.view,
            primary=core.primary,
            height=tip.height,
            block_hash=tip.block_hash,
            block_time_ms=tip.time_ms,
            network_height=core.network_height,
            transaction_count=self._store.transaction_count,
            record_count=self._store.record_count,
            pending_transactions=len(self._mempool),
            peers=self._peer_states(),
            started_ms=self._started_ms,
            tls_expires_ms=self._tls.expiry_ms(),
            warnings=self.warnings(),
            clock_ms=wall_clock_ms(),
            has_vault=self._config.vault is not None,
        )

    def readings(self) -> Readings:
        """For the metrics."""
        runtime = self._runtime
        return Readings(
            gauges={
                "huzheng_height": lambda: self._store.tip.height,
                "huzheng_epoch": lambda: runtime.core.membership.epoch,
                "huzheng_network_height": lambda: runtime.core.network_height,
                "huzheng_block_time_seconds": lambda: self._store.tip.time_ms / 1000,
                "huzheng_view": lambda: runtime.core.view,
                "huzheng_primary": lambda: runtime.core.primary,
                "huzheng_peers_connected": self._connected,
                "huzheng_clock_offset_seconds": lambda: self._clock.offset_ms / 1000,
                "huzheng_tls_expiry_seconds": lambda: self._tls.expiry_ms() / 1000,
                "huzheng_watchers": lambda: self._feed.watchers,
                "huzheng_ready": lambda: float(not self.not_ready()),
            },
            pending=self._mempool.count_by_department,
            events=lambda: self._runtime.counts,
        )

    def _connected(self) -> int:
        return len(self._linked())

    def _linked(self) -> list[ReplicaId]:
        return [replica for replica, link in self._peers.links.items() if link.connected]

    def _peer_states(self) -> list[pb.PeerState]:
        now_ms, wall_ms = monotonic_ms(), wall_clock_ms()
        return [
            pb.PeerState(
                replica=replica,
                department=link.peer.department,
                address=link.peer.address,
                connected=link.connected,
                height=self._runtime.core.peer_height(replica),
                last_heard_ms=wall_ms - (now_ms - link.last_heard_ms) if link.last_heard_ms else 0,
            )
            for replica, link in self._peers.links.items()
        ]

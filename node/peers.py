"""Links between replicas: one long-lived bidirectional stream a pair, opened by the replica with the lower id.

A link only carries: what is lost on it, or dropped because a peer reads too slowly, consensus sends again when the peer's status shows that it is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import structlog
from huzheng.v1 import replica_service_pb2

from ledger.crypto.membership import Membership
from ledger.crypto.types import ReplicaId
from ledger.errors import Code, HuzhengError
from node.clock import monotonic_ms, wall_clock_ms
from node.peer_messages import MAX_GROUP_MESSAGES, read_group, write_message

MAX_OUTBOX_BYTES = 64 * 1024 * 1024
"""Per peer; beyond it messages are dropped, never kept."""
MAX_GROUP_BYTES = 4 * 1024 * 1024
"""Messages are sent together until their group is this large."""
MESSAGE_OVERHEAD_BYTES = 512
"""What a message takes in memory besides its bytes."""
MAX_BACKLOG_BYTES = 16 * 1024 * 1024
"""Of one peer's messages not yet processed; beyond it nothing more is read from it."""
RECONNECT_MIN_MS = 100
RECONNECT_MAX_MS = 1_000
CONNECT_TIMEOUT_S = 4.0
"""gRPC alone would wait 20 s for an answer to packets that were lost while the network was cut."""
SHORT_LIVED_MS = 1_000
"""A peer whose streams live no longer than this is let in less and less often, down to every `RECONNECT_MAX_MS` / 2."""
FAULT_MIN_MS = 1_000
FAULT_MAX_MS = 8_000
"""A peer that sent what no correct replica sends stays without a link this long, longer each time."""
FORGIVEN_MS = 60_000
CLOCK_INTERVAL_S = 5.0
END = grpc.aio.EOF  # type: ignore[attr-defined]  # missing in the stubs
"""What a stream reads when its sender has ended it."""
CONNECT = "/huzheng.v1.ReplicaService/Connect"
FETCH_BLOCKS = "/huzheng.v1.ReplicaService/FetchBlocks"
TELL_UNREACHABLE_MS = 60_000

log = structlog.get_logger("peers")


Read = Callable[[], Awaitable[Any]]
"""The next group of messages of a stream, unread, or END."""
Write = Callable[[list[bytes]], Awaitable[None]]
"""Sends messages together."""


class PeerHandler(Protocol):
    """Who gets what peers send; the node's runtime."""

    def on_peer_connected(self, peer: ReplicaId) -> None:
        """A link is up."""

    def on_peer_lost(self, peer: ReplicaId) -> None:
        """A link is down."""

    async def on_peer_message(self, peer: ReplicaId, message: replica_service_pb2.PeerMessage) -> None:
        """A message came; returns when the node is ready for the next one of this peer."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another replica, as configured."""

    replica: ReplicaId
    department: str
    address: str


class Outbox:
    """Messages waiting for one link, bounded in bytes."""

    def __init__(self) -> None:
        self._messages: list[bytes] = []
        self._bytes = 0
        self._filled = asyncio.Event()
        self.dropped = 0

    def put(self, message: bytes) -> None:
        """Adds a message, or drops it when the peer reads too slowly."""
        size = len(message) + MESSAGE_OVERHEAD_BYTES
        if self._bytes + size > MAX_OUTBOX_BYTES:
            self.dropped += 1
            return
        self._messages.append(message)
        self._bytes += size
        self._filled.set()

    def clear(self) -> None:
        """Drops what a broken link left behind."""
        self._messages.clear()
        self._bytes = 0
        self._filled.clear()

    async def take(self) -> list[bytes]:
        """All that waits, up to one group; waits for the first."""
        await self._filled.wait()
        count, size = 0, 0
        while count < min(len(self._messages), MAX_GROUP_MESSAGES) and (count == 0 or size < MAX_GROUP_BYTES):
            size += len(self._messages[count]) + MESSAGE_OVERHEAD_BYTES
            count += 1
        taken, self._messages = self._messages[:count], self._messages[count:]
        self._bytes -= size
        if not self._messages:
            self._filled.clear()
        return taken


class Admission:
    """When a peer may have a stream: at once, unless its streams don't last or it was at fault."""

    def __init__(self) -> None:
        self.not_before_ms = 0
        self._pause_ms = RECONNECT_MIN_MS // 2
        self._fault_pause_ms = FAULT_MIN_MS
        self._fault_ms: int | None = None

    def opened(self, now_ms: int) -> None:
        """A stream begins; the next one not before a short while from now."""
        self.not_before_ms = max(self.not_before_ms, now_ms + self._pause_ms)

    def closed(self, lived_ms: int) -> None:
        """A stream is over."""
        longer = min(2 * self._pause_ms, RECONNECT_MAX_MS // 2)
        self._pause_ms = longer if lived_ms < SHORT_LIVED_MS else RECONNECT_MIN_MS // 2

    def fault(self, now_ms: int) -> None:
        """The peer did what no correct replica does."""
        forgiven = self._fault_ms is None or now_ms - self._fault_ms > FORGIVEN_MS
        self._fault_pause_ms = FAULT_MIN_MS if forgiven else min(2 * self._fault_pause_ms, FAULT_MAX_MS)
        self._fault_ms = now_ms
        self.not_before_ms = max(self.not_before_ms, now_ms + self._fault_pause_ms)


class Link:
    """The link to one peer: its outbox, and whether a stream is up."""

    def __init__(self, peer: Peer, handler: PeerHandler) -> None:
        self.peer = peer
        self.outbox = Outbox()
        self.connected = False
        self.last_heard_ms = 0
        self._ended = False
        self._told_unreachable_ms: int | None = None
        self._fault: HuzhengError | None = None
        self._admission = Admission()
        self._handler = handler
        self._stream: asyncio.Task[None] | None = None

    def send(self, message: bytes) -> None:
        """Sends when connected; otherwise drops: the peer will say what it lacks when it is back."""
        if self.connected:
            self.outbox.put(message)

    def tell_unreachable(self, status: grpc.StatusCode, reason: str | None) -> None:
        """Logs why the peer can't be reached, but not at each attempt."""
        now_ms = monotonic_ms()
        if self._told_unreachable_ms is None or now_ms - self._told_unreachable_ms >= TELL_UNREACHABLE_MS:
            self._told_unreachable_ms = now_ms
            log.warning("peer unreachable", peer=self.peer.replica, status=status.name, reason=reason)

    def end(self) -> None:
        """Ends the stream, if one is up, and takes no other."""
        self._ended = True
        if self._stream is not None:
            self._stream.cancel()

    def fault(self, error: HuzhengError) -> None:
        """The peer sent what no correct replica sends: ends its stream, and takes no other for a while."""
        if self._fault is not None:
            return
        log.warning("peer at fault", peer=self.peer.replica, code=error.code, detail=error.detail)
        self._admission.fault(monotonic_ms())
        if self._stream is not None:
            self._fault = error
            self._stream.cancel()

    @property
    def wait_ms(self) -> int:
        """For so long the peer gets no stream."""
        return max(0, self._admission.not_before_ms - monotonic_ms())

    async def run(self, read: Read, write: Write) -> None:
        """Carries one stream until it ends. A newer stream of the same peer replaces an older one.

        Raises:
            HuzhengError: NOT_READY when this node is stopping; OVERLOADED when the peer connects too often or was at fault;
                INVALID_REQUEST and the like when it is at fault now.
        """
        if self._ended:
            raise HuzhengError(Code.NOT_READY, "the node is stopping")
        if self.wait_ms:
            raise HuzhengError(Code.OVERLOADED, "too many streams, or a fault a moment ago")
        started_ms = monotonic_ms()
        self._admission.opened(started_ms)
        # Several may come at once, and each waits for the one before.
        while self._stream is not None and not self._stream.done():
            self._stream.cancel()
            await asyncio.wait([self._stream])
        if self._ended:
            # While it waited.
            raise HuzhengError(Code.NOT_READY, "no link to this peer any more")
        self._fault = None
        task = self._stream = asyncio.ensure_future(self._carry(read, write))
        try:
            # Not `await task`: when the stream is ended from here the call has to return, not to look cancelled.
            await asyncio.wait([task])
        finally:
            # The next stream waits for its end.
            task.cancel()
            self._admission.closed(monotonic_ms() - started_ms)
        fault = self._fault
        if not task.cancelled():
            task.result()
        if fault is not None:
            raise fault

    async def _carry(self, read: Read, write: Write) -> None:
        self.outbox.clear()
        self.connected = True
        self._told_unreachable_ms = None
        log.info("peer connected", peer=self.peer.replica)
        tasks = [
            asyncio.ensure_future(work) for work in (self._write_all(write), self._tell_clock(), self._read_all(read))
        ]
        try:
            self._handler.on_peer_connected(self.peer.replica)
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except HuzhengError as error:
            self.fault(error)
            raise
        finally:
            self.connected = False
            log.info("peer lost", peer=self.peer.replica)
            self._handler.on_peer_lost(self.peer.replica)
            for task in tasks:
                task.cancel()
            # Last: where a fault has ended this task, it raises.
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read_all(self, read: Read) -> None:
        while (raw := await read()) is not END:
            self.last_heard_ms = monotonic_ms()
            for message in read_group(raw):
                await self._handler.on_peer_message(self.peer.replica, message)

    async def _write_all(self, write: Write) -> None:
        while True:
            await write(await self.outbox.take())

    async def _tell_clock(self) -> None:
        while True:
            self.outbox.put(write_message(replica_service_pb2.PeerClock(clock_ms=wall_clock_ms())))
            await asyncio.sleep(CLOCK_INTERVAL_S)


class Peers:
    """All links of this replica, and the channels to call peers on."""

    def __init__(
        self,
        own: ReplicaId,
        peers: Iterable[Peer],
        handler: PeerHandler,
        open_channel: Callable[[Peer], grpc.aio.Channel],
    ) -> None:
        self._own = own
        self._handler = handler
        self._open_channel = open_channel
        self._dialers: dict[ReplicaId, asyncio.Task[None]] = {}
        self._started = False
        self.links: dict[ReplicaId, Link] = {}
        self.update(peers)

    def start(self) -> None:
        """Starts dialling every peer with a higher id."""
        self._started = True
        for link in self.links.values():
            self._start_dialling(link)

    def update(self, peers: Iterable[Peer]) -> None:
        """These are the peers from now on; links to others, or to where a peer no longer is, end."""
        wanted = {peer.replica: peer for peer in peers}
        for replica, link in list(self.links.items()):
            if wanted.get(replica) != link.peer:
                self._drop(replica)
        for replica in sorted(set(wanted) - set(self.links)):
            self.links[replica] = Link(wanted[replica], self._handler)
            self._start_dialling(self.links[replica])

    def _start_dialling(self, link: Link) -> None:
        if self._started and link.peer.replica > self._own:
            self._dialers[link.peer.replica] = asyncio.ensure_future(self._dial(link))

    def _drop(self, replica: ReplicaId) -> None:
        dialler = self._dialers.pop(replica, None)
        if dialler is not None:
            dialler.cancel()
        self.links.pop(replica).end()

    async def stop(self) -> None:
        """Ends all links, those that peers opened too."""
        self._started = False
        diallers = list(self._dialers.values())
        for replica in list(self.links):
            self._drop(replica)
        await asyncio.gather(*diallers, return_exceptions=True)

    def send(self, to: ReplicaId, message: bytes) -> None:
        """Sends to one peer, if it is one still."""
        link = self.links.get(to)
        if link is not None:
            link.send(message)

    def broadcast(self, message: bytes, among: Membership | None = None) -> None:
        """Sends to all peers, or to those that are members."""
        for replica, link in self.links.items():
            if among is None or among.member(replica) is not None:
                link.send(message)

    def fault(self, replica: ReplicaId, error: HuzhengError) -> None:
        """A peer sent what no correct replica sends."""
        link = self.links.get(replica)
        if link is not None:
            link.fault(error)

    def open_channel(self, replica: ReplicaId) -> grpc.aio.Channel:
        """A channel of its own to a peer, which the caller closes; for a short while, since it goes on with the certificate of now."""
        link = self.links.get(replica)
        if link is None:
            raise HuzhengError(Code.PEER_UNKNOWN, f"replica {replica}")
        return self._open_channel(link.peer)

    async def _dial(self, link: Link) -> None:
        pause_ms = RECONNECT_MIN_MS
        while True:
            started_ms = monotonic_ms()
            try:
                await self._carry_call(link)
            except grpc.aio.AioRpcError as error:
                link.tell_unreachable(error.code(), error.details())
            except TimeoutError:
                link.tell_unreachable(grpc.StatusCode.DEADLINE_EXCEEDED, f"no answer within {CONNECT_TIMEOUT_S:.0f} s")
            except HuzhengError as error:
                log.debug("link ended", peer=link.peer.replica, code=error.code)
            except Exception as error:
                # One peer's failure, whatever it is, must not end the dialling of that peer.
                log.error("link failed", peer=link.peer.replica, exc_info=error)
            lived_ms = monotonic_ms() - started_ms
            pause_ms = RECONNECT_MIN_MS if lived_ms > RECONNECT_MAX_MS else min(2 * pause_ms, RECONNECT_MAX_MS)
            await asyncio.sleep(max(pause_ms, link.wait_ms) / 1000)

    async def _carry_call(self, link: Link) -> None:
        channel = self._open_channel(link.peer)
        try:
            call = channel.stream_stream(CONNECT, None, None)()  # type: ignore[call-arg]
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await call.initial_metadata()
            if call.done():
                link.tell_unreachable(await call.code(), await call.details())
                return

            async def write(messages: list[bytes]) -> None:
                await call.write(replica_service_pb2.ConnectRequest(messages=messages).SerializeToString())

            await link.run(call.read, write)
        finally:
            await channel.close(None)

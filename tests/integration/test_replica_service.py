"""ReplicaService over real mutual TLS, against peers that have every certificate and no manners."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1.health import aio as health_aio  # type: ignore[attr-defined]  # missing in the stubs
from huzheng.v1 import consensus_pb2, replica_service_pb2

from consensus.events import FetchBlocks, FetchEnded
from ledger.block_apply import CheckedBlock
from ledger.crypto import Height, ReplicaId
from node import peers as peers_module
from node.config import LimitsSection
from node.fetch import BlockFetcher, FetchParts
from node.identity import Caller, CallerDirectory, Role
from node.metrics import Metrics
from node.peer_messages import write_message
from node.peers import CONNECT, FETCH_BLOCKS, Peer, Peers
from node.pki import Authority, issue, new_authority
from node.server import Services, build_server, listen
from node.services import gate as gate_module
from node.services.gate import Gate, current_caller
from node.services.replica_service import MAX_FETCHES, ReplicaService
from node.tls import ClientRoots, TlsFiles, channel_options, server_credentials
from node.toml_file import Address
from tests.builders import DEPARTMENTS, Consortium
from tests.sequencer import OneReplica, until
from tests.streams import stream_end, unlimited

CONSORTIUM = Consortium(n=4)
GENESIS = CONSORTIUM.genesis
NOW = datetime.now(UTC)
AUTHORITIES = {name: new_authority(name, name, NOW) for name in DEPARTMENTS}
OWN = ReplicaId(4)
TRAITOR = Caller("planning", Role.REPLICA, "2")
STATUS = write_message(consensus_pb2.ReplicaStatus(stored_height=1))
SOUND = replica_service_pb2.ConnectRequest(messages=[STATUS]).SerializeToString()
BLOCKS = 20

Scenario = Callable[["Server"], Awaitable[None]]

CONCURRENT_CALLS = 64


class Listener:
    """What a node's runtime hears."""

    def __init__(self) -> None:
        self.messages = 0

    def on_peer_connected(self, peer: ReplicaId) -> None:
        pass

    def on_peer_lost(self, peer: ReplicaId) -> None:
        pass

    async def on_peer_message(self, peer: ReplicaId, message: replica_service_pb2.PeerMessage) -> None:
        self.messages += 1


class Server:
    """Replica 4, serving its peers."""

    def __init__(self, directory: Path) -> None:
        self.node = OneReplica(directory / "data", CONSORTIUM)
        self.listener = Listener()
        self.channels: dict[ReplicaId, grpc.aio.Channel] = {}
        members = [member for member in GENESIS.membership.members if member.replica != OWN]
        listed = [Peer(member.replica, member.department, "") for member in members]
        self.peers = Peers(OWN, listed, self.listener, lambda peer: self.channels[peer.replica])
        authorities = {name: authority.certificate_der for name, authority in AUTHORITIES.items()}
        gate = Gate(CallerDirectory(authorities), Metrics(), CONCURRENT_CALLS)
        self.replica = ReplicaService(self.node.store, self.peers, current_caller)
        methods: Any = _Methods()
        services = Services(methods, self.replica, methods, health_aio.HealthServicer(), methods, methods)
        self.server = build_server(LimitsSection(), GENESIS.parameters, gate, services)
        self.port = listen(self.server, Address("127.0.0.1", 0), credentials(directory, OWN, authorities.values()))

    async def stop(self) -> None:
        await self.peers.stop()
        await self.server.stop(0)
        self.node.close()

    @asynccontextmanager
    async def channel(self, caller: Caller) -> AsyncIterator[grpc.aio.Channel]:
        async with channel_to(self.port, OWN, caller) as channel:
            yield channel

    async def connect(
        self, *groups: bytes, caller: Caller = TRAITOR, authority: Authority | None = None
    ) -> grpc.RpcError:
        """Sends groups as the traitor or another, and waits for the end of the stream."""
        with grpc.secure_channel(*target(self.port, OWN, caller, authority)) as channel:
            with pytest.raises(grpc.RpcError) as ended:
                await asyncio.to_thread(stream_end, channel, CONNECT, groups)
            return ended.value


class _Methods:
    """A LedgerService and VaultService of which nothing is called."""

    def __getattr__(self, name: str) -> Any:
        async def unused(request: object, context: object) -> object:
            raise AssertionError(name)

        return unused


def credentials(directory: Path, replica: ReplicaId, authorities: Any) -> grpc.ServerCredentials:
    department = DEPARTMENTS[replica - 1]
    leaf = issue(AUTHORITIES[department], Caller(department, Role.REPLICA, str(replica)), NOW)
    certificate, key = directory / f"{replica}.crt", directory / f"{replica}.key"
    certificate.write_bytes(leaf.certificate_pem)
    key.touch(0o600)
    key.write_bytes(leaf.key_pem)
    return server_credentials(
        TlsFiles(certificate, key, AUTHORITIES[department].certificate_der), ClientRoots(authorities)
    )


def target(
    port: int, server: ReplicaId, caller: Caller, authority: Authority | None = None
) -> tuple[str, grpc.ChannelCredentials, list[tuple[str, Any]]]:
    """Of a channel to this server, as this caller."""
    department = DEPARTMENTS[server - 1]
    leaf = issue(authority or AUTHORITIES[caller.department], caller, NOW)
    secret = grpc.ssl_channel_credentials(AUTHORITIES[department].certificate_pem, leaf.key_pem, leaf.certificate_pem)
    return f"127.0.0.1:{port}", secret, unlimited(channel_options(department, server))


@asynccontextmanager
async def channel_to(port: int, server: ReplicaId, caller: Caller) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.secure_channel(*target(port, server, caller)) as channel:
        yield channel


async def _once(group: bytes) -> AsyncIterator[bytes]:
    yield group
    await asyncio.Event().wait()


async def _never() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


def play(directory: Path, scenario: Scenario) -> None:
    async def run() -> None:
        server = Server(directory)
        await server.server.start()
        try:
            async with asyncio.timeout(60):
                await scenario(server)
        finally:
            await server.stop()

    asyncio.run(run())


@pytest.fixture
def forgiving(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults are forgotten at once, so that a test can commit several."""
    monkeypatch.setattr(peers_module.Admission, "opened", lambda *_: None)
    monkeypatch.setattr(peers_module.Admission, "fault", lambda *_: None)


# --- the stream ---


@pytest.mark.usefixtures("forgiving")
def test_a_stream_of_what_no_replica_sends_ends_with_a_reason_and_the_next_one_is_served(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        for hostile in (b"\xff" * 100, b"\x0a\x05abc", b"\x0b" * 1_000, b"\x0a\x00" * 4_000_000, bytes(5_000)):
            ended = await server.connect(SOUND, hostile)
            assert ended.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "INVALID_REQUEST" in (ended.details() or "")
            assert "Error" not in (ended.details() or "")
        heard = server.listener.messages
        async with server.channel(TRAITOR) as channel:
            call = channel.stream_stream(CONNECT, None, None)(_once(SOUND))
            await until(lambda: server.listener.messages == heard + 1)
            call.cancel()

    play(tmp_path, scenario)


def test_a_peer_at_fault_is_kept_out_for_a_while(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        await server.connect(b"\xff")
        ended = await server.connect(SOUND)
        assert ended.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert server.listener.messages == 0
        await asyncio.sleep(server.peers.links[ReplicaId(2)].wait_ms / 1000 + 0.05)
        async with server.channel(TRAITOR) as channel:
            channel.stream_stream(CONNECT, None, None)(_once(SOUND))
            await until(lambda: server.listener.messages == 1)

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("caller", "authority", "code"),
    [
        (Caller("planning", Role.CLERK, "li"), None, "CALLER_NOT_ALLOWED"),
        (Caller("planning", Role.SYSTEM, "registry"), None, "CALLER_NOT_ALLOWED"),
        (Caller("planning", Role.REPLICA, "3"), None, "PEER_UNKNOWN"),
        (Caller("planning", Role.REPLICA, "99"), None, "PEER_UNKNOWN"),
        (Caller("police", Role.REPLICA, "3"), AUTHORITIES["planning"], "CALLER_DEPARTMENT_MISMATCH"),
        (Caller("tax", Role.REPLICA, "4"), None, "PEER_UNKNOWN"),
    ],
)
def test_nobody_takes_another_replicas_place(
    tmp_path: Path, caller: Caller, authority: Authority | None, code: str
) -> None:
    async def scenario(server: Server) -> None:
        refused = await server.connect(SOUND, caller=caller, authority=authority)
        assert code in (refused.details() or "")
        assert server.listener.messages == 0

    play(tmp_path, scenario)


# --- blocks ---


def test_a_peer_has_few_fetches_at_a_time_however_many_it_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(server: Server) -> None:
        for _ in range(BLOCKS):
            server.node.seal()
        read, reading, free = server.node.store.block, threading.Semaphore(0), threading.Event()

        def read_slowly(height: Height) -> bytes:
            reading.release()
            free.wait(20)
            return read(height)

        monkeypatch.setattr(server.node.store, "block", read_slowly)
        request = replica_service_pb2.FetchBlocksRequest(from_height=0, count=2**32 - 1).SerializeToString()
        async with server.channel(TRAITOR) as channel:
            fetch = channel.unary_stream(FETCH_BLOCKS, None, None)
            slow = [fetch(request) for _ in range(MAX_FETCHES)]
            await until(lambda: reading.acquire(blocking=False))
            await until(lambda: reading.acquire(blocking=False))
            assert await count(fetch(request)) == "RESOURCE_EXHAUSTED"
            free.set()
            assert [await count(call) for call in slow] == [BLOCKS] * MAX_FETCHES
            await until(lambda: not +server.replica._fetching)
            assert await count(fetch(request)) == BLOCKS
            beyond = replica_service_pb2.FetchBlocksRequest(from_height=2**64 - 1, count=5).SerializeToString()
            assert await count(fetch(beyond)) == 0

    play(tmp_path, scenario)


async def count(call: Any) -> int | str:
    try:
        return len([answer async for answer in call])
    except grpc.aio.AioRpcError as error:
        return error.code().name


async def fetch_from(port: int, node: OneReplica) -> FetchEnded:
    """Fetches as replica 4 from a server that says it is replica 2."""

    async def apply(blocks: Sequence[CheckedBlock]) -> None:
        raise AssertionError("nothing that was sent is a block")

    async with channel_to(port, ReplicaId(2), Caller("tax", Role.REPLICA, "4")) as channel:
        peers = Peers(OWN, [Peer(ReplicaId(2), "planning", "")], Listener(), lambda _: channel)
        fetcher = BlockFetcher(FetchParts(GENESIS, node.store, node.workers, node.mempool.verified, apply))
        request = FetchBlocks(Height(1), (ReplicaId(2),))
        return await fetcher.fetch(request, peers.open_channel, lambda _: Height(300))


@pytest.mark.parametrize(
    "answers",
    [
        [b"\xff\xff garbage"],
        [replica_service_pb2.FetchBlocksResponse(block=b"\xff" * 100).SerializeToString()],
        [b""] * 300,
        [bytes(1_000_000)],
        [],
    ],
)
def test_whatever_a_peer_answers_to_a_fetch_only_ends_its_turn(tmp_path: Path, answers: list[bytes]) -> None:
    async def hostile(request: bytes, context: object) -> AsyncIterator[bytes]:
        for answer in answers:
            yield answer

    async def run() -> None:
        node = OneReplica(tmp_path / "data", CONSORTIUM)
        server = grpc.aio.server()
        handler = grpc.unary_stream_rpc_method_handler(hostile)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("huzheng.v1.ReplicaService", {"FetchBlocks": handler}),)
        )
        authorities = [authority.certificate_der for authority in AUTHORITIES.values()]
        port = server.add_secure_port("127.0.0.1:0", credentials(tmp_path, ReplicaId(2), authorities))
        await server.start()

        try:
            async with asyncio.timeout(20):
                assert await fetch_from(port, node) == FetchEnded()
        finally:
            await server.stop(0)
            node.close()

    asyncio.run(run())


# --- calls that are never finished ---


def test_calls_whose_message_never_comes_are_ended_and_take_nobodys_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than all calls take to arrive, in whatever order they do.
    monkeypatch.setattr(gate_module, "RECEIVE_TIMEOUT_S", 4.0)
    share = CONCURRENT_CALLS // 4
    refused = 24

    async def scenario(server: Server) -> None:
        method = "/huzheng.v1.LedgerService/GetStatus"
        async with (
            server.channel(Caller("planning", Role.CLERK, "li")) as slow,
            server.channel(Caller("police", Role.CLERK, "wu")) as other,
        ):
            calls = [slow.stream_unary(method, None, None)(_never()) for _ in range(share + refused)]
            outcomes = asyncio.as_completed([ended(call) for call in calls])
            assert [await next(outcomes) for _ in range(refused)] == ["RESOURCE_EXHAUSTED"] * refused
            health = other.unary_unary("/grpc.health.v1.Health/Check", None, None)
            assert await health(b"") is not None
            assert [await next(outcomes) for _ in range(share)] == ["DEADLINE_EXCEEDED"] * share

    play(tmp_path, scenario)


def test_who_may_not_call_makes_the_node_receive_nothing(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        async with server.channel(Caller("planning", Role.CLERK, "li")) as channel:
            for method in ("/huzheng.v1.LedgerService/Submit", FETCH_BLOCKS):
                call = channel.stream_unary(method, None, None)(_never())
                assert await ended(call) == "PERMISSION_DENIED"

    play(tmp_path, scenario)


async def ended(call: Any) -> str:
    with suppress(grpc.aio.AioRpcError):
        await call
    return str((await call.code()).name)

"""Mutual TLS between a real gRPC server and real clients: who gets a connection, and who is taken for whom."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import grpc.aio
import pytest

from ledger.errors import HuzhengError
from node.identity import Caller, CallerDirectory, Role
from node.pki import Authority, Leaf, issue, new_authority, read_authority
from node.tls import (
    ClientRoots,
    TlsFiles,
    TlsMaterial,
    channel_credentials,
    channel_options,
    server_credentials,
)

NOW = datetime.now(UTC)
PLANNING = new_authority("planning", "规划和自然资源委员会", NOW)
TAX = new_authority("tax", "税务局", NOW)
STRANGER = new_authority("tax", "税务局", NOW)
SERVER = Caller("planning", Role.REPLICA, "1")
CLERK = Caller("tax", Role.CLERK, "wang")
NO_CONNECTION = "no connection"

Answer = Callable[[grpc.ChannelCredentials], Awaitable[str]]


@dataclass
class Server:
    """A server that answers every call with the caller it sees, or the error's code."""

    directory: Path
    files: TlsFiles
    port: int = 0
    broken: list[str] = field(default_factory=list)

    async def ask(self, credentials: grpc.ChannelCredentials, department: str = "planning", replica: int = 1) -> str:
        # Without its own pool a new channel could share an older one's connection.
        options = [*channel_options(department, replica), ("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.secure_channel(f"127.0.0.1:{self.port}", credentials, options=options) as channel:
            try:
                answer: bytes = await who_am_i(channel)(b"", timeout=10)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                return NO_CONNECTION
            return answer.decode()

    async def served_certificate(self) -> bytes:
        """The certificate (DER) that a new connection gets."""
        context = ssl.create_default_context(cadata=PLANNING.certificate_pem.decode())
        context.check_hostname = False
        context.set_alpn_protocols(["h2"])
        client = put(self.directory, "probe", issue(TAX, CLERK, NOW))
        context.load_cert_chain(*client)
        _, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
        try:
            der: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        finally:
            writer.close()
        return der


def who_am_i(channel: grpc.aio.Channel) -> grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]:
    return channel.unary_unary("/test/WhoAmI", bytes, bytes)


class WhoAmI(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    def __init__(self) -> None:
        self._directory = CallerDirectory({"planning": PLANNING.certificate_der, "tax": TAX.certificate_der})

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        async def answer(_: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            try:
                return self._directory.identify(context).uri.encode()
            except HuzhengError as error:
                return error.code.encode()

        return grpc.unary_unary_rpc_method_handler(answer)


def put(directory: Path, name: str, leaf: Leaf) -> tuple[Path, Path]:
    certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
    certificate.write_bytes(leaf.certificate_pem)
    key.write_bytes(leaf.key_pem)
    key.chmod(0o600)
    return certificate, key


def with_server(directory: Path, leaf: Leaf, check: Callable[[Server], Awaitable[None]]) -> None:
    async def run() -> None:
        certificate, key = put(directory, "server", leaf)
        broken: list[str] = []
        files = TlsFiles(
            certificate, key, PLANNING.certificate_der, on_broken=lambda error: broken.append(str(error.code))
        )
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((WhoAmI(),))
        credentials = server_credentials(files, ClientRoots([PLANNING.certificate_der, TAX.certificate_der]))
        port = server.add_secure_port("127.0.0.1:0", credentials)
        await server.start()
        try:
            await check(Server(directory, files, port, broken))
        finally:
            await server.stop(None)

    asyncio.run(run())


@pytest.fixture
def serve(tmp_path: Path) -> Callable[[Callable[[Server], Awaitable[None]]], None]:
    return lambda check: with_server(tmp_path, issue(PLANNING, SERVER, NOW), check)


Serve = Callable[[Callable[[Server], Awaitable[None]]], None]


def material(leaf: Leaf) -> TlsMaterial:
    """Whatever the certificate, unchecked: what a hostile client would use."""
    return TlsMaterial(leaf.certificate_pem, leaf.key_pem, CLERK, NOW)


def calling(authority: Authority, holder: Caller, *, start: datetime = NOW, days: int = 1) -> grpc.ChannelCredentials:
    return channel_credentials(material(issue(authority, holder, start, days)), PLANNING.certificate_der)


def test_each_department_is_known_by_its_own_ca(serve: Serve) -> None:
    async def check(server: Server) -> None:
        assert await server.ask(calling(TAX, CLERK)) == CLERK.uri
        operator = Caller("planning", Role.OPERATOR, "li")
        assert await server.ask(calling(PLANNING, operator)) == operator.uri
        peer = Caller("tax", Role.REPLICA, "2")
        assert await server.ask(calling(TAX, peer)) == peer.uri

    serve(check)


def test_without_a_certificate_there_is_no_connection(serve: Serve) -> None:
    async def check(server: Server) -> None:
        assert await server.ask(grpc.ssl_channel_credentials(PLANNING.certificate_pem)) == NO_CONNECTION

    serve(check)


def test_without_tls_there_is_no_connection(serve: Serve) -> None:
    async def check(server: Server) -> None:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await who_am_i(channel)(b"", timeout=10)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

    serve(check)


def test_a_ca_outside_the_genesis_gives_no_connection(serve: Serve) -> None:
    async def check(server: Server) -> None:
        assert await server.ask(calling(STRANGER, CLERK)) == NO_CONNECTION

    serve(check)


@pytest.mark.parametrize("start", [NOW - timedelta(days=3), NOW + timedelta(days=3)], ids=["expired", "not yet valid"])
def test_a_certificate_outside_its_dates_gives_no_connection(serve: Serve, start: datetime) -> None:
    async def check(server: Server) -> None:
        assert await server.ask(calling(TAX, CLERK, start=start)) == NO_CONNECTION

    serve(check)


def test_a_certificate_in_the_name_of_another_department_connects_but_is_nobody(serve: Serve) -> None:
    async def check(server: Server) -> None:
        forged = calling(TAX, Caller("planning", Role.OPERATOR, "li"))
        assert await server.ask(forged) == "CALLER_DEPARTMENT_MISMATCH"

    serve(check)


def test_a_leaf_cannot_act_as_a_ca(serve: Serve) -> None:
    async def check(server: Server) -> None:
        leaf = issue(TAX, CLERK, NOW)
        below = issue(read_authority("tax", leaf.certificate_pem, leaf.key_pem, None), CLERK, NOW)
        chained = TlsMaterial(below.certificate_pem + leaf.certificate_pem, below.key_pem, CLERK, NOW)
        assert await server.ask(channel_credentials(chained, PLANNING.certificate_der)) == NO_CONNECTION

    serve(check)


def test_a_client_refuses_a_server_of_another_department_and_another_replica(serve: Serve) -> None:
    async def check(server: Server) -> None:
        own = material(issue(TAX, CLERK, NOW))
        assert await server.ask(channel_credentials(own, TAX.certificate_der), "tax", 1) == NO_CONNECTION
        assert await server.ask(channel_credentials(own, PLANNING.certificate_der), "planning", 2) == NO_CONNECTION

    serve(check)


def test_a_client_refuses_a_server_whose_department_only_claims_to_be_the_other(tmp_path: Path) -> None:
    # The tax department's CA issues a server certificate in the name of planning's replica.
    forged = issue(TAX, SERVER, NOW)

    async def check() -> None:
        certificate, key = put(tmp_path, "server", forged)
        files = TlsFiles(certificate, key, TAX.certificate_der)
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((WhoAmI(),))
        port = server.add_secure_port("127.0.0.1:0", server_credentials(files, ClientRoots([TAX.certificate_der])))
        await server.start()
        try:
            assert await Server(tmp_path, files, port).ask(calling(TAX, CLERK)) == NO_CONNECTION
        finally:
            await server.stop(None)

    asyncio.run(check())


def test_a_clerks_certificate_cannot_serve(tmp_path: Path) -> None:
    async def check(server: Server) -> None:
        assert await server.ask(calling(TAX, CLERK)) == NO_CONNECTION

    with_server(tmp_path, issue(PLANNING, Caller("planning", Role.CLERK, "li"), NOW), check)


def test_a_renewed_certificate_is_served_to_the_next_connection(serve: Serve) -> None:
    async def check(server: Server) -> None:
        credentials = calling(TAX, CLERK)
        assert await server.ask(credentials) == CLERK.uri
        before = await server.served_certificate()
        assert await server.served_certificate() == before
        put(server.directory, "server", issue(PLANNING, SERVER, NOW, days=100))
        after = await server.served_certificate()
        assert after != before
        assert await server.ask(credentials) == CLERK.uri
        assert server.broken == []

    serve(check)


def test_an_open_connection_survives_a_renewal(serve: Serve) -> None:
    async def check(server: Server) -> None:
        options = channel_options("planning", 1)
        async with grpc.aio.secure_channel(f"127.0.0.1:{server.port}", calling(TAX, CLERK), options=options) as channel:
            ask = who_am_i(channel)
            assert await ask(b"", timeout=10) == CLERK.uri.encode()
            put(server.directory, "server", issue(PLANNING, SERVER, NOW, days=100))
            await server.served_certificate()
            assert await ask(b"", timeout=10) == CLERK.uri.encode()

    serve(check)


@pytest.mark.parametrize("contents", [b"", b"not a certificate", STRANGER.certificate_pem])
def test_a_broken_renewal_keeps_the_old_certificate_and_warns_once(serve: Serve, contents: bytes) -> None:
    async def check(server: Server) -> None:
        before = await server.served_certificate()
        (server.directory / "server.crt").write_bytes(contents)
        assert await server.served_certificate() == before
        assert await server.ask(calling(TAX, CLERK)) == CLERK.uri
        assert len(server.broken) == 1
        put(server.directory, "server", issue(PLANNING, SERVER, NOW, days=100))
        assert await server.served_certificate() != before

    serve(check)

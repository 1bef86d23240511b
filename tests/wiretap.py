"""Listens in on all connections of a local network, of its nodes with each other and of its users with nodes: on what travels, and on what TLS hides of it.

Each goes through a relay that ends TLS on both sides: to the caller it has the node's certificate, to the node the caller's. Nobody else could do
that; on this machine all the keys are at hand. Both sides check certificates as they always do.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ledger.genesis import Genesis
from node.pki import server_name
from scripts.local.network import LocalNetwork, Node
from scripts.local.relays import Relays

_CHUNK_BYTES = 64 * 1024


class _TlsEnd:
    """One end of a TLS connection over a TCP connection, which keeps what passes there."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        context: ssl.SSLContext,
        server_hostname: str | None = None,
    ) -> None:
        """`server_hostname`: whom to expect; None at the server's end."""
        self.received, self.sent = bytearray(), bytearray()
        self._reader, self._writer = reader, writer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname is None, server_hostname)

    async def shake_hands(self) -> None:
        """Raises OSError if that fails."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._fill():
                    raise ConnectionResetError from None
            else:
                return await self._flush()

    async def read(self) -> bytes:
        """Some of what the other end says; nothing at the end."""
        while True:
            try:
                return self._tls.read(_CHUNK_BYTES)
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLWantReadError:
                if not await self._fill():
                    return b""

    async def write(self, plain: bytes) -> None:
        """Says something to the other end."""
        self._tls.write(plain)
        await self._flush()

    def close(self) -> None:
        """Ends the TCP connection."""
        self._writer.close()

    async def _fill(self) -> bool:
        raw = await self._reader.read(_CHUNK_BYTES)
        self.received += raw
        self._incoming.write(raw)
        return bool(raw)

    async def _flush(self) -> None:
        if raw := self._outgoing.read():
            self.sent += raw
            self._writer.write(raw)
            await self._writer.drain()


@dataclass(eq=False)
class Connection:
    """What passed through one relayed connection."""

    near: _TlsEnd
    """Where the caller is."""
    far: _TlsEnd | None = None
    """Where the node is, once it is reached."""
    asked: bytearray = field(default_factory=bytearray)
    """What the caller said, without TLS."""
    answered: bytearray = field(default_factory=bytearray)
    """What the node said, without TLS."""

    @property
    def travelled(self) -> tuple[bytes, ...]:
        """The bytes in the TCP connections on both sides of the relay, each direction for itself."""
        ends = [self.near] if self.far is None else [self.near, self.far]
        return tuple(bytes(raw) for end in ends for raw in (end.received, end.sent))


@dataclass(frozen=True, eq=False)
class Tap:
    """All connections from one caller to one node."""

    caller: str
    """A node's department, or the department and role of a user, as in "tax/system"."""
    callee: str
    """A node's department."""
    address: str
    name: str
    """In the node's certificate."""
    as_callee: ssl.SSLContext
    as_caller: ssl.SSLContext
    connections: list[Connection] = field(default_factory=list)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relays one connection until either side ends it."""
        connection = Connection(near := _TlsEnd(reader, writer, self.as_callee))
        self.connections.append(connection)
        try:
            # At first, so that a caller whose node is away does not take that for a failure of TLS.
            await near.shake_hands()
            connection.far = far = await self._reach_node()
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(near, far, connection.asked))
                group.create_task(_pump(far, near, connection.answered))
        except* OSError:
            # What TLS refuses is one too.
            pass
        finally:
            near.close()

    async def _reach_node(self) -> _TlsEnd:
        host, _, port = self.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        far = _TlsEnd(reader, writer, self.as_caller, self.name)
        await far.shake_hands()
        return far


async def _pump(source: _TlsEnd, sink: _TlsEnd, record: bytearray) -> None:
    """Until the source ends, and then it ends both: gRPC leaves no connection half open."""
    try:
        while plain := await source.read():
            record += plain
            await sink.write(plain)
    finally:
        source.close()
        sink.close()


class Wiretap:
    """All taps of a network. Make it before the nodes start: it enters itself in their configuration and in that of the users."""

    def __init__(self, network: LocalNetwork) -> None:
        self.taps: dict[tuple[str, str], Tap] = {}
        """By caller and callee."""
        self._relays = Relays()
        self._genesis = Genesis.read(network.genesis.read_bytes())
        for caller, department, file in _callers(network):
            for node in network.nodes.values():
                if node.department != caller:
                    self._tap(caller, department, file, node)

    def close(self) -> None:
        """Ends all relays."""
        self._relays.close()

    def _tap(self, caller: str, department: str, file: Path, node: Node) -> None:
        section = node.config["node"]
        name = server_name(node.department, int(section["replica"]))
        as_callee = self._context(ssl.Purpose.CLIENT_AUTH, node.directory, department)
        as_caller = self._context(ssl.Purpose.SERVER_AUTH, file.parent, node.department)
        tap = Tap(caller, node.department, section["listen"], name, as_callee, as_caller)
        self.taps[caller, node.department] = tap
        self._relays.lead(file, tap.address, tap.carry)

    def _context(self, purpose: ssl.Purpose, holder: Path, other: str) -> ssl.SSLContext:
        """With the certificate in one's directory, for a conversation with somebody of another department."""
        context = ssl.create_default_context(purpose, cadata=self._genesis.departments[other].ca_certificate)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(holder / "keys" / "tls.crt", holder / "keys" / "tls.key")
        context.set_alpn_protocols(["h2"])
        return context


def _callers(network: LocalNetwork) -> Iterator[tuple[str, str, Path]]:
    """Each one's name, department, and the file that says where nodes are."""
    for node in network.nodes.values():
        yield node.department, node.department, node.directory / "node.toml"
    for file in sorted((network.directory / "clients").glob("*/*/client.toml")):
        department, role = file.parts[-3:-1]
        yield f"{department}/{role}", department, file

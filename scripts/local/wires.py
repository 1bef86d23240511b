"""Wires on loopback between callers and nodes: they count what they carry, and can be as long as the way to another town."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path

from scripts.local.network import LocalNetwork, Node
from scripts.local.relays import Relays

_CHUNK_BYTES = 64 * 1024
_CHUNKS_UNDER_WAY = 1_024
"""In one direction of one connection."""


class Wires:
    """All of one kind. Lay them before those start that read the files."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        """From one end to the other, in each direction; may be changed at any time."""
        self.carried_bytes = 0
        """In both directions, by TCP, without its headers and those below it."""
        self._relays = Relays()

    def between_nodes(self, network: LocalNetwork) -> None:
        """Lays a wire for each node that another may call."""
        for node in network.nodes.values():
            self._lay(node.directory / "node.toml")

    def around(self, network: LocalNetwork, center: Node) -> None:
        """Lays a wire for each way in which one node and the others may call each other."""
        self._lay(center.directory / "node.toml")
        for node in network.nodes.values():
            if node is not center:
                self._lay(node.directory / "node.toml", center.config["node"]["listen"])

    def to_clients(self, network: LocalNetwork) -> None:
        """Lays a wire for each node that a department's system may call."""
        for department in network.nodes:
            self._lay(network.profile(department, "system"))

    def close(self) -> None:
        """Ends all."""
        self._relays.close()

    def _lay(self, file: Path, only: str | None = None) -> None:
        """`only`: to this address, instead of all that are in the file."""
        for address in [only] if only else _addresses(file):
            host, _, port = address.rpartition(":")

            async def carry(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str = host, port: int = int(port)
            ) -> None:
                await self._carry(reader, writer, host, port)

            self._relays.lead(file, address, carry)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
        """One connection."""
        try:
            onward, back = await asyncio.open_connection(host, port)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, back))
                    group.create_task(self._pump(onward, writer))
            finally:
                back.close()
        except (OSError, ExceptionGroup):
            # Whichever side ended it.
            pass
        finally:
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction: what was read arrives later, and more is read meanwhile."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_UNDER_WAY)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(reader, under_way))
            group.create_task(_deliver(under_way, writer))

    async def _read(self, reader: asyncio.StreamReader, under_way: asyncio.Queue[tuple[float, bytes]]) -> None:
        loop = asyncio.get_running_loop()
        data = b"-"
        while data:
            data = await reader.read(_CHUNK_BYTES)
            self.carried_bytes += len(data)
            await under_way.put((loop.time() + self.delay_s, data))


async def _deliver(under_way: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due_s, data = await under_way.get()
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        if not data:
            writer.close()
            return
        writer.write(data)
        await writer.drain()


def _addresses(file: Path) -> list[str]:
    content = tomllib.loads(file.read_text())
    called = content["peers"].values() if "peers" in content else content["nodes"]
    return [str(node["address"]) for node in called]

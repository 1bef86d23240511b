"""The network between the nodes of one machine, which can be cut and mended: a proxy for each direction of each pair.

Cut *silently*, packets are lost: open connections live on and carry nothing, new ones are not answered, not even after mending (as when the
next SYN is far away). Cut *with refusal*, all connections break and new ones end at once, as behind a firewall that rejects.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Collection, Coroutine
from dataclasses import dataclass, field
from typing import Any

from scripts.local.network import LocalNetwork, Node

_CHUNK_BYTES = 64 * 1024


@dataclass(eq=False)
class _Wire:
    """What one node dials to reach another."""

    host: str
    port: int
    intact: asyncio.Event = field(default_factory=asyncio.Event)
    refuses: bool = False
    open: set[asyncio.Task[None]] = field(default_factory=set)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("no task")
        self.open.add(task)
        try:
            if not self.intact.is_set():
                if not self.refuses:
                    await asyncio.Event().wait()
                return
            onward, back = await asyncio.open_connection(self.host, self.port)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, back))
                    group.create_task(self._pump(onward, writer))
            finally:
                back.close()
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            # Whichever side ended it.
            pass
        finally:
            self.open.discard(task)
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            await self.intact.wait()
            writer.write(data)
            await writer.drain()
        await self.intact.wait()
        writer.close()

    def cut(self, *, refuses: bool) -> None:
        self.refuses = refuses
        self.intact.clear()
        if refuses:
            for task in self.open:
                task.cancel()

    def mend(self) -> None:
        self.intact.set()


class Links:
    """All wires, in a thread and an event loop of their own. Make it before the nodes start: it enters itself in their node.toml."""

    def __init__(self, network: LocalNetwork) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._thread.start()
        self._wires: dict[tuple[str, str], _Wire] = {}
        self._servers: list[asyncio.Server] = []
        self._run(self._lay(network))

    def cut(self, group: Collection[str], *, refuses: bool) -> None:
        """Departments in the group and those outside of it no longer reach each other."""
        self._run(self._set(group, refuses=refuses))

    def mend(self) -> None:
        """All reach all again."""
        self._run(self._set(None, refuses=False))

    def close(self) -> None:
        """Ends all."""
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _lay(self, network: LocalNetwork) -> None:
        by_address = {node.config["node"]["listen"]: node for node in network.nodes.values()}
        for node in network.nodes.values():
            await self._lay_from(node, by_address)

    async def _lay_from(self, node: Node, by_address: dict[str, Node]) -> None:
        file = node.directory / "node.toml"
        text = file.read_text()
        for address, peer in by_address.items():
            if peer is node:
                continue
            host, _, port = address.rpartition(":")
            wire = self._wires[node.department, peer.department] = _Wire(host, int(port))
            wire.mend()
            server = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
            self._servers.append(server)
            own = server.sockets[0].getsockname()[1]
            text, count = re.subn(rf'(?m)^address = "{re.escape(address)}"$', f'address = "127.0.0.1:{own}"', text)
            if count != 1:
                raise ValueError(f"{file}: {address} is there {count} times")
        file.write_text(text)

    async def _set(self, group: Collection[str] | None, *, refuses: bool) -> None:
        for (caller, callee), wire in self._wires.items():
            if group is not None and (caller in group) != (callee in group):
                wire.cut(refuses=refuses)
            else:
                wire.mend()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for wire in self._wires.values():
            wire.mend()
            for task in wire.open:
                task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                while any(wire.open for wire in self._wires.values()):
                    await asyncio.sleep(0.01)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

"""The network between the nodes of one machine, which can be cut and mended: a proxy for each direction of each pair.

Cut *silently*, packets are lost: open connections live on and carry nothing, new ones are not answered, not even after mending (as when the
next SYN is far away). Cut *with refusal*, all connections break and new ones end at once, as behind a firewall that rejects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

from scripts.local.network import LocalNetwork, Node
from scripts.local.relays import Relays

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
    """All wires. Make it before the nodes start: it enters itself in their node.toml."""

    def __init__(self, network: LocalNetwork) -> None:
        self._relays = Relays()
        self._wires: dict[tuple[str, str], _Wire] = {}
        for caller in network.nodes.values():
            for callee in network.nodes.values():
                if callee is not caller:
                    self._lay(caller, callee)

    def cut(self, group: Collection[str], *, refuses: bool) -> None:
        """Departments in the group and those outside of it no longer reach each other."""
        self._relays.run(self._set(group, refuses=refuses))

    def mend(self) -> None:
        """All reach all again."""
        self._relays.run(self._set(None, refuses=False))

    def close(self) -> None:
        """Ends all."""
        self._relays.close()

    def _lay(self, caller: Node, callee: Node) -> None:
        address = callee.config["node"]["listen"]
        host, _, port = address.rpartition(":")
        wire = self._wires[caller.department, callee.department] = _Wire(host, int(port))
        wire.mend()
        self._relays.lead(caller.directory / "node.toml", address, wire.carry)

    async def _set(self, group: Collection[str] | None, *, refuses: bool) -> None:
        for (caller, callee), wire in self._wires.items():
            if group is not None and (caller in group) != (callee in group):
                wire.cut(refuses=refuses)
            else:
                wire.mend()

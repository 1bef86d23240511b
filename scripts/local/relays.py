"""Relays on loopback between the callers of a network and its nodes: the callers' configuration leads to them instead."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

Carry = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Serves one connection of a caller."""
R = TypeVar("R")


class Relays:
    """Servers in a thread and an event loop of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relays", daemon=True)
        self._thread.start()
        self._servers: list[asyncio.Server] = []

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Runs a coroutine in the relays' loop and waits for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def lead(self, file: Path, address: str, carry: Carry) -> None:
        """Whoever reads this file from now on finds a relay where the address of a node was.

        Raises:
            ValueError: unless the address is there exactly once.
        """
        server = self.run(asyncio.start_server(carry, "127.0.0.1", 0))
        self._servers.append(server)
        port = server.sockets[0].getsockname()[1]
        text, count = re.subn(
            rf'(?m)^address = "{re.escape(address)}"$', f'address = "127.0.0.1:{port}"', file.read_text()
        )
        if count != 1:
            raise ValueError(f"{file}: {address} is there {count} times")
        file.write_text(text)

    def close(self) -> None:
        """Ends all servers and connections."""
        self.run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

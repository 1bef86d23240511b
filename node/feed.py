"""Stored blocks from a height on, then each new one.

A watcher is nothing but the height it has reached: what it has not read yet is in the store, so a slow one holds up
nobody and no queue grows.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

from ledger.crypto.types import Height
from ledger.errors import Code, HuzhengError


class BlockFeed:
    """Belongs to one event loop."""

    def __init__(self, height: Height, max_watchers: int) -> None:
        """`height`: of the newest stored block. `max_watchers`: of all departments; each may have a quarter of them."""
        self._height = height
        self._max_of_one = max(1, max_watchers // 4)
        self._watchers: Counter[str] = Counter()
        self._news = asyncio.Event()

    @property
    def height(self) -> Height:
        """Of the newest stored block that was published."""
        return self._height

    @property
    def watchers(self) -> int:
        """How many are watching."""
        return self._watchers.total()

    def publish(self, height: Height) -> None:
        """A block at this height, and all below, are stored."""
        if height > self._height:
            self._height = height
            # Each waiting watcher holds the old event; those that come later wait for the new one.
            self._news.set()
            self._news = asyncio.Event()

    async def next_after(self, height: Height, timeout_s: float | None = None) -> Height:
        """The newest height, once it is above this one, or after this time."""
        if self._height <= height:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._news.wait()
            except TimeoutError:
                pass
        return self._height

    async def heights(self, department: str, from_height: int) -> AsyncIterator[Height]:
        """Every height from this one on (0: the next new one), in order, as soon as its block is stored. Never ends.

        Raises:
            HuzhengError: OVERLOADED if too many of the department are watching.
        """
        if self._watchers[department] >= self._max_of_one:
            raise HuzhengError(Code.OVERLOADED, "too many of the department are watching")
        self._watchers[department] += 1
        try:
            following = from_height or self._height + 1
            while True:
                while following > self._height:
                    await self._news.wait()
                yield Height(following)
                following += 1
        finally:
            self._watchers[department] -= 1

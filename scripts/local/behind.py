"""How fast a replica catches up that is many blocks behind, while the others go on working."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from scripts.local.network import LocalNetwork, NetworkFailure, Node
from scripts.local.process import memory_bytes, processor_s

LOOK_S = 0.25
STUCK_S = 60.0
"""A replica whose height does not grow for this long is stuck."""


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What was measured."""

    blocks: int
    """That it fetched, those included that were made meanwhile."""
    records: int
    """In them, as far as the caller knows."""
    seconds: float
    """From the start of its process until it had what all others had."""
    peak_bytes: int
    """The most memory it held of its own (RssAnon, looked at every `LOOK_S`): without the database's files that LevelDB maps."""
    peak_mapped_bytes: int
    """The most memory with them (VmHWM)."""
    others_blocks: int
    """That the others made meanwhile."""
    processor_s: float
    """Processor time of the one that catches up."""

    def __str__(self) -> str:
        return (
            f"caught up on {self.blocks:,} blocks and {self.records:,} records in {self.seconds:.0f} s: "
            f"{self.blocks / self.seconds:,.0f} blocks/s, {self.records / self.seconds:,.0f} records/s, "
            f"at most {self.peak_bytes / 2**20:.0f} MiB of memory, {self.peak_mapped_bytes / 2**20:.0f} MiB with the database's "
            f"mapped files, {self.processor_s:.0f} s of processor time; "
            f"the others made {self.others_blocks:,} blocks meanwhile"
        )


async def catch_up(network: LocalNetwork, victim: Node) -> CaughtUp:
    """Starts the victim and watches until it has as many blocks as the others."""
    others = [node for node in network.nodes.values() if node is not victim]
    began = await asyncio.to_thread(_highest, others)
    started = moved = time.monotonic()
    victim.start()
    height, peak, mapped, worked_s = 0, 0, 0, 0.0
    while True:
        await asyncio.sleep(LOOK_S)
        if not victim.is_running:
            raise NetworkFailure(f"{victim.department} ended\n{victim.log_tail()}")
        peak = max(peak, memory_bytes(victim, "RssAnon"))
        mapped, worked_s = memory_bytes(victim, "VmHWM"), processor_s(victim)
        now = await asyncio.to_thread(_height_if_up, victim)
        goal = await asyncio.to_thread(_highest, others)
        if now > height:
            height, moved = now, time.monotonic()
        if time.monotonic() - moved > STUCK_S:
            raise NetworkFailure(f"{victim.department} is stuck at height {height} of {goal}\n{victim.log_tail()}")
        if height and now >= goal - 1:
            break
    return CaughtUp(height, 0, time.monotonic() - started, peak, mapped, goal - began, worked_s)


def _highest(nodes: list[Node]) -> int:
    return max(node.height() for node in nodes)


def _height_if_up(node: Node) -> int:
    try:
        return node.height()
    except OSError:
        return 0

"""What goes wrong with machines and messages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Faults:
    """How bad the world is. Probabilities are per message or per durable write."""

    drop: float = 0.0
    duplicate: float = 0.0
    min_delay_ms: int = 1
    max_delay_ms: int = 5
    crash: float = 0.0
    max_down_ms: int = 3_000
    max_write_ms: int = 2
    """How long a synchronous write of votes takes at most."""
    store_ms: int = 0
    """How much longer than usual it takes until a block is durable."""
    work_ms: int = 0
    """How much longer than usual a batch takes to check, and to execute."""
    loop_late_ms: int = 0
    """How much later at most a machine's loop hears of what its ledger's thread has done; that one goes on meanwhile."""
    torn: bool = False
    """A write of votes that the power failed in may be there in part: less than the store promises."""
    loses_votes: bool = False
    """The last write of votes before a crash is lost though it was synced: what no replica can bear."""

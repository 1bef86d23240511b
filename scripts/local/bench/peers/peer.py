"""What a peer is: something that keeps values of 300 bytes durably, with a client of its own."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from scripts.local.bench.load import Measured

VALUE_BYTES = 300
"""A write, about what a record has."""


class Peer(Protocol):
    """One of them."""

    name: str
    complaint: str
    """What it said of its own work while it was running that a reader should know; empty if nothing."""

    def missing(self) -> str:
        """What must be installed first, and how; empty if it can be measured."""
        ...

    def running(self, directory: Path) -> AbstractContextManager[None]:
        """Up and empty inside, with its files in a new directory."""
        ...

    def measure(self, seconds: float, clients: int) -> Measured:
        """So many clients each write one value after the other; a value is one record. It must be running."""
        ...

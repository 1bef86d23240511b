"""What the figures were measured on, and what signature checks alone would allow there."""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ledger.crypto import ED25519_SHA256, Domain

_ROUNDS = 10
_CHECKS = 500
"""A round."""
_MESSAGE_BYTES = 300


@dataclass(frozen=True, slots=True)
class Limit:
    """V: every record's signature is checked by every replica, and all share this machine's cores."""

    check_us: float
    """One check of a signature over 300 bytes, µs of the clock, in the fastest of several rounds: other work only makes it longer."""
    cores: int

    def records_per_s(self, replicas: int = 4) -> float:
        """V with so many replicas, for transactions of one record."""
        return self.cores * 1e6 / (replicas * self.check_us)


def measure_limit() -> Limit:
    """Measures one check now, on one core."""
    signer = ED25519_SHA256.signer(bytes(32))
    message = bytes(_MESSAGE_BYTES)
    signature = signer.sign(Domain.SIGN_TRANSACTION, message)

    def round_s() -> float:
        started_s = time.perf_counter()
        for _ in range(_CHECKS):
            ED25519_SHA256.verify(Domain.SIGN_TRANSACTION, signer.public_key, message, signature)
        return time.perf_counter() - started_s

    return Limit(min(round_s() for _ in range(_ROUNDS)) / _CHECKS * 1e6, os.cpu_count() or 1)


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    return {
        "cpu": _first("/proc/cpuinfo", "model name"),
        "cores": str(os.cpu_count()),
        "memory": _first("/proc/meminfo", "MemTotal"),
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "python": f"{platform.python_version()} of {sys.base_prefix}",
        "system": platform.platform(),
    }


def _first(file: str, name: str) -> str:
    lines = Path(file).read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "unknown")

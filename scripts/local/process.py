"""What the kernel says of a daemon's process."""

from __future__ import annotations

from pathlib import Path

from scripts.local.network import NetworkFailure, Node


def memory_bytes(node: Node, what: str) -> int:
    """One of the memory figures of /proc/PID/status: `VmRSS`, `RssAnon` (without mapped files), `VmHWM` (the most VmRSS there was)."""
    status = Path(f"/proc/{_pid(node)}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(f"{what}:"))
    return int(line.split()[1]) * 1024


def processor_s(node: Node) -> float:
    """Processor time that it has used, in seconds."""
    fields = Path(f"/proc/{_pid(node)}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _pid(node: Node) -> int:
    if node.process is None:
        raise NetworkFailure(f"{node.department} does not run")
    return node.process.pid

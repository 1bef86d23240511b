"""pysyncobj: four processes, Raft in Python, with a journal. It is a library, so each member is a client too.

Its journal is a mapped file that it never syncs: what it acknowledged survives the end of its processes, but not a power cut; in its favour.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from scripts.local.bench.load import Measured
from scripts.local.network import ROOT, NetworkFailure, free_ports

MEMBERS = 4
_LOST = "state machine may have diverged"
"""From the warning of a member that drops entries of its log that it has applied."""
_MEMBER = "scripts.local.bench.peers.pysyncobj_member"


class PySyncObj:
    """A cluster on this machine."""

    name = "pysyncobj, 4 members"

    def __init__(self) -> None:
        self.complaint = ""
        self._members: list[subprocess.Popen[str]] = []

    def missing(self) -> str:
        """As `Peer`."""
        return "" if importlib.util.find_spec("pysyncobj") else ".venv/bin/pip install '.[bench]'"

    @contextlib.contextmanager
    def running(self, directory: Path) -> Iterator[None]:
        """As `Peer`."""
        directory.mkdir()
        base = free_ports(MEMBERS)
        addresses = [f"127.0.0.1:{base + number}" for number in range(MEMBERS)]
        log = directory / "log"
        try:
            with log.open("ab") as errors:
                self._members = [_start(directory / str(n), n, addresses, errors) for n in range(MEMBERS)]
            for member in self._members:
                _hear(member)
            yield
        finally:
            for member in self._members:
                member.kill()
                member.communicate()
        if count := log.read_text().count(_LOST):
            self.complaint = f"it warned {count} times that its members may have diverged"

    def measure(self, seconds: float, clients: int) -> Measured:
        """As `Peer`. Each member has as many writes under way."""
        begun_s = time.monotonic()
        for member in self._members:
            _say(member, {"seconds": seconds, "outstanding": clients // MEMBERS})
        answers = [json.loads(_hear(member)) for member in self._members]
        took_s = time.monotonic() - begun_s
        latencies_s = [latency_s for answer in answers for latency_s in answer]
        return Measured(len(latencies_s), took_s, latencies_s)


def _start(journal: Path, number: int, addresses: list[str], errors: IO[bytes]) -> subprocess.Popen[str]:
    others = [address for address in addresses if address != addresses[number]]
    command = [sys.executable, "-m", _MEMBER, str(journal), addresses[number], *others]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True, cwd=ROOT)


def _say(member: subprocess.Popen[str], what: dict[str, float]) -> None:
    if member.stdin is None:
        raise RuntimeError("no pipe")
    print(json.dumps(what), file=member.stdin, flush=True)


def _hear(member: subprocess.Popen[str]) -> str:
    if member.stdout is None:
        raise RuntimeError("no pipe")
    line = member.stdout.readline()
    if not line:
        raise NetworkFailure("a member of pysyncobj ended")
    return line

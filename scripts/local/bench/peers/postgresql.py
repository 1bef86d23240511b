"""PostgreSQL: each row is committed by itself and synced (synchronous_commit on), by one server, or by it and a standby. Its client is pgbench.

All is said over Unix sockets, without TLS, in its favour.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.local.bench.load import Measured
from scripts.local.bench.peers.peer import VALUE_BYTES
from scripts.local.network import NetworkFailure

_PROGRAMS = Path("/usr/lib/postgresql/15/bin")
_USER = "postgres"
"""Runs the server where we are root: it refuses to run as root."""
_MICROSECONDS = 1e6


class PostgreSQL:
    """A server on this machine, and perhaps a standby, which must have a commit on its disk too."""

    complaint = ""

    def __init__(self, *, has_standby: bool) -> None:
        self.name = f"PostgreSQL 15, {'synchronous standby' if has_standby else 'one server'}"
        self._has_standby = has_standby
        self._directory = Path()

    def missing(self) -> str:
        """As `Peer`."""
        return "" if (_PROGRAMS / "pgbench").exists() else "Debian 12: apt-get install postgresql-15"

    @contextlib.contextmanager
    def running(self, directory: Path) -> Iterator[None]:
        """As `Peer`."""
        directory.mkdir()
        self._directory = directory
        if os.geteuid() == 0:
            # The user passes through the directory above, which is ours alone, and reads nothing there.
            directory.parent.chmod(0o711)
            shutil.chown(directory, _USER, _USER)
        data, standby = directory / "data", directory / "standby"
        self._run("initdb", "-D", str(data), "-A", "trust", "-U", _USER)
        with contextlib.ExitStack() as servers:
            servers.enter_context(self._server(data, directory))
            self._psql("CREATE TABLE written (id bigserial PRIMARY KEY, value bytea NOT NULL)")
            if self._has_standby:
                self._run("pg_basebackup", "-D", str(standby), "-R", "-c", "fast", "-h", str(directory), "-U", _USER)
                servers.enter_context(self._server(standby, standby))
                self._psql("ALTER SYSTEM SET synchronous_standby_names = '*'")
                self._psql("SELECT pg_reload_conf()")
            yield

    def measure(self, seconds: float, clients: int) -> Measured:
        """As `Peer`."""
        script, prefix = self._directory / "insert.sql", self._directory / f"log-{time.monotonic_ns()}"
        script.write_text(f"INSERT INTO written (value) VALUES ('{'x' * VALUE_BYTES}');\n")
        load = ("-c", str(clients), "-j", "2", "-T", str(max(1, round(seconds))), "-M", "prepared", "-f", str(script))
        self._run("pgbench", "-n", *load, "-l", "--log-prefix", str(prefix), *self._where())
        files = self._directory.glob(f"{prefix.name}*")
        return measured_by([line for file in files for line in file.read_text().splitlines()])

    @contextlib.contextmanager
    def _server(self, data: Path, sockets: Path) -> Iterator[None]:
        """A server is up inside."""
        where = ("-D", str(data), "-w")
        options = f"-c listen_addresses= -c unix_socket_directories={sockets} -c synchronous_commit=on"
        self._run("pg_ctl", *where, "-l", str(data / "server.log"), "-o", options, "start")
        try:
            yield
        finally:
            # Without the files that a later start would want: nobody starts it again.
            self._run("pg_ctl", *where, "-m", "immediate", "stop")

    def _psql(self, command: str) -> None:
        self._run("psql", "-q", "-c", command, *self._where())

    def _where(self) -> tuple[str, ...]:
        return ("-h", str(self._directory), "-U", _USER, "postgres")

    def _run(self, program: str, *arguments: str) -> None:
        user = _USER if os.geteuid() == 0 else None
        command = [str(_PROGRAMS / program), *arguments]
        # pg_ctl's server keeps what it was given as standard output, so that is no pipe.
        with (self._directory / "output").open("ab") as output:
            ended = subprocess.run(command, stdout=output, stderr=output, user=user, cwd=self._directory, check=False)
        if ended.returncode != 0:
            said = (self._directory / "output").read_text(errors="replace")
            raise NetworkFailure(f"{program}: exit {ended.returncode}\n{said[-1_000:]}")


def measured_by(lines: Sequence[str]) -> Measured:
    """From pgbench's log, a line for each transaction: client, number, latency in µs, script, when it ended in s and µs."""
    words = [line.split() for line in lines]
    latencies_s = [int(line[2]) / _MICROSECONDS for line in words]
    ended_s = [int(line[4]) + int(line[5]) / _MICROSECONDS for line in words]
    begun_s = min(end_s - latency_s for end_s, latency_s in zip(ended_s, latencies_s, strict=True))
    return Measured(len(words), max(ended_s) - begun_s, latencies_s)

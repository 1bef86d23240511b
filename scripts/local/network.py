"""A whole network on this machine: real daemons as processes, over real TLS on loopback."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from node.network_plan import HTTP_PORT_OFFSET

HUZHENG = (sys.executable, "-m", "node.cli.main")
ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0


class NetworkFailure(Exception):
    """A daemon did not do what it should; the text says which, and shows the end of its log."""


def run_huzheng(
    *arguments: str | Path, check: bool = True, program: Sequence[str] = HUZHENG
) -> subprocess.CompletedProcess[str]:
    """Runs the `huzheng` command of this checkout, or another version of it."""
    command = [*program, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    if check and result.returncode != 0:
        raise NetworkFailure(
            f"{' '.join(map(str, arguments))}: exit {result.returncode}\n{result.stdout}{result.stderr}"
        )
    return result


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Waits for a condition, looking every 20 ms. Raises NetworkFailure when it does not come."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise NetworkFailure(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(0.02)


def free_ports(count: int) -> int:
    """A port from which on `count` ports are free on loopback, and the same number above `HTTP_PORT_OFFSET`."""
    # Below 32,768, from where Linux gives ports to outgoing connections: one of those could take a port found free here.
    # Tests that run at the same time have ranges of their own: a port that is free now may be that of another's node that is being restarted.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
    for attempt in range(15):
        base = 20_000 + 3_000 * worker + (os.getpid() + attempt) % 15 * 200
        with contextlib.ExitStack() as stack:
            try:
                for port in [
                    *range(base, base + count),
                    *range(base + HTTP_PORT_OFFSET, base + HTTP_PORT_OFFSET + count),
                ]:
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return base
    raise NetworkFailure("no free ports")


@dataclass
class Node:
    """One department's daemon."""

    department: str
    directory: Path
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    program: Sequence[str] = HUZHENG
    """The version of `huzheng` that it runs."""

    @property
    def config(self) -> dict[str, dict[str, str]]:
        """Its node.toml."""
        return tomllib.loads((self.directory / "node.toml").read_text())

    @property
    def data(self) -> Path:
        """Its database."""
        return self.directory / self.config["node"]["data"]

    @property
    def log(self) -> Path:
        """What it writes to standard error."""
        return self.directory / "node.log"

    def start(self, *options: str) -> None:
        """Starts the daemon; `wait_ready` waits for it."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.program, "node", "start", str(self.directory), *options],
                stdout=log,
                stderr=log,
                env=_environment(),
                cwd=ROOT,
            )
        self.starts += 1

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Waits until it says that it takes part."""
        wait_until(self._is_ready_or_dead, timeout_s, f"{self.department} ready\n{self.log_tail()}")
        if not self.is_running:
            raise NetworkFailure(f"{self.department} ended with exit {self._exit()}\n{self.log_tail()}")

    def answers(self, path: str) -> bool:
        """Whether its HTTP endpoint answers a path with 200."""
        try:
            self._get(path)
        except OSError:
            return False
        return True

    def metrics(self) -> str:
        """What Prometheus would read."""
        return self._get("/metrics")

    def height(self) -> int:
        """The height of its newest stored block."""
        return int(self.gauge("huzheng_height"))

    def gauge(self, name: str) -> float:
        """A metric without labels."""
        line = next(line for line in self.metrics().splitlines() if line.startswith(f"{name} "))
        return float(line.split()[1])

    def _get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://{self.config['http']['listen']}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def kill(self) -> None:
        """kill -9: the process loses its memory, the disk keeps what was written."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """Stops it as an operator does."""
        self._signal(signal.SIGTERM)

    def pause(self) -> None:
        """SIGSTOP: alive, and silent."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def log_tail(self, lines: int = 15) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def _is_ready_or_dead(self) -> bool:
        return not self.is_running or self.answers("/readyz")

    def _exit(self) -> int | None:
        return None if self.process is None else self.process.poll()

    def _signal(self, number: int) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise NetworkFailure(f"{self.department} did not stop\n{self.log_tail()}") from None


@dataclass
class LocalNetwork:
    """The daemons of one consortium and the directories of its users."""

    directory: Path
    nodes: dict[str, Node] = field(default_factory=dict)

    @classmethod
    def create(cls, directory: Path, options: Sequence[str] = ()) -> LocalNetwork:
        """Makes a consortium in a new directory with `huzheng network init`."""
        base = free_ports(16)
        run_huzheng("network", "init", directory, "--base-port", str(base), *options)
        network = cls(directory)
        for node_directory in sorted((directory / "nodes").iterdir()):
            network.nodes[node_directory.name] = Node(node_directory.name, node_directory)
        return network

    @property
    def genesis(self) -> Path:
        """The genesis file that all share."""
        return self.directory / "genesis.bin"

    def profile(self, department: str, role: str) -> Path:
        """The profile of one of a department's users."""
        return self.directory / "clients" / department / role / "client.toml"

    def start(self, without: Collection[Node] = ()) -> None:
        """Starts all daemons, or all but some, and waits until they are ready."""
        started = [node for node in self.nodes.values() if node not in without]
        for node in started:
            node.start()
        for node in started:
            node.wait_ready()

    def stop(self) -> None:
        """Stops all daemons."""
        for node in self.nodes.values():
            node.stop()

    @contextlib.contextmanager
    def running(self, without: Collection[Node] = ()) -> Iterator[LocalNetwork]:
        """All daemons up inside, or all but some; all gone after."""
        try:
            self.start(without)
            yield self
        finally:
            for node in self.nodes.values():
                node.kill()


def _environment() -> dict[str, str]:
    paths = [str(ROOT), str(ROOT / "proto"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}

"""etcd: four members, Raft, each write synced by a majority. Clients are tasks of one Python process, as ours are. Without TLS, in its favour."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc.aio

from scripts.local.bench.load import CALL_TIMEOUT_S, Measured
from scripts.local.bench.peers.peer import VALUE_BYTES
from scripts.local.network import START_TIMEOUT_S, free_ports, wait_until

MEMBERS = 4
_PUT = "/etcdserverpb.KV/Put"


class Etcd:
    """A cluster on this machine."""

    name = "etcd, 4 members"
    complaint = ""

    def __init__(self) -> None:
        self._ports: list[int] = []

    def missing(self) -> str:
        """As `Peer`."""
        return "" if shutil.which("etcd") else "Debian: apt-get install etcd-server"

    @contextlib.contextmanager
    def running(self, directory: Path) -> Iterator[None]:
        """As `Peer`."""
        directory.mkdir()
        base = free_ports(2 * MEMBERS)
        self._ports = list(range(base, base + MEMBERS))
        with contextlib.ExitStack() as stack, (directory / "log").open("wb") as log:
            for number in range(MEMBERS):
                command = _command(directory, base, number)
                member = subprocess.Popen(command, stdout=log, stderr=log)
                stack.callback(member.wait)
                stack.callback(member.kill)
            for port in self._ports:
                wait_until(lambda port=port: _is_healthy(port), START_TIMEOUT_S, "etcd healthy")  # type: ignore[misc]
            yield

    def measure(self, seconds: float, clients: int) -> Measured:
        """As `Peer`. Each member serves as many of the clients."""
        return asyncio.run(self._measure(seconds, clients))

    async def _measure(self, seconds: float, clients: int) -> Measured:
        channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}") for port in self._ports]
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        numbers, latencies_s = itertools.count(), []
        begun_s = time.monotonic()

        async def client(channel: grpc.aio.Channel) -> None:
            put = channel.unary_unary(_PUT, None, None)
            while (since_s := time.monotonic()) < begun_s + seconds:
                await put(_request(next(numbers)), timeout=CALL_TIMEOUT_S)
                latencies_s.append(time.monotonic() - since_s)

        await asyncio.gather(*(client(channels[number % MEMBERS]) for number in range(clients)))
        took_s = time.monotonic() - begun_s
        for channel in channels:
            await channel.close(None)
        return Measured(len(latencies_s), took_s, latencies_s)


def _command(directory: Path, base: int, number: int) -> list[str]:
    peers = [f"http://127.0.0.1:{base + MEMBERS + other}" for other in range(MEMBERS)]
    client = f"http://127.0.0.1:{base + number}"
    return [
        "etcd",
        *("--name", f"m{number}"),
        *("--data-dir", str(directory / f"m{number}")),
        *("--listen-client-urls", client, "--advertise-client-urls", client),
        *("--listen-peer-urls", peers[number], "--initial-advertise-peer-urls", peers[number]),
        *("--initial-cluster", ",".join(f"m{other}={url}" for other, url in enumerate(peers))),
    ]


def _is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as answer:
            return b'"true"' in answer.read()
    except OSError:
        return False


def _request(number: int) -> bytes:
    """A PutRequest as protobuf: field 1 is the key, field 2 the value, whose length takes two bytes."""
    key, low, high = number.to_bytes(8, "big"), VALUE_BYTES & 0x7F | 0x80, VALUE_BYTES >> 7
    return bytes((0x0A, len(key))) + key + bytes((0x12, low, high)) + bytes(VALUE_BYTES)

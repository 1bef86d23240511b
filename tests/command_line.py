"""Runs `huzheng` inside the test process, and a one-node network behind it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node.cli.main import run
from node.config import load_config
from node.daemon import Daemon, open_node
from node.logs import set_up_logs
from node.network import Network, init_network
from node.network_plan import local_plan
from scripts.local.network import free_ports

TAX_RESOURCE = "tax.deed_tax"


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The error on standard error, as JSON."""
        return json.loads(self.err)["error"]


class CommandLine:
    """Runs commands and captures what they print."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Ran:
        self._capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        captured = self._capsys.readouterr()
        return Ran(int(status), captured.out, captured.err)


def make_network(directory: Path, departments: int = 1) -> Network:
    """A network on free ports."""
    return init_network(directory, local_plan(departments, free_ports(departments) - 1))


@contextmanager
def running_node(directory: Path) -> Iterator[None]:
    """A whole node in a thread, with TLS, consensus and database."""
    set_up_logs("json", "warning")
    opened = open_node(load_config(directory / "node.toml"))
    started = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        daemon = Daemon(opened)
        started.set()
        await daemon.run(stop)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="node")
    thread.start()
    try:
        started.wait(10)
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
        opened.close()


def write_lines(path: Path, records: list[dict[str, Any]]) -> Path:
    """A JSON Lines file."""
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path

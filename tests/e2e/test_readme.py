"""The README's tour of the command line, line by line in a fresh directory, as a new user follows it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from scripts.local.network import HUZHENG, ROOT, free_ports, wait_until

NEVER_ENDS = ["chain", "tail"]


def tour() -> list[list[str]]:
    """The words of each line."""
    text = (ROOT / "README.md").read_text().partition("## A tour of the command line")[2].partition("\n## ")[0]
    lines = [line.partition(" # ")[0] for line in text.splitlines() if line.startswith("    ")]
    return [shlex.split(line) for line in lines]


class Terminals:
    """The terminals of somebody who is in one directory."""

    def __init__(self, directory: Path, open_ones: ExitStack) -> None:
        self._directory = directory
        self._open = open_ones
        self._daemons: dict[str, subprocess.Popen[str]] = {}
        paths = [str(ROOT), str(ROOT / "proto")]
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("HUZHENG_", "LC_", "LANG"))},
            "PYTHONPATH": os.pathsep.join(paths),
        }

    def follow(self, words: list[str]) -> None:
        """One line of the tour."""
        program, *rest = words
        if program == "export":
            name, _, value = rest[0].partition("=")
            self._environment[name] = value
        elif rest[:2] == ["node", "start"]:
            self._daemons[rest[2]] = self._open.enter_context(self._running(rest))
        elif rest[:2] == ["node", "status"]:
            wait_until(lambda: not self._run(rest).returncode, 60, "all nodes answer")
        elif rest[:2] == NEVER_ENDS:
            with self._running(rest) as following:
                assert following.stdout is not None
                assert following.stdout.readline()
        elif rest[:2] == ["network", "init"]:
            self._succeed([*rest, "--base-port", str(free_ports(4) - 1)])
        else:
            if rest[:2] == ["chain", "verify"]:
                self._stop(self._daemons[rest[rest.index("--home") + 1]])
            self._succeed(rest)

    def _succeed(self, words: list[str]) -> None:
        ran = self._run(words)
        assert ran.returncode == 0, f"{words}: {ran.stdout}{ran.stderr}"

    def _run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*HUZHENG, *words], cwd=self._directory, env=self._environment, capture_output=True, text=True, check=False
        )

    @contextmanager
    def _running(self, words: list[str]) -> Iterator[subprocess.Popen[str]]:
        with (self._directory / f"{'-'.join(words).replace('/', '-')}.log").open("w") as log:
            started = subprocess.Popen(
                [*HUZHENG, *words],
                cwd=self._directory,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        try:
            yield started
        finally:
            self._stop(started)

    def _stop(self, process: subprocess.Popen[str]) -> None:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.mark.timeout(300)
def test_the_tour_of_the_command_line_can_be_followed(tmp_path: Path) -> None:
    lines = tour()
    assert len(lines) > 20
    with ExitStack() as open_ones:
        terminals = Terminals(tmp_path, open_ones)
        for words in lines:
            terminals.follow(words)

"""docs/cli.md names every command, every exit status and every common option; docs/errors.md is what its generator writes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from ledger.errors import Code
from node.cli.app import EPILOG, build_app
from node.errors import ExitStatus

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def commands(command: Any, path: str = "huzheng") -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", {})
    if not children:
        yield path, command
    for name, child in children.items():
        yield from commands(child, f"{path} {name}")


ROOT_COMMAND = typer.main.get_command(build_app())


def test_every_command_has_an_example() -> None:
    missing = [path for path, _ in commands(ROOT_COMMAND) if not re.search(rf"^    (.* \| )?{path}( |$)", PAGE, re.M)]
    assert not missing


def test_every_example_uses_options_that_exist() -> None:
    known = dict(commands(ROOT_COMMAND))
    for line in re.findall(r"^    (?:.* \| )?(huzheng .*)$", PAGE, re.M):
        path = max((path for path in known if line.startswith(path)), key=len)
        options = {name for found in known[path].params for name in (*found.opts, *found.secondary_opts)}
        used = {word for word in line.split() if word.startswith("-") and len(word) > 1}
        assert used <= options, line


def test_every_exit_status_is_explained_on_the_page_and_in_help() -> None:
    for status in ExitStatus:
        assert re.search(rf"^\| {int(status)} \|", PAGE, re.M), status
        assert re.search(rf"\b{int(status)} \w", EPILOG), status


def test_every_code_on_the_page_exists() -> None:
    table = PAGE[PAGE.index("### Exit statuses") : PAGE.index("### What is believed")]
    named = set(re.findall(r"`([A-Z_]{4,})`", table)) - {"USAGE"}
    assert named <= set(Code.__members__)


def test_the_page_of_error_codes_is_fresh() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "gen_error_codes"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr

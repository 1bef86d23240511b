"""A rich console that leaves it to the session to end a command whose reader has gone away."""

from __future__ import annotations

from typing import NoReturn

from rich.console import Console


class PipeConsole(Console):
    """rich would end the process itself, with status 1."""

    def on_broken_pipe(self) -> NoReturn:
        """Called by rich when the other end of a pipe is closed."""
        raise BrokenPipeError

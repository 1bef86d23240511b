"""Exports blocks as JSON Lines, from a database or from a node, in the same form."""

from __future__ import annotations

from pathlib import Path

from node.cli.session import Session


def export_blocks(
    session: Session,
    home: Path | None,
    data: Path | None,
    genesis: Path | None,
    heights: tuple[int, int | None],
    out: Path | None,
) -> None:
    """Writes one line for each block."""

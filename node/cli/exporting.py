"""Exports blocks as JSON Lines, from a database or from a node, in the same form."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ledger.errors import Code, HuzhengError
from node.cli.connection import with_client
from node.cli.session import Session

if TYPE_CHECKING:
    from node.client import LedgerClient


@dataclass(frozen=True, slots=True)
class Heights:
    """Which blocks: from `first` to `last`, or to the newest."""

    first: int
    last: int | None

    def up_to(self, tip: int) -> range:
        """The heights, on a chain of this height.

        Raises:
            HuzhengError: NOT_FOUND if the chain does not have them.
        """
        end = tip if self.last is None else self.last
        if self.first > tip or end > tip:
            raise HuzhengError(Code.NOT_FOUND, f"the chain has blocks 0 to {tip}")
        return range(self.first, end + 1)


def export_database(
    session: Session, where: tuple[Path | None, Path | None, Path | None], heights: Heights, out: Path | None
) -> None:
    """Exports from the database in a node's home or a data directory; see `database.open_database` for `where`."""
    from ledger.chain_export import export_blocks
    from node.cli.database import open_database

    with open_database(*where) as (store, genesis), _writing(session, out) as writer:
        wanted = heights.up_to(store.tip.height)
        writer.expect(len(wanted))
        for line in export_blocks(store, genesis, wanted.start, wanted.stop - 1):
            writer.write(line)


def export_from_node(session: Session, heights: Heights, out: Path | None) -> None:
    """Exports from a running node; every block is checked before it is written."""
    with _writing(session, out) as writer:
        with_client(session, lambda client: _fetch_all(client, heights, writer))


async def _fetch_all(client: LedgerClient, heights: Heights, writer: _Writer) -> None:
    from node.cli.blocks import check_block

    wanted = heights.up_to((await client.status()).height)
    writer.expect(len(wanted))
    for height in wanted:
        block = await check_block(client, await client.block(height=height))
        if block.height != height:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, "another block than the one asked for")
        await client.learn_of(block.records)
        writer.write(block.to_dict(client.catalogue))


class _Writer:
    """Writes lines and shows how far it is."""

    def __init__(self, file: TextIO, progress: Any) -> None:
        self._file = file
        self._progress = progress
        self._bar = progress.task_ids[0]

    def expect(self, count: int) -> None:
        """How many lines there will be."""
        self._progress.update(self._bar, total=count)

    def write(self, line: dict[str, Any]) -> None:
        """One line."""
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._progress.advance(self._bar)


@contextmanager
def _writing(session: Session, out: Path | None) -> Iterator[_Writer]:
    """A writer to a file, which is there only when it is complete, or to standard output."""
    with session.out.progress(session.t("Exporting")) as progress:
        if out is None or str(out) == "-":
            yield _Writer(sys.stdout, progress)
            return
        part = out.with_name(f".{out.name}.part")
        try:
            with part.open("w", encoding="utf-8") as file:
                yield _Writer(file, progress)
            part.replace(out)
        except OSError as error:
            raise HuzhengError(Code.FILE_ACCESS, f"{out}: {error.strerror}") from None
        finally:
            part.unlink(missing_ok=True)

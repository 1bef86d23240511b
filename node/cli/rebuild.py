"""`huzheng node rebuild`: makes a stopped node's database anew from its peers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.session import Session, command

if TYPE_CHECKING:
    from node.rebuild import Rebuilt


def add_to(app: typer.Typer) -> None:
    """Registers the command with the group `huzheng node`."""
    command(app, "rebuild")(rebuild)


def rebuild(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="DIR", help="The node's directory, or its node.toml.")] = Path(),
) -> None:
    """Make a stopped node's database anew from its peers, when it is damaged, lost, or has diverged.

    The old one is put aside, not deleted, once the new one is whole. What the node has signed is taken over from it if it
    can be read: only then does the node vote as before. If interrupted, run it again.
    """
    from node.config import load_config
    from node.genesis_file import read_genesis
    from node.logs import set_up_logs
    from node.rebuild import rebuild as rebuild_database

    config = load_config(path)
    genesis = read_genesis(config.node.genesis)
    set_up_logs(config.log.format, "warning")
    with session.out.progress(session.t("Fetching")) as progress:
        bar = progress.task_ids[0]
        rebuilt = rebuild_database(config, genesis, lambda height: progress.update(bar, completed=height))
    if session.out.is_json:
        session.out.json(_as_json(rebuilt))
    else:
        _show(session, rebuilt)


def _as_json(rebuilt: Rebuilt) -> dict[str, object]:
    return {
        "height": rebuilt.height,
        "block_hash": rebuilt.block_hash.hex(),
        "fetched": rebuilt.fetched,
        "taken_over": rebuilt.taken_over,
        "old_database": None if rebuilt.aside is None else str(rebuilt.aside),
        "differs_from": rebuilt.differs_from,
        "votes_kept": rebuilt.votes is not None,
        "votes": rebuilt.votes,
        "votes_lost_by": None if rebuilt.reason is None else rebuilt.reason.code,
    }


def _show(session: Session, rebuilt: Rebuilt) -> None:
    t, out = session.t, session.out
    out.line(t("Rebuilt up to height {height}.", height=rebuilt.height), "bold green")
    rows: list[tuple[str, object]] = [
        (t("Newest block"), rebuilt.block_hash.hex()),
        (t("Fetched"), t("{n} blocks from peers, {m} from the old database", n=rebuilt.fetched, m=rebuilt.taken_over)),
    ]
    if rebuilt.aside is not None:
        rows.append((t("Old database"), rebuilt.aside))
    if rebuilt.differs_from is not None:
        rows.append((t("It differs"), t("from block {height} on", height=rebuilt.differs_from)))
    if rebuilt.votes is not None:
        rows.append((t("Votes"), t("taken over, {n} entries: the node votes as before", n=rebuilt.votes)))
        out.pairs("", rows)
    else:
        rows.append((t("Votes"), t("lost")))
        out.pairs("", rows)
        out.line(
            t(
                "What this node signed is not known any more: it will follow and answer reads, without a vote. "
                "See 'A lost or damaged database' in docs/operations.md."
            ),
            "yellow",
        )

"""`huzheng statement`: fetches statements from a node; each is verified before it is shown or kept."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.asking import Asked, state_about
from node.cli.files import write_bytes
from node.cli.light import with_light_client
from node.cli.output import printable
from node.cli.proved import age_words
from node.cli.session import Session, command, group
from node.cli.show_entries import statement_to_dict
from node.cli.show_statement import statement_for_people

if TYPE_CHECKING:
    from ledger.genesis import Genesis
    from node.client import LedgerClient
    from node.light_client import LightClient, Stated

app = group("Fetch statements: what is in force about a subject, and what there is not, proved as of one block.")


@command(app, "get", online=True)
def get(
    session: Session,
    about: Annotated[
        list[str],
        typer.Argument(
            metavar="RESOURCE... SUBJECT",
            help="Resources, or registers that stand for all of theirs (such as property), and a subject.",
        ),
    ],
    contents: Annotated[
        bool, typer.Option("--contents/--no-contents", help="Also what the records say that are in force.")
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Keep the statement in this file; - is standard output."),
    ] = None,
) -> None:
    """Fetch a statement, verify it against the genesis, and keep it: anyone can then verify it offline."""

    async def ask(light: LightClient, _client: LedgerClient) -> tuple[Stated, Asked, Genesis]:
        return *await state_about(light, about[:-1], about[-1], contents=contents), light.genesis

    stated, asked, genesis = with_light_client(session, ask)
    if out is not None:
        write_bytes(out, stated.raw)
        if str(out) == "-":
            return
    if session.out.is_json:
        where = {"file": str(out)} if out is not None else {"statement": base64.b64encode(stated.raw).decode()}
        session.out.json(where | statement_to_dict(genesis, stated.verdict) | {"left_out": asked.left_out})
        return
    age = age_words(session, int(time.time() * 1000) - stated.verdict.time_ms)
    statement_for_people(session.out, genesis, stated.verdict, age)
    if asked.left_out:
        names = ", ".join(map(printable, asked.left_out))
        session.out.note(session.t("Left out, as no record there can be about this: {names}.", names=names), "yellow")
    if out is None:
        session.out.note(session.t("Keep it with --out FILE; anyone can then check it with `huzheng verify`."))
    else:
        session.out.line(session.t("Statement kept in {file}, {n} bytes.", file=out, n=len(stated.raw)))

"""`huzheng statement`: fetches statements from a node; each is verified before it is shown or kept."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.errors import Code, HuzhengError
from node.cli.about import resource_and_subject
from node.cli.files import write_bytes
from node.cli.light import with_light_client
from node.cli.proved import age_words
from node.cli.session import Session, command, group
from node.cli.show_entries import statement_to_dict
from node.cli.show_statement import statement_for_people

if TYPE_CHECKING:
    from ledger.genesis import Genesis
    from ledger.statement import Question
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

    async def ask(light: LightClient, _client: LedgerClient) -> tuple[Stated, Genesis]:
        questions = await questions_about(light, about[:-1], about[-1])
        return await light.statement(questions, with_records=contents, whole=True), light.genesis

    stated, genesis = with_light_client(session, ask)
    if out is not None:
        write_bytes(out, stated.raw)
        if str(out) == "-":
            return
    if session.out.is_json:
        where = {"file": str(out)} if out is not None else {"statement": base64.b64encode(stated.raw).decode()}
        session.out.json(where | statement_to_dict(stated.verdict))
        return
    age = age_words(session, int(time.time() * 1000) - stated.verdict.time_ms)
    statement_for_people(session.out, genesis, stated.verdict, age)
    if out is None:
        session.out.note(session.t("Keep it with --out FILE; anyone can then check it with `huzheng verify`."))
    else:
        session.out.line(session.t("Statement kept in {file}, {n} bytes.", file=out, n=len(stated.raw)))


async def questions_about(light: LightClient, names: list[str], subject: str) -> list[Question]:
    """One for each resource, in a register for all of its resources.

    Raises:
        HuzhengError: INVALID_REQUEST, UNKNOWN_RESOURCE, BAD_SUBJECT.
    """
    from ledger.registers import register_of
    from ledger.statement import Question

    if not names:
        raise HuzhengError(Code.INVALID_REQUEST, "a resource or register, and a subject, are needed")
    catalogue = sorted(light.genesis.catalogue)
    chosen = [
        resource for name in names for resource in catalogue if name in (resource, register_of(resource))
    ] or names
    return [Question(*await resource_and_subject(light, [resource, subject])) for resource in dict.fromkeys(chosen)]

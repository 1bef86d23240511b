"""`huzheng submit`: puts the records of a file on chain, and goes on where an interrupted run stopped."""

from __future__ import annotations

import io
import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from ledger.errors import Code, HuzhengError
from node.cli.connection import with_client
from node.cli.output import json_time
from node.cli.session import Ended, Session, command
from node.errors import ExitStatus

if TYPE_CHECKING:
    from node.cli.submission.journal import Journal
    from node.cli.submission.planning import Planner, Survey
    from node.cli.submission.reading import RecordSource
    from node.cli.submission.sending import Options, Sender, Settled
    from node.client import LedgerClient

# More than this many results are only counted, unless --results gives them a file.
LISTED = 1000
SHOWN = 20
LIFETIME_MS = 600_000


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "submit", online=True)(submit)


def submit(
    session: Session,
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="JSON or JSON Lines, one record a line; - is standard input.")
    ],
    batch: Annotated[
        int,
        typer.Option(
            "--batch", "-b", min=1, help="Records in a transaction; each transaction takes effect whole or not at all."
        ),
    ] = 100,
    in_flight: Annotated[
        int, typer.Option("--in-flight", min=1, max=64, help="Transactions on their way at once.")
    ] = 8,
    patience: Annotated[
        float, typer.Option("--patience", min=0.0, help="Seconds to go on trying while no node answers.")
    ] = 60.0,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Go on with other records after a refusal.")] = False,
    journal: Annotated[
        Path | None,
        typer.Option("--journal", metavar="FILE", help="The journal; otherwise beside the input, as FILE.journal."),
    ] = None,
    results: Annotated[
        Path | None, typer.Option("--results", metavar="FILE", help="Add one line of JSON for each record here.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the whole input and send nothing.")] = False,
) -> None:
    """Sign the records of a file and put them on chain.

    The whole input is checked before anything is sent. Run the same command again after any interruption: it goes on
    where it stopped and submits nothing twice.
    """
    from node.cli.submission.sending import Options

    chosen = Plan(path, journal, results, Options(batch, in_flight, patience, keep_going))
    if dry_run:
        _check_only(session, chosen)
        return
    session.when_stopped = session.t("Stopped. Run the same command again: it goes on where it stopped.")
    outcome = with_client(session, lambda client: _submit(session, client, chosen))
    _report(session, outcome)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the options say."""

    path: Path
    journal: Path | None
    results: Path | None
    options: Options

    @property
    def journal_path(self) -> Path | None:
        """Where the journal is; standard input has none unless one is named."""
        if self.journal is not None:
            return self.journal
        return None if str(self.path) == "-" else self.path.with_name(self.path.name + ".journal")


@dataclass(slots=True)
class Outcome:
    """What a run has done."""

    survey: Survey
    sender: Sender
    journal_path: Path | None
    records: list[dict[str, Any]] = field(default_factory=list)
    transactions: list[dict[str, Any]] = field(default_factory=list)
    settled: int = 0
    seconds: float = 0.0


def _open_source(path: Path) -> RecordSource:
    from node.cli.submission.reading import RecordSource

    if str(path) != "-":
        return RecordSource.open(path)
    # Gone through twice, so a pipe must be kept somewhere.
    kept: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115
    while chunk := sys.stdin.buffer.read(io.DEFAULT_BUFFER_SIZE):
        kept.write(chunk)
    kept.seek(0)
    return RecordSource(kept, "standard input")


def _check_only(session: Session, plan: Plan) -> None:
    from node.catalogue import Catalogue
    from node.cli.submission.planning import survey
    from node.cli.submission.reading import InputCheck
    from node.genesis_file import read_genesis

    profile = session.profile()
    # No node is asked: what was published after the genesis is not known here.
    catalogue = Catalogue(read_genesis(profile.client.genesis))
    found = survey(_open_source(plan.path), [], InputCheck(catalogue, profile.client.department))
    transactions = -(-found.count // plan.options.batch)
    if session.out.is_json:
        session.out.json({"valid": True, "records": found.count, "transactions": transactions})
    else:
        text = session.t("All valid: {n} records, {t} transactions. Nothing was sent.", n=found.count, t=transactions)
        session.out.line(text, "green")


async def _submit(session: Session, client: LedgerClient, plan: Plan) -> Outcome:
    import asyncio

    from node.cli.submission.journal import Journal
    from node.cli.submission.planning import Planner, survey
    from node.cli.submission.reading import InputCheck
    from node.keyfile import KeyKind, load_signer

    profile = session.profile()
    department = profile.client.department
    if profile.keys.signing is None:
        raise HuzhengError(Code.CONFIG_INVALID, f"{profile.file}: keys.signing is needed to submit")
    signer = load_signer(profile.keys.signing, KeyKind.SYSTEM, client.genesis.suite)
    source = _open_source(plan.path)
    where = plan.journal_path
    journal = Journal.open(where, client.genesis.chain_id, department) if where else Journal()
    try:
        with session.out.progress(session.t("Checking")):
            silent = await _learn(client)
            check = InputCheck(client.catalogue, department)
            try:
                found = await asyncio.to_thread(survey, source, journal.standing(), check)
            except HuzhengError as error:
                raise silent if silent is not None and error.code is Code.UNKNOWN_RESOURCE else error from None
        planner = Planner(client.catalogue, department, signer, LIFETIME_MS)
        return await _send(session, client, plan, (source, found, journal, planner))
    finally:
        journal.close()


async def _learn(client: LedgerClient) -> HuzhengError | None:
    """Asks for the catalogue. Where no node answers, what the genesis has may do, and sending is patient."""
    from node.cli.submission.sending import TRY_AGAIN

    try:
        await client.learn()
    except HuzhengError as error:
        if error.code not in TRY_AGAIN:
            raise
        return error
    return None


async def _send(
    session: Session, client: LedgerClient, plan: Plan, parts: tuple[RecordSource, Survey, Journal, Planner]
) -> Outcome:
    import asyncio

    from node.cli.submission.journal import State
    from node.cli.submission.sending import Sender

    source, found, journal, planner = parts
    accepted = sum(e.last - e.first + 1 for e in journal.standing() if e.state is State.ACCEPTED)
    results = _open_results(plan.results)
    started = monotonic()
    with session.out.progress(session.t("Submitting")) as progress:
        bar = progress.task_ids[0]
        progress.update(bar, total=found.count, completed=accepted)

        def note(settled: Settled) -> None:
            progress.advance(bar, len(settled.records))
            _note(outcome, settled, results)

        def waiting(error: HuzhengError) -> None:
            why, patience = error.message(session.language), plan.options.patience_s
            session.out.note(session.t("{why} Trying again for up to {s:.0f} s.", why=why, s=patience), "yellow")

        sender = Sender(client, planner, journal, plan.options, note, on_wait=waiting)
        outcome = Outcome(found, sender, plan.journal_path)
        try:
            await sender.run(source)
        except HuzhengError:
            session.out.note(_how_far(session, accepted + sender.tally.accepted, found.count), "yellow")
            raise
        except asyncio.CancelledError:
            session.when_stopped = _how_far(session, accepted + sender.tally.accepted, found.count)
            raise
        finally:
            if results is not None:
                results.close()
            outcome.seconds = monotonic() - started
    return outcome


def _how_far(session: Session, done: int, total: int) -> str:
    return session.t(
        "{n} of {total} records are on chain. Run the same command again: it goes on where it stopped.",
        n=done,
        total=total,
    )


def _open_results(path: Path | None) -> io.TextIOBase | None:
    if path is None:
        return None
    try:
        return path.open("a", encoding="utf-8")
    except OSError as error:
        raise HuzhengError(Code.FILE_ACCESS, f"{path}: {error.strerror}") from None


def _note(outcome: Outcome, settled: Settled, results: io.TextIOBase | None) -> None:
    entry, final = settled.entry, settled.final
    code = "ACCEPTED" if settled.error is None else str(getattr(settled.error, "name", settled.error.code))
    place = {"height": final.verdict.height, "time": json_time(final.verdict.time_ms)} if final else {}
    transaction = {"transaction_id": entry.transaction_id.hex(), "code": code, **place}
    outcome.transactions.append(transaction | {"first": entry.first, "last": entry.last})
    for planned in settled.records:
        outcome.settled += 1
        resource, subject = planned.about
        line = {
            "record": planned.position,
            "resource": resource,
            "subject": subject,
            "version": planned.head.version,
            "record_id": planned.built.id.hex(),
            **transaction,
        }
        if results is not None:
            results.write(json.dumps(line, ensure_ascii=False) + "\n")
        elif len(outcome.records) < LISTED:
            outcome.records.append(line)
    if results is not None:
        results.flush()


def _report(session: Session, outcome: Outcome) -> None:
    tally = outcome.sender.tally
    if session.out.is_json:
        session.out.json(_to_dict(session, outcome))
    else:
        _show(session, outcome)
    if tally.refused:
        raise Ended(ExitStatus.REFUSED)


def _to_dict(session: Session, outcome: Outcome) -> dict[str, Any]:
    tally = outcome.sender.tally
    refused = [
        {
            "first": one.first,
            "last": one.last,
            "code": str(getattr(one.error, "name", one.error.code)),
            "message": one.error.message(session.language),
            "detail": one.error.detail,
            "hint": one.error.hint(session.language),
        }
        for one in tally.refused
    ]
    return {
        "records": outcome.survey.count,
        "already_done": outcome.survey.standing_accepted,
        "accepted": tally.accepted,
        "refused": refused,
        "transactions": outcome.transactions,
        "results": outcome.records if outcome.settled <= LISTED else None,
        "seconds": round(outcome.seconds, 3),
    }


def _show(session: Session, outcome: Outcome) -> None:
    t, out, tally = session.t, session.out, outcome.sender.tally
    done = outcome.survey.standing_accepted
    if done:
        out.line(t("On chain already, from an earlier run: {n} records.", n=done))
    if tally.accepted:
        out.line(
            t(
                "{n} records accepted in {k} transactions, {s:.1f} s. Every receipt was verified.",
                n=tally.accepted,
                k=tally.transactions,
                s=outcome.seconds,
            ),
            "bold green",
        )
    elif not tally.refused:
        out.line(t("Nothing left to submit."), "green")
    accepted = [line for line in outcome.records if line["code"] == "ACCEPTED"]
    if 0 < len(accepted) <= SHOWN:
        rows = [(x["record"], x["subject"], x["version"], x["height"], x["record_id"]) for x in accepted]
        columns = [t("No."), t("Subject"), t("Version"), t("Block"), t("Record id")]
        out.table("", columns, rows, numbers=[0, 2, 3])
    for one in tally.refused:
        text = t("Records {first} to {last} refused:", first=one.first, last=one.last)
        if one.first == one.last:
            text = t("Record {first} refused:", first=one.first)
        out.line(text, "bold yellow")
        from node.cli.output import print_error

        print_error(one.error, session.language, as_json=False)
    if tally.refused and outcome.journal_path is not None:
        out.note(t("Correct the input and run the same command again: what is on chain is not submitted twice."))

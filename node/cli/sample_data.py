"""`huzheng sample-data`: synthetic property records to try things with."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, TextIO

import typer

from ledger.errors import Code, HuzhengError
from node.cli.session import Session, command

PEOPLE_FILE = "people.jsonl"


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "sample-data")(sample_data)


def sample_data(
    session: Session,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="A directory for the files, one per department.")],
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same records.")] = 1,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=10_000_000, help="How many records.")] = 1000,
    department: Annotated[str | None, typer.Option("--department", help="Only this department's records.")] = None,
) -> None:
    """Make synthetic property records, ready for `huzheng submit`.

    Names and document numbers of the invented people go to a side file and never on chain, where a random id stands
    for a person.
    """
    from node.sample_data import generate

    try:
        out.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack, session.out.progress(session.t("Making records")) as progress:
            files = _Files(out, stack)
            progress.update(progress.task_ids[0], total=count)
            for record in generate(seed, count):
                progress.advance(progress.task_ids[0])
                if department in (None, record.department):
                    files.write(record.department, record.to_json())
                    for person in record.people:
                        files.write_person(person.to_json())
    except OSError as error:
        raise HuzhengError(Code.FILE_ACCESS, f"{error.filename or out}: {error.strerror}") from None
    _report(session, files, seed)


class _Files:
    """One file per department, made when its first record comes, and one for the people behind the ids."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._open: dict[str, TextIO] = {}
        self.counts: dict[str, int] = {}
        self.people = 0

    def path(self, department: str) -> Path:
        """Where a department's records are."""
        return self._directory / f"{department}.jsonl"

    @property
    def people_path(self) -> Path:
        """Where the people are."""
        return self._directory / PEOPLE_FILE

    def write(self, department: str, line: str) -> None:
        """One record."""
        self._file(self.path(department), 0o644).write(line + "\n")
        self.counts[department] = self.counts.get(department, 0) + 1

    def write_person(self, line: str) -> None:
        """One person. Only the owner may read the file, as it would be with real people."""
        self._file(self.people_path, 0o600).write(line + "\n")
        self.people += 1

    def _file(self, path: Path, mode: int) -> TextIO:
        found = self._open.get(path.name)
        if found is None:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
            found = self._stack.enter_context(os.fdopen(descriptor, "w", encoding="utf-8", newline="\n"))
            self._open[path.name] = found
        return found


def _report(session: Session, files: _Files, seed: int) -> None:
    t, out = session.t, session.out
    if out.is_json:
        made = {name: {"file": str(files.path(name)), "records": count} for name, count in sorted(files.counts.items())}
        people = {"file": str(files.people_path), "people": files.people}
        out.json({"seed": seed, "departments": made, "people": people})
        return
    rows: list[tuple[str, int, object]] = [(name, n, files.path(name)) for name, n in sorted(files.counts.items())]
    if files.people:
        rows.append((t("people (stays off chain)"), files.people, files.people_path))
    out.table("", [t("Department"), t("Lines"), t("File")], rows, numbers=[1])
    out.note(
        t(
            "Submit each file with that department's profile, planning.jsonl first, as others rely on it: "
            "huzheng submit FILE --profile …"
        )
    )

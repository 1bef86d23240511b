"""How statements look to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.cli.output import Output, local_time, printable, short
from node.cli.show import block_pairs, field_title, field_value, resource_title
from node.cli.show_entries import entries_for_people

if TYPE_CHECKING:
    from ledger.genesis import Genesis
    from ledger.statement import Answer, StatementVerdict


def statement_for_people(out: Output, genesis: Genesis, verdict: StatementVerdict, age: str) -> None:
    """What a valid statement proves. `age`: how long ago it was so, in words."""
    t = out.texts
    when = local_time(verdict.time_ms)
    out.line(
        t("VALID: this was so at {time}, {age} ago; block {height}.", time=when, age=age, height=verdict.height),
        "bold green",
    )
    if verdict.answers or not verdict.entries:
        _answers_for_people(out, genesis, verdict)
    entries_for_people(out, genesis, verdict)
    out.pairs("", list(block_pairs(out, genesis, verdict)))


def _answers_for_people(out: Output, genesis: Genesis, verdict: StatementVerdict) -> None:
    t = out.texts
    subjects = {answer.question.subject for answer in verdict.answers.values()}
    if len(subjects) == 1:
        out.line(f"{t('Subject')}: {printable(subjects.pop())}", "bold")
    rows = [
        (
            *([printable(answer.question.subject)] if subjects else []),
            resource_title(genesis, answer.question.resource, t.language),
            _standing(out, answer),
            answer.version or "",
            f"{short(answer.record_id)}…" if answer.version else "",
        )
        for _, answer in sorted(verdict.answers.items())
    ]
    columns = [t("Resource"), t("In force"), t("Version"), t("Record id")]
    out.table(
        "", [t("Subject"), *columns] if subjects else columns, rows, numbers=[len(columns) - 1 if subjects else 2]
    )
    _say_what_is_missing(out, verdict)
    for _, answer in sorted(verdict.answers.items()):
        if answer.record is not None and answer.record.values and answer.is_in_force:
            out.pairs(
                f"{resource_title(genesis, answer.question.resource, t.language)}, {printable(answer.question.subject)}",
                [
                    (
                        field_title(genesis, answer.question.resource, name, t.language),
                        field_value(genesis, answer.question.resource, name, value, t.language),
                    )
                    for name, value in answer.record.values.items()
                ],
            )


def _say_what_is_missing(out: Output, verdict: StatementVerdict) -> None:
    t, answers = out.texts, verdict.answers.values()
    if not any(answer.version for answer in answers):
        out.line(
            t("Nothing was ever registered about this subject: make sure that it is the right one."), "bold yellow"
        )
    if any(answer.is_in_force and answer.record is None for answer in answers):
        text = t(
            "What the records say is not in it: nothing that is printed or said about them can be checked with it."
        )
        out.line(text, "bold yellow")
    if any(answer.record is not None and not answer.record.is_shown for answer in answers):
        text = t("The contents of some records were removed or are not shown; that the records are in force is proved.")
        out.line(text, "bold yellow")


def _standing(out: Output, answer: Answer) -> str:
    if answer.is_in_force:
        return out.texts("yes")
    return out.texts("no, withdrawn") if answer.version else out.texts("no, never was")

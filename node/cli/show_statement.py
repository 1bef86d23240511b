"""How statements look to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.cli.output import Output, local_time, printable
from node.cli.show import block_pairs, field_title, resource_title

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
    rows = [
        (
            printable(answer.question.subject),
            resource_title(genesis, answer.question.resource, t.language),
            _standing(out, answer),
            answer.version or "",
            answer.record_id.hex() if answer.version else "",
        )
        for _, answer in sorted(verdict.answers.items())
    ]
    out.table("", [t("Subject"), t("Resource"), t("In force"), t("Version"), t("Record id")], rows, numbers=[3])
    for _, answer in sorted(verdict.answers.items()):
        if answer.record is not None and answer.is_in_force:
            out.pairs(
                f"{resource_title(genesis, answer.question.resource, t.language)}, {printable(answer.question.subject)}",
                [
                    (field_title(genesis, answer.question.resource, name, t.language), printable(value))
                    for name, value in answer.record.values.items()
                ],
            )
    out.pairs("", list(block_pairs(out, genesis, verdict)))


def _standing(out: Output, answer: Answer) -> str:
    if answer.is_in_force:
        return out.texts("yes")
    return out.texts("no, withdrawn") if answer.version else out.texts("no, never was")

"""How disclosures look to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.cli.output import Output, printable
from node.cli.show import verdict_for_people

if TYPE_CHECKING:
    from ledger.disclosure import DisclosureVerdict
    from ledger.genesis import Genesis


def disclosure_for_people(out: Output, genesis: Genesis, verdict: DisclosureVerdict, *, asked: bool) -> None:
    """What a valid disclosure proves. `asked`: whether a node has proved if there is anything newer."""
    t = out.texts
    verdict_for_people(out, genesis, verdict.receipt, asked=asked, definition=verdict.definition)
    if not verdict.fields:
        out.note(t("It shows no confidential field."))
        return
    titles = {
        spec.number: _title(spec.title_en, spec.title_zh, t.language) for spec in verdict.definition.message.fields
    }
    out.pairs(
        t("Confidential fields, as the record commits to them:"),
        [
            (f"{titles[shown.number]} ({shown.name})", printable(shown.value) if shown.value else t("no value"))
            for shown in verdict.fields
        ],
    )
    out.note(t("Confidential: hand this file to nobody who has no right to what it shows."), "yellow")


def _title(english: str, chinese: str, language: str) -> str:
    return chinese if language == "zh" else english

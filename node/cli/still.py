"""Whether what a file proves was so is still so: asked of the profile's nodes, if there are any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ledger.errors import Code, HuzhengError
from node.cli.connection import with_believed_node
from node.cli.light import with_light_client
from node.cli.output import local_time
from node.cli.proved import AsOf, as_of_to_dict
from node.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.epochs import EpochTerms
    from ledger.genesis import Genesis
    from ledger.receipt import Verdict
    from ledger.statement import Question, StatementVerdict
    from node.client import LedgerClient
    from node.light_client import LightClient

_PATIENCE_S = 5.0
"""For a question that nobody asked."""


@dataclass(frozen=True, slots=True)
class Still:
    """What nodes prove about it now."""

    holds: bool | None
    """None if no node could be asked."""
    as_of: AsOf | None
    reason: str
    """Why none could be asked."""
    changed: tuple[Question, ...] = ()
    """In what something else is so now."""
    changed_entries: tuple[bytes, ...] = ()
    """Keys of the state that have something else now."""

    def to_dict(self) -> dict[str, Any]:
        """For programs."""
        changed = [{"resource": question.resource, "subject": question.subject} for question in self.changed]
        entries = [key.hex() for key in self.changed_entries]
        return {
            "holds": self.holds,
            "as_of": as_of_to_dict(self.as_of),
            "changed": changed,
            "changed_entries": entries,
            "reason": self.reason,
        }


def ask_whether_still(session: Session, genesis: Genesis, verdict: Verdict | StatementVerdict) -> Still | None:
    """Asks a node of the profile. None where there is no profile, or nothing that could change."""
    was, had = _what_was(verdict), _what_keys_had(verdict)
    try:
        profile = session.profile()
    except HuzhengError as error:
        if error.code is Code.CONFIG_MISSING:
            return None
        # The file is proved by itself.
        return Still(None, None, f"{error.code}: {error.detail}") if was or had else None
    if not (was or had) or not profile.nodes:
        return None

    async def ask(light: LightClient, _client: LedgerClient) -> Still:
        if light.genesis.chain_id != genesis.chain_id:
            return Still(None, None, "the profile is of another chain")
        found = (await light.statement(sorted(was), keys=sorted(had))).verdict
        now = {question: found.answers[question] for question in was}
        changed = tuple(
            question for question, what in was.items() if (now[question].record_id, now[question].is_in_force) != what
        )
        entries = tuple(key for key, value in had.items() if found.entries[key] != value)
        return Still(not changed and not entries, AsOf(found.height, found.time_ms), "", changed, entries)

    patience_s, session.timeout_s = session.timeout_s, min(session.timeout_s, _PATIENCE_S)
    try:
        return with_light_client(session, ask)
    except HuzhengError as error:
        if error.code is Code.FORKED:
            raise
        return Still(None, None, f"{error.code}: {error.detail}")
    finally:
        session.timeout_s = patience_s


def ask_for_epochs(session: Session, genesis: Genesis, refused: HuzhengError) -> Sequence[EpochTerms]:
    """How the members changed since the genesis, proved by a node of the profile. `refused`: what is said if there is none."""
    try:
        session.profile()
    except HuzhengError as error:
        if error.code is Code.CONFIG_MISSING:
            raise refused from None
        raise

    async def ask(client: LedgerClient) -> Sequence[EpochTerms]:
        if client.genesis.chain_id != genesis.chain_id:
            raise refused
        return (await client.membership()).epochs

    return with_believed_node(session, ask)


def _what_was(verdict: Verdict | StatementVerdict) -> dict[Question, tuple[bytes, bool]]:
    """The newest record and whether it was in force, by question."""
    from ledger.receipt import Verdict
    from ledger.statement import Question

    if not isinstance(verdict, Verdict):
        return {question: (answer.record_id, answer.is_in_force) for question, answer in verdict.answers.items()}
    record = verdict.record
    if record is None or not verdict.accepted:
        return {}
    return {Question(record.resource, record.subject): (record.id, not record.revokes)}


def _what_keys_had(verdict: Verdict | StatementVerdict) -> dict[bytes, bytes | None]:
    from ledger.receipt import Verdict

    return {} if isinstance(verdict, Verdict) else dict(verdict.entries)


def say_whether_still(session: Session, still: Still | None) -> None:
    """For people."""
    t, out = session.t, session.out
    if still is None:
        return
    if still.as_of is None:
        out.note(t("Whether it is still so could not be asked: {reason}", reason=still.reason), "yellow")
        return
    when, height = local_time(still.as_of.time_ms), still.as_of.height
    if still.holds:
        out.line(
            t("STILL SO at {time}, block {height}: there is nothing newer.", time=when, height=height), "bold green"
        )
        return
    for question in still.changed:
        text = t(
            "NO LONGER SO at {time}, block {height}: {resource} has changed since.",
            time=when,
            height=height,
            resource=question.resource,
        )
        out.line(text, "bold yellow")
    if still.changed_entries:
        text = t(
            "NO LONGER SO at {time}, block {height}: {n} entries of the state have changed since.",
            time=when,
            height=height,
            n=len(still.changed_entries),
        )
        out.line(text, "bold yellow")

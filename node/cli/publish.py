"""`huzheng catalogue publish`: puts a department's part of a catalogue file on chain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.errors import Code, HuzhengError
from node.cli.connection import with_client
from node.cli.output import printable
from node.cli.session import Ended, Session, command
from node.errors import ExitStatus

if TYPE_CHECKING:
    from node.catalogue_file import CatalogueFile
    from node.client import Final, LedgerClient
    from node.publication import Change

_BODY_BYTES = 512
"""Of a transaction besides its operations, rounded up."""


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "publish", online=True)(publish)


def publish(
    session: Session,
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="A catalogue file, in YAML (.yaml, .yml) or TOML; see docs/cli.md.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Publish the duties, resources and tables of a file that are your department's, signed with the profile's admin key.

    Shows what is not on chain as the file says, and asks. What the file does not name stays as it is.
    """
    from node.catalogue_file import load_catalogue

    wanted = load_catalogue(path)
    department = session.profile().client.department
    changes = with_client(session, lambda client: _find(client, wanted, department))
    _say_what_is_anothers(session, wanted, department)
    if not changes:
        _report(session, changes, [], session.t("Nothing to do: all is on chain as the file says."))
        return
    if not session.out.is_json:
        _show(session, changes)
    if not yes:
        _ask(session)
    finals = with_client(session, lambda client: _submit(session, client, changes))
    _report(session, changes, finals, session.t("Published."))


async def _find(client: LedgerClient, wanted: CatalogueFile, department: str) -> list[Change]:
    from node.publication import CatalogueOnChain, find_changes

    return find_changes(wanted, CatalogueOnChain.of(await client.learn()), department)


async def _submit(session: Session, client: LedgerClient, changes: list[Change]) -> list[Final]:
    from node.cli.signing import sign_and_submit
    from node.publication import in_transactions

    finals: list[Final] = []
    done = 0
    limit = client.genesis.parameters.max_transaction_bytes - _BODY_BYTES
    with session.out.progress(session.t("Publishing")) as progress:
        progress.update(progress.task_ids[0], total=len(changes))
        for operations in in_transactions([change.operation for change in changes], limit):
            final = await sign_and_submit(session, client, operations)
            if final.verdict.refusal is not None:
                at_fault = changes[done + final.verdict.index]
                raise HuzhengError(final.verdict.refusal, f"{at_fault.kind} {at_fault.name}; {done} published before")
            finals.append(final)
            done += len(operations)
            progress.advance(progress.task_ids[0], len(operations))
    return finals


def _ask(session: Session) -> None:
    if session.out.is_json:
        raise HuzhengError(Code.INVALID_REQUEST, "with --output json nobody is asked: give --yes")
    if not typer.confirm(session.t("Publish this?"), err=True):
        session.out.note(session.t("Nothing was published."), "yellow")
        raise Ended(ExitStatus.INTERRUPTED)


def _say_what_is_anothers(session: Session, wanted: CatalogueFile, department: str) -> None:
    owners = [duty.department for duty in wanted.duties] + [resource.department for resource in wanted.resources]
    others = sum(owner != department for owner in owners)
    if others:
        session.out.note(session.t("{n} duties and resources of other departments are left out.", n=others))


def _show(session: Session, changes: list[Change]) -> None:
    t = session.t
    kinds = {"duty": t("Duty"), "resource": t("Resource"), "table": t("Table")}
    rows = [
        (
            kinds[change.kind],
            printable(change.name),
            t("new") if change.is_new else t("changed"),
            printable(" ".join(change.details)),
        )
        for change in changes
    ]
    session.out.table("", [t("Kind"), t("Name"), t("What"), t("Different")], rows)


def _report(session: Session, changes: list[Change], finals: list[Final], done: str) -> None:
    if session.out.is_json:
        session.out.json(
            {
                "changes": [_to_dict(change) for change in changes],
                "transactions": [final.verdict.to_dict() for final in finals],
            }
        )
        return
    session.out.line(done, "bold green")
    t = session.t
    for final in finals:
        pairs = [(t("Transaction"), final.transaction_id.hex()), (t("Block"), final.verdict.height)]
        session.out.pairs("", pairs)


def _to_dict(change: Change) -> dict[str, Any]:
    return {"kind": change.kind, "name": change.name, "new": change.is_new, "different": list(change.details)}

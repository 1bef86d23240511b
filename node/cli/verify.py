"""`huzheng verify`: what a receipt proves. Offline: needs the genesis file, and no node, network or profile."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ledger.errors import Code, HuzhengError
from node.cli.files import chosen_genesis, parse_hash, read_bytes
from node.cli.output import print_error
from node.cli.session import Ended, Session, command
from node.cli.show import verdict_for_people
from node.errors import ExitStatus, exit_status


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "verify")(verify)


def verify(
    session: Session,
    receipts: Annotated[list[Path], typer.Argument(metavar="RECEIPT...", help="Receipt files.")],
    genesis: Annotated[
        Path | None,
        typer.Option(
            "--genesis",
            "-g",
            envvar="HUZHENG_GENESIS",
            metavar="FILE",
            help="The genesis file you trust; otherwise that of the profile.",
        ),
    ] = None,
    chain_id: Annotated[
        str | None,
        typer.Option("--chain-id", metavar="HEX", help="Also demand that the genesis is this chain's, as published."),
    ] = None,
) -> None:
    """Verify receipts offline: needs no node, only the genesis file.

    Exit status 0 only if every receipt proves an accepted record or transaction; 4 if one proves nothing; 5 if one
    proves a refusal.
    """
    trusted = chosen_genesis(session, genesis)
    if chain_id is not None and parse_hash(chain_id, "--chain-id") != trusted.chain_id:
        raise HuzhengError(Code.WRONG_CHAIN, "the genesis file is not that of --chain-id")
    worst = ExitStatus.OK
    for number, path in enumerate(receipts):
        if len(receipts) > 1 and not session.out.is_json:
            session.out.line(("\n" if number else "") + str(path), "bold underline")
        status = _verify_one(session, path, trusted)
        worst = max(worst, status, key=_GRAVITY.index)
    if worst is not ExitStatus.OK:
        raise Ended(worst)


_GRAVITY = (ExitStatus.OK, ExitStatus.REFUSED, ExitStatus.LOCAL, ExitStatus.NOT_PROVEN)


def _verify_one(session: Session, path: Path, genesis: Any) -> ExitStatus:
    from ledger.receipt import verify_receipt

    try:
        raw = read_bytes(path)
        if not raw:
            # An empty message is well-formed, and would be said to be of another chain.
            raise HuzhengError(Code.BAD_FILE, f"{path}: the file is empty")
        verdict = verify_receipt(raw, genesis)
    except HuzhengError as error:
        _say_invalid(session, path, error)
        return ExitStatus.LOCAL if exit_status(error) is ExitStatus.LOCAL else ExitStatus.NOT_PROVEN
    if session.out.is_json:
        session.out.json({"file": str(path), "network": genesis.name, **verdict.to_dict()})
    else:
        verdict_for_people(session.out, genesis, verdict)
    return ExitStatus.OK if verdict.accepted else ExitStatus.REFUSED


def _say_invalid(session: Session, path: Path, error: HuzhengError) -> None:
    if session.out.is_json:
        reason = {"code": str(error.code), "message": error.message(session.language), "detail": error.detail}
        session.out.json({"file": str(path), "valid": False, "error": reason | {"hint": error.hint(session.language)}})
        return
    session.out.line(session.t("NOT PROVEN: do not rely on this file."), "bold red")
    print_error(error, session.language, as_json=False)

"""`huzheng verify`: what a receipt, a disclosure, a statement or a printed certificate proves. Offline: needs the genesis file, and no node.

Where a profile names nodes that can be reached, it also says whether what is proved is still so.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.errors import Code, HuzhengError
from node.cli.definitions import read_definitions
from node.cli.files import GenesisOption, chosen_genesis, parse_hash, read_bytes
from node.cli.output import print_error
from node.cli.proved import age_words
from node.cli.session import Ended, Session, command
from node.cli.show import verdict_for_people
from node.cli.show_disclosure import disclosure_for_people
from node.cli.show_entries import statement_to_dict
from node.cli.show_statement import statement_for_people
from node.cli.still import Still, ask_for_epochs, ask_whether_still, say_whether_still
from node.errors import ExitStatus, exit_status
from node.printed import looks_printed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ledger.disclosure import DisclosureVerdict
    from ledger.epochs import EpochTerms
    from ledger.genesis import Genesis
    from ledger.receipt import Verdict
    from ledger.sealed_block import SealedBlock
    from ledger.statement import StatementVerdict
    from node.cli.definitions import Definitions

    AnyVerdict = Verdict | StatementVerdict | DisclosureVerdict

_GRAVITY = (ExitStatus.OK, ExitStatus.REFUSED, ExitStatus.LOCAL, ExitStatus.NOT_PROVEN)
_DURATIONS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


FilesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...", help="Receipts, disclosures, statements, certificates as PDF, or pictures of their codes."
    ),
]
ChainIdOption = Annotated[
    str | None,
    typer.Option("--chain-id", metavar="HEX", help="Also demand that the genesis is this chain's, as published."),
]
MaxAgeOption = Annotated[
    str | None,
    typer.Option("--max-age", metavar="30s|10m|2h|1d", help="Refuse a statement of what was so longer ago than this."),
]
AnchorOption = Annotated[
    Path | None,
    typer.Option("--anchor", metavar="FILE", help="A newer block that you trust (see `huzheng chain anchor`)."),
]
HistoryOption = Annotated[
    Path | None,
    typer.Option("--history", metavar="FILE", help="With --anchor: the proof that links the file's block with it."),
]
CatalogueOption = Annotated[
    Path | None,
    typer.Option(
        "--catalogue",
        metavar="FILE",
        help="A statement that proves what a receipt's fields are called, where the genesis does not say.",
    ),
]
CatalogueHistoryOption = Annotated[
    Path | None,
    typer.Option(
        "--catalogue-history",
        metavar="FILE",
        help="With --anchor: likewise of the block as of which a disclosure, or --catalogue, proves a schema version.",
    ),
]
EpochsOption = Annotated[
    Path | None,
    typer.Option("--epochs", metavar="FILE", help="How the members changed, for a statement that does not say."),
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Ask no node whether what is proved is still so.")]


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "verify", online=True)(verify)


@dataclass(frozen=True, slots=True)
class Trust:
    """What files are held against."""

    genesis: Genesis
    anchor: SealedBlock | None
    history: bytes
    definitions: Definitions
    """Of records in receipts; disclosures prove their own."""
    catalogue_history: bytes
    epochs: Sequence[EpochTerms]
    ask_epochs: Callable[[HuzhengError], Sequence[EpochTerms]] | None
    """Asks a node how the members changed since the genesis, which it has to prove; None if nobody is to be asked."""
    max_age_ms: int | None


@dataclass(frozen=True, slots=True)
class _Beside:
    """Files that are given beside those to be verified."""

    anchor: Path | None
    history: Path | None
    catalogue: Path | None
    catalogue_history: Path | None
    epochs: Path | None


def verify(
    session: Session,
    files: FilesArgument,
    genesis: GenesisOption = None,
    chain_id: ChainIdOption = None,
    max_age: MaxAgeOption = None,
    anchor: AnchorOption = None,
    history: HistoryOption = None,
    catalogue: CatalogueOption = None,
    catalogue_history: CatalogueHistoryOption = None,
    epochs: EpochsOption = None,
    offline: OfflineOption = False,
) -> None:
    """Verify receipts, disclosures, statements and printed certificates offline: needs no node, only the genesis file.

    If the profile's nodes can be reached, also says whether it is still so. Exit status 0 only if every file proves
    something that took effect and, as far as was asked, still holds; 4 if one proves nothing; 5 if one proves a refusal, or
    what no longer holds.
    """
    trusted = chosen_genesis(session, genesis)
    if chain_id is not None and parse_hash(chain_id, "--chain-id") != trusted.chain_id:
        raise HuzhengError(Code.WRONG_CHAIN, "the genesis file is not that of --chain-id")
    beside = _Beside(anchor, history, catalogue, catalogue_history, epochs)
    trust = _trust(session, trusted, beside, max_age, offline)
    worst = ExitStatus.OK
    for number, path in enumerate(files):
        if len(files) > 1 and not session.out.is_json:
            session.out.line(("\n" if number else "") + str(path), "bold underline")
        worst = max(worst, _verify_one(session, path, trust, offline), key=_GRAVITY.index)
    if worst is not ExitStatus.OK:
        raise Ended(worst)


def _trust(session: Session, genesis: Genesis, files: _Beside, max_age: str | None, offline: bool) -> Trust:
    from ledger.statement import verify_bundle
    from node.anchor_file import read_anchor_file

    if files.anchor is None:
        for option, given in (("--history", files.history), ("--catalogue-history", files.catalogue_history)):
            if given is not None:
                raise HuzhengError(Code.INVALID_REQUEST, f"{option} goes with --anchor")
    anchor = None if files.anchor is None else read_anchor_file(files.anchor, genesis)
    known = () if files.epochs is None else verify_bundle(read_bytes(files.epochs), genesis)
    linked = b"" if files.catalogue_history is None else read_bytes(files.catalogue_history)
    return Trust(
        genesis,
        anchor,
        b"" if files.history is None else read_bytes(files.history),
        read_definitions(files.catalogue, genesis, known, anchor, linked),
        linked,
        known,
        None if offline else partial(ask_for_epochs, session, genesis),
        None if max_age is None else _duration_ms(max_age),
    )


def _duration_ms(text: str) -> int:
    number, unit = text[:-1], text[-1:]
    if not (number.isdecimal() and number.isascii() and len(number) < 10 and unit in _DURATIONS):
        raise HuzhengError(Code.INVALID_REQUEST, "--max-age: a number and s, m, h or d are needed, such as 10m")
    return int(number) * _DURATIONS[unit] * 1_000


def _verify_one(session: Session, path: Path, trust: Trust, offline: bool) -> ExitStatus:
    try:
        verdict = _verdict_of(path, trust)
    except HuzhengError as error:
        if error.code is Code.INVALID_REQUEST:
            raise
        _say_invalid(session, path, error)
        return ExitStatus.LOCAL if exit_status(error) is ExitStatus.LOCAL else ExitStatus.NOT_PROVEN
    still = None if offline else ask_whether_still(session, trust.genesis, _what_can_change(verdict))
    if session.out.is_json:
        view = {"file": str(path), "network": trust.genesis.name, **_to_dict(trust.genesis, verdict)}
        session.out.json(view | {"still": None if still is None else still.to_dict()})
    else:
        _show(session, trust, verdict, asked=still is not None and still.as_of is not None)
        say_whether_still(session, still)
    return _status(verdict, still)


def _what_can_change(verdict: AnyVerdict) -> Verdict | StatementVerdict:
    from ledger.disclosure import DisclosureVerdict

    return verdict.receipt if isinstance(verdict, DisclosureVerdict) else verdict


def _to_dict(genesis: Genesis, verdict: AnyVerdict) -> dict[str, Any]:
    from ledger.statement import StatementVerdict

    return statement_to_dict(genesis, verdict) if isinstance(verdict, StatementVerdict) else verdict.to_dict()


def _status(verdict: AnyVerdict, still: Still | None) -> ExitStatus:
    from ledger.receipt import Verdict

    refused = isinstance(verdict, Verdict) and not verdict.accepted
    return ExitStatus.REFUSED if refused or (still is not None and still.holds is False) else ExitStatus.OK


def _show(session: Session, trust: Trust, verdict: AnyVerdict, *, asked: bool) -> None:
    from ledger.disclosure import DisclosureVerdict
    from ledger.receipt import Verdict

    genesis = trust.genesis
    if isinstance(verdict, DisclosureVerdict):
        disclosure_for_people(session.out, genesis, verdict, asked=asked)
    elif isinstance(verdict, Verdict):
        record = verdict.record
        definition = None if record is None else trust.definitions(record.resource, record.schema_version)
        verdict_for_people(session.out, genesis, verdict, asked=asked, definition=definition)
    else:
        age = age_words(session, int(time.time() * 1000) - verdict.time_ms)
        statement_for_people(session.out, genesis, verdict, age)


def _verdict_of(path: Path, trust: Trust) -> AnyVerdict:
    from ledger.disclosure import is_disclosure, verify_disclosure
    from ledger.receipt import verify_receipt
    from ledger.statement import verify_statement

    raw = _proof_in(path)
    if is_disclosure(raw):
        if trust.max_age_ms is not None:
            raise HuzhengError(Code.INVALID_REQUEST, "--max-age is for statements: a disclosure is of a receipt's time")
        return verify_disclosure(raw, trust.genesis, trust.anchor, trust.history, trust.epochs, trust.catalogue_history)
    if not _is_statement(raw):
        if trust.max_age_ms is not None:
            raise HuzhengError(
                Code.INVALID_REQUEST, "--max-age is for statements: a receipt says what came at its time"
            )
        return verify_receipt(raw, trust.genesis, trust.anchor, trust.history, trust.epochs, trust.definitions)
    try:
        verdict = verify_statement(raw, trust.genesis, trust.epochs, trust.anchor, trust.history)
    except HuzhengError as error:
        # What is printed leaves out how the members changed.
        if error.code is not Code.EPOCH_UNKNOWN or trust.ask_epochs is None:
            raise
        verdict = verify_statement(raw, trust.genesis, trust.ask_epochs(error), trust.anchor, trust.history)
    if trust.max_age_ms is not None:
        verdict.check_age(int(time.time() * 1000), trust.max_age_ms)
    return verdict


def _proof_in(path: Path) -> bytes:
    """A file's own bytes, or what the codes say that can be seen on it."""
    raw = read_bytes(path)
    if not raw:
        # An empty message is well-formed, and would be said to be of another chain.
        raise HuzhengError(Code.BAD_FILE, f"{path}: the file is empty")
    if not looks_printed(raw):
        return raw
    from node.certificate.extra import extra_needed

    with extra_needed():
        from node.certificate.codes import from_codes
        from node.certificate.scanning import read_codes
    codes = read_codes(raw)
    if not codes:
        raise HuzhengError(Code.BAD_FILE, f"{path}: no code of a certificate can be seen on it")
    return from_codes(codes)


def _is_statement(raw: bytes) -> bool:
    """A receipt has a signature where a statement has records, and can't be read as one."""
    from huzheng.v1 import statement_pb2

    from ledger.crypto import strict

    try:
        statement = strict.read(statement_pb2.Statement, raw)
        return bool(statement.leaves or statement.entries)
    except HuzhengError:
        return False


def _say_invalid(session: Session, path: Path, error: HuzhengError) -> None:
    if session.out.is_json:
        reason: dict[str, Any] = {
            "code": str(error.code),
            "message": error.message(session.language),
            "detail": error.detail,
        }
        session.out.json({"file": str(path), "valid": False, "error": reason | {"hint": error.hint(session.language)}})
        return
    if error.code is Code.STALE:
        session.out.line(session.t("GENUINE, BUT OLDER THAN WAS ASKED FOR."), "bold yellow")
    else:
        session.out.line(session.t("NOT PROVEN: do not rely on this file."), "bold red")
    print_error(error, session.language, as_json=False)

"""`huzheng doctor`: looks a node over and says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.output import printable, short
from node.cli.session import Ended, Session, command
from node.errors import ExitStatus

if TYPE_CHECKING:
    from node.cli.texts import Texts
    from node.doctor import Finding

_STYLES = {"OK": "green", "WARN": "yellow", "FAIL": "bold red"}


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    command(app, "doctor")(doctor)


def doctor(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="DIR", help="The node's directory, or its node.toml.")] = Path(),
) -> None:
    """Look a node over, running or stopped: files, keys, certificate, disk, database, peers, clock.

    Changes nothing. Says for each finding what to do; exit status 9 if something has failed.
    """
    from node.doctor import Level, examine

    findings = examine(path)
    if session.out.is_json:
        session.out.json([_as_json(finding, session) for finding in findings])
    else:
        _show(session, findings)
    if any(finding.level is Level.FAIL for finding in findings):
        raise Ended(ExitStatus.LOCAL)


def _as_json(finding: Finding, session: Session) -> dict[str, Any]:
    from ledger.errors import HuzhengError

    found, remedy = _words(finding, session)
    is_error = isinstance(finding.found, HuzhengError)
    return {
        "check": finding.check,
        "state": finding.level,
        "code": finding.found.code if isinstance(finding.found, HuzhengError) else finding.found.name,
        "is_error": is_error,
        "found": found,
        "remedy": remedy or None,
        "values": {name: str(value) if isinstance(value, Path) else value for name, value in finding.values.items()},
    }


def _show(session: Session, findings: list[Finding]) -> None:
    t, out = session.t, session.out
    for finding in findings:
        found, remedy = _words(finding, session)
        out.line(f"{finding.level:5} {_check_name(finding, t)}: {found}", _STYLES[finding.level])
        if remedy:
            out.line(f"      {t('do')}: {remedy}")
    counts = {level: sum(finding.level == level for finding in findings) for level in _STYLES}
    if not counts["FAIL"] and not counts["WARN"]:
        out.line(t("All is well."), "bold green")
    else:
        out.line(t("{f} failed, {w} to look at, {o} well.", f=counts["FAIL"], w=counts["WARN"], o=counts["OK"]))


def _check_name(finding: Finding, t: Texts) -> str:
    names = {
        "configuration": t("Configuration"),
        "genesis": t("Genesis"),
        "keys": t("Consensus key"),
        "tls": t("TLS certificate"),
        "disk": t("Disk"),
        "database": t("Database"),
        "vault": t("Vault"),
        "node": t("Node"),
        "peer": t("Peer"),
        "clock": t("Clock"),
    }
    name = names[finding.check]
    return f"{name} {finding.values['replica']}" if "replica" in finding.values else name


def _words(finding: Finding, session: Session) -> tuple[str, str]:
    """What was found, and what to do about it."""
    from ledger.errors import HuzhengError

    if isinstance(finding.found, HuzhengError):
        error, language = finding.found, session.language
        detail = f" ({error.detail})" if error.detail else ""
        return f"{error.code}: {error.message(language)}{detail}", error.hint(language)
    return _describe(finding, session.t), _remedy(finding, session.t)


def _describe(finding: Finding, t: Texts) -> str:
    from node.doctor import Fact

    v = finding.values
    match finding.found:
        case Fact.CONFIG_READ:
            return str(v["file"])
        case Fact.GENESIS_READ:
            return t("chain {id}…", id=short(bytes.fromhex(str(v["chain_id"]))))
        case Fact.KEY_READ:
            return f"{v['file']}, {short(bytes.fromhex(str(v['public_key'])))}…"
        case Fact.TLS_VALID | Fact.TLS_EXPIRES_SOON:
            return t("{n} days left", n=v["days"])
        case Fact.DISK_ROOM | Fact.DISK_FILLS:
            return t("{n} MiB free, {p} % used", n=v["free_mib"], p=v["used_percent"])
        case Fact.DATABASE_SOUND:
            return t("height {n}; the newest block proves itself, the vote log is in order", n=v["height"])
        case Fact.DATABASE_IN_USE | Fact.VAULT_IN_USE:
            return t("in use by the running node")
        case Fact.DATABASE_MISSING:
            return t("there is none in {dir}", dir=v["data"])
        case Fact.DATABASE_OF_ANOTHER_USER | Fact.VAULT_OF_ANOTHER_USER:
            return t("not opened: it belongs to the user {user}", user=v["user"])
        case Fact.VAULT_SOUND:
            return t("{r} records, {p} persons", r=v["records"], p=v["persons"])
        case Fact.VAULT_AT_PEER_TOO:
            return t("this node of the department has one too")
        case Fact.NODE_RUNS:
            return t("runs, height {h}, view {v}", h=v["height"], v=v["view"])
        case Fact.NODE_DOWN:
            return t("does not run: {address}", address=v["address"])
        case Fact.NODE_WARNS:
            return t("warns: {code}", code=printable(str(v["warning"])))
        case Fact.PEER_ANSWERS:
            return t("answers, height {h}", h=v["height"])
        case Fact.PEER_OTHER_VERSION:
            return t("answers, height {h}, runs another version: {v}", h=v["height"], v=printable(str(v["version"])))
        case Fact.CLOCK_RIGHT:
            return t("{n} s ahead of the others'", n=v["ahead_s"])
        case Fact.CLOCK_WRONG:
            return t("wrong: {n} s ahead of the others'", n=v["ahead_s"])
        case Fact.CLOCK_OF_PEER_WRONG:
            return t("wrong: {n} s ahead of the network's", n=v["ahead_s"])
        case _:
            return t("too few peers answer to compare it with")


def _remedy(finding: Finding, t: Texts) -> str:
    from node.doctor import Fact

    match finding.found:
        case Fact.TLS_EXPIRES_SOON:
            return t("Renew it: 'Certificates' in docs/operations.md. No restart.")
        case Fact.DISK_FILLS:
            return t("Make room before writes fail: the node stops voting on a full disk.")
        case Fact.DATABASE_MISSING:
            return t(
                "A new node makes it when it starts. If there was one, see 'A lost or damaged database' in "
                "docs/operations.md before you start anything."
            )
        case Fact.DATABASE_OF_ANOTHER_USER | Fact.VAULT_OF_ANOTHER_USER:
            return t("Run this as that user, and with the node stopped: runuser -u {user}", user=finding.values["user"])
        case Fact.VAULT_AT_PEER_TOO:
            return t(
                "A department has one vault: see 'The vault' in docs/operations.md, and take [vault] out of one of them."
            )
        case Fact.NODE_DOWN:
            return t("Start it if it should run; the end of its log says why it ended.")
        case Fact.NODE_WARNS:
            return t("See the table of warnings under 'Watch' in docs/operations.md.")
        case Fact.PEER_OTHER_VERSION:
            return t("Fine during an upgrade, one node at a time.")
        case Fact.CLOCK_WRONG:
            return t("Mend time synchronisation: chronyc tracking, or timedatectl.")
        case Fact.CLOCK_OF_PEER_WRONG:
            return t("Tell its operator.")
        case Fact.CLOCK_UNKNOWN:
            return t("Look at the peers first.")
        case _:
            return ""

"""`huzheng node`: runs a department's node, and shows how nodes are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.errors import HuzhengError
from node.cli.connection import with_client
from node.cli.output import json_time, local_time, printable, short
from node.cli.session import Ended, Session, command, group
from node.cli.show import department_name
from node.errors import ExitStatus

if TYPE_CHECKING:
    from huzheng.v1 import ledger_service_pb2 as pb

    from ledger.genesis import Genesis
    from node.client import LedgerClient

app = group("Run a department's node and see how nodes are.")


@command(app, "start")
def start(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="DIR", help="The node's directory, or its node.toml.")] = Path(),
    check: Annotated[
        bool, typer.Option("--check", help="Only check configuration, keys and database, and stop.")
    ] = False,
    accept_lost_votes: Annotated[
        bool,
        typer.Option(
            "--accept-lost-votes",
            help="Vote though this node may have forgotten what it signed. Only where all departments have decided so.",
        ),
    ] = False,
) -> None:
    """Run a node until it is stopped with SIGTERM or Ctrl-C."""
    import asyncio

    from ledger.errors import Code
    from node.clock import monotonic_ms
    from node.config import load_config
    from node.daemon import open_node, run, take_seat

    config = load_config(path)
    if check:
        opened = open_node(config)
        try:
            take_seat(opened).take(monotonic_ms(), at_start=True)
            if opened.vault.trouble is not None and opened.vault.trouble.code is not Code.VAULT_RESTORED:
                raise opened.vault.trouble
        finally:
            opened.close()
        height = opened.store.tip.height
        if session.out.is_json:
            session.out.json({"config": str(config.file), "replica": config.node.replica, "height": height})
        else:
            session.out.line(
                session.t("All is well: replica {n}, height {h}.", n=config.node.replica, h=height), "green"
            )
        return
    asyncio.run(run(config, accepts_lost_votes=accept_lost_votes))


@command(app, "status", online=True)
def status(
    session: Session,
    everyone: Annotated[bool, typer.Option("--all", help="Ask every node of the profile, one line each.")] = False,
) -> None:
    """Show where a node stands: height, view, peers, warnings.

    With --all, exit status 8 if a node does not answer.
    """
    if everyone:
        _show_all(session)
        return
    answer, genesis = with_client(session, _ask)
    if session.out.is_json:
        session.out.json(status_to_dict(answer))
    else:
        _show_status(session, answer, genesis)


async def _ask(client: LedgerClient) -> tuple[pb.GetStatusResponse, Genesis]:
    return await client.status(), client.genesis


def status_to_dict(answer: pb.GetStatusResponse) -> dict[str, Any]:
    """A node's status for programs."""
    plain = ("network", "department", "replica", "software_version", "protocol_version", "epoch", "view", "primary")
    counts = ("height", "network_height", "transaction_count", "record_count", "pending_transactions")
    return {
        "chain_id": answer.chain_id.hex(),
        **{name: getattr(answer, name) for name in plain + counts},
        "block_hash": answer.block_hash.hex(),
        "block_time": json_time(answer.block_time_ms),
        "started": json_time(answer.started_ms),
        "tls_expires": json_time(answer.tls_expires_ms),
        "clock": json_time(answer.clock_ms),
        "has_vault": answer.has_vault,
        "warnings": list(answer.warnings),
        "peers": [
            {
                "replica": peer.replica,
                "department": peer.department,
                "address": peer.address,
                "connected": peer.connected,
                "height": peer.height,
                "last_heard": json_time(peer.last_heard_ms) if peer.last_heard_ms else None,
            }
            for peer in answer.peers
        ],
    }


def _show_status(session: Session, answer: pb.GetStatusResponse, genesis: Genesis) -> None:
    t, out = session.t, session.out
    behind = max(answer.network_height - answer.height, 0)
    height = str(answer.height) + (t(", {n} behind the network", n=behind) if behind else "")
    primary = t("this node") if answer.primary == answer.replica else str(answer.primary)
    out.pairs(
        "",
        [
            (t("Network"), f"{printable(answer.network)}, {t('chain')} {short(answer.chain_id)}…"),
            (t("Node"), f"{answer.replica}, {department_name(genesis, answer.department, t.language)}"),
            (t("Height"), height),
            (t("Newest block"), f"{short(answer.block_hash)}…, {local_time(answer.block_time_ms)}"),
            (t("View"), f"{answer.view}, {t('epoch')} {answer.epoch}, {t('primary')}: {primary}"),
            (t("On chain"), t("{r} records, {n} transactions", r=answer.record_count, n=answer.transaction_count)),
            (t("Waiting"), t("{n} transactions", n=answer.pending_transactions)),
            (t("Running since"), local_time(answer.started_ms)),
            (t("TLS certificate until"), local_time(answer.tls_expires_ms)),
            (t("Software"), f"{printable(answer.software_version)}, {t('protocol')} {answer.protocol_version}"),
        ],
    )
    rows = [
        (
            peer.replica,
            department_name(genesis, peer.department, t.language),
            printable(peer.address),
            t("connected") if peer.connected else t("NOT CONNECTED"),
            peer.height or "-",
            local_time(peer.last_heard_ms) if peer.last_heard_ms else "-",
        )
        for peer in answer.peers
    ]
    columns = [t("Peer"), t("Department"), t("Address"), t("State"), t("Height"), t("Last heard")]
    out.table("", columns, rows, numbers=[0, 4])
    for warning in answer.warnings:
        out.line(t("warning {code}: {words}", code=printable(warning), words=_words(warning, session)), "yellow")


def _words(warning: str, session: Session) -> str:
    from ledger.errors import Code

    if warning not in Code.__members__:
        return ""
    error = HuzhengError(Code(warning))
    return f"{error.message(session.language)} {error.hint(session.language)}"


def _show_all(session: Session) -> None:
    answers = with_client(session, lambda client: _ask_all(client, session.timeout_s))
    t, out = session.t, session.out
    if out.is_json:
        out.json([status_to_dict(a) if not isinstance(a, str) else {"address": n, "error": a} for n, a in answers])
    else:
        rows: list[tuple[object, ...]] = []
        for address, answer in answers:
            if isinstance(answer, str):
                rows.append((address, t("no answer: {code}", code=answer), "", "", "", ""))
            else:
                warnings = ", ".join(map(printable, answer.warnings)) or "-"
                state = t("primary") if answer.primary == answer.replica else t("backup")
                rows.append((address, state, answer.height, answer.view, short(answer.block_hash), warnings))
        columns = [t("Address"), t("State"), t("Height"), t("View"), t("Newest block"), t("Warnings")]
        out.table("", columns, rows, numbers=[2, 3])
    if any(isinstance(answer, str) for _, answer in answers):
        raise Ended(ExitStatus.TRY_AGAIN)


async def _ask_all(client: LedgerClient, timeout_s: float) -> list[tuple[str, pb.GetStatusResponse | str]]:
    import asyncio

    async def ask(number: int) -> pb.GetStatusResponse | str:
        async with client.only(number, timeout_s=min(timeout_s, 5.0)) as one:
            try:
                return await one.status()
            except HuzhengError as error:
                return str(error.code)

    answers = await asyncio.gather(*(ask(number) for number in range(len(client.nodes))))
    return [(node.address, answer) for node, answer in zip(client.nodes, answers, strict=True)]

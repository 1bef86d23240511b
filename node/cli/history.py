"""`huzheng chain consistency`, `compare` and `anchor`: that a chain only ever grew, and that all nodes have the same one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ledger.errors import Code, HuzhengError
from node.cli.connection import with_believed_node, with_client
from node.cli.files import write_bytes
from node.cli.light import anchors_of, with_light_client
from node.cli.output import json_time, local_time, short
from node.cli.session import Ended, Session, command
from node.cli.show import department_name
from node.errors import ExitStatus

if TYPE_CHECKING:
    from ledger.genesis import Genesis
    from ledger.history import HistoryVerdict
    from ledger.sealed_block import SealedBlock
    from node.client import LedgerClient
    from node.connections import Endpoint
    from node.light_client import LightClient, Standing

HeightArgument = Annotated[int, typer.Argument(metavar="OLD", min=0, help="The earlier block's height.")]
UnderArgument = Annotated[int, typer.Argument(metavar="NEW", min=0, help="The later block's height; 0 is the newest.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    command(app, "consistency", online=True)(consistency)
    command(app, "compare", online=True)(compare)
    command(app, "anchor", online=True)(anchor)


def consistency(
    session: Session,
    old: HeightArgument,
    new: UnderArgument = 0,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Keep the proof in this file; - is standard output.")
    ] = None,
) -> None:
    """Prove that a block, and all before it, are in the history of a later one."""

    async def ask(client: LedgerClient) -> tuple[bytes, HistoryVerdict]:
        return await fetch_history(client, old, new)

    raw, verdict = with_believed_node(session, ask)
    if out is not None:
        write_bytes(out, raw)
        if str(out) == "-":
            return
    if session.out.is_json:
        where = {"bytes": len(raw)} if out is None else {"bytes": len(raw), "file": str(out)}
        session.out.json({"valid": True, "old": _block(verdict.old), "new": _block(verdict.new)} | where)
        return
    t = session.t
    text = t(
        "PROVED: block {old} ({old_hash}…) and all before it are in the history of block {new} ({new_hash}…).",
        old=verdict.old.height,
        old_hash=short(verdict.old.hash),
        new=verdict.new.height,
        new_hash=short(verdict.new.hash),
    )
    session.out.line(text, "bold green")
    if out is not None:
        session.out.line(t("Proof kept in {file}, {n} bytes.", file=out, n=len(raw)))


async def fetch_history(client: LedgerClient, old: int, new: int) -> tuple[bytes, HistoryVerdict]:
    """A proof of history with its proofs of epochs, verified with the genesis alone.

    Raises:
        HuzhengError: UNTRUSTED_ANSWER, and what the node answers.
    """
    from huzheng.v1 import history_pb2

    from ledger.crypto import strict
    from ledger.history import verify_history

    raw = await client.history_proof(old, new)
    membership = await client.membership()
    try:
        found = verify_history(raw, client.genesis, epochs=membership.epochs)
    except HuzhengError as error:
        raise HuzhengError(Code.UNTRUSTED_ANSWER, str(error)) from None
    if found.old.height != old or (new and found.new.height != new):
        raise HuzhengError(Code.UNTRUSTED_ANSWER, "other blocks than those asked for")
    proofs = history_pb2.HistoryProof(epochs=membership.proofs[: found.new.terms.epoch])
    return raw + strict.write(proofs), found


def compare(session: Session) -> None:
    """Ask all nodes of the profile for their newest block, and whether they have one and the same chain.

    Exit status 4 if there are two chains; 8 if a node can't be asked.
    """

    async def ask(client: LedgerClient) -> tuple[list[Standing], tuple[Endpoint, ...], Genesis]:
        from node.light_client import compare_nodes

        standings = await compare_nodes(client, anchors_of(session, client))
        return standings, client.nodes, client.genesis

    standings, nodes, genesis = with_client(session, ask)
    highest = max((found.block.height for found in standings if found.block is not None), default=0)
    if session.out.is_json:
        views = [_standing_to_dict(found, node) for found, node in zip(standings, nodes, strict=True)]
        session.out.json({"nodes": views, "height": highest})
    else:
        _show_standings(session, standings, nodes, genesis, highest)
    codes = {found.error.code for found in standings if found.error is not None}
    if codes & {Code.FORKED, Code.UNTRUSTED_ANSWER}:
        raise Ended(ExitStatus.NOT_PROVEN)
    if codes:
        raise Ended(ExitStatus.TRY_AGAIN)


def _show_standings(
    session: Session, standings: list[Standing], nodes: tuple[Endpoint, ...], genesis: Genesis, highest: int
) -> None:
    t = session.t
    rows = []
    for found, node in zip(standings, nodes, strict=True):
        name = department_name(genesis, node.department, session.language)
        height = "" if found.block is None else found.block.height
        behind = "" if found.block is None else highest - found.block.height
        rows.append((node.replica, name, height, behind, t("yes") if found.error is None else _reason(session, found)))
    columns = [t("Node"), t("Department"), t("Height"), t("Behind"), t("Same chain")]
    session.out.table("", columns, rows, numbers=[0, 2, 3])
    if all(found.error is None for found in standings):
        session.out.line(t("All {n} have the same chain.", n=len(standings)), "bold green")


def _reason(session: Session, found: Standing) -> str:
    error = found.error
    return "" if error is None else f"{error.code}: {error.detail or error.message(session.language)}"


def _standing_to_dict(found: Standing, node: Endpoint) -> dict[str, Any]:
    error = found.error
    return {
        "replica": node.replica,
        "department": node.department,
        "block": None if found.block is None else _block(found.block),
        "same_chain": None if found.block is None else error is None,
        "error": None if error is None else {"code": str(error.code), "detail": error.detail},
    }


def anchor(
    session: Session,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the anchor to this file, for `huzheng verify`.")
    ] = None,
) -> None:
    """Go on to the newest block, and show the anchor that everything is verified under from then on."""

    async def ask(light: LightClient, _client: LedgerClient) -> SealedBlock:
        return await light.move_on()

    block = with_light_client(session, ask)
    if out is not None:
        from ledger.anchor import write_anchor

        write_bytes(out, write_anchor(block))
        if str(out) == "-":
            return
    if session.out.is_json:
        session.out.json(_block(block) | ({} if out is None else {"file": str(out)}))
        return
    t = session.t
    session.out.pairs(
        "",
        [
            (t("Height"), block.height),
            (t("Hash"), block.hash.hex()),
            (t("Time"), local_time(block.header.time_ms)),
            (t("Epoch"), block.terms.epoch),
        ],
    )
    if out is not None:
        session.out.line(t("Anchor kept in {file}.", file=out))
        session.out.note(t("Compare the hash with another department's before you hand the file on."))


def _block(block: SealedBlock) -> dict[str, Any]:
    return {
        "height": block.height,
        "hash": block.hash.hex(),
        "time": json_time(block.header.time_ms),
        "epoch": block.terms.epoch,
    }

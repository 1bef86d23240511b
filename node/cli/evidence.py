"""`huzheng evidence`: who signed two different things, with the proofs that this node has kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.session import Ended, Session, command, group
from node.cli.show import department_name
from node.errors import ExitStatus

if TYPE_CHECKING:
    from ledger.genesis import Genesis
    from node.evidence import KeptProof

app = group("See which replicas signed two different things, and the proof of it.")


@command(app, "list")
def list_proofs(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="DIR", help="The node's directory, or its node.toml.")] = Path(),
) -> None:
    """List the proofs that a node has kept, each verified anew; the node may be running.

    Exit status 4 if one does not hold.
    """
    from node.config import load_config
    from node.evidence import read_proofs
    from node.genesis_file import read_genesis

    config = load_config(path)
    genesis = read_genesis(config.node.genesis)
    proofs = list(read_proofs(config.node.data, genesis))
    if session.out.is_json:
        for proof in proofs:
            session.out.json(_as_json(proof))
    elif proofs:
        _show(session, proofs, genesis)
    else:
        session.out.line(session.t("No replica is known to have signed two different things."), "green")
    if not all(proof.holds for proof in proofs):
        raise Ended(ExitStatus.NOT_PROVEN)


def _show(session: Session, proofs: list[KeptProof], genesis: Genesis) -> None:
    t = session.t
    rows = [
        (
            proof.replica,
            department_name(genesis, proof.department, session.out.texts.language),
            proof.kind,
            "" if proof.view is None else proof.view,
            proof.sequence or "",
            t("yes") if proof.holds else t("no"),
        )
        for proof in proofs
    ]
    if any(proof.epoch for proof in proofs):
        note = t(
            "From epoch 1 on, the accused replica's key is as this node noted it: compare with `huzheng member list`."
        )
        session.out.note(note)
    columns = [t("Replica"), t("Department"), t("Message"), t("View"), t("Height"), t("Proved")]
    session.out.table("", columns, rows, numbers=(0, 3, 4))


def _as_json(proof: KeptProof) -> dict[str, object]:
    return {
        "replica": proof.replica,
        "department": proof.department,
        "epoch": proof.epoch,
        "public_key": proof.public_key.hex(),
        "message": proof.kind,
        "view": proof.view,
        "height": proof.sequence or None,
        "proved": proof.holds,
        "first": proof.first.hex(),
        "second": proof.second.hex(),
    }

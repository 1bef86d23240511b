"""`huzheng receipt`: fetches receipts from a node; each is checked before it is shown or kept."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.about import AboutArgument, VersionOption, find_record
from node.cli.connection import with_believed_node
from node.cli.definitions import fetch_definition
from node.cli.files import parse_hash, read_bytes, write_bytes
from node.cli.light import anchors_of
from node.cli.session import Session, command, group
from node.cli.show import verdict_for_people

if TYPE_CHECKING:
    from ledger.genesis import Genesis
    from ledger.receipt import Verdict
    from node.client import LedgerClient

app = group("Fetch receipts, which anyone with the genesis file can verify offline.")


@command(app, "get", online=True)
def get(
    session: Session,
    about: AboutArgument,
    version: VersionOption = 0,
    transaction: Annotated[
        bool, typer.Option("--transaction", help="ID is a transaction's: prove how it ended, refusals too.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Keep the receipt in this file; - is standard output.")
    ] = None,
    catalogue: Annotated[
        Path | None,
        typer.Option(
            "--catalogue",
            metavar="FILE",
            help="Also keep in this file what proves the names of the record's fields, if the genesis does not say them.",
        ),
    ] = None,
) -> None:
    """Fetch the receipt of a record or transaction, verify it against the genesis, and keep it."""

    async def ask(client: LedgerClient) -> tuple[bytes, Verdict, bytes | None, Genesis]:
        if transaction:
            raw, verdict = await client.transaction_receipt(parse_hash(" ".join(about), "ID"))
        else:
            located_id = parse_hash(about[0], "ID") if len(about) == 1 else None
            record_id = located_id or (await find_record(client, about, version)).record_id
            raw, verdict = await client.record_receipt(record_id)
        return raw, verdict, await _definition(session, client, verdict) if catalogue else None, client.genesis

    raw, verdict, definition, genesis = with_believed_node(session, ask)
    if catalogue is not None:
        _keep_definition(session, catalogue, definition)
    if out is not None:
        write_bytes(out, raw)
        if str(out) == "-":
            return
    if session.out.is_json:
        where = {"file": str(out)} if out is not None else {"receipt": base64.b64encode(raw).decode()}
        session.out.json(where | verdict.to_dict())
        return
    verdict_for_people(session.out, genesis, verdict)
    if out is None:
        session.out.note(session.t("Keep it with --out FILE; anyone can then check it with `huzheng verify`."))
    else:
        session.out.line(session.t("Receipt kept in {file}, {n} bytes.", file=out, n=len(raw)))


async def _definition(session: Session, client: LedgerClient, verdict: Verdict) -> bytes | None:
    from node.light_client import LightClient

    return await fetch_definition(LightClient(client, anchors_of(session, client)), verdict)


def _keep_definition(session: Session, path: Path, definition: bytes | None) -> None:
    if definition is None:
        session.out.note(session.t("The genesis is enough for this receipt: {file} is not written.", file=path))
        return
    write_bytes(path, definition)
    session.out.note(session.t("For the names of the fields: huzheng verify --catalogue {file}", file=path))


@command(app, "show")
def show(
    session: Session,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A receipt, disclosure, statement, anchor or proof of history.")
    ],
) -> None:
    """Take a proof apart: the size of each part, with --output json all that is in it. Verifies nothing."""
    from ledger.proof_parts import part_sizes, read_proof, to_dict

    message = read_proof(read_bytes(file))
    kind, sizes = message.DESCRIPTOR.name, part_sizes(message)
    if session.out.is_json:
        session.out.json({"kind": kind, "bytes": sum(sizes.values()), "part_bytes": sizes, "parts": to_dict(message)})
        return
    t = session.t
    rows = [*sizes.items(), (t("all"), sum(sizes.values()))]
    session.out.table(kind, [t("Part"), t("Bytes")], rows, numbers=[1])
    session.out.note(t("Not verified: `huzheng verify` says what it proves."), "yellow")

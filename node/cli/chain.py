"""`huzheng chain`: looks at the chain through a node, and checks or exports a stopped node's database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli.connection import with_believed_node, with_client
from node.cli.files import parse_hash
from node.cli.output import json_time, local_time, short
from node.cli.session import Session, command, group
from node.cli.show import department_name, replica_names

if TYPE_CHECKING:
    from huzheng.v1 import ledger_service_pb2 as pb

    from ledger.genesis import Genesis
    from node.catalogue import Catalogue
    from node.cli.blocks import CheckedBlock
    from node.client import LedgerClient

app = group("Look at the chain; check or export a whole database.")

HomeOption = Annotated[
    Path | None, typer.Option("--home", metavar="DIR", help="A stopped node's directory, with its node.toml.")
]
DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="A database's directory; needs --genesis too.")
]
GenesisOption = Annotated[
    Path | None, typer.Option("--genesis", "-g", metavar="FILE", help="The genesis file that you trust.")
]


@command(app, "info", online=True)
def info(session: Session) -> None:
    """Show the network: departments, nodes, resources, limits, and how far the chain is."""

    async def ask(client: LedgerClient) -> tuple[pb.GetStatusResponse, Genesis]:
        return await client.status(), client.genesis

    answer, genesis = with_client(session, ask)
    if session.out.is_json:
        session.out.json(_info_to_dict(genesis) | {"height": answer.height, "record_count": answer.record_count})
        return
    t, out, language = session.t, session.out, session.language
    out.pairs(
        "",
        [
            (t("Network"), genesis.name),
            (t("Chain id"), genesis.chain_id.hex()),
            (t("Height"), answer.height),
            (t("On chain"), t("{r} records, {n} transactions", r=answer.record_count, n=answer.transaction_count)),
            (t("Crypto suite"), genesis.suite.name),
            (
                t("Quorum"),
                t(
                    "{q} of {n} nodes; {f} may fail",
                    q=genesis.membership.q,
                    n=genesis.membership.n,
                    f=genesis.membership.f,
                ),
            ),
        ],
    )
    rows = [
        (member.replica, department_name(genesis, member.department, language), member.public_key.hex())
        for member in genesis.membership.members
    ]
    out.table("", [t("Node"), t("Department"), t("Consensus key")], rows, numbers=[0])
    resources = [
        (
            name,
            resource.message.title_zh if language == "zh" else resource.message.title_en,
            department_name(genesis, resource.department, language),
            len(resource.fields),
        )
        for name, resource in genesis.catalogue.items()
    ]
    out.table("", [t("Resource"), t("Title"), t("Written by"), t("Fields")], resources, numbers=[3])


@command(app, "resource", online=False)
def resource(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="RESOURCE", help="Such as property.ownership.")],
    genesis: GenesisOption = None,
) -> None:
    """Show a resource's fields: what a record in it must look like.

    Needs no node, only the genesis file.
    """
    from ledger.errors import Code, HuzhengError
    from node.cli.files import chosen_genesis

    trusted = chosen_genesis(session, genesis)
    found = trusted.catalogue.get(name)
    if found is None:
        raise HuzhengError(Code.UNKNOWN_RESOURCE, ", ".join(sorted(trusted.catalogue)))
    chinese = session.language == "zh"
    views = [
        {
            "number": spec.number,
            "name": spec.name,
            "title": spec.title_zh if chinese else spec.title_en,
            "required": spec.required,
            "expected": compiled.expected,
        }
        for spec, compiled in zip(found.message.fields, found.fields, strict=True)
    ]
    if session.out.is_json:
        head = {"resource": name, "department": found.department, "schema_version": found.schema_version}
        session.out.json(head | {"subject": found.subject.expected, "fields": views})
        return
    t = session.t
    session.out.pairs(
        "",
        [
            (t("Subject"), found.subject.expected),
            (t("Written by"), department_name(trusted, found.department, session.language)),
        ],
    )
    rows = [(v["number"], v["name"], v["title"], t("yes") if v["required"] else "", v["expected"]) for v in views]
    session.out.table("", [t("No."), t("Field"), t("Title"), t("Required"), t("Value")], rows, numbers=[0])


@command(app, "block", online=True)
def block(
    session: Session,
    which: Annotated[str, typer.Argument(metavar="HEIGHT | HASH | latest", help="Which block.")] = "latest",
) -> None:
    """Show a block; its certificate, transactions and results are checked against the genesis."""
    found, catalogue = with_believed_node(session, lambda client: _fetch_block(client, which))
    if session.out.is_json:
        session.out.json(found.to_dict(catalogue))
        return
    genesis = catalogue.genesis
    t, out, fields = session.t, session.out, found.fields
    proposer = (
        replica_names(genesis, found.membership, (fields.proposer,), session.language)
        if fields.proposer
        else t("none (null block)")
    )
    out.pairs(
        "",
        [
            (t("Height"), found.height),
            (t("Hash"), found.block_hash.hex()),
            (t("Parent"), fields.parent_hash.hex()),
            (t("Time"), local_time(fields.time_ms)),
            (t("Proposer"), proposer),
            (t("Sealed by"), replica_names(genesis, found.membership, found.sealed_by, session.language) or "-"),
            (t("State root"), fields.state_root.hex()),
            (t("Transactions"), len(found.transactions)),
        ],
    )
    rows = [
        (number, transaction.id.hex(), transaction.department, len(transaction.records), code)
        for number, (transaction, code) in enumerate(zip(found.transactions, found.codes, strict=True))
    ]
    if rows:
        columns = [t("No."), t("Transaction"), t("Department"), t("Records"), t("Result")]
        out.table("", columns, rows, numbers=[0, 3])
    out.note(t("Verified against chain {id}….", id=short(genesis.chain_id)), "green")


async def _fetch_block(client: LedgerClient, which: str) -> tuple[CheckedBlock, Catalogue]:
    from ledger.errors import Code, HuzhengError
    from node.cli.blocks import check_block

    if which == "latest":
        answer = await client.block()
    elif which.isdecimal() and len(which) < 20:
        answer = await client.block(height=int(which))
    else:
        answer = await client.block(
            block_hash=parse_hash(which, "HASH", "a height, latest, or 64 hexadecimal digits are needed")
        )
    found = await check_block(client, answer)
    wrong_height = which.isdecimal() and len(which) < 20 and found.height != int(which)
    if wrong_height or (len(which) == 64 and found.block_hash.hex() != which.lower()):
        raise HuzhengError(Code.UNTRUSTED_ANSWER, "another block than the one asked for")
    await client.learn_of(found.records)
    return found, client.catalogue


@command(app, "tx", online=True)
def tx(session: Session, identifier: Annotated[str, typer.Argument(metavar="ID", help="A transaction's id.")]) -> None:
    """Show a transaction and how it ended, proved by its receipt."""
    from node.cli.transactions import fetch_transaction, show_transaction

    wanted = parse_hash(identifier, "ID")
    found, catalogue = with_believed_node(session, lambda client: fetch_transaction(client, wanted))
    if session.out.is_json:
        session.out.json(found.to_dict(catalogue))
    else:
        show_transaction(session, found, catalogue.genesis)


@command(app, "tail", online=True)
def tail(
    session: Session,
    from_height: Annotated[
        int, typer.Option("--from-height", min=0, help="Start with this block; 0 is the next new one.")
    ] = 0,
    records: Annotated[
        bool, typer.Option("--records", help="Show each accepted record instead of each block.")
    ] = False,
    resource: Annotated[str, typer.Option("--resource", help="With --records: only this resource.")] = "",
    count: Annotated[int, typer.Option("--count", min=0, help="Stop after this many blocks; 0 is never.")] = 0,
) -> None:
    """Follow the chain block by block until Ctrl-C.

    Every block is checked before it is shown; records are shown as the node tells them.
    """
    from node.cli.following import Follower

    follower = Follower(session, from_height, count)
    if records:
        with_client(session, lambda client: follower.records(client, resource))
    else:
        with_client(session, follower.blocks)


@command(app, "verify")
def verify(session: Session, home: HomeOption = None, data: DataOption = None, genesis: GenesisOption = None) -> None:
    """Re-check a stopped node's whole database from the genesis.

    Every signature, certificate, result, index and state entry is made again and compared. Takes about as much disk
    again for the time of the check.
    """
    from ledger.chain_check import verify_chain
    from node.cli.database import open_database

    with (
        open_database(home, data, genesis) as (store, trusted),
        session.out.progress(session.t("Checking")) as progress,
    ):
        bar = progress.task_ids[0]
        summary = verify_chain(store, trusted, lambda done, total: progress.update(bar, completed=done, total=total))
    if session.out.is_json:
        session.out.json(
            {
                "valid": True,
                "network": trusted.name,
                "chain_id": trusted.chain_id.hex(),
                "height": summary.height,
                "block_hash": summary.block_hash.hex(),
                "time": json_time(summary.time_ms),
                "transactions": summary.transactions,
                "records": summary.records,
                "entries": summary.entries,
                "votes": summary.votes,
            }
        )
        return
    t = session.t
    session.out.line(t("All verified, from the genesis to height {height}.", height=summary.height), "bold green")
    session.out.pairs(
        "",
        [
            (t("Network"), f"{trusted.name}, {t('chain')} {trusted.chain_id.hex()}"),
            (t("Newest block"), f"{summary.block_hash.hex()}, {local_time(summary.time_ms)}"),
            (t("On chain"), t("{r} records, {n} transactions", r=summary.records, n=summary.transactions)),
            (t("Checked"), t("{n} entries, {v} votes", n=summary.entries, v=summary.votes)),
        ],
    )


@command(app, "export", online=True)
def export(
    session: Session,
    home: HomeOption = None,
    data: DataOption = None,
    genesis: GenesisOption = None,
    from_height: Annotated[int, typer.Option("--from-height", min=0, help="The first block to export.")] = 0,
    to_height: Annotated[
        int | None, typer.Option("--to-height", min=0, help="The last block to export; otherwise the newest.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write to this file instead of standard output.")
    ] = None,
) -> None:
    """Export blocks as JSON Lines.

    From a stopped node's database (--home or --data), or otherwise from a running node.
    """
    from node.cli.exporting import Heights, export_database, export_from_node

    heights = Heights(from_height, to_height)
    if home is None and data is None:
        export_from_node(session, heights, out)
    else:
        export_database(session, (home, data, genesis), heights, out)


def _info_to_dict(genesis: Genesis) -> dict[str, Any]:
    return {
        "network": genesis.name,
        "chain_id": genesis.chain_id.hex(),
        "suite": genesis.suite.name,
        "nodes": genesis.membership.n,
        "quorum": genesis.membership.q,
        "tolerated_faults": genesis.membership.f,
        "departments": [
            {"id": d.id, "credit_code": d.credit_code, "name_zh": d.name_zh, "name_en": d.name_en}
            for d in genesis.departments.values()
        ],
        "replicas": [
            {"replica": m.replica, "department": m.department, "public_key": m.public_key.hex()}
            for m in genesis.membership.members
        ],
        "resources": [
            {
                "name": name,
                "title_zh": resource.message.title_zh,
                "title_en": resource.message.title_en,
                "department": resource.department,
                "schema_version": resource.schema_version,
                "fields": [field.name for field in resource.fields],
            }
            for name, resource in genesis.catalogue.items()
        ],
    }

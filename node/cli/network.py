"""`huzheng network`: makes a consortium, at once for trials, or in steps in which no secret key leaves its department."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.output import json_time, local_time
from node.cli.passphrase import new_passphrase
from node.cli.session import Session, command, group

if TYPE_CHECKING:
    from ledger.genesis import Genesis
    from node.network import Network
    from node.network_plan import NetworkPlan

app = group("Make a consortium: keys, certificates, genesis, directories to start from.")

PlanArgument = Annotated[
    Path, typer.Argument(metavar="PLAN", help="The plan, a TOML file that all departments agree on.")
]
DepartmentArgument = Annotated[str, typer.Argument(metavar="DEPARTMENT", help="The department's id in the plan.")]
CountOption = Annotated[
    int, typer.Option("--departments", "-n", min=1, max=100, help="How many departments, all on this machine.")
]
BasePortOption = Annotated[int | None, typer.Option("--base-port", help="Nodes listen at the ports after this one.")]
EncryptOption = Annotated[
    bool,
    typer.Option("--encrypt-keys", help="Encrypt keys with a passphrase: HUZHENG_PASSPHRASE, or asked for."),
]
DaysOption = Annotated[
    int, typer.Option("--tls-days", min=1, max=3652, help="How long TLS certificates are valid, in days.")
]


@command(app, "init")
def init(
    session: Session,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new directory for the whole network.")],
    departments: CountOption = 4,
    base_port: BasePortOption = None,
    plan: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help="A plan file instead of a network on this machine.")
    ] = None,
    encrypt_keys: EncryptOption = False,
    tls_days: DaysOption = 365,
) -> None:
    """Make a whole network for trials: everybody's keys in one directory, one ready-to-start directory per node."""
    from node.network import init_network
    from node.network_plan import BASE_PORT, local_plan, read_plan

    chosen = read_plan(plan) if plan is not None else local_plan(departments, base_port or BASE_PORT)
    secret = new_passphrase(session) if encrypt_keys else None
    with session.out.progress(session.t("Making keys")) as progress:
        bar = progress.task_ids[0]
        progress.update(bar, total=len(chosen.departments))
        network = init_network(
            directory, chosen, passphrase=secret, tls_days=tls_days, progress=lambda _: progress.advance(bar)
        )
    _show_network(session, network, chosen)


@command(app, "plan")
def write_plan(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="PLAN", help="The new plan file.")],
    departments: CountOption = 4,
    base_port: BasePortOption = None,
) -> None:
    """Write a plan to start from: change names and addresses in it."""
    from node.network_plan import BASE_PORT, local_plan
    from node.network_texts import plan_toml
    from node.private_file import write_new_file

    plan = local_plan(departments, base_port or BASE_PORT)
    write_new_file(path, plan_toml(plan).encode(), private=False)
    if session.out.is_json:
        session.out.json({"plan": str(path), "departments": [described.id for described in plan.departments]})
        return
    session.out.line(session.t("Plan written to {file}.", file=path), "bold green")


@command(app, "prepare")
def prepare_keys(
    session: Session,
    plan: PlanArgument,
    department: DepartmentArgument,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new directory for the department's keys.")],
    encrypt_keys: EncryptOption = False,
    tls_days: DaysOption = 365,
) -> None:
    """Step 1, in each department: make its keys and the public member file to hand out."""
    from node.network import prepare_apart
    from node.network_plan import read_plan

    agreed = read_plan(plan)
    secret = new_passphrase(session) if encrypt_keys else None
    member = prepare_apart(agreed, department, directory, passphrase=secret, tls_days=tls_days)
    if session.out.is_json:
        session.out.json({"department": department, "member_file": str(member)})
        return
    session.out.line(session.t("Keys made in {directory}.", directory=directory), "bold green")
    session.out.line(session.t("Hand out {file}: it holds no secret. Everything else stays here.", file=member))


@command(app, "genesis")
def assemble_genesis(
    session: Session,
    plan: PlanArgument,
    members: Annotated[list[Path], typer.Argument(metavar="MEMBER...", help="The member files of all departments.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the genesis file.")],
) -> None:
    """Step 2, by anyone: assemble the genesis from all member files.

    All departments compare the chain id before they install it.
    """
    from datetime import UTC, datetime

    from node.network import assemble_files
    from node.network_plan import read_plan

    genesis = assemble_files(read_plan(plan), members, out, datetime.now(UTC))
    _show_genesis(session, genesis, out)


@command(app, "install")
def install_department(
    session: Session,
    plan: PlanArgument,
    department: DepartmentArgument,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The directory that `prepare` made.")],
    genesis: Annotated[Path, typer.Option("--genesis", "-g", metavar="FILE", help="The genesis that all agreed on.")],
) -> None:
    """Step 3, in each department: put genesis and configuration beside its keys, ready to start."""
    from node.genesis_file import read_genesis
    from node.network import install_apart
    from node.network_plan import read_plan

    agreed = read_genesis(genesis)
    node = install_apart(read_plan(plan), department, directory, agreed).parent
    if session.out.is_json:
        session.out.json({"department": department, "node": str(node), "chain_id": agreed.chain_id.hex()})
        return
    session.out.line(session.t("Ready. Start the node with:"), "bold green")
    session.out.line(f"  huzheng node start {node}")


@command(app, "certificate")
def issue_certificate(
    session: Session,
    authority: Annotated[
        Path, typer.Argument(metavar="AUTHORITY", help="The directory with the department's ca.crt and ca.key.")
    ],
    holder: Annotated[
        str, typer.Argument(metavar="HOLDER", help="department:role:name, such as tax:clerk:clerk-2 or tax:replica:2.")
    ],
    keys: Annotated[
        Path, typer.Argument(metavar="KEYS", help="The directory in which tls.crt and tls.key are replaced.")
    ],
    days: DaysOption = 365,
) -> None:
    """Renew a TLS certificate or issue a new one.

    A running node takes it up without a restart.
    """
    from node.cli.holder import parse_holder
    from node.network import renew_certificate

    caller = parse_holder(holder)
    ends = renew_certificate(authority, caller, keys, days=days)
    ends_ms = int(ends.timestamp() * 1000)
    if session.out.is_json:
        session.out.json({"holder": caller.uri, "keys": str(keys), "expires": json_time(ends_ms)})
        return
    session.out.line(
        session.t("Certificate of {holder} written to {keys}.", holder=caller.uri, keys=keys), "bold green"
    )
    session.out.pairs("", [(session.t("Expires"), local_time(ends_ms))])


def _show_network(session: Session, network: Network, plan: NetworkPlan) -> None:
    t, out = session.t, session.out
    if out.is_json:
        out.json(
            {
                "directory": str(network.directory),
                "chain_id": network.chain_id.hex(),
                "genesis": str(network.genesis),
                "nodes": {name: str(path) for name, path in network.nodes.items()},
                "clients": {name: str(path) for name, path in network.clients.items()},
                "tolerated_faults": network.tolerated_faults,
            }
        )
        return
    out.line(t("Network made in {directory}.", directory=network.directory), "bold green")
    out.pairs("", [(t("Chain id"), network.chain_id.hex()), (t("Genesis"), network.genesis)])
    rows = [
        (
            plan.replica_of(described.id),
            f"{described.name_zh if t.language == 'zh' else described.name_en} ({described.id})",
            str(described.address),
        )
        for described in plan.departments
    ]
    out.table("", [t("Node"), t("Department"), t("Address")], rows, numbers=[0])
    if network.tolerated_faults == 0:
        out.note(t("Fewer than four nodes tolerate no fault: one that fails stops the chain."), "yellow")
    first = plan.departments[0].id
    out.line(t("Start each node in a terminal of its own, then look at it:"))
    for described in plan.departments:
        out.line(f"  huzheng node start {network.nodes[described.id]}")
    out.line(f"  huzheng node status --profile {network.clients[first] / 'system'}")


def _show_genesis(session: Session, genesis: Genesis, path: Path) -> None:
    if session.out.is_json:
        session.out.json({"genesis": str(path), "chain_id": genesis.chain_id.hex(), "network": genesis.name})
        return
    session.out.line(session.t("Genesis written to {file}.", file=path), "bold green")
    session.out.pairs("", [(session.t("Chain id"), genesis.chain_id.hex())])
    session.out.line(session.t("Every department compares this chain id with the others' before it installs the file."))

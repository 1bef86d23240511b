"""`huzheng member`: who votes, and how the members change that themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.connection import with_believed_node
from node.cli.files import write_bytes
from node.cli.membership import change_to_dict, show_change, show_history
from node.cli.network import DaysOption, EncryptOption
from node.cli.passphrase import new_passphrase
from node.cli.session import Session, command, group
from node.cli.signing import load_admin, submit_operation

if TYPE_CHECKING:
    from ledger.genesis import Genesis
    from node.client import LedgerClient, MembershipHistory

app = group("The members: who votes, and the changes that a quorum of departments decides.")

DAY_MS = 24 * 3_600_000

ChangeArgument = Annotated[Path, typer.Argument(metavar="CHANGE", help="The file that `member propose` wrote.")]
GenesisOption = Annotated[
    Path, typer.Option("--genesis", "-g", metavar="FILE", help="The genesis of the chain that runs already.")
]


@command(app, "list", online=True)
def list_members(
    session: Session,
    epochs: Annotated[
        Path | None,
        typer.Option(
            "--epochs", metavar="FILE", help="Also write how the members changed, for `huzheng verify --epochs`."
        ),
    ] = None,
) -> None:
    """Show the replicas that vote now, and those of the next epoch if a change is under way.

    Proved from the genesis on; that nothing newer has been decided is the node's word.
    """
    history, genesis = with_believed_node(session, _history)
    if epochs is not None:
        from huzheng.v1 import statement_pb2

        from ledger.crypto import strict

        write_bytes(epochs, strict.write(statement_pb2.EpochBundle(epochs=history.proofs)))
    show_history(session, history, genesis)


@command(app, "prepare")
def prepare(
    session: Session,
    plan: Annotated[
        Path, typer.Argument(metavar="PLAN", help="The network's plan with the new department added at its end.")
    ],
    department: Annotated[str, typer.Argument(metavar="DEPARTMENT", help="The new department's id in the plan.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new directory for the department's keys.")],
    genesis: GenesisOption,
    encrypt_keys: EncryptOption = False,
    tls_days: DaysOption = 365,
) -> None:
    """In a department that is to join: make its keys, a node ready to start, and the public seat file to hand out."""
    from node.genesis_file import read_genesis
    from node.joining import prepare_to_join
    from node.network_plan import read_plan

    secret = new_passphrase(session) if encrypt_keys else None
    seat = prepare_to_join(
        read_plan(plan), department, directory, read_genesis(genesis), passphrase=secret, tls_days=tls_days
    )
    if session.out.is_json:
        session.out.json({"department": department, "seat_file": str(seat), "node": str(directory / "node")})
        return
    session.out.line(session.t("Keys made in {directory}.", directory=directory), "bold green")
    session.out.line(session.t("Hand out {file}: it holds no secret. Everything else stays here.", file=seat))


@command(app, "new-key")
def new_key(
    session: Session,
    node: Annotated[Path, typer.Argument(metavar="NODE", help="The node's directory or node.toml.")],
    key: Annotated[Path, typer.Argument(metavar="KEY", help="The new key file.")],
    seat: Annotated[Path, typer.Argument(metavar="SEAT", help="The public seat file to hand out.")],
    encrypt_keys: EncryptOption = False,
) -> None:
    """Make another consensus key for a node, and the public seat file with which the members can enter it."""
    from node.config import load_config
    from node.genesis_file import read_genesis
    from node.joining import make_new_key

    config = load_config(node)
    secret = new_passphrase(session) if encrypt_keys else None
    made = make_new_key(config, read_genesis(config.node.genesis), key, seat, passphrase=secret)
    if session.out.is_json:
        session.out.json({"key": str(key), "seat_file": str(seat), "public_key": made.consensus_key})
        return
    t = session.t
    session.out.line(t("Key made in {file}. Keep it secret.", file=key), "bold green")
    session.out.line(t("Hand out {file}: it holds no secret. Everything else stays here.", file=seat))
    session.out.line(t("Name the key as node.next_consensus_key in {file}, and restart the node.", file=config.file))


@command(app, "propose", online=True)
def propose(
    session: Session,
    out: Annotated[Path, typer.Argument(metavar="CHANGE", help="The new file to hand round for approval.")],
    departments: Annotated[
        list[Path] | None,
        typer.Option("--department", metavar="FILE", help="A seat file, of which only the department is to join."),
    ] = None,
    seats: Annotated[
        list[Path] | None,
        typer.Option("--seat", metavar="FILE", help="A seat file: a replica that joins, or gets another key."),
    ] = None,
    remove: Annotated[
        list[int] | None, typer.Option("--remove", metavar="REPLICA", help="A replica that is to vote no more.")
    ] = None,
    protocol: Annotated[
        int | None, typer.Option("--protocol", metavar="VERSION", help="Put this version of the rules in force.")
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=365, help="How long it may be carried out.")] = 14,
) -> None:
    """Write down a change of the membership. Nothing happens until enough departments have signed it."""
    from time import time

    from ledger.membership_change import build_change
    from node.change_file import read_changes, write_change
    from node.cli.membership import Wishes, actions_of

    history, genesis = with_believed_node(session, _history)
    wishes = Wishes(departments or (), seats or (), remove or (), protocol)
    actions = actions_of(genesis, wishes, history.joined)
    expires_ms = int(time() * 1000) + days * DAY_MS
    # The epoch that the change ends is the one that is newest once a change under way is in force.
    write_change(out, build_change(genesis, history.epochs[-1].epoch, expires_ms, actions))
    show_change(session, read_changes([out], genesis), genesis, history.epochs[-1])


@command(app, "show")
def show(session: Session, change: ChangeArgument, genesis: GenesisOption) -> None:
    """Show what a change does and who has signed it. Checks the signatures; needs no node."""
    from node.change_file import read_changes
    from node.genesis_file import read_genesis

    trusted = read_genesis(genesis)
    operation = read_changes([change], trusted)
    if session.out.is_json:
        session.out.json(change_to_dict(operation))
        return
    show_change(session, operation, trusted, None)


@command(app, "sign")
def sign(
    session: Session,
    change: ChangeArgument,
    profile: Annotated[
        Path | None, typer.Option("--profile", metavar="FILE", help="The profile that names the admin key.")
    ] = None,
) -> None:
    """Approve a change in the name of your department, with the profile's admin key. Look at it first: `member show`."""
    from node.change_file import add_approval
    from node.genesis_file import read_genesis

    session.profile_path = profile or session.profile_path
    chosen = session.profile()
    genesis = read_genesis(chosen.client.genesis)
    operation = add_approval(change, genesis, chosen.client.department, load_admin(chosen, genesis))
    if session.out.is_json:
        session.out.json(change_to_dict(operation))
        return
    session.out.line(session.t("Signed for {department}.", department=chosen.client.department), "bold green")
    show_change(session, operation, genesis, None)


@command(app, "submit", online=True)
def submit(
    session: Session,
    changes: Annotated[
        list[Path], typer.Argument(metavar="CHANGE...", help="The signed change, or its copies with other signatures.")
    ],
) -> None:
    """Have a change carried out that enough departments have signed."""
    from huzheng.v1 import transaction_pb2

    from node.change_file import read_changes
    from node.genesis_file import read_genesis

    genesis = read_genesis(session.profile().client.genesis)
    operation = read_changes(changes, genesis)
    submit_operation(
        session,
        transaction_pb2.Operation(change_membership=operation),
        session.t("Accepted. It is in force {n} blocks later.", n=genesis.parameters.watermark_window + 1),
    )


async def _history(client: LedgerClient) -> tuple[MembershipHistory, Genesis]:
    return await client.membership(), client.genesis

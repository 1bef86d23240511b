"""How memberships and their changes look to people and to programs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huzheng.v1 import membership_pb2 as pb

from ledger.crypto import strict
from ledger.genesis import Genesis, read_department
from ledger.membership_change import read_change, read_seat
from node.cli.output import json_time, local_time, printable
from node.cli.show import department_name

if TYPE_CHECKING:
    from ledger.epochs import EpochTerms
    from node.cli.session import Session
    from node.client import MembershipHistory


@dataclass(frozen=True, slots=True)
class Wishes:
    """What `member propose` was told to do."""

    departments: Sequence[Path] = ()
    seats: Sequence[Path] = ()
    remove: Sequence[int] = ()
    protocol: int | None = None


def actions_of(genesis: Genesis, wishes: Wishes, joined: Collection[str]) -> list[pb.MembershipAction]:
    """The actions that do it. `joined`: departments that the chain has and the genesis has not.

    Raises:
        HuzhengError: as `read_seat_file`; INVALID_REQUEST if it is nothing.
    """
    from ledger.errors import Code, HuzhengError
    from node.seat_file import read_seat_file

    actions: list[pb.MembershipAction] = []
    for path in wishes.departments:
        actions += read_seat_file(path, genesis, datetime.now(UTC)).department_actions(joined)
    for path in wishes.seats:
        actions += read_seat_file(path, genesis, datetime.now(UTC)).actions(joined)
    actions += [pb.MembershipAction(remove_replica=pb.RemoveReplica(replica=replica)) for replica in wishes.remove]
    if wishes.protocol is not None:
        actions.append(pb.MembershipAction(activate_protocol=pb.ActivateProtocol(version=wishes.protocol)))
    if not actions:
        raise HuzhengError(Code.INVALID_REQUEST, "nothing to do: --department, --seat, --remove or --protocol")
    return actions


def show_history(session: Session, history: MembershipHistory, genesis: Genesis) -> None:
    """The epoch in force and the one after it."""
    t, out = session.t, session.out
    current, newest = history.in_force, history.epochs[-1]
    if out.is_json:
        shown = {"height": history.height, "in_force": _terms_to_dict(current)}
        out.json(shown | {"next": _terms_to_dict(newest) if newest is not current else None})
        return
    genesis = _with_joined(genesis, history)
    _show_terms(session, current, genesis, t("Epoch {n}, in force", n=current.epoch))
    if newest is not current:
        title = t("Epoch {n}, from block {height} on", n=newest.epoch, height=newest.first_height)
        _show_terms(session, newest, genesis, title)
    out.note(t("Proved by {n} changes from the genesis on.", n=len(history.proofs)), "green")


def _with_joined(genesis: Genesis, history: MembershipHistory) -> Genesis:
    """The genesis as if the departments that joined had been there from the start: for their names."""
    joined = {name: read_department(message) for name, message in history.joined.items()}
    return replace(genesis, departments={**genesis.departments, **joined})


def show_change(session: Session, operation: pb.ChangeMembership, genesis: Genesis, newest: EpochTerms | None) -> None:
    """What a change does, and who has approved it; with `newest` how many approvals it needs."""
    t, out = session.t, session.out
    if out.is_json:
        out.json(change_to_dict(operation))
        return
    change = read_change(operation.change, genesis)
    approvers = ", ".join(department_name(genesis, a.department, session.language) for a in operation.approvals)
    pairs: list[tuple[str, object]] = [
        (t("Ends epoch"), change.epoch),
        (t("To be carried out until"), local_time(change.expires_ms)),
        (t("Signed by"), approvers or t("nobody yet")),
    ]
    if newest is not None:
        pairs.append((t("Signatures needed"), f"{newest.approvals_needed} / {len(newest.departments)}"))
    out.pairs("", pairs)
    for action in change.actions:
        out.line(f"  {_describe(session, action)}")


def change_to_dict(operation: pb.ChangeMembership) -> dict[str, Any]:
    """For programs."""
    change = strict.read(pb.MembershipChange, operation.change)
    return {
        "epoch": change.epoch,
        "expires": json_time(change.expires_ms),
        "actions": [dict(_action_to_pairs(action)) for action in change.actions],
        "approved_by": [approval.department for approval in operation.approvals],
    }


def _action_to_pairs(action: pb.MembershipAction) -> Iterator[tuple[str, Any]]:
    which = str(action.WhichOneof("action"))
    yield "action", which
    if which == "add_department":
        yield "department", action.add_department.id
        yield "name_zh", action.add_department.name_zh
        yield "name_en", action.add_department.name_en
    elif which in ("add_replica", "replace_key"):
        member = read_seat(action.add_replica if which == "add_replica" else action.replace_key)
        yield "replica", member.replica
        yield "department", member.department
        yield "public_key", member.public_key.hex()
    elif which == "remove_replica":
        yield "replica", action.remove_replica.replica
    else:
        yield "version", action.activate_protocol.version


def _describe(session: Session, action: pb.MembershipAction) -> str:
    t = session.t
    values = {name: printable(str(value)) for name, value in _action_to_pairs(action)}
    match values.pop("action"):
        case "add_department":
            name = values["name_zh" if session.language == "zh" else "name_en"]
            return t("{name} ({department}) joins the consortium", name=name, department=values["department"])
        case "add_replica":
            return t("replica {replica} of {department} joins, with the key {public_key}", **values)
        case "replace_key":
            return t("replica {replica} of {department} gets the key {public_key}", **values)
        case "remove_replica":
            return t("replica {replica} votes no more", **values)
        case _:
            return t("version {version} of the rules comes into force", **values)


def _terms_to_dict(terms: EpochTerms) -> dict[str, Any]:
    membership = terms.membership
    return {
        "epoch": terms.epoch,
        "first_height": terms.first_height,
        "protocol_version": terms.protocol_version,
        "quorum": membership.q,
        "tolerated_faults": membership.f,
        "approvals_needed": terms.approvals_needed,
        "replicas": [
            {"replica": member.replica, "department": member.department, "public_key": member.public_key.hex()}
            for member in membership.members
        ],
    }


def _show_terms(session: Session, terms: EpochTerms, genesis: Genesis, title: str) -> None:
    t, out, membership = session.t, session.out, terms.membership
    rows = [
        (member.replica, department_name(genesis, member.department, session.language), member.public_key.hex())
        for member in membership.members
    ]
    out.table(title, [t("Node"), t("Department"), t("Consensus key")], rows, numbers=[0])
    out.line(
        t(
            "{n} replicas, quorum {q}, {f} may be faulty; a change needs the signatures of {a} departments.",
            n=membership.n,
            q=membership.q,
            f=membership.f,
            a=terms.approvals_needed,
        )
    )

"""Proofs that a replica signed two different messages for one slot, kept beside the database for whoever has to judge it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
from google.protobuf.message import DecodeError
from huzheng.v1 import consensus_pb2

from consensus.events import Equivocation
from consensus.votes import Authenticator, Content, NewView, SealVote, ViewChange, Vote, claimed_epoch
from ledger.crypto import Epoch, Member, Membership, ReplicaId
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis

MAX_FILE_BYTES = 16 * 1024 * 1024
"""Some ten thousand proofs; a replica that goes on must not fill the disk."""

log = structlog.get_logger("evidence")


@dataclass(frozen=True, slots=True)
class KeptProof:
    """A proof as it was read back."""

    replica: ReplicaId
    kind: str
    """Such as PREPARE."""
    view: int | None
    """None for a seal, which is of no view."""
    sequence: int
    """0 for messages about views."""
    epoch: int
    department: str
    public_key: bytes
    """Of the replica in that epoch: by the genesis in epoch 0, later as this node noted it."""
    holds: bool
    """Whether both are signed by this replica, are of one kind, view and sequence, and say different things."""
    first: bytes
    second: bytes
    """Envelope"""


def evidence_path(database: Path) -> Path:
    """The file beside a node's database."""
    return database.with_name(database.name + ".evidence.jsonl")


def read_proofs(database: Path, genesis: Genesis) -> Iterator[KeptProof]:
    """All proofs that a node has kept, verified anew.

    Raises:
        HuzhengError: BAD_FILE for a line that is no proof. A last line cut short by a crash is passed over.
    """
    path = evidence_path(database)
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            return
        try:
            kept = json.loads(line)
            first, second = bytes.fromhex(kept["first"]), bytes.fromhex(kept["second"])
            # The key is not in lines from before there was more than one epoch.
            public_key = bytes.fromhex(kept.get("public_key", ""))
            member = Member(ReplicaId(kept["replica"]), kept.get("department", ""), public_key)
            yield _verify(genesis, member, first, second)
        except (ValueError, KeyError, TypeError, DecodeError):
            raise HuzhengError(Code.BAD_FILE, f"{path}, line {number}") from None


def _verify(genesis: Genesis, noted: Member, first: bytes, second: bytes) -> KeptProof:
    envelopes = [consensus_pb2.Envelope.FromString(raw) for raw in (first, second)]
    epoch = claimed_epoch(envelopes[0])
    membership = Membership(genesis.chain_id, Epoch(epoch), (noted,)) if epoch else genesis.membership
    member = membership.member(ReplicaId(envelopes[0].replica)) or noted
    authenticator = Authenticator(genesis.suite, membership)
    one, other = (authenticator.verified(envelope) for envelope in envelopes)
    kind = consensus_pb2.MessageKind.Name(envelopes[0].kind).removeprefix("MESSAGE_KIND_").replace("_", "-")
    holds = (
        one is not None
        and other is not None
        and envelopes[0].kind == envelopes[1].kind
        and one.replica == other.replica
        and _place(one) == _place(other)
        and envelopes[0].body != envelopes[1].body
    )
    view, sequence = (None, 0) if one is None else _place(one)
    return KeptProof(
        ReplicaId(envelopes[0].replica),
        kind,
        view,
        sequence,
        epoch,
        member.department,
        member.public_key,
        holds,
        first,
        second,
    )


def _place(content: Content) -> tuple[int | None, int]:
    match content:
        case Vote():
            return content.view, content.sequence
        case SealVote():
            return None, content.height
        case ViewChange() | NewView():
            return content.view, 0


class EvidenceFile:
    """One line of JSON for each proof, with both signed envelopes (huzheng.v1.Envelope) in hex. Only ever added to."""

    def __init__(self, database: Path) -> None:
        """`database`: the directory of the node's database, which holds nothing but itself."""
        self.path = evidence_path(database)

    def keep(self, proof: Equivocation, membership: Membership) -> None:
        """Adds a proof against a member; where that fails, or there is no more room, it is only logged."""
        member = membership.member(proof.replica)
        line = {
            "replica": proof.replica,
            "department": member.department if member is not None else "",
            "public_key": member.public_key.hex() if member is not None else "",
            "sequence": proof.sequence,
            "first": proof.first.SerializeToString().hex(),
            "second": proof.second.SerializeToString().hex(),
        }
        try:
            with self.path.open("a", encoding="utf-8") as file:
                kept = file.tell() < MAX_FILE_BYTES
                if kept:
                    file.write(json.dumps(line) + "\n")
        except OSError as error:
            kept = False
            log.warning("evidence not kept", exc_info=error)
        log.error("equivocation", replica=proof.replica, sequence=proof.sequence, kept=kept)

"""The vote log: what a replica must find again after a restart so that it contradicts nothing it ever said.

Keys are ordered by sequence, so that a stored block trims its prefix (docs/protocol.md C10).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from huzheng.v1 import consensus_pb2

from consensus.votes import Authenticator, SealVote, Vote
from ledger.crypto import strict
from ledger.crypto.types import Seq, View
from ledger.errors import Code, HuzhengError

_KIND_VIEW = b"v"
_KIND_ACCEPTED = b"a"
_KIND_PREPARED = b"p"
_KIND_SEAL = b"s"

LogEntry = tuple[bytes, bytes]
"""A key and a value (strict VoteLogEntry)."""


def _key(sequence: int, kind: bytes, view: int = 0) -> bytes:
    return sequence.to_bytes(8, "big") + kind + view.to_bytes(8, "big")


def view_entry(view: View) -> LogEntry:
    """The view this replica is in; kept under sequence 0, which is never trimmed."""
    return _key(0, _KIND_VIEW), strict.write(consensus_pb2.VoteLogEntry(view=view))


def accepted_entry(sequence: Seq, view: View, accepted: consensus_pb2.AcceptedProposal) -> LogEntry:
    """The proposal voted for, with the batch's bytes: durable before PRE-PREPARE or PREPARE leaves."""
    return _key(sequence, _KIND_ACCEPTED, view), strict.write(consensus_pb2.VoteLogEntry(accepted=accepted))


def prepared_entry(sequence: Seq, view: View, prepared: consensus_pb2.PreparedSlot) -> LogEntry:
    """The whole prepared certificate: durable before COMMIT leaves."""
    return _key(sequence, _KIND_PREPARED, view), strict.write(consensus_pb2.VoteLogEntry(prepared=prepared))


def seal_entry(height: int, seal: consensus_pb2.Envelope) -> LogEntry:
    """This replica's seal at a height: durable before it leaves."""
    return _key(height, _KIND_SEAL), strict.write(consensus_pb2.VoteLogEntry(seal=seal))


@dataclass(frozen=True, slots=True)
class Accepted:
    """A proposal this replica voted for: its batch, and its own PREPARE unless it was the primary."""

    pre_prepare: Vote
    batch: bytes
    prepare: Vote | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prepared certificate and this replica's COMMIT."""

    pre_prepare: Vote
    prepares: tuple[Vote, ...]
    commit: Vote


@dataclass(slots=True)
class RestoredVotes:
    """The vote log as read at start, verified anew, in ascending order of sequence and view."""

    view: View = field(default_factory=lambda: View(0))
    accepted: list[Accepted] = field(default_factory=list)
    prepared: list[Prepared] = field(default_factory=list)
    seals: list[SealVote] = field(default_factory=list)


def read_vote_log(entries: Iterable[LogEntry], authenticator: Authenticator) -> RestoredVotes:
    """Reads back what was logged. Raises HuzhengError(VOTE_LOG_CORRUPT) when an entry is damaged."""
    restored = RestoredVotes()
    for key, value in sorted(entries):
        try:
            _read_entry(strict.read(consensus_pb2.VoteLogEntry, value), authenticator, restored)
        except HuzhengError as error:
            sequence = int.from_bytes(key[:8], "big")
            raise HuzhengError(Code.VOTE_LOG_CORRUPT, f"entry for sequence {sequence}") from error
    return restored


def _read_entry(entry: consensus_pb2.VoteLogEntry, authenticator: Authenticator, restored: RestoredVotes) -> None:
    which = entry.WhichOneof("entry")
    if which == "view":
        restored.view = View(entry.view)
    elif which == "accepted":
        proposal = entry.accepted.proposal
        own = entry.accepted.prepare if entry.accepted.HasField("prepare") else None
        restored.accepted.append(
            Accepted(
                _vote(authenticator, proposal.pre_prepare),
                proposal.batch,
                None if own is None else _vote(authenticator, own),
            )
        )
    elif which == "prepared":
        certificate = entry.prepared.certificate
        restored.prepared.append(
            Prepared(
                _vote(authenticator, certificate.pre_prepare),
                tuple(_vote(authenticator, prepare) for prepare in certificate.prepares),
                _vote(authenticator, entry.prepared.commit),
            )
        )
    elif which == "seal":
        restored.seals.append(_seal(authenticator, entry.seal))
    else:
        raise HuzhengError(Code.NOT_STRICT, "VoteLogEntry")


def _vote(authenticator: Authenticator, envelope: consensus_pb2.Envelope) -> Vote:
    content = authenticator.require(envelope)
    if not isinstance(content, Vote):
        raise HuzhengError(Code.NOT_STRICT, "a seal in the place of a vote")
    return content


def _seal(authenticator: Authenticator, envelope: consensus_pb2.Envelope) -> SealVote:
    content = authenticator.require(envelope)
    if not isinstance(content, SealVote):
        raise HuzhengError(Code.NOT_STRICT, "a vote in the place of a seal")
    return content

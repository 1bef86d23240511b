"""The vote log: what a replica must find again after a restart so that it contradicts nothing it ever said.

Keys are ordered by sequence, so that a stored block trims its prefix (docs/protocol.md C10).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from zlib import crc32

from huzheng.v1 import consensus_pb2

from consensus.votes import (
    COMMIT,
    PRE_PREPARE,
    PREPARE,
    Authenticator,
    SealVote,
    Vote,
    is_prepared_certificate,
    is_same_choice,
)
from ledger.crypto import strict
from ledger.crypto.types import ReplicaId, Seq, View
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
    checksum = crc32(view.to_bytes(8, "big"))
    return _key(0, _KIND_VIEW), strict.write(consensus_pb2.VoteLogEntry(view=view, view_checksum=checksum))


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


def read_vote_log(entries: Iterable[LogEntry], authenticator: Authenticator, own: ReplicaId) -> RestoredVotes:
    """Reads back what was logged. Raises HuzhengError(VOTE_LOG_CORRUPT) unless each entry is one that `own` can have made."""
    reader = _Reader(authenticator, own)
    for key, value in sorted(entries):
        try:
            if reader.read(strict.read(consensus_pb2.VoteLogEntry, value)) != (key, value):
                raise HuzhengError(Code.NOT_STRICT, "VoteLogEntry")
        except HuzhengError as error:
            sequence = int.from_bytes(key[:8], "big")
            raise HuzhengError(Code.VOTE_LOG_CORRUPT, f"entry for sequence {sequence}") from error
    return reader.restored


class _Reader:
    """Verifies entries anew; each method gives the entry as this replica would log it, for comparison."""

    def __init__(self, authenticator: Authenticator, own: ReplicaId) -> None:
        self._authenticator = authenticator
        self._own = own
        self.restored = RestoredVotes()

    def read(self, entry: consensus_pb2.VoteLogEntry) -> LogEntry:
        which = entry.WhichOneof("entry")
        if which == "view":
            self.restored.view = View(entry.view)
            return view_entry(self.restored.view)
        if which == "accepted":
            return self._accepted(entry.accepted)
        if which == "prepared":
            return self._prepared(entry.prepared)
        if which == "seal":
            return self._seal(entry.seal)
        raise HuzhengError(Code.NOT_STRICT, "VoteLogEntry")

    def _accepted(self, logged: consensus_pb2.AcceptedProposal) -> LogEntry:
        pre_prepare = self._vote(logged.proposal.pre_prepare, PRE_PREPARE)
        prepare = self._vote(logged.prepare, PREPARE) if logged.HasField("prepare") else None
        own = prepare or pre_prepare
        self._demand(own.replica == self._own and is_same_choice(own, pre_prepare))
        self._demand(self._authenticator.batch_digest(logged.proposal.batch) == pre_prepare.batch_digest)
        self.restored.accepted.append(Accepted(pre_prepare, logged.proposal.batch, prepare))
        return accepted_entry(pre_prepare.sequence, pre_prepare.view, logged)

    def _prepared(self, logged: consensus_pb2.PreparedSlot) -> LogEntry:
        pre_prepare = self._vote(logged.certificate.pre_prepare, PRE_PREPARE)
        prepares = tuple(self._vote(prepare, PREPARE) for prepare in logged.certificate.prepares)
        commit = self._vote(logged.commit, COMMIT)
        self._demand(commit.replica == self._own and is_same_choice(commit, pre_prepare))
        self._demand(is_prepared_certificate(pre_prepare, prepares, self._authenticator.membership.q))
        # Its key is greater than that of the accepted proposal, which was thus read before.
        self._demand(any(is_same_choice(accepted.pre_prepare, commit) for accepted in reversed(self.restored.accepted)))
        self.restored.prepared.append(Prepared(pre_prepare, prepares, commit))
        return prepared_entry(commit.sequence, commit.view, logged)

    def _seal(self, logged: consensus_pb2.Envelope) -> LogEntry:
        seal = self._authenticator.require(logged)
        if not isinstance(seal, SealVote) or seal.replica != self._own:
            raise HuzhengError(Code.BAD_SIGNATURE, "another's seal, or none")
        self.restored.seals.append(seal)
        return seal_entry(seal.height, seal.envelope)

    def _vote(self, envelope: consensus_pb2.Envelope, kind: int) -> Vote:
        vote = self._authenticator.require(envelope)
        if not isinstance(vote, Vote) or vote.kind != kind:
            raise HuzhengError(Code.BAD_SIGNATURE, "a message of another kind")
        return vote

    @staticmethod
    def _demand(holds: bool) -> None:
        if not holds:
            raise HuzhengError(Code.BAD_SIGNATURE, "not what this replica logs")

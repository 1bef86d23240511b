"""The vote log: what a replica must find again after a restart so that it contradicts nothing it ever said.

Keys are ordered by sequence, so that a stored block trims its prefix; what concerns views lies under sequence 0 and is never
trimmed, only overwritten (docs/protocol.md C10).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from zlib import crc32

from huzheng.v1 import consensus_pb2

from consensus.votes import (
    COMMIT,
    PRE_PREPARE,
    PREPARE,
    Authenticator,
    NewView,
    PreparedSlot,
    SealVote,
    ViewChange,
    Vote,
    is_same_choice,
)
from ledger.crypto import strict
from ledger.crypto.types import Epoch, Height, ReplicaId, Seq, View
from ledger.errors import Code, HuzhengError

_KIND_VIEW = b"v"
_KIND_VIEW_CHANGE = b"c"
_KIND_NEW_VIEW = b"n"
_KIND_ENDED = b"x"
_KIND_ACCEPTED = b"a"
_KIND_PREPARED = b"p"
_KIND_SEAL = b"s"

LogEntry = tuple[bytes, bytes]
"""A key and a value (strict VoteLogEntry)."""


def _key(sequence: int, kind: bytes, view: int = 0) -> bytes:
    return sequence.to_bytes(8, "big") + kind + view.to_bytes(8, "big")


def view_entry(epoch: Epoch, view: View) -> LogEntry:
    """The view this replica is in: durable before anything is signed in it."""
    checksum = crc32(epoch.to_bytes(8, "big") + view.to_bytes(8, "big"))
    logged = consensus_pb2.LoggedView(epoch=epoch, view=view, checksum=checksum)
    return _key(0, _KIND_VIEW), strict.write(consensus_pb2.VoteLogEntry(view=logged))


def view_change_entry(envelope: consensus_pb2.Envelope) -> LogEntry:
    """This replica's VIEW-CHANGE: durable, with the view, before it leaves."""
    return _key(0, _KIND_VIEW_CHANGE), strict.write(consensus_pb2.VoteLogEntry(view_change=envelope))


def new_view_entry(envelope: consensus_pb2.Envelope) -> LogEntry:
    """The NEW-VIEW by which this replica entered its view: durable before it votes there."""
    return _key(0, _KIND_NEW_VIEW), strict.write(consensus_pb2.VoteLogEntry(new_view=envelope))


def ended_entry(public_key: bytes) -> LogEntry:
    """This key has signed what the log does not know: it must not sign again."""
    return _key(0, _KIND_ENDED), strict.write(consensus_pb2.VoteLogEntry(ended_key=public_key))


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

    slot: PreparedSlot
    commit: Vote


@dataclass(slots=True)
class RestoredVotes:
    """The vote log as read at start, verified anew, in ascending order of sequence and view."""

    view: View = field(default_factory=lambda: View(0))
    view_change: ViewChange | None = None
    """Its own, for that view."""
    new_view: NewView | None = None
    """The one by which it entered that view."""
    ended: bool = False
    """Its key must not sign any more."""
    accepted: list[Accepted] = field(default_factory=list)
    prepared: list[Prepared] = field(default_factory=list)
    seals: list[SealVote] = field(default_factory=list)


def still_binding(entries: Iterable[LogEntry], stored: Height) -> list[LogEntry]:
    """Without what is at or below the stored block: votes that were being written while it trimmed the log, of its epoch or the one before."""
    return [(key, value) for key, value in entries if not 0 < int.from_bytes(key[:8], "big") <= stored]


def read_vote_log(entries: Iterable[LogEntry], authenticator: Authenticator, own: ReplicaId) -> RestoredVotes:
    """Reads back what was logged. Raises HuzhengError(VOTE_LOG_CORRUPT) unless each entry is one that `own` can have made.

    Views of earlier epochs are passed over: an epoch starts in view 0.
    """
    reader = _Reader(authenticator, own)
    for key, value in sorted(entries):
        try:
            if reader.read(strict.read(consensus_pb2.VoteLogEntry, value)) != (key, value):
                raise HuzhengError(Code.NOT_STRICT, "VoteLogEntry")
        except HuzhengError as error:
            sequence = int.from_bytes(key[:8], "big")
            raise HuzhengError(Code.VOTE_LOG_CORRUPT, f"entry for sequence {sequence}") from error
    return reader.finish()


class _Reader:
    """Verifies entries anew; each method gives the entry as this replica would log it, for comparison."""

    def __init__(self, authenticator: Authenticator, own: ReplicaId) -> None:
        self._authenticator = authenticator
        self._own = own
        self._restored = RestoredVotes()
        self._kinds: dict[str, Callable[[consensus_pb2.VoteLogEntry], LogEntry]] = {
            "view": lambda entry: self._view(entry.view),
            "view_change": lambda entry: self._view_change(entry.view_change),
            "new_view": lambda entry: self._new_view(entry.new_view),
            "ended_key": lambda entry: self._ended(entry.ended_key),
            "accepted": lambda entry: self._accepted(entry.accepted),
            "prepared": lambda entry: self._prepared(entry.prepared),
            "seal": lambda entry: self._seal(entry.seal),
        }

    def read(self, entry: consensus_pb2.VoteLogEntry) -> LogEntry:
        which = entry.WhichOneof("entry")
        if which is None:
            raise HuzhengError(Code.NOT_STRICT, "VoteLogEntry")
        return self._kinds[which](entry)

    def finish(self) -> RestoredVotes:
        """Messages about views that were left since are history."""
        restored = self._restored
        for entry in (restored.view_change, restored.new_view):
            if entry is not None and entry.view > restored.view:
                raise HuzhengError(Code.VOTE_LOG_CORRUPT, "a view beyond the last one")
        if restored.view_change is not None and restored.view_change.view < restored.view:
            restored.view_change = None
        if restored.new_view is not None and restored.new_view.view < restored.view:
            restored.new_view = None
        return restored

    def _view(self, logged: consensus_pb2.LoggedView) -> LogEntry:
        if not self._is_past(logged.epoch):
            self._restored.view = View(logged.view)
        return view_entry(Epoch(logged.epoch), View(logged.view))

    def _view_change(self, logged: consensus_pb2.Envelope) -> LogEntry:
        if not self._is_past(strict.read(consensus_pb2.ViewChange, logged.body).epoch):
            content = self._authenticator.verified(logged)
            self._demand(isinstance(content, ViewChange) and content.replica == self._own)
            self._restored.view_change = content if isinstance(content, ViewChange) else None
        return view_change_entry(logged)

    def _new_view(self, logged: consensus_pb2.Envelope) -> LogEntry:
        if not self._is_past(strict.read(consensus_pb2.NewView, logged.body).epoch):
            content = self._authenticator.verified(logged)
            self._demand(isinstance(content, NewView))
            self._restored.new_view = content if isinstance(content, NewView) else None
        return new_view_entry(logged)

    def _ended(self, public_key: bytes) -> LogEntry:
        member = self._authenticator.membership.member(self._own)
        self._restored.ended = member is not None and member.public_key == public_key
        return ended_entry(public_key)

    def _accepted(self, logged: consensus_pb2.AcceptedProposal) -> LogEntry:
        pre_prepare = self._vote(logged.proposal.pre_prepare, PRE_PREPARE)
        prepare = self._vote(logged.prepare, PREPARE) if logged.HasField("prepare") else None
        own = prepare or pre_prepare
        self._demand(own.replica == self._own and is_same_choice(own, pre_prepare))
        self._demand(self._authenticator.batch_digest(logged.proposal.batch) == pre_prepare.batch_digest)
        self._restored.accepted.append(Accepted(pre_prepare, logged.proposal.batch, prepare))
        return accepted_entry(pre_prepare.sequence, pre_prepare.view, logged)

    def _prepared(self, logged: consensus_pb2.PreparedSlot) -> LogEntry:
        commit = self._vote(logged.commit, COMMIT)
        slot = self._authenticator.prepared_choice(logged.certificate)
        if slot is None or commit.replica != self._own or not is_same_choice(commit, slot.pre_prepare):
            raise HuzhengError(Code.BAD_SIGNATURE, "not what this replica logs")
        # Its key is greater than that of the accepted proposal, which was thus read before.
        accepted = reversed(self._restored.accepted)
        self._demand(any(is_same_choice(entry.pre_prepare, commit) for entry in accepted))
        self._restored.prepared.append(Prepared(slot, commit))
        return prepared_entry(commit.sequence, commit.view, logged)

    def _seal(self, logged: consensus_pb2.Envelope) -> LogEntry:
        seal = self._authenticator.verified(logged)
        if not isinstance(seal, SealVote) or seal.replica != self._own:
            raise HuzhengError(Code.BAD_SIGNATURE, "another's seal, or none")
        self._restored.seals.append(seal)
        return seal_entry(seal.height, seal.envelope)

    def _vote(self, envelope: consensus_pb2.Envelope, kind: int) -> Vote:
        vote = self._authenticator.verified_vote(envelope, kind)
        if vote is None:
            raise HuzhengError(Code.BAD_SIGNATURE, "a message of another kind, or none")
        return vote

    def _is_past(self, epoch: int) -> bool:
        self._demand(epoch <= self._authenticator.membership.epoch)
        return epoch < self._authenticator.membership.epoch

    @staticmethod
    def _demand(holds: bool) -> None:
        if not holds:
            raise HuzhengError(Code.BAD_SIGNATURE, "not what this replica logs")

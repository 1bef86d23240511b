"""What must have been said before a correct replica may say something: judged from the wire and from what is logged.

What somebody sent counts as said, and what came to a replica in any of its lives as known to it: never stricter than the rules.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress

from google.protobuf.message import DecodeError
from huzheng.v1 import block_pb2, consensus_pb2

from consensus.events import CheckBatch, Decided
from consensus.vote_log import LogEntry
from consensus.votes import COMMIT, NEW_VIEW, PRE_PREPARE, PREPARE, SEAL, VIEW_CHANGE, PeerPayload
from ledger.crypto import Domain, Membership, ReplicaId, Suite
from tests.sim.judge import Ballot, Judge, Start, ballot_of

_VOTES = (PRE_PREPARE, PREPARE, COMMIT)


class Witness:
    """Follows all that is said in one cluster, in one epoch."""

    def __init__(
        self, suite: Suite, membership: Membership, window: int, is_liar: Callable[[ReplicaId], bool], base: int = 0
    ) -> None:
        """`base`: the block that the epoch of this membership starts from."""
        self.judge = Judge(suite, membership, window, base)
        self.membership = membership
        self.is_liar = is_liar
        self.known: set[tuple[int, int, bytes]] = set()
        """Replica, kind and body of what was said before."""
        self.proposed: defaultdict[Ballot, set[int]] = defaultdict(set)
        """Who signed a PRE-PREPARE."""
        self.heard: defaultdict[tuple[int, int, Ballot], set[int]] = defaultdict(set)
        """Of each replica, whose PREPARE or COMMIT came to it."""
        self.starts: defaultdict[int, list[Start]] = defaultdict(list)
        """What the sound NEW-VIEWs of a view start from; a liar can make several."""
        self.conflicts = 0
        """How many of these were a choice between two batches for one sequence."""
        self.asked: dict[int, int] = {}
        """The highest view that a replica sent a VIEW-CHANGE for."""
        self.suspicions: defaultdict[int, set[int]] = defaultdict(set)
        """Who said of a view that its primary does not do its work."""
        self.prepared: defaultdict[int, dict[int, int]] = defaultdict(dict)
        """Of each replica and sequence the highest view that it sent COMMIT in."""
        self.last: int | None = None
        """The epoch's last block, once a correct replica has stored the one that ends it."""
        self.decided: set[tuple[int, int]] = set()
        self.stored: defaultdict[int, int] = defaultdict(lambda: base)
        self.entered: dict[int, Start] = {}
        """What the view of a replica started from, while it is in one that a NEW-VIEW began."""
        self.greeters: defaultdict[int, set[int]] = defaultdict(set)
        """Who greeted a replica since it started."""

    @property
    def proposed_again(self) -> int:
        """How many views began with something that was prepared before."""
        return sum(any(start.digests for start in starts) for starts in self.starts.values())

    # --- what is seen ---

    def on_started(self, replica: ReplicaId) -> None:
        """It must be greeted before it takes part (C18)."""
        self.greeters[replica] = set()

    def on_delivered(self, sender: ReplicaId, target: ReplicaId, payload: object) -> None:
        """Something reached a replica that was up."""
        if isinstance(payload, consensus_pb2.Greeting):
            self.greeters[target].add(sender)
        elif isinstance(payload, consensus_pb2.Envelope) and (sender, payload.kind, payload.body) in self.known:
            self._note_heard(target, payload)

    def on_sent(self, sender: ReplicaId, payload: PeerPayload) -> None:
        """Somebody says something; what is passed on was said before."""
        if isinstance(payload, consensus_pb2.ReplicaStatus):
            if payload.suspects_primary:
                self.suspicions[payload.view].add(sender)
            return
        envelope = payload.pre_prepare if isinstance(payload, consensus_pb2.Proposal) else payload
        if not isinstance(envelope, consensus_pb2.Envelope) or envelope.replica != sender:
            return
        if not self.is_liar(sender):
            greeters = len(self.greeters[sender] - {sender})
            assert greeters >= self.membership.q - 1, f"replica {sender} takes part after {greeters} greetings"
        key = (envelope.replica, envelope.kind, envelope.body)
        if key in self.known:
            return
        self.known.add(key)
        if not self.is_liar(sender):
            self._check(sender, envelope)
        try:
            self._note(sender, envelope)
        except DecodeError:
            assert self.is_liar(sender)

    def on_logged(self, replica: ReplicaId, entries: Iterable[LogEntry]) -> None:
        """A correct replica enters a view only by a NEW-VIEW that holds (C17)."""
        for _, value in entries:
            entry = consensus_pb2.VoteLogEntry.FromString(value)
            which = entry.WhichOneof("entry")
            if which == "view":
                self.entered.pop(replica, None)
            elif which == "new_view":
                fault = self.judge.fault_in_new_view(entry.new_view)
                assert not fault, f"replica {replica} enters a view by an unsound NEW-VIEW: {fault}"
                self.entered[replica] = self._note_new_view(entry.new_view)

    def on_decided(self, replica: ReplicaId, decided: Decided) -> None:
        """C7: a quorum's COMMITs in one view."""
        digest = self.judge.suite.digest(Domain.BATCH, decided.batch)
        ballots = [Ballot(view, decided.height, digest) for view in (0, *self.starts)]
        most = max(len(self.heard[replica, COMMIT, ballot] | {replica}) for ballot in ballots)
        assert most >= self.membership.q, f"replica {replica} decided {decided.height} with {most} COMMITs"
        self.decided.add((replica, decided.height))

    def on_check(self, replica: ReplicaId, check: CheckBatch) -> None:
        """C17: a batch that is proposed again is not judged again."""
        start = self.entered.get(replica)
        if start is not None:
            assert check.sequence not in start.digests, f"replica {replica} judges again what was prepared"

    def on_stored(self, replica: ReplicaId, height: int) -> None:
        """A block is durable."""
        self.stored[replica] = max(self.stored[replica], height)

    # --- what it takes to say it ---

    def _check(self, replica: int, envelope: consensus_pb2.Envelope) -> None:
        if envelope.kind in _VOTES:
            self._check_vote(replica, envelope.kind, ballot_of(envelope))
        elif envelope.kind == SEAL:
            height = block_pb2.Seal.FromString(envelope.body).height
            assert (replica, height) in self.decided, f"replica {replica} sealed {height}, which it did not execute"
        elif envelope.kind == VIEW_CHANGE:
            body = consensus_pb2.ViewChange.FromString(envelope.body)
            fault = self.judge.fault_in_view_change(envelope) or self._fault_in_memory(replica, body)
            assert not fault, f"replica {replica} sent an unsound VIEW-CHANGE: {fault}"
            assert self._may_ask(replica, body.view), f"replica {replica} asks for view {body.view} for no reason"
        elif envelope.kind == NEW_VIEW:
            fault = self.judge.fault_in_new_view(envelope)
            assert not fault, f"replica {replica} sent an unsound NEW-VIEW: {fault}"

    def _check_vote(self, replica: int, kind: int, ballot: Ballot) -> None:
        """C3 to C6, M8, and C17 in views that a NEW-VIEW began."""
        primary = self.membership.primary(ballot.view)  # type: ignore[arg-type]
        name = f"replica {replica}'s vote of kind {kind} for {ballot.sequence} in view {ballot.view}"
        assert ballot.sequence <= self.stored[replica] + self.judge.window, f"{name}: beyond the window"
        assert self.last is None or ballot.sequence <= self.last, f"{name}: beyond the epoch's last block"
        follows = ballot.view == 0 or any(
            start.allows(ballot.sequence, ballot.digest) for start in self.starts[ballot.view]
        )
        assert follows, f"{name}: not what the view started with"
        assert kind == COMMIT or (kind == PRE_PREPARE) == (replica == primary), f"{name}: not its part"
        if kind == PRE_PREPARE:
            return
        assert primary in self.proposed[ballot] | {replica}, f"{name}: the primary did not propose it"
        if kind == COMMIT:
            backups = len((self.heard[replica, PREPARE, ballot] | {replica}) - {primary})
            assert backups >= self.membership.q - 1, f"{name}: {backups} backups prepared it"

    def _fault_in_memory(self, replica: int, body: consensus_pb2.ViewChange) -> str:
        """C15: it holds all that its sender ever prepared."""
        if body.checkpoint.height > self.stored[replica]:
            return f"block {body.checkpoint.height} is not stored there"
        shown = {ballot.sequence: ballot.view for ballot in map(_ballot_of_certificate, body.prepared)}
        for sequence, view in self.prepared[replica].items():
            if sequence > body.checkpoint.height and shown.get(sequence, -1) < view:
                return f"{sequence} was prepared in view {view}, and only {shown.get(sequence)} is shown"
        return ""

    def _may_ask(self, replica: int, view: int) -> bool:
        """C14, C16: enough others suspect the view before, or want this one or a higher, or a quorum waited for the view before."""
        gone = {other for other, asked in self.asked.items() if asked >= view} - {replica}
        suspecting = (self.suspicions[view - 1] | gone) - {replica}
        waiting = {other for other, asked in self.asked.items() if asked >= view - 1} | {replica}
        f, q = self.membership.f, self.membership.q
        return len(gone) > f or len(suspecting) >= f or len(waiting) >= q

    # --- what is remembered ---

    def _note(self, replica: int, envelope: consensus_pb2.Envelope) -> None:
        if envelope.kind in _VOTES:
            ballot = ballot_of(envelope)
            if envelope.kind == PRE_PREPARE:
                self.proposed[ballot].add(replica)
            elif envelope.kind == COMMIT:
                prepared = self.prepared[replica]
                prepared[ballot.sequence] = max(ballot.view, prepared.get(ballot.sequence, 0))
        elif envelope.kind == VIEW_CHANGE:
            view = consensus_pb2.ViewChange.FromString(envelope.body).view
            self.asked[replica] = max(view, self.asked.get(replica, 0))
        elif envelope.kind == NEW_VIEW and not self.judge.fault_in_new_view(envelope):
            self._note_new_view(envelope)

    def _note_heard(self, target: int, envelope: consensus_pb2.Envelope) -> None:
        if envelope.kind in (PREPARE, COMMIT):
            with suppress(DecodeError):
                self.heard[target, envelope.kind, ballot_of(envelope)].add(envelope.replica)

    def _note_new_view(self, envelope: consensus_pb2.Envelope) -> Start:
        body = consensus_pb2.NewView.FromString(envelope.body)
        start = self.judge.start_of(body.view, body.view_changes)
        if start not in self.starts[body.view]:
            self.starts[body.view].append(start)
            self.conflicts += self.judge.is_choice(body.view_changes)
        for vote in body.pre_prepares:
            self.proposed[ballot_of(vote)].add(envelope.replica)
        return start


def _ballot_of_certificate(certificate: consensus_pb2.PreparedCertificate) -> Ballot:
    return ballot_of(certificate.pre_prepare)

"""The PBFT replica: `step(event, now)` in, `ready()` out (Castro & Liskov, TOCS 2002, with signatures; docs/protocol.md section 6).

Every height is a checkpoint: its digest is the block hash, its messages are the seals, and a quorum of equal seals is both the block's
certificate and the stable checkpoint that trims the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from huzheng.v1 import consensus_pb2

from consensus.admission import Admission
from consensus.batching import BatchingPolicy
from consensus.catch_up import CatchUp
from consensus.events import (
    BatchChecked,
    BatchVerdict,
    BlockExecuted,
    BlockStored,
    Certified,
    CheckBatch,
    Decided,
    Diverged,
    EnvelopeReceived,
    Equivocation,
    Event,
    FetchEnded,
    PeerConnected,
    ProposalReceived,
    ProposeBatch,
    Ready,
    Send,
    StatusReceived,
    TimePassed,
    Trace,
)
from consensus.restoring import restore_window
from consensus.retransmission import describe, missing_at_peer
from consensus.safety import SafetyRules
from consensus.slot import Proposal, Slot
from consensus.vote_log import LogEntry, read_vote_log
from consensus.votes import COMMIT, PREPARE, Authenticator, Claim, EnvelopeSigner, PeerPayload, SealVote, Vote
from consensus.window import Window
from ledger.crypto.membership import Membership, build_certificate
from ledger.crypto.suite import Signer, Suite
from ledger.crypto.types import Height, ReplicaId, Seq, View

STATUS_BUSY_MS = 250
"""How often a replica with an open slot, or behind its peers, says where it stands."""
STATUS_IDLE_MS = 2_000
ANSWER_INTERVAL_MS = 100
"""A peer's status is answered this often; correct replicas don't send more, and an answer may be large."""


class InvariantViolation(Exception):
    """The replica's own state contradicts itself: a bug, after which it must not go on."""


@dataclass(frozen=True, slots=True)
class ReplicaConfig:
    """Who this replica is, and the parameters it shares with all others (genesis)."""

    suite: Suite
    membership: Membership
    replica: ReplicaId
    signer: Signer
    watermark_window: int
    max_batch_bytes: int
    batching: BatchingPolicy


class Replica:
    """One replica's consensus state. Deterministic: depends on the events and times it is given alone."""

    def __init__(self, config: ReplicaConfig, stored: Height, votes: Iterable[LogEntry], now_ms: int) -> None:
        """Starts after the last stored block, with the vote log as found on disk.

        Raises HuzhengError(VOTE_LOG_CORRUPT) when the log is damaged.
        """
        membership = config.membership
        self._config = config
        self._authenticator = Authenticator(config.suite, membership)
        restored = read_vote_log(votes, self._authenticator, config.replica)
        signer = EnvelopeSigner(config.signer, config.replica, membership.chain_id, membership.epoch)
        self._safety = SafetyRules(signer, membership.q, stored, restored)
        self._window = Window(stored, config.watermark_window)
        self._admission = Admission(config.replica, membership, self._window)
        self._certified = stored
        self._executed = stored
        self._decided = stored
        self._last_proposal_ms = now_ms
        self._next_status_ms = now_ms
        self._catch_up = CatchUp(stored, now_ms)
        self._answered_ms: dict[ReplicaId, int] = {}
        self._halted = False
        self._ready = Ready()
        self._now_ms = now_ms
        self._handlers: dict[type, Callable[[Any], None]] = {
            EnvelopeReceived: self._on_envelope,
            ProposalReceived: self._on_proposal,
            StatusReceived: self._on_status,
            BatchChecked: self._on_batch_checked,
            ProposeBatch: self._on_propose,
            BlockExecuted: self._on_executed,
            BlockStored: self._on_stored,
            FetchEnded: self._on_fetch_ended,
            PeerConnected: self._on_peer_connected,
            TimePassed: self._on_time_passed,
        }
        restore_window(self._window, restored, config.replica, now_ms)
        self._next_sequence = self._first_unproposed()
        for slot in self._window:
            self._advance(slot)

    # --- what the node asks ---

    @property
    def view(self) -> View:
        """The current view."""
        return self._safety.view

    @property
    def primary(self) -> ReplicaId:
        """The current view's primary (I3)."""
        return self._config.membership.primary(self.view)

    @property
    def is_primary(self) -> bool:
        """Whether this replica is the primary."""
        return self.primary == self._config.replica

    @property
    def halted(self) -> bool:
        """Whether this replica found itself diverged and votes no more."""
        return self._halted

    @property
    def stored(self) -> Height:
        """The last height known to be durable with its certificate."""
        return self._window.stored

    @property
    def network_height(self) -> Height:
        """The highest height that more peers than can be faulty say they have stored."""
        return max(self.stored, self._catch_up.vouched_height(self._config.membership.f))

    def peer_height(self, replica: ReplicaId) -> Height:
        """The height a peer last said it has stored; 0 if it has not said."""
        return self._catch_up.peer_height(replica)

    def wants_batch(self, pending_transactions: int, pending_bytes: int, now_ms: int) -> bool:
        """Whether the node should make a batch now and step `ProposeBatch` (C3)."""
        if not self.is_primary or self._halted or self._next_sequence > self._window.high:
            return False
        idle_ms = now_ms - self._last_proposal_ms
        return self._config.batching.wants_batch(self._in_flight, pending_transactions, pending_bytes, idle_ms)

    def next_deadline(self) -> int:
        """When `TimePassed` is due, in the milliseconds of `now`."""
        if self._halted:
            return self._now_ms + STATUS_IDLE_MS
        if self.is_primary and self._in_flight == 0 and self._next_sequence <= self._window.high:
            return min(self._next_status_ms, self._last_proposal_ms + self._config.batching.heartbeat_ms)
        return self._next_status_ms

    def ready(self) -> Ready:
        """Takes everything that is to be done since the last call."""
        ready, self._ready = self._ready, Ready()
        ready.votes = self._safety.take_unsaved()
        return ready

    def step(self, event: Event, now_ms: int) -> None:
        """Takes one event in. `now_ms` never runs backwards."""
        self._now_ms = max(self._now_ms, now_ms)
        if self._halted:
            return
        self._handlers[type(event)](event)
        self.check_invariants()

    def check_invariants(self) -> None:
        """Raises InvariantViolation when the replica contradicts itself. O(1)."""
        if not self.stored <= self._certified <= self._executed <= self._decided <= self._window.high:
            raise InvariantViolation(
                f"stored {self.stored}, certified {self._certified}, executed {self._executed}, decided {self._decided}"
            )
        if len(self._window) > self._window.size:
            raise InvariantViolation(f"{len(self._window)} slots in a window of {self._window.size}")
        if self._next_sequence <= self.stored:
            raise InvariantViolation(f"next sequence {self._next_sequence} at or below stored {self.stored}")

    # --- proposals ---

    def _on_propose(self, event: ProposeBatch) -> None:
        """The primary's own batch (C3): only as primary, within the watermarks."""
        if not self.is_primary or self._next_sequence > self._window.high:
            self._trace("proposal dropped", reason="not primary or window full")
            return
        sequence = self._next_sequence
        self._next_sequence = Seq(sequence + 1)
        self._last_proposal_ms = self._now_ms
        slot = self._open(sequence)
        digest = self._authenticator.batch_digest(event.batch)
        slot.pre_prepare = self._safety.propose(self.view, sequence, digest, event.batch)
        slot.batch = event.batch
        slot.proposal = Proposal.ACCEPTED
        self._send_all(consensus_pb2.Proposal(pre_prepare=slot.pre_prepare.envelope, batch=event.batch))
        self._advance(slot)

    def _on_proposal(self, event: ProposalReceived) -> None:
        """A pre-prepare with its batch (C4): of this view, by its primary, in the window, the first for its slot, digest and signature right."""
        if event.sender in self._ready.faulty:
            return
        claim = self._authenticator.read(event.pre_prepare)
        if claim is None or not isinstance(claim.content, Vote):
            self._ignore(event.sender, "malformed proposal")
            return
        vote = claim.content
        reason = self._admission.reason_to_ignore_proposal(vote, self.view)
        if reason is not None:
            self._ignore(event.sender, reason)
            return
        fault = self._fault_in_proposal(claim, vote, event.batch)
        if fault is not None:
            self._blame(event.sender, fault)
            return
        slot = self._open(vote.sequence)
        if slot.pre_prepare is not None:
            self._keep_evidence(slot, slot.pre_prepare, vote)
            return
        slot.pre_prepare = vote
        slot.batch = event.batch
        self._check(slot)

    def _fault_in_proposal(self, claim: Claim, vote: Vote, batch: bytes) -> str | None:
        """What no correct replica sends, be it its own or passed on."""
        if self._authenticator.verify(claim) is None:
            return "bad signature"
        if len(batch) > self._config.max_batch_bytes:
            return "batch too large"
        if self._authenticator.batch_digest(batch) != vote.batch_digest:
            return "batch is not the one signed"
        return None

    def _check(self, slot: Slot) -> None:
        if slot.pre_prepare is None:
            return
        slot.proposal = Proposal.CHECKING
        self._ready.checks.append(
            CheckBatch(slot.sequence, slot.pre_prepare.batch_digest, slot.batch, slot.pre_prepare.replica)
        )

    def _on_batch_checked(self, event: BatchChecked) -> None:
        """The ledger's verdict on a batch (C5)."""
        slot = self._window.get(event.sequence)
        if slot is None or slot.pre_prepare is None or slot.pre_prepare.batch_digest != event.batch_digest:
            return
        if slot.proposal is not Proposal.CHECKING:
            return
        if event.verdict is BatchVerdict.VALID:
            self._accept(slot)
        elif event.verdict is BatchVerdict.EARLY:
            slot.proposal = Proposal.EARLY
            self._trace("proposal early", sequence=slot.sequence)
            self._advance(slot)
        else:
            slot.proposal = Proposal.INVALID
            self._trace("proposal invalid", sequence=slot.sequence, primary=slot.pre_prepare.replica)

    def _accept(self, slot: Slot) -> None:
        if slot.pre_prepare is None:
            return
        slot.proposal = Proposal.ACCEPTED
        vote = self._safety.prepare(slot.pre_prepare, slot.batch)
        slot.prepares[self._config.replica] = vote
        self._send_all(vote.envelope)
        self._advance(slot)

    # --- votes ---

    def _on_envelope(self, event: EnvelopeReceived) -> None:
        """A PREPARE, COMMIT or seal: parsed cheaply first, verified only if it can still matter (C2)."""
        if event.sender in self._ready.faulty:
            return
        claim = self._authenticator.read(event.envelope)
        if claim is None:
            self._ignore(event.sender, "malformed message")
        elif isinstance(claim.content, SealVote):
            self._on_seal(event.sender, claim, claim.content)
        else:
            self._on_vote(event.sender, claim, claim.content)

    def _on_vote(self, sender: ReplicaId, claim: Claim, vote: Vote) -> None:
        """A PREPARE or COMMIT (C6): of this view, in the window, of another replica, not known, signature right."""
        reason = self._admission.reason_to_ignore_vote(vote, self.view)
        if reason is not None:
            self._ignore(sender, reason)
            return
        if self._authenticator.verify(claim) is None:
            self._blame(sender, "bad signature")
            return
        slot = self._open(vote.sequence)
        known = slot.votes(vote.kind).get(vote.replica)
        if known is not None:
            self._keep_evidence(slot, known, vote)
            return
        slot.votes(vote.kind)[vote.replica] = vote
        self._advance(slot)

    def _advance(self, slot: Slot) -> None:
        """Accepted → prepared → committed, as far as the votes allow (C5 to C7)."""
        membership = self._config.membership
        prepares = slot.supporters(PREPARE)
        if slot.proposal is Proposal.EARLY and len(prepares) > membership.f:
            self._accept(slot)
            return
        if slot.proposal is not Proposal.ACCEPTED or slot.pre_prepare is None:
            return
        if not slot.prepared and len(prepares) >= membership.q - 1:
            slot.prepared = True
            commit = self._safety.commit(slot.pre_prepare, prepares[: membership.q - 1])
            slot.commits[self._config.replica] = commit
            self._send_all(commit.envelope)
        if slot.prepared and not slot.committed and len(slot.supporters(COMMIT)) >= membership.q:
            slot.committed = True
            self._decide()

    def _decide(self) -> None:
        while (slot := self._window.get(self._decided + 1)) is not None and slot.committed:
            self._decided = Height(slot.sequence)
            self._ready.decided.append(Decided(self._decided, slot.batch))

    # --- execution, seals, certificates ---

    def _on_executed(self, event: BlockExecuted) -> None:
        """The block is executed: seal it (C8)."""
        if event.height <= self._executed:
            return
        slot = self._window.get(event.height)
        if slot is None or event.height != self._executed + 1 or event.height > self._decided:
            raise InvariantViolation(f"executed {event.height} after {self._executed}, decided {self._decided}")
        self._executed = event.height
        slot.block_hash = event.block_hash
        seal = self._safety.seal(event.height, event.block_hash)
        slot.seals[self._config.replica] = seal
        self._send_all(seal.envelope)
        self._certify()

    def _on_seal(self, sender: ReplicaId, claim: Claim, seal: SealVote) -> None:
        """Another replica's seal (C8): in the window, not known, signature right."""
        reason = self._admission.reason_to_ignore_seal(seal)
        if reason is not None:
            self._ignore(sender, reason)
            return
        if self._authenticator.verify(claim) is None:
            self._blame(sender, "bad signature")
            return
        slot = self._open(Seq(seal.height))
        known = slot.seals.get(seal.replica)
        if known is not None:
            self._keep_evidence(slot, known, seal)
            return
        slot.seals[seal.replica] = seal
        self._certify()

    def _certify(self) -> None:
        """Hands out certificates in order of height (C9)."""
        while (slot := self._window.get(self._certified + 1)) is not None and slot.block_hash is not None:
            seals = slot.seals_for(slot.block_hash)
            if len(seals) < self._config.membership.q:
                self._look_for_divergence(slot)
                return
            slot.certified = True
            self._certified = Height(slot.sequence)
            certificate = build_certificate(self._config.membership, seals)
            self._ready.certified.append(Certified(self._certified, slot.block_hash, certificate))

    def _look_for_divergence(self, slot: Slot) -> None:
        """A quorum that sealed another block halts this replica; f + 1 raise an alarm; fewer are only noted (C9)."""
        membership = self._config.membership
        others = sorted({seal.block_hash for seal in slot.seals.values()} - {slot.block_hash})
        for block_hash in others:
            count = len(slot.seals_for(block_hash))
            if count >= membership.q:
                self._halted = True
                self._ready.diverged = Diverged(Height(slot.sequence), block_hash)
                self._trace("diverged", height=slot.sequence)
            elif count > membership.f:
                self._ready.trace.append(
                    Trace("seals differ", {"height": slot.sequence, "count": count}, is_alarm=True)
                )

    def _on_stored(self, event: BlockStored) -> None:
        """A block is durable with its certificate: it is the stable checkpoint, and the log below it goes (C10)."""
        if event.height <= self.stored:
            return
        self._window.advance(event.height)
        self._certified = max(self._certified, event.height)
        self._executed = max(self._executed, event.height)
        self._decided = max(self._decided, event.height)
        self._next_sequence = Seq(max(self._next_sequence, event.height + 1))
        self._safety.trim(event.height)
        self._catch_up.stored(event.height, self._now_ms)
        self._decide()
        # A fetched block may be all that the certificate of the next one waited for.
        self._certify()

    # --- status, retransmission, catching up ---

    def _on_status(self, event: StatusReceived) -> None:
        """A peer's standing: send what it lacks, and note what this replica lacks itself (C11, C12)."""
        status = event.status
        if status.epoch != self._config.membership.epoch:
            self._ignore(event.sender, "other epoch")
            return
        self._catch_up.heard(event.sender, Height(status.stored_height))
        self._fetch_if_behind()
        if self._now_ms - self._answered_ms.get(event.sender, -ANSWER_INTERVAL_MS) < ANSWER_INTERVAL_MS:
            self._ignore(event.sender, "status too soon")
            return
        self._answered_ms[event.sender] = self._now_ms
        if status.stored_height < self.stored:
            self._send(event.sender, self._status_message())
        if status.view != self.view:
            return
        for payload in missing_at_peer(status, self._window, self._config.replica, self.is_primary, self._now_ms):
            self._send(event.sender, payload)

    def _on_peer_connected(self, event: PeerConnected) -> None:
        self._send(event.replica, self._status_message())

    def _on_fetch_ended(self, event: FetchEnded) -> None:
        self._catch_up.ended(event, self._now_ms)
        self._fetch_if_behind()

    def _on_time_passed(self, _event: TimePassed) -> None:
        if self._now_ms < self._next_status_ms:
            return
        self._fetch_if_behind()
        for slot in self._window:
            if slot.proposal is Proposal.EARLY:
                self._check(slot)
        self._send_all(self._status_message())
        busy = len(self._window) > 0 or self._catch_up.is_behind
        self._next_status_ms = self._now_ms + (STATUS_BUSY_MS if busy else STATUS_IDLE_MS)

    def _fetch_if_behind(self) -> None:
        request = self._catch_up.next_fetch(self._now_ms)
        if request is not None:
            self._ready.fetch = request

    # --- small things ---

    @property
    def _in_flight(self) -> int:
        return self._next_sequence - 1 - self._certified

    def _first_unproposed(self) -> Seq:
        own = [s.sequence for s in self._window if s.pre_prepare and s.pre_prepare.replica == self._config.replica]
        return Seq(max(own, default=self.stored) + 1)

    def _open(self, sequence: Seq) -> Slot:
        slot = self._window.get(sequence)
        if slot is None:
            slot = self._window.open(sequence, self._now_ms)
            self._next_status_ms = min(self._next_status_ms, self._now_ms + STATUS_BUSY_MS)
        return slot

    def _status_message(self) -> consensus_pb2.ReplicaStatus:
        return describe(self._config.membership.epoch, self.view, self._window)

    def _send(self, to: ReplicaId, payload: PeerPayload) -> None:
        self._ready.sends.append(Send(to, payload))

    def _send_all(self, payload: PeerPayload) -> None:
        self._ready.sends.append(Send(None, payload))

    def _keep_evidence(self, slot: Slot, first: Vote | SealVote, second: Vote | SealVote) -> None:
        slot.equivocators.add((first.envelope.kind, first.replica))
        self._ready.evidence.append(Equivocation(first.replica, slot.sequence, first.envelope, second.envelope))
        self._trace("equivocation", replica=first.replica, sequence=slot.sequence)

    def _blame(self, sender: ReplicaId, reason: str) -> None:
        self._ready.faulty.setdefault(sender, reason)
        self._trace("faulty", sender=sender, reason=reason)

    def _ignore(self, sender: ReplicaId, reason: str) -> None:
        self._trace("ignored", sender=sender, reason=reason)

    def _trace(self, event: str, **fields: Any) -> None:
        self._ready.trace.append(Trace(event, fields))

"""The three phases: a proposal is accepted, prepared and committed, and its batch decided (docs/protocol.md C3 to C7)."""

from __future__ import annotations

from huzheng.v1 import consensus_pb2

from consensus.admission import Admission
from consensus.batching import Pace
from consensus.context import Context, InvariantViolation
from consensus.events import (
    BatchChecked,
    BatchVerdict,
    CheckBatch,
    Decided,
    ProposalReceived,
    ProposeBatch,
)
from consensus.slot import Proposal, Slot
from consensus.suspicion import Suspicion
from consensus.votes import COMMIT, PREPARE, Claim, Vote
from ledger.crypto.types import Height, ReplicaId, Seq


class Ordering:
    """Belongs to one replica."""

    def __init__(self, context: Context, suspicion: Suspicion) -> None:
        self._context = context
        self._suspicion = suspicion
        self._admission = Admission(context)
        self.decided = context.checkpoint.height
        """The last height whose batch was handed out for execution."""
        self.next_sequence = Seq(self.decided + 1)
        """Where this replica proposes next, as primary."""
        self.pace = Pace(context.now_ms)

    # --- proposals ---

    def propose(self, event: ProposeBatch) -> None:
        """The primary's own batch (C3): only as primary of a view that is entered, within the watermarks."""
        context = self._context
        if not self.may_propose():
            context.trace("proposal dropped", reason="not primary or window full")
            return
        sequence = self.next_sequence
        self.next_sequence = Seq(sequence + 1)
        self.pace.proposed(sequence, event.transactions, context.now_ms)
        slot = self.open(sequence)
        digest = context.authenticator.batch_digest(event.batch)
        slot.pre_prepare = context.safety.propose(context.view, sequence, digest, event.batch)
        slot.batch = event.batch
        self._accepted(slot)
        context.send_all(consensus_pb2.Proposal(pre_prepare=slot.pre_prepare.envelope, batch=event.batch))
        self.advance(slot)

    def may_propose(self) -> bool:
        """Whether a proposal would be taken in now."""
        context = self._context
        return (
            context.is_primary
            and context.safety.is_entered
            and not context.halted
            and self.next_sequence <= context.window.high
        )

    def on_proposal(self, event: ProposalReceived) -> None:
        """A pre-prepare with its batch (C4): of this view, by its primary, in the window, the first for its slot, digest and signature right."""
        context = self._context
        claim = context.authenticator.read(event.pre_prepare)
        if claim is None or not isinstance(claim.content, Vote):
            context.ignore(event.sender, "malformed proposal")
            return
        vote = claim.content
        reason = self._admission.reason_to_ignore_proposal(vote)
        if reason is not None:
            context.ignore(event.sender, reason)
            return
        fault = self._fault_in_proposal(claim, vote, event.batch)
        if fault is not None:
            context.blame(event.sender, fault)
            return
        slot = self.open(vote.sequence)
        if slot.pre_prepare is not None:
            slot.equivocators.add((vote.kind, vote.replica))
            context.keep_evidence(slot.sequence, slot.pre_prepare.envelope, vote.envelope)
            self._suspicion.primary_proved_faulty()
            return
        self._suspicion.proposal_came(context.now_ms)
        slot.pre_prepare = vote
        slot.batch = event.batch
        self.check(slot)

    def _fault_in_proposal(self, claim: Claim, vote: Vote, batch: bytes) -> str | None:
        """What no correct replica sends, be it its own or passed on."""
        if not self._context.verifies(claim):
            return "bad signature"
        if len(batch) > self._context.config.max_batch_bytes:
            return "batch too large"
        if self._context.authenticator.batch_digest(batch) != vote.batch_digest:
            return "batch is not the one signed"
        return None

    def check(self, slot: Slot) -> None:
        """Asks the ledger about a fresh proposal."""
        if slot.pre_prepare is None:
            return
        slot.proposal = Proposal.CHECKING
        vote = slot.pre_prepare
        self._context.ready.checks.append(CheckBatch(slot.sequence, vote.batch_digest, slot.batch, vote.replica))

    def on_batch_checked(self, event: BatchChecked) -> None:
        """The ledger's verdict on a batch (C5)."""
        slot = self._context.window.get(event.sequence)
        if slot is None or slot.pre_prepare is None:
            return
        judged = (event.batch_digest, event.proposer)
        if (slot.pre_prepare.batch_digest, slot.pre_prepare.replica) != judged:
            return
        if slot.proposal is not Proposal.CHECKING:
            return
        if event.verdict is BatchVerdict.VALID:
            self._prepare(slot, slot.pre_prepare)
        elif event.verdict is BatchVerdict.EARLY:
            slot.proposal = Proposal.EARLY
            self._context.trace("proposal early", sequence=slot.sequence)
            self.advance(slot)
        else:
            slot.proposal = Proposal.INVALID
            self._context.trace("proposal invalid", sequence=slot.sequence, primary=slot.pre_prepare.replica)
            self._suspicion.primary_proved_faulty()

    def propose_again(self) -> None:
        """Opens the slots that the NEW-VIEW proposes again, as far as the window reaches (C17)."""
        context = self._context
        for sequence in sorted(context.reproposed):
            if not context.window.covers(sequence):
                continue
            slot = self.open(sequence)
            if slot.pre_prepare is None:
                self._take_again(slot, context.reproposed[sequence])

    def _take_again(self, slot: Slot, vote: Vote) -> None:
        if slot.decided_digest not in (None, vote.batch_digest):
            raise InvariantViolation(f"a new view chose another batch for sequence {slot.sequence}, which is decided")
        slot.pre_prepare = vote
        slot.proposal = Proposal.MISSING
        batch = self._context.batches.get(vote.batch_digest)
        if batch is not None:
            self._found(slot, vote, batch)

    def on_batch(self, digest: bytes, batch: bytes) -> bool:
        """Whether a slot waited for this batch (C17)."""
        for slot in self._context.window:
            if slot.proposal is Proposal.MISSING and slot.pre_prepare and slot.pre_prepare.batch_digest == digest:
                self._found(slot, slot.pre_prepare, batch)
                return True
        return False

    def _found(self, slot: Slot, vote: Vote, batch: bytes) -> None:
        """A prepared certificate speaks for the batch, so it is not judged again, its time least of all (T5)."""
        slot.batch = batch
        if vote.replica != self._context.own:
            self._prepare(slot, vote)
            return
        self._context.safety.propose(vote.view, vote.sequence, vote.batch_digest, batch)
        self._accepted(slot)
        self.advance(slot)

    def _prepare(self, slot: Slot, pre_prepare: Vote) -> None:
        vote = self._context.safety.prepare(pre_prepare, slot.batch)
        slot.prepares[self._context.own] = vote
        self._accepted(slot)
        self._context.send_all(vote.envelope)
        self.advance(slot)

    def _accepted(self, slot: Slot) -> None:
        slot.proposal = Proposal.ACCEPTED
        if slot.pre_prepare is not None:
            self._context.batches.keep(slot.sequence, slot.pre_prepare.batch_digest, slot.batch)

    # --- votes ---

    def on_vote(self, sender: ReplicaId, claim: Claim, vote: Vote) -> None:
        """A PREPARE or COMMIT (C6): of this view, in the window, of another replica, not known, signature right."""
        context = self._context
        if not context.admits(sender, claim, self._admission.reason_to_ignore_vote(vote)):
            return
        slot = self.open(vote.sequence)
        known = slot.votes(vote.kind).get(vote.replica)
        if known is not None:
            slot.equivocators.add((vote.kind, vote.replica))
            context.keep_evidence(slot.sequence, known.envelope, vote.envelope)
            return
        slot.votes(vote.kind)[vote.replica] = vote
        self.advance(slot)

    def advance(self, slot: Slot) -> None:
        """Accepted → prepared → committed, as far as the votes allow (C5 to C7)."""
        context, membership = self._context, self._context.membership
        prepares = slot.supporters(PREPARE)
        if slot.proposal is Proposal.EARLY and len(prepares) > membership.f and slot.pre_prepare is not None:
            self._prepare(slot, slot.pre_prepare)
            return
        if slot.proposal is not Proposal.ACCEPTED or slot.pre_prepare is None:
            return
        if not slot.prepared and len(prepares) >= membership.q - 1:
            slot.prepared = True
            commit = context.safety.commit(slot.pre_prepare, prepares[: membership.q - 1])
            slot.commits[context.own] = commit
            context.send_all(commit.envelope)
        if slot.prepared and not slot.committed and len(slot.supporters(COMMIT)) >= membership.q:
            slot.committed = True
            slot.decided_digest = slot.pre_prepare.batch_digest
            self.decide()

    def decide(self) -> None:
        """Hands out committed batches in order of their sequence (C7)."""
        while (slot := self._context.window.get(self.decided + 1)) is not None and slot.committed:
            self.decided = Height(slot.sequence)
            self._context.ready.decided.append(Decided(self.decided, slot.batch))

    # --- the window ---

    def missing_batches(self) -> list[bytes]:
        """Digests of the batches that slots wait for."""
        return [
            slot.pre_prepare.batch_digest
            for slot in self._context.window
            if slot.proposal is Proposal.MISSING and slot.pre_prepare is not None
        ]

    def open(self, sequence: Seq) -> Slot:
        """The slot of a sequence in the window."""
        return self._context.window.open(sequence, self._context.now_ms)

    def on_stored(self, height: Height) -> None:
        """A block became durable: slots open above what the window covered so far."""
        self.skip_to(height)
        self.propose_again()
        self.decide()

    def skip_to(self, height: Height) -> None:
        """Blocks up to this height are settled."""
        self.decided = max(self.decided, height)
        self.next_sequence = Seq(max(self.next_sequence, height + 1))

    def first_unproposed(self) -> Seq:
        """Above all that this replica proposed in its view, and all that is stored."""
        window, own = self._context.window, self._context.own
        proposed = [slot.sequence for slot in window if slot.pre_prepare and slot.pre_prepare.replica == own]
        return Seq(max(proposed, default=window.stored) + 1)

    def has_open_proposals(self) -> bool:
        """Whether a proposal of this view waits for its block."""
        return any(slot.pre_prepare is not None for slot in self._context.window)

"""Executed blocks are sealed, and a quorum of equal seals certifies them (docs/protocol.md C8, C9)."""

from __future__ import annotations

from consensus.admission import Admission
from consensus.context import Context, InvariantViolation
from consensus.events import BlockExecuted, Certified, Diverged, Trace
from consensus.slot import Slot
from consensus.votes import Claim, SealVote
from ledger.crypto.membership import build_certificate
from ledger.crypto.types import Height, ReplicaId


class Sealing:
    """Belongs to one replica. Seals are of no view."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._admission = Admission(context)
        self.executed = context.checkpoint.height
        self.certified = context.checkpoint.height
        self.certified_ms = context.now_ms
        """When a quorum's seals were there last."""

    def on_executed(self, event: BlockExecuted, decided: Height) -> None:
        """The block is executed: seal it (C8)."""
        context = self._context
        if event.height <= self.executed:
            return
        slot = context.window.get(event.height)
        if slot is None or event.height != self.executed + 1 or event.height > decided:
            raise InvariantViolation(f"executed {event.height} after {self.executed}, decided {decided}")
        self.executed = event.height
        slot.block_hash = event.block_hash
        seal = context.safety.seal(event.height, event.block_hash)
        slot.seals[context.own] = seal
        context.send_all(seal.envelope)
        self.certify()

    def on_seal(self, sender: ReplicaId, claim: Claim, seal: SealVote) -> None:
        """Another replica's seal (C8): in the window, not known, signature right."""
        context = self._context
        if not context.admits(sender, claim, self._admission.reason_to_ignore_seal(seal)):
            return
        slot = context.window.open(seal.height, context.now_ms)
        known = slot.seals.get(seal.replica)
        if known is not None:
            slot.equivocators.add((seal.envelope.kind, seal.replica))
            context.keep_evidence(slot.sequence, known.envelope, seal.envelope)
            return
        slot.seals[seal.replica] = seal
        self.certify()

    def certify(self) -> None:
        """Hands out certificates in order of height (C9)."""
        context = self._context
        while (slot := context.window.get(self.certified + 1)) is not None and slot.block_hash is not None:
            seals = slot.seals_for(slot.block_hash)
            if len(seals) < context.membership.q:
                self._look_for_divergence(slot)
                return
            slot.certified = True
            self.certified = Height(slot.sequence)
            self.certified_ms = context.now_ms
            certificate = build_certificate(context.membership, seals)
            context.ready.certified.append(Certified(self.certified, slot.block_hash, certificate))

    def _look_for_divergence(self, slot: Slot) -> None:
        """A quorum that sealed another block halts this replica; f + 1 raise an alarm; fewer are only noted (C9)."""
        context = self._context
        others = sorted({seal.block_hash for seal in slot.seals.values()} - {slot.block_hash})
        for block_hash in others:
            count = len(slot.seals_for(block_hash))
            if count >= context.membership.q:
                context.halted = True
                context.ready.diverged = Diverged(Height(slot.sequence), block_hash)
                context.trace("diverged", height=slot.sequence)
            elif count > context.membership.f:
                fields = {"height": slot.sequence, "count": count}
                context.ready.trace.append(Trace("seals differ", fields, is_alarm=True))

    def on_stored(self, height: Height) -> None:
        """A block became durable, perhaps a fetched one that the certificate of the next one waited for."""
        self.skip_to(height)
        self.certify()

    def skip_to(self, height: Height) -> None:
        """Blocks up to this height are settled."""
        self.certified = max(self.certified, height)
        self.executed = max(self.executed, height)

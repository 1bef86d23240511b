"""How a replica leaves a view and enters the next (docs/protocol.md C14 to C17)."""

from __future__ import annotations

from collections.abc import Iterator

from huzheng.v1 import consensus_pb2

from consensus.context import Context, InvariantViolation
from consensus.ordering import Ordering
from consensus.suspicion import Suspicion
from consensus.view_change import SoundNewView, SoundViewChange, ViewChangeRules, first_quorum
from consensus.votes import Claim, NewView, PeerPayload, ViewChange
from ledger.crypto.types import ReplicaId, Seq, View

MAX_VIEW = View(2**63)
"""No view is as high; a counter must not run over."""


class ViewChanging:
    """Belongs to one replica."""

    def __init__(self, context: Context, ordering: Ordering, suspicion: Suspicion) -> None:
        self._context = context
        self._ordering = ordering
        self._suspicion = suspicion
        self._rules = ViewChangeRules(context.authenticator, context.config.base, context.config.watermark_window)
        self._wanted: dict[ReplicaId, ViewChange] = {}
        """Each replica's VIEW-CHANGE for the highest view; only its own signature is verified."""
        self._sound: dict[ReplicaId, SoundViewChange] = {}
        """Those for the current view that hold in all their parts."""
        self._unsound: set[ReplicaId] = set()
        """Whose VIEW-CHANGE for the current view does not."""
        self._missing: dict[bytes, Seq] = {}
        """The batches, by digest, that a primary must have before it founds the view."""
        self._suspects: dict[ReplicaId, View] = {}
        self._suspecting = False
        self._quorum_ms: int | None = None
        """Since when a quorum waits for the view's NEW-VIEW."""
        own = context.safety.view_change
        if own is not None:
            self._wanted[context.own] = own

    @property
    def is_suspecting(self) -> bool:
        """Whether this replica finds that the primary does not do its work."""
        return self._suspecting

    def known_senders(self) -> list[ReplicaId]:
        """Whose VIEW-CHANGE for the current view is here, while it is not entered."""
        if self._context.safety.is_entered:
            return []
        view = self._context.view
        return [replica for replica in sorted(self._wanted) if self._wanted[replica].view == view]

    @property
    def missing_batches(self) -> list[bytes]:
        """Digests of the batches that founding the view waits for."""
        return list(self._missing)

    def on_batch(self, digest: bytes, batch: bytes) -> bool:
        """Whether founding the view waited for this batch."""
        sequence = self._missing.pop(digest, None)
        if sequence is None:
            return False
        self._context.batches.keep(sequence, digest, batch)
        self._count_view_changes()
        return True

    # --- patience ---

    def deadline_ms(self) -> int | None:
        """When patience ends if nothing happens; None when there is nothing to be impatient about."""
        context = self._context
        if not context.safety.is_entered:
            return None if self._quorum_ms is None else self._quorum_ms + self._suspicion.timeout_ms
        if context.is_primary or self._suspecting:
            return None
        return self._suspicion.deadline_ms()

    def look(self, is_behind: bool) -> bool:
        """Looks at the clock; whether this replica's suspicion has changed, so that peers must hear of it.

        `is_behind`: whether more peers than can be faulty have blocks that this replica lacks; then it can't judge.
        """
        context = self._context
        if not context.safety.is_entered:
            deadline_ms = self.deadline_ms()
            if deadline_ms is not None and context.now_ms >= deadline_ms:
                self._leave_for(View(context.view + 1), "no new view came")
            return False
        before = self._suspecting
        self._suspecting = not context.is_primary and not is_behind and self._suspicion.is_due(context.now_ms)
        if self._suspecting and not before:
            context.trace("primary suspected", view=context.view, primary=context.primary)
        self._leave_if_enough_suspect()
        return self._suspecting != before

    def heard_status(self, sender: ReplicaId, status: consensus_pb2.ReplicaStatus) -> None:
        """C14: whether a peer suspects the primary of its view."""
        if status.suspects_primary:
            self._suspects[sender] = View(status.view)
        else:
            self._suspects.pop(sender, None)
        self._leave_if_enough_suspect()

    def _leave_if_enough_suspect(self) -> None:
        """f + 1 suspicions, so that a correct replica is among them. Who wants a higher view has lost its patience too."""
        context = self._context
        if not context.safety.is_entered:
            return
        impatient = {replica for replica, view in self._suspects.items() if view == context.view}
        impatient |= {replica for replica, change in self._wanted.items() if change.view > context.view}
        if len(impatient - {context.own}) + self._suspecting > context.membership.f:
            self._leave_for(View(context.view + 1), "suspected by enough")

    # --- leaving ---

    def _leave_for(self, view: View, reason: str) -> None:
        """C15: forgets what was said in the view and asks for another."""
        context = self._context
        if view >= MAX_VIEW:
            return
        lost_patience = self._suspecting or not context.safety.is_entered
        self._suspicion.view_left(context.now_ms, lost_patience=lost_patience)
        own = context.safety.leave_for(view, context.checkpoint)
        self._clear_view()
        self._wanted[context.own] = own
        context.trace("view left", wanted=view, reason=reason, timeout_ms=self._suspicion.timeout_ms)
        context.send_all(own.envelope)
        self._count_view_changes()

    def _clear_view(self) -> None:
        context = self._context
        for slot in context.window:
            slot.leave_view(context.now_ms)
        # Nobody needs a verdict on what the view before proposed.
        context.ready.checks.clear()
        context.reproposed = {}
        self._suspecting = False
        self._forget_founding()

    def _forget_founding(self) -> None:
        self._quorum_ms = None
        self._sound, self._unsound, self._missing = {}, set(), {}

    def ask_again(self) -> None:
        """After a restart in a view that was not entered: its VIEW-CHANGE is signed, if it was not before."""
        context = self._context
        if not context.safety.is_entered and context.own not in self._wanted:
            self._wanted[context.own] = context.safety.leave_for(context.view, context.checkpoint)
        self._count_view_changes()

    def on_view_change(self, sender: ReplicaId, claim: Claim, change: ViewChange) -> None:
        """C15: of another replica, for a view that is not entered here, higher than its last one, signature right."""
        context = self._context
        if not context.admits(sender, claim, self._reason_to_ignore(change)):
            return
        known = self._wanted.get(change.replica)
        if known is not None and known.view == change.view:
            context.keep_evidence(Seq(0), known.envelope, change.envelope)
            return
        self._wanted[change.replica] = change
        self._join()
        self._leave_if_enough_suspect()
        self._count_view_changes()

    def _reason_to_ignore(self, change: ViewChange) -> str | None:
        context = self._context
        if change.replica == context.own:
            return "own view change"
        if change.view >= MAX_VIEW:
            return "no such view"
        if change.view < context.view or (change.view == context.view and context.safety.is_entered):
            return "view left or entered"
        known = self._wanted.get(change.replica)
        if known is not None and (change.view < known.view or change.envelope.body == known.envelope.body):
            return "view change known"
        return None

    def _join(self) -> None:
        """C16: f + 1 others want views above this one, so a correct one does: the lowest of them is wanted here too."""
        context = self._context
        higher = sorted(
            change.view
            for replica, change in self._wanted.items()
            if replica != context.own and change.view > context.view
        )
        if len(higher) > context.membership.f:
            self._leave_for(higher[0], "wanted by enough")

    def _count_view_changes(self) -> None:
        """C16: a quorum wants this view or has gone further: waiting for it has a limit. If all want this one its primary founds it."""
        context = self._context
        if context.safety.is_entered:
            return
        at_least = [change for change in self._wanted.values() if change.view >= context.view]
        if len(at_least) < context.membership.q:
            return
        if self._quorum_ms is None:
            self._quorum_ms = context.now_ms
        wanted = [change for change in at_least if change.view == context.view]
        if context.is_primary and len(wanted) >= context.membership.q:
            self._found(wanted)

    def _found(self, wanted: list[ViewChange]) -> None:
        context = self._context
        for change in sorted(wanted, key=lambda change: change.replica):
            if change.replica in self._sound or change.replica in self._unsound:
                continue
            sound = self._rules.check_view_change(change)
            if sound is None:
                # Only its signer can have made it so.
                self._unsound.add(change.replica)
                context.blame(change.replica, "unsound view change")
            else:
                self._sound[change.replica] = sound
        if len(self._sound) < context.membership.q:
            return
        chosen = first_quorum(list(self._sound.values()), context.membership.q)
        choice = self._rules.choose(chosen)
        # A PRE-PREPARE leaves only when its batch is in the log; a correct replica has each of them.
        missing = {digest: sequence for sequence, digest in choice.digests if context.batches.get(digest) is None}
        if missing:
            self._missing = missing
            return
        envelopes = [change.envelope for change in chosen]
        new_view = context.safety.found(context.view, envelopes, choice.digests)
        founded = self._rules.check_new_view(new_view, chosen)
        if founded is None:
            raise InvariantViolation(f"the NEW-VIEW made here for view {context.view} does not hold")
        context.send_all(new_view.envelope)
        self._enter(founded)

    # --- entering ---

    def on_new_view(self, sender: ReplicaId, claim: Claim, new_view: NewView) -> None:
        """C17: for this view or a higher one, not entered yet, by its primary, and all that it holds is as it must be."""
        context = self._context
        if new_view.view < context.view or (new_view.view == context.view and context.safety.is_entered):
            context.ignore(sender, "view left or entered")
            return
        if new_view.view >= MAX_VIEW or new_view.replica == context.own:
            context.ignore(sender, "no such view")
            return
        sound = None
        if context.verifies(claim):
            sound = self._rules.check_new_view(new_view, self._sound.values())
        if sound is None:
            context.blame(sender, "unsound new view")
            return
        if new_view.view > context.view:
            self._clear_view()
        context.safety.enter(new_view)
        self._enter(sound)

    def restore(self) -> None:
        """After a restart in a view entered by a NEW-VIEW: what it proposes again is open again."""
        new_view = self._context.safety.new_view
        if new_view is None:
            return
        sound = self._rules.check_new_view(new_view)
        if sound is not None:
            self._settle(sound)

    def _enter(self, sound: SoundNewView) -> None:
        context = self._context
        self._suspicion.view_entered(context.now_ms)
        self._suspects = {}
        self._wanted = {replica: change for replica, change in self._wanted.items() if change.view > context.view}
        self._forget_founding()
        context.ready.view_entered = context.view
        context.trace(
            "view entered", view=context.view, primary=context.primary, proposed_again=len(sound.pre_prepares)
        )
        self._settle(sound)

    def _settle(self, sound: SoundNewView) -> None:
        context = self._context
        context.reproposed = {vote.sequence: vote for vote in sound.pre_prepares}
        context.first_free = Seq(sound.choice.last + 1)
        self._ordering.next_sequence = max(context.first_free, self._ordering.first_unproposed())
        self._ordering.propose_again()
        if self._ordering.has_open_proposals():
            self._suspicion.proposals_open()

    # --- what a peer lacks ---

    def missing_at_peer(self, status: consensus_pb2.ReplicaStatus) -> Iterator[PeerPayload]:
        """C12: the NEW-VIEW of this view, or this replica's VIEW-CHANGE for it, if the peer's status shows that it lacks it."""
        safety = self._context.safety
        if status.view > safety.view or (status.view == safety.view and status.view_entered):
            return
        if safety.new_view is not None:
            yield safety.new_view.envelope
        elif safety.view_change is not None and (
            status.view < safety.view or self._context.own not in status.view_changes
        ):
            yield safety.view_change.envelope

    def check_bounds(self) -> bool:
        """Whether no more is kept than one message of each member."""
        n = self._context.membership.n
        return len(self._wanted) <= n and len(self._sound) <= n and len(self._suspects) <= n

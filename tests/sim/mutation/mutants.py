"""Bugs to plant in the replicas, one at a time: what the simulator must notice (scripts/mutate)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One text that stands for one rule, and another that breaks it."""

    name: str
    rule: str
    """Of docs/protocol.md."""
    file: str
    old: str
    """Occurs there exactly once, or the mutant says nothing and is an error."""
    new: str

    def planted(self, source: str) -> str:
        """The file's text with the bug. Raises ValueError when the old text is not there exactly once."""
        count = source.count(self.old)
        if count != 1:
            raise ValueError(f"{self.name}: its old text occurs {count} times in {self.file}")
        return source.replace(self.old, self.new)

    def source(self) -> str:
        """The file as it is, without the bug."""
        return (ROOT / self.file).read_text()


MUTANTS = (
    # --- quorums ---
    Mutant(
        "prepare-quorum-one-short",
        "C6",
        "consensus/ordering.py",
        "len(prepares) >= membership.q - 1:",
        "len(prepares) >= membership.q - 2:",
    ),
    Mutant(
        "commit-quorum-one-short",
        "C7",
        "consensus/ordering.py",
        "len(slot.supporters(COMMIT)) >= membership.q:",
        "len(slot.supporters(COMMIT)) >= membership.q - 1:",
    ),
    Mutant(
        "commit-for-another-digest",
        "C7",
        "consensus/ordering.py",
        "len(slot.supporters(COMMIT)) >= membership.q:",
        "len(slot.commits) >= membership.q:",
    ),
    Mutant(
        "seal-quorum-one-short",
        "C9",
        "consensus/sealing.py",
        "if len(seals) < context.membership.q:",
        "if len(seals) < context.membership.q - 1:",
    ),
    Mutant(
        "halt-on-one-other-seal",
        "C9",
        "consensus/sealing.py",
        "if count >= context.membership.q:",
        "if count >= 1:",
    ),
    Mutant(
        "prepared-certificate-one-short",
        "C6",
        "consensus/votes.py",
        "and len(replicas) == membership.q - 1\n",
        "and len(replicas) >= membership.q - 2\n",
    ),
    Mutant(
        "prepared-certificate-counts-twice",
        "C6",
        "consensus/votes.py",
        "and replicas == sorted(set(replicas))\n",
        "and replicas == sorted(replicas)\n",
    ),
    Mutant(
        "new-view-counts-twice",
        "C17",
        "consensus/view_change.py",
        "if len(sound) != len(changes) or replicas != sorted(set(replicas)):",
        "if len(sound) != len(changes) or replicas != sorted(replicas):",
    ),
    # --- proposals and votes ---
    Mutant(
        "proposal-by-anyone",
        "C4",
        "consensus/admission.py",
        "if vote.kind != PRE_PREPARE or vote.replica != primary or self._own == primary:",
        "if vote.kind != PRE_PREPARE or self._own == primary:",
    ),
    Mutant(
        "watermark-ignored-by-backups",
        "C4",
        "consensus/window.py",
        "return self.stored < sequence <= self.high",
        "return self.stored < sequence",
    ),
    Mutant(
        "watermark-ignored-by-the-primary",
        "C3",
        "consensus/ordering.py",
        "            and self.next_sequence <= context.window.high\n",
        "",
    ),
    Mutant(
        "old-votes-accepted",
        "C6",
        "consensus/admission.py",
        "if vote.view != self._context.view:",
        "if vote.view > self._context.view:",
    ),
    Mutant(
        "equivocation-of-a-primary-not-reported",
        "C4",
        "consensus/ordering.py",
        "            context.keep_evidence(slot.sequence, slot.pre_prepare.envelope, vote.envelope)\n",
        "",
    ),
    Mutant(
        "equivocation-of-a-backup-not-reported",
        "C4",
        "consensus/ordering.py",
        "            context.keep_evidence(slot.sequence, known.envelope, vote.envelope)\n",
        "",
    ),
    Mutant(
        "seal-before-execution",
        "C8",
        "consensus/ordering.py",
        "            self._context.ready.decided.append(Decided(self.decided, slot.batch))\n",
        "            self._context.ready.decided.append(Decided(self.decided, slot.batch))\n"
        '            digest = slot.decided_digest or b""\n'
        "            self._context.send_all(self._context.safety.seal(self.decided, digest).envelope)\n",
    ),
    Mutant(
        "last-height-of-the-epoch-ignored",
        "M5",
        "consensus/window.py",
        "return Height(high if self.last is None else min(high, self.last))",
        "return Height(high)",
    ),
    # --- durability ---
    Mutant(
        "vote-not-persisted",
        "C10",
        "consensus/safety.py",
        "        self._unsaved.append(accepted_entry(sequence, view, accepted))\n",
        "",
    ),
    Mutant(
        "prepared-certificate-not-persisted",
        "C10",
        "consensus/safety.py",
        "        self._unsaved.append(prepared_entry(sequence, view, prepared))\n",
        "",
    ),
    Mutant(
        "view-not-persisted",
        "C10",
        "consensus/safety.py",
        "        self._unsaved.append(view_entry(self._membership.epoch, view))\n",
        "",
    ),
    Mutant(
        "new-view-not-persisted",
        "C10",
        "consensus/safety.py",
        "        self._unsaved.append(new_view_entry(new_view.envelope))\n",
        "",
    ),
    Mutant(
        "votes-sent-before-durable",
        "C10",
        "consensus/replica.py",
        "        ready.votes = context.safety.take_unsaved()\n",
        "        ready.votes = () if ready.sends else context.safety.take_unsaved()\n",
    ),
    Mutant(
        "restart-forgets-prepared",
        "C10",
        "consensus/safety.py",
        "            self._prepared[prepared.commit.sequence] = prepared.slot\n",
        "",
    ),
    Mutant(
        "restart-forgets-the-new-view",
        "C10",
        "consensus/view_changing.py",
        "        sound = self._rules.check_new_view(new_view)\n        if sound is not None:\n            self._settle(sound)\n",
        "",
    ),
    # --- catching up ---
    Mutant(
        "blocks-never-fetched",
        "C11",
        "consensus/standing.py",
        "            self._context.ready.fetch = request\n",
        "            self._context.ready.fetch = None\n",
    ),
    Mutant(
        "nothing-sent-again",
        "C12",
        "consensus/standing.py",
        "            context.send(peer, payload)\n",
        "            pass\n",
    ),
    # --- leaving a view ---
    Mutant(
        "one-suspicion-is-enough",
        "C14",
        "consensus/view_changing.py",
        "if len(impatient - {context.own}) + self._suspecting > context.membership.f:",
        "if len(impatient - {context.own}) + self._suspecting > 0:",
    ),
    Mutant(
        "f-replicas-are-followed",
        "C16",
        "consensus/view_changing.py",
        "if len(higher) > context.membership.f:",
        "if len(higher) >= context.membership.f:",
    ),
    Mutant(
        "wait-for-new-view-without-a-quorum",
        "C16",
        "consensus/view_changing.py",
        "if len(at_least) < context.membership.q:",
        "if len(at_least) < context.membership.q - 1:",
    ),
    Mutant(
        "who-has-gone-on-does-not-count",
        "C16",
        "consensus/view_changing.py",
        "at_least = [change for change in self._wanted.values() if change.view >= context.view]",
        "at_least = [change for change in self._wanted.values() if change.view == context.view]",
    ),
    Mutant(
        "timer-not-reset-by-steps",
        "C14",
        "consensus/suspicion.py",
        "            self._reached, self._progress_at = (height, stage), now_ms - self._excused_ms\n",
        "            self._reached = (height, stage)\n",
    ),
    Mutant(
        "own-work-blamed-on-the-primary",
        "C14",
        "consensus/suspicion.py",
        "now_ms if stage in _EXCUSED else None",
        "None",
    ),
    Mutant(
        "busy-primary-may-pass-over-work",
        "C14",
        "consensus/suspicion.py",
        "        if len(self._stored_ms) == self._stored_ms.maxlen and self._stored_ms[0] > since_ms:\n            return since_ms\n",
        "",
    ),
    Mutant(
        "timeout-never-doubled",
        "C14",
        "consensus/suspicion.py",
        "self._doublings = min(self._doublings + 1, (MAX_TIMEOUT_MS // BASE_TIMEOUT_MS).bit_length() - 1)",
        "self._doublings = 0",
    ),
    Mutant(
        "timeout-never-falls",
        "C14",
        "consensus/suspicion.py",
        "                self._doublings -= 1\n",
        "                pass\n",
    ),
    # --- VIEW-CHANGE ---
    Mutant(
        "prepared-forgotten-in-view-change",
        "C15",
        "consensus/safety.py",
        "prepared = [self._prepared[sequence].certificate for sequence in sorted(self._prepared)]",
        "prepared: list[consensus_pb2.PreparedCertificate] = []",
    ),
    Mutant(
        "certificate-of-own-view-accepted",
        "C15",
        "consensus/view_change.py",
        "if slot is None or slot.pre_prepare.view >= claim.view:",
        "if slot is None or slot.pre_prepare.view > claim.view:",
    ),
    Mutant(
        "unproven-checkpoint-accepted",
        "C15",
        "consensus/view_change.py",
        "return checkpoint.height > self._base and self._authenticator.certifies(checkpoint)",
        "return checkpoint.height > self._base",
    ),
    # --- NEW-VIEW ---
    Mutant(
        "new-view-unchecked",
        "C17",
        "consensus/view_change.py",
        "return tuple(sound) if len(sound) == len(votes) and found == choice.digests else None",
        "return tuple(sound) if len(sound) == len(votes) or found == choice.digests else None",
    ),
    Mutant(
        "new-view-from-old-view-changes",
        "C17",
        "consensus/view_change.py",
        "sound = [change for change in changes if change is not None and change.view == claim.view]",
        "sound = [change for change in changes if change is not None]",
    ),
    Mutant(
        "lowest-view-chosen",
        "C17",
        "consensus/view_change.py",
        "(known is None or vote.view > known.view)",
        "(known is None or vote.view < known.view)",
    ),
    Mutant(
        "lowest-checkpoint-chosen",
        "C17",
        "consensus/view_change.py",
        "checkpoint = max((change.checkpoint for change in sound), key=lambda point: point.height)",
        "checkpoint = min((change.checkpoint for change in sound), key=lambda point: point.height)",
    ),
    Mutant(
        "stale-batch-in-a-gap",
        "C17",
        "consensus/view_change.py",
        "best[Seq(number)].batch_digest if number in best else self._null_digest",
        "best[Seq(number)].batch_digest if number in best else best[max(best)].batch_digest",
    ),
    Mutant(
        "sequences-used-again-after-a-view-change",
        "C17",
        "consensus/view_changing.py",
        "self._ordering.next_sequence = max(context.first_free, self._ordering.first_unproposed())",
        "self._ordering.next_sequence = Seq(context.window.stored + 1)",
    ),
    Mutant(
        "clock-checked-for-batches-proposed-again",
        "C17",
        "consensus/ordering.py",
        "            self._prepare(slot, vote)\n            return\n        self._context.safety.propose(",
        "            self.check(slot)\n            return\n        self._context.safety.propose(",
    ),
    Mutant(
        "proposals-taken-before-the-view-is-entered",
        "C17",
        "consensus/admission.py",
        '        if not self._context.safety.is_entered:\n            return "view not entered"\n',
        "",
    ),
    Mutant(
        "prepares-of-the-view-before-count",
        "C15",
        "consensus/slot.py",
        "        self.prepares, self.commits = {}, {}\n",
        "        self.commits = {}\n",
    ),
    Mutant(
        "settled-sequences-proposed-anew",
        "C17",
        "consensus/admission.py",
        "if vote.sequence < self._context.first_free and vote.sequence not in self._context.reproposed:",
        "if vote.sequence < 0:",
    ),
    Mutant(
        "new-view-by-anyone",
        "C17",
        "consensus/view_change.py",
        "if claim.replica != self._membership.primary(claim.view) or len(claim.view_changes) != self._membership.q:",
        "if len(claim.view_changes) != self._membership.q:",
    ),
    # --- greetings ---
    Mutant(
        "votes-without-greetings",
        "C18",
        "consensus/greeting.py",
        "return config.accepts_lost_votes or len(self._greeters) >= config.membership.q - 1",
        "return config.accepts_lost_votes or len(self._greeters) >= 0",
    ),
    Mutant(
        "greetings-not-read",
        "C18",
        "consensus/greeting.py",
        "if content is not None and not context.safety.knows(content):",
        "if content is None and not context.safety.knows(content):",
    ),
    Mutant(
        "greetings-of-another-epoch-count",
        "C18",
        "consensus/greeting.py",
        "if event.greeting.epoch != context.membership.epoch:",
        "if event.greeting.epoch > context.membership.epoch:",
    ),
    Mutant(
        "replicas-without-a-vote-have-a-say",
        "M9",
        "consensus/replica.py",
        "return sender not in context.ready.faulty and context.membership.member(sender) is not None",
        "return sender not in context.ready.faulty",
    ),
    # --- from epoch to epoch ---
    Mutant(
        "end-of-another-epoch",
        "M8",
        "node/succession.py",
        """        if changed:
            self._last_height = self._consortium.last_height_of(self.core.membership.epoch)
""",
        """        if changed:
            self._last_height = self._consortium.last_height_of(self._consortium.in_force.epoch)
""",
    ),
    Mutant(
        "end-of-the-epoch-not-told",
        "M8",
        "node/succession.py",
        "self.events.append(LastHeightKnown(self._last_height))",
        "pass",
    ),
    Mutant(
        "epoch-left-one-block-late",
        "M8",
        "node/succession.py",
        "return self._last_height is not None and height >= self._last_height",
        "return self._last_height is not None and height > self._last_height",
    ),
    # --- the ledger ---
    Mutant(
        "transactions-executed-twice",
        "X4",
        "ledger/execution.py",
        "        raise Refused(pb.RESULT_CODE_REPEATED)\n",
        "        pass\n",
    ),
    Mutant(
        "transactions-of-nobody",
        "T2",
        "ledger/transaction.py",
        "if not suite.verify(Domain.SIGN_TRANSACTION, body.public_key, body_raw, signature):",
        "if not signature:",
    ),
    Mutant(
        "fetched-blocks-not-proved",
        "C11",
        "ledger/block_apply.py",
        "    verify_certificate(genesis.suite, membership, block.certificate, height, block_hash)\n",
        "",
    ),
    Mutant(
        "membership-in-force-one-slot-early",
        "M5",
        "ledger/epochs.py",
        "Height(place[0] + watermark_window + 1),",
        "Height(place[0] + watermark_window),",
    ),
    Mutant(
        "one-wrong-clock-is-enough",
        "T5",
        "node/clock.py",
        "return median_low(offsets_ms) if len(offsets_ms) >= self._enough else 0",
        "return max(offsets_ms) if len(offsets_ms) >= self._enough else 0",
    ),
)

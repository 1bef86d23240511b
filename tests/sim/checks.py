"""Checks that know nothing of the core: they see what leaves a machine, what is on its disk and what it finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from huzheng.v1 import block_pb2, consensus_pb2

from consensus.events import Equivocation, Ready
from consensus.votes import PeerPayload
from ledger.block import ExecutedBlock
from ledger.crypto import Domain, ReplicaId
from ledger.store import layout
from tests.sim.chain_checks import ChainChecks
from tests.sim.consortium import Consortium
from tests.sim.witnesses import Witnesses

if TYPE_CHECKING:
    from tests.sim.machine import Machine

_DOMAINS = {
    consensus_pb2.MESSAGE_KIND_PRE_PREPARE: Domain.SIGN_PRE_PREPARE,
    consensus_pb2.MESSAGE_KIND_PREPARE: Domain.SIGN_PREPARE,
    consensus_pb2.MESSAGE_KIND_COMMIT: Domain.SIGN_COMMIT,
    consensus_pb2.MESSAGE_KIND_SEAL: Domain.SIGN_SEAL,
    consensus_pb2.MESSAGE_KIND_VIEW_CHANGE: Domain.SIGN_VIEW_CHANGE,
    consensus_pb2.MESSAGE_KIND_NEW_VIEW: Domain.SIGN_NEW_VIEW,
}

_OF_VIEWS = (consensus_pb2.MESSAGE_KIND_VIEW_CHANGE, consensus_pb2.MESSAGE_KIND_NEW_VIEW)


class Checks:
    """Everything that must hold of the correct replicas, from the first to the last life of each."""

    def __init__(self, consortium: Consortium, is_liar: Callable[[ReplicaId], bool]) -> None:
        self._suite = consortium.suite
        self._chain_id = consortium.genesis.chain_id
        self.is_liar = is_liar
        self.chain = ChainChecks(consortium)
        self.witnesses = Witnesses(consortium, is_liar)
        self.said: dict[tuple[int, ...], bytes] = {}
        """The body signed for each (replica, kind, epoch, view, sequence)."""
        self.left: dict[tuple[int, int], int] = {}
        """The highest view that each correct replica asked for in each epoch."""
        self.accused: set[ReplicaId] = set()
        self.proved: set[tuple[ReplicaId, int]] = set()
        """By whom, and of which kind, two different messages for one place were kept."""
        self.reasons: set[str] = set()
        """Why messages were refused, for runs that must have met every lie."""

    def on_started(self, machine: Machine) -> None:
        """A machine comes up."""
        if not machine.is_liar:
            self.chain.on_started(machine.id, machine.ledger.store)
        self.witnesses.on_started(machine.id, machine.height, self.chain.epochs)

    def on_stored(self, machine: Machine, block: ExecutedBlock, certificate: bytes) -> None:
        """A block became durable at a correct replica, and with it what followed from the votes for it."""
        self.chain.on_stored(machine.id, block, certificate)
        self.witnesses.on_stored(machine.id, block.height, self.chain.epochs)

    # --- what leaves a correct replica ---

    def on_leaving(self, machine: Machine, payload: PeerPayload) -> None:
        """Whatever is signed is on the signer's disk first, and contradicts nothing that it ever said."""
        if isinstance(payload, consensus_pb2.Proposal):
            payload = payload.pre_prepare
        if isinstance(payload, consensus_pb2.Envelope):
            self._check_durable(machine, payload)
            self._check_consistent(payload)

    def _check_consistent(self, envelope: consensus_pb2.Envelope) -> None:
        """A correct replica never signs two different things for the same kind, view and sequence, and nothing new in a view it left."""
        epoch, view, number = _place(envelope)
        if self.is_liar(ReplicaId(envelope.replica)):
            return
        replica, kind = envelope.replica, envelope.kind
        key = (replica, kind, epoch, view, number)
        if kind != consensus_pb2.MESSAGE_KIND_SEAL and key not in self.said:
            left = self.left.get((replica, epoch), 0)
            assert view >= left, f"replica {replica} signed something of kind {kind} in view {view} after {left}"
        if kind == consensus_pb2.MESSAGE_KIND_VIEW_CHANGE:
            self.left[replica, epoch] = max(view, self.left.get((replica, epoch), 0))
        if kind == consensus_pb2.MESSAGE_KIND_NEW_VIEW and key not in self.said:
            # It may be the only message that ever carries these from their signer.
            for pre_prepare in consensus_pb2.NewView.FromString(envelope.body).pre_prepares:
                self._check_consistent(pre_prepare)
        body = self.said.setdefault(key, envelope.body)
        assert body == envelope.body, f"replica {replica} signed two different things of kind {kind} for {number}"

    def _check_durable(self, machine: Machine, envelope: consensus_pb2.Envelope) -> None:
        """What carries a signature of this replica is on its disk before it leaves, unless its block is there already."""
        if envelope.replica != machine.id:
            return
        epoch, view, number = _place(envelope)
        votes = machine.disk.values(layout.VOTE)
        if any(envelope.signature in value for value in votes):
            return
        settled = 0 < number <= machine.height
        # Left again already: nothing more is ever signed for that view, and the log holds what there is of the newest one only.
        left = envelope.kind in _OF_VIEWS and view < logged_view(votes, epoch)
        assert settled or left, f"replica {machine.id} sends a message of kind {envelope.kind} that is not on its disk"

    # --- what a correct replica finds ---

    def on_ready(self, replica: ReplicaId, ready: Ready) -> None:
        """Nobody correct is accused or found faulty by anyone correct."""
        for peer, reason in ready.faulty.items():
            assert self.is_liar(peer), f"replica {replica} finds correct replica {peer} faulty: {reason}"
            self.reasons.add(reason)
        self.reasons.update(trace.fields["reason"] for trace in ready.trace if "reason" in trace.fields)
        for proof in ready.evidence:
            self._check_evidence(proof)
            self.accused.add(proof.replica)
            self.proved.add((proof.replica, proof.first.kind))

    def _check_evidence(self, proof: Equivocation) -> None:
        """Two valid signatures of one liar under two different things for one place."""
        first, second = proof.first, proof.second
        assert self.is_liar(proof.replica), f"correct replica {proof.replica} is accused"
        assert first.replica == second.replica == proof.replica
        assert first.kind == second.kind
        assert _place(first) == _place(second)
        assert first.body != second.body
        key = self.chain.epochs[_place(first)[0]].keys[proof.replica]
        for envelope in (first, second):
            message = self._chain_id + envelope.body
            assert self._suite.verify(_DOMAINS[envelope.kind], key, message, envelope.signature)

    # --- at the end ---

    def check_prefixes(self, machines: list[Machine]) -> None:
        """Every correct replica's database holds the one chain, as far as it goes, and every acknowledged transaction in it."""
        for machine in machines:
            store, height = machine.ledger.store, machine.height
            assert store.tip.block_hash == self.chain.hashes[height - 1] if height else True
            for transaction_id, place in self.chain.places.items():
                stored = store.transaction_place(transaction_id)
                assert place > height or stored is not None, f"replica {machine.id} lost what it acknowledged"


def logged_view(votes: list[bytes], epoch: int) -> int:
    """The view of an epoch that the log on disk binds its replica to."""
    entries = map(consensus_pb2.VoteLogEntry.FromString, votes)
    return max((entry.view.view for entry in entries if entry.view.epoch == epoch), default=0)


def _place(envelope: consensus_pb2.Envelope) -> tuple[int, int, int]:
    """Epoch, view and sequence or height."""
    if envelope.kind == consensus_pb2.MESSAGE_KIND_SEAL:
        seal = block_pb2.Seal.FromString(envelope.body)
        return seal.epoch, 0, seal.height
    if envelope.kind == consensus_pb2.MESSAGE_KIND_VIEW_CHANGE:
        change = consensus_pb2.ViewChange.FromString(envelope.body)
        return change.epoch, change.view, 0
    if envelope.kind == consensus_pb2.MESSAGE_KIND_NEW_VIEW:
        new_view = consensus_pb2.NewView.FromString(envelope.body)
        return new_view.epoch, new_view.view, 0
    vote = consensus_pb2.Vote.FromString(envelope.body)
    return vote.epoch, vote.view, vote.sequence

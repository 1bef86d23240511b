"""Checks that know nothing of the core: they see what was sent over the wire and what was stored."""

from __future__ import annotations

from collections.abc import Callable

from huzheng.v1 import block_pb2, consensus_pb2

from consensus.events import Equivocation, Ready
from ledger.crypto import Domain, Height, Membership, ReplicaId, Suite, seal_message
from tests.sim.core.witness import Witness

_DOMAINS = {
    consensus_pb2.MESSAGE_KIND_PRE_PREPARE: Domain.SIGN_PRE_PREPARE,
    consensus_pb2.MESSAGE_KIND_PREPARE: Domain.SIGN_PREPARE,
    consensus_pb2.MESSAGE_KIND_COMMIT: Domain.SIGN_COMMIT,
    consensus_pb2.MESSAGE_KIND_SEAL: Domain.SIGN_SEAL,
    consensus_pb2.MESSAGE_KIND_VIEW_CHANGE: Domain.SIGN_VIEW_CHANGE,
    consensus_pb2.MESSAGE_KIND_NEW_VIEW: Domain.SIGN_NEW_VIEW,
}


class Checks:
    """Everything that must hold of the correct replicas, from the first to the last life of each."""

    def __init__(self, suite: Suite, membership: Membership, window: int, is_liar: Callable[[ReplicaId], bool]) -> None:
        self.suite = suite
        self.membership = membership
        self.is_liar = is_liar
        self.witness = Witness(suite, membership, window, is_liar)
        self.said: dict[tuple[int, ...], bytes] = {}
        """The body signed for each (replica, kind, view, sequence)."""
        self.left: dict[int, int] = {}
        """The highest view that each correct replica asked for."""
        self.chain: list[bytes] = []
        """The block hash of each height that some correct replica stored."""
        self.acknowledged: set[bytes] = set()
        """Requests that some correct replica stored: a client may have its answer."""
        self.accused: set[ReplicaId] = set()
        self.proved: set[tuple[ReplicaId, int]] = set()
        """By whom, and of which kind, two different messages for one place were kept."""
        self.reasons: set[str] = set()
        """Why messages were refused, for runs that must have met every lie."""

    def on_sent(self, envelope: consensus_pb2.Envelope) -> None:
        """A correct replica never signs two different things for the same kind, view and sequence, and nothing new in a view it left."""
        if self.is_liar(ReplicaId(envelope.replica)):
            return
        view, number = _place(envelope)
        key = (envelope.replica, envelope.kind, view, number)
        if envelope.kind != consensus_pb2.MESSAGE_KIND_SEAL and key not in self.said:
            left = self.left.get(envelope.replica, 0)
            assert view >= left, f"replica {key[0]} signed something of kind {key[1]} in view {view} after {left}"
        if envelope.kind == consensus_pb2.MESSAGE_KIND_VIEW_CHANGE:
            self.left[envelope.replica] = max(view, self.left.get(envelope.replica, 0))
        if envelope.kind == consensus_pb2.MESSAGE_KIND_NEW_VIEW and key not in self.said:
            # The proposals in it may travel later, and be passed on when their primary has left.
            for proposal in consensus_pb2.NewView.FromString(envelope.body).pre_prepares:
                self.on_sent(proposal)
        body = self.said.setdefault(key, envelope.body)
        assert body == envelope.body, f"replica {key[0]} signed two different things of kind {key[1]} for {key[3]}"

    def on_stored(self, replica: ReplicaId, height: Height, block_hash: bytes, certificate: bytes) -> None:
        """One block a height, and a quorum sealed it."""
        self.witness.on_stored(replica, height)
        self.check_certificate(certificate, height, block_hash)
        if height <= len(self.chain):
            assert self.chain[height - 1] == block_hash, f"replica {replica} disagrees at height {height}"
        else:
            assert height == len(self.chain) + 1, f"replica {replica} stored height {height} after {len(self.chain)}"
            self.chain.append(block_hash)

    def check_certificate(self, certificate: bytes, height: Height, block_hash: bytes) -> None:
        """The seals of more than (n + f) / 2 distinct members, each valid."""
        n = len(self.membership.members)
        keys = {member.replica: member.public_key for member in self.membership.members}
        message = seal_message(self.membership.chain_id, self.membership.epoch, height, block_hash)
        seals = block_pb2.Certificate.FromString(certificate).seals
        for seal in seals:
            key = keys[ReplicaId(seal.replica)]
            assert self.suite.verify(Domain.SIGN_SEAL, key, message, seal.signature)
        assert 2 * len({seal.replica for seal in seals}) > n + (n - 1) // 3, f"no quorum at height {height}"

    def on_ready(self, replica: ReplicaId, ready: Ready) -> None:
        """Nobody correct is accused or found faulty by anyone correct."""
        for peer, reason in ready.faulty.items():
            assert self.is_liar(peer), f"replica {replica} finds correct replica {peer} faulty: {reason}"
            self.reasons.add(reason)
        self.reasons.update(trace.fields["reason"] for trace in ready.trace if "reason" in trace.fields)
        for decided in ready.decided:
            self.witness.on_decided(replica, decided)
        for check in ready.checks:
            self.witness.on_check(replica, check)
        for proof in ready.evidence:
            self.check_evidence(proof)
            self.accused.add(proof.replica)
            self.proved.add((proof.replica, proof.first.kind))

    def check_evidence(self, proof: Equivocation) -> None:
        """Two valid signatures of one liar under two different things for one place."""
        first, second = proof.first, proof.second
        assert self.is_liar(proof.replica), f"correct replica {proof.replica} is accused"
        assert first.replica == second.replica == proof.replica
        assert first.kind == second.kind
        assert _place(first) == _place(second)
        assert first.body != second.body
        member = self.membership.member(proof.replica)
        assert member is not None
        for envelope in (first, second):
            message = self.membership.chain_id + envelope.body
            assert self.suite.verify(_DOMAINS[envelope.kind], member.public_key, message, envelope.signature)


def _place(envelope: consensus_pb2.Envelope) -> tuple[int, int]:
    if envelope.kind == consensus_pb2.MESSAGE_KIND_SEAL:
        return 0, block_pb2.Seal.FromString(envelope.body).height
    if envelope.kind == consensus_pb2.MESSAGE_KIND_VIEW_CHANGE:
        return consensus_pb2.ViewChange.FromString(envelope.body).view, 0
    if envelope.kind == consensus_pb2.MESSAGE_KIND_NEW_VIEW:
        return consensus_pb2.NewView.FromString(envelope.body).view, 0
    vote = consensus_pb2.Vote.FromString(envelope.body)
    return vote.view, vote.sequence

"""The witness of each epoch, as all that is said, logged and stored in a cluster comes to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from google.protobuf.message import DecodeError
from huzheng.v1 import consensus_pb2

from consensus.events import Ready
from consensus.votes import PeerPayload, claimed_epoch
from ledger.crypto import Epoch, Height, Member, Membership, ReplicaId
from tests.sim.chain_checks import KnownEpoch
from tests.sim.consortium import Consortium
from tests.sim.witness import Witness


class Witnesses:
    """Follows all that is said in one cluster, through all its epochs."""

    def __init__(self, consortium: Consortium, is_liar: Callable[[ReplicaId], bool]) -> None:
        self._consortium = consortium
        self._is_liar = is_liar
        self._of: list[Witness] = []
        self._begin(consortium.genesis.membership, 0)

    def _begin(self, membership: Membership, base: int) -> None:
        window = self._consortium.genesis.parameters.watermark_window
        self._of.append(Witness(self._consortium.suite, membership, window, self._is_liar, base))

    def of(self, epoch: int) -> Witness | None:
        """Of an epoch that some correct replica knows; None for another."""
        return self._of[epoch] if epoch < len(self._of) else None

    @property
    def conflicts(self) -> int:
        """How many views were a choice between two batches for one sequence."""
        return sum(witness.conflicts for witness in self._of)

    @property
    def proposed_again(self) -> int:
        """How many views began with something that was prepared before."""
        return sum(witness.proposed_again for witness in self._of)

    # --- what is seen ---

    def on_started(self, replica: ReplicaId, height: Height, epochs: Sequence[KnownEpoch]) -> None:
        """It comes up; its last block may have become durable in the moment that the power failed."""
        self.on_stored(replica, height, epochs)
        for witness in self._of:
            witness.on_started(replica)

    def on_sent(self, sender: ReplicaId, payload: PeerPayload) -> None:
        """Somebody says something."""
        epoch = _epoch_of(payload)
        witness = None if epoch is None else self.of(epoch)
        if witness is not None:
            witness.on_sent(sender, payload)
        else:
            is_signed = isinstance(payload, consensus_pb2.Envelope | consensus_pb2.Proposal)
            assert not is_signed or self._is_liar(sender), f"replica {sender} speaks of epoch {epoch}"

    def on_delivered(self, sender: ReplicaId, target: ReplicaId, payload: PeerPayload) -> None:
        """Something reached a replica that was up."""
        epoch = _epoch_of(payload)
        witness = None if epoch is None else self.of(epoch)
        if witness is not None:
            witness.on_delivered(sender, target, payload)

    def on_acting(self, replica: ReplicaId, epoch: Epoch, ready: Ready) -> None:
        """What the core of a correct replica wants done is about to be done."""
        witness = self._of[epoch]
        witness.on_logged(replica, ready.votes)
        for decided in ready.decided:
            witness.on_decided(replica, decided)
        for check in ready.checks:
            witness.on_check(replica, check)

    def on_stored(self, replica: ReplicaId, height: Height, epochs: Sequence[KnownEpoch]) -> None:
        """A block is durable at a correct replica; it may have begun another epoch."""
        for witness in self._of:
            witness.on_stored(replica, height)
        for number in range(len(self._of), len(epochs)):
            known = epochs[number]
            members = tuple(Member(replica, "", key) for replica, key in sorted(known.keys.items()))
            chain_id, last = self._consortium.genesis.chain_id, known.first_height - 1
            self._of[-1].last = last
            self._begin(Membership(chain_id, Epoch(number), members), last)


def _epoch_of(payload: PeerPayload) -> int | None:
    """Of which epoch a message claims to be; None if it is unreadable or of none."""
    if isinstance(payload, consensus_pb2.ReplicaStatus | consensus_pb2.Greeting):
        return payload.epoch
    envelope = payload.pre_prepare if isinstance(payload, consensus_pb2.Proposal) else payload
    if not isinstance(envelope, consensus_pb2.Envelope):
        return None
    try:
        return claimed_epoch(envelope)
    except DecodeError:
        return None

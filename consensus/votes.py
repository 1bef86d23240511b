"""Signed consensus messages: an unverified envelope goes in, a `Vote`, `SealVote`, `ViewChange` or `NewView` comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from huzheng.v1 import block_pb2, consensus_pb2

from ledger.crypto import strict
from ledger.crypto.domains import Domain
from ledger.crypto.membership import Membership, seal_message, verify_certificate
from ledger.crypto.suite import Signer, Suite
from ledger.crypto.types import Epoch, Height, ReplicaId, Seq, View
from ledger.errors import HuzhengError

PRE_PREPARE = consensus_pb2.MESSAGE_KIND_PRE_PREPARE
PREPARE = consensus_pb2.MESSAGE_KIND_PREPARE
COMMIT = consensus_pb2.MESSAGE_KIND_COMMIT
SEAL = consensus_pb2.MESSAGE_KIND_SEAL
VIEW_CHANGE = consensus_pb2.MESSAGE_KIND_VIEW_CHANGE
NEW_VIEW = consensus_pb2.MESSAGE_KIND_NEW_VIEW

DOMAIN_OF_KIND: dict[int, Domain] = {
    PRE_PREPARE: Domain.SIGN_PRE_PREPARE,
    PREPARE: Domain.SIGN_PREPARE,
    COMMIT: Domain.SIGN_COMMIT,
    SEAL: Domain.SIGN_SEAL,
    VIEW_CHANGE: Domain.SIGN_VIEW_CHANGE,
    NEW_VIEW: Domain.SIGN_NEW_VIEW,
}


@dataclass(frozen=True, slots=True)
class Vote:
    """A PRE-PREPARE, PREPARE or COMMIT whose strict form, epoch, sender and signature hold (C2)."""

    replica: ReplicaId
    kind: int
    view: View
    sequence: Seq
    batch_digest: bytes
    envelope: consensus_pb2.Envelope


@dataclass(frozen=True, slots=True)
class SealVote:
    """A seal: this replica executed the block at `height` and its hash is `block_hash`."""

    replica: ReplicaId
    height: Height
    block_hash: bytes
    envelope: consensus_pb2.Envelope


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A stored block. Its certificate is empty only where the epoch starts from it."""

    height: Height
    block_hash: bytes
    certificate: bytes


@dataclass(frozen=True, slots=True)
class ViewChange:
    """A VIEW-CHANGE whose own signature holds; what it holds is not yet checked (C15)."""

    replica: ReplicaId
    view: View
    checkpoint: Checkpoint
    prepared: tuple[consensus_pb2.PreparedCertificate, ...]
    envelope: consensus_pb2.Envelope


@dataclass(frozen=True, slots=True)
class NewView:
    """A NEW-VIEW whose own signature holds; what it holds is not yet checked (C17)."""

    replica: ReplicaId
    view: View
    view_changes: tuple[consensus_pb2.Envelope, ...]
    pre_prepares: tuple[consensus_pb2.Envelope, ...]
    envelope: consensus_pb2.Envelope


Content = Vote | SealVote | ViewChange | NewView


@dataclass(frozen=True, slots=True)
class Claim:
    """What an envelope says, with its signature not yet checked: to be looked at, never to be acted on."""

    content: Content


@dataclass(frozen=True, slots=True)
class PreparedSlot:
    """A prepared certificate that holds (C6)."""

    pre_prepare: Vote
    prepares: tuple[Vote, ...]
    certificate: consensus_pb2.PreparedCertificate


def is_prepared_certificate(pre_prepare: Vote, prepares: Sequence[Vote], membership: Membership) -> bool:
    """C6: the primary's PRE-PREPARE and q − 1 matching PREPAREs of distinct backups, ordered by replica. The signatures hold already."""
    replicas = [prepare.replica for prepare in prepares]
    return (
        pre_prepare.kind == PRE_PREPARE
        and pre_prepare.replica == membership.primary(pre_prepare.view)
        and len(replicas) == membership.q - 1
        and replicas == sorted(set(replicas))
        and pre_prepare.replica not in replicas
        and all(prepare.kind == PREPARE and is_same_choice(prepare, pre_prepare) for prepare in prepares)
    )


def is_same_choice(one: Vote, other: Vote) -> bool:
    """Whether two votes are for the same batch in the same slot and view."""
    return (one.view, one.sequence, one.batch_digest) == (other.view, other.sequence, other.batch_digest)


def claimed_epoch(envelope: consensus_pb2.Envelope) -> int:
    """Of which epoch an envelope says it is; nothing in it is checked. Raises DecodeError for what is no message at all."""
    if envelope.kind == SEAL:
        return block_pb2.Seal.FromString(envelope.body).epoch
    if envelope.kind == VIEW_CHANGE:
        return consensus_pb2.ViewChange.FromString(envelope.body).epoch
    if envelope.kind == NEW_VIEW:
        return consensus_pb2.NewView.FromString(envelope.body).epoch
    return consensus_pb2.Vote.FromString(envelope.body).epoch


class Authenticator:
    """Reads and verifies envelopes of one epoch; holds no secret."""

    def __init__(self, suite: Suite, membership: Membership) -> None:
        self._suite = suite
        self.membership = membership
        self._readers: dict[int, Callable[[consensus_pb2.Envelope], Content | None]] = {
            SEAL: self._read_seal,
            VIEW_CHANGE: self._read_view_change,
            NEW_VIEW: self._read_new_view,
        }

    def read(self, envelope: consensus_pb2.Envelope) -> Claim | None:
        """What the envelope claims; None when it can't be a message of this epoch (C2).

        Cheap, so that what is stale or already known costs no signature check. What it gives carries the envelope's known
        fields alone: no signature covers others, and they would make what is logged unreadable.
        """
        if envelope.kind not in DOMAIN_OF_KIND or self.membership.member(ReplicaId(envelope.replica)) is None:
            return None
        known = consensus_pb2.Envelope(
            replica=envelope.replica, kind=envelope.kind, body=envelope.body, signature=envelope.signature
        )
        try:
            content = self._readers.get(known.kind, self._read_vote)(known)
        except HuzhengError:
            return None
        return None if content is None else Claim(content)

    def _read_seal(self, envelope: consensus_pb2.Envelope) -> SealVote | None:
        body = strict.read(block_pb2.Seal, envelope.body)
        if body.epoch != self.membership.epoch or len(body.block_hash) != 32:
            return None
        return SealVote(ReplicaId(envelope.replica), Height(body.height), body.block_hash, envelope)

    def _read_vote(self, envelope: consensus_pb2.Envelope) -> Vote | None:
        body = strict.read(consensus_pb2.Vote, envelope.body)
        if body.epoch != self.membership.epoch or len(body.batch_digest) != 32:
            return None
        replica = ReplicaId(envelope.replica)
        return Vote(replica, envelope.kind, View(body.view), Seq(body.sequence), body.batch_digest, envelope)

    def _read_view_change(self, envelope: consensus_pb2.Envelope) -> ViewChange | None:
        body = strict.read(consensus_pb2.ViewChange, envelope.body)
        if body.epoch != self.membership.epoch or not body.HasField("checkpoint"):
            return None
        point = body.checkpoint
        if len(point.block_hash) != 32:
            return None
        checkpoint = Checkpoint(Height(point.height), point.block_hash, point.certificate)
        return ViewChange(ReplicaId(envelope.replica), View(body.view), checkpoint, tuple(body.prepared), envelope)

    def _read_new_view(self, envelope: consensus_pb2.Envelope) -> NewView | None:
        body = strict.read(consensus_pb2.NewView, envelope.body)
        if body.epoch != self.membership.epoch:
            return None
        replica, view = ReplicaId(envelope.replica), View(body.view)
        return NewView(replica, view, tuple(body.view_changes), tuple(body.pre_prepares), envelope)

    def verify(self, claim: Claim) -> Content | None:
        """The claim's content once its signature holds; None otherwise."""
        envelope = claim.content.envelope
        member = self.membership.member(ReplicaId(envelope.replica))
        holds = member is not None and self._suite.verify(
            DOMAIN_OF_KIND[envelope.kind],
            member.public_key,
            self.membership.chain_id + envelope.body,
            envelope.signature,
        )
        return claim.content if holds else None

    def batch_digest(self, batch: bytes) -> bytes:
        """The hash that votes name a batch by (C1), 32 bytes."""
        return self._suite.digest(Domain.BATCH, batch)

    def verified(self, envelope: consensus_pb2.Envelope) -> Content | None:
        """The content of an envelope; None when it is no message of this epoch, or its signature does not hold."""
        claim = self.read(envelope)
        return None if claim is None else self.verify(claim)

    def verified_vote(self, envelope: consensus_pb2.Envelope, kind: int) -> Vote | None:
        """As `verified`, and only a vote of this kind will do."""
        content = self.verified(envelope) if envelope.kind == kind else None
        return content if isinstance(content, Vote) else None

    def certifies(self, checkpoint: Checkpoint) -> bool:
        """Whether the checkpoint's certificate proves its block in this epoch (I4)."""
        try:
            verify_certificate(
                self._suite, self.membership, checkpoint.certificate, checkpoint.height, checkpoint.block_hash
            )
        except HuzhengError:
            return False
        return True

    def prepared_choice(self, certificate: consensus_pb2.PreparedCertificate) -> PreparedSlot | None:
        """What a prepared certificate proves (C6); None when it proves nothing."""
        pre_prepare = self.verified_vote(certificate.pre_prepare, PRE_PREPARE)
        prepares = [self.verified_vote(envelope, PREPARE) for envelope in certificate.prepares]
        sound = [prepare for prepare in prepares if prepare is not None]
        if pre_prepare is None or len(sound) != len(prepares):
            return None
        if not is_prepared_certificate(pre_prepare, sound, self.membership):
            return None
        return PreparedSlot(pre_prepare, tuple(sound), certificate)


class EnvelopeSigner:
    """Makes this replica's envelopes. Only `consensus.safety` may hold one."""

    def __init__(self, signer: Signer, replica: ReplicaId, chain_id: bytes, epoch: Epoch) -> None:
        self._signer = signer
        self.replica = replica
        self._chain_id = chain_id
        self._epoch = epoch

    def vote(self, kind: int, view: View, sequence: Seq, batch_digest: bytes) -> Vote:
        """A signed PRE-PREPARE, PREPARE or COMMIT."""
        body = strict.write(
            consensus_pb2.Vote(epoch=self._epoch, view=view, sequence=sequence, batch_digest=batch_digest)
        )
        envelope = self._envelope(kind, body, self._chain_id + body)
        return Vote(self.replica, kind, view, sequence, batch_digest, envelope)

    def seal(self, height: Height, block_hash: bytes) -> SealVote:
        """A signed seal."""
        message = seal_message(self._chain_id, self._epoch, height, block_hash)
        envelope = self._envelope(SEAL, message[len(self._chain_id) :], message)
        return SealVote(self.replica, height, block_hash, envelope)

    def view_change(
        self, view: View, checkpoint: Checkpoint, prepared: Iterable[consensus_pb2.PreparedCertificate]
    ) -> ViewChange:
        """A signed VIEW-CHANGE."""
        certificates = tuple(prepared)
        point = consensus_pb2.Checkpoint(
            height=checkpoint.height, block_hash=checkpoint.block_hash, certificate=checkpoint.certificate
        )
        body = strict.write(
            consensus_pb2.ViewChange(epoch=self._epoch, view=view, checkpoint=point, prepared=certificates)
        )
        envelope = self._envelope(VIEW_CHANGE, body, self._chain_id + body)
        return ViewChange(self.replica, view, checkpoint, certificates, envelope)

    def new_view(
        self,
        view: View,
        view_changes: Sequence[consensus_pb2.Envelope],
        pre_prepares: Sequence[consensus_pb2.Envelope],
    ) -> NewView:
        """A signed NEW-VIEW."""
        body = strict.write(
            consensus_pb2.NewView(epoch=self._epoch, view=view, view_changes=view_changes, pre_prepares=pre_prepares)
        )
        envelope = self._envelope(NEW_VIEW, body, self._chain_id + body)
        return NewView(self.replica, view, tuple(view_changes), tuple(pre_prepares), envelope)

    def _envelope(self, kind: int, body: bytes, message: bytes) -> consensus_pb2.Envelope:
        signature = self._signer.sign(DOMAIN_OF_KIND[kind], message)
        return consensus_pb2.Envelope(
            replica=self.replica,
            kind=consensus_pb2.MessageKind.ValueType(kind),
            body=body,
            signature=signature,
        )


PeerPayload = (
    consensus_pb2.Proposal
    | consensus_pb2.Envelope
    | consensus_pb2.ReplicaStatus
    | consensus_pb2.Greeting
    | consensus_pb2.BatchFound
)
"""What a replica sends to another."""

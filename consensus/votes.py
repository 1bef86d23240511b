"""Signed consensus messages: an unverified envelope goes in, a `Vote` or a `SealVote` comes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from huzheng.v1 import block_pb2, consensus_pb2

from ledger.crypto import strict
from ledger.crypto.domains import Domain
from ledger.crypto.membership import Membership, seal_message
from ledger.crypto.suite import Signer, Suite
from ledger.crypto.types import Epoch, Height, ReplicaId, Seq, View
from ledger.errors import Code, HuzhengError

PRE_PREPARE = consensus_pb2.MESSAGE_KIND_PRE_PREPARE
PREPARE = consensus_pb2.MESSAGE_KIND_PREPARE
COMMIT = consensus_pb2.MESSAGE_KIND_COMMIT
SEAL = consensus_pb2.MESSAGE_KIND_SEAL

DOMAIN_OF_KIND: dict[int, Domain] = {
    PRE_PREPARE: Domain.SIGN_PRE_PREPARE,
    PREPARE: Domain.SIGN_PREPARE,
    COMMIT: Domain.SIGN_COMMIT,
    SEAL: Domain.SIGN_SEAL,
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
class Claim:
    """What an envelope says, with its signature not yet checked: to be looked at, never to be acted on."""

    content: Vote | SealVote


def is_prepared_certificate(pre_prepare: Vote, prepares: Sequence[Vote], quorum: int) -> bool:
    """C6: a PRE-PREPARE and q − 1 matching PREPAREs of distinct backups, ordered by replica. The signatures hold already."""
    replicas = [prepare.replica for prepare in prepares]
    return (
        pre_prepare.kind == PRE_PREPARE
        and len(replicas) == quorum - 1
        and replicas == sorted(set(replicas))
        and pre_prepare.replica not in replicas
        and all(prepare.kind == PREPARE and is_same_choice(prepare, pre_prepare) for prepare in prepares)
    )


def is_same_choice(one: Vote, other: Vote) -> bool:
    """Whether two votes are for the same batch in the same slot and view."""
    return (one.view, one.sequence, one.batch_digest) == (other.view, other.sequence, other.batch_digest)


class Authenticator:
    """Reads and verifies envelopes of one epoch; holds no secret."""

    def __init__(self, suite: Suite, membership: Membership) -> None:
        self._suite = suite
        self.membership = membership

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
            content = self._read_seal(known) if known.kind == SEAL else self._read_vote(known)
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

    def verify(self, claim: Claim) -> Vote | SealVote | None:
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

    def require(self, envelope: consensus_pb2.Envelope) -> Vote | SealVote:
        """The content of an envelope that must verify. Raises HuzhengError(BAD_SIGNATURE)."""
        claim = self.read(envelope)
        content = self.verify(claim) if claim is not None else None
        if content is None:
            raise HuzhengError(Code.BAD_SIGNATURE, "consensus message")
        return content


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

    def _envelope(self, kind: int, body: bytes, message: bytes) -> consensus_pb2.Envelope:
        signature = self._signer.sign(DOMAIN_OF_KIND[kind], message)
        return consensus_pb2.Envelope(
            replica=self.replica,
            kind=consensus_pb2.MessageKind.ValueType(kind),
            body=body,
            signature=signature,
        )


PeerPayload = consensus_pb2.Proposal | consensus_pb2.Envelope | consensus_pb2.ReplicaStatus
"""What a replica sends to another."""

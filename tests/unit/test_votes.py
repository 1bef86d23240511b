"""Which envelopes count (docs/protocol.md C1, C2): golden ones, and what is wrong with the others."""

from __future__ import annotations

import pytest
from huzheng.v1 import block_pb2, consensus_pb2

from consensus.votes import (
    COMMIT,
    DOMAIN_OF_KIND,
    PRE_PREPARE,
    PREPARE,
    SEAL,
    Authenticator,
    Claim,
    Content,
    EnvelopeSigner,
    SealVote,
    Vote,
    is_prepared_certificate,
)
from ledger.crypto import ED25519_SHA256, SIMULATION, Epoch, ReplicaId, Seq
from ledger.crypto.types import View
from tests.one_replica import (
    CHAIN_ID,
    CountingSuite,
    digest_of,
    envelopes_of,
    forged,
    membership_of,
    seal_of,
    signer_of,
    vote_of,
)

KINDS = (PRE_PREPARE, PREPARE, COMMIT)
MEMBERSHIP = membership_of(4)
AUTHENTICATOR = Authenticator(SIMULATION, MEMBERSHIP)


def signed(
    kind: int, body: bytes, replica: int = 3, signed_as: int | None = None, chain_id: bytes = CHAIN_ID
) -> consensus_pb2.Envelope:
    domain = DOMAIN_OF_KIND[signed_as or kind]
    return consensus_pb2.Envelope(
        replica=replica,
        kind=consensus_pb2.MessageKind.ValueType(kind),
        body=body,
        signature=signer_of(replica).sign(domain, chain_id + body),
    )


def body(epoch: int = 0, view: int = 0, sequence: int = 1, digest: bytes = bytes(range(32))) -> bytes:
    vote = consensus_pb2.Vote(epoch=epoch, view=view, sequence=sequence, batch_digest=digest)
    return vote.SerializeToString(deterministic=True)


def content_of(envelope: consensus_pb2.Envelope) -> Content:
    content = AUTHENTICATOR.verified(envelope)
    assert content is not None
    return content


def counts(envelope: consensus_pb2.Envelope) -> bool:
    claim = AUTHENTICATOR.read(envelope)
    return claim is not None and AUTHENTICATOR.verify(claim) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_a_vote_is_read_back_as_it_was_signed(kind: int) -> None:
    vote = envelopes_of(3).vote(kind, View(2), Seq(7), digest_of("A"))
    assert AUTHENTICATOR.verified(vote.envelope) == vote
    assert vote == Vote(ReplicaId(3), kind, View(2), Seq(7), digest_of("A"), vote.envelope)


def test_a_seal_is_read_back_as_it_was_signed() -> None:
    seal = seal_of(3, 7, "X")
    assert AUTHENTICATOR.verified(seal.envelope) == seal
    assert isinstance(seal, SealVote)


def test_real_signatures_are_read_back_too() -> None:
    signer = EnvelopeSigner(ED25519_SHA256.signer(bytes(32)), ReplicaId(1), CHAIN_ID, Epoch(0))
    vote = signer.vote(COMMIT, View(0), Seq(1), digest_of("A"))
    assert ED25519_SHA256.verify(
        DOMAIN_OF_KIND[COMMIT],
        ED25519_SHA256.signer(bytes(32)).public_key,
        CHAIN_ID + vote.envelope.body,
        vote.envelope.signature,
    )


@pytest.mark.parametrize("claimed", [*KINDS, SEAL])
@pytest.mark.parametrize("signed_as", [*KINDS, SEAL])
def test_a_signature_counts_for_its_own_kind_only(signed_as: int, claimed: int) -> None:
    seal = block_pb2.Seal(height=1, block_hash=bytes(range(32))).SerializeToString(deterministic=True)
    content = seal if claimed == SEAL else body()
    assert counts(signed(claimed, content, signed_as=signed_as)) == (signed_as == claimed)


@pytest.mark.parametrize(
    ("what", "envelope"),
    [
        ("no kind", signed(0, body(), signed_as=PREPARE)),
        ("an unknown kind", signed(9, body(), signed_as=PREPARE)),
        ("a replica that is no member", signed(PREPARE, body(), replica=5)),
        ("replica zero", signed(PREPARE, body(), replica=0)),
        ("another epoch", signed(PREPARE, body(epoch=1))),
        ("a short digest", signed(PREPARE, body(digest=bytes(range(31))))),
        ("a long digest", signed(PREPARE, body(digest=bytes(range(33))))),
        ("no digest", signed(PREPARE, body(digest=b""))),
        ("no body", signed(PREPARE, b"")),
        ("a body that is no message", signed(PREPARE, b"\xff" * 40)),
        ("a body cut off", signed(PREPARE, body()[:-1])),
        ("a body with an unknown field", signed(PREPARE, body() + b"\x28\x01")),
        ("a body with a field that holds its default", signed(PREPARE, b"\x08\x00" + body())),
        ("a seal's epoch", signed(SEAL, block_pb2.Seal(epoch=1, height=1, block_hash=bytes(32)).SerializeToString())),
        ("a seal without its hash", signed(SEAL, block_pb2.Seal(height=1).SerializeToString())),
        ("a vote in the place of a seal", signed(SEAL, body(view=3))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cant_be_a_message_of_this_epoch_is_not_read(what: str, envelope: consensus_pb2.Envelope) -> None:
    assert AUTHENTICATOR.read(envelope) is None, what


@pytest.mark.parametrize("kind", KINDS)
def test_who_did_not_sign_is_not_believed(kind: int) -> None:
    sound = vote_of(3, kind, 1, "A").envelope
    assert counts(sound)
    assert not counts(forged(sound))
    assert not counts(signed(kind, sound.body, chain_id=b"d" * 32))
    for change in ({"replica": 4}, {"signature": b""}, {"signature": sound.signature + b"\0"}, {"body": body()}):
        other = consensus_pb2.Envelope(replica=3, kind=sound.kind, body=sound.body, signature=sound.signature)
        for name, value in change.items():
            setattr(other, name, value)
        assert not counts(other)
        assert AUTHENTICATOR.verified(other) is None


def test_reading_checks_no_signature() -> None:
    suite = CountingSuite()
    authenticator = Authenticator(suite, MEMBERSHIP)
    claim = authenticator.read(forged(vote_of(3, COMMIT, 1, "A").envelope))
    assert isinstance(claim, Claim)
    assert suite.verify_count == 0
    assert authenticator.verify(claim) is None
    assert suite.verify_count == 1


def test_fields_that_no_signature_covers_are_dropped() -> None:
    sound = vote_of(3, COMMIT, 1, "A").envelope
    padded = consensus_pb2.Envelope.FromString(sound.SerializeToString() + b"\x7a\x04junk")
    assert padded != sound
    assert content_of(padded).envelope == sound


def test_a_prepared_certificate_is_a_proposal_and_prepares_of_distinct_backups() -> None:
    proposal = vote_of(1, PRE_PREPARE, 1, "A")
    two, three, four = (vote_of(replica, PREPARE, 1, "A") for replica in (2, 3, 4))

    def is_sound(*prepares: Vote, pre_prepare: Vote = proposal) -> bool:
        return is_prepared_certificate(pre_prepare, prepares, membership_of(4))

    assert is_sound(two, three)
    assert is_sound(two, four)
    assert not is_sound(two), "one short"
    assert not is_sound(two, three, four), "one too many"
    assert not is_sound(two, two), "one replica twice"
    assert not is_sound(three, two), "out of order"
    assert not is_sound(vote_of(1, PREPARE, 1, "A"), two), "the primary is no backup"
    assert not is_sound(two, vote_of(3, COMMIT, 1, "A")), "another kind"
    assert not is_sound(two, vote_of(3, PREPARE, 1, "B")), "another batch"
    assert not is_sound(two, vote_of(3, PREPARE, 2, "A")), "another slot"
    assert not is_sound(two, vote_of(3, PREPARE, 1, "A", view=1)), "another view"
    assert not is_sound(two, three, pre_prepare=vote_of(1, PREPARE, 1, "A")), "no proposal"

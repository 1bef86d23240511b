"""One replica's core against a peer that sends what no correct replica sends."""

from __future__ import annotations

from itertools import count

from huzheng.v1 import consensus_pb2

from consensus.batching import BatchingPolicy
from consensus.events import (
    BatchChecked,
    BatchVerdict,
    EnvelopeReceived,
    GreetingReceived,
    ProposalReceived,
    Ready,
    StatusReceived,
)
from consensus.replica import Replica, ReplicaConfig
from consensus.votes import COMMIT, PRE_PREPARE, PREPARE, Checkpoint, EnvelopeSigner, Vote
from ledger.crypto import SIMULATION, Domain, Epoch, Height, Member, Membership, ReplicaId, Seq
from ledger.crypto.types import View

SIGNERS = {ReplicaId(i): SIMULATION.signer(bytes([i]) * 32) for i in range(1, 5)}
MEMBERSHIP = Membership(
    b"c" * 32, Epoch(0), tuple(Member(i, f"d{i}", signer.public_key) for i, signer in SIGNERS.items())
)
PRIMARY, OWN, PEER, LIAR = SIGNERS
BATCH = b"batch"


def new_replica(own: ReplicaId = OWN) -> Replica:
    policy = BatchingPolicy(pipeline_depth=4, heartbeat_ms=10_000, full_bytes=1_000)
    config = ReplicaConfig(SIMULATION, MEMBERSHIP, own, SIGNERS[own], 16, 1 << 10, policy)
    core = Replica(config, Checkpoint(Height(0), bytes(32), b""), [], 0)
    for member in MEMBERSHIP.members:
        core.step(GreetingReceived(member.replica, consensus_pb2.Greeting()), 0)
    core.ready()
    return core


def vote(replica: ReplicaId, kind: int, sequence: int, digest: bytes) -> Vote:
    signer = EnvelopeSigner(SIGNERS[replica], replica, MEMBERSHIP.chain_id, MEMBERSHIP.epoch)
    return signer.vote(kind, View(0), Seq(sequence), digest)


def unsigned(replica: ReplicaId, kind: int, sequence: int) -> consensus_pb2.Envelope:
    forged = consensus_pb2.Envelope()
    forged.CopyFrom(vote(replica, kind, sequence, b"d" * 32).envelope)
    forged.signature = bytes(64)
    return forged


def digest_of(batch: bytes) -> bytes:
    return SIMULATION.digest(Domain.BATCH, batch)


def reasons(ready: Ready) -> list[str]:
    return [trace.fields["reason"] for trace in ready.trace if "reason" in trace.fields]


def test_a_bad_signature_is_the_fault_of_who_sent_it_and_ends_the_hearing() -> None:
    replica = new_replica()
    for _ in range(1_000):
        replica.step(EnvelopeReceived(LIAR, unsigned(PEER, COMMIT, 1)), 1)
    ready = replica.ready()
    assert ready.faulty == {LIAR: "bad signature"}
    assert reasons(ready) == ["bad signature"]
    replica.step(EnvelopeReceived(PEER, vote(PEER, COMMIT, 1, b"d" * 32).envelope), 2)
    assert replica.ready().faulty == {}


def test_a_batch_that_was_not_signed_is_the_fault_of_who_sent_it() -> None:
    sound = vote(PRIMARY, PRE_PREPARE, 1, digest_of(BATCH)).envelope
    large = vote(PRIMARY, PRE_PREPARE, 1, digest_of(bytes(2_000))).envelope
    for pre_prepare, batch, reason in (
        (sound, b"another", "batch is not the one signed"),
        (large, bytes(2_000), "batch too large"),
        (unsigned(PRIMARY, PRE_PREPARE, 1), BATCH, "bad signature"),
    ):
        replica = new_replica()
        replica.step(ProposalReceived(LIAR, pre_prepare, batch), 1)
        ready = replica.ready()
        assert ready.faulty == {LIAR: reason}
        assert not ready.checks
        replica.step(ProposalReceived(PEER, sound, BATCH), 2)
        assert len(replica.ready().checks) == 1


def test_equivocation_is_proven_once() -> None:
    replica = new_replica()
    for number in range(200):
        replica.step(EnvelopeReceived(LIAR, vote(LIAR, COMMIT, 3, bytes([number]) * 32).envelope), 1)
    ready = replica.ready()
    assert len(ready.evidence) == 1
    assert not ready.faulty
    replica.step(EnvelopeReceived(LIAR, vote(LIAR, PREPARE, 3, b"1" * 32).envelope), 2)
    replica.step(EnvelopeReceived(LIAR, vote(LIAR, PREPARE, 3, b"2" * 32).envelope), 2)
    assert len(replica.ready().evidence) == 1, "another kind is another lie"


def test_an_equivocating_primary_is_proven_once() -> None:
    replica = new_replica()
    for number in range(50):
        batch = bytes([number])
        pre_prepare = vote(PRIMARY, PRE_PREPARE, 1, digest_of(batch)).envelope
        replica.step(ProposalReceived(PRIMARY, pre_prepare, batch), 1)
    ready = replica.ready()
    assert len(ready.evidence) == 1
    assert len(ready.checks) == 1


def test_a_flood_of_statuses_gets_few_answers() -> None:
    replica = new_replica()
    for sequence in range(1, 5):
        pre_prepare = vote(PRIMARY, PRE_PREPARE, sequence, digest_of(BATCH)).envelope
        replica.step(ProposalReceived(PRIMARY, pre_prepare, BATCH), 1)
        replica.step(BatchChecked(Seq(sequence), digest_of(BATCH), replica.primary, BatchVerdict.VALID), 1)
    replica.ready()
    asks = consensus_pb2.ReplicaStatus(stored_height=0)
    for now_ms in range(5_000, 6_000):
        for _ in range(10):
            replica.step(StatusReceived(LIAR, asks), now_ms)
    answers = [send for send in replica.ready().sends if send.to == LIAR]
    assert 0 < len(answers) <= 10 * 8
    for now_ms, _ in zip(count(6_000, 250), range(4), strict=False):
        replica.step(StatusReceived(PEER, asks), now_ms)
        assert [send for send in replica.ready().sends if send.to == PEER]


def test_one_liar_about_heights_does_not_make_this_replica_late() -> None:
    replica = new_replica()
    replica.step(StatusReceived(LIAR, consensus_pb2.ReplicaStatus(stored_height=2**64 - 1)), 1)
    assert replica.network_height == 0
    assert replica.peer_height(LIAR) == 2**64 - 1
    replica.step(StatusReceived(PEER, consensus_pb2.ReplicaStatus(stored_height=7)), 1)
    assert replica.network_height == 7

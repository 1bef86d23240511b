"""One replica of the production core, with all others played by the test; what it wants done comes back as short lines of text.

Batches and blocks are named by letters: batch "A" is the byte A, and its digest and block hashes show as their names.
"""

from __future__ import annotations

from collections.abc import Iterable

from huzheng.v1 import consensus_pb2

from consensus.batching import BatchingPolicy
from consensus.events import (
    BatchChecked,
    BatchVerdict,
    BlockExecuted,
    BlockStored,
    EnvelopeReceived,
    Event,
    FetchEnded,
    GreetingReceived,
    PeerConnected,
    ProposalReceived,
    ProposeBatch,
    Ready,
    StatusReceived,
    TimePassed,
)
from consensus.replica import Replica, ReplicaConfig
from consensus.vote_log import LogEntry
from consensus.votes import (
    COMMIT,
    PRE_PREPARE,
    PREPARE,
    Authenticator,
    Checkpoint,
    EnvelopeSigner,
    NewView,
    PeerPayload,
    SealVote,
    ViewChange,
    Vote,
)
from ledger.crypto import (
    SIMULATION,
    Domain,
    Epoch,
    Height,
    Member,
    Membership,
    ReplicaId,
    Seq,
    Signer,
    build_certificate,
)
from ledger.crypto.types import HashState, View

CHAIN_ID = b"c" * 32
WINDOW = 8
NAMES = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

LOG_KINDS = {
    b"a": "accepted",
    b"p": "prepared",
    b"s": "seal",
    b"v": "view",
    b"c": "view change",
    b"n": "new view",
    b"x": "ended key",
}

Lines = list[str]


class CountingSuite:
    """The simulation suite; counts how many signatures were checked."""

    name = SIMULATION.name

    def __init__(self) -> None:
        self.verify_count = 0

    def digest(self, domain: Domain, *parts: bytes) -> bytes:
        return SIMULATION.digest(domain, *parts)

    def plain_hash(self, data: bytes) -> bytes:
        return SIMULATION.plain_hash(data)

    def plain_state(self, prefix: bytes) -> HashState:
        return SIMULATION.plain_state(prefix)

    def verify(self, domain: Domain, public_key: bytes, message: bytes, signature: bytes) -> bool:
        self.verify_count += 1
        return SIMULATION.verify(domain, public_key, message, signature)

    def is_admissible_key(self, public_key: bytes) -> bool:
        return SIMULATION.is_admissible_key(public_key)

    def signer(self, seed: bytes) -> Signer:
        return SIMULATION.signer(seed)


def batch_of(name: str) -> bytes:
    return name.encode()


def digest_of(name: str) -> bytes:
    return SIMULATION.digest(Domain.BATCH, batch_of(name))


def block_hash_of(name: str) -> bytes:
    return SIMULATION.digest(Domain.BLOCK, name.encode())


_NAME_OF = {digest_of(name): name for name in NAMES} | {block_hash_of(name): name for name in NAMES}


def name_of(digest: bytes) -> str:
    return _NAME_OF.get(digest, digest.hex()[:6])


def signer_of(replica: int) -> Signer:
    return SIMULATION.signer(bytes([replica]) * 32)


def membership_of(n: int, epoch: int = 0) -> Membership:
    members = tuple(Member(ReplicaId(i), f"d{i}", signer_of(i).public_key) for i in range(1, n + 1))
    return Membership(CHAIN_ID, Epoch(epoch), members)


def envelopes_of(replica: int, epoch: int = 0) -> EnvelopeSigner:
    return EnvelopeSigner(signer_of(replica), ReplicaId(replica), CHAIN_ID, Epoch(epoch))


def vote_of(replica: int, kind: int, sequence: int, name: str, view: int = 0, epoch: int = 0) -> Vote:
    return envelopes_of(replica, epoch).vote(kind, View(view), Seq(sequence), digest_of(name))


def seal_of(replica: int, height: int, name: str, epoch: int = 0) -> SealVote:
    return envelopes_of(replica, epoch).seal(Height(height), block_hash_of(name))


def forged(envelope: consensus_pb2.Envelope) -> consensus_pb2.Envelope:
    """The same with a signature that does not hold."""
    copy = consensus_pb2.Envelope()
    copy.CopyFrom(envelope)
    copy.signature = bytes(64)
    return copy


class OneReplica:
    """Replica 2 of 4, a backup, unless told otherwise. Each method feeds one event and gives the lines of its `ready()`."""

    def __init__(
        self, own: int = 2, n: int = 4, stored: int = 0, pipeline_depth: int = 4, window: int = WINDOW
    ) -> None:
        self.suite = CountingSuite()
        self.own = ReplicaId(own)
        self.membership = membership_of(n)
        self.policy = BatchingPolicy(pipeline_depth, heartbeat_ms=10_000, full_bytes=1_000, worthwhile_transactions=4)
        self.config = ReplicaConfig(
            self.suite, self.membership, self.own, signer_of(own), window, max_batch_bytes=1_000, batching=self.policy
        )
        self.now_ms = 1_000
        self.disk: dict[bytes, bytes] = {}
        self.sent: list[PeerPayload] = []
        self.last = Ready()
        self.start(stored)
        self.sent.clear()

    def start(self, stored: int, disk: Iterable[LogEntry] | None = None, *, greeted: bool = True) -> None:
        """Starts, or starts anew after a crash, with what is on disk; all others greet it as one they have never heard of."""
        if disk is not None:
            self.disk = dict(disk)
        self.core = Replica(self.config, self.checkpoint(stored), self.disk.items(), self.now_ms)
        self.take()
        if greeted:
            for member in self.membership.members:
                if member.replica != self.own:
                    self.feed(GreetingReceived(member.replica, consensus_pb2.Greeting()))

    def checkpoint(self, height: int, name: str = "S") -> Checkpoint:
        """A stored block with its certificate; block 0 needs none."""
        if height == 0:
            return Checkpoint(Height(0), block_hash_of(name), b"")
        seals = {
            member.replica: seal_of(member.replica, height, name).envelope.signature
            for member in self.membership.members
        }
        return Checkpoint(Height(height), block_hash_of(name), build_certificate(self.membership, seals))

    # --- events ---

    def feed(self, event: Event) -> Lines:
        self.core.step(event, self.now_ms)
        return self.take()

    def take(self) -> Lines:
        ready = self.last = self.core.ready()
        self.disk.update(ready.votes)
        self.sent.extend(send.payload for send in ready.sends)
        return list(self._lines(ready))

    def proposal(self, name: str, sequence: int = 1, by: int = 1, sender: int | None = None, view: int = 0) -> Lines:
        envelope = vote_of(by, PRE_PREPARE, sequence, name, view).envelope
        return self.feed(ProposalReceived(ReplicaId(sender or by), envelope, batch_of(name)))

    def checked(
        self, name: str, sequence: int = 1, verdict: BatchVerdict = BatchVerdict.VALID, by: int | None = None
    ) -> Lines:
        proposer = self.core.primary if by is None else ReplicaId(by)
        return self.feed(BatchChecked(Seq(sequence), digest_of(name), proposer, verdict))

    def early(self, name: str, sequence: int = 1) -> Lines:
        return self.checked(name, sequence, BatchVerdict.EARLY)

    def prepare(self, by: int, name: str, sequence: int = 1, view: int = 0) -> Lines:
        return self.envelope(by, vote_of(by, PREPARE, sequence, name, view).envelope)

    def commit(self, by: int, name: str, sequence: int = 1, view: int = 0) -> Lines:
        return self.envelope(by, vote_of(by, COMMIT, sequence, name, view).envelope)

    def seal(self, by: int, name: str, height: int = 1) -> Lines:
        return self.envelope(by, seal_of(by, height, name).envelope)

    def envelope(self, sender: int, envelope: consensus_pb2.Envelope) -> Lines:
        return self.feed(EnvelopeReceived(ReplicaId(sender), envelope))

    def propose(self, name: str, transactions: int = 1) -> Lines:
        return self.feed(ProposeBatch(batch_of(name), transactions))

    def executed(self, name: str, height: int = 1) -> Lines:
        return self.feed(BlockExecuted(Height(height), block_hash_of(name)))

    def stored(self, height: int = 1) -> Lines:
        """A block became durable; in the same write the log was trimmed."""
        self.disk = {k: v for k, v in self.disk.items() if not 0 < int.from_bytes(k[:8], "big") <= height}
        return self.feed(BlockStored(self.checkpoint(height)))

    def status(self, by: int, stored: int, view: int = 0, epoch: int = 0) -> Lines:
        status = consensus_pb2.ReplicaStatus(epoch=epoch, view=view, stored_height=stored, view_entered=True)
        return self.feed(StatusReceived(ReplicaId(by), status))

    def fetch_ended(self, helper: int | None = None, complete: bool = True) -> Lines:
        return self.feed(FetchEnded(None if helper is None else ReplicaId(helper), complete))

    def connected(self, peer: int) -> Lines:
        return self.feed(PeerConnected(ReplicaId(peer)))

    def later(self, delay_ms: int) -> Lines:
        self.now_ms += delay_ms
        return self.feed(TimePassed())

    def order(self, name: str, sequence: int, *, certify: bool = True) -> None:
        """Takes a backup through a whole height, with the votes of all others."""
        self.proposal(name, sequence)
        self.checked(name, sequence)
        others = [member.replica for member in self.membership.members if member.replica != self.own]
        for replica in others[1:]:
            self.prepare(replica, name, sequence)
        for replica in others:
            self.commit(replica, name, sequence)
        self.executed(name, sequence)
        for replica in others if certify else []:
            self.seal(replica, name, sequence)

    # --- what came of them ---

    def sent_envelopes(self) -> list[bytes]:
        """The bytes of all votes and pre-prepares sent so far."""
        return [
            _envelope_in(p).SerializeToString()
            for p in self.sent
            if isinstance(p, consensus_pb2.Proposal | consensus_pb2.Envelope)
        ]

    def _lines(self, ready: Ready) -> Iterable[str]:
        for key, _ in ready.votes:
            kind = LOG_KINDS[key[8:9]]
            yield f"log {kind} {int.from_bytes(key[:8], 'big')}"
        for send in ready.sends:
            yield f"send {'all' if send.to is None else send.to} {self.describe(send.payload)}"
        for check in ready.checks:
            yield f"check {check.sequence} {name_of(check.batch_digest)}"
        for decided in ready.decided:
            yield f"decide {decided.height} {decided.batch.decode()}"
        for certified in ready.certified:
            yield f"certify {certified.height} {name_of(certified.block_hash)}"
        if ready.fetch is not None:
            yield f"fetch from {ready.fetch.from_height} of {' '.join(map(str, ready.fetch.peers))}"
        for proof in ready.evidence:
            yield f"evidence {self.describe(proof.first)} and {self.describe(proof.second)} by {proof.replica}"
        for replica, reason in ready.faulty.items():
            yield f"faulty {replica}: {reason}"
        if ready.diverged is not None:
            yield f"diverged {ready.diverged.height} {name_of(ready.diverged.certified_hash)}"
        for trace in ready.trace:
            if trace.event == "ignored":
                yield f"ignore {trace.fields['sender']}: {trace.fields['reason']}"
            elif trace.event not in ("faulty", "equivocation", "diverged"):
                yield trace.event

    def describe(self, payload: PeerPayload) -> str:
        if isinstance(payload, consensus_pb2.ReplicaStatus):
            slots = "".join(f", {_describe_slot(slot)}" for slot in payload.slots)
            return f"status {payload.stored_height}{slots}"
        if isinstance(payload, consensus_pb2.Greeting):
            return f"greeting of {len(payload.seen)}"
        if isinstance(payload, consensus_pb2.BatchFound):
            return f"batch {payload.batch.decode()}"
        content = Authenticator(SIMULATION, self.membership).verified(_envelope_in(payload))
        if isinstance(content, ViewChange):
            return f"VIEW-CHANGE {content.view}"
        if isinstance(content, NewView):
            return f"NEW-VIEW {content.view}"
        assert content is not None
        if isinstance(content, SealVote):
            return f"SEAL {content.height} {name_of(content.block_hash)}"
        kinds: dict[int, str] = {PRE_PREPARE: "PRE-PREPARE", PREPARE: "PREPARE", COMMIT: "COMMIT"}
        return f"{kinds[content.kind]} {content.sequence} {name_of(content.batch_digest)}"


def _envelope_in(payload: consensus_pb2.Proposal | consensus_pb2.Envelope) -> consensus_pb2.Envelope:
    return payload.pre_prepare if isinstance(payload, consensus_pb2.Proposal) else payload


def _describe_slot(slot: consensus_pb2.SlotStatus) -> str:
    states = [("batch", slot.has_batch), ("prepared", slot.prepared), ("committed", slot.committed)]
    return " ".join([str(slot.sequence), *(name for name, holds in states if holds)])

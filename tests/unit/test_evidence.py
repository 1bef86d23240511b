"""What is kept of a replica that said two different things."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huzheng.v1 import consensus_pb2

from consensus.events import Equivocation
from consensus.votes import PREPARE, Authenticator, EnvelopeSigner, Vote
from ledger.crypto import SIMULATION, Epoch, Member, Membership, ReplicaId, Seq
from ledger.crypto.types import View
from ledger.errors import Code, HuzhengError
from node import evidence
from node.evidence import EvidenceFile, read_proofs
from tests.builders import Consortium
from tests.one_replica import membership_of, vote_of

FIRST, SECOND = vote_of(3, PREPARE, 7, "A"), vote_of(3, PREPARE, 7, "B")
MEMBERS = membership_of(4)
PROOF = Equivocation(FIRST.replica, FIRST.sequence, FIRST.envelope, SECOND.envelope)


def test_anyone_can_check_what_is_kept(tmp_path: Path) -> None:
    file = EvidenceFile(tmp_path / "data")
    file.keep(PROOF, MEMBERS)
    file.keep(PROOF, MEMBERS)
    lines = [json.loads(line) for line in (tmp_path / "data.evidence.jsonl").read_text().splitlines()]
    assert [(line["replica"], line["sequence"]) for line in lines] == [(3, 7), (3, 7)]
    authenticator = Authenticator(SIMULATION, membership_of(4))
    digests = set()
    for name in ("first", "second"):
        found = authenticator.verified(consensus_pb2.Envelope.FromString(bytes.fromhex(lines[0][name])))
        assert isinstance(found, Vote)
        assert (found.replica, found.kind, found.sequence) == (3, PREPARE, 7)
        digests.add(found.batch_digest)
    assert len(digests) == 2


def test_a_replica_that_goes_on_does_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "MAX_FILE_BYTES", 1_000)
    file = EvidenceFile(tmp_path / "data")
    for _ in range(20):
        file.keep(PROOF, MEMBERS)
    assert 1_000 <= file.path.stat().st_size < 2_500


def test_where_it_cannot_be_kept_the_node_goes_on(tmp_path: Path) -> None:
    EvidenceFile(tmp_path / "gone" / "data").keep(PROOF, MEMBERS)


def proof_by(consortium: Consortium, replica: int, first: tuple[int, bytes], second: tuple[int, bytes]) -> Equivocation:
    """Two PREPAREs of a replica, each for a sequence and a batch's digest."""
    membership = consortium.genesis.membership
    signer = consortium.replica_signers[ReplicaId(replica)]
    envelopes = EnvelopeSigner(signer, ReplicaId(replica), membership.chain_id, membership.epoch)
    one, other = (envelopes.vote(PREPARE, View(2), Seq(sequence), digest) for sequence, digest in (first, second))
    return Equivocation(one.replica, one.sequence, one.envelope, other.envelope)


def test_proofs_are_read_back_and_verified_anew(tmp_path: Path) -> None:
    consortium = Consortium()
    data = tmp_path / "data"
    file = EvidenceFile(data)
    assert list(read_proofs(data, consortium.genesis)) == []
    file.keep(proof_by(consortium, 3, (7, b"a" * 32), (7, b"b" * 32)), consortium.genesis.membership)
    file.keep(proof_by(consortium, 3, (7, b"a" * 32), (8, b"b" * 32)), consortium.genesis.membership)
    file.keep(proof_by(consortium, 3, (7, b"a" * 32), (7, b"a" * 32)), consortium.genesis.membership)
    file.keep(PROOF, MEMBERS)
    sound, *others = read_proofs(data, consortium.genesis)
    assert (sound.replica, sound.kind, sound.view, sound.sequence, sound.holds) == (3, "PREPARE", 2, 7, True)
    assert [proof.holds for proof in others] == [False, False, False], "another place, the same twice, another chain"


def test_a_proof_of_a_later_epoch_is_judged_by_the_key_that_was_noted(tmp_path: Path) -> None:
    consortium = Consortium()
    chain_id, signer = consortium.genesis.chain_id, consortium.signer("replica 3, second key")
    members = Membership(chain_id, Epoch(2), (Member(ReplicaId(3), "housing", signer.public_key),))
    other = Membership(chain_id, Epoch(2), (Member(ReplicaId(3), "housing", consortium.signer("x").public_key),))
    envelopes = EnvelopeSigner(signer, ReplicaId(3), chain_id, Epoch(2))
    one, two = (envelopes.vote(PREPARE, View(0), Seq(9), digest) for digest in (b"a" * 32, b"b" * 32))
    file = EvidenceFile(tmp_path / "data")
    for membership in (members, other):
        file.keep(Equivocation(ReplicaId(3), Seq(9), one.envelope, two.envelope), membership)
    sound, unsound = read_proofs(tmp_path / "data", consortium.genesis)
    assert (sound.epoch, sound.department, sound.public_key, sound.holds) == (2, "housing", signer.public_key, True)
    assert not unsound.holds


def test_a_line_cut_short_is_passed_over_and_a_damaged_one_is_said(tmp_path: Path) -> None:
    consortium = Consortium()
    file = EvidenceFile(tmp_path / "data")
    file.keep(proof_by(consortium, 3, (7, b"a" * 32), (7, b"b" * 32)), consortium.genesis.membership)
    whole = file.path.read_text()
    file.path.write_text(whole + whole[:50])
    assert len(list(read_proofs(tmp_path / "data", consortium.genesis))) == 1
    file.path.write_text(whole + whole[:50] + "\n")
    with pytest.raises(HuzhengError) as refused:
        list(read_proofs(tmp_path / "data", consortium.genesis))
    assert refused.value.code is Code.BAD_FILE
    assert refused.value.detail.endswith("line 2")

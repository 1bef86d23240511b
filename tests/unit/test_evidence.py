"""What is kept of a replica that said two different things."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from huzheng.v1 import consensus_pb2

from consensus.events import Equivocation
from consensus.votes import PREPARE, Authenticator, Vote
from ledger.crypto import SIMULATION
from node import evidence
from node.evidence import EvidenceFile
from tests.one_replica import membership_of, vote_of

FIRST, SECOND = vote_of(3, PREPARE, 7, "A"), vote_of(3, PREPARE, 7, "B")
PROOF = Equivocation(FIRST.replica, FIRST.sequence, FIRST.envelope, SECOND.envelope)


def test_anyone_can_check_what_is_kept(tmp_path: Path) -> None:
    file = EvidenceFile(tmp_path / "data")
    file.keep(PROOF)
    file.keep(PROOF)
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
        file.keep(PROOF)
    assert 1_000 <= file.path.stat().st_size < 2_500


def test_where_it_cannot_be_kept_the_node_goes_on(tmp_path: Path) -> None:
    EvidenceFile(tmp_path / "gone" / "data").keep(PROOF)

"""Golden consensus messages and vote logs (docs/protocol.md C1, C2, C10)."""

from __future__ import annotations

from typing import Any

import pytest
from huzheng.v1 import consensus_pb2

from consensus.vote_log import read_vote_log
from consensus.votes import Authenticator, NewView, SealVote, ViewChange, Vote
from ledger.crypto import Epoch, Member, Membership, ReplicaId, suite_named
from ledger.errors import Code, HuzhengError
from tests.vectors import load

VECTORS = load("consensus.json")
MEMBERS = tuple(
    Member(ReplicaId(member["replica"]), "d", bytes.fromhex(member["public_key"])) for member in VECTORS["members"]
)
MEMBERSHIP = Membership(bytes.fromhex(VECTORS["chain_id"]), Epoch(VECTORS["epoch"]), MEMBERS)
AUTHENTICATOR = Authenticator(suite_named(VECTORS["suite"]), MEMBERSHIP)


def name_of(case: dict[str, Any]) -> str:
    return str(case["name"])


def test_the_batch_digest_is_the_golden_one() -> None:
    assert AUTHENTICATOR.batch_digest(bytes.fromhex(VECTORS["batch"])).hex() == VECTORS["batch_digest"]


@pytest.mark.parametrize("case", VECTORS["envelopes"], ids=name_of)
def test_an_envelope_counts_or_not_as_its_name_says(case: dict[str, Any]) -> None:
    envelope = consensus_pb2.Envelope.FromString(bytes.fromhex(case["envelope"]))
    claim = AUTHENTICATOR.read(envelope)
    content = None if claim is None else AUTHENTICATOR.verify(claim)
    assert (content is not None) == case["valid"]


@pytest.mark.parametrize("case", [case for case in VECTORS["envelopes"] if case["valid"]], ids=name_of)
def test_a_sound_envelope_says_what_its_body_says(case: dict[str, Any]) -> None:
    envelope = consensus_pb2.Envelope.FromString(bytes.fromhex(case["envelope"]))
    content = AUTHENTICATOR.verified(envelope)
    assert content is not None
    assert content.envelope == envelope
    assert content.replica == envelope.replica
    if isinstance(content, Vote):
        assert content.batch_digest.hex() == VECTORS["batch_digest"]
    assert isinstance(content, SealVote) == (case["name"] == "seal")
    assert isinstance(content, ViewChange) == case["name"].startswith("VIEW-CHANGE")
    assert isinstance(content, NewView) == case["name"].startswith("NEW-VIEW")


@pytest.mark.parametrize("case", VECTORS["vote_logs"], ids=name_of)
def test_a_vote_log_is_read_or_is_corrupt_as_its_name_says(case: dict[str, Any]) -> None:
    entries = [(bytes.fromhex(key), bytes.fromhex(value)) for key, value in case["entries"]]
    if case["valid"]:
        restored = read_vote_log(entries, AUTHENTICATOR, ReplicaId(VECTORS["own"]))
        found = len(restored.accepted) + len(restored.prepared) + len(restored.seals) + (restored.view > 0)
        found += (restored.view_change is not None) + (restored.new_view is not None) + restored.ended
        assert found == case["restored"]
        return
    with pytest.raises(HuzhengError) as refused:
        read_vote_log(entries, AUTHENTICATOR, ReplicaId(VECTORS["own"]))
    assert refused.value.code is Code.VOTE_LOG_CORRUPT

"""The vote log: what was logged is read back, and whatever is damaged in it is noticed (docs/protocol.md C10)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from huzheng.v1 import consensus_pb2

from consensus.vote_log import (
    LogEntry,
    RestoredVotes,
    accepted_entry,
    prepared_entry,
    read_vote_log,
    seal_entry,
    view_entry,
)
from consensus.votes import COMMIT, PRE_PREPARE, PREPARE, Authenticator, Vote
from ledger.crypto import SIMULATION, Epoch, ReplicaId, Seq
from ledger.crypto.types import View
from ledger.errors import Code, HuzhengError
from tests.one_replica import OneReplica, batch_of, digest_of, membership_of, seal_of, vote_of

OWN = ReplicaId(2)
EPOCH = Epoch(0)
AUTHENTICATOR = Authenticator(SIMULATION, membership_of(4))


def accepted(
    name: str = "A", sequence: int = 1, primary: int = 1, prepare: Vote | None = None, batch: bytes | None = None
) -> LogEntry:
    pre_prepare = vote_of(primary, PRE_PREPARE, sequence, name)
    proposal = consensus_pb2.Proposal(
        pre_prepare=pre_prepare.envelope, batch=batch_of(name) if batch is None else batch
    )
    logged = consensus_pb2.AcceptedProposal(proposal=proposal)
    if primary != OWN:
        logged.prepare.CopyFrom((prepare or vote_of(OWN, PREPARE, sequence, name)).envelope)
    return accepted_entry(Seq(sequence), View(0), logged)


def prepared(
    name: str = "A", by: Sequence[int] = (3, 4), commit: Vote | None = None, pre_prepare: Vote | None = None
) -> LogEntry:
    certificate = consensus_pb2.PreparedCertificate(
        pre_prepare=(pre_prepare or vote_of(1, PRE_PREPARE, 1, name)).envelope,
        prepares=[vote_of(replica, PREPARE, 1, name).envelope for replica in by],
    )
    slot = consensus_pb2.PreparedSlot(
        certificate=certificate, commit=(commit or vote_of(OWN, COMMIT, 1, name)).envelope
    )
    return prepared_entry(Seq(1), View(0), slot)


def seal(by: int = OWN, height: int = 1) -> LogEntry:
    return seal_entry(height, seal_of(by, height, "X").envelope)


def read(*entries: LogEntry) -> RestoredVotes:
    return read_vote_log(entries, AUTHENTICATOR, OWN)


def is_corrupt(*entries: LogEntry) -> bool:
    try:
        read(*entries)
    except HuzhengError as error:
        assert error.code is Code.VOTE_LOG_CORRUPT
        return True
    return False


def test_what_was_logged_is_read_back_whatever_the_order() -> None:
    entries = [seal(), prepared(), view_entry(EPOCH, View(0)), accepted(), accepted("B", 2, primary=OWN)]
    restored = read(*entries)
    assert read(*reversed(entries)) == restored
    first, second = restored.accepted
    assert first.prepare == vote_of(OWN, PREPARE, 1, "A")
    assert (first.batch, second.batch, second.prepare) == (b"A", b"B", None)
    [certificate] = restored.prepared
    assert certificate.commit == vote_of(OWN, COMMIT, 1, "A")
    assert [vote.replica for vote in certificate.slot.prepares] == [3, 4]
    assert restored.seals == [seal_of(OWN, 1, "X")]


def test_the_log_of_a_running_replica_is_read_back() -> None:
    replica = OneReplica()
    for sequence, name in enumerate("ABC", 1):
        replica.order(name, sequence, certify=False)
    restored = read(*replica.disk.items())
    assert (len(restored.accepted), len(restored.prepared), len(restored.seals)) == (3, 3, 3)


@pytest.mark.parametrize(
    "entries",
    [[view_entry(EPOCH, View(5))], [accepted()], [accepted(primary=OWN)], [accepted(), prepared()], [seal()]],
    ids=["view", "accepted", "proposed", "prepared", "seal"],
)
def test_any_byte_changed_cut_or_added_is_noticed(entries: list[LogEntry]) -> None:
    *before, (key, value) = entries
    assert not is_corrupt(*entries)
    for position in range(len(key)):
        for flip in (0x01, 0x80):
            changed = key[:position] + bytes([key[position] ^ flip]) + key[position + 1 :]
            assert is_corrupt(*before, (changed, value)), f"byte {position} of the key"
    for position in range(len(value)):
        for flip in (0x01, 0x10, 0x80, 0xFF):
            changed = value[:position] + bytes([value[position] ^ flip]) + value[position + 1 :]
            assert is_corrupt(*before, (key, changed)), f"byte {position} of the value"
        assert is_corrupt(*before, (key, value[:position])), f"cut at {position}"
    assert is_corrupt(*before, (key, value + b"\0"))
    assert is_corrupt(*before, (key + b"\0", value))
    assert is_corrupt(*before, (key, b""))


@pytest.mark.parametrize(
    ("what", "entries"),
    [
        ("another's seal", [seal(by=3)]),
        ("another's prepare", [accepted(prepare=vote_of(3, PREPARE, 1, "A"))]),
        ("a prepare of another slot", [accepted(prepare=vote_of(OWN, PREPARE, 2, "A"))]),
        ("a prepare of another batch", [accepted(prepare=vote_of(OWN, PREPARE, 1, "B"))]),
        ("a commit in the place of a prepare", [accepted(prepare=vote_of(OWN, COMMIT, 1, "A"))]),
        ("another batch than the one signed", [accepted(batch=b"B")]),
        ("no batch", [accepted(batch=b"")]),
        ("another's commit", [accepted(), prepared(commit=vote_of(3, COMMIT, 1, "A"))]),
        ("a commit to another batch", [accepted(), prepared(commit=vote_of(OWN, COMMIT, 1, "B"))]),
        ("a certificate one short", [accepted(), prepared(by=(3,))]),
        ("a certificate of one backup twice", [accepted(), prepared(by=(3, 3))]),
        ("a certificate without a proposal", [accepted(), prepared(pre_prepare=vote_of(1, COMMIT, 1, "A"))]),
        ("a prepared slot without its batch", [prepared()]),
        ("a prepared slot with another batch", [accepted("B"), prepared("A")]),
        ("an entry under another's key", [(accepted("A", 2)[0], accepted("A", 1)[1])]),
        ("an entry that says nothing", [(bytes(17), b"")]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_this_replica_never_logs_is_damage(what: str, entries: list[LogEntry]) -> None:
    assert is_corrupt(*entries), what


def test_keys_are_in_the_order_of_sequences_and_a_view_comes_first() -> None:
    keys = [view_entry(EPOCH, View(9)), accepted(), prepared(), seal(), accepted("B", 2), seal(height=300)]
    assert [key for key, _ in keys] == sorted(key for key, _ in keys)
    assert [int.from_bytes(key[:8], "big") for key, _ in keys] == [0, 1, 1, 1, 2, 300]


def test_a_view_overwrites_the_one_before() -> None:
    assert view_entry(EPOCH, View(1))[0] == view_entry(EPOCH, View(2**63))[0]
    assert read(view_entry(EPOCH, View(2**63))).view == 2**63


def test_a_damaged_log_says_where_and_shows_nothing_of_it() -> None:
    key, _ = accepted("A", 7)
    with pytest.raises(HuzhengError) as refused:
        read((key, b"broken"))
    assert refused.value.detail == "entry for sequence 7"


def test_a_replica_does_not_start_on_a_damaged_log() -> None:
    replica = OneReplica()
    replica.proposal("A")
    replica.checked("A")
    [(key, value)] = replica.disk.items()
    with pytest.raises(HuzhengError) as refused:
        replica.start(0, [(key, value.replace(batch_of("A"), batch_of("B")))])
    assert refused.value.code is Code.VOTE_LOG_CORRUPT
    assert digest_of("A") != digest_of("B")


def test_votes_written_while_their_block_trimmed_the_log_are_passed_over() -> None:
    """A COMMIT without its batch, and votes of the epoch that ended with the stored block."""
    replica = OneReplica()
    late = [prepared(), seal(height=2), accepted("C", 3)]
    replica.start(2, late)
    assert replica.core.may_vote
    assert is_corrupt(*late)
    with pytest.raises(HuzhengError):
        replica.start(0, late)

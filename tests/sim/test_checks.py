"""Checks of the checks: with a part of production broken, some seed of a few must fail, and for the right reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from huzheng.v1 import transaction_pb2

from consensus.events import Decided
from consensus.safety import SafetyRules
from ledger import block_apply, execution
from ledger.block import ExecutedBlock
from ledger.crypto import Height, Membership, ReplicaId
from ledger.epochs import epoch_at
from ledger.transaction import encode_batch
from tests.sim.cluster import Cluster
from tests.sim.faults import Faults
from tests.sim.ledger import Ledger
from tests.sim.liar_kinds import last_of
from tests.sim.plans import Change
from tests.sim.primaries import MeddlingPrimary
from tests.sim.requests import run
from tests.sim.test_membership import govern

BAD_WEATHER = Faults(drop=0.1, max_delay_ms=40, crash=0.01, max_down_ms=500)


def ordering(seed: int) -> None:
    run(Cluster(seed, 4, BAD_WEATHER), 20, limit_ms=60_000)


def meddling(seed: int) -> None:
    run(Cluster(seed, 4, Faults(max_delay_ms=20), liars={1: MeddlingPrimary}), 20, limit_ms=60_000)


def lying(seed: int) -> None:
    run(Cluster(seed, 4, BAD_WEATHER, max_down=1, liars=last_of(4)), 20, limit_ms=60_000)


def changing(seed: int) -> None:
    cluster = Cluster(seed, 4, BAD_WEATHER, followers=[5], watermark_window=4)
    govern(cluster, Change("add", 5), Change("rekey", 2))


def fails(play: Callable[[int], None], reason: str, seeds: int = 12) -> bool:
    """Whether one of the seeds fails for this reason."""
    for seed in range(seeds):
        try:
            play(seed)
        except Exception as failure:
            if reason in str(failure):
                return True
    return False


def test_votes_that_leave_before_they_are_durable_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SafetyRules, "take_unsaved", lambda _: ())
    assert fails(ordering, "not on its disk")


def test_certificates_of_too_few_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Membership, "q", property(lambda membership: membership.f + 1))
    assert fails(ordering, "no quorum")


def test_fetched_blocks_that_nobody_proved_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_apply, "verify_certificate", lambda *_: None)
    assert fails(lying, "no quorum")


def test_a_transaction_that_is_executed_twice_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "_check_admissible", lambda *_: None)
    assert fails(meddling, "executed twice")


def test_a_transaction_that_no_client_signed_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "_check_signer", lambda *_: None)
    assert fails(meddling, "nobody signed")


def test_an_epoch_in_force_a_block_too_late_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        execution, "epoch_at", lambda genesis, state, height: epoch_at(genesis, state, Height(height - 1))
    )
    assert fails(changing, "another height, parent or epoch", seeds=2)


def test_execution_that_depends_on_the_machine_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of four loses the last transaction of each batch."""
    true_execute = Ledger.execute

    def execute(ledger: Ledger, decided: Decided) -> ExecutedBlock | None:
        if ledger.replica == 2 and decided.batch:
            batch = transaction_pb2.Batch.FromString(decided.batch)
            shorter = encode_batch(ReplicaId(batch.proposer), batch.proposed_ms, batch.transactions[:-1])
            decided = Decided(decided.height, shorter)
        return true_execute(ledger, decided)

    monkeypatch.setattr(Ledger, "execute", execute)
    assert fails(ordering, "replica 2")

"""What liars do that know the protocol: every lie is told, met and refused, and the others go on."""

from __future__ import annotations

from functools import partial

import pytest

from consensus.replica import Replica
from consensus.votes import COMMIT, NEW_VIEW, PRE_PREPARE, PREPARE, SEAL, VIEW_CHANGE
from tests.sim.cluster import Cluster
from tests.sim.faults import Faults
from tests.sim.forgers import Dissenter, ProofForger, Usurper, ViewForger
from tests.sim.liar_kinds import last_of
from tests.sim.machine import Machine
from tests.sim.primaries import EquivocatingPrimary
from tests.sim.requests import requests, run
from tests.sim.silence import STATUS, Silence


def submit_one_by_one(cluster: Cluster, count: int, interval_ms: int) -> None:
    for i, request in enumerate(requests(cluster, count)):
        cluster.at(i * interval_ms, partial(cluster.submit, request))


def drop(cluster: Cluster, kind: int, senders: tuple[int, ...], targets: tuple[int, ...]) -> None:
    cluster.silences.append(Silence(kind, senders, targets))


def is_in_view(machine: Machine, view: int) -> bool:
    core = machine.core
    return isinstance(core, Replica) and core.view == view and core.is_view_entered


@pytest.mark.parametrize("n", [4, 7])
def test_those_who_vote_for_something_else_stop_nobody(n: int) -> None:
    cluster = Cluster(1, n, Faults(max_delay_ms=20), liars=last_of(n, Dissenter))
    run(cluster, 20, limit_ms=10_000)
    assert all(machine.core.view == 0 for machine in cluster.correct)


def test_two_different_votes_are_kept_as_proof_whatever_their_kind() -> None:
    proved: set[tuple[int, int]] = set()
    for seed in range(6):
        cluster = Cluster(seed, 7, Faults(max_delay_ms=20), liars={1: EquivocatingPrimary, 4: Dissenter})
        submit_one_by_one(cluster, 20, 30)
        cluster.run_for(4_000)
        proved |= cluster.checks.proved
    assert proved == {(1, PRE_PREPARE), (4, PREPARE), (4, COMMIT)}


def test_who_proposes_out_of_turn_is_not_listened_to() -> None:
    cluster = Cluster(1, 4, Faults(max_delay_ms=20), liars={3: Usurper})
    run(cluster, 20, limit_ms=10_000)
    assert "proposal not by a primary to a backup" in cluster.checks.reasons
    assert all(machine.core.view == 0 for machine in cluster.correct)


def test_a_view_change_that_proves_too_little_founds_no_view() -> None:
    """Whatever is wrong with it: something is prepared, and nothing committed until some views have passed."""
    reasons: set[str] = set()
    for seed in range(8):
        cluster = Cluster(seed, 4, Faults(max_delay_ms=20), liars={3: ProofForger})
        drop(cluster, COMMIT, (1, 2, 3, 4), (1, 2, 3, 4))
        submit_one_by_one(cluster, 4, 30)
        cluster.run_for(12_000)
        cluster.silences = []
        cluster.run_until(partial(cluster.everywhere, requests(cluster, 4)), 60_000)
        reasons |= cluster.checks.reasons
    assert "unsound view change" in reasons


def test_a_new_view_shows_nothing_that_was_prepared_in_it() -> None:
    """Its primary founded it soundly for the others, and had something prepared before it turned to the last one."""
    refused = 0
    for seed in range(6):
        cluster = Cluster(seed, 4, Faults(max_delay_ms=20), liars={2: ViewForger})
        drop(cluster, PRE_PREPARE, (1,), (2, 3, 4))
        drop(cluster, NEW_VIEW, (1, 4), (3,))
        submit_one_by_one(cluster, 10, 400)
        cluster.run_for(8_000)
        refused += "unsound new view" in cluster.checks.reasons
        cluster.silences = []
        cluster.run_until(partial(cluster.everywhere, requests(cluster, 10)), 60_000)
    assert refused > 0


@pytest.mark.parametrize("seed", [1, 5, 10])
def test_old_view_changes_found_no_view(seed: int) -> None:
    """Nothing is committed until many views have passed, and one primary in each round shows somebody VIEW-CHANGEs of a view before."""
    cluster = Cluster(seed, 4, Faults(max_delay_ms=20), liars={2: ViewForger})
    drop(cluster, COMMIT, (1, 2, 3, 4), (1, 2, 3, 4))
    submit_one_by_one(cluster, 4, 30)
    cluster.run_for(60_000)
    assert "unsound new view" in cluster.checks.reasons
    cluster.silences = []
    cluster.run_until(partial(cluster.everywhere, requests(cluster, 4)), 120_000)


def test_who_is_not_the_primary_founds_no_view() -> None:
    cluster = Cluster(1, 4, Faults(max_delay_ms=20), liars={4: ViewForger})
    drop(cluster, PRE_PREPARE, (1,), (2, 3, 4))
    drop(cluster, NEW_VIEW, (2,), (1, 3, 4))
    submit_one_by_one(cluster, 3, 100)
    cluster.run_for(5_000)
    assert "unsound new view" in cluster.checks.reasons
    cluster.silences = []
    cluster.run_until(partial(cluster.everywhere, requests(cluster, 3)), 60_000)


def test_what_was_settled_before_a_view_is_not_proposed_in_it() -> None:
    """One that lags, as it hears neither seals nor how far the others are, is offered another batch for what they have stored."""
    cluster = Cluster(1, 7, Faults(max_delay_ms=20), liars={2: ViewForger})
    everyone = tuple(range(1, 8))
    cluster.run_for(100)
    drop(cluster, SEAL, everyone, (5,))
    drop(cluster, STATUS, everyone, (5,))
    submit_one_by_one(cluster, 3, 100)
    cluster.run_for(1_000)
    drop(cluster, PRE_PREPARE, (1,), everyone)
    cluster.submit(requests(cluster, 4)[-1])
    cluster.run_until(lambda: is_in_view(cluster.machines[6], 1), 5_000)
    for request in requests(cluster, 8)[4:]:
        cluster.submit(request)
        cluster.run_for(100)
    assert "sequence settled before this view" in cluster.checks.reasons
    cluster.silences = []
    cluster.run_until(partial(cluster.everywhere, requests(cluster, 8)), 60_000)


def test_of_two_batches_prepared_for_one_sequence_the_later_one_is_proposed_again() -> None:
    """One replica alone prepared a batch in view 0, others another one in view 1; view 2 hears of both."""
    cluster = Cluster(1, 4, Faults(max_delay_ms=20))
    everyone = (1, 2, 3, 4)
    drop(cluster, COMMIT, everyone, everyone)
    drop(cluster, PREPARE, everyone, (1, 2, 3))
    drop(cluster, VIEW_CHANGE, (4,), everyone)
    drop(cluster, NEW_VIEW, everyone, (4,))
    cluster.submit(requests(cluster, 1)[0])
    cluster.run_until(lambda: all(is_in_view(machine, 1) for machine in cluster.machines[:3]), 5_000)
    cluster.silences = []
    drop(cluster, COMMIT, everyone, everyone)
    drop(cluster, NEW_VIEW, everyone, (4,))
    drop(cluster, VIEW_CHANGE, (1,), everyone)
    cluster.run_until(lambda: any(machine.core.view == 2 for machine in cluster.machines), 5_000)
    cluster.run_until(lambda: cluster.checks.witnesses.conflicts > 0, 5_000)
    cluster.silences = []
    cluster.run_until(lambda: cluster.everywhere(requests(cluster, 1)), 10_000)

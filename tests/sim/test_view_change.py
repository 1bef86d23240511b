"""The primary dies, hangs, cheats or dawdles, the network parts and heals: another view goes on where the last one ended."""

from __future__ import annotations

from functools import partial

import pytest

from consensus.votes import VIEW_CHANGE
from tests.sim.cluster import Cluster
from tests.sim.consortium import Request
from tests.sim.faults import Faults
from tests.sim.machine import Machine
from tests.sim.primaries import ForgingPrimary, SelectivePrimary, SilentPrimary, SlowPrimary
from tests.sim.requests import finish, requests, run
from tests.sim.silence import Silence

BACK_WITHIN_MS = 6_000
"""Though messages are lost, and of five replicas the four that are left must all take part."""


def submit(cluster: Cluster, first: int, count: int) -> list[Request]:
    wanted = requests(cluster, count, first)
    for request in wanted:
        cluster.submit(request)
    return wanted


@pytest.mark.parametrize("n", [4, 5, 7, 10])
@pytest.mark.parametrize("seed", range(3))
def test_a_dead_primary_is_replaced_and_comes_back_as_a_backup(n: int, seed: int) -> None:
    cluster = Cluster(seed, n, Faults(drop=0.02, duplicate=0.05, max_delay_ms=20))
    wanted: list[Request] = []
    for death in range(3):
        wanted += submit(cluster, 100 * death, 20)
        cluster.run_until(partial(cluster.everywhere, wanted), 20_000)
        dead = cluster.machine(cluster.machines[0].core.primary)
        dead.up = False
        more = submit(cluster, 100 * death + 50, 20)
        cluster.run_until(partial(cluster.everywhere_but, dead, more), BACK_WITHIN_MS)
        dead.start()
        wanted += more
        cluster.run_until(partial(cluster.everywhere, wanted), 20_000)
        cluster.run_for(2_000)
    finish(cluster)


@pytest.mark.parametrize("n", [4, 7, 10])
@pytest.mark.parametrize("kind", [SilentPrimary, SelectivePrimary, SlowPrimary])
def test_a_primary_that_does_not_do_its_work_is_replaced(n: int, kind: type[Machine]) -> None:
    cluster = Cluster(1, n, Faults(max_delay_ms=20), liars={1: kind})
    wanted = requests(cluster, 10)
    for i, request in enumerate(wanted):
        cluster.at(i * 1_000, partial(cluster.submit, request))
    cluster.run_until(lambda: cluster.everywhere(wanted), 20_000)
    assert all(machine.core.view > 0 for machine in cluster.correct)
    assert not cluster.checks.accused


@pytest.mark.parametrize("seed", range(6))
def test_a_new_view_that_does_not_follow_from_its_view_changes_is_not_entered(seed: int) -> None:
    cluster = Cluster(seed, 7, Faults(max_delay_ms=30), liars={1: SilentPrimary, 2: ForgingPrimary})
    run(cluster, 20, limit_ms=60_000)
    assert all(machine.core.view >= 2 for machine in cluster.correct)
    assert "unsound new view" in cluster.checks.reasons


@pytest.mark.parametrize("max_delay_ms", [5, 50, 100])
@pytest.mark.parametrize("n", [4, 7])
def test_neither_load_nor_distance_alone_changes_a_view(n: int, max_delay_ms: int) -> None:
    cluster = Cluster(2, n, Faults(max_delay_ms=max_delay_ms))
    run(cluster, 150, limit_ms=120_000)
    cluster.run_for(25_000)
    assert {machine.core.view for machine in cluster.machines} == {0}


@pytest.mark.parametrize("seed", range(4))
def test_halves_of_a_network_order_nothing_and_go_on_when_it_heals(seed: int) -> None:
    cluster = Cluster(seed, 4, Faults(max_delay_ms=20))
    wanted = submit(cluster, 0, 5)
    cluster.run_until(lambda: cluster.everywhere(wanted), 10_000)
    cluster.part((1, 2), (3, 4))
    cluster.run_for(100)
    height = len(cluster.checks.chain.hashes)
    wanted += submit(cluster, 10, 5)
    cluster.run_for(30_000)
    assert len(cluster.checks.chain.hashes) <= height + 1, "no progress without a quorum"
    cluster.heal()
    cluster.run_until(lambda: cluster.everywhere(wanted), 5_000)


@pytest.mark.parametrize("seed", range(4))
def test_a_replica_cut_off_moves_nobody_and_finds_back(seed: int) -> None:
    cluster = Cluster(seed, 4, Faults(max_delay_ms=20))
    cluster.part((1, 2, 3), (4,))
    wanted = requests(cluster, 20)
    for i, request in enumerate(wanted):
        cluster.at(i * 1_000, partial(cluster.submit, request))
    cluster.run_for(25_000)
    cluster.heal()
    cluster.run_until(lambda: cluster.everywhere(wanted), 5_000)
    assert {machine.core.view for machine in cluster.machines} == {0}


@pytest.mark.parametrize("seed", range(4))
def test_a_primary_that_is_not_heard_by_some_is_no_reason_to_stop(seed: int) -> None:
    cluster = Cluster(seed, 4, Faults(max_delay_ms=20))
    one, two, three = (cluster.machines[i].id for i in (0, 1, 2))
    cluster.cut_off = {(one, two), (one, three)}
    wanted = submit(cluster, 0, 10)
    cluster.run_until(lambda: cluster.everywhere(wanted), 30_000)


def test_one_that_went_on_and_two_that_wait_for_the_view_before_it_find_together() -> None:
    """They are no more than a quorum, and too few to be followed: all must count for each other's patience."""
    cluster = Cluster(1, 4, Faults(max_delay_ms=20))
    cluster.run_for(100)
    cluster.machines[0].up = False
    ahead = cluster.machines[3]
    cluster.silences = [Silence(VIEW_CHANGE, (4,), (2, 3))]
    wanted = submit(cluster, 0, 3)
    cluster.run_until(lambda: ahead.core.view == 2, 10_000)
    assert [machine.core.view for machine in cluster.machines[1:3]] == [1, 1]
    cluster.silences = []
    cluster.run_until(partial(cluster.everywhere_but, cluster.machines[0], wanted), 20_000)


def test_the_same_seed_changes_views_in_the_same_way() -> None:
    runs = []
    for _ in range(2):
        cluster = Cluster(9, 7, Faults(drop=0.1, crash=0.005, max_delay_ms=50), liars={1: SilentPrimary})
        run(cluster, 15, limit_ms=300_000)
        runs.append((cluster.trace.digest(), cluster.now_ms, cluster.order))
    assert runs[0] == runs[1]

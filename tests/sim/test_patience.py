"""How long replicas wait, and whom they follow: neither one that agitates nor a network that is merely slow may stop the others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from consensus.votes import NEW_VIEW
from tests.sim.cluster import Cluster
from tests.sim.faults import Faults
from tests.sim.forgers import Agitator
from tests.sim.liar_kinds import last_of
from tests.sim.machine import Machine
from tests.sim.primaries import PartialPrimary
from tests.sim.requests import requests, run, submit_over
from tests.sim.silence import Silence


@pytest.mark.parametrize("n", [4, 5, 7, 10])
def test_as_many_agitators_as_there_may_be_move_nobody(n: int) -> None:
    cluster = Cluster(n, n, Faults(max_delay_ms=20), liars=last_of(n, Agitator))
    run(cluster, 10, limit_ms=10_000)
    cluster.run_for(25_000)
    assert {machine.core.view for machine in cluster.correct} == {0}


@pytest.mark.parametrize("n", [4, 7])
def test_agitators_without_a_vote_have_no_say(n: int) -> None:
    """They would be one too many."""
    liars = {**last_of(n, Agitator), n + 1: Agitator, n + 2: Agitator}
    cluster = Cluster(n, n, Faults(max_delay_ms=20), liars=liars, followers=[n + 1, n + 2])
    run(cluster, 10, limit_ms=10_000)
    cluster.run_for(25_000)
    assert {machine.core.view for machine in cluster.correct} == {0}


def test_an_idle_chain_stays_in_its_view() -> None:
    cluster = Cluster(1, 4, Faults())
    cluster.run_for(60_000)
    assert {machine.core.view for machine in cluster.machines} == {0}
    assert len(cluster.checks.chain.hashes) >= 5


@pytest.mark.parametrize("n", [4, 7])
def test_lost_messages_alone_change_no_view(n: int) -> None:
    """They are sent again before anybody loses patience."""
    for seed in range(3):
        cluster = Cluster(seed, n, Faults(drop=0.02, max_delay_ms=5))
        run(cluster, 40, limit_ms=30_000)
        assert {machine.core.view for machine in cluster.machines} == {0}


def test_a_network_slower_than_the_timeout_is_waited_for() -> None:
    """Each view that comes too late is followed by one that gets twice the time."""
    cluster = Cluster(1, 4, Faults(min_delay_ms=1_200, max_delay_ms=1_300))
    run(cluster, 5, limit_ms=300_000)


@pytest.mark.parametrize("seed", range(3))
def test_blocks_that_take_longer_than_the_timeout_are_waited_for_in_the_same_view(seed: int) -> None:
    """All are at work, on large batches or slow machines; what waits comes from every department meanwhile."""
    cluster = Cluster(seed, 4, Faults(max_delay_ms=20, work_ms=1_500, store_ms=1_500))
    wanted = requests(cluster, 120)
    submit_over(cluster, wanted, 30_000)
    cluster.run_until(lambda: cluster.everywhere(wanted), 120_000)
    assert {machine.core.view for machine in cluster.machines} == {0}


class SlowMachine(Machine):
    """Executes and stores slowly, and lies about nothing."""

    def ledger_job(self, work: Callable[[], None], takes_ms: int = 0) -> None:
        super().ledger_job(work, takes_ms + 1_500)


def test_seals_that_come_late_are_no_fault_of_the_primary_s() -> None:
    """A quorum needs one of those that are slow, and those that are not would be enough to end the view."""
    cluster = Cluster(1, 7, Faults(max_delay_ms=20), liars=dict.fromkeys((5, 6, 7), SlowMachine))
    wanted = requests(cluster, 60)
    submit_over(cluster, wanted, 20_000)
    cluster.run_until(lambda: cluster.everywhere(wanted), 120_000)
    assert {machine.core.view for machine in cluster.machines} == {0}


@pytest.mark.parametrize("work_ms", [0, 400])
def test_a_primary_that_passes_over_one_department_is_found_out_however_busy_all_are(work_ms: int) -> None:
    cluster = Cluster(1, 4, Faults(max_delay_ms=20, work_ms=work_ms), liars={1: PartialPrimary})
    wanted = requests(cluster, 200)
    submit_over(cluster, wanted, 20_000)
    cluster.run_until(lambda: min(machine.core.view for machine in cluster.correct) >= 1, 12_000)
    cluster.run_until(lambda: cluster.everywhere(wanted), 60_000)


def test_bad_times_are_forgotten_when_they_are_over() -> None:
    """A timeout that has grown falls again, so that the next dead primary costs no more than the first."""
    cluster = Cluster(1, 4, Faults(max_delay_ms=20))
    everyone = tuple(machine.id for machine in cluster.machines)
    cluster.silences = [Silence(NEW_VIEW, everyone, everyone)]
    cluster.machines[0].up = False
    cluster.submit(requests(cluster, 1)[0])
    cluster.run_for(20_000)
    assert max(machine.core.view for machine in cluster.machines) >= 4
    cluster.silences = []
    cluster.machines[0].start()
    for i, request in enumerate(requests(cluster, 100)):
        cluster.at(i * 700, partial(cluster.submit, request))
    cluster.run_for(80_000)
    assert cluster.everywhere(requests(cluster, 100))
    dead = cluster.machine(cluster.machines[0].core.primary)
    dead.up = False
    request = requests(cluster, 101)[-1]
    cluster.submit(request)
    cluster.run_until(lambda: cluster.everywhere_but(dead, [request]), 3_000)

"""Ordering while machines crash and messages are lost: agreement and progress whatever the network and the power supply do."""

from __future__ import annotations

import pytest

from ledger.crypto import ED25519_SHA256
from ledger.errors import HuzhengError
from tests.sim.cluster import Cluster
from tests.sim.faults import Faults
from tests.sim.requests import run


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 10])
def test_every_replica_stores_every_request(n: int) -> None:
    cluster = Cluster(seed=n, n=n, faults=Faults())
    run(cluster, 40, limit_ms=5_000)
    assert not cluster.checks.accused


@pytest.mark.parametrize("seed", range(16))
def test_lost_delayed_and_doubled_messages_are_made_good(seed: int) -> None:
    cluster = Cluster(seed, n=4, faults=Faults(drop=0.2, duplicate=0.1, max_delay_ms=60))
    run(cluster, 30, limit_ms=120_000)
    assert cluster.counts["messages lost"] > 0
    assert not cluster.checks.accused


@pytest.mark.parametrize("seed", range(24))
def test_crashes_at_every_durable_boundary_contradict_nothing(seed: int) -> None:
    cluster = Cluster(seed, n=4, faults=Faults(drop=0.05, max_delay_ms=20, crash=0.01, max_down_ms=2_000))
    run(cluster, 30, limit_ms=300_000)
    assert cluster.counts["crashes"] > 0
    assert not cluster.checks.accused, "a replica that only crashed signed two different things"


@pytest.mark.parametrize("seed", range(8))
def test_a_torn_write_of_votes_contradicts_nothing(seed: int) -> None:
    cluster = Cluster(seed, n=4, faults=Faults(drop=0.05, max_delay_ms=20, crash=0.02, max_down_ms=500, torn=True))
    run(cluster, 20, limit_ms=300_000)
    assert cluster.counts["crashes"] > 0
    assert not cluster.checks.accused


def test_a_disk_that_loses_what_was_synced_is_noticed_by_the_checks() -> None:
    """Not a promise of the core, but of the checks: they would see a core that speaks before its votes are durable."""
    faults = Faults(max_delay_ms=20, crash=0.02, max_down_ms=500, loses_votes=True)

    def noticed(seed: int) -> str:
        try:
            run(Cluster(seed, n=4, faults=faults), 20, limit_ms=20_000)
        except (AssertionError, HuzhengError) as failure:
            # Some stand still instead, or do not start: replicas that found out their loss vote no more.
            return str(failure)
        return ""

    assert any("signed two different things" in noticed(seed) for seed in range(20))


def test_an_idle_chain_makes_heartbeat_blocks() -> None:
    cluster = Cluster(seed=1, n=4, faults=Faults())
    cluster.run_until(lambda: all(machine.height >= 3 for machine in cluster.machines), limit_ms=32_000)
    assert cluster.now_ms >= 30_000


def test_the_same_seed_gives_the_same_chain() -> None:
    chains = []
    for _ in range(2):
        cluster = Cluster(seed=7, n=4, faults=Faults(drop=0.1, crash=0.005))
        run(cluster, 20, limit_ms=120_000)
        chains.append((cluster.trace.digest(), cluster.now_ms, cluster.order))
    assert chains[0] == chains[1]


def test_real_signatures_give_the_same_guarantees() -> None:
    cluster = Cluster(seed=3, n=4, faults=Faults(drop=0.1, crash=0.005), suite=ED25519_SHA256)
    run(cluster, 10, limit_ms=120_000)

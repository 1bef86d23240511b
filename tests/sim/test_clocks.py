"""Wrong wall clocks: neither do they stop anybody, nor do they steer the chain."""

from __future__ import annotations

import pytest
from huzheng.v1 import block_pb2

from ledger.crypto import Height
from tests.sim.cluster import Cluster
from tests.sim.consortium import START_MS
from tests.sim.faults import Faults
from tests.sim.primaries import MeddlingPrimary
from tests.sim.requests import finish, requests, run, submit_over


def block_times_ms(cluster: Cluster) -> list[int]:
    """As differences from the right time at the simulation's begin."""
    store = cluster.correct[0].ledger.store
    headers = [block_pb2.BlockHeader.FromString(store.header(Height(h))) for h in range(1, store.tip.height + 1)]
    return [header.time_ms - START_MS for header in headers]


@pytest.mark.parametrize("off_ms", [-600_000, -2_000, 2_000, 600_000])
@pytest.mark.parametrize("replica", [1, 3])
def test_one_wrong_clock_of_four_stops_nobody_and_steers_nothing(off_ms: int, replica: int) -> None:
    cluster = Cluster(1, 4, Faults())
    cluster.machine(replica).clock_off_ms = off_ms
    run(cluster, 30, limit_ms=30_000)
    assert max(block_times_ms(cluster)) <= cluster.now_ms + cluster.consortium.genesis.parameters.clock_bound_ms
    assert min(block_times_ms(cluster)) >= 0


@pytest.mark.parametrize("seed", range(4))
def test_a_clock_that_jumps_at_the_primary_holds_the_chain_up_for_a_while_only(seed: int) -> None:
    cluster = Cluster(seed, 4, Faults(max_delay_ms=20, drop=0.05))
    wanted = requests(cluster, 40)
    submit_over(cluster, wanted, 10_000)
    cluster.run_for(2_000)
    for off_ms in (60_000, -60_000, 0):
        cluster.machine(1).clock_off_ms = off_ms
        cluster.run_for(3_000)
    cluster.run_until(lambda: cluster.everywhere(wanted), 20_000)
    finish(cluster)


@pytest.mark.parametrize("seed", range(4))
def test_small_differences_change_no_view(seed: int) -> None:
    cluster = Cluster(seed, 7, Faults(max_delay_ms=50))
    for machine in cluster.machines:
        machine.clock_off_ms = 50 * (machine.id - 4)
    run(cluster, 40, limit_ms=30_000)
    assert not cluster.counts["view left"]


def test_a_lying_primary_is_found_early_and_wrong() -> None:
    early = invalid = 0
    for seed in range(6):
        cluster = Cluster(seed, 4, Faults(max_delay_ms=20), liars={1: MeddlingPrimary})
        run(cluster, 20, limit_ms=60_000)
        early += cluster.counts["proposals early"]
        invalid += cluster.counts["proposals invalid"]
    assert early > 0
    assert invalid > 0

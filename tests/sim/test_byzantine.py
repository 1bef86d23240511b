"""Up to f replicas that lie: the others agree, go on, and accuse nobody but liars."""

from __future__ import annotations

import pytest

from ledger.crypto import ED25519_SHA256
from tests.sim.cluster import Cluster
from tests.sim.faults import Faults
from tests.sim.liar_kinds import last_of
from tests.sim.liars import Liar
from tests.sim.primaries import EquivocatingPrimary, PaddingPrimary
from tests.sim.requests import requests, run

BAD_BLOCKS = "blocks that proved nothing"


@pytest.mark.parametrize("n", [4, 5, 7, 10])
@pytest.mark.parametrize("seed", range(2))
def test_liars_among_the_backups_stop_nobody(n: int, seed: int) -> None:
    cluster = Cluster(seed, n, Faults(), liars=last_of(n))
    run(cluster, 30, limit_ms=60_000)
    assert cluster.checks.accused <= {machine.id for machine in cluster.machines if machine.is_liar}


@pytest.mark.parametrize("seed", range(12))
def test_liars_on_a_bad_network_with_crashes_stop_nobody_for_good(seed: int) -> None:
    faults = Faults(drop=0.1, duplicate=0.1, max_delay_ms=40, crash=0.005, max_down_ms=1_000)
    cluster = Cluster(seed, 4, faults, max_down=1, liars=last_of(4))
    run(cluster, 20, limit_ms=300_000)


def test_every_lie_is_told_and_met() -> None:
    """A lie that never happens tests nothing."""
    reasons: set[str] = set()
    bad_blocks = crashes = 0
    accused: set[int] = set()
    for seed in range(14):
        faults = Faults(drop=0.2, crash=0.01, max_down_ms=3_000)
        cluster = Cluster(seed, 4, faults, max_down=1, liars={4: Liar})
        run(cluster, 20, limit_ms=300_000)
        bad_blocks += cluster.counts[BAD_BLOCKS]
        crashes += cluster.counts["crashes"]
        accused |= cluster.checks.accused
        reasons |= cluster.checks.reasons
    assert bad_blocks > 0
    assert crashes > 0
    assert accused == {4}
    assert {"malformed message", "outside the window", "vote known", "equivocation known", "bad signature"} <= reasons


def test_a_peer_that_sends_unproven_blocks_is_left_for_another() -> None:
    cluster = Cluster(2, 7, Faults(), liars={7: Liar})
    away = cluster.machines[1]
    away.up = False
    wanted = requests(cluster, 100)
    for request in wanted:
        cluster.submit(request)
    cluster.run_until(lambda: cluster.everywhere_but(away, wanted), 60_000)
    away.start()
    cluster.run_until(lambda: cluster.everywhere(wanted), 60_000)
    assert cluster.counts[BAD_BLOCKS] > 0


@pytest.mark.parametrize("n", [4, 7])
def test_an_equivocating_primary_splits_nobody_and_is_found_out(n: int) -> None:
    """It can hold the others up until they change the view, but it can't divide them."""
    accused: set[int] = set()
    for seed in range(8):
        faults = Faults(max_delay_ms=20, crash=0.002, max_down_ms=500)
        cluster = Cluster(seed, n, faults, liars={1: EquivocatingPrimary})
        run(cluster, 20, limit_ms=60_000)
        accused |= cluster.checks.accused
    assert accused == {1}


@pytest.mark.parametrize("seed", range(5))
def test_a_primary_that_pads_its_proposals_makes_no_log_unreadable(seed: int) -> None:
    cluster = Cluster(seed, 4, Faults(crash=0.01, max_down_ms=500), liars={1: PaddingPrimary})
    run(cluster, 20, limit_ms=120_000)
    assert cluster.counts["crashes"] > 0


def test_real_signatures_meet_liars_too() -> None:
    cluster = Cluster(5, 4, Faults(drop=0.05), suite=ED25519_SHA256, liars={4: Liar})
    run(cluster, 10, limit_ms=60_000)


def test_the_same_seed_tells_the_same_lies() -> None:
    runs = []
    for _ in range(2):
        cluster = Cluster(11, 7, Faults(drop=0.1, crash=0.005), max_down=1, liars=last_of(7))
        run(cluster, 15, limit_ms=300_000)
        runs.append((cluster.trace.digest(), cluster.now_ms, cluster.order))
    assert runs[0] == runs[1]

"""More replicas lose their databases than may be faulty: how the departments bring the chain back (docs/operations.md, C18)."""

from __future__ import annotations

import random
from functools import partial

import pytest

from ledger.block import ExecutedBlock
from ledger.crypto import Height
from tests.sim.cluster import Cluster
from tests.sim.faults import Faults
from tests.sim.machine import Machine
from tests.sim.requests import finish, requests, submit_over


class Stricken(Cluster):
    """Its clients hold on to every block that they have a receipt of, whoever gave it."""

    confirmed: dict[Height, bytes]

    def on_stored(self, machine: Machine, block: ExecutedBlock, certificate: bytes) -> None:
        super().on_stored(machine, block, certificate)
        assert self.confirmed.setdefault(block.height, block.block_hash) == block.block_hash, (
            "a confirmed block is lost"
        )


class Loser(Machine):
    """Correct until it loses its database, and again after; what it signs then may contradict what it has signed before."""

    is_liar = True

    def come_back(self, survivor: Machine) -> None:
        """With the chain that the survivors have, as after a rebuild, and a vote."""
        self.disk.become(survivor.disk)
        self.accepts_lost_votes = True
        self.start()


def lose_too_many(n: int, seed: int) -> tuple[Stricken, list[Loser]]:
    """One fewer than a quorum are gone at once, in the middle of work, with their disks."""
    dice = random.Random(seed)
    losers = dice.sample(range(1, n + 1), n - (n - 1) // 3 - 1)
    faults = Faults(drop=dice.choice((0, 0.1)), max_delay_ms=dice.choice((20, 80)))
    cluster = Stricken(seed, n, faults, liars=dict.fromkeys(losers, Loser), watermark_window=4)
    cluster.confirmed = {}
    submit_over(cluster, requests(cluster, 40), 2_000)
    cluster.run_for(dice.randint(500, 2_500))
    lost = [machine for machine in cluster.machines if isinstance(machine, Loser)]
    for machine in lost:
        machine.up = False
        cluster.on_crash(machine)
    return cluster, lost


def bring_back(cluster: Stricken, lost: list[Loser]) -> None:
    """Those that the departments let vote once more."""
    survivors = [machine for machine in cluster.machines if machine.up]
    best = max(survivors, key=lambda machine: machine.height)
    for machine in lost:
        machine.come_back(best)


def go_on(cluster: Stricken) -> None:
    """New work is done everywhere, and on top of every block that was ever confirmed."""
    later = requests(cluster, 10, first=100)
    cluster.at(1_000, partial(submit_over, cluster, later, 1_000))
    cluster.run_until(lambda: cluster.everywhere(later), 120_000)
    finish(cluster)


@pytest.mark.parametrize("n", [4, 7, 10])
@pytest.mark.parametrize("seed", range(8))
def test_with_just_enough_of_the_lost_ones_no_confirmed_block_is_lost(n: int, seed: int) -> None:
    cluster, lost = lose_too_many(n, seed)
    # What is on its way arrives, some of it only when it is sent again.
    cluster.run_for(5_000)
    before = [machine.height for machine in cluster.correct]
    cluster.run_for(5_000)
    assert max(before) == max(machine.height for machine in cluster.correct), "too few to order anything"
    bring_back(cluster, lost[: cluster.membership.q - (n - len(lost))])
    go_on(cluster)


def test_with_all_of_the_lost_ones_at_once_a_confirmed_block_may_be_lost() -> None:
    """So it does matter how many come back."""
    cluster, lost = lose_too_many(4, 178)
    cluster.run_for(1_000)
    bring_back(cluster, lost)
    with pytest.raises(AssertionError, match="replica 4: DIVERGED"):
        go_on(cluster)

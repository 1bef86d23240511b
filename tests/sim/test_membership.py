"""The membership changes while the chain goes on: on bad networks, with crashes, liars and partitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from consensus.events import LastHeightKnown
from consensus.replica import Replica
from ledger.block import ExecutedBlock
from ledger.block_apply import check_block
from ledger.crypto import Height
from tests.sim.backups import StaleChanger, Twin
from tests.sim.cluster import Cluster
from tests.sim.faults import Faults
from tests.sim.governing import Governor
from tests.sim.liars import Liar
from tests.sim.machine import Machine
from tests.sim.plans import Change
from tests.sim.requests import finish, requests, submit_over

ADD, REMOVE, REKEY = "add", "remove", "rekey"


def govern(cluster: Cluster, *changes: Change, limit_ms: int = 120_000) -> None:
    """Carries the changes out under a load, and runs until everybody has them and all requests."""
    governor = Governor(cluster, changes)
    wanted = requests(cluster, 40)
    submit_over(cluster, wanted, 10_000)
    cluster.run_until(lambda: governor.is_done and cluster.everywhere(wanted), limit_ms)
    finish(cluster)


@pytest.mark.parametrize("window", [4, 16])
def test_a_replica_joins_and_leaves_again(window: int) -> None:
    cluster = Cluster(1, 4, Faults(), followers=[5], watermark_window=window)
    govern(cluster, Change(ADD, 5), Change(REMOVE, 5))
    assert [len(epoch.keys) for epoch in cluster.checks.chain.epochs] == [4, 5, 4]
    assert not isinstance(cluster.machine(5).core, Replica)
    assert not cluster.counts["view left"]


@pytest.mark.parametrize("window", [4, 16])
def test_the_last_block_of_an_epoch_is_made_though_nobody_asks_for_anything(window: int) -> None:
    cluster = Cluster(1, 4, Faults(), followers=[5], watermark_window=window)
    governor = Governor(cluster, [Change(ADD, 5)])
    cluster.run_until(lambda: governor.is_done and cluster.machine(5).core.membership.epoch == 1, 5_000)
    assert isinstance(cluster.machine(5).core, Replica)


@pytest.mark.parametrize("seed", range(6))
def test_four_become_five_and_four_again_under_faults(seed: int) -> None:
    faults = Faults(drop=0.1, duplicate=0.1, max_delay_ms=40, crash=0.005, max_down_ms=2_000)
    cluster = Cluster(seed, 4, faults, followers=[5], watermark_window=4)
    govern(cluster, Change(ADD, 5), Change(REMOVE, 1 + seed % 4), limit_ms=300_000)
    assert cluster.counts["crashes"] > 0


@pytest.mark.parametrize("seed", range(6))
def test_keys_are_replaced_under_faults(seed: int) -> None:
    faults = Faults(drop=0.1, max_delay_ms=40, crash=0.005, max_down_ms=2_000)
    cluster = Cluster(seed, 4, faults, watermark_window=4)
    govern(cluster, Change(REKEY, 1), Change(REKEY, 2), Change(REKEY, 1), limit_ms=300_000)
    assert all(isinstance(machine.core, Replica) for machine in cluster.machines)


@pytest.mark.parametrize("kind", [Liar, StaleChanger, Twin])
def test_a_liar_does_not_stop_a_change(kind: type[Machine]) -> None:
    for seed in range(3):
        faults = Faults(drop=0.05, max_delay_ms=40, crash=0.002, max_down_ms=1_000)
        cluster = Cluster(seed, 4, faults, max_down=1, liars={2: kind}, followers=[5], watermark_window=4)
        govern(cluster, Change(ADD, 5), Change(REKEY, 3), limit_ms=300_000)


@pytest.mark.parametrize("seed", range(4))
def test_a_replica_that_slept_through_two_epochs_finds_its_place(seed: int) -> None:
    cluster = Cluster(seed, 4, Faults(max_delay_ms=20), followers=[5], watermark_window=4)
    away = cluster.machine(4)
    away.up = False
    governor = Governor(cluster, [Change(ADD, 5), Change(REKEY, 2)])
    cluster.run_until(lambda: cluster.machine(1).core.membership.epoch == 2, 60_000)
    away.start()
    wanted = requests(cluster, 5)
    submit_over(cluster, wanted, 1_000)
    cluster.run_until(lambda: governor.is_done and cluster.everywhere(wanted), 30_000)
    assert isinstance(away.core, Replica)


class HeldUp(Machine):
    """Its loop waits for a slow disk from the block that decides a change on, until the epoch is over in the ledger's thread."""

    def stored(self, blocks: Sequence[tuple[ExecutedBlock, bytes]], then: Callable[[], None]) -> None:
        super().stored(blocks, then)
        if any(isinstance(event, LastHeightKnown) for event in self.succession.events):
            self.writing = True
            self.later(2_000, self.go_on)

    def go_on(self) -> None:
        self.writing = False
        self.wake()


@pytest.mark.parametrize("seed", range(3))
def test_an_epoch_may_end_before_the_core_hears_of_its_end(seed: int) -> None:
    cluster = Cluster(seed, 4, Faults(max_delay_ms=20), followers=[5], watermark_window=4, kinds={4: HeldUp})
    away = cluster.machine(4)
    away.up = False
    governor = Governor(cluster, [Change(ADD, 5), Change(REKEY, 2)])
    cluster.run_until(lambda: cluster.machine(1).core.membership.epoch == 1, 60_000)
    away.start()
    wanted = requests(cluster, 30)
    submit_over(cluster, wanted, 5_000)
    cluster.run_until(lambda: governor.is_done and cluster.everywhere(wanted), 60_000)
    finish(cluster)


class Deaf(Machine):
    """Its loop hears of nothing that the ledger's thread does, until it is told all at once."""

    def boot(self) -> None:
        self.untold: list[Callable[[], None]] = []
        self.is_deaf = True
        super().boot()

    def done_in_thread(self, tell: Callable[[], None]) -> None:
        if self.is_deaf:
            self.untold.append(tell)
        else:
            super().done_in_thread(tell)

    def listen(self) -> None:
        self.is_deaf = False
        for tell in self.untold:
            tell()


def test_epochs_may_end_in_the_ledgers_thread_before_the_loop_hears_of_the_change() -> None:
    cluster = Cluster(0, 4, Faults(max_delay_ms=20), followers=[5], watermark_window=4, kinds={4: Deaf})
    away, other = cluster.machine(4), cluster.machine(1)
    away.up = False
    governor = Governor(cluster, [Change(ADD, 5), Change(REKEY, 2)])
    cluster.run_until(lambda: other.core.membership.epoch == 2, 60_000)
    away.start()
    genesis, store = cluster.consortium.genesis, away.ledger.store
    for raw in other.serve(1, other.height):
        membership = store.membership_at(Height(store.tip.height + 1))
        away.durable(away.ledger.worker.apply([check_block(genesis, membership, raw)]))
    assert away.core.membership.epoch == 0
    assert isinstance(away, Deaf)
    away.listen()
    assert away.core.membership.epoch == 2
    wanted = requests(cluster, 5)
    submit_over(cluster, wanted, 1_000)
    cluster.run_until(lambda: governor.is_done and cluster.everywhere(wanted), 30_000)
    finish(cluster)


@pytest.mark.parametrize("seed", [25, 37, 40])
def test_votes_that_a_slow_disk_writes_after_their_block_damage_no_log(seed: int) -> None:
    """Some are of the epoch before, some COMMITs whose batch was trimmed, when the power fails."""
    faults = Faults(drop=0.3, max_delay_ms=100, crash=0.01, max_down_ms=500, max_write_ms=800)
    cluster = Cluster(seed, 4, faults, watermark_window=4)
    govern(cluster, *(Change(REKEY, i % 4 + 1) for i in range(6)), limit_ms=600_000)


@pytest.mark.parametrize("seed", range(4))
def test_a_partition_at_the_end_of_an_epoch_heals(seed: int) -> None:
    cluster = Cluster(seed, 4, Faults(max_delay_ms=20), followers=[5], watermark_window=4)
    governor = Governor(cluster, [Change(ADD, 5), Change(REMOVE, 1)])
    cluster.run_until(lambda: len(cluster.checks.chain.epochs) == 2, 60_000)
    cluster.part((1, 2), (3, 4, 5))
    cluster.run_for(10_000)
    cluster.heal()
    wanted = requests(cluster, 5)
    submit_over(cluster, wanted, 1_000)
    cluster.run_until(lambda: governor.is_done and cluster.everywhere(wanted), 30_000)
    finish(cluster)

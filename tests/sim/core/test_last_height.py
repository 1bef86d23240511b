"""An epoch ends with a block that is known beforehand: it is made even if nobody asks for anything, and nothing above it (M5)."""

from __future__ import annotations

from functools import partial

import pytest

from consensus.events import LastHeightKnown
from consensus.replica import ReplicaConfig
from ledger.crypto import Height, ReplicaId
from tests.sim.core.cluster import Cluster, Faults
from tests.sim.core.machine import Machine
from tests.sim.core.requests import requests

CHANGE_HEIGHT = 3
"""The block with the change of the membership."""


class EpochCluster(Cluster):
    """One whose epoch ends W blocks after a block of it."""

    @property
    def last_height(self) -> Height:
        return Height(CHANGE_HEIGHT + self.window)

    def config(self, replica: ReplicaId) -> ReplicaConfig:
        config = super().config(replica)
        # Called while the machines are being made, too.
        knows = len(self.machines) >= replica and len(self.machine(replica).disk.blocks) >= CHANGE_HEIGHT
        return config if not knows else _with_last_height(config, self.last_height)

    def on_stored(self, machine: Machine, height: Height) -> None:
        super().on_stored(machine, height)
        if height == CHANGE_HEIGHT:
            self.later(0, machine, partial(machine.feed, LastHeightKnown(self.last_height)))


def _with_last_height(config: ReplicaConfig, last_height: Height) -> ReplicaConfig:
    values = {name: getattr(config, name) for name in ReplicaConfig.__slots__}
    return ReplicaConfig(**{**values, "last_height": last_height})


@pytest.mark.parametrize("seed", range(6))
def test_an_epoch_ends_with_its_last_block_and_no_other(seed: int) -> None:
    faults = Faults(drop=0.05, max_delay_ms=20, crash=0.002, max_down_ms=500)
    cluster = EpochCluster(seed, 4, faults, max_down=1, window=4)
    for i, request in enumerate(requests(60)):
        cluster.at(i * 60, partial(cluster.submit, request))
    cluster.run_until(lambda: all(len(m.disk.blocks) >= cluster.last_height for m in cluster.machines), 120_000)
    cluster.run_for(15_000)
    assert len(cluster.checks.chain) == cluster.last_height
    votes = [key[3] for key in cluster.checks.said if key[1] <= 4]
    assert max(votes) == cluster.last_height, "nothing was signed for what lies beyond"


def test_the_last_block_of_an_epoch_is_made_though_nobody_asks_for_anything() -> None:
    cluster = EpochCluster(1, 4, Faults(), window=4)
    for i, request in enumerate(requests(CHANGE_HEIGHT)):
        cluster.at(i * 100, partial(cluster.submit, request))
    cluster.run_until(lambda: all(len(m.disk.blocks) >= cluster.last_height for m in cluster.machines), 2_000)

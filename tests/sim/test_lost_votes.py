"""A replica that comes back without its vote log is told so by its peers, and votes no more (docs/protocol.md C18)."""

from __future__ import annotations

import pytest

from consensus.follower import Follower
from consensus.votes import COMMIT, SEAL
from ledger.store import layout
from tests.sim.cluster import Cluster
from tests.sim.faults import Faults
from tests.sim.requests import requests
from tests.sim.silence import Silence


@pytest.mark.parametrize("kind", [COMMIT, SEAL])
@pytest.mark.parametrize("n", [4, 5, 7])
def test_a_replica_that_lost_votes_which_its_peers_have_is_found_out(n: int, kind: int) -> None:
    """It has voted in a slot that nobody could finish, and as no more than a quorum is up each of its votes was needed."""
    cluster = Cluster(n, n, Faults(max_delay_ms=20, loses_votes=True))
    everyone = tuple(machine.id for machine in cluster.machines)
    cluster.run_for(100)
    loser = cluster.machines[cluster.membership.q - 1]
    for machine in cluster.machines[cluster.membership.q :]:
        machine.up = False
    cluster.silences = [Silence(kind, everyone, everyone)]
    cluster.submit(requests(cluster, 1)[0])
    cluster.run_for(300)
    assert loser.disk.values(layout.VOTE), "it has voted"
    assert not loser.height, "and what it voted for is not settled"
    loser.up = False
    loser.disk.put_back(layout.VOTE, {})
    said = len([key for key in cluster.checks.said if key[0] == loser.id])
    loser.start()
    cluster.run_for(2_000)
    assert isinstance(loser.core, Follower)
    assert len([key for key in cluster.checks.said if key[0] == loser.id]) == said, "it has voted again"


@pytest.mark.parametrize("n", [4, 7])
def test_a_replica_that_lost_nothing_votes_again_once_it_is_greeted(n: int) -> None:
    cluster = Cluster(n, n, Faults(max_delay_ms=20))
    cluster.submit(requests(cluster, 1)[0])
    cluster.run_until(lambda: cluster.everywhere(requests(cluster, 1)), 5_000)
    machine = cluster.machines[-1]
    machine.up = False
    machine.start()
    assert not machine.core.may_vote
    cluster.run_for(500)
    assert machine.core.may_vote

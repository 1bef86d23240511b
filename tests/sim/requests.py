"""What simulated clients ask for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tests.sim.cluster import Cluster
from tests.sim.consortium import Request


def requests(cluster: Cluster, count: int, first: int = 0) -> list[Request]:
    """So many requests, which some client has signed."""
    found = [cluster.consortium.request(number) for number in range(first, first + count)]
    cluster.checks.chain.signed.update(request.id for request in found)
    return found


def run(cluster: Cluster, count: int, limit_ms: int) -> None:
    """Submits so many requests, one every 7 ms, and runs until all correct replicas have stored them."""
    wanted = requests(cluster, count)
    for i, request in enumerate(wanted):
        cluster.at(i * 7, partial(cluster.submit, request))
    cluster.run_until(lambda: cluster.everywhere(wanted), limit_ms)
    finish(cluster)


def submit_over(cluster: Cluster, wanted: Sequence[Request], duration_ms: int) -> None:
    """Clients submit these one after the other, evenly over some time."""
    for i, request in enumerate(wanted):
        cluster.at(i * duration_ms // len(wanted), partial(cluster.submit, request))


def finish(cluster: Cluster) -> None:
    """What must hold at the end of a run."""
    cluster.checks.check_prefixes(cluster.correct)

"""What simulated clients ask for."""

from __future__ import annotations

from functools import partial

from tests.sim.core.cluster import Cluster


def requests(count: int) -> list[bytes]:
    return [b"r%07d" % i for i in range(count)]


def run(cluster: Cluster, count: int, limit_ms: int) -> None:
    """Submits so many requests, one every 7 ms, and runs until all correct replicas have stored them."""
    wanted = requests(count)
    for i, request in enumerate(wanted):
        cluster.at(i * 7, partial(cluster.submit, request))
    cluster.run_until(lambda: cluster.everywhere(set(wanted)), limit_ms)
    cluster.check_requests()

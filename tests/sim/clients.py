"""Simulated clients: they tell one node or all of them, and ask again until they have an answer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.sim.consortium import Request

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster
    from tests.sim.machine import Machine

AGAIN_MS = 4_000
"""A client that has no answer asks another node after this time."""


class Clients:
    """Everybody who submits."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._told_to_all: dict[bytes, Request] = {}

    def tell_all(self, request: Request) -> None:
        """A client that tells every node, and again each that comes back from a crash."""
        self._told_to_all[request.id] = request
        for machine in self._cluster.machines:
            machine.take_in(request)

    def tell_one(self, request: Request) -> None:
        """A client that tells one node after the other until its request is stored somewhere."""
        cluster = self._cluster
        if request.id not in cluster.checks.chain.places:
            cluster.random.choice(cluster.machines).take_in(request)
            cluster.at(AGAIN_MS, partial(self.tell_one, request))

    def ask_again(self, machine: Machine) -> None:
        """A node is back, and has forgotten what waited there."""
        places = self._cluster.checks.chain.places
        for request in self._told_to_all.values():
            if request.id not in places:
                machine.take_in(request)

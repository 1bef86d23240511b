"""What a simulated machine's `Forwarding` sends through."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ledger.crypto import Membership, ReplicaId
from node.peer_messages import read_message
from node.peers import Peers

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster
    from tests.sim.machine import Machine


class Links(Peers):
    """One machine's links as its `Forwarding` uses them."""

    def __init__(self, cluster: Cluster, machine: Machine) -> None:
        self._cluster = cluster
        self._machine = machine

    def send(self, to: ReplicaId, message: bytes) -> None:
        transactions = tuple(read_message(message).forwarded.transactions)
        self._cluster.note("forwarded", self._machine.place, to, *transactions)
        for target in self._cluster.machines:
            if target.id == to:
                self._cluster.carry(self._machine, target, partial(target.receive_forwarded, transactions))

    def broadcast(self, message: bytes, among: Membership | None = None) -> None:
        for member in () if among is None else among.members:
            if member.replica != self._machine.id:
                self.send(member.replica, message)

"""The departments of a simulated consortium change its membership, one change after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from huzheng.v1 import membership_pb2 as pb

from ledger.crypto import ReplicaId
from tests.sim.consortium import department_of

if TYPE_CHECKING:
    from tests.sim.cluster import Cluster
    from tests.sim.plans import Change

LOOK_MS = 250


class Governor:
    """Submits each change once the one before is in force."""

    def __init__(self, cluster: Cluster, changes: Sequence[Change]) -> None:
        self._cluster = cluster
        self._changes = changes
        self._submitted = 0
        self._key_numbers: dict[int, int] = {}
        cluster.at(0, self._look)

    def _look(self) -> None:
        chain = self._cluster.checks.chain
        if self._submitted == len(self._changes):
            return
        in_force = len(chain.hashes) + 1 >= chain.epochs[-1].first_height
        if in_force and len(chain.epochs) == self._submitted + 1:
            self._submit(self._changes[self._submitted], chain.epochs[-1].keys)
            self._submitted += 1
        self._cluster.at(LOOK_MS, self._look)

    def _submit(self, change: Change, keys: Mapping[ReplicaId, bytes]) -> None:
        cluster, consortium = self._cluster, self._cluster.consortium
        replica = ReplicaId(change.replica)
        after = dict(keys)
        if change.kind == "remove":
            del after[replica]
        else:
            number = self._key_numbers.get(replica, -1 if change.kind == "add" else 0) + 1
            self._key_numbers[replica] = number
            after[replica] = consortium.replica_signer(replica, number).public_key
        action = self._action(change, self._key_numbers.get(replica, 0))
        voices = [department_of(member) for member in sorted(keys)]
        request = consortium.change_request(self._submitted, [action], voices)
        chain = cluster.checks.chain
        chain.signed.add(request.id)
        chain.scripted[request.id] = after
        cluster.submit(request)

    def _action(self, change: Change, number: int) -> pb.MembershipAction:
        if change.kind == "remove":
            return pb.MembershipAction(remove_replica=pb.RemoveReplica(replica=change.replica))
        seat = self._cluster.consortium.seat(change.replica, number)
        if change.kind == "add":
            return pb.MembershipAction(add_replica=seat)
        return pb.MembershipAction(replace_key=seat)

    @property
    def is_done(self) -> bool:
        """Whether all changes are in force at every correct machine."""
        cluster = self._cluster
        epochs = len(self._changes)
        return len(cluster.checks.chain.epochs) == epochs + 1 and all(
            machine.up and machine.core.membership.epoch == epochs for machine in cluster.correct
        )

"""Messages of one kind are lost on their way from some to some: the network that an adversary would choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from huzheng.v1 import consensus_pb2

from consensus.votes import PRE_PREPARE, PeerPayload

STATUS = 0
"""The kind of what is not signed: statuses, greetings, batches asked for."""


@dataclass(frozen=True, slots=True)
class Silence:
    """What does not get through."""

    kind: int
    senders: Sequence[int]
    targets: Sequence[int]

    def covers(self, sender: int, target: int, payload: PeerPayload) -> bool:
        """Whether a message is lost."""
        return sender in self.senders and target in self.targets and _kind_of(payload) == self.kind


def _kind_of(payload: PeerPayload) -> int:
    if isinstance(payload, consensus_pb2.Proposal):
        return PRE_PREPARE
    return payload.kind if isinstance(payload, consensus_pb2.Envelope) else STATUS

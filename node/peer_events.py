"""Peers' messages as events for the consensus core, and what they take while they wait for it."""

from __future__ import annotations

from huzheng.v1 import replica_service_pb2

from consensus.events import BatchReceived, EnvelopeReceived, GreetingReceived, ProposalReceived, StatusReceived
from ledger.crypto.types import ReplicaId
from node.peers import MESSAGE_OVERHEAD_BYTES

FromPeer = EnvelopeReceived | ProposalReceived | StatusReceived | GreetingReceived | BatchReceived


def weight(event: FromPeer) -> int:
    """What an event takes in memory, roughly; bytes."""
    size = 8 * MESSAGE_OVERHEAD_BYTES
    if isinstance(event, ProposalReceived | BatchReceived):
        return size + len(event.batch)
    # A VIEW-CHANGE or NEW-VIEW holds many messages.
    return size + len(event.envelope.body) if isinstance(event, EnvelopeReceived) else size


def as_event(peer: ReplicaId, message: replica_service_pb2.PeerMessage) -> FromPeer:
    """A consensus message that a peer sent."""
    which = message.WhichOneof("message")
    if which == "proposal":
        return ProposalReceived(peer, message.proposal.pre_prepare, message.proposal.batch)
    if which == "envelope":
        return EnvelopeReceived(peer, message.envelope)
    if which == "greeting":
        return GreetingReceived(peer, message.greeting)
    if which == "batch_found":
        return BatchReceived(peer, message.batch_found.batch)
    return StatusReceived(peer, message.status)

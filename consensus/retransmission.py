"""What to send again to a peer that says it lacks it (docs/protocol.md C12), as in Castro's thesis, section 5.2."""

from __future__ import annotations

from collections.abc import Iterator

from huzheng.v1 import consensus_pb2

from consensus.slot import Proposal, Slot
from consensus.votes import PeerPayload
from consensus.window import Window
from ledger.crypto.types import ReplicaId, Seq

RESEND_AFTER_MS = 200
"""Votes for a younger slot are still on their way; nothing is sent again for it."""
RELAY_AFTER_MS = 1_000
"""After this, backups too send the batch: the primary may be unreachable for the peer."""
BATCH_BYTES_PER_MS = 2_000
"""A batch takes its way and is looked at before its receiver says that it has it: what is sent again meanwhile holds that up the more."""
MAX_SLOTS = 16
MAX_BATCH_BYTES = 8 * 1024 * 1024
"""Bounds on one answer, so that a peer's status costs bounded work; its next status asks for the rest. A batch that is larger goes alone."""

_LONG_AGO_MS = 1_000_000


def describe_slots(window: Window) -> list[consensus_pb2.SlotStatus]:
    """How far a replica has come in its open slots, for its peers."""
    return [
        consensus_pb2.SlotStatus(
            sequence=slot.sequence,
            has_batch=slot.pre_prepare is not None,
            prepared=slot.prepared,
            committed=slot.committed,
        )
        for slot in window
    ]


def missing_at_peer(
    status: consensus_pb2.ReplicaStatus,
    window: Window,
    own: ReplicaId,
    is_primary: bool,
    now_ms: int,
    peer: ReplicaId,
) -> Iterator[PeerPayload]:
    """This replica's own messages that the peer's status shows it lacks, oldest slot first, bounded. Notes which batches it sends."""
    known = {Seq(slot.sequence): slot for slot in status.slots}
    stale = [
        slot for slot in window if slot.sequence > status.stored_height and now_ms - slot.opened_ms >= RESEND_AFTER_MS
    ]
    batch_bytes = 0
    for slot in stale[:MAX_SLOTS]:
        at_peer = known.get(slot.sequence, consensus_pb2.SlotStatus())
        is_there = slot.proposal is Proposal.ACCEPTED and slot.pre_prepare is not None
        if not at_peer.has_batch and is_there and _is_due(slot, peer, is_primary, now_ms):
            assert slot.pre_prepare is not None
            if batch_bytes > 0 and batch_bytes + len(slot.batch) > MAX_BATCH_BYTES:
                return
            batch_bytes += len(slot.batch)
            slot.batch_sent_ms[peer] = now_ms
            yield consensus_pb2.Proposal(pre_prepare=slot.pre_prepare.envelope, batch=slot.batch)
        yield from _votes_for(slot, at_peer, own)


def forget_sent(window: Window, peer: ReplicaId) -> None:
    """A link to the peer is new: what was sent over the one before may be lost."""
    for slot in window:
        slot.batch_sent_ms[peer] = slot.opened_ms - _LONG_AGO_MS


def _is_due(slot: Slot, peer: ReplicaId, is_primary: bool, now_ms: int) -> bool:
    on_its_way_ms = len(slot.batch) // BATCH_BYTES_PER_MS
    if not is_primary and now_ms - slot.opened_ms < RELAY_AFTER_MS + on_its_way_ms:
        return False
    first_ms = slot.opened_ms if is_primary else slot.opened_ms - _LONG_AGO_MS
    return now_ms - slot.batch_sent_ms.get(peer, first_ms) >= RESEND_AFTER_MS + on_its_way_ms


def _votes_for(slot: Slot, at_peer: consensus_pb2.SlotStatus, own: ReplicaId) -> Iterator[PeerPayload]:
    if not at_peer.prepared and own in slot.prepares:
        yield slot.prepares[own].envelope
    if not at_peer.committed and own in slot.commits:
        yield slot.commits[own].envelope
    if own in slot.seals:
        yield slot.seals[own].envelope

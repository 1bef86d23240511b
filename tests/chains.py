"""A small chain with something of everything, in memory and in a database."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from huzheng.v1 import consensus_pb2, genesis_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.block import ExecutedBlock
from ledger.crypto import Suite, strict
from ledger.store import ChainStore, Entry
from tests.builders import Chain, Consortium

LIFETIME_MS = 60_000


def add_key(consortium: Consortium, name: str) -> pb.Operation:
    """Registers a new system key."""
    key = genesis_pb2.SigningKey(public_key=consortium.signer(name).public_key, role=genesis_pb2.KEY_ROLE_SYSTEM)
    return pb.Operation(add_key=pb.AddKey(key=key))


def mixed_chain(consortium: Consortium) -> Chain:
    """Blocks 1 to 5: accepted and refused transactions, a revocation, a key change, a repeat, seen ids that expire, no
    transactions at all, and the null block."""
    chain = consortium.chain()
    first = consortium.record(1)
    repeated = consortium.transaction([first])
    start_ms = consortium.now_ms
    chain.add(repeated, consortium.transaction([consortium.record(2), consortium.record(3)], nonce=1))
    chain.add(
        consortium.transaction([consortium.record(1, 3, bytes(32))], nonce=2),
        repeated,
        consortium.transaction(operations=[add_key(consortium, "new")], nonce=3),
        proposer=2,
    )
    chain.add(proposer=3, time_ms=start_ms + 2_000)
    late = consortium.transaction([consortium.record(4)], nonce=4)
    revoking = consortium.transaction(
        [consortium.record(1, 2, first.id, revoke=True)], nonce=5, expires_ms=start_ms + 2 * LIFETIME_MS
    )
    chain.add(late, revoking, proposer=4, time_ms=start_ms + LIFETIME_MS)
    chain.add_null()
    return chain


def store_blocks(store: ChainStore, consortium: Consortium, blocks: Sequence[ExecutedBlock]) -> None:
    """Appends blocks with their certificates."""
    for block in blocks:
        store.append(block, consortium.certificate(block))


def stored_chain(path: Path, suite: Suite | None = None) -> tuple[Consortium, Chain, ChainStore]:
    """The mixed chain in a new database, and some votes for the height above it."""
    consortium = Consortium() if suite is None else Consortium(suite)
    chain = mixed_chain(consortium)
    store = ChainStore.open(path, consortium.genesis)
    store_blocks(store, consortium, chain.blocks[1:])
    store.write_votes([vote_entry(0, 3), vote_entry(len(chain.blocks), 0)])
    return consortium, chain, store


def vote_entry(sequence: int, view: int) -> Entry:
    """A vote log entry that can be read."""
    return sequence.to_bytes(8, "big") + b"v", strict.write(consensus_pb2.VoteLogEntry(ended_key=bytes([view + 1])))

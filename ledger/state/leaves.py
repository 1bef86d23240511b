"""What a block's changes are in the state tree (docs/protocol.md K5 to K7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from huzheng.v1 import state_pb2

from ledger.crypto import HASH_BYTES, Domain, Suite, strict
from ledger.state.entries import SEEN_PREFIX, Changes
from ledger.state.heads import HEADS_PREFIX, heads_digest, new_seed

POOL_KEY = b"j"
EMPTY_POOL = bytes(HASH_BYTES)

Leaves = Mapping[bytes, bytes | None]
"""Digests by path; None: removed."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A block's changes, complete."""

    changes: Changes
    """In ascending order of keys."""
    leaves: Leaves


def settle(suite: Suite, pool: bytes | None, changes: Changes) -> Settled:
    """Completes what executing a block changed: the pool of seen ids, and the seeds of heads. `pool`: before the block, if there was one."""
    done = dict(changes)
    pool = _pool_after(suite, pool or EMPTY_POOL, done)
    leaves: dict[bytes, bytes | None] = {}
    for key, value in changes.items():
        if key.startswith(SEEN_PREFIX):
            continue
        if key.startswith(HEADS_PREFIX) and value is not None:
            heads = strict.read(state_pb2.Heads, value)
            heads.seed = new_seed(suite, pool, key)
            done[key] = strict.write(heads)
            leaves[leaf_path(suite, key)] = heads_digest(suite, heads)
        else:
            leaves[leaf_path(suite, key)] = leaf_digest(suite, key, value)
    if POOL_KEY in done:
        leaves[leaf_path(suite, POOL_KEY)] = leaf_digest(suite, POOL_KEY, pool)
    return Settled(dict(sorted(done.items())), leaves)


def leaf_path(suite: Suite, key: bytes) -> bytes:
    """Where a key of the state is in the tree."""
    return suite.digest(Domain.STATE_KEY, key)


def leaf_digest(suite: Suite, key: bytes, value: bytes | None) -> bytes | None:
    """What the tree has there for a value; None for none."""
    if value is None:
        return None
    if key.startswith(HEADS_PREFIX):
        return heads_digest(suite, strict.read(state_pb2.Heads, value))
    return suite.digest(Domain.STATE_VALUE, value)


def _pool_after(suite: Suite, pool: bytes, changes: dict[bytes, bytes | None]) -> bytes:
    """K7; sets it in the changes if it changes."""
    parts = [pool]
    for key in sorted(key for key in changes if key.startswith(SEEN_PREFIX)):
        parts += (b"\0" if changes[key] is None else b"\1", key)
    if len(parts) == 1:
        return pool
    changes[POOL_KEY] = pool = suite.digest(Domain.STATE, b"".join(parts))
    return pool

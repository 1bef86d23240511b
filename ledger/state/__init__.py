"""The state: a map from keys to values, and the tree that proves what is in it (docs/protocol.md X1 and section 11)."""

from ledger.state.entries import (
    SEEN_PREFIX,
    Changes,
    LedgerState,
    Overlay,
    PendingState,
    RegisteredKey,
    StateReader,
    admin_keys_key,
    read_key,
    seen_key,
    signing_key_key,
)
from ledger.state.heads import HEADS_PREFIX, head_in, heads_key, put_head, read_head, read_heads
from ledger.state.leaves import POOL_KEY, Leaves, leaf_digest, leaf_path, settle

__all__ = [
    "HEADS_PREFIX",
    "POOL_KEY",
    "SEEN_PREFIX",
    "Changes",
    "Leaves",
    "LedgerState",
    "Overlay",
    "PendingState",
    "RegisteredKey",
    "StateReader",
    "admin_keys_key",
    "head_in",
    "heads_key",
    "leaf_digest",
    "leaf_path",
    "put_head",
    "read_head",
    "read_heads",
    "read_key",
    "seen_key",
    "settle",
    "signing_key_key",
]

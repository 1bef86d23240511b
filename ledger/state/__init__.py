"""The state: a map from keys to values, and the tree that proves what is in it (docs/protocol.md X1 and section 11)."""

from ledger.state.entries import (
    SEEN_PREFIX,
    Changes,
    Overlay,
    PendingState,
    RegisteredKey,
    StateReader,
    admin_keys_key,
    catalogue_key,
    head_key,
    read_head,
    read_key,
    seen_key,
    signing_key_key,
)

__all__ = [
    "SEEN_PREFIX",
    "Changes",
    "Overlay",
    "PendingState",
    "RegisteredKey",
    "StateReader",
    "admin_keys_key",
    "catalogue_key",
    "head_key",
    "read_head",
    "read_key",
    "seen_key",
    "signing_key_key",
]

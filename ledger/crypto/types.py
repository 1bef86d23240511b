"""Numbers with a meaning, and the lengths that all suites share (docs/protocol.md B4)."""

from __future__ import annotations

from typing import Final, NewType

ReplicaId = NewType("ReplicaId", int)
"""1, 2, 3, ...; 0 stands for no replica."""

Epoch = NewType("Epoch", int)
"""Which membership, from 0."""

View = NewType("View", int)
"""Which primary, from 0."""

Seq = NewType("Seq", int)
"""A slot of the agreement; equal to the height of the block it becomes."""

Height = NewType("Height", int)
"""Position of a block, 0 for the genesis block."""

HASH_BYTES: Final = 32
PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
SEED_BYTES: Final = 32

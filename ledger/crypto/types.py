"""Numbers with a meaning, and the lengths that all suites share (docs/protocol.md B4)."""

from __future__ import annotations

from typing import Final, NewType, Protocol, Self

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


class HashState(Protocol):
    """A hash that has taken some bytes in, as hashlib has it."""

    def copy(self) -> Self:
        """Another one that has taken the same bytes in."""
        ...

    def update(self, data: bytes, /) -> None:
        """Takes more in."""
        ...

    def digest(self) -> bytes:
        """The hash of all, 32 bytes."""
        ...

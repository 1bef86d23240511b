"""The batches that this replica can still be asked for, by digest (docs/protocol.md C17)."""

from __future__ import annotations

from consensus.view_change import NULL_BATCH
from consensus.votes import Authenticator
from ledger.crypto.types import Height, Seq


class BatchArchive:
    """Of each sequence above the last stored block, the batches that this replica voted for, in whatever view.

    A later view may choose any of them. There are no more than in the vote log.
    """

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._batches: dict[bytes, bytes] = {}
        self._sequences: dict[Seq, set[bytes]] = {}
        self._null_digest = authenticator.batch_digest(NULL_BATCH)

    def keep(self, sequence: Seq, digest: bytes, batch: bytes) -> None:
        """A batch was voted for."""
        self._batches[digest] = batch
        self._sequences.setdefault(sequence, set()).add(digest)

    def get(self, digest: bytes) -> bytes | None:
        """The batch with this digest, if it is here."""
        return NULL_BATCH if digest == self._null_digest else self._batches.get(digest)

    def trim(self, stored: Height) -> None:
        """A block was stored: nobody needs the batches up to it any more."""
        for sequence in [sequence for sequence in self._sequences if sequence <= stored]:
            del self._sequences[sequence]
        kept = set().union(*self._sequences.values())
        for digest in [digest for digest in self._batches if digest not in kept]:
            del self._batches[digest]

"""Who belongs to the consortium and who votes, as the chain stored here says now (docs/protocol.md section 10)."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.block import ExecutedBlock
from ledger.crypto import Epoch, Height, ReplicaId
from ledger.epochs import EpochTerms, changes_epochs
from ledger.genesis import Department
from ledger.store import ChainReader


class Consortium:
    """Reads the state again only when a block has changed it."""

    def __init__(self, store: ChainReader) -> None:
        self._store = store
        self.departments: Mapping[str, Department] = {}
        self.replicas: dict[ReplicaId, str] = {}
        """The department of every replica there ever was, and of those that are to be."""
        self.newest: EpochTerms
        """The last epoch that was decided, be it in force yet or not."""
        self._read()

    def stored(self, block: ExecutedBlock) -> bool:
        """Takes note of a stored block; whether it changed the membership."""
        if not changes_epochs(block.changes):
            return False
        self._read()
        return True

    @property
    def in_force(self) -> EpochTerms:
        """The epoch of the next block."""
        return self._store.epoch_at(Height(self._store.tip.height + 1))

    def last_height_of(self, epoch: Epoch) -> Height | None:
        """The last height of an epoch that was decided; None while no change has ended it."""
        return self._store.last_height_of(self._store.epoch_numbered(epoch))

    @property
    def authorities(self) -> Mapping[str, bytes]:
        """Each department's CA certificate (DER)."""
        return {name: department.ca_certificate for name, department in self.departments.items()}

    def _read(self) -> None:
        self.departments = self._store.departments()
        self.newest = self._store.newest_epoch
        first_unread = 0 if not self.replicas else self.newest.epoch
        for number in range(first_unread, self.newest.epoch + 1):
            terms = self._store.epoch_numbered(number)
            self.replicas.update((member.replica, member.department) for member in terms.membership.members)

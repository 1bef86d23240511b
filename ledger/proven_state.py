"""What a verified statement proves of grants, reads, erasures and the catalogue (docs/protocol.md Q8).

Needs no node, no network, no database.
"""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import Message
from huzheng.v1 import catalogue_pb2, sharing_pb2, state_pb2

from ledger.crypto import strict
from ledger.errors import Code, HuzhengError
from ledger.published import duty_key, resource_key, table_key, version_key
from ledger.sharing.erasing import erasure_key, expunge_key
from ledger.sharing.granting import grant_key
from ledger.sharing.reading import account_key, read_key
from ledger.statement import StatementVerdict

M = TypeVar("M", bound=Message)


class ProvenState:
    """Entries of the state as of a statement's block, read.

    Each method gives what a key has, or None where it is proved that it is not there. All raise HuzhengError: BAD_PROOF if the
    statement says nothing of that key, NOT_STRICT if what is there is not what it should be; and UNTRUSTED_ANSWER if the caller
    was told something else before (`claimed`), by a node or by anybody.
    """

    __slots__ = ("verdict",)

    def __init__(self, verdict: StatementVerdict) -> None:
        self.verdict = verdict

    def grant(self, grant: bytes, claimed: sharing_pb2.GrantState | None = None) -> sharing_pb2.GrantState | None:
        """A grant, by its id."""
        return self._value(grant_key(grant), sharing_pb2.GrantState, claimed)

    def read(self, read: bytes, claimed: sharing_pb2.ReadState | None = None) -> sharing_pb2.ReadState | None:
        """A read that was accepted, by its id."""
        return self._value(read_key(read), sharing_pb2.ReadState, claimed)

    def account(self, resource: str, subject: str, claimed: sharing_pb2.Reads | None = None) -> sharing_pb2.Reads:
        """How many reads of a subject there were, and the digest over their ids (G8); none at all where there is no entry."""
        wanted = None if claimed is None or not claimed.count else claimed
        found = self._value(account_key(resource, subject), sharing_pb2.Reads, wanted)
        if found is not None and claimed is not None and wanted is None:
            raise _differs()
        return sharing_pb2.Reads() if found is None else found

    def erasure(
        self, department: str, record_id: bytes, claimed: sharing_pb2.ErasureState | None = None
    ) -> sharing_pb2.ErasureState | None:
        """An order to erase the values of a department's record."""
        return self._value(erasure_key(department, record_id), sharing_pb2.ErasureState, claimed)

    def expunge(
        self, department: str, transaction_id: bytes, position: int, claimed: sharing_pb2.ExpungeState | None = None
    ) -> sharing_pb2.ExpungeState | None:
        """An order to remove the payload of a department's record, by its transaction and its place there."""
        return self._value(expunge_key(department, transaction_id, position), sharing_pb2.ExpungeState, claimed)

    def resource(self, name: str, claimed: state_pb2.ResourceState | None = None) -> state_pb2.ResourceState | None:
        """Where a resource of the catalogue stands."""
        return self._value(resource_key(name), state_pb2.ResourceState, claimed)

    def version(
        self, name: str, schema_version: int, claimed: catalogue_pb2.Resource | None = None
    ) -> catalogue_pb2.Resource | None:
        """What a schema version of a resource says, be it open or not."""
        return self._value(version_key(name, schema_version), catalogue_pb2.Resource, claimed)

    def duty(
        self, department: str, code: str, claimed: state_pb2.DutyState | None = None
    ) -> state_pb2.DutyState | None:
        """A department's duty, be it withdrawn or not."""
        return self._value(duty_key(department, code), state_pb2.DutyState, claimed)

    def table(
        self, resource: str, system: str, name: str, claimed: catalogue_pb2.DataTable | None = None
    ) -> catalogue_pb2.DataTable | None:
        """In which columns a table of a system has the fields of a resource."""
        return self._value(table_key(resource, system, name), catalogue_pb2.DataTable, claimed)

    def _value(self, key: bytes, message_type: type[M], claimed: M | None) -> M | None:
        if key not in self.verdict.entries:
            raise HuzhengError(Code.BAD_PROOF, "the statement says nothing of this")
        raw = self.verdict.entries[key]
        if claimed is not None and (raw is None or strict.write(claimed) != raw):
            raise _differs()
        return None if raw is None else strict.read(message_type, raw)


def _differs() -> HuzhengError:
    return HuzhengError(Code.UNTRUSTED_ANSWER, "another state than the one that is proved")

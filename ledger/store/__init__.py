"""The database of a node: blocks, indexes, state and vote log in LevelDB (docs/protocol.md section 7)."""

from ledger.store import audit_layout
from ledger.store.audit import (
    AuditIndex,
    ErasedRecord,
    OpenErasure,
    StoredErasure,
    StoredGrant,
    StoredRead,
)
from ledger.store.audit_layout import HourCount, NewestWrite, OperationPlace
from ledger.store.chain_store import ChainStore
from ledger.store.engine import Entry
from ledger.store.layout import Place, RecordPlace
from ledger.store.reader import ChainReader, CurrentPage, StoredRecord
from ledger.store.stored_state import StoredState
from ledger.store.verified import VerifiedBlock, VerifiedTransaction

__all__ = [
    "AuditIndex",
    "ChainReader",
    "ChainStore",
    "CurrentPage",
    "Entry",
    "ErasedRecord",
    "HourCount",
    "NewestWrite",
    "OpenErasure",
    "OperationPlace",
    "Place",
    "RecordPlace",
    "StoredErasure",
    "StoredGrant",
    "StoredRead",
    "StoredRecord",
    "StoredState",
    "VerifiedBlock",
    "VerifiedTransaction",
    "audit_layout",
]

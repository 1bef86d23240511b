"""The database of a node: blocks, indexes, state and vote log in LevelDB (docs/protocol.md section 7)."""

from ledger.store.chain_store import ChainStore
from ledger.store.engine import Entry
from ledger.store.layout import Place, RecordPlace
from ledger.store.reader import ChainReader, CurrentPage, StoredRecord, StoredState
from ledger.store.verified import VerifiedBlock, VerifiedTransaction

__all__ = [
    "ChainReader",
    "ChainStore",
    "CurrentPage",
    "Entry",
    "Place",
    "RecordPlace",
    "StoredRecord",
    "StoredState",
    "VerifiedBlock",
    "VerifiedTransaction",
]

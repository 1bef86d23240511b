"""Blocks: what executing a batch makes, and where a chain stands after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from huzheng.v1 import block_pb2, transaction_pb2

from ledger.crypto import Height, strict
from ledger.merkle import Frontier, Node
from ledger.transaction import WellFormedTransaction


@dataclass(frozen=True, slots=True)
class Tip:
    """The newest block of a chain, with all that executing the next one needs of it."""

    height: Height
    block_hash: bytes
    header: bytes
    time_ms: int
    state_root: bytes
    history: Frontier
    """The history tree over the hashes of blocks 0 to `height`, this one included."""


@dataclass(frozen=True, slots=True)
class ExecutedBlock:
    """A block this replica executed itself, not yet certified."""

    height: Height
    header: bytes
    """BlockHeader in strict form."""
    block_hash: bytes
    time_ms: int
    transactions: tuple[WellFormedTransaction, ...]
    results: tuple[bytes, ...]
    """TransactionResult in strict form, one for each transaction."""
    codes: tuple[transaction_pb2.ResultCode.ValueType, ...]
    changes: Mapping[bytes, bytes | None]
    """State keys set (a value) or removed (None), in ascending order of keys."""
    leaves: Mapping[bytes, bytes | None]
    """What it changes in the state tree: digests by path, None where one is removed."""
    history_nodes: tuple[Node, ...]
    """History tree nodes that this block's own hash completes."""
    tip: Tip
    """Where the chain stands after this block."""


def read_header(raw: bytes) -> block_pb2.BlockHeader:
    """A header in strict form. Raises HuzhengError(NOT_STRICT)."""
    return strict.read(block_pb2.BlockHeader, raw)

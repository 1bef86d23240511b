"""Keys and values of a node's database (docs/protocol.md section 7).

The first byte of a key says what kind of entry it is. Numbers in keys are big-endian, so that entries lie in the order
in which they are read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from ledger.crypto.types import HASH_BYTES, Height

STORE_VERSION: Final = 4
"""Changes with every change of this layout that an older program can't read."""

FORMAT_KEY: Final = b"!format"
CHAIN_KEY: Final = b"!chain"
GENESIS_KEY: Final = b"!genesis"
TIP_KEY: Final = b"!tip"
TREE_KEY: Final = b"!tree"
VOTE_WRITES_KEY: Final = b"!votes"

AUDIT: Final = b"a"
BLOCK: Final = b"b"
BLOCK_HASH: Final = b"h"
HISTORY_NODE: Final = b"m"
LACKING: Final = b"l"
ORDERED: Final = b"e"
AGAIN: Final = b"p"
RECORD: Final = b"r"
RESULTS: Final = b"o"
SCRUB: Final = b"z"
STATE: Final = b"s"
TRANSACTION: Final = b"t"
TRANSACTION_ID: Final = b"x"
TREE_CHANGES: Final = b"y"
VERSION: Final = b"v"
VOTE: Final = b"w"

KINDS: Final = {
    b"!": "meta entry",
    AUDIT: "audit index",
    BLOCK: "block",
    BLOCK_HASH: "block hash index",
    HISTORY_NODE: "history node",
    LACKING: "payload that is missing without an order",
    ORDERED: "order to remove payloads",
    AGAIN: "further place of a transaction",
    RECORD: "record index",
    RESULTS: "results",
    SCRUB: "mark of what is to be scrubbed",
    STATE: "state entry",
    TRANSACTION: "transaction",
    TRANSACTION_ID: "transaction index",
    TREE_CHANGES: "changes of the state tree",
    VERSION: "version index",
    VOTE: "vote log entry",
}
"""What the first byte of a key stands for, for people."""

_HEIGHT: Final = struct.Struct(">Q")
_PLACE: Final = struct.Struct(">QI")
_RECORD_PLACE: Final = struct.Struct(">QII")
_NODE: Final = struct.Struct(">BQ")

VOTE_SEQUENCE_BYTES: Final = 8


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a transaction is: its block and its position there, from 0."""

    height: Height
    index: int


@dataclass(frozen=True, slots=True, order=True)
class RecordPlace:
    """Where a record is: its block, its transaction's position there, its own in the transaction, all from 0."""

    height: Height
    transaction: int
    record: int

    @property
    def transaction_place(self) -> Place:
        """The place of the transaction that holds it."""
        return Place(self.height, self.transaction)


def block_key(height: int) -> bytes:
    """S2: value is a StoredBlock."""
    return BLOCK + _HEIGHT.pack(height)


def results_key(height: int) -> bytes:
    """S2: value is a StoredResults; no entry for a block without transactions."""
    return RESULTS + _HEIGHT.pack(height)


def transaction_key(height: int, index: int) -> bytes:
    """S2: value is the Transaction's bytes as they were ordered, but for payloads that were removed."""
    return TRANSACTION + _PLACE.pack(height, index)


def block_hash_key(block_hash: bytes) -> bytes:
    """S3: value is the height."""
    return BLOCK_HASH + block_hash


def transaction_id_key(transaction_id: bytes) -> bytes:
    """S3: value is the Place of the transaction's first result."""
    return TRANSACTION_ID + transaction_id


def repeats_prefix(transaction_id: bytes) -> bytes:
    """What the keys of a transaction's further places start with."""
    return AGAIN + transaction_id


def repeat_key(transaction_id: bytes, height: int, index: int) -> bytes:
    """S3: a place of the transaction besides that of its first result; value is empty."""
    return repeats_prefix(transaction_id) + _PLACE.pack(height, index)


def ordered_key(transaction_id: bytes) -> bytes:
    """S13: present, with an empty value, if some payload of the transaction is to be removed, be the transaction there or not."""
    return ORDERED + transaction_id


def lacking_key(transaction_id: bytes, position: int) -> bytes:
    """S13: value is the Place of a transaction that came without this payload, which nobody has ordered to be removed so far."""
    return LACKING + transaction_id + position.to_bytes(4, "big")


def scrub_key(height: int) -> bytes:
    """S13: value is the heights of the blocks from whose transactions a write that ended with this one removed payloads."""
    return SCRUB + _HEIGHT.pack(height)


def transactions_range(height: int) -> tuple[bytes, bytes]:
    """Between them are a block's transactions; they are no keys themselves."""
    return TRANSACTION + _HEIGHT.pack(height), TRANSACTION + _HEIGHT.pack(height + 1)


VOTES_RANGE: Final = (VOTE, b"x")
"""Between them are all vote log entries; they are no keys themselves."""


def record_key(record_id: bytes) -> bytes:
    """S3: value is the RecordPlace."""
    return RECORD + record_id


def subjects_prefix(resource: str, prefix: str) -> bytes:
    """What the keys of versions about all subjects with this prefix start with."""
    return b"%s%s\x00%s" % (VERSION, resource.encode(), prefix.encode())


def subject_in(version_key: bytes) -> str:
    """The subject that a version's key is about."""
    return version_key.split(b"\x00", 2)[1].decode()


def version_prefix(resource: str, subject: str) -> bytes:
    """What all keys of one subject's versions start with."""
    return b"%s%s\x00%s\x00" % (VERSION, resource.encode(), subject.encode())


def version_key(resource: str, subject: str, version: int) -> bytes:
    """S3: value is the RecordPlace. Neither resource names nor subjects can hold a zero byte."""
    return version_prefix(resource, subject) + _HEIGHT.pack(version)


def tree_changes_key(height: int) -> bytes:
    """S11: value is a StoredTreeChanges."""
    return TREE_CHANGES + _HEIGHT.pack(height)


def history_node_key(level: int, index: int) -> bytes:
    """S3: value is the hash of a complete node of the tree over the block hashes."""
    return HISTORY_NODE + _NODE.pack(level, index)


def is_own(key: bytes) -> bool:
    """Whether an entry concerns this node alone, and does not follow from the blocks: votes, how far the state tree's files are, and what
    is to be scrubbed."""
    return key[:1] in (VOTE, TREE_CHANGES, SCRUB) or key in (VOTE_WRITES_KEY, TREE_KEY)


def encode_height(height: int) -> bytes:
    """8 bytes."""
    return _HEIGHT.pack(height)


def decode_height(value: bytes) -> Height:
    """Raises struct.error unless there are 8 bytes."""
    return Height(_HEIGHT.unpack(value)[0])


def encode_place(height: int, index: int) -> bytes:
    """12 bytes."""
    return _PLACE.pack(height, index)


def decode_place(value: bytes) -> Place:
    """Raises struct.error unless there are 12 bytes."""
    return Place(*_PLACE.unpack(value))


def encode_record_place(height: int, transaction: int, record: int) -> bytes:
    """16 bytes."""
    return _RECORD_PLACE.pack(height, transaction, record)


def decode_record_place(value: bytes) -> RecordPlace:
    """Raises struct.error unless there are 16 bytes."""
    return RecordPlace(*_RECORD_PLACE.unpack(value))


def after_prefix(prefix: bytes) -> bytes:
    """The first key after all that start with the prefix, whose last byte is below 0xff."""
    return prefix[:-1] + bytes([prefix[-1] + 1])


def height_in(key: bytes, value: bytes) -> int | None:
    """The height that an entry belongs to, where its key or value tells; for error messages."""
    kind = key[:1]
    if kind in (BLOCK, RESULTS, SCRUB, TRANSACTION, TREE_CHANGES) and len(key) >= 9:
        return int.from_bytes(key[1:9], "big")
    if kind in (BLOCK_HASH, LACKING, TRANSACTION_ID, RECORD, VERSION) and len(value) >= 8:
        return int.from_bytes(value[:8], "big")
    return None


def is_hash(value: bytes) -> bool:
    """Whether it has the length of a hash."""
    return len(value) == HASH_BYTES

"""What the sound vectors of disclosures prove, piece by piece: see `tests.fuzzing.proven`.

A field that is shown may be left out by whoever has the file, and so may the payload; the receipt and the statement that proves the schema version
may have the seals of another quorum.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from huzheng.v1 import block_pb2, disclosure_pb2, statement_pb2

from tests.fuzzing.mutation import write
from tests.fuzzing.proven import ProvenReceipts, ProvenStatements


class ProvenDisclosures:
    """Of the disclosures that prove something."""

    def __init__(self, sound: Iterable[bytes]) -> None:
        disclosures = [disclosure_pb2.Disclosure.FromString(raw) for raw in sound]
        self._receipts = ProvenReceipts([disclosure.receipt for disclosure in disclosures])
        self._statements = ProvenStatements([found.catalogue for found in disclosures if found.catalogue], [])
        self._fields = {(_record(found), write(shown)) for found in disclosures for shown in found.fields}
        self._keys = {_record(found): _proved_key(found.catalogue) for found in disclosures}
        """What is proved of the catalogue with each record; nothing where the genesis says it."""

    def __call__(self, disclosure: Any) -> bool:
        """Whether it says nothing that these do not say in the same bytes."""
        receipt, record = block_pb2.Receipt.FromString(disclosure.receipt), _record(disclosure)
        numbers = [shown.number for shown in disclosure.fields]
        return (
            receipt.HasField("record")
            and self._receipts(receipt)
            and numbers == sorted(set(numbers))
            and all((record, write(shown)) in self._fields for shown in disclosure.fields)
            and _proved_key(disclosure.catalogue) == self._keys[record]
            and (not disclosure.catalogue or self._is_known(disclosure.catalogue))
        )

    def _is_known(self, catalogue: bytes) -> bool:
        statement = statement_pb2.Statement.FromString(catalogue)
        return not statement.leaves and len(statement.entries) == 1 and self._statements(statement)


def _record(disclosure: Any) -> bytes:
    return block_pb2.Receipt.FromString(disclosure.receipt).record.record


def _proved_key(catalogue: bytes) -> bytes:
    entries = statement_pb2.Statement.FromString(catalogue).entries
    return entries[0].key if entries else b""

"""Payloads that can be looked for in files, and orders to remove them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

from huzheng.v1 import sharing_pb2 as sharing
from huzheng.v1 import transaction_pb2 as pb

from ledger.block import ExecutedBlock
from ledger.building import BuiltRecord, build_record
from ledger.genesis import Genesis
from tests.builders import OBJECTION, Consortium, objection_fields, unit_code

LEGAL_BASIS = "个人信息保护法第四十七条"


class Marked:
    """A record in `property.objection` whose payload holds what nothing else does, and no compression shortens."""

    def __init__(self, genesis: Genesis, number: int = 1) -> None:
        self.salt, self.text = secrets.token_bytes(16), secrets.token_hex(16).upper()
        fields = objection_fields(number) | {"YWH": self.text}
        self.record: BuiltRecord = build_record(genesis, OBJECTION, unit_code(number), 1, b"", fields, salt=self.salt)

    def files_with_it(self, directory: Path) -> list[str]:
        """Of all files below the directory, the names of those that hold some of the payload."""
        marks = (self.salt, self.text.encode())
        while True:
            files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
            try:
                return [path.name for path in files if any(mark in path.read_bytes() for mark in marks)]
            except FileNotFoundError:
                # LevelDB has made others of some meanwhile: all are looked at anew.
                continue


def expunge(transaction_id: bytes, position: int = 0) -> pb.Operation:
    """An order to remove a payload."""
    order = sharing.Expunge(transaction_id=transaction_id, record_index=position, legal_basis=LEGAL_BASIS)
    return pb.Operation(expunge=order)


def order(
    consortium: Consortium, transaction_ids: Iterable[bytes], position: int = 0, department: str = "planning"
) -> bytes:
    """A transaction with orders for the payloads at one position in transactions."""
    operations = [expunge(transaction_id, position) for transaction_id in transaction_ids]
    return consortium.transaction(operations=operations, department=department, nonce=secrets.randbits(64))


def stripped(block: ExecutedBlock, positions: Sequence[tuple[int, int]]) -> tuple[bytes, ...]:
    """A block's transactions without payloads: each position is that of a transaction, and that of a record in it."""
    messages = [pb.Transaction.FromString(transaction.raw) for transaction in block.transactions]
    for index, position in positions:
        messages[index].payloads[position] = b""
    return tuple(message.SerializeToString(deterministic=True) for message in messages)

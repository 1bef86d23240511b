"""Checks blocks that a node tells, and shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from huzheng.v1 import block_pb2, transaction_pb2

from ledger.block_apply import check_transactions, prove_block
from ledger.crypto import Height, strict
from ledger.errors import Code, HuzhengError
from ledger.execution import genesis_block
from ledger.genesis import Genesis
from ledger.store.verified import verify_block
from ledger.transaction import WellFormedTransaction
from node.cli.output import json_time


@dataclass(frozen=True, slots=True)
class CheckedBlock:
    """A block whose certificate, transactions and results hold. Only `check_block` makes one."""

    height: Height
    block_hash: bytes
    fields: block_pb2.BlockHeader
    sealed_by: tuple[int, ...]
    transactions: tuple[WellFormedTransaction, ...]
    # Empty where the node was not asked for them.
    results: tuple[transaction_pb2.TransactionResult, ...]


def check_block(genesis: Genesis, raw: bytes, results: Sequence[bytes] | None) -> CheckedBlock:
    """Checks a block against the genesis: its certificate, its transactions, and its results if they are given.

    Raises:
        HuzhengError: UNTRUSTED_ANSWER.
    """
    try:
        if _height(raw) == 0:
            return _check_genesis_block(genesis, raw)
        proven = prove_block(genesis, genesis.membership, raw)
        transactions = check_transactions(genesis, proven)
        if results is not None:
            verify_block(genesis, proven.header, proven.certificate, results)
            if len(results) != len(transactions):
                raise HuzhengError(Code.BAD_BLOCK, "results")
        read = tuple(strict.read(transaction_pb2.TransactionResult, result) for result in results or ())
        seals = strict.read(block_pb2.Certificate, proven.certificate).seals
    except HuzhengError as error:
        raise HuzhengError(Code.UNTRUSTED_ANSWER, str(error)) from None
    sealed_by = tuple(seal.replica for seal in seals)
    return CheckedBlock(proven.height, proven.block_hash, proven.fields, sealed_by, transactions, read)


def block_to_dict(block: CheckedBlock) -> dict[str, Any]:
    """A block for programs."""
    codes: list[int | None] = [result.code for result in block.results] or [None] * len(block.transactions)
    return {
        "height": block.height,
        "hash": block.block_hash.hex(),
        "parent_hash": block.fields.parent_hash.hex(),
        "time": json_time(block.fields.time_ms),
        "time_ms": block.fields.time_ms,
        "epoch": block.fields.epoch,
        "proposer": block.fields.proposer,
        "protocol_version": block.fields.protocol_version,
        "transactions_root": block.fields.transactions_root.hex(),
        "results_root": block.fields.results_root.hex(),
        "state_root": block.fields.state_root.hex(),
        "history_root": block.fields.history_root.hex(),
        "sealed_by": list(block.sealed_by),
        "transactions": [
            {
                "transaction_id": transaction.id.hex(),
                "department": transaction.department,
                "records": len(transaction.records),
                "operations": len(transaction.body.operations),
                "code": None if code is None else code_name(code),
            }
            for transaction, code in zip(block.transactions, codes, strict=True)
        ],
    }


def code_name(code: int) -> str:
    """A result code without its prefix."""
    if code not in transaction_pb2.ResultCode.values():
        return str(code)
    name = transaction_pb2.ResultCode.Name(transaction_pb2.ResultCode.ValueType(code))
    return name.removeprefix("RESULT_CODE_")


def _height(raw: bytes) -> int:
    return strict.read(block_pb2.BlockHeader, strict.read(block_pb2.Block, raw).header).height


def _check_genesis_block(genesis: Genesis, raw: bytes) -> CheckedBlock:
    expected = genesis_block(genesis)
    if strict.read(block_pb2.Block, raw) != block_pb2.Block(header=expected.header):
        raise HuzhengError(Code.BAD_BLOCK, "it is not the genesis block of this genesis")
    fields = strict.read(block_pb2.BlockHeader, expected.header)
    return CheckedBlock(Height(0), expected.block_hash, fields, (), (), ())

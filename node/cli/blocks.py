"""Checks blocks that a node tells, and shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from huzheng.v1 import block_pb2, transaction_pb2
from huzheng.v1 import ledger_service_pb2 as pb

from ledger.block_apply import check_transactions, prove_block
from ledger.chain_export import block_line
from ledger.crypto import Height, Membership, strict
from ledger.errors import Code, HuzhengError
from ledger.execution import genesis_block
from ledger.genesis import Genesis
from ledger.store.verified import verify_block
from ledger.transaction import WellFormedTransaction

if TYPE_CHECKING:
    from node.catalogue import Catalogue
    from node.client import LedgerClient


@dataclass(frozen=True, slots=True)
class CheckedBlock:
    """A block whose certificate, transactions and results hold. Only `check_block` makes one."""

    height: Height
    block_hash: bytes
    fields: block_pb2.BlockHeader
    membership: Membership
    """Of its epoch."""
    sealed_by: tuple[int, ...]
    transactions: tuple[WellFormedTransaction, ...]
    # Block and TransactionResults
    raw: bytes
    results: tuple[bytes, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """How each transaction ended."""
        return tuple(code_name(transaction_pb2.TransactionResult.FromString(raw).code) for raw in self.results)

    @property
    def record_count(self) -> int:
        """How many records its transactions carry, refused ones too."""
        return len(self.records)

    @property
    def records(self) -> list[bytes]:
        """Those that its transactions carry."""
        return [item.raw for transaction in self.transactions for item in transaction.records]

    def to_dict(self, catalogue: Catalogue) -> dict[str, Any]:
        """For programs, in the form of `huzheng chain export`."""
        return block_line(catalogue.genesis, catalogue.version, self.raw, self.results)


async def check_block(client: LedgerClient, answer: pb.GetBlockResponse) -> CheckedBlock:
    """Checks a block against the genesis: its certificate, its transactions and their signatures, its results.

    Raises:
        HuzhengError: UNTRUSTED_ANSWER.
    """
    genesis = client.genesis
    try:
        header = _header(answer.block)
        if header.height == 0:
            return _check_genesis_block(genesis, answer.block)
        membership = await client.members_of(header.epoch)
        proven = prove_block(genesis, membership, answer.block)
        transactions = check_transactions(genesis, proven)
        results = tuple(answer.results)
        verify_block(genesis, proven.header, proven.certificate, results)
        seals = strict.read(block_pb2.Certificate, proven.certificate).seals
    except HuzhengError as error:
        raise HuzhengError(Code.UNTRUSTED_ANSWER, str(error)) from None
    sealed_by = tuple(seal.replica for seal in seals)
    place = (proven.height, proven.block_hash, proven.fields, membership)
    return CheckedBlock(*place, sealed_by, transactions, answer.block, results)


def code_name(code: int) -> str:
    """A result code without its prefix."""
    if code not in transaction_pb2.ResultCode.values():
        return str(code)
    name = transaction_pb2.ResultCode.Name(transaction_pb2.ResultCode.ValueType(code))
    return name.removeprefix("RESULT_CODE_")


def _header(raw: bytes) -> block_pb2.BlockHeader:
    return strict.read(block_pb2.BlockHeader, strict.read(block_pb2.Block, raw).header)


def _check_genesis_block(genesis: Genesis, raw: bytes) -> CheckedBlock:
    expected = genesis_block(genesis)
    if strict.read(block_pb2.Block, raw) != block_pb2.Block(header=expected.header):
        raise HuzhengError(Code.BAD_BLOCK, "it is not the genesis block of this genesis")
    fields = strict.read(block_pb2.BlockHeader, expected.header)
    return CheckedBlock(Height(0), expected.block_hash, fields, genesis.membership, (), (), raw, ())

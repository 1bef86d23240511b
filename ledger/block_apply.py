"""Blocks from elsewhere: proven by their certificate, then executed here and compared (docs/protocol.md C11)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from huzheng.v1 import block_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger import merkle
from ledger.block import ExecutedBlock, Tip
from ledger.crypto import Domain, Height, Membership, strict, verify_certificate
from ledger.errors import Code, HuzhengError
from ledger.execution import batch_of_block, execute
from ledger.genesis import Genesis
from ledger.state import LedgerState
from ledger.store import ChainStore
from ledger.transaction import Known, WellFormedTransaction, check_transaction


@dataclass(frozen=True, slots=True)
class ProvenBlock:
    """A block whose certificate holds. Only `prove_block` makes one. Its transactions are not checked yet."""

    height: Height
    header: bytes
    fields: block_pb2.BlockHeader
    block_hash: bytes
    certificate: bytes
    transactions: tuple[bytes, ...]
    results: tuple[pb.TransactionResult, ...]
    """Those of its header, if payloads were removed (E4); empty otherwise."""


@dataclass(frozen=True, slots=True)
class CheckedBlock:
    """A proven block whose transactions are well formed and those of its header. Only `check_block` makes one."""

    proven: ProvenBlock
    transactions: tuple[WellFormedTransaction, ...]

    @property
    def height(self) -> Height:
        """Where it stands, if it follows what stands below."""
        return self.proven.height


def prove_block(genesis: Genesis, membership: Membership, raw: bytes) -> ProvenBlock:
    """Reads a Block and checks its certificate against the membership of its height.

    Raises:
        HuzhengError: BAD_BLOCK, BAD_CERTIFICATE.
    """
    try:
        block = strict.read(block_pb2.Block, raw)
        header = strict.read(block_pb2.BlockHeader, block.header)
    except HuzhengError as error:
        raise HuzhengError(Code.BAD_BLOCK, f"{error.detail} is not in strict form") from None
    if header.chain_id != genesis.chain_id:
        raise HuzhengError(Code.BAD_BLOCK, "it is of another chain")
    if header.epoch != membership.epoch:
        raise HuzhengError(Code.BAD_BLOCK, f"epoch {header.epoch}")
    height = Height(header.height)
    block_hash = genesis.suite.digest(Domain.BLOCK, block.header)
    verify_certificate(genesis.suite, membership, block.certificate, height, block_hash)
    results = _prove_results(genesis, header, block.results)
    transactions = tuple(block.transactions)
    return ProvenBlock(height, block.header, header, block_hash, block.certificate, transactions, results)


def _prove_results(
    genesis: Genesis, header: block_pb2.BlockHeader, raws: Sequence[bytes]
) -> tuple[pb.TransactionResult, ...]:
    """E4. None is what a block has to which nothing was done."""
    if not raws:
        return ()
    suite = genesis.suite
    root = merkle.root(suite, [suite.digest(Domain.RESULT, raw) for raw in raws])
    if (len(raws), root) != (header.transaction_count, header.results_root):
        raise HuzhengError(Code.BAD_BLOCK, f"block {header.height}: the results are not those of its header")
    return tuple(strict.read(pb.TransactionResult, raw) for raw in raws)


def check_transactions(
    genesis: Genesis, block: ProvenBlock, known: Known = lambda _: None
) -> tuple[WellFormedTransaction, ...]:
    """The block's transactions, each well formed and all together those that the header commits to.

    Payloads that were removed are passed over if the block has its results (E4).

    The limits on a batch's size and on lifetimes are not checked again: the bytes and the time of the batch are not
    in the block, and the certificate says that a quorum found them in order (T4).

    Raises:
        HuzhengError: BAD_BLOCK.
    """
    transactions = []
    for index, raw in enumerate(block.transactions):
        result = block.results[index] if index < len(block.results) else None
        try:
            transactions.append(known(raw) or check_transaction(raw, genesis, result))
        except HuzhengError as error:
            detail = f"block {block.height}, transaction {index}: {error.code} {error.detail}"
            raise HuzhengError(Code.BAD_BLOCK, detail) from error
    ids = [transaction.id for transaction in transactions]
    root = merkle.root(genesis.suite, ids)
    if (len(ids), root) != (block.fields.transaction_count, block.fields.transactions_root):
        raise HuzhengError(Code.BAD_BLOCK, f"block {block.height}: the transactions are not those of its header")
    if block.results and all(item.removed is None for transaction in transactions for item in transaction.records):
        raise HuzhengError(Code.BAD_BLOCK, f"block {block.height}: results, though no payload is missing")
    return tuple(transactions)


def check_block(genesis: Genesis, membership: Membership, raw: bytes, known: Known = lambda _: None) -> CheckedBlock:
    """All that can be checked of a block without the state below it.

    Raises:
        HuzhengError: BAD_BLOCK, BAD_CERTIFICATE.
    """
    proven = prove_block(genesis, membership, raw)
    return CheckedBlock(proven, check_transactions(genesis, proven, known))


def execute_again(
    genesis: Genesis,
    state: LedgerState,
    parent: Tip,
    block: ProvenBlock,
    transactions: tuple[WellFormedTransaction, ...],
) -> ExecutedBlock:
    """The block as it comes out here, which is the same to the byte.

    Raises:
        HuzhengError: BAD_BLOCK if it does not follow the parent; DIVERGED if it comes out otherwise; PROTOCOL_UNKNOWN.
    """
    if block.height != parent.height + 1 or block.fields.parent_hash != parent.block_hash:
        raise HuzhengError(Code.BAD_BLOCK, f"block {block.height} does not follow block {parent.height}")
    batch = batch_of_block(block.fields, transactions)
    executed = execute(genesis, state, parent, batch)
    if executed.header != block.header:
        raise HuzhengError(Code.DIVERGED, f"height {block.height}: {_differences(executed.header, block.fields)}")
    return executed


def apply_block(
    store: ChainStore,
    genesis: Genesis,
    block: ProvenBlock,
    executed: ExecutedBlock | None,
    known: Known = lambda _: None,
) -> ExecutedBlock:
    """Stores the next block with its certificate. `executed` is what this replica made at its height, if it has.

    Raises:
        HuzhengError: BAD_BLOCK; DIVERGED if this replica makes or made another block; STORE_DISK_FULL, STORE_WRITE_FAILED.
    """
    if executed is None:
        transactions = check_transactions(genesis, block, known)
        executed = execute_again(genesis, store.state, store.tip, block, transactions)
    else:
        require_same(executed, block)
    store.append(executed, block.certificate)
    return executed


def require_same(executed: ExecutedBlock, block: ProvenBlock) -> None:
    """Raises HuzhengError(DIVERGED) if this replica made another block than the one that is proven."""
    if executed.block_hash != block.block_hash:
        raise HuzhengError(Code.DIVERGED, f"height {block.height}: {_differences(executed.header, block.fields)}")


def _differences(header: bytes, expected: block_pb2.BlockHeader) -> str:
    """Which fields of the headers differ; for operators."""
    found = block_pb2.BlockHeader.FromString(header)
    names = [field.name for field in expected.DESCRIPTOR.fields]
    return ", ".join(name for name in names if getattr(found, name) != getattr(expected, name))

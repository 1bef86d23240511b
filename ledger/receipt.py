"""Receipts: proof of how a transaction ended and of one of its records, for whoever holds the genesis file (docs/protocol.md section 9).

Needs no node, no network, no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from huzheng.v1 import block_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger import merkle
from ledger.anchor import check_against
from ledger.crypto import Domain, strict
from ledger.epoch_proof import MAX_EPOCHS_BYTES, check_sizes, require_not_over, verify_epochs, verify_leaf
from ledger.epochs import EpochTerms
from ledger.errors import Code, HuzhengError, refusal
from ledger.genesis import Genesis
from ledger.proven_record import ProvenRecord, Versions, read_proven, record_id
from ledger.sealed_block import BlockVerdict, SealedBlock, verify_sealed
from ledger.transaction import INCONCLUSIVE

RECEIPT_OVERHEAD_BYTES = 64 * 1024
"""More than all of a receipt besides what is in its transaction: header, result, certificate, audit paths."""


@dataclass(frozen=True, slots=True)
class Verdict(BlockVerdict):
    """What a valid receipt proves. Only `verify_receipt` makes one."""

    transaction_id: bytes
    department: str
    """In whose name it was submitted. That the key was the department's is proven unless it was refused as UNKNOWN_KEY
    or not conclusively."""
    code: pb.ResultCode.ValueType
    index: int
    """The position of the record or operation that was refused."""
    record: ProvenRecord | None

    @property
    def accepted(self) -> bool:
        """Whether the transaction took effect; otherwise the receipt proves that it was refused."""
        return self.code == pb.RESULT_CODE_ACCEPTED

    @property
    def refusal(self) -> Code | None:
        """Why it was refused."""
        return None if self.accepted else refusal(self.code)

    @property
    def conclusive(self) -> bool:
        """Whether no other block ends the same transaction otherwise. A repeat is refused although its first was accepted."""
        return self.code not in INCONCLUSIVE

    @property
    def record_id(self) -> bytes | None:
        """The proven record's id."""
        return None if self.record is None else self.record.id

    def to_dict(self) -> dict[str, Any]:
        """For JSON: hashes in hex, the time in ISO 8601."""
        record = self.record
        return {
            "valid": True,
            "accepted": self.accepted,
            "refusal": self.refusal,
            "conclusive": self.conclusive,
            **super(Verdict, self).to_dict(),
            "transaction_id": self.transaction_id.hex(),
            "department": self.department,
            "record": None if record is None else record.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class BlockProofs:
    """The trees of one block, made once for all receipts of its transactions, and how its epoch came about."""

    header: bytes
    certificate: bytes
    results: tuple[bytes, ...]
    transaction_levels: list[list[bytes]]
    result_levels: list[list[bytes]]
    epochs: tuple[block_pb2.EpochProof, ...] = ()


def block_proofs(
    genesis: Genesis,
    header: bytes,
    certificate: bytes,
    ids: Sequence[bytes],
    results: Sequence[bytes],
    epochs: tuple[block_pb2.EpochProof, ...] = (),
) -> BlockProofs:
    """The trees over a block's transaction ids and results."""
    suite = genesis.suite
    hashes = [suite.digest(Domain.RESULT, result) for result in results]
    id_levels, result_levels = merkle.levels(suite, list(ids)), merkle.levels(suite, hashes)
    return BlockProofs(header, certificate, tuple(results), id_levels, result_levels, epochs)


def build_epoch_proof(genesis: Genesis, proofs: BlockProofs, index: int, body: bytes) -> block_pb2.EpochProof:
    """That the change of the membership at `index` in its block was accepted."""
    return block_pb2.EpochProof(
        header=proofs.header,
        certificate=proofs.certificate,
        body=body,
        result=proofs.results[index],
        transaction_index=index,
        transaction_path=_path(genesis, proofs.transaction_levels, index),
        result_path=_path(genesis, proofs.result_levels, index),
    )


def build_receipt(
    genesis: Genesis,
    proofs: BlockProofs,
    index: int,
    transaction: pb.Transaction,
    record_index: int | None = None,
    record_levels: list[list[bytes]] | None = None,
) -> bytes:
    """The receipt of the transaction at `index` in its block, and of one of its records if one is asked for.

    Whoever wants receipts of many of its records gives the tree over their ids (`merkle.levels`), so that it is made
    but once.
    """
    receipt = block_pb2.Receipt(
        header=proofs.header,
        certificate=proofs.certificate,
        body=transaction.body,
        signature=transaction.signature,
        result=proofs.results[index],
        transaction_index=index,
        transaction_path=_path(genesis, proofs.transaction_levels, index),
        result_path=_path(genesis, proofs.result_levels, index),
        epochs=proofs.epochs,
    )
    if record_index is not None:
        suite = genesis.suite
        levels = record_levels or merkle.levels(
            suite, [suite.digest(Domain.RECORD, raw) for raw in transaction.records]
        )
        receipt.record.record = transaction.records[record_index]
        receipt.record.payload = transaction.payloads[record_index]
        receipt.record.index = record_index
        receipt.record.path.extend(_path(genesis, levels, record_index))
    return strict.write(receipt)


def _path(genesis: Genesis, tree: list[list[bytes]], index: int) -> list[bytes]:
    return merkle.inclusion_path_from_nodes(
        genesis.suite, lambda level, position: tree[level][position], index, len(tree[0])
    )


def verify_receipt(
    raw: bytes,
    genesis: Genesis,
    anchor: SealedBlock | None = None,
    history: bytes = b"",
    known_epochs: Iterable[EpochTerms] = (),
    versions: Versions | None = None,
) -> Verdict:
    """What the receipt proves, trusting the genesis alone (R1 to R9), and, if one is given, that it is of the anchor's chain.

    `history`: the `HistoryProof` that links the receipt's block with the anchor. `known_epochs`: from `verify_epochs`, which
    tell when the receipt's own epoch was over. `versions`: the schema versions that are known (R6), those of the genesis unless given.

    Raises:
        HuzhengError: with the reason why it proves nothing: TOO_LARGE, NOT_STRICT, WRONG_CHAIN, PROTOCOL_UNKNOWN,
            EPOCH_UNKNOWN, BAD_CERTIFICATE, BAD_SIGNATURE, BAD_PROOF, UNKNOWN_FIELD, MALFORMED_TRANSACTION; FORKED.
    """
    receipt = _read(raw, genesis)
    epochs = verify_epochs(genesis, receipt.epochs)
    require_not_over(known_epochs, receipt.header)
    block = verify_sealed(genesis, epochs[-1], receipt.header, receipt.certificate)
    body, identifier = _verify_transaction(receipt, block.header, genesis)
    result = _verify_result(receipt, block.header, identifier, genesis)
    accepted = result.code == pb.RESULT_CODE_ACCEPTED
    record = _verify_record(receipt.record, body, genesis, accepted, versions) if receipt.HasField("record") else None
    if anchor is not None:
        check_against(genesis, anchor, block, history, epochs)
    return Verdict(block, anchor, identifier, body.department, result.code, result.index, record)


def _read(raw: bytes, genesis: Genesis) -> block_pb2.Receipt:
    """R1; the proofs of epochs have a limit of their own (R8)."""
    limit = genesis.parameters.max_transaction_bytes + RECEIPT_OVERHEAD_BYTES
    if len(raw) > limit + MAX_EPOCHS_BYTES:
        raise HuzhengError(Code.TOO_LARGE, "receipt")
    receipt = strict.read(block_pb2.Receipt, raw)
    check_sizes("receipt", len(raw), receipt.epochs, limit)
    return receipt


def _verify_transaction(
    receipt: block_pb2.Receipt, header: block_pb2.BlockHeader, genesis: Genesis
) -> tuple[pb.TransactionBody, bytes]:
    suite = genesis.suite
    identifier = suite.digest(Domain.TRANSACTION, receipt.body)
    index, size = receipt.transaction_index, header.transaction_count
    verify_leaf(genesis, identifier, index, size, receipt.transaction_path, header.transactions_root)
    body = strict.read(pb.TransactionBody, receipt.body)
    if body.chain_id != genesis.chain_id:
        raise HuzhengError(Code.WRONG_CHAIN, "transaction")
    if not suite.verify(Domain.SIGN_TRANSACTION, body.public_key, receipt.body, receipt.signature):
        raise HuzhengError(Code.BAD_SIGNATURE, "transaction")
    return body, identifier


def _verify_result(
    receipt: block_pb2.Receipt, header: block_pb2.BlockHeader, identifier: bytes, genesis: Genesis
) -> pb.TransactionResult:
    leaf = genesis.suite.digest(Domain.RESULT, receipt.result)
    index, size = receipt.transaction_index, header.transaction_count
    verify_leaf(genesis, leaf, index, size, receipt.result_path, header.results_root)
    result = strict.read(pb.TransactionResult, receipt.result)
    if result.transaction_id != identifier:
        raise HuzhengError(Code.BAD_PROOF, "the result is another transaction's")
    if result.code not in pb.ResultCode.values() or result.code == pb.RESULT_CODE_UNSPECIFIED:
        raise HuzhengError(Code.BAD_PROOF, "a result code this version does not know")
    return result


def _verify_record(
    proof: block_pb2.RecordProof,
    body: pb.TransactionBody,
    genesis: Genesis,
    accepted: bool,
    versions: Versions | None,
) -> ProvenRecord:
    identifier = record_id(genesis, proof.record)
    root = merkle.root_from_path(genesis.suite, identifier, proof.index, body.record_count, proof.path)
    if root != body.records_root:
        raise HuzhengError(Code.BAD_PROOF, "the record's audit path does not lead to the records root")
    return read_proven(genesis, proof.record, proof.payload, accepted=accepted, versions=versions)

"""Proofs of how the membership changed, from the genesis to any epoch (docs/protocol.md section 9, R8).

Needs no node, no network, no database.
"""

from __future__ import annotations

from collections.abc import Sequence

from huzheng.v1 import block_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger import merkle
from ledger.crypto import Domain, Height, strict, verify_certificate
from ledger.epochs import EpochTerms, first_epoch, next_epoch
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.membership_change import read_change
from ledger.outcome import Refused

MAX_EPOCHS_BYTES = 4 * 1024 * 1024
"""Of all proofs of one receipt together: some 2,000 changes among seven departments."""


def verify_epochs(genesis: Genesis, proofs: Sequence[block_pb2.EpochProof]) -> tuple[EpochTerms, ...]:
    """Epoch 0 and one more for each proof.

    Raises:
        HuzhengError: with the reason why they prove nothing: NOT_STRICT, WRONG_CHAIN, PROTOCOL_UNKNOWN, EPOCH_UNKNOWN,
            BAD_CERTIFICATE, BAD_PROOF, MALFORMED_TRANSACTION.
    """
    epochs = [first_epoch(genesis)]
    for proof in proofs:
        epochs.append(_verify_epoch(genesis, epochs[-1], proof))
    return tuple(epochs)


def _verify_epoch(genesis: Genesis, current: EpochTerms, proof: block_pb2.EpochProof) -> EpochTerms:
    header, _ = verify_header(genesis, current, proof.header, proof.certificate)
    index = proof.transaction_index
    identifier = genesis.suite.digest(Domain.TRANSACTION, proof.body)
    verify_leaf(genesis, identifier, index, header.transaction_count, proof.transaction_path, header.transactions_root)
    body = strict.read(pb.TransactionBody, proof.body)
    leaf = genesis.suite.digest(Domain.RESULT, proof.result)
    verify_leaf(genesis, leaf, index, header.transaction_count, proof.result_path, header.results_root)
    result = strict.read(pb.TransactionResult, proof.result)
    if result.transaction_id != identifier or result.code != pb.RESULT_CODE_ACCEPTED:
        raise HuzhengError(Code.BAD_PROOF, f"no change that ended epoch {current.epoch} was accepted")
    if len(body.operations) != 1 or not body.operations[0].HasField("change_membership"):
        raise HuzhengError(Code.BAD_PROOF, "the transaction is no change of the membership")
    change = read_change(body.operations[0].change_membership.change, genesis)
    if change.epoch != current.epoch:
        raise HuzhengError(Code.BAD_PROOF, f"a change for epoch {change.epoch}")
    try:
        return next_epoch(current, change, (Height(header.height), index), genesis.parameters.watermark_window)
    except Refused:
        raise HuzhengError(Code.BAD_PROOF, "a change of the membership that no correct replica accepts") from None


def verify_header(
    genesis: Genesis, terms: EpochTerms, raw: bytes, certificate: bytes
) -> tuple[block_pb2.BlockHeader, bytes]:
    """A header that a quorum of an epoch's members sealed, and its hash (R2, R3).

    Raises:
        HuzhengError: NOT_STRICT, WRONG_CHAIN, PROTOCOL_UNKNOWN, EPOCH_UNKNOWN, BAD_PROOF, BAD_CERTIFICATE.
    """
    header = strict.read(block_pb2.BlockHeader, raw)
    if header.chain_id != genesis.chain_id:
        raise HuzhengError(Code.WRONG_CHAIN, "header")
    if header.protocol_version not in genesis.rules:
        raise HuzhengError(Code.PROTOCOL_UNKNOWN, f"protocol version {header.protocol_version}")
    if header.epoch != terms.epoch:
        raise HuzhengError(Code.EPOCH_UNKNOWN, f"epoch {header.epoch}")
    if header.height < terms.first_height or header.protocol_version != terms.protocol_version:
        raise HuzhengError(Code.BAD_PROOF, f"a block that epoch {terms.epoch} does not have")
    block_hash = genesis.suite.digest(Domain.BLOCK, raw)
    verify_certificate(genesis.suite, terms.membership, certificate, Height(header.height), block_hash)
    return header, block_hash


def verify_leaf(genesis: Genesis, leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Raises HuzhengError(BAD_PROOF) unless the path leads from the leaf to the root."""
    if merkle.root_from_path(genesis.suite, leaf, index, size, path) != root:
        raise HuzhengError(Code.BAD_PROOF, "an audit path does not lead to the block's root")

"""Proofs of how the membership changed, from the genesis to any epoch (docs/protocol.md section 9, R8).

Needs no node, no network, no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from huzheng.v1 import block_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger import merkle
from ledger.crypto import Domain, Height, strict
from ledger.epochs import EpochTerms, first_epoch, next_epoch
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.membership_change import read_change
from ledger.outcome import Refused
from ledger.sealed_block import verify_sealed

MAX_EPOCHS_BYTES = 4 * 1024 * 1024
"""Of all proofs of one receipt together: some 2,000 changes among seven departments."""
MAX_EPOCHS = MAX_EPOCHS_BYTES // 128
"""A proof has a header, a certificate, a body and a result, and so far more bytes than these: whoever sends more proofs sends empty ones."""


def verify_epochs(
    genesis: Genesis, proofs: Sequence[block_pb2.EpochProof], start: EpochTerms | None = None
) -> tuple[EpochTerms, ...]:
    """The epoch that is known, which is epoch 0 unless another is given as `start`, and one more for each proof.

    Raises:
        HuzhengError: with the reason why they prove nothing: NOT_STRICT, WRONG_CHAIN, PROTOCOL_UNKNOWN, EPOCH_UNKNOWN,
            BAD_CERTIFICATE, BAD_PROOF, MALFORMED_TRANSACTION.
    """
    epochs = [start or first_epoch(genesis)]
    for proof in proofs:
        epochs.append(_verify_epoch(genesis, epochs[-1], proof))
    return tuple(epochs)


def _verify_epoch(genesis: Genesis, current: EpochTerms, proof: block_pb2.EpochProof) -> EpochTerms:
    header = verify_sealed(genesis, current, proof.header, proof.certificate).header
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


def check_sizes(what: str, size: int, proofs: Sequence[block_pb2.EpochProof], limit: int) -> None:
    """Of something with proofs of epochs (R8): what it has besides them has at most `limit` bytes.

    Raises:
        HuzhengError: TOO_LARGE.
    """
    # Two million empty ones would take longer to add up than anything else here takes.
    if len(proofs) > MAX_EPOCHS:
        raise HuzhengError(Code.TOO_LARGE, what)
    of_epochs = sum(proof.ByteSize() for proof in proofs)
    if of_epochs > MAX_EPOCHS_BYTES or size - of_epochs > limit:
        raise HuzhengError(Code.TOO_LARGE, what)


def epoch_among(epochs: Iterable[EpochTerms], header: bytes) -> EpochTerms:
    """The epoch that a header says it is of. Raises HuzhengError(NOT_STRICT, EPOCH_UNKNOWN)."""
    epoch = strict.read(block_pb2.BlockHeader, header).epoch
    for terms in epochs:
        if terms.epoch == epoch:
            return terms
    raise HuzhengError(Code.EPOCH_UNKNOWN, f"epoch {epoch}")


def require_not_over(epochs: Iterable[EpochTerms], header: bytes) -> None:
    """No block's epoch has ended before it: its height is below the first one of the next epoch, where that is known (R9).

    Raises:
        HuzhengError: NOT_STRICT, BAD_PROOF.
    """
    block = strict.read(block_pb2.BlockHeader, header)
    if any(terms.epoch == block.epoch + 1 and terms.first_height <= block.height for terms in epochs):
        raise HuzhengError(Code.BAD_PROOF, f"a block that epoch {block.epoch} does not have: it is over")


def require_last(own: Sequence[EpochTerms], terms: EpochTerms) -> None:
    """What carries proofs of epochs is of the last of them (R8): else there would be many encodings of the same.

    `own`: from `verify_epochs`; `terms`: of the header.

    Raises:
        HuzhengError: EPOCH_UNKNOWN.
    """
    if len(own) > 1 and own[-1].epoch != terms.epoch:
        raise HuzhengError(Code.EPOCH_UNKNOWN, f"epoch {terms.epoch}, with proofs up to {own[-1].epoch}")


def verify_leaf(genesis: Genesis, leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Raises HuzhengError(BAD_PROOF) unless the path leads from the leaf to the root."""
    if merkle.root_from_path(genesis.suite, leaf, index, size, path) != root:
        raise HuzhengError(Code.BAD_PROOF, "an audit path does not lead to the block's root")

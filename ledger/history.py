"""Proofs that a block is in the history of a later one (docs/protocol.md section 13).

Needs no node, no network, no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from huzheng.v1 import block_pb2, history_pb2

from ledger import merkle
from ledger.crypto import Domain, strict
from ledger.epoch_proof import MAX_EPOCHS_BYTES, check_sizes, epoch_among, require_last, require_not_over, verify_epochs
from ledger.epochs import EpochTerms
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.sealed_block import SealedBlock, genesis_anchor, verify_sealed

MAX_HISTORY_BYTES = 64 * 1024
"""Of a proof without its epochs."""


@dataclass(frozen=True, slots=True)
class HistoryVerdict:
    """Two blocks of one chain. Only `verify_history` makes one."""

    old: SealedBlock
    new: SealedBlock


def verify_history(
    raw: bytes, genesis: Genesis, *, epochs: Iterable[EpochTerms] = (), known: Sequence[SealedBlock] = ()
) -> HistoryVerdict:
    """What the proof shows: all of the earlier block's history, and itself, are in that of the later one (H1, H2).

    `epochs`: those that the caller knows; not needed if the proof has its own. `known`: blocks that need no certificate, besides the
    genesis block.

    Raises:
        HuzhengError: with the reason why it proves nothing: TOO_LARGE, and as `verify_sealed` and `verify_epochs`.
    """
    if len(raw) > MAX_HISTORY_BYTES + MAX_EPOCHS_BYTES:
        raise HuzhengError(Code.TOO_LARGE, "history proof")
    proof = strict.read(history_pb2.HistoryProof, raw)
    check_sizes("history proof", len(raw), proof.epochs, MAX_HISTORY_BYTES)
    own = verify_epochs(genesis, proof.epochs)
    terms = (*own, *epochs)
    new = _block(genesis, terms, known, proof.header, proof.certificate)
    require_last(own, new.terms)
    old = _block(genesis, terms, known, proof.old_header, proof.old_certificate)
    verify_link(genesis, old, new, proof.inclusion, proof.consistency)
    return HistoryVerdict(old, new)


def _block(
    genesis: Genesis, epochs: Sequence[EpochTerms], known: Iterable[SealedBlock], raw: bytes, certificate: bytes
) -> SealedBlock:
    if not certificate:
        block_hash = genesis.suite.digest(Domain.BLOCK, raw)
        trusted = next((block for block in _without_certificate(genesis, known) if block.hash == block_hash), None)
        if trusted is not None:
            return trusted
    require_not_over(epochs, raw)
    return verify_sealed(genesis, epoch_among(epochs, raw), raw, certificate)


def _without_certificate(genesis: Genesis, known: Iterable[SealedBlock]) -> Iterator[SealedBlock]:
    """The genesis block last: its state tree has to be built, which costs more than all signatures of a proof."""
    yield from known
    yield genesis_anchor(genesis)


def verify_link(
    genesis: Genesis, old: SealedBlock, new: SealedBlock, inclusion: Sequence[bytes], consistency: Sequence[bytes]
) -> None:
    """Raises HuzhengError(BAD_PROOF) unless the earlier block and its history are in that of the later one (H2)."""
    if old.height >= new.height:
        raise HuzhengError(Code.BAD_PROOF, "a history proof whose blocks are not in order")
    root = merkle.root_from_path(genesis.suite, old.hash, old.height, new.height, inclusion)
    if root != new.header.history_root:
        raise HuzhengError(Code.BAD_PROOF, "the earlier block is not in the later one's history")
    roots = old.header.history_root, new.header.history_root
    merkle.verify_consistency(genesis.suite, old.height, new.height, *roots, consistency)


def fork_evidence(first: SealedBlock, second: SealedBlock, epochs: Sequence[block_pb2.EpochProof]) -> bytes:
    """What shows to anyone that two blocks of one height were sealed: a `Fork`. `epochs`: up to theirs, from the first change on."""
    low, high = sorted((first, second), key=lambda block: block.hash)
    fork = history_pb2.Fork(
        header=low.raw,
        certificate=low.certificate,
        other_header=high.raw,
        other_certificate=high.certificate,
        epochs=epochs,
    )
    return strict.write(fork)


def verify_fork(raw: bytes, genesis: Genesis) -> tuple[SealedBlock, SealedBlock]:
    """Two different blocks of one height, both sealed by a quorum (H5).

    Raises:
        HuzhengError: with the reason why it proves nothing: TOO_LARGE, BAD_PROOF, and as `verify_sealed` and `verify_epochs`.
    """
    if len(raw) > MAX_HISTORY_BYTES + MAX_EPOCHS_BYTES:
        raise HuzhengError(Code.TOO_LARGE, "fork")
    fork = strict.read(history_pb2.Fork, raw)
    check_sizes("fork", len(raw), fork.epochs, MAX_HISTORY_BYTES)
    epochs = verify_epochs(genesis, fork.epochs)
    first = verify_sealed(genesis, epoch_among(epochs, fork.header), fork.header, fork.certificate)
    second = verify_sealed(genesis, epoch_among(epochs, fork.other_header), fork.other_header, fork.other_certificate)
    require_last(epochs, max(first.terms, second.terms, key=lambda terms: terms.epoch))
    if first.height != second.height or first.hash >= second.hash:
        raise HuzhengError(Code.BAD_PROOF, "not two blocks of one height, in the order of their hashes")
    return first, second

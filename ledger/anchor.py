"""Blocks that a verifier goes from, instead of the genesis alone: given to him, or kept from what he saw before (docs/protocol.md section 13).

Needs no node, no network, no database.
"""

from __future__ import annotations

from collections.abc import Container

from huzheng.v1 import history_pb2

from ledger.crypto import strict
from ledger.epochs import EpochTerms, epoch_state, first_epoch, read_epoch_state
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.history import verify_history
from ledger.sealed_block import SealedBlock, genesis_anchor, verify_sealed

MAX_ANCHOR_BYTES = 256 * 1024


def write_anchor(block: SealedBlock) -> bytes:
    """A block that is proved, as an `Anchor` in strict form: some hundred bytes, and a hundred for each member."""
    anchor = history_pb2.Anchor(header=block.raw, certificate=block.certificate)
    if block.terms.epoch:
        anchor.epoch.CopyFrom(epoch_state(block.terms))
    return strict.write(anchor)


def read_anchor(raw: bytes, genesis: Genesis) -> SealedBlock:
    """The block, which is trusted for having been given as an anchor: its certificate only shows that the file is whole (H3).

    Raises:
        HuzhengError: TOO_LARGE, NOT_STRICT, WRONG_CHAIN, PROTOCOL_UNKNOWN, EPOCH_UNKNOWN, BAD_PROOF, BAD_CERTIFICATE.
    """
    if len(raw) > MAX_ANCHOR_BYTES:
        raise HuzhengError(Code.TOO_LARGE, "anchor")
    anchor = strict.read(history_pb2.Anchor, raw)
    has_epoch = anchor.HasField("epoch")
    if not anchor.certificate and not has_epoch:
        first = genesis_anchor(genesis)
        if anchor.header == first.raw:
            return first
    terms = read_epoch_state(genesis, anchor.epoch) if has_epoch else first_epoch(genesis)
    return verify_sealed(genesis, terms, anchor.header, anchor.certificate)


def check_against(
    genesis: Genesis, anchor: SealedBlock, block: SealedBlock, history: bytes, epochs: Container[EpochTerms]
) -> None:
    """That a proved block is of the anchor's chain: the same block, or linked with it by a `HistoryProof` (H3, H4).

    `epochs`: those by which the block's own was proved, one following from the other.

    Raises:
        HuzhengError: EPOCH_UNKNOWN if the block is no earlier one, and its epoch does not follow from the anchor's; FORKED
            if they are two blocks of one height; BAD_PROOF, TOO_LARGE, NOT_STRICT and others if the history proof does
            not link them.
    """
    # A later block links with whatever those like to whose keys it is sealed; an earlier one is what the anchor says.
    if block.height >= anchor.height and (block.terms.epoch < anchor.terms.epoch or anchor.terms not in epochs):
        raise HuzhengError(Code.EPOCH_UNKNOWN, f"epoch {block.terms.epoch}, which does not follow from the anchor's")
    if block.height == anchor.height:
        if block.hash != anchor.hash:
            raise HuzhengError(Code.FORKED, f"height {anchor.height}")
        return
    if not history:
        raise HuzhengError(
            Code.BAD_PROOF, f"no history proof between block {block.height} and the anchor, block {anchor.height}"
        )
    link = verify_history(history, genesis, known=(anchor, block), epochs=(anchor.terms, block.terms))
    if {link.old.hash, link.new.hash} != {anchor.hash, block.hash}:
        heights = f"blocks {link.old.height} and {link.new.height}, not {block.height} and the anchor, {anchor.height}"
        raise HuzhengError(Code.BAD_PROOF, f"the history proof is about {heights}")

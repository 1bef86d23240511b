"""Blocks that a quorum sealed, as whoever checks proofs has them: the header, its certificate, and the epoch that they are of.

Needs no node, no network, no database.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from huzheng.v1 import block_pb2

from ledger.crypto import Domain, Height, Membership, strict, verify_certificate
from ledger.epochs import EpochTerms, first_epoch
from ledger.errors import Code, HuzhengError
from ledger.execution import genesis_block
from ledger.genesis import MAX_TIME_MS, Genesis


@dataclass(frozen=True, slots=True)
class SealedBlock:
    """A block that is proved to be the chain's, or is trusted to be."""

    raw: bytes
    """BlockHeader in strict form."""
    certificate: bytes
    header: block_pb2.BlockHeader
    hash: bytes
    terms: EpochTerms
    """Of its epoch."""

    @property
    def height(self) -> Height:
        """Of the block."""
        return Height(self.header.height)

    @property
    def sealed_by(self) -> tuple[int, ...]:
        """The replicas whose seals make the certificate."""
        return tuple(seal.replica for seal in strict.read(block_pb2.Certificate, self.certificate).seals)


@dataclass(frozen=True, slots=True)
class BlockVerdict:
    """What is proved was so as of a block."""

    block: SealedBlock
    anchor: SealedBlock | None
    """The newer trust than the genesis that it was held against, if any (docs/protocol.md H3)."""

    @property
    def chain_id(self) -> bytes:
        """The genesis that was trusted."""
        return self.block.terms.membership.chain_id

    @property
    def height(self) -> Height:
        """Of the block."""
        return self.block.height

    @property
    def block_hash(self) -> bytes:
        """Of the block."""
        return self.block.hash

    @property
    def time_ms(self) -> int:
        """Of the block, milliseconds since 1970."""
        return self.block.header.time_ms

    @property
    def membership(self) -> Membership:
        """Of the block's epoch."""
        return self.block.terms.membership

    @property
    def epoch(self) -> int:
        """Of the block."""
        return self.block.terms.epoch

    @property
    def sealed_by(self) -> tuple[int, ...]:
        """The replicas whose seals make the block's certificate."""
        return self.block.sealed_by

    def to_dict(self) -> dict[str, Any]:
        """For JSON: hashes in hex, the time in ISO 8601."""
        anchor = self.anchor
        return {
            "chain_id": self.chain_id.hex(),
            "anchor": None if anchor is None else {"height": anchor.height, "block_hash": anchor.hash.hex()},
            "height": self.height,
            "block_hash": self.block_hash.hex(),
            "time": iso_time(self.time_ms),
            "epoch": self.epoch,
            "sealed_by": list(self.sealed_by),
        }


def iso_time(time_ms: int) -> str | None:
    """ISO 8601 in UTC, to the millisecond; None after the year 9999."""
    if time_ms > MAX_TIME_MS:
        return None
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)).isoformat(timespec="milliseconds")


def verify_sealed(genesis: Genesis, terms: EpochTerms, raw: bytes, certificate: bytes) -> SealedBlock:
    """A header that a quorum of an epoch's members sealed (R2, R3).

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
    return SealedBlock(raw, certificate, header, block_hash, terms)


def genesis_anchor(genesis: Genesis) -> SealedBlock:
    """The genesis block, which follows from the genesis and has no certificate."""
    block = genesis_block(genesis)
    header = strict.read(block_pb2.BlockHeader, block.header)
    return SealedBlock(block.header, b"", header, block.block_hash, first_epoch(genesis))

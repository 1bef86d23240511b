"""Hashes, signatures and the strict form: the one place that names an algorithm."""

from __future__ import annotations

from ledger.crypto import strict
from ledger.crypto.domains import Domain
from ledger.crypto.membership import (
    Member,
    Membership,
    build_certificate,
    max_faulty,
    quorum,
    seal_message,
    verify_certificate,
)
from ledger.crypto.self_test import self_test
from ledger.crypto.suite import ED25519_SHA256, SIMULATION, Signer, Suite, suite_named
from ledger.crypto.types import (
    HASH_BYTES,
    PUBLIC_KEY_BYTES,
    SEED_BYTES,
    SIGNATURE_BYTES,
    Epoch,
    Height,
    ReplicaId,
    Seq,
    View,
)

__all__ = [
    "ED25519_SHA256",
    "HASH_BYTES",
    "PUBLIC_KEY_BYTES",
    "SEED_BYTES",
    "SIGNATURE_BYTES",
    "SIMULATION",
    "Domain",
    "Epoch",
    "Height",
    "Member",
    "Membership",
    "ReplicaId",
    "Seq",
    "Signer",
    "Suite",
    "View",
    "build_certificate",
    "max_faulty",
    "quorum",
    "seal_message",
    "self_test",
    "strict",
    "suite_named",
    "verify_certificate",
]

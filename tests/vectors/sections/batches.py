"""Batches that are well formed, and others named after what is wrong (docs/protocol.md T4)."""

from __future__ import annotations

from hashlib import sha512

from huzheng.v1 import transaction_pb2 as pb

from ledger.crypto import Domain
from tests.naive import ed25519
from tests.naive.ledger import tagged_hash
from tests.vectors import example
from tests.vectors.example import LIFETIME_MS, NOW_MS, Built, batch, signer, transaction

_LATEST_MS = 253_402_300_799_999


def _one(nonce: int = 0, expires_ms: int = example.EXPIRES_MS) -> bytes:
    return transaction(Built(), nonce=nonce.to_bytes(16, "big"), expires_ms=expires_ms)


def _signed_otherwise(raw: bytes) -> bytes:
    """The same body with another valid signature, as only its signer can make one: Ed25519 with another nonce."""
    message = pb.Transaction.FromString(raw)
    public_key = signer("alpha system").public_key
    content = bytes(Domain.SIGN_TRANSACTION) + message.body
    seed_hash = sha512(example.seed("alpha system")).digest()
    secret = int.from_bytes(seed_hash[:32], "little") & (2**254 - 8) | 2**254
    nonce = int.from_bytes(sha512(b"another nonce").digest(), "little") % ed25519.L
    r = ed25519.encode(ed25519.multiply(nonce, ed25519.base_point()))
    k = int.from_bytes(sha512(r + public_key + content).digest(), "little")
    message.signature = r + ((nonce + k * secret) % ed25519.L).to_bytes(32, "little")
    return example.write(message)


def _well_formed() -> dict[str, bytes]:
    return {
        "null": b"",
        "heartbeat": batch(),
        "heartbeat at time zero": batch(proposed_ms=0),
        "one transaction": batch(_one()),
        "as many transactions as there may be": batch(*(_one(nonce) for nonce in range(4))),
        "transaction signed otherwise": batch(_signed_otherwise(_one())),
        "transactions that contradict one another": batch(_one(1), _one(2)),
        "transaction that expired long ago": batch(_one(expires_ms=0)),
        "transaction that lives as long as it may": batch(_one(expires_ms=NOW_MS + LIFETIME_MS)),
        "latest time": batch(proposed_ms=_LATEST_MS),
        "proposer that is no replica": batch(proposer=99),
    }


def _corrupt() -> dict[str, tuple[str, bytes]]:
    good = batch(_one())
    bad_signature = pb.Transaction.FromString(_one())
    bad_signature.signature = bytes(64)
    return {
        "not a message": ("NOT_STRICT", b"\xff" * 40),
        "cut off": ("NOT_STRICT", good[:-1]),
        "trailing zero byte": ("NOT_STRICT", good + b"\x00"),
        "unknown field": ("NOT_STRICT", good + b"\x20\x01"),
        "proposer zero present": ("NOT_STRICT", b"\x08\x00"),
        "no proposer": ("BAD_BATCH", batch(_one(), proposer=0)),
        "no proposer, only a time": ("BAD_BATCH", batch(proposer=0)),
        "time after the year 9999": ("BAD_BATCH", batch(proposed_ms=_LATEST_MS + 1)),
        "largest time": ("BAD_BATCH", batch(proposed_ms=2**64 - 1)),
        "one transaction more than there may be": ("BAD_BATCH", batch(*(_one(nonce) for nonce in range(5)))),
        "transaction twice": ("BAD_BATCH", batch(_one(), _one(1), _one())),
        "transaction twice, signed otherwise": ("BAD_BATCH", batch(_one(), _signed_otherwise(_one()))),
        "transaction that lives too long": ("BAD_BATCH", batch(_one(1), _one(expires_ms=NOW_MS + LIFETIME_MS + 1))),
        "transaction that never expires": ("BAD_BATCH", batch(_one(expires_ms=2**64 - 1))),
        "no time, and a transaction of now": ("BAD_BATCH", batch(_one(), proposed_ms=0)),
        "empty transaction": ("WRONG_CHAIN", batch(_one(), b"")),
        "transaction of another chain": ("WRONG_CHAIN", batch(transaction(Built(), chain_id=example.OTHER))),
        "transaction with a trailing byte": ("NOT_STRICT", batch(_one() + b"\x00")),
        "transaction with a bad signature": ("BAD_SIGNATURE", batch(_one(1), example.write(bad_signature), _one(2))),
        "malformed transaction": ("MALFORMED_TRANSACTION", batch(transaction(Built(version=0)))),
        "transaction with a payload too large": ("TOO_LARGE", batch(transaction(Built(bytes(1_025))))),
    }


def _batches() -> dict[str, object]:
    cases: list[dict[str, object]] = []
    for name, raw in _well_formed().items():
        message = pb.Batch.FromString(raw)
        cases.append(
            {
                "name": name,
                "batch": raw.hex(),
                "code": None,
                "digest": tagged_hash("batch", raw).hex(),
                "proposer": message.proposer,
                "proposed_ms": message.proposed_ms,
                "ids": [example.transaction_id(item).hex() for item in message.transactions],
            }
        )
    cases += [{"name": name, "batch": raw.hex(), "code": code} for name, (code, raw) in _corrupt().items()]
    return {
        "about": "Batches: well-formed ones with their digests, and others named after what is wrong.",
        "rule": "T4, C1",
        "genesis": example.GENESIS.hex(),
        "cases": cases,
    }


VECTORS = {"batches.json": _batches}

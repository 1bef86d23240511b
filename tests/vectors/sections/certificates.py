"""Certificates, sound and corrupted (docs/protocol.md I4)."""

from __future__ import annotations

from hashlib import sha256

from huzheng.v1 import block_pb2

from ledger.crypto import ED25519_SHA256, Domain, Epoch, Height, seal_message

CHAIN_ID = sha256(b"chain").digest()
BLOCK_HASH = sha256(b"block").digest()
OTHER = sha256(b"other").digest()
EPOCH, HEIGHT = Epoch(3), Height(1000)
IDS = (1, 2, 4, 7, 8)
"""The members' ids, with gaps: a gap is a replica that has left."""

_Seals = list[tuple[int, bytes]]


def seed(replica: int) -> bytes:
    """The seed of a replica's key."""
    return sha256(b"replica %d" % replica).digest()


def _seal(replica: int, *, key: int | None = None, message: bytes | None = None, domain: Domain | None = None) -> bytes:
    signer = ED25519_SHA256.signer(seed(key or replica))
    return signer.sign(domain or Domain.SIGN_SEAL, message or seal_message(CHAIN_ID, EPOCH, HEIGHT, BLOCK_HASH))


def _write(seals: _Seals) -> bytes:
    signatures = [block_pb2.SealSignature(replica=replica, signature=signature) for replica, signature in seals]
    return block_pb2.Certificate(seals=signatures).SerializeToString(deterministic=True)


def _about_the_set() -> list[tuple[str, int, _Seals, bool]]:
    one, two, four, seven, eight = ((replica, _seal(replica)) for replica in IDS)
    return [
        ("q lowest of 4", 4, [one, two, four], True),
        ("q highest of 4", 4, [two, four, seven], True),
        ("q of 5", 5, [one, two, four, seven], True),
        ("q of 1", 1, [one], True),
        ("none", 4, [], False),
        ("one short", 4, [one, two], False),
        ("one more than q", 4, [one, two, four, seven], False),
        ("2f + 1 of 5, which is one short of q", 5, [one, two, four], False),
        ("signer twice", 4, [one, two, two], False),
        ("signer twice besides q", 4, [one, two, two, four], False),
        ("out of order", 4, [one, four, two], False),
        ("descending", 4, [four, two, one], False),
        ("unknown signer", 4, [one, two, (3, _seal(3))], False),
        ("signer of another epoch", 4, [one, two, eight], False),
        ("signer zero", 4, [(0, _seal(1)), two, four], False),
    ]


def _about_one_seal() -> list[tuple[str, int, _Seals, bool]]:
    one, two = (1, _seal(1)), (2, _seal(2))
    good = _seal(4)
    message = seal_message(CHAIN_ID, EPOCH, HEIGHT, BLOCK_HASH)
    third = {
        "seal of another epoch": _seal(4, message=seal_message(CHAIN_ID, Epoch(EPOCH + 1), HEIGHT, BLOCK_HASH)),
        "seal of another height": _seal(4, message=seal_message(CHAIN_ID, EPOCH, Height(HEIGHT + 1), BLOCK_HASH)),
        "seal of another block": _seal(4, message=seal_message(CHAIN_ID, EPOCH, HEIGHT, OTHER)),
        "seal of another chain": _seal(4, message=seal_message(OTHER, EPOCH, HEIGHT, BLOCK_HASH)),
        "seal without the chain id": _seal(4, message=message[len(CHAIN_ID) :]),
        "seal over the bare block hash": _seal(4, message=BLOCK_HASH),
        "seal in the domain of commits": _seal(4, domain=Domain.SIGN_COMMIT),
        "seal by another member's key": _seal(4, key=2),
        "seal by the key of no member": _seal(4, key=3),
        "signature empty": b"",
        "signature a byte short": good[:-1],
        "signature a byte long": good + b"\x00",
        "signature of zeros": bytes(64),
        "bit flipped in R": bytes([good[0] ^ 1]) + good[1:],
        "bit flipped in S": good[:-1] + bytes([good[-1] ^ 1]),
    }
    return [(name, 4, [one, two, (4, signature)], False) for name, signature in third.items()]


def _not_strict() -> list[tuple[str, int, bytes, bool]]:
    sound = _write([(replica, _seal(replica)) for replica in IDS[:3]])
    first = _write([(1, _seal(1))])
    forms = {
        "unknown field at the end": sound + b"\x18\x01",
        "trailing zero byte": sound + b"\x00",
        "cut off": sound[:-1],
        "length not minimal": first[:1] + bytes([first[1] | 0x80, 0x00]) + first[2:] + sound[len(first) :],
        "signature before replica": b"\x0a\x44" + first[4:] + first[2:4] + sound[len(first) :],
        "bytes that are no message": b"\xff" * 40,
    }
    return [(f"not in strict form: {name}", 4, data, False) for name, data in forms.items()]


def _certificates() -> dict[str, object]:
    encoded = [(name, n, _write(seals), valid) for name, n, seals, valid in [*_about_the_set(), *_about_one_seal()]]
    members = [
        {
            "replica": replica,
            "department": f"d{replica}",
            "public_key": ED25519_SHA256.signer(seed(replica)).public_key.hex(),
        }
        for replica in IDS
    ]
    return {
        "about": "Certificates by the first n members: sound ones, and others named after what is corrupted.",
        "rule": "I4",
        "suite": ED25519_SHA256.name,
        "chain_id": CHAIN_ID.hex(),
        "epoch": EPOCH,
        "height": HEIGHT,
        "block_hash": BLOCK_HASH.hex(),
        "members": members,
        "cases": [
            {"name": name, "n": n, "certificate": data.hex(), "valid": valid}
            for name, n, data, valid in [*encoded, *_not_strict()]
        ],
    }


VECTORS = {"certificates.json": _certificates}

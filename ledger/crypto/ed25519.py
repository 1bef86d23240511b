"""The suite `ed25519-sha256`: SHA-256, and Ed25519 by libsodium, the one verifier (docs/protocol.md B4)."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from nacl import bindings, exceptions

from ledger.crypto.domains import Domain
from ledger.crypto.types import PUBLIC_KEY_BYTES, SEED_BYTES, SIGNATURE_BYTES, HashState
from ledger.errors import Code, HuzhengError


class Ed25519Signer:
    """Signs with one Ed25519 key (RFC 8032, deterministic)."""

    __slots__ = ("_secret_key", "public_key")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise HuzhengError(Code.BAD_KEY, f"a seed has {SEED_BYTES} bytes")
        self.public_key, self._secret_key = bindings.crypto_sign_seed_keypair(seed)

    def sign(self, domain: Domain, message: bytes) -> bytes:
        """The signature, 64 bytes, over `D(k) ‖ message`."""
        return bindings.crypto_sign(domain + message, self._secret_key)[:SIGNATURE_BYTES]


class Ed25519Sha256:
    """See `Suite`. Verifying releases the GIL, so worker threads verify in parallel."""

    __slots__ = ()

    name: Final = "ed25519-sha256"

    def digest(self, domain: Domain, *parts: bytes) -> bytes:
        """SHA-256 of `D(k) ‖ parts`."""
        # Parts are mostly short: one call costs less than several.
        return sha256(domain + b"".join(parts)).digest()

    def plain_hash(self, data: bytes) -> bytes:
        """SHA-256."""
        return sha256(data).digest()

    def plain_state(self, prefix: bytes) -> HashState:
        """SHA-256."""
        return sha256(prefix)

    def verify(self, domain: Domain, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """Whether libsodium's `crypto_sign` accepts the signature over `D(k) ‖ message`."""
        return verify_raw(public_key, domain + message, signature)

    def is_admissible_key(self, public_key: bytes) -> bool:
        """Whether libsodium takes it for a canonical point of the prime-order group."""
        return len(public_key) == PUBLIC_KEY_BYTES and bindings.crypto_core_ed25519_is_valid_point(public_key)

    def signer(self, seed: bytes) -> Ed25519Signer:
        """The signer with the key pair of a 32-byte seed."""
        return Ed25519Signer(seed)


def verify_raw(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Plain Ed25519 without a domain tag: for published vectors and the self-test only."""
    # libsodium is handed bare pointers: it can't see that a key or signature is short.
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public_key)
    except exceptions.BadSignatureError:
        return False
    return True

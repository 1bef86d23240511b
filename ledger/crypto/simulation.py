"""The suite `simulation`: fast keyed hashes in the place of signatures.

Whoever knows a public key can make its "signatures": this suite proves nothing. It is for the simulator,
whose adversary is a script that uses its own keys only, and a production daemon refuses it (docs/protocol.md B4).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from ledger.crypto.domains import Domain
from ledger.crypto.types import HASH_BYTES, PUBLIC_KEY_BYTES, SEED_BYTES, SIGNATURE_BYTES, HashState
from ledger.errors import Code, HuzhengError


def _keyed_hash(public_key: bytes, domain: Domain, message: bytes) -> bytes:
    return blake2b(domain + message, digest_size=SIGNATURE_BYTES, key=public_key).digest()


class SimulationSigner:
    """'Signs' by hashing under the public key."""

    __slots__ = ("public_key",)

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise HuzhengError(Code.BAD_KEY, f"a seed has {SEED_BYTES} bytes")
        self.public_key = blake2b(seed, digest_size=PUBLIC_KEY_BYTES).digest()

    def sign(self, domain: Domain, message: bytes) -> bytes:
        """64 bytes that `Simulation.verify` accepts."""
        return _keyed_hash(self.public_key, domain, message)


class Simulation:
    """See `Suite`."""

    __slots__ = ()

    name: Final = "simulation"

    def digest(self, domain: Domain, *parts: bytes) -> bytes:
        """BLAKE2b-256 of the parts, keyed with `D(k)`."""
        return blake2b(b"".join(parts), digest_size=HASH_BYTES, key=domain).digest()

    def plain_hash(self, data: bytes) -> bytes:
        """BLAKE2b-256."""
        return blake2b(data, digest_size=HASH_BYTES).digest()

    def plain_state(self, prefix: bytes) -> HashState:
        """BLAKE2b-256."""
        return blake2b(prefix, digest_size=HASH_BYTES)

    def verify(self, domain: Domain, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """Whether the signature is the keyed hash of `D(k) ‖ message`."""
        return len(public_key) == PUBLIC_KEY_BYTES and signature == _keyed_hash(public_key, domain, message)

    def is_admissible_key(self, public_key: bytes) -> bool:
        """Whether it has 32 bytes."""
        return len(public_key) == PUBLIC_KEY_BYTES

    def signer(self, seed: bytes) -> SimulationSigner:
        """The signer with the key of a 32-byte seed."""
        return SimulationSigner(seed)

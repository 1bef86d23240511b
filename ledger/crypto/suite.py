"""What a crypto suite is, and which ones there are (docs/protocol.md B4)."""

from __future__ import annotations

from typing import Final, Protocol

from ledger.crypto.domains import Domain
from ledger.crypto.ed25519 import Ed25519Sha256
from ledger.crypto.simulation import Simulation
from ledger.crypto.types import HashState
from ledger.errors import Code, HuzhengError


class Signer(Protocol):
    """Holds one secret key."""

    @property
    def public_key(self) -> bytes:
        """32 bytes."""
        ...

    def sign(self, domain: Domain, message: bytes) -> bytes:
        """The signature, 64 bytes, over `D(k) ‖ message`."""
        ...


class Suite(Protocol):
    """Hashes, signs and verifies. No other module names an algorithm."""

    @property
    def name(self) -> str:
        """As the genesis names it."""
        ...

    def digest(self, domain: Domain, *parts: bytes) -> bytes:
        """The hash, 32 bytes, of `D(k) ‖ parts` (B3)."""
        ...

    def plain_hash(self, data: bytes) -> bytes:
        """The hash, 32 bytes, without a tag: for the nodes of Merkle trees only (B5)."""
        ...

    def plain_state(self, prefix: bytes) -> HashState:
        """The plain hash of what begins so, to be copied and gone on with: faster where many begin alike."""
        ...

    def verify(self, domain: Domain, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """Whether the signature over `D(k) ‖ message` holds. Never raises, whatever the bytes and their lengths."""
        ...

    def is_admissible_key(self, public_key: bytes) -> bool:
        """Whether the key may be registered (B4): canonical and of prime order, so that sound verifiers agree on it."""
        ...

    def signer(self, seed: bytes) -> Signer:
        """The signer with the key pair of a 32-byte seed.

        Raises:
            HuzhengError: BAD_KEY if the seed has another length.
        """
        ...


ED25519_SHA256: Final[Suite] = Ed25519Sha256()
SIMULATION: Final[Suite] = Simulation()


def suite_named(name: str, *, allow_simulation: bool = False) -> Suite:
    """The suite that a genesis names.

    Raises:
        HuzhengError: SUITE_UNKNOWN, or SUITE_REFUSED for the simulation suite where it is not allowed.
    """
    if name == ED25519_SHA256.name:
        return ED25519_SHA256
    if name != SIMULATION.name:
        raise HuzhengError(Code.SUITE_UNKNOWN)
    if not allow_simulation:
        raise HuzhengError(Code.SUITE_REFUSED)
    return SIMULATION

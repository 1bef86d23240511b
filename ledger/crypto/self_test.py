"""A quick check, at a daemon's start, that the crypto libraries decide as this protocol version demands."""

from __future__ import annotations


def self_test() -> None:
    """Run the edge cases.

    Raises:
        HuzhengError: CRYPTO_SELF_TEST.
    """

"""Chance that falls alike on every machine and Python version (`random` promises that for few of its methods)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import shake_256
from typing import TypeVar

T = TypeVar("T")

_BLOCK_BYTES = 1024


class Dice:
    """A stream of choices that follows from its name alone. Biases below n / 2³² do not matter to samples."""

    def __init__(self, *name: int | str) -> None:
        self._name = "/".join(map(str, name))
        self._blocks = 0
        self._bytes = b""
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes, at most 1024."""
        if self._at + size > len(self._bytes):
            self._bytes = shake_256(f"{self._name}/{self._blocks}".encode()).digest(_BLOCK_BYTES)
            self._blocks += 1
            self._at = 0
        start = self._at
        self._at += size
        return self._bytes[start : self._at]

    def below(self, limit: int) -> int:
        """A number from 0 to limit - 1."""
        return int.from_bytes(self.take(4)) % limit

    def between(self, least: int, most: int) -> int:
        """A number from `least` to `most`, both included."""
        return least + self.below(most - least + 1)

    def chance(self, percent: int) -> bool:
        """True `percent` times out of a hundred."""
        return self.below(100) < percent

    def choice(self, options: Sequence[T]) -> T:
        """One of the options, each alike."""
        return options[self.below(len(options))]

    def random_id(self) -> str:
        """A random id of 32 hexadecimal digits, as departments give to people."""
        return self.take(16).hex()

"""The newest writes that were durable, noted in a file beside LevelDB's own (docs/protocol.md S8).

LevelDB takes a log that ends too early for one whose last write was cut short by a crash, and goes on without it: right
after a crash, wrong when the disk or a flipped length has swallowed writes that were durable. Whoever finds less in the
database than is noted here knows of the loss. The note itself is not synced: it may be older than the database, never
newer.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from pathlib import Path
from typing import Final

FILE_NAME: Final = "HIGHWATER"

_SLOT: Final = struct.Struct(">QI")
_HEIGHT_SLOT: Final = 0
_VOTES_SLOT: Final = 1


class HighWater:
    """Two numbers that only grow: the height stored, and how many times votes were written."""

    __slots__ = ("_file",)

    def __init__(self, directory: Path) -> None:
        self._file = os.open(directory / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @property
    def height(self) -> int:
        """The height noted last; 0 if there is no readable note."""
        return self._read(_HEIGHT_SLOT)

    @property
    def vote_writes(self) -> int:
        """The number of vote writes noted last; 0 if there is no readable note."""
        return self._read(_VOTES_SLOT)

    def note_height(self, height: int) -> None:
        """The block at this height is durable."""
        self._write(_HEIGHT_SLOT, height)

    def note_vote_writes(self, count: int) -> None:
        """So many vote writes are durable."""
        self._write(_VOTES_SLOT, count)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)

    def _read(self, slot: int) -> int:
        data = os.pread(self._file, _SLOT.size, slot * _SLOT.size)
        if len(data) != _SLOT.size:
            return 0
        number, checksum = _SLOT.unpack(data)
        return int(number) if checksum == zlib.crc32(data[:8]) else 0

    def _write(self, slot: int, number: int) -> None:
        data = number.to_bytes(8, "big")
        # The write that is noted has succeeded already; a full disk must not make it look otherwise.
        with contextlib.suppress(OSError):
            os.pwrite(self._file, _SLOT.pack(number, zlib.crc32(data)), slot * _SLOT.size)

"""Reads the genesis file that a configuration or a command names."""

from __future__ import annotations

from pathlib import Path

from ledger.errors import Code, HuzhengError
from ledger.genesis import MAX_GENESIS_BYTES, Genesis


def read_genesis(path: Path) -> Genesis:
    """The genesis in a file.

    Raises:
        HuzhengError: FILE_ACCESS, BAD_GENESIS, BAD_CATALOGUE, SUITE_UNKNOWN, SUITE_REFUSED; the detail begins with
            the path.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_GENESIS_BYTES + 1)
    except OSError as error:
        raise HuzhengError(Code.FILE_ACCESS, f"{path}: {error.strerror}") from None
    try:
        return Genesis.read(raw)
    except HuzhengError as error:
        raise HuzhengError(error.code, f"{path}: {error.detail}" if error.detail else str(path)) from None

"""Reads and writes the files that commands are given, with an error for every way that can fail."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ledger.errors import Code, HuzhengError

if TYPE_CHECKING:
    from ledger.genesis import Genesis
    from node.cli.session import Session

GenesisOption = Annotated[
    Path | None,
    typer.Option(
        "--genesis",
        "-g",
        envvar="HUZHENG_GENESIS",
        metavar="FILE",
        help="The genesis file you trust; otherwise that of the profile.",
    ),
]
"""For commands that need no node."""

# Larger than any genesis or receipt; a device file or a wrong path must not fill memory.
MAX_FILE_BYTES = 64 << 20
_HASH = re.compile(r"[0-9a-fA-F]{64}")


def read_bytes(path: Path) -> bytes:
    """A whole file.

    Raises:
        HuzhengError: FILE_ACCESS, BAD_FILE (too large).
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise HuzhengError(Code.FILE_ACCESS, f"{path}: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise HuzhengError(Code.BAD_FILE, f"{path}: too large")
    return data


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all; `-` is standard output.

    Raises:
        HuzhengError: FILE_ACCESS.
    """
    if str(path) == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise HuzhengError(Code.FILE_ACCESS, f"{path}: {error.strerror}") from None


def chosen_genesis(session: Session, given: Path | None) -> Genesis:
    """The genesis given, or the profile's.

    Raises:
        HuzhengError: as `read_genesis`, and for the profile CONFIG_MISSING, CONFIG_INVALID.
    """
    from node.genesis_file import read_genesis

    if given is not None:
        return read_genesis(given)
    try:
        return read_genesis(session.profile().client.genesis)
    except HuzhengError as error:
        if error.code is not Code.CONFIG_MISSING:
            raise
        needed = "no profile tells the genesis file: give your department's own with --genesis FILE"
        raise HuzhengError(Code.CONFIG_MISSING, f"{needed}; {error.detail}") from None


def parse_hash(text: str, what: str, needed: str = "64 hexadecimal digits are needed") -> bytes:
    """32 bytes from 64 hexadecimal digits; `what` the text is and what is `needed`, for the error.

    Raises:
        HuzhengError: INVALID_REQUEST.
    """
    if not _HASH.fullmatch(text.strip()):
        raise HuzhengError(Code.INVALID_REQUEST, f"{what}: {needed}")
    return bytes.fromhex(text.strip())

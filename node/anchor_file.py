"""The block that a client goes from, kept in a file beside its profile, and the forks that it was shown."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.anchor import MAX_ANCHOR_BYTES, read_anchor, write_anchor
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.history import verify_fork
from ledger.sealed_block import SealedBlock, genesis_anchor
from node.private_file import replace_file

ANCHOR_NAME = "anchor"
EVIDENCE_DIRECTORY = "evidence"


def read_anchor_file(path: Path, genesis: Genesis) -> SealedBlock:
    """An anchor that somebody made and this user trusts.

    Raises:
        HuzhengError: FILE_ACCESS, also of what is no regular file, and as `read_anchor`.
    """
    try:
        raw = _read_regular(path, MAX_ANCHOR_BYTES + 1)
    except OSError as error:
        raise HuzhengError(Code.FILE_ACCESS, f"{path}: {error.strerror}") from None
    try:
        return read_anchor(raw, genesis)
    except HuzhengError as error:
        raise HuzhengError(error.code, f"{path}: {error.detail}") from None


def _read_regular(path: Path, size: int) -> bytes:
    """At most so many bytes of a file. Raises OSError, also for a pipe or device: those may have no end, or no beginning."""
    # Not blocking: opening a pipe would wait for its writer.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read(size)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """While no other process that asks for the same is let in."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class AnchorStore:
    """A client's own anchor: some hundred bytes in one file, which only ever moves on. Several processes may share it."""

    def __init__(self, directory: Path | None, genesis: Genesis) -> None:
        """`directory`: the profile's; None keeps the anchor in memory."""
        self._genesis = genesis
        self._directory = directory
        self._kept = genesis_anchor(genesis)
        if self._path is not None and self._path.exists():
            try:
                self._kept = read_anchor_file(self._path, genesis)
            except HuzhengError as error:
                detail = f"{error.detail}; to go from the genesis again, remove this file"
                raise HuzhengError(error.code, detail) from None

    @property
    def anchor(self) -> SealedBlock:
        """The newest block that was verified; the genesis block at first."""
        return self._kept

    @property
    def _path(self) -> Path | None:
        return None if self._directory is None else self._directory / ANCHOR_NAME

    def keep(self, block: SealedBlock) -> None:
        """Goes on from a block that was verified under the anchor, if it is a later one.

        A file that can't be written costs the next command some bytes, and no more.
        """
        if block.height <= self._kept.height:
            return
        self._kept = block
        if self._path is None:
            return
        try:
            with _locked(self._path.parent):
                # Another process may have got further.
                if not self._path.exists() or read_anchor_file(self._path, self._genesis).height < block.height:
                    replace_file(self._path, write_anchor(block), private=False)
        except (OSError, HuzhengError):
            return

    def keep_fork(self, raw: bytes, height: int) -> str:
        """Writes a `Fork` beside the profile, unless there is one of this height. What became of it, in words for the error's detail."""
        if self._directory is None:
            return "not kept"
        path = self._directory / EVIDENCE_DIRECTORY / f"{height}.fork"
        try:
            path.parent.mkdir(exist_ok=True)
            if self._is_fork(path):
                return f"a proof was kept before in {path}"
            replace_file(path, raw, private=False)
        except OSError as error:
            return f"{path} could not be written: {error.strerror}"
        return f"the proof is kept in {path}"

    def _is_fork(self, path: Path) -> bool:
        try:
            return path.is_file() and bool(verify_fork(path.read_bytes(), self._genesis))
        except HuzhengError:
            return False

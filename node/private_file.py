"""Files that only their owner may read: never overwritten, never half written, refused when others can read them."""

from __future__ import annotations

import os
from pathlib import Path

from ledger.errors import Code, HuzhengError

# More than any key, certificate chain or passphrase needs; a wrong path must not fill memory.
MAX_FILE_BYTES = 1 << 18
_OTHERS_MAY_READ = 0o044
_OTHERS_MAY_WRITE = 0o022


def read_file(path: Path, unreadable: Code, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """A small file's contents.

    Raises:
        HuzhengError: `unreadable`, with the path and the reason.
    """
    return _read(path, unreadable, max_bytes)[0]


def read_private_file(path: Path, unreadable: Code, exposed: Code, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """A small file's contents, if nobody but its owner may read or write it.

    Raises:
        HuzhengError: `unreadable`; `exposed` when its mode lets group or others in.
    """
    data, mode = _read(path, unreadable, max_bytes)
    if mode & (_OTHERS_MAY_READ | _OTHERS_MAY_WRITE):
        raise HuzhengError(exposed, f"{path} has mode {mode & 0o777:o}")
    return data


def write_new_file(path: Path, data: bytes, *, private: bool) -> None:
    """Writes a file that must not exist yet, durably; with mode 0600 if it is private, else 0644.

    Raises:
        FileExistsError: there is something at the path.
        OSError: nothing is left behind.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            # The process' umask must not decide what others may read.
            os.fchmod(file.fileno(), 0o600 if private else 0o644)
            os.fsync(file.fileno())
        sync_directory(path.parent)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def replace_file(path: Path, data: bytes, *, private: bool) -> None:
    """Puts a new file in the place of an old one in one step, so that a reader sees either."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    fresh.unlink(missing_ok=True)
    write_new_file(fresh, data, private=private)
    fresh.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Makes the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, unreadable: Code, max_bytes: int = MAX_FILE_BYTES) -> tuple[bytes, int]:
    try:
        # Not blocking: opening a pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise HuzhengError(unreadable, f"{path}: {error.strerror}") from None
    if data is None or len(data) > max_bytes:
        raise HuzhengError(unreadable, f"{path}: not a small regular file")
    return data, mode

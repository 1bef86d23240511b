"""A private file that is replaced in one step, the old bytes of which are overwritten before they are given back to the disk.

What comes first, so that whoever stops at any moment leaves the old or the new file whole, and nothing forgotten:
`.NAME.new` is written and durable; the old file gets the second name `.NAME.old`; the new one takes its place; what is
left under `.NAME.old` is overwritten, made durable, and unlinked. `settle` finishes what was cut short.
"""

from __future__ import annotations

import os
from pathlib import Path

from nacl.utils import random

from node.private_file import sync_directory, write_new_file


def replace_and_wipe(path: Path, data: bytes) -> None:
    """Makes `data` the contents of the file, durably, and wipes the old ones.

    A file system that writes elsewhere what overwrites (copy on write, snapshots), and a solid state disk, keep the old
    bytes for a while all the same.

    Raises:
        OSError: the old contents or the new ones are there.
    """
    settle(path)
    fresh, old = _fresh(path), _old(path)
    write_new_file(fresh, data, private=True)
    if path.exists():
        os.link(path, old)
        sync_directory(path.parent)
    fresh.replace(path)
    sync_directory(path.parent)
    settle(path)


def settle(path: Path) -> None:
    """Wipes what a replacement that was cut short has left.

    Raises:
        OSError
    """
    fresh, old = _fresh(path), _old(path)
    if fresh.exists():
        wipe(fresh)
    if not old.exists():
        return
    if old.samefile(path):
        old.unlink()
        sync_directory(path.parent)
    else:
        wipe(old)


def wipe(path: Path) -> None:
    """Overwrites a file with random bytes, durably, and deletes it.

    Raises:
        OSError
    """
    with path.open("r+b") as file:
        file.write(random(os.fstat(file.fileno()).st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    sync_directory(path.parent)


def _fresh(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _old(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")

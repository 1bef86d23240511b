"""Runs one operation on copies of a vault and kills it at each durable step: `python -m tests.vault_crash DIRECTORY OPERATION`.

`DIRECTORY/start` is the vault before. For each step there is a copy of it afterwards, `DIRECTORY/0` and so on, in which the
operation was killed before that step; in the last one it came to its end. Prints how many there are.

It is a process of its own since LevelDB does not survive a fork: this one never opens a database itself.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ledger.store.engine import Batch, Engine
from node.vault.vault import Vault
from tests.vaults import entry_of, master_key, open_vault, places_in, record_id

ERASED = 1
DEPOSIT = 10
UNTOUCHED = 2


def erase(directory: Path) -> None:
    """Erases a record and a deposit."""
    with open_vault(directory) as vault:
        vault.erase([record_id(ERASED), record_id(DEPOSIT)])


def expire(directory: Path) -> None:
    """Erases the deposit as its transaction has expired."""
    with open_vault(directory) as vault:
        vault.expire(1_000)


def put(directory: Path) -> None:
    """Puts two entries in, for which indices are reserved, and confirms the deposit."""
    with open_vault(directory) as vault:
        vault.put_all({record_id(number): entry_of(number) for number in (20, 21)})
        vault.confirm([record_id(DEPOSIT)])


def reapply(directory: Path) -> None:
    """Restores a vault whose database is lost, and makes it fit for use."""
    Vault.restore(directory / "backup", places_in(directory))
    Vault.reapply(places_in(directory), master_key(directory), [record_id(ERASED)])


OPERATIONS: dict[str, Callable[[Path], None]] = {"erase": erase, "expire": expire, "put": put, "reapply": reapply}


class Steps:
    """Counts durable steps, ends the process at one of them, and checks that nothing relies on what is not durable yet."""

    def __init__(self, last: int) -> None:
        self._left = last
        self._durable: set[int] = set()
        self._names_in_flight: set[int] = set()

    def install(self) -> None:
        """Puts itself in front of all that makes anything durable."""
        for name in ("fsync", "link", "rename", "replace", "unlink", "rmdir"):
            setattr(os, name, self._before(getattr(os, name), getattr(self, f"_{name}", None)))
        for holder, name in ((Batch, "write"), (Engine, "compact")):
            setattr(holder, name, self._before(getattr(holder, name), self._write))

    def _before(self, act: Callable[..., Any], check: Callable[..., None] | None) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self._left -= 1
            if check is not None:
                check(*arguments)
            return act(*arguments, **options)

        return step

    def _fsync(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        (self._names_in_flight.discard if stat.S_ISDIR(found.st_mode) else self._durable.add)(found.st_ino)

    def _replace(self, source: Path, target: Path) -> None:
        if os.stat(source).st_ino not in self._durable:
            raise RuntimeError(f"{source} got another name before its contents were durable")
        self._names_in_flight.add(os.stat(target.parent).st_ino)

    def _rename(self, source: Path, target: Path) -> None:
        # What LevelDB writes itself it makes durable itself; tables that were copied are for the vault to see to.
        copied = {path.name for path in source.parent.parent.glob("backup/*.ldb")}
        if any(path.name in copied and path.stat().st_ino not in self._durable for path in source.iterdir()):
            raise RuntimeError(f"{source} got its name before its contents were durable")

    def _unlink(self, path: Path) -> None:
        if self._names_in_flight:
            raise RuntimeError(f"{path} was wiped before the name of what replaces it was durable")

    def _write(self, *_: object) -> None:
        if self._names_in_flight:
            raise RuntimeError("the database was written before the keyring's name was durable")


def run(directory: Path, operation: str, steps: int) -> bool:
    """Does the operation in another process, up to so many steps; whether it came to its end."""
    child = os.fork()
    if child == 0:
        try:
            Steps(steps).install()
            OPERATIONS[operation](directory)
        except BaseException as error:
            print(f"{operation} in {directory}: {error!r}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (0, -signal.SIGKILL):
        raise SystemExit(f"step {steps}: {status}")
    return status == 0


def main() -> None:
    """See the module."""
    directory, operation = Path(sys.argv[1]), sys.argv[2]
    steps = 0
    while True:
        shutil.copytree(directory / "start", directory / str(steps))
        if run(directory / str(steps), operation, steps):
            break
        steps += 1
    print(steps + 1)


if __name__ == "__main__":
    main()

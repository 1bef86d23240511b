"""What a department's operators have their own node do. The gate has checked the role; whose operator it is, is checked here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc.aio
import structlog
from huzheng.v1 import operator_service_pb2 as pb
from huzheng.v1 import operator_service_pb2_grpc

from ledger.errors import Code, HuzhengError
from node.backup import OnProgress
from node.services.gate import current_caller

if TYPE_CHECKING:
    # Generic in the stubs only.
    Context = grpc.aio.ServicerContext[Any, Any]

TELL_EVERY_S = 0.2
MAX_PATH_BYTES = 4096

MakeBackup = Callable[[Path, OnProgress], bytes]
"""Writes a backup to a directory; returns its manifest. Blocks, and ends with what its second argument raises."""

log = structlog.get_logger("backup")


class OperatorService(operator_service_pb2_grpc.OperatorServiceServicer):
    """Runs one backup at a time, in a thread of its own."""

    def __init__(self, department: str, make_backup: MakeBackup) -> None:
        self._department = department
        self._make_backup = make_backup
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="backup")
        self._running: _Backup | None = None

    async def Backup(self, request: pb.BackupRequest, context: Context) -> AsyncIterator[pb.BackupResponse]:
        """Backs the node up; tells now and then how far it is."""
        if current_caller().department != self._department:
            raise HuzhengError(Code.CALLER_NOT_ALLOWED, f"only operators of {self._department}")
        target = _target(request.directory)
        if self._running is not None:
            raise HuzhengError(Code.OVERLOADED, "a backup is being made")
        backup = self._running = _Backup()
        log.info("backup begun", directory=str(target))
        done = asyncio.get_running_loop().run_in_executor(self._thread, self._make_backup, target, backup.progress)
        # However it ends, and not before: the thread goes on for a moment when its caller has gone.
        done.add_done_callback(self._ended)
        try:
            while not done.done():
                await asyncio.wait([done], timeout=TELL_EVERY_S)
                step, count, total = backup.reached
                yield pb.BackupResponse(step=step, done=count, total=total)
            yield pb.BackupResponse(manifest=done.result())
        finally:
            backup.give_up()

    def close(self) -> None:
        """Ends a backup that is being made, and waits for it."""
        if self._running is not None:
            self._running.give_up()
        self._thread.shutdown()

    def _ended(self, done: asyncio.Future[bytes]) -> None:
        self._running = None
        failure = None if done.cancelled() else done.exception()
        if failure is None:
            log.info("backup made")
        elif isinstance(failure, HuzhengError):
            log.warning("backup failed", code=failure.code, detail=failure.detail)
        else:
            log.error("internal error", exc_info=failure)


class _Backup:
    """One that is being made: how far it is, and whether anybody still wants it."""

    def __init__(self) -> None:
        self.reached: tuple[str, int, int] = ("", 0, 0)
        self._unwanted = threading.Event()

    def progress(self, step: str, done: int, total: int) -> None:
        self.reached = step, done, total
        if self._unwanted.is_set():
            raise HuzhengError(Code.INTERRUPTED, "nobody waits for the backup any more")

    def give_up(self) -> None:
        self._unwanted.set()


def _target(directory: str) -> Path:
    if not directory.startswith("/") or "\0" in directory or len(directory.encode()) > MAX_PATH_BYTES:
        raise HuzhengError(Code.INVALID_REQUEST, "the directory is not an absolute path")
    return Path(directory)

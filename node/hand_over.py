"""Small jobs are done at once, on the event loop, and all others in a thread of their own, in order.

A hand-over and back takes longer than a small job: two threads wake up one after the other, and each waits for a core and for Python's
lock. But what is done at once holds up all else, so it is only done where the disk is quick, as the last jobs have shown.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar, TypeVarTuple

from huzheng.v1 import transaction_pb2

from ledger.block import ExecutedBlock

SMALL_BYTES: Final = 1_024
"""Transactions of so many bytes together are small: two or three of one record each."""
FEW_CHANGES: Final = 32
"""To the state: more than small transactions make, unless a block drops what has expired or operations reach further."""
QUICK_S: Final = 0.0015
LAST_JOBS: Final = 8
"""How long half of so many took tells how quick the disk is; the others may have waited for a core."""
LONG_S: Final = 0.005
REST: Final = 20
"""Nothing is done at once for so many times as long as a job took that was long: one that is slow now and then, as some disks are, holds up
the loop for a twentieth of its time at most."""

R = TypeVar("R")
A = TypeVarTuple("A")


def is_small_block(block: ExecutedBlock) -> bool:
    """Whether what has to be done for a block takes no longer than handing it over: a few bytes can ask for much more, so this is strict."""
    return (
        len(block.changes) <= FEW_CHANGES
        and sum(len(transaction.raw) for transaction in block.transactions) <= SMALL_BYTES
        and not any(transaction.body.operations for transaction in block.transactions)
        and all(code == transaction_pb2.RESULT_CODE_ACCEPTED for code in block.codes)
    )


class AtOnce:
    """Whether small jobs may be done at once, by how long they took. Threads that share one are bounded together."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._took_s = deque([0.0], LAST_JOBS)
        self._resting_until_s = 0.0

    @property
    def is_allowed(self) -> bool:
        """Whether one may be now."""
        return statistics.median_low(self._took_s) <= QUICK_S and self._clock_s() >= self._resting_until_s

    def do(self, work: Callable[[], R]) -> R:
        """Does a small job and looks at how long it takes, on the loop or in a thread."""
        started_s = self._clock_s()
        try:
            return work()
        finally:
            ended_s = self._clock_s()
            took_s = ended_s - started_s
            self._took_s.append(took_s)
            if took_s > LONG_S:
                self._resting_until_s = max(self._resting_until_s, ended_s + REST * took_s)


class OrderedThread:
    """One thread for jobs that are done one after the other, and told in that order. Belongs to one event loop."""

    def __init__(self, name: str, at_once: AtOnce | None = None) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._at_once = at_once or AtOnce()
        self._untold = 0
        self._jobs: deque[Future[Any]] = deque()
        self._is_shut = False

    def run(self, is_small: bool, work: Callable[[*A], R], *arguments: *A) -> asyncio.Future[R]:
        """What the work returns or raises. A small job is done before this returns, if nothing is before it.

        Raises:
            RuntimeError: after `shutdown`.
        """
        job = partial(work, *arguments)
        if is_small:
            job = partial(self._at_once.do, job)
            if self.is_idle and self._at_once.is_allowed:
                return _run(job)
        submitted = self._executor.submit(job)
        self._forget_done()
        self._jobs.append(submitted)
        self._untold += 1
        told = asyncio.wrap_future(submitted)
        # The first to hear of it: who waits for the job hears before any other is done at once.
        told.add_done_callback(self._tell)
        return told

    @property
    def is_idle(self) -> bool:
        """Nothing waits, is being done or has not been told, nor has it ended. Who gave up waiting was told, though the job may go on."""
        self._forget_done()
        return not (self._jobs or self._untold or self._is_shut)

    def _forget_done(self) -> None:
        while self._jobs and self._jobs[0].done():
            self._jobs.popleft()

    def _tell(self, _told: asyncio.Future[R]) -> None:
        self._untold -= 1

    def shutdown(self) -> None:
        """Waits for the job in hand, and does no other; to be called in another thread if that may take long."""
        self._is_shut = True
        self._executor.shutdown(wait=True, cancel_futures=True)


def _run(work: Callable[[], R]) -> asyncio.Future[R]:
    done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
    try:
        done.set_result(work())
    except Exception as error:
        done.set_exception(error)
    return done

"""Hands small jobs to worker threads in groups: a hand-over between threads costs about as much as a signature check.

A job that comes alone goes at once; jobs that come while the threads are busy go together. Each source (a department, a
peer) has its turn, so that one that sends too much, or nothing but bad signatures, delays itself more than the others.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from ledger.errors import Code, HuzhengError

MAX_GROUP_ITEMS = 32
"""Some milliseconds of work: batches' checks share the threads and must not wait long."""
MAX_WAITING_JOBS = 4_096
MAX_WAITING_BYTES = 32 * 1024 * 1024
"""Of each source; beyond either, it is refused."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class _Job(Generic[T, R]):
    items: Sequence[T]
    size_bytes: int
    work: Callable[[T], R]
    done: asyncio.Future[list[R | Exception]]


class _Source(Generic[T, R]):
    __slots__ = ("jobs", "size_bytes")

    def __init__(self) -> None:
        self.jobs: deque[_Job[T, R]] = deque()
        self.size_bytes = 0


class GroupedWork(Generic[T, R]):
    """Belongs to one event loop."""

    def __init__(
        self, executor: Executor, groups_at_once: int, size: Callable[[T], int], max_items: int = MAX_GROUP_ITEMS
    ) -> None:
        """`size`: an item's, in bytes. `max_items`: of a group; a job's stay together even if it has more."""
        self._executor = executor
        self._idle_groups = groups_at_once
        self._size = size
        self._max_items = max_items
        # In the order of whose turn it is.
        self._sources: OrderedDict[str, _Source[T, R]] = OrderedDict()
        self._scheduled = False

    async def run(self, source: str, items: Sequence[T], work: Callable[[T], R]) -> list[R | Exception]:
        """What `work`, called in a worker thread, returns or raises for each item.

        Raises:
            HuzhengError: OVERLOADED if too much of this source is waiting.
        """
        loop = asyncio.get_running_loop()
        size = sum(map(self._size, items))
        queue = self._sources.setdefault(source, _Source())
        if len(queue.jobs) >= MAX_WAITING_JOBS or (queue.jobs and queue.size_bytes + size > MAX_WAITING_BYTES):
            raise HuzhengError(Code.OVERLOADED, "too much waits for the threads")
        job: _Job[T, R] = _Job(items, size, work, loop.create_future())
        queue.jobs.append(job)
        queue.size_bytes += size
        if not self._scheduled:
            # At the end of this tick, so that what came in the same tick goes together.
            self._scheduled = True
            loop.call_soon(self._start_groups)
        return await job.done

    def _start_groups(self) -> None:
        self._scheduled = False
        loop = asyncio.get_running_loop()
        while self._idle_groups and self._sources:
            group = self._next_group()
            if not group:
                continue
            self._idle_groups -= 1
            try:
                running = loop.run_in_executor(self._executor, _work_through, group)
            except RuntimeError:
                # The threads are gone: the node is stopping.
                running = loop.create_future()
                running.cancel()
            running.add_done_callback(partial(self._finish, group))

    def _next_group(self) -> list[_Job[T, R]]:
        group: list[_Job[T, R]] = []
        items = 0
        while self._sources and items < self._max_items:
            source, queue = next(iter(self._sources.items()))
            job = queue.jobs.popleft()
            queue.size_bytes -= job.size_bytes
            if queue.jobs:
                self._sources.move_to_end(source)
            else:
                del self._sources[source]
            # A caller that went away needs no answer.
            if not job.done.cancelled():
                group.append(job)
                items += len(job.items)
        return group

    def _finish(self, group: list[_Job[T, R]], running: asyncio.Future[list[list[R | Exception]]]) -> None:
        self._idle_groups += 1
        failure = HuzhengError(Code.NOT_READY) if running.cancelled() else running.exception()
        for position, job in enumerate(group):
            if job.done.done():
                continue
            if failure is not None:
                job.done.set_exception(failure)
            else:
                job.done.set_result(running.result()[position])
        self._start_groups()


def _work_through(group: Sequence[_Job[T, R]]) -> list[list[R | Exception]]:
    return [[_try(job.work, item) for item in job.items] for job in group]


def _try(work: Callable[[T], R], item: T) -> R | Exception:
    try:
        return work(item)
    except Exception as error:
        return error

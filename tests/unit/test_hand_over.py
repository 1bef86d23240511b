"""Small jobs without a thread: when, in which order, and when not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from node.hand_over import LAST_JOBS, LONG_S, QUICK_S, REST, AtOnce, OrderedThread


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def play(scenario: Callable[[OrderedThread, Clock], Awaitable[None]]) -> None:
    async def run() -> None:
        clock = Clock()
        thread = OrderedThread("jobs", AtOnce(clock))
        try:
            async with asyncio.timeout(20):
                await scenario(thread, clock)
        finally:
            thread.shutdown()

    asyncio.run(run())


def is_here(loop_thread: int) -> bool:
    return threading.get_ident() == loop_thread


def test_a_small_job_is_done_before_it_is_awaited_and_a_large_one_in_the_thread() -> None:
    async def scenario(thread: OrderedThread, _clock: Clock) -> None:
        here = threading.get_ident()
        small = thread.run(True, is_here, here)
        assert small.done()
        assert await small
        assert not await thread.run(False, is_here, here)
        # And at once again when that was told.
        assert await thread.run(True, is_here, here)

    play(scenario)


def test_a_small_job_waits_for_what_is_before_it() -> None:
    async def scenario(thread: OrderedThread, _clock: Clock) -> None:
        go, here, done = threading.Event(), threading.get_ident(), list[str]()

        def large() -> None:
            go.wait(10)
            done.append("large")

        def small() -> bool:
            done.append("small")
            return is_here(here)

        first, second = thread.run(False, large), thread.run(True, small)
        assert not second.done()
        go.set()
        assert not await second
        await first
        assert done == ["large", "small"]

    play(scenario)


def test_what_was_done_first_is_told_first() -> None:
    """Also when the thread has just ended a job that nobody has heard of."""

    async def scenario(thread: OrderedThread, _clock: Clock) -> None:
        told: list[str] = []

        async def tell(name: str, job: asyncio.Future[None]) -> None:
            await job
            told.append(name)

        def large() -> None:
            go.wait(10)

        go = threading.Event()
        first = asyncio.ensure_future(tell("first", thread.run(False, large)))
        await asyncio.sleep(0)
        go.set()
        # The loop does not turn while it waits here, so the thread's answer is not heard.
        assert thread._last is not None
        thread._last.result(10)
        second = asyncio.ensure_future(tell("second", thread.run(True, lambda: None)))
        await asyncio.gather(first, second)
        assert told == ["first", "second"]

    play(scenario)


def test_a_job_that_nobody_waits_for_any_more_is_still_before_the_next() -> None:
    async def scenario(thread: OrderedThread, _clock: Clock) -> None:
        started, go, here = threading.Event(), threading.Event(), threading.get_ident()

        def large() -> None:
            started.set()
            go.wait(10)

        left = thread.run(False, large)
        assert await asyncio.to_thread(started.wait, 10)
        left.cancel()
        await asyncio.sleep(0)
        second = thread.run(True, is_here, here)
        assert not second.done()
        go.set()
        assert not await second

    play(scenario)


def test_after_a_long_job_all_go_to_the_thread_for_a_while() -> None:
    async def scenario(thread: OrderedThread, clock: Clock) -> None:
        here = threading.get_ident()

        def stalled() -> None:
            clock.now_s += 10 * LONG_S

        await thread.run(True, stalled)
        assert not await thread.run(True, is_here, here)
        clock.now_s += REST * 10 * LONG_S - 0.001
        assert not await thread.run(True, is_here, here)
        clock.now_s += 0.002
        assert await thread.run(True, is_here, here)

    play(scenario)


def test_on_a_slow_disk_all_go_to_the_thread_until_one_was_quick_again() -> None:
    async def scenario(thread: OrderedThread, clock: Clock) -> None:
        here = threading.get_ident()

        def slow() -> bool:
            clock.now_s += 2 * QUICK_S
            return is_here(here)

        # As many as others may have held up.
        assert [await thread.run(True, slow) for _ in range(LAST_JOBS)] == [True] * LAST_JOBS
        assert [await thread.run(True, slow) for _ in range(3)] == [False] * 3
        # How long large ones take says nothing.
        assert not await thread.run(False, is_here, here)
        assert not await thread.run(True, is_here, here)
        assert await thread.run(True, is_here, here)

    play(scenario)


def test_one_that_fails_after_a_long_time_counts_as_well() -> None:
    clock = Clock()
    at_once = AtOnce(clock)

    def fails() -> None:
        clock.now_s += 10 * LONG_S
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        at_once.do(fails)
    assert not at_once.is_allowed


@pytest.mark.parametrize("is_small", [True, False])
def test_what_a_job_raises_is_raised_where_it_is_awaited(is_small: bool) -> None:
    async def scenario(thread: OrderedThread, _clock: Clock) -> None:
        def fails() -> None:
            raise OSError("no space left")

        job = thread.run(is_small, fails)
        with pytest.raises(OSError, match="no space"):
            await job

    play(scenario)

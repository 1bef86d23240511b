"""Small jobs without a thread: when, in which order, and when not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from huzheng.v1 import genesis_pb2
from huzheng.v1 import transaction_pb2 as pb

from node.hand_over import FEW_CHANGES, LAST_JOBS, LONG_S, QUICK_S, REST, AtOnce, OrderedThread, is_small_block
from tests.builders import Consortium
from tests.sequencer import OneReplica


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
        thread._jobs[-1].result(10)
        second = asyncio.ensure_future(tell("second", thread.run(True, lambda: None)))
        await asyncio.gather(first, second)
        assert told == ["first", "second"]

    play(scenario)


def test_jobs_that_nobody_waits_for_any_more_are_still_before_the_next() -> None:
    async def scenario(thread: OrderedThread, _clock: Clock) -> None:
        started, go, here = threading.Event(), threading.Event(), threading.get_ident()

        def large() -> None:
            started.set()
            go.wait(10)

        running, waiting = thread.run(False, large), thread.run(False, large)
        assert await asyncio.to_thread(started.wait, 10)
        running.cancel()
        waiting.cancel()
        await asyncio.sleep(0)
        small = thread.run(True, is_here, here)
        assert not small.done()
        go.set()
        assert not await small

    play(scenario)


def test_what_large_jobs_came_to_is_not_kept() -> None:
    async def scenario(thread: OrderedThread, _clock: Clock) -> None:
        for _ in range(20):
            await thread.run(False, bytes, 1_000)
        assert len(thread._jobs) == 1

    play(scenario)


def test_after_the_end_nothing_is_done() -> None:
    async def scenario(thread: OrderedThread, _clock: Clock) -> None:
        thread.shutdown()
        for is_small_job in (True, False):
            with pytest.raises(RuntimeError):
                thread.run(is_small_job, pytest.fail, "was done")

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


def test_a_rest_is_not_shortened_by_a_shorter_one() -> None:
    clock = Clock()
    at_once = AtOnce(clock)

    def takes(seconds: float) -> None:
        clock.now_s += seconds

    at_once.do(lambda: takes(1.0))
    at_once.do(lambda: takes(2 * LONG_S))
    for _ in range(LAST_JOBS):
        at_once.do(lambda: takes(0.0))
    clock.now_s = REST
    assert not at_once.is_allowed
    clock.now_s = REST + 1.001
    assert at_once.is_allowed


def test_on_a_slow_disk_all_go_to_the_thread_until_half_of_the_jobs_were_quick_again() -> None:
    async def scenario(thread: OrderedThread, clock: Clock) -> None:
        here = threading.get_ident()

        def slow() -> bool:
            clock.now_s += 2 * QUICK_S
            return is_here(here)

        def quick() -> bool:
            return is_here(here)

        for _ in range(LAST_JOBS):
            await thread.run(True, slow)
        assert not await thread.run(True, slow)
        # How long large ones take says nothing.
        for _ in range(LAST_JOBS):
            assert not await thread.run(False, quick)
        for _ in range(LAST_JOBS // 2):
            assert not await thread.run(True, quick)
        assert await thread.run(True, quick)

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


# --- which blocks are small ---


CONSORTIUM = Consortium()


def one(number: int) -> bytes:
    return CONSORTIUM.transaction([CONSORTIUM.record(number)], nonce=number)


def add_key() -> pb.Operation:
    key = genesis_pb2.SigningKey(public_key=CONSORTIUM.signer("another").public_key, role=genesis_pb2.KEY_ROLE_SYSTEM)
    return pb.Operation(add_key=pb.AddKey(key=key))


def test_a_block_of_little_that_is_as_usual_is_small(tmp_path: Path) -> None:
    async def scenario() -> None:
        node = OneReplica(tmp_path / "data", CONSORTIUM)
        try:
            assert is_small_block(node.store_block(one(1)))
            assert is_small_block(node.store_block(one(2), one(3)))
            assert not is_small_block(node.store_block(*map(one, range(10, 20))))
            # Refused ones may need what lies far back, and operations what is large.
            assert not is_small_block(node.store_block(one(1)))
        finally:
            node.close()

    asyncio.run(scenario())


def test_few_bytes_that_ask_for_much_are_not_small(tmp_path: Path) -> None:
    async def scenario() -> None:
        node = OneReplica(tmp_path / "data", CONSORTIUM)
        try:
            block = node.store_block(one(1))
            assert is_small_block(block)
            many = {b"key %d" % number: None for number in range(FEW_CHANGES + 1)}
            assert not is_small_block(replace(block, changes=many))
            adding = node.store_block(CONSORTIUM.transaction(operations=[add_key()]))
            assert adding.codes == (pb.RESULT_CODE_ACCEPTED,)
            assert not is_small_block(adding)
        finally:
            node.close()

    asyncio.run(scenario())

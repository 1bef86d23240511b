"""Jobs for worker threads: alone at once, together under load, by turns of their sources."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ledger.errors import Code, HuzhengError
from node import grouping
from node.grouping import MAX_GROUP_ITEMS, GroupedWork
from node.rate_limit import RateLimit


def play(scenario: Callable[[GroupedWork[bytes, bytes]], Awaitable[None]], groups_at_once: int = 1) -> None:
    async def run() -> None:
        with ThreadPoolExecutor(2) as threads:
            async with asyncio.timeout(20):
                await scenario(GroupedWork(threads, groups_at_once, len))

    asyncio.run(run())


def double(item: bytes) -> bytes:
    return item + item


def test_each_item_gets_its_own_outcome() -> None:
    def work(item: bytes) -> bytes:
        if item == b"bad":
            raise HuzhengError(Code.BAD_SIGNATURE)
        return double(item)

    async def scenario(grouped: GroupedWork[bytes, bytes]) -> None:
        outcomes = await grouped.run("tax", [b"a", b"bad", b"c"], work)
        assert outcomes[0::2] == [b"aa", b"cc"]
        assert isinstance(outcomes[1], HuzhengError)

    play(scenario)


def test_what_comes_in_one_tick_goes_in_one_group() -> None:
    threads_used: list[int] = []
    groups: list[int] = []
    original = grouping._work_through

    def spy(group: list[object]) -> object:
        groups.append(len(group))
        threads_used.append(threading.get_ident())
        return original(group)  # type: ignore[arg-type]

    async def scenario(grouped: GroupedWork[bytes, bytes]) -> None:
        await asyncio.gather(*(grouped.run("tax", [bytes([n])], double) for n in range(20)))
        assert groups == [20]
        assert threading.get_ident() not in threads_used

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "_work_through", spy)
        play(scenario)


def test_sources_take_turns_whatever_one_of_them_sends() -> None:
    order: list[bytes] = []
    first = threading.Event()

    def work(item: bytes) -> bytes:
        first.wait(5)
        order.append(item)
        return item

    async def scenario(grouped: GroupedWork[bytes, bytes]) -> None:
        flood = [asyncio.ensure_future(grouped.run("flood", [b"f"], work)) for _ in range(200)]
        await asyncio.sleep(0.01)
        quiet = asyncio.ensure_future(grouped.run("quiet", [b"q"], work))
        await asyncio.sleep(0.01)
        first.set()
        await quiet
        await asyncio.gather(*flood)
        # The group that was running, then turn and turn about.
        assert order.index(b"q") <= MAX_GROUP_ITEMS + 1

    play(scenario)


def test_too_much_of_one_source_is_refused_and_of_another_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "MAX_WAITING_JOBS", 3)
    go = threading.Event()

    def work(item: bytes) -> bytes:
        go.wait(5)
        return item

    async def scenario(grouped: GroupedWork[bytes, bytes]) -> None:
        running = asyncio.ensure_future(grouped.run("tax", [b"0"], work))
        await asyncio.sleep(0.01)
        waiting = [asyncio.ensure_future(grouped.run("tax", [b"1"], work)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(HuzhengError, match="OVERLOADED"):
            await grouped.run("tax", [b"2"], work)
        other = asyncio.ensure_future(grouped.run("housing", [b"3"], work))
        await asyncio.sleep(0)
        go.set()
        assert await asyncio.gather(running, other, *waiting) == [[b"0"], [b"3"], [b"1"], [b"1"], [b"1"]]

    play(scenario)


def test_bytes_that_wait_are_bounded_but_one_large_job_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "MAX_WAITING_BYTES", 10)

    async def scenario(grouped: GroupedWork[bytes, bytes]) -> None:
        large = asyncio.ensure_future(grouped.run("tax", [bytes(100)], lambda item: item[:1]))
        await asyncio.sleep(0)
        with pytest.raises(HuzhengError, match="OVERLOADED"):
            await grouped.run("tax", [b"1"], double)
        assert await large == [b"\0"]

    play(scenario)


def test_work_for_callers_that_left_is_not_done() -> None:
    done: list[bytes] = []
    go = threading.Event()

    def work(item: bytes) -> bytes:
        go.wait(5)
        done.append(item)
        return item

    async def scenario(grouped: GroupedWork[bytes, bytes]) -> None:
        running = asyncio.ensure_future(grouped.run("tax", [b"0"], work))
        await asyncio.sleep(0.01)
        left = asyncio.ensure_future(grouped.run("tax", [b"1"], work))
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.sleep(0)
        go.set()
        await running
        await grouped.run("tax", [b"2"], work)
        assert done == [b"0", b"2"]

    play(scenario)


def test_threads_that_are_gone_are_an_error_not_a_hang() -> None:
    async def scenario() -> None:
        threads = ThreadPoolExecutor(1)
        threads.shutdown()
        with pytest.raises(HuzhengError, match="NOT_READY"):
            await GroupedWork[bytes, bytes](threads, 1, len).run("tax", [b"1"], double)

    asyncio.run(scenario())


def test_a_rate_allows_a_second_at_once_and_then_its_pace() -> None:
    limit = RateLimit(10)
    for _ in range(10):
        limit.spend("tax", 1_000)
    for now_ms in (1_000, 1_099):
        with pytest.raises(HuzhengError, match="OVERLOADED"):
            limit.spend("tax", now_ms)
    limit.spend("tax", 1_100)
    limit.spend("housing", 1_100)
    with pytest.raises(HuzhengError, match="OVERLOADED"):
        limit.spend("tax", 1_150)
    for _ in range(10):
        limit.spend("tax", 100_000)
    with pytest.raises(HuzhengError, match="OVERLOADED"):
        limit.spend("tax", 100_000)


def test_who_wants_many_at_once_is_told_how_long_that_takes() -> None:
    limit = RateLimit(10)
    assert limit.wait_ms("tax", 1_000, 10) == 0
    limit.spend("tax", 1_000, 8)
    assert limit.wait_ms("tax", 1_000, 2) == 0
    assert limit.wait_ms("tax", 1_000, 5) == 300
    with pytest.raises(HuzhengError, match="OVERLOADED"):
        limit.spend("tax", 1_299, 5)
    limit.spend("tax", 1_300, 5)
    # More than a second's worth there never is.
    assert limit.wait_ms("tax", 1_300, 1_000_000) == 1_000
    limit.spend("tax", 2_300, 1_000_000)
    assert limit.wait_ms("tax", 2_300) == 100

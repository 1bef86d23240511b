"""Moments as people write them: exact to the millisecond, whatever the zone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from ledger.errors import Code, HuzhengError
from node.cli.moment import Moment, parse_end, parse_moment, parse_time

START_MS = 1_614_556_800_000
"""2021-03-01T00:00 UTC."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def beijing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_every_millisecond_is_read_as_it_was_written() -> None:
    """As floats, some of these would be a millisecond less: one in 150 over the years."""
    written_ms = [START_MS - 35_000_000_007 * number for number in range(40)]
    moments = [(_EPOCH + timedelta(milliseconds=ms)).isoformat() for ms in written_ms]
    assert [parse_time(text, "--since") for text in moments] == written_ms
    assert parse_time("1978-08-15T14:43:22.039Z", "--since") % 1000 == 39
    assert parse_time("2004-02-10T10:41:49.008Z", "--since") % 1000 == 8


@pytest.mark.parametrize(
    "read", [lambda text: parse_time(text, "--since"), lambda text: parse_moment(text).time_ms, parse_end]
)
def test_zones_days_and_what_is_finer_than_a_millisecond(read: Callable[[str], int], beijing: None) -> None:
    assert read("2021-03-01T08:00:00.009999+08:00") == START_MS + 9
    assert read("2021-03-01T00:00:00.001Z") == START_MS + 1
    # Without a zone it is this machine's, without a time the day's beginning.
    assert read("2021-03-01T08:00") == START_MS
    assert read("2021-03-01") == START_MS - 8 * 3_600_000


def test_the_last_moments_there_are() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    whole_ms = (last - _EPOCH) // timedelta(milliseconds=1)
    assert parse_time(last.isoformat(), "--until") == whole_ms == 253_402_300_799_999


@pytest.mark.parametrize("text", ["", "soon", "2021-02-30", "1969-12-31T23:59:59.999Z", "0001-01-01T00:00+14:00"])
def test_what_is_no_time_since_1970_is_refused(text: str) -> None:
    with pytest.raises(HuzhengError) as caught:
        parse_time(text, "--since")
    assert caught.value.code is Code.INVALID_REQUEST
    assert caught.value.detail.startswith("--since: ")


def test_heights_and_days_from_now() -> None:
    assert parse_moment("4711") == Moment(4711, None)
    before_ms = int(time.time() * 1000)
    assert before_ms <= parse_end("90d") - 90 * 86_400_000 <= int(time.time() * 1000)

"""Moments in the chain's past, as people name them: a height, a day, a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import time

from ledger.errors import Code, HuzhengError

_MAX_HEIGHT_DIGITS = 18
_DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Moment:
    """After a block, or at a time; one of the two is None."""

    height: int | None
    time_ms: int | None

    def has_come(self, height: int, time_ms: int) -> bool:
        """Whether a block is of this moment or before it."""
        return height <= self.height if self.height is not None else time_ms <= (self.time_ms or 0)


def parse_time(text: str, option: str) -> int:
    """A time as in `parse_moment`, in milliseconds since 1970.

    Raises:
        HuzhengError: INVALID_REQUEST.
    """
    needed = f"{option}: a time such as 2021-03-01T12:00 is needed"
    time_ms = _time_ms(text, needed)
    if time_ms < 0:
        raise HuzhengError(Code.INVALID_REQUEST, needed)
    return time_ms


def parse_moment(text: str) -> Moment:
    """A height, or a time in ISO 8601; without a zone it is this machine's, without a time the day's beginning.

    Raises:
        HuzhengError: INVALID_REQUEST.
    """
    if text.isascii() and text.isdecimal() and len(text) <= _MAX_HEIGHT_DIGITS and "-" not in text:
        return Moment(int(text), None)
    return Moment(None, _time_ms(text, "--at: a height or a time such as 2021-03-01T12:00 is needed"))


def parse_end(text: str) -> int:
    """When something is to end, in milliseconds since 1970: a time in ISO 8601 as in `parse_moment`, or days from now such as 90d.

    Raises:
        HuzhengError: INVALID_REQUEST.
    """
    days = text.removesuffix("d")
    if days != text and days.isascii() and days.isdecimal() and len(days) <= 5:
        return int(time() * 1000) + int(days) * _DAY_MS
    return _time_ms(text, "--until: a date such as 2027-03-01, or days such as 90d, is needed")


def _time_ms(text: str, needed: str) -> int:
    """The whole milliseconds since 1970, without the rounding of floats; `needed`: what is said of what is no time."""
    try:
        return (datetime.fromisoformat(text).astimezone(UTC) - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError, OSError):
        raise HuzhengError(Code.INVALID_REQUEST, needed) from None

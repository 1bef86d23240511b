"""Moments in the chain's past, as people name them: a height, a day, a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from time import time

from ledger.errors import Code, HuzhengError

_MAX_HEIGHT_DIGITS = 18
_DAY_MS = 86_400_000


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
    try:
        time_ms = int(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        time_ms = -1
    if time_ms < 0:
        raise HuzhengError(Code.INVALID_REQUEST, f"{option}: a time such as 2021-03-01T12:00 is needed")
    return time_ms


def parse_moment(text: str) -> Moment:
    """A height, or a time in ISO 8601; without a zone it is this machine's, without a time the day's beginning.

    Raises:
        HuzhengError: INVALID_REQUEST.
    """
    if text.isascii() and text.isdecimal() and len(text) <= _MAX_HEIGHT_DIGITS and "-" not in text:
        return Moment(int(text), None)
    try:
        return Moment(None, int(datetime.fromisoformat(text).timestamp() * 1000))
    except (ValueError, OverflowError, OSError):
        raise HuzhengError(
            Code.INVALID_REQUEST, "--at: a height or a time such as 2021-03-01T12:00 is needed"
        ) from None


def parse_end(text: str) -> int:
    """When something is to end, in milliseconds since 1970: a time in ISO 8601 as in `parse_moment`, or days from now such as 90d.

    Raises:
        HuzhengError: INVALID_REQUEST.
    """
    days = text.removesuffix("d")
    if days != text and days.isascii() and days.isdecimal() and len(days) <= 5:
        return int(time() * 1000) + int(days) * _DAY_MS
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise HuzhengError(
            Code.INVALID_REQUEST, "--until: a date such as 2027-03-01, or days such as 90d, is needed"
        ) from None

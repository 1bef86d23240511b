"""Calendar days as text (docs/protocol.md F1, DATE)."""

from __future__ import annotations

_DAYS = {"01": 31, "03": 31, "04": 30, "05": 31, "06": 30, "07": 31, "08": 31, "09": 30, "10": 31, "11": 30, "12": 31}
_DAYS_OF_MONTH = frozenset(
    f"{month}-{day:02}" for month, last in _DAYS.items() for day in range(1, last + 1)
) | frozenset(f"02-{day:02}" for day in range(1, 29))


def is_date(text: str) -> bool:
    """Whether the text is YYYY-MM-DD, a day of the proleptic Gregorian calendar, from 0001-01-01 on."""
    if len(text) != 10 or not text.isascii():
        return False
    year = text[:4]
    if text[4] != "-" or not year.isdigit() or year == "0000":
        return False
    day = text[5:]
    return day in _DAYS_OF_MONTH or (day == "02-29" and is_leap_year(int(year)))


def is_leap_year(year: int) -> bool:
    """Whether the year has a 29 February in the Gregorian calendar."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)

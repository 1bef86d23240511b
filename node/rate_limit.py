"""How fast each department may submit."""

from __future__ import annotations

from ledger.errors import Code, HuzhengError


class RateLimit:
    """A bucket of tokens for each source: up to a second's worth at once, then one by one as time passes."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        # Thousandths of a token, and when they were counted.
        self._buckets: dict[str, tuple[int, int]] = {}

    def spend(self, source: str, now_ms: int) -> None:
        """Takes one token.

        `source`: from a fixed list, such as the departments of the genesis. `now_ms`: never runs backwards.

        Raises:
            HuzhengError: OVERLOADED if there is none.
        """
        full = 1000 * self._per_second
        level, counted_ms = self._buckets.get(source, (full, now_ms))
        level = min(full, level + (now_ms - counted_ms) * self._per_second)
        if level < 1000:
            self._buckets[source] = (level, now_ms)
            raise HuzhengError(Code.OVERLOADED, f"more than {self._per_second} submissions a second")
        self._buckets[source] = (level - 1000, now_ms)

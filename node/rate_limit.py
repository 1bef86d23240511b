"""How fast each department may submit."""

from __future__ import annotations

from ledger.errors import Code, HuzhengError


class RateLimit:
    """A bucket of tokens for each source: up to a second's worth at once, then one by one as time passes."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        # Thousandths of a token, and when they were counted.
        self._buckets: dict[str, tuple[int, int]] = {}

    def spend(self, source: str, now_ms: int, count: int = 1) -> None:
        """Takes so many tokens, more than a second's worth as if they were that.

        `source`: from a fixed list, such as the departments of the genesis. `now_ms`: never runs backwards.

        Raises:
            HuzhengError: OVERLOADED if there are not so many.
        """
        if self.wait_ms(source, now_ms, count):
            raise HuzhengError(Code.OVERLOADED, f"more than {self._per_second} submissions a second")
        self._buckets[source] = (self._level(source, now_ms) - self._cost(count), now_ms)

    def wait_ms(self, source: str, now_ms: int, count: int = 1) -> int:
        """How long it takes until there are so many; 0 if there are."""
        lacking = self._cost(count) - self._level(source, now_ms)
        return max(0, -(-lacking // self._per_second))

    def _cost(self, count: int) -> int:
        return 1000 * min(count, self._per_second)

    def _level(self, source: str, now_ms: int) -> int:
        full = 1000 * self._per_second
        level, counted_ms = self._buckets.get(source, (full, now_ms))
        return min(full, level + (now_ms - counted_ms) * self._per_second)

"""A bounded cache of what took long to verify."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class WeightedCache(Generic[K, V]):
    """Keeps what was asked for last, up to a total weight. May be used from any thread."""

    def __init__(self, weigh: Callable[[V], int], max_weight: int) -> None:
        self._weigh = weigh
        self._max_weight = max_weight
        self._lock = threading.Lock()
        self._values: OrderedDict[K, V] = OrderedDict()
        self._weight = 0

    def get(self, key: K) -> V | None:
        """The value, if it is here."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: K, value: V) -> None:
        """Keeps a value, and drops what was not asked for the longest if all is too heavy."""
        with self._lock:
            if key in self._values:
                return
            self._values[key] = value
            self._weight += self._weigh(value)
            while self._weight > self._max_weight:
                _, dropped = self._values.popitem(last=False)
                self._weight -= self._weigh(dropped)

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._values.clear()
            self._weight = 0

"""Latencies in a few figures: no histogram, all of them are kept, so that percentiles are exact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_SHARES = {"p50_ms": 0.50, "p99_ms": 0.99, "p99.9_ms": 0.999}


def percentile(ascending: Sequence[float], share: float) -> float:
    """The value that this share of all stays below."""
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]


def latency_figures(latencies_s: Iterable[float]) -> dict[str, float]:
    """Percentiles and the longest, in ms.

    Raises:
        ValueError: there are none.
    """
    ascending = sorted(latencies_s)
    if not ascending:
        raise ValueError("nothing was finished")
    figures = {name: percentile(ascending, share) * 1000 for name, share in _SHARES.items()}
    return figures | {"most_ms": ascending[-1] * 1000}

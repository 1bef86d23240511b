"""A report as a picture: rates as bars, latencies as ranges from the median to p99.9. Plain SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

_ROW_PX = 22
_LABEL_PX = 560
_PANEL_PX = 430
_GAP_PX = 60
_TOP_PX = 60
_TICKS_MS = (1, 10, 100, 1_000, 10_000, 100_000)
_RATES = ("records_per_s", "reads_per_s", "intended_per_s")
_INK, _GREY, _BAR, _RANGE = "#222", "#ccc", "#3b6ea8", "#c26a2e"


def plot(report: dict[str, Any]) -> str:
    """An SVG document with a line for each row that has a rate or a latency."""
    rows = [row for row in report["rows"] if _rate(row) is not None or "p50_ms" in row["figures"]]
    height = _TOP_PX + _ROW_PX * len(rows) + 50
    width = _LABEL_PX + 2 * _PANEL_PX + 2 * _GAP_PX
    machine = report["machine"]
    caption = (
        f"V = {report['v_records_per_s']:,.0f} records/s; {machine['cpu']}, {machine['cores']} cores, "
        f"Python {machine['python']}"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        _text(10, 20, caption),
        _text(_LABEL_PX, 45, "a second"),
        _text(_LABEL_PX + _PANEL_PX + _GAP_PX, 45, "ms, logarithmic: p50 (dot), p99 (tick), p99.9 (end)"),
        *_labels(rows),
        *_bars(rows),
        *_ranges(rows, height),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _labels(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [_text(10, _middle(place) + 4, f"{row['scenario']}: {row['load']}") for place, row in enumerate(rows)]


def _bars(rows: Sequence[dict[str, Any]]) -> list[str]:
    rates = [_rate(row) for row in rows]
    most = max((rate for rate in rates if rate is not None), default=1.0) or 1.0
    parts = []
    for place, rate in enumerate(rates):
        if rate is not None:
            length = rate / most * (_PANEL_PX - 60)
            parts.append(
                f'<rect x="{_LABEL_PX}" y="{_middle(place) - 7}" width="{length:.1f}" height="14" fill="{_BAR}"/>'
            )
            parts.append(_text(_LABEL_PX + length + 5, _middle(place) + 4, f"{rate:,.0f}"))
    return parts


def _ranges(rows: Sequence[dict[str, Any]], height: int) -> list[str]:
    parts = []
    for tick_ms in _TICKS_MS:
        x = _x(tick_ms)
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP_PX - 8}" x2="{x:.1f}" y2="{height - 35}" stroke="{_GREY}"/>')
        parts.append(_text(x - 8, height - 18, f"{tick_ms:,}"))
    for place, row in enumerate(rows):
        if "p50_ms" in row["figures"]:
            p50, p99, end = (_x(row["figures"][name]) for name in ("p50_ms", "p99_ms", "p99.9_ms"))
            y = _middle(place)
            parts.append(f'<line x1="{p50:.1f}" y1="{y}" x2="{end:.1f}" y2="{y}" stroke="{_RANGE}" stroke-width="2"/>')
            parts.append(f'<circle cx="{p50:.1f}" cy="{y}" r="5" fill="{_RANGE}"/>')
            parts.append(f'<line x1="{p99:.1f}" y1="{y - 6}" x2="{p99:.1f}" y2="{y + 6}" stroke="{_RANGE}"/>')
    return parts


def _rate(row: dict[str, Any]) -> float | None:
    return next((row["figures"][name] for name in _RATES if name in row["figures"]), None)


def _x(ms: float) -> float:
    """Where a latency is, within the panel's two ends."""
    share = math.log10(max(ms, _TICKS_MS[0]) / _TICKS_MS[0]) / math.log10(_TICKS_MS[-1] / _TICKS_MS[0])
    return _LABEL_PX + _PANEL_PX + _GAP_PX + min(share, 1.0) * (_PANEL_PX - 20)


def _middle(place: int) -> int:
    return _TOP_PX + _ROW_PX * place + _ROW_PX // 2


def _text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{_INK}">{escape(text)}</text>'

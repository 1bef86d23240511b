"""The Chinese of every text, by its English."""

from __future__ import annotations

CHINESE: dict[str, str] = {}

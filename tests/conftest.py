"""Marks every test by its folder, so that `pytest -m "not e2e"` says what it means."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Adds the markers that setup.cfg lists."""
    for item in items:
        item.add_marker(item.path.relative_to(TESTS).parts[0])

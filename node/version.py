"""Which version this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def software_version() -> str:
    """The installed version, or "unknown" when run from a source tree that was not installed."""
    try:
        return version("huzheng")
    except PackageNotFoundError:
        return "unknown"

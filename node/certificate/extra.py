"""The libraries for certificates, which only the extra `certificates` brings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ledger.errors import Code, HuzhengError


@contextmanager
def extra_needed() -> Iterator[None]:
    """Within it, modules of this room are imported: what they need may not be installed.

    Raises:
        HuzhengError: EXTRA_MISSING.
    """
    try:
        yield
    except ImportError as error:
        raise HuzhengError(Code.EXTRA_MISSING, f"the library {error.name}") from None

"""Reads whom a certificate is for."""

from __future__ import annotations

from ledger.errors import Code, HuzhengError
from node.identity import Caller, Role


def parse_holder(text: str) -> Caller:
    """From `department:role:name`.

    Raises:
        HuzhengError: INVALID_REQUEST.
    """
    parts = text.split(":")
    if len(parts) != 3 or parts[1] not in Role.__members__.values():
        roles = ", ".join(Role)
        raise HuzhengError(Code.INVALID_REQUEST, f"the holder is department:role:name with a role of {roles}")
    return Caller(parts[0], Role(parts[1]), parts[2])

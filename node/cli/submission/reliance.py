"""What a record of the input relies on: records of any department, by their ids or as they stand when it is signed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.transaction import MAX_RELIANCE

_KEYS = {"resource", "subject", "record_id"}
_ID = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class InputReliance:
    """One record that another relies on, as the input states it."""

    resource: str
    subject: str
    record_id: bytes | None
    """None: of the newest version about the subject."""


def reliance_problem(value: Any) -> str:
    """What is wrong with the form of `relies_on`; empty if nothing is."""
    if not isinstance(value, list) or not all(map(_is_reliance, value)):
        return "relies_on is a list of objects with resource, subject and, if it is stated, record_id (64 hexadecimal digits)"
    return f"relies_on names at most {MAX_RELIANCE} records" if len(value) > MAX_RELIANCE else ""


def read_reliance(value: list[Mapping[str, Any]]) -> tuple[InputReliance, ...]:
    """Reads `relies_on`, with whose form there is no problem."""
    return tuple(InputReliance(item["resource"], item["subject"], _id_of(item)) for item in value)


def _is_reliance(item: Any) -> bool:
    return isinstance(item, dict) and (
        item.keys() <= _KEYS
        and isinstance(item.get("resource"), str)
        and isinstance(item.get("subject"), str)
        and _is_id(item.get("record_id"))
    )


def _is_id(value: Any) -> bool:
    return value is None or (isinstance(value, str) and _ID.fullmatch(value) is not None)


def _id_of(item: Mapping[str, Any]) -> bytes | None:
    stated = item.get("record_id")
    return None if stated is None else bytes.fromhex(stated)

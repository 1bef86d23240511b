"""What commands take from the catalogue: fields by their names, and names for their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ledger.errors import Code, HuzhengError

if TYPE_CHECKING:
    from ledger.catalogue import CompiledResource


def field_numbers(resource: CompiledResource, names: Sequence[str]) -> list[int]:
    """Confidential fields by name or number, in ascending order; all of them where none is named.

    Raises:
        HuzhengError: UNKNOWN_FIELD; the detail has those that there are.
    """
    by_name = {spec.name: spec.number for spec in resource.confidential}
    numbers = set(by_name.values())
    chosen = {by_name.get(name, int(name) if name.isascii() and name.isdecimal() else 0) for name in names} or numbers
    if not chosen or not chosen <= numbers:
        there = ", ".join(by_name) or "none"
        raise HuzhengError(Code.UNKNOWN_FIELD, f"{resource.name}: its confidential fields are {there}")
    return sorted(chosen)


def field_names(resource: CompiledResource | None, numbers: Sequence[int]) -> list[str]:
    """What these fields are called; the number with a # where the catalogue does not tell."""
    names = {} if resource is None else {spec.number: spec.name for spec in resource.fields}
    return [names.get(number, f"#{number}") for number in numbers]

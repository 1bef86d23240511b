"""Which place a resource's heads have in the state (docs/protocol.md X1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

PAGE_SLOTS = 16
"""Resources whose heads about one subject are in one leaf of the state tree."""
MAX_REGISTER_RESOURCES = 256 * PAGE_SLOTS
"""A page's number is one byte."""
GROUP_SLOTS = 4
"""Slots that are hashed together (K6)."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of a resource among those of its register, which is what its name starts with."""

    register: str
    page: int
    number: int
    """From 0 on, within the page."""
    width: int
    """How many slots its page has: a multiple of GROUP_SLOTS."""


def register_of(resource: str) -> str:
    """A resource's name up to the first point."""
    return resource.partition(".")[0]


def assign_slots(resources: Iterable[str]) -> Mapping[str, Slot]:
    """Each resource's slot, given the names of all."""
    slots: dict[str, Slot] = {}
    for register, names in groupby(sorted(resources), register_of):
        members = list(names)
        for position, name in enumerate(members):
            slots[name] = slot_of(register, position, len(members))
    return MappingProxyType(slots)


def slot_of(register: str, position: int, count: int) -> Slot:
    """The slot of a resource that is at this position, from 0 on, among the `count` of its register."""
    page, number = divmod(position, PAGE_SLOTS)
    used = min(PAGE_SLOTS, count - page * PAGE_SLOTS)
    return Slot(register, page, number, -(-used // GROUP_SLOTS) * GROUP_SLOTS)


def position_of(slot: Slot) -> int:
    """Among all resources of the register, from 0 on."""
    return slot.page * PAGE_SLOTS + slot.number

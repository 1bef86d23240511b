"""Patterns for text fields (docs/protocol.md F5): a small anchored language over ASCII, matched in linear time.

Validity must not hang on a library's version, and nobody may write a pattern or a value that takes for ever to match.
So there are no groups and no alternatives, and matching walks the value once, with the set of live states as the bits
of one integer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.errors import Code, HuzhengError

MAX_PATTERN_CHARACTERS = 1024
MAX_STATES = 512
MAX_COUNT = 256

PRINTABLE = frozenset(chr(code) for code in range(0x20, 0x7F))
_SPECIAL = frozenset("[]{}?*+\\.")
_SPECIAL_IN_CLASS = frozenset("[]^-\\")
_DIGITS = frozenset("0123456789")


@dataclass(frozen=True, slots=True)
class Item:
    """An atom and its count: `least` to `most` characters out of `members`, or `least` and more if `unbounded`."""

    members: frozenset[str]
    least: int
    most: int
    unbounded: bool

    @property
    def is_fixed(self) -> bool:
        """Whether it always takes the same number of characters."""
        return self.least == self.most and not self.unbounded


class Pattern(Protocol):
    """A compiled pattern."""

    def matches(self, value: str) -> bool:
        """Whether the whole value fits, in time proportional to states times length."""


@dataclass(frozen=True, slots=True)
class StateSetPattern:
    """A pattern as an automaton. State i means: i of the written-out atoms are behind us.

    `consuming[c]` has bit i where atom i takes the character c, `optional` where atom i may be skipped, `looping` where
    it may be taken again.
    """

    consuming: Mapping[str, int]
    optional: int
    looping: int
    states: int

    @classmethod
    def of(cls, items: Sequence[Item]) -> StateSetPattern:
        """The automaton of these items, written out."""
        consuming: dict[str, int] = {}
        optional = looping = states = 0
        for item in items:
            atoms = ((1 << item.most) - 1) << states
            for member in item.members:
                consuming[member] = consuming.get(member, 0) | atoms
            optional |= ((1 << (item.most - item.least)) - 1) << (states + item.least)
            states += item.most
            if item.unbounded:
                looping |= 1 << (states - 1)
        return cls(consuming, optional, looping, states)

    def matches(self, value: str) -> bool:
        """See `Pattern.matches`."""
        consuming, optional, looping = self.consuming, self.optional, self.looping
        live = _skip(1, optional)
        for character in value:
            taken = live & consuming.get(character, 0)
            if not taken:
                return False
            live = _skip(taken << 1 | taken & looping, optional)
        return bool(live >> self.states)


def _skip(live: int, optional: int) -> int:
    """Adds every state that is reached by skipping optional atoms.

    Adding the live states to a run of optional atoms carries from the lowest live one to the end of the run; the bits
    that the carry went through are the states reached (Navarro & Raffinot, Flexible Pattern Matching, 4.2).
    """
    return live | (optional ^ ((live & optional) + optional))


@dataclass(frozen=True, slots=True)
class SlicedPattern:
    """A pattern with at most one item of variable count: a value's length alone says which characters each item takes.

    Nearly all patterns are of this kind, and slices are checked some twenty times faster than states.
    `parts` has the slice that each item takes and its members in one string.
    """

    least: int
    most: int | None
    parts: tuple[tuple[slice, str], ...]

    @classmethod
    def of(cls, items: Sequence[Item]) -> SlicedPattern:
        """The slices of these items, of which at most one is not fixed."""
        least = sum(item.least for item in items)
        most = None if any(item.unbounded for item in items) else sum(item.most for item in items)
        parts: list[tuple[slice, str]] = []
        before, after = 0, least
        from_end = False
        for item in items:
            after -= item.least
            end = -after if after else None
            if item.is_fixed:
                span = slice(-after - item.least, end) if from_end else slice(before, before + item.least)
            else:
                span, from_end = slice(before, end), True
            parts.append((span, "".join(sorted(item.members))))
            before += item.least
        return cls(least, most, tuple(parts))

    def matches(self, value: str) -> bool:
        """See `Pattern.matches`."""
        if len(value) < self.least or (self.most is not None and len(value) > self.most):
            return False
        # What is left after stripping the members from both ends holds a character that is no member.
        return all(not value[span].strip(members) for span, members in self.parts)


def compile_pattern(text: str) -> Pattern:
    """Compiles a pattern; raises BAD_PATTERN, with the position (from 1) of what is wrong."""
    items = parse_pattern(text)
    if sum(not item.is_fixed for item in items) <= 1:
        return SlicedPattern.of(items)
    return StateSetPattern.of(items)


def parse_pattern(text: str) -> tuple[Item, ...]:
    """The items of a pattern; raises BAD_PATTERN, with the position (from 1) of what is wrong."""
    if not text:
        raise _error(0, "the pattern is empty")
    if len(text) > MAX_PATTERN_CHARACTERS:
        raise _error(MAX_PATTERN_CHARACTERS, f"a pattern has at most {MAX_PATTERN_CHARACTERS} characters")
    items: list[Item] = []
    states = 0
    for position, item in _Parser(text).items():
        states += item.most
        if states > MAX_STATES:
            raise _error(position, f"written out, a pattern has at most {MAX_STATES} states")
        items.append(item)
    return tuple(items)


class _Parser:
    """Reads items from left to right; `_at` is the index of the next character."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def items(self) -> Iterator[tuple[int, Item]]:
        """Yields each item with the index where it begins."""
        while self._at < len(self._text):
            start = self._at
            members = self._atom()
            yield start, self._counted(members)

    def _peek(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _take(self, expected: str) -> str:
        if self._at >= len(self._text):
            raise _error(self._at, f"the pattern ends where {expected} must follow")
        character = self._text[self._at]
        if character not in PRINTABLE:
            raise _error(self._at, "only printable ASCII characters may stand in a pattern")
        self._at += 1
        return character

    def _atom(self) -> frozenset[str]:
        start = self._at
        character = self._take("an atom")
        if character == "\\":
            return frozenset(self._take("an escaped character"))
        if character == "[":
            return self._class(start)
        if character in _SPECIAL:
            raise _error(start, f"'{character}' stands for itself only after a backslash")
        return frozenset(character)

    def _class(self, start: int) -> frozenset[str]:
        members: set[str] = set()
        while self._peek() != "]":
            at = self._at
            low = self._class_character()
            if self._peek() != "-":
                members.add(low)
                continue
            self._take("-")
            high = self._class_character()
            if low >= high:
                raise _error(at, "a range runs from a lower to a higher character")
            members.update(chr(code) for code in range(ord(low), ord(high) + 1))
        self._take("]")
        if not members:
            raise _error(start, "a class has at least one character")
        return frozenset(members)

    def _class_character(self) -> str:
        at = self._at
        character = self._take("a character of a class or ']'")
        if character == "\\":
            return self._take("an escaped character")
        if character in _SPECIAL_IN_CLASS:
            raise _error(at, f"in a class '{character}' stands for itself only after a backslash")
        return character

    def _counted(self, members: frozenset[str]) -> Item:
        count = self._peek()
        if count == "?":
            self._at += 1
            return Item(members, 0, 1, unbounded=False)
        if count == "*":
            self._at += 1
            return Item(members, 0, 1, unbounded=True)
        if count == "+":
            self._at += 1
            return Item(members, 1, 1, unbounded=True)
        if count == "{":
            return self._braces(members)
        return Item(members, 1, 1, unbounded=False)

    def _braces(self, members: frozenset[str]) -> Item:
        start = self._at
        self._take("{")
        least = most = self._number()
        if self._peek() == ",":
            self._take(",")
            most = self._number()
        if self._take("'}'") != "}":
            raise _error(self._at - 1, "a count is {n} or {n,m}")
        if not least <= most or not 1 <= most <= MAX_COUNT:
            raise _error(start, f"a count {{n,m}} has n <= m and 1 <= m <= {MAX_COUNT}")
        return Item(members, least, most, unbounded=False)

    def _number(self) -> int:
        start = self._at
        while self._peek() in _DIGITS:
            self._at += 1
        digits = self._text[start : self._at]
        if not digits or len(digits) > 3 or (digits[0] == "0" and digits != "0"):
            raise _error(start, "a count has numbers of 1 to 3 digits without leading zeros")
        return int(digits)


def _error(index: int, reason: str) -> HuzhengError:
    return HuzhengError(Code.BAD_PATTERN, f"position {index + 1}: {reason}")

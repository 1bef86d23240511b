"""Answers in pages, bounded in how many items they have and how large they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from ledger.crypto import HASH_BYTES
from ledger.errors import Code, HuzhengError

T = TypeVar("T")
M = TypeVar("M", bound=Message)

DEFAULT_PAGE = 100
MAX_PAGE = 500
MAX_PAGE_BYTES = 1024 * 1024
"""A page, or a message of watched records, ends with the item that reaches this."""


def page_size(asked: int) -> int:
    """How many items a page may have, for what a caller asked for; 0 is the default."""
    return min(asked, MAX_PAGE) or DEFAULT_PAGE


@dataclass(frozen=True, slots=True)
class Page(Generic[T, M]):
    """Some answers."""

    messages: list[M]
    last: T | None
    """The item after which the next page starts; None at the end."""


def page_of(items: Iterable[T], encode: Callable[[T], M | None], size: int, max_looked_at: int) -> Page[T, M]:
    """A page of items, without those of which there is nothing to say."""
    messages: list[M] = []
    size_bytes = 0
    last: T | None = None
    for looked_at, item in enumerate(items):
        if len(messages) >= size or size_bytes >= MAX_PAGE_BYTES or looked_at >= max_looked_at:
            return Page(messages, last)
        message = encode(item)
        if message is not None:
            messages.append(message)
            size_bytes += message.ByteSize()
        last = item
    return Page(messages, None)


def required(value: T | None, what: str) -> T:
    """Raises HuzhengError(NOT_FOUND) if there is nothing."""
    if value is None:
        raise HuzhengError(Code.NOT_FOUND, what)
    return value


def require_hash(value: bytes, name: str) -> None:
    """Raises HuzhengError(INVALID_REQUEST) if a field of a request has not the length of a hash."""
    if len(value) != HASH_BYTES:
        raise HuzhengError(Code.INVALID_REQUEST, f"{name}: {HASH_BYTES} bytes are needed")

"""The erasures that the chain has ordered and that count (docs/protocol.md E1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ledger.crypto import Height
from ledger.sharing.erasing import ERASURE_PREFIX
from ledger.store import ChainReader
from ledger.store.audit_layout import OperationPlace

_NO_PLACE = 2**32 - 1
"""Behind all that are in a block."""


@dataclass(frozen=True, slots=True, order=True)
class Erased:
    """A record whose values its department has ordered to be erased."""

    owner: str
    record_id: bytes


def erased_on_chain(chain: ChainReader) -> Iterator[Erased]:
    """All erasures that the state knows and that count.

    Raises:
        HuzhengError: STORE_CORRUPT.
    """
    for key, _ in chain.state.scan(ERASURE_PREFIX, bytes([ERASURE_PREFIX[0] + 1])):
        department, _, record_id = key[len(ERASURE_PREFIX) :].partition(b"\0")
        erased = Erased(department.decode(), record_id)
        if counts(chain, erased):
            yield erased


def erased_since(chain: ChainReader, height: Height) -> Iterator[Erased]:
    """The erasures that were ordered in blocks after this one, whether they count or not.

    Raises:
        HuzhengError: STORE_CORRUPT.
    """
    for order in chain.audit.erasures(OperationPlace(height, _NO_PLACE, _NO_PLACE)):
        yield from (Erased(order.department, item.record_id) for item in order.records)


def counts(chain: ChainReader, erased: Erased) -> bool:
    """Whether who ordered it owns the record; an order for somebody else's has no effect."""
    place = chain.record_place(erased.record_id)
    return place is not None and chain.record(place).department == erased.owner

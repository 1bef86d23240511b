"""The newest versions about one subject, together in one value and one leaf (docs/protocol.md X1 and K6).

A proof shows the slots that are asked for; blinds hide whether there is anything in the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from huzheng.v1 import state_pb2

from ledger.crypto import Domain, Suite, strict
from ledger.errors import Code, HuzhengError
from ledger.registers import GROUP_SLOTS, Slot
from ledger.state.entries import StateReader

HEADS_PREFIX = b"h"
SEED_BYTES = 16
BLIND_BYTES = 16
_ABSENT = b"\x04"
_PRESENT = b"\x05"
_GROUP = b"\x06"


def heads_key(slot: Slot, subject: str) -> bytes:
    """Where the heads of a resource's page about a subject are kept, as `Heads`."""
    return page_key(slot.register, subject, slot.page)


def page_key(register: str, subject: str, page: int) -> bytes:
    """Where the heads of a page of a register about a subject are kept, as `Heads`."""
    return b"%s%s\0%s\0%c" % (HEADS_PREFIX, register.encode(), subject.encode(), page)


def read_heads(state: StateReader, slot: Slot, subject: str) -> state_pb2.Heads:
    """The newest versions about a subject in a page of a register; without any if it has none.

    Raises:
        HuzhengError: NOT_STRICT if the state is damaged there.
    """
    raw = state.get(heads_key(slot, subject))
    if raw is None:
        return state_pb2.Heads()
    heads = strict.read(state_pb2.Heads, raw)
    if not heads.heads or heads.width % GROUP_SLOTS or heads.heads[-1].slot >= heads.width:
        raise HuzhengError(Code.NOT_STRICT, "Heads")
    return heads


def read_head(state: StateReader, slot: Slot, subject: str) -> state_pb2.Head | None:
    """The newest version about a subject in a resource, or None."""
    return head_in(read_heads(state, slot, subject), slot.number)


def head_in(heads: state_pb2.Heads, number: int) -> state_pb2.Head | None:
    """The newest version in a slot, or None."""
    for held in heads.heads:
        if held.slot == number:
            return strict.read(state_pb2.Head, held.head)
    return None


def put_head(heads: state_pb2.Heads, slot: Slot, head: state_pb2.Head) -> None:
    """Sets the newest version in a slot."""
    heads.width = slot.width
    held = {item.slot: item.head for item in heads.heads}
    held[slot.number] = strict.write(head)
    del heads.heads[:]
    heads.heads.extend(state_pb2.HeldHead(slot=number, head=held[number]) for number in sorted(held))


def new_seed(suite: Suite, pool: bytes, key: bytes) -> bytes:
    """K6: what the blinds of a value that a block changed are made of; `pool` as the block leaves it."""
    return suite.digest(Domain.STATE_SEED, pool, key)[:SEED_BYTES]


def heads_digest(suite: Suite, heads: state_pb2.Heads) -> bytes:
    """The digest of the leaf (K6)."""
    return groups_digest(suite, group_hashes(suite, slot_hashes(suite, heads, blinds(suite, heads))))


def groups_digest(suite: Suite, groups: Sequence[bytes]) -> bytes:
    """The digest of the leaf whose groups have these hashes."""
    return suite.digest(Domain.STATE_HEADS, *groups)


def slot_hashes(suite: Suite, heads: state_pb2.Heads, hiding: Iterable[bytes]) -> list[bytes]:
    """One for each slot; `hiding`: their blinds."""
    held = {item.slot: item.head for item in heads.heads}
    return [slot_hash(suite, blind, held.get(number)) for number, blind in enumerate(hiding)]


def slot_hash(suite: Suite, blind: bytes, head: bytes | None) -> bytes:
    """Of a slot that holds this `Head`, or nothing."""
    return suite.plain_hash(_ABSENT + blind if head is None else _PRESENT + blind + head)


def blinds(suite: Suite, heads: state_pb2.Heads) -> Iterator[bytes]:
    """One for each slot, two from each hash."""
    for number in range(heads.width // 2):
        pair = suite.digest(Domain.STATE_BLIND, heads.seed, bytes([number]))
        yield pair[:BLIND_BYTES]
        yield pair[BLIND_BYTES:]


def group_hashes(suite: Suite, hashes: Sequence[bytes]) -> list[bytes]:
    """Of each GROUP_SLOTS slots, given the hashes of all."""
    starts = range(0, len(hashes), GROUP_SLOTS)
    return [suite.plain_hash(_GROUP + b"".join(hashes[start : start + GROUP_SLOTS])) for start in starts]

"""The state with changes that are not stored yet reads as if they were (docs/protocol.md X1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest
from huzheng.v1 import genesis_pb2
from hypothesis import given
from hypothesis import strategies as st

from ledger.block import ExecutedBlock
from ledger.errors import Code, HuzhengError
from ledger.published import resource_key, version_key
from ledger.registers import Slot
from ledger.state import (
    Overlay,
    PendingState,
    RegisteredKey,
    admin_keys_key,
    heads_key,
    read_head,
    read_key,
    seen_key,
    signing_key_key,
)
from tests.builders import MemoryState

SLOT = Slot("a", page=1, number=2, width=4)

KEYS = st.binary(min_size=1, max_size=2)
CHANGES = st.dictionaries(KEYS, st.none() | st.binary(max_size=2), max_size=8)


@dataclass
class Block:
    """As much of an executed block as a pending state looks at."""

    height: int
    changes: dict[bytes, bytes | None] = field(default_factory=dict)


def apply(state: dict[bytes, bytes], changes: dict[bytes, bytes | None]) -> None:
    for key, value in changes.items():
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value


@given(st.dictionaries(KEYS, st.binary(max_size=2)), st.lists(CHANGES, max_size=4), KEYS, KEYS)
def test_an_overlay_reads_as_if_its_changes_were_stored(
    base: dict[bytes, bytes], layers: list[dict[bytes, bytes | None]], start: bytes, stop: bytes
) -> None:
    stored, expected = MemoryState(base), MemoryState(base)
    overlay = Overlay(stored)
    for changes in layers:
        above = Overlay(overlay)
        for key, value in changes.items():
            above.set(key, value)
        apply(expected, changes)
        for key in {*base, *changes}:
            assert above.get(key) == expected.get(key)
        assert list(above.scan(start, stop)) == list(expected.scan(start, stop))
        overlay.absorb(above)
    assert list(overlay.scan(b"", b"\xff" * 3)) == sorted(expected.items())
    assert stored == base


@given(st.dictionaries(KEYS, st.binary(max_size=2)), st.lists(CHANGES | st.none(), max_size=12), KEYS, KEYS)
def test_pending_blocks_read_as_if_they_were_stored_and_may_be_stored_in_turn(
    base: dict[bytes, bytes], steps: list[dict[bytes, bytes | None] | None], start: bytes, stop: bytes
) -> None:
    """A step is a new block with its changes, or None: the oldest pending block is stored."""
    stored, expected = MemoryState(base), MemoryState(base)
    state, waiting, height = PendingState(stored), list[Block](), 0
    for changes in steps:
        if changes is not None:
            height += 1
            waiting.append(Block(height, changes))
            state.push(cast(ExecutedBlock, waiting[-1]))
            apply(expected, changes)
        elif waiting:
            block = waiting.pop(0)
            apply(stored, block.changes)
            state.pop_stored(cast(ExecutedBlock, block).height)
        for key in {*base, *(changes or {})}:
            assert state.get(key) == expected.get(key)
        assert list(state.scan(start, stop)) == list(expected.scan(start, stop))


def test_a_scan_begins_with_its_first_key_and_ends_before_its_last() -> None:
    stored = MemoryState({b"a": b"", b"c": b""})
    changes: dict[bytes, bytes | None] = {b"b": b"", b"d": b""}
    overlay, pending = Overlay(stored), PendingState(stored)
    for key, value in changes.items():
        overlay.set(key, value)
    pending.push(cast(ExecutedBlock, Block(1, changes)))
    for state in (overlay, pending):
        for start, stop, keys in ((b"a", b"c", b"ab"), (b"b", b"d", b"bc"), (b"d", b"d", b"")):
            assert b"".join(key for key, _ in state.scan(start, stop)) == keys


def test_blocks_are_stored_in_their_order() -> None:
    state = PendingState(MemoryState())
    for height in (5, 6):
        state.push(cast(ExecutedBlock, Block(height)))
    with pytest.raises(ValueError):
        state.pop_stored(cast(ExecutedBlock, Block(6)).height)


def test_keys_of_the_state_are_what_the_rule_says() -> None:
    assert heads_key(SLOT, "主题") == b"ha\0" + "主题".encode() + b"\0\1"
    assert signing_key_key(b"\1" * 32) == b"k" + b"\1" * 32
    assert seen_key(258, b"\2" * 32) == b"i\0\0\0\0\0\0\1\2" + b"\2" * 32
    assert resource_key("a.b") == b"ca.b"
    assert version_key("a.b", 258) == b"ca.b\0\0\0\1\2"
    assert admin_keys_key("tax") == b"ntax"


def test_a_registered_key_reads_as_it_was_written() -> None:
    for role in (genesis_pb2.KEY_ROLE_SYSTEM, genesis_pb2.KEY_ROLE_ADMIN):
        for revoked in (False, True):
            key = RegisteredKey("tax", role, revoked)
            assert read_key(MemoryState({signing_key_key(b"k"): key.encode()}), b"k") == key
    assert read_key(MemoryState(), b"k") is None
    assert read_head(MemoryState(), SLOT, "c") is None


def test_an_entry_that_cannot_be_read_is_an_error_and_never_no_entry() -> None:
    state = MemoryState({heads_key(SLOT, "c"): b"\xff", signing_key_key(b"k"): b"\xff"})
    for read in (lambda: read_head(state, SLOT, "c"), lambda: read_key(state, b"k")):
        with pytest.raises(HuzhengError) as caught:
            read()
        assert caught.value.code == Code.NOT_STRICT

"""A keyring gives every key but those it gave up, whatever was given up in which order."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.errors import Code, HuzhengError
from node.vault.keyring import DEPTH, INDICES, Keyring, Node

SEED = bytes(range(32))
WHOLE = Keyring.new(SEED)
NEAR = [*range(40), *range(1020, 1030), *range((1 << 31) - 3, (1 << 31) + 3), *range(INDICES - 4, INDICES)]
"""Indices close to one another and to edges of the tree: all that a run looks at."""

index = st.sampled_from(NEAR)


def covers(keyring: Keyring, wanted: int) -> int:
    """How many nodes are above an index, looked at one by one."""
    nodes = [Node(*parts) for parts in _nodes_of(keyring)]
    return sum(node.prefix == wanted >> (DEPTH - node.depth) for node in nodes)


def _nodes_of(keyring: Keyring) -> list[tuple[int, int, bytes]]:
    packed = keyring.pack()
    chunks = [packed[start : start + 37] for start in range(0, len(packed), 37)]
    return [(chunk[0], int.from_bytes(chunk[1:5], "big"), chunk[5:]) for chunk in chunks]


@settings(max_examples=200, deadline=None)
@example(steps=[{0, 1}, {2}, {3}])
@example(steps=[set(NEAR)])
@given(steps=st.lists(st.sets(index, max_size=12), max_size=5))
def test_what_was_punctured_is_gone_and_all_else_is_as_before(steps: list[set[int]]) -> None:
    keyring, gone = WHOLE, set[int]()
    for punctured in steps:
        keyring, gone = keyring.puncture(punctured), gone | punctured
        for place in NEAR:
            assert keyring.key(place) == (None if place in gone else WHOLE.key(place))
            assert (place in keyring) is (place not in gone)
            assert covers(keyring, place) == (place not in gone)


@settings(max_examples=100, deadline=None)
@given(kept=st.sets(index), below=index)
def test_a_restricted_keyring_has_what_is_kept_and_what_was_never_given_out(kept: set[int], below: int) -> None:
    keyring = WHOLE.restrict(kept, below)
    for place in NEAR:
        assert keyring.key(place) == (WHOLE.key(place) if place in kept or place >= below else None)


@settings(max_examples=100, deadline=None)
@given(ranges=st.lists(st.tuples(index, index).map(lambda pair: (min(pair), max(pair))), max_size=4))
def test_ranges_are_the_sum_of_their_indices(ranges: list[tuple[int, int]]) -> None:
    keyring = WHOLE.puncture_ranges(ranges)
    for place in NEAR:
        assert (place in keyring) is not any(start <= place < stop for start, stop in ranges)


@settings(max_examples=100, deadline=None)
@given(punctured=st.sets(index), others=st.sets(index))
def test_the_order_does_not_matter_and_the_form_on_disk_keeps_all(punctured: set[int], others: set[int]) -> None:
    one = WHOLE.puncture(punctured).puncture(others)
    assert one.pack() == WHOLE.puncture(others | punctured).pack()
    assert Keyring.unpack(one.pack()).pack() == one.pack()


def test_keys_of_two_indices_and_of_two_seeds_differ() -> None:
    other = Keyring.new(bytes(32))
    keys = [keyring.key(place) for keyring in (WHOLE, other) for place in NEAR]
    assert len(set(keys)) == len(keys)


def test_one_puncture_costs_a_node_for_each_level_and_neighbours_cost_nothing_more() -> None:
    assert len(WHOLE.puncture([12_345])) == DEPTH
    assert len(WHOLE.puncture([12_344, 12_345])) == DEPTH - 1
    assert len(WHOLE.puncture(range(4096))) == DEPTH - 12
    assert len(WHOLE.puncture_ranges([(0, INDICES)])) == 0


def test_a_key_read_before_a_puncture_is_not_read_from_a_cache_after_it() -> None:
    keyring = Keyring.new(SEED)
    assert keyring.key(5) is not None
    assert keyring.key(6) is not None
    assert keyring.puncture([5]).key(5) is None


def test_neither_seeds_nor_keys_are_in_a_repr() -> None:
    node = Node(0, 0, SEED)
    assert SEED.hex() not in repr(node) + repr(WHOLE)
    assert repr(SEED)[2:-1] not in repr(node) + repr(WHOLE)


@pytest.mark.parametrize("index", [-1, INDICES])
def test_there_are_no_other_indices(index: int) -> None:
    with pytest.raises(ValueError):
        WHOLE.key(index)


@pytest.mark.parametrize(
    "packed",
    [
        b"x",
        bytes([33]) + bytes(36),
        bytes([1]) + (2).to_bytes(4, "big") + bytes(32),
        bytes([1]) + bytes(36) + bytes([2]) + bytes(36),
        bytes([2]) + (1).to_bytes(4, "big") + bytes(32) + bytes([2]) + bytes(36),
    ],
    ids=["length", "depth", "prefix", "one above another", "not from left to right"],
)
def test_what_is_no_keyring_is_refused(packed: bytes) -> None:
    with pytest.raises(HuzhengError) as raised:
        Keyring.unpack(packed)
    assert raised.value.code is Code.VAULT_CORRUPT

"""Merkle trees against published roots, our vectors, and RFC 9162's recursive definitions."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import merkle
from ledger.crypto import ED25519_SHA256, SIMULATION
from ledger.errors import Code, HuzhengError
from tests.naive import merkle as naive
from tests.vectors import load

SUITE = ED25519_SHA256
PUBLISHED = load("rfc6962.json")
PROOFS = load("merkle_proofs.json")
PUBLISHED_LEAVES = [bytes.fromhex(leaf) for leaf in PUBLISHED["leaves"]]

SIZES = st.integers(1, 130)


def _leaves(size: int) -> list[bytes]:
    return [sha256(b"leaf %d" % index).digest() for index in range(size)]


def _path(case: dict[str, Any]) -> list[bytes]:
    return [bytes.fromhex(node) for node in case["path"]]


def _stored_nodes(leaves: list[bytes]) -> Callable[[int, int], bytes]:
    """The complete nodes that a frontier gave while it grew, as a store keeps them."""
    frontier = merkle.Frontier(SUITE)
    nodes = {(level, index): node for leaf in leaves for level, index, node in frontier.append(leaf)}
    return lambda level, index: nodes[level, index]


def test_published_roots_and_proofs() -> None:
    assert merkle.root(SUITE, []).hex() == PUBLISHED["empty_root"]
    for size, root in enumerate(PUBLISHED["roots"], start=1):
        assert merkle.root(SUITE, PUBLISHED_LEAVES[:size]).hex() == root
    for case in PUBLISHED["inclusion"]:
        leaves = PUBLISHED_LEAVES[: case["size"]]
        assert merkle.inclusion_path(SUITE, leaves, case["index"]) == _path(case)
        root = merkle.root_from_path(SUITE, leaves[case["index"]], case["index"], case["size"], _path(case))
        assert root.hex() == PUBLISHED["roots"][case["size"] - 1]
    for case in PUBLISHED["consistency"]:
        assert merkle.consistency_path(SUITE, PUBLISHED_LEAVES[: case["size"]], case["old_size"]) == _path(case)


@pytest.mark.parametrize("case", PROOFS["inclusion"], ids=lambda case: case["name"])
def test_inclusion_vectors(case: dict[str, Any]) -> None:
    try:
        root = merkle.root_from_path(SUITE, bytes.fromhex(case["leaf"]), case["index"], case["size"], _path(case))
        verdict = root.hex() == case["root"]
    except HuzhengError as error:
        assert error.code == Code.BAD_PROOF
        verdict = False
    assert verdict == case["valid"] == case["name"].endswith(": sound")


@pytest.mark.parametrize("case", PROOFS["consistency"], ids=lambda case: case["name"])
def test_consistency_vectors(case: dict[str, Any]) -> None:
    old_root, new_root = bytes.fromhex(case["old_root"]), bytes.fromhex(case["new_root"])
    try:
        merkle.verify_consistency(SUITE, case["old_size"], case["size"], old_root, new_root, _path(case))
        verdict = True
    except HuzhengError as error:
        assert error.code == Code.BAD_PROOF
        verdict = False
    assert verdict == case["valid"] == case["name"].endswith(": sound")


@given(size=st.integers(0, 130))
@settings(deadline=None)
def test_roots_are_those_of_the_recursive_definition(size: int) -> None:
    leaves = _leaves(size)
    frontier = merkle.Frontier(SUITE)
    for leaf in leaves:
        frontier.append(leaf)
    assert merkle.root(SUITE, leaves) == frontier.root() == naive.root(leaves)
    assert (frontier.size, len(frontier.hashes)) == (size, size.bit_count())


@given(size=SIZES, data=st.data())
@settings(deadline=None)
def test_inclusion_paths_are_those_of_the_recursive_definition(size: int, data: st.DataObject) -> None:
    leaves, index = _leaves(size), data.draw(st.integers(0, size - 1))
    path = merkle.inclusion_path(SUITE, leaves, index)
    assert path == naive.inclusion_path(index, leaves)
    assert path == merkle.inclusion_path_from_nodes(SUITE, _stored_nodes(leaves), index, size)
    assert merkle.root_from_path(SUITE, leaves[index], index, size, path) == naive.root(leaves)


@given(size=SIZES, more=st.integers(0, 40), data=st.data())
@settings(deadline=None)
def test_proofs_for_an_older_tree_come_from_the_nodes_of_the_newer(size: int, more: int, data: st.DataObject) -> None:
    leaves = _leaves(size + more)
    get_node, index = _stored_nodes(leaves), data.draw(st.integers(0, size - 1))
    assert merkle.inclusion_path_from_nodes(SUITE, get_node, index, size) == naive.inclusion_path(index, leaves[:size])


@given(size=SIZES, data=st.data())
@settings(deadline=None)
def test_consistency_paths_are_those_of_the_recursive_definition(size: int, data: st.DataObject) -> None:
    leaves, old_size = _leaves(size), data.draw(st.integers(1, size))
    path = merkle.consistency_path(SUITE, leaves, old_size)
    assert path == naive.consistency_path(old_size, leaves)
    assert path == merkle.consistency_path_from_nodes(SUITE, _stored_nodes(leaves), old_size, size)
    merkle.verify_consistency(SUITE, old_size, size, naive.root(leaves[:old_size]), naive.root(leaves), path)


def test_the_empty_tree_is_a_prefix_of_every_tree() -> None:
    empty, full = merkle.root(SUITE, []), merkle.root(SUITE, _leaves(5))
    assert merkle.consistency_path(SUITE, _leaves(5), 0) == []
    merkle.verify_consistency(SUITE, 0, 5, empty, full, [])
    merkle.verify_consistency(SUITE, 0, 0, empty, empty, [])
    for old_root, path in ((full, []), (empty, [full])):
        with pytest.raises(HuzhengError):
            merkle.verify_consistency(SUITE, 0, 5, old_root, full, path)


@given(
    size=st.integers(0, 9) | st.integers(0, 2**70),
    index=st.integers(-1, 9) | st.integers(0, 2**70),
    path=st.lists(st.just(bytes(32)) | st.binary(max_size=33), max_size=5) | st.lists(st.just(bytes(32)), max_size=80),
)
@settings(deadline=None)
def test_any_proof_gets_the_verdict_of_the_definition(size: int, index: int, path: list[bytes]) -> None:
    leaf, root = b"leaf", None
    try:
        root = merkle.root_from_path(SUITE, leaf, index, size, path)
    except HuzhengError as error:
        assert error.code == Code.BAD_PROOF
    assert root is None or naive.includes(leaf, index, size, path, root)


@given(size=st.integers(0, 40), old_size=st.integers(-1, 42), cut=st.integers(0, 6), data=st.data())
@settings(deadline=None)
def test_consistency_verdicts_are_those_of_the_definition(
    size: int, old_size: int, cut: int, data: st.DataObject
) -> None:
    leaves = _leaves(size)
    nodes = [naive.root(leaves[:some]) for some in range(size + 1)] + [naive.leaf_hash(leaf) for leaf in leaves]
    old_root, new_root = data.draw(st.sampled_from(nodes)), naive.root(leaves)
    sound = naive.consistency_path(old_size, leaves) if 0 < old_size <= size else []
    path = data.draw(st.sampled_from([sound, sound[:cut], [*sound[:cut], data.draw(st.sampled_from(nodes))]]))
    try:
        merkle.verify_consistency(SUITE, old_size, size, old_root, new_root, path)
        verdict = True
    except HuzhengError:
        verdict = False
    assert verdict == naive.consistent(old_size, size, old_root, new_root, path)


@pytest.mark.parametrize("node", [b"", bytes(31), bytes(33), bytes(64)], ids=len)
def test_a_node_that_is_no_hash_is_refused_even_where_it_would_give_the_root(node: bytes) -> None:
    old = naive.leaf_hash(b"leaf")
    root = sha256(b"\x01" + old + node).digest()
    with pytest.raises(HuzhengError, match="length of a hash"):
        merkle.root_from_path(SUITE, b"leaf", 0, 2, [node])
    with pytest.raises(HuzhengError, match="length of a hash"):
        merkle.verify_consistency(SUITE, 1, 2, old, root, [node])


def test_a_consistency_path_that_goes_on_above_the_root_is_refused() -> None:
    leaves, extra = _leaves(7), bytes(32)
    path = [*naive.consistency_path(6, leaves), extra]
    old, new = (sha256(b"\x01" + extra + naive.root(leaves[:size])).digest() for size in (6, 7))
    with pytest.raises(HuzhengError) as error:
        merkle.verify_consistency(SUITE, 6, 7, old, new, path)
    assert error.value.code == Code.BAD_PROOF


@given(size=st.integers(0, 100), more=st.integers(0, 20))
@settings(deadline=None)
def test_a_frontier_goes_on_from_its_hashes(size: int, more: int) -> None:
    leaves = _leaves(size + more)
    frontier = merkle.Frontier(SUITE)
    for leaf in leaves[:size]:
        frontier.append(leaf)
    resumed = merkle.Frontier(SUITE, frontier.size, frontier.hashes)
    copy = frontier.copy()
    for leaf in leaves[size:]:
        assert resumed.append(leaf) == copy.append(leaf)
    assert resumed.root() == copy.root() == naive.root(leaves)
    assert frontier.root() == naive.root(leaves[:size])


@pytest.mark.parametrize(
    ("size", "hashes"), [(1, []), (0, [bytes(32)]), (3, [bytes(32)]), (-1, [bytes(32)]), (1, [b"short"])]
)
def test_a_frontier_that_cannot_be_is_refused(size: int, hashes: list[bytes]) -> None:
    with pytest.raises(HuzhengError) as error:
        merkle.Frontier(SUITE, size, hashes)
    assert error.value.code == Code.BAD_PROOF


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_there_is_no_path_of_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(IndexError):
        merkle.inclusion_path(SUITE, _leaves(size), index)


@pytest.mark.parametrize("old_size", [-1, 4])
def test_there_is_no_consistency_with_a_larger_tree(old_size: int) -> None:
    with pytest.raises(IndexError):
        merkle.consistency_path(SUITE, _leaves(3), old_size)


def test_every_node_of_a_grown_tree_is_given_once_and_only_when_complete() -> None:
    frontier, seen = merkle.Frontier(SUITE), set()
    for size, leaf in enumerate(_leaves(64), start=1):
        for level, index, _ in frontier.append(leaf):
            assert (level, index) not in seen
            assert (index + 1) << level == size
            seen.add((level, index))
    assert len(seen) == 127


def test_trees_use_the_suites_hash() -> None:
    leaves = _leaves(5)
    path = merkle.inclusion_path(SIMULATION, leaves, 3)
    assert merkle.root(SIMULATION, leaves) != merkle.root(SUITE, leaves)
    assert merkle.root_from_path(SIMULATION, leaves[3], 3, 5, path) == merkle.root(SIMULATION, leaves)

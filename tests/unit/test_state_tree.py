"""The state tree against a plain dict and the definition: roots, proofs, and what is proved of nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from huzheng.v1 import state_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto import ED25519_SHA256
from ledger.errors import Code, HuzhengError
from ledger.state.proof import EMPTY, root_from_proof
from ledger.state.tree import StateTree
from tests.naive import state_tree as naive
from tests.vectors import load

SUITE = ED25519_SHA256
VECTORS = load("state_tree.json")


def digest(number: int) -> bytes:
    return sha256(b"digest %d" % number).digest()


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[StateTree]:
    made = StateTree(SUITE, tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("case", VECTORS["trees"], ids=lambda case: case["name"])
def test_root_vectors(case: dict[str, Any], tree: StateTree) -> None:
    keys = {bytes.fromhex(path): bytes.fromhex(digest) for path, digest in case["keys"].items()}
    assert tree.update(keys).hex() == case["root"]


@pytest.mark.parametrize("case", VECTORS["proofs"], ids=lambda case: case["name"])
def test_proof_vectors(case: dict[str, Any]) -> None:
    digest = None if case["digest"] is None else bytes.fromhex(case["digest"])
    fields: dict[str, Any] = {
        name: value if name == "depth" else bytes.fromhex(value) for name, value in case["proof"].items()
    }
    try:
        root = root_from_proof(SUITE, bytes.fromhex(case["path"]), digest, state_pb2.StateProof(**fields))
        verdict = root.hex() == case["root"]
    except HuzhengError as error:
        assert error.code == Code.BAD_PROOF
        verdict = False
    assert verdict == case["valid"] == case["name"].endswith(": sound")


@st.composite
def paths(draw: st.DrawFn) -> bytes:
    """Some in the same slot, and some alike for many bits more."""
    near = draw(st.sampled_from((bytes(32), b"\xff" * 32, sha256(b"x").digest())))
    alike = draw(st.sampled_from((0, 3, 15, 16, 17, 40, 200, 255)))
    rest = draw(st.integers(0, 2 ** min(3, 256 - alike) - 1))
    value = int.from_bytes(near, "big") >> (256 - alike) << (256 - alike) if alike else 0
    return (value | rest << max(0, 256 - alike - 3)).to_bytes(32, "big")


BATCHES = st.lists(st.dictionaries(paths(), st.one_of(st.none(), st.integers(0, 50)), max_size=8), max_size=8)


@settings(max_examples=150, deadline=None)
@given(batches=BATCHES, asked=st.lists(paths(), max_size=6), pending=st.integers(0, 4))
def test_a_tree_is_what_the_keys_are_whatever_was_there_before(
    tmp_path_factory: pytest.TempPathFactory, batches: list[dict[bytes, int | None]], asked: list[bytes], pending: int
) -> None:
    tree = StateTree(SUITE, tmp_path_factory.mktemp("tree"))
    model: dict[bytes, bytes] = {}
    for number, batch in enumerate(batches):
        changes = {path: None if value is None else digest(value) for path, value in batch.items()}
        for path, value in changes.items():
            model.pop(path, None)
            if value is not None:
                model[path] = value
        assert tree.update(changes) == naive.root(model)
        if number >= pending:
            tree.store_block()
    for path in {*asked, *model}:
        check_proof(tree, path, model)
    tree.close()


def check_proof(tree: StateTree, path: bytes, model: dict[bytes, bytes]) -> None:
    """It proves what is so, and nothing else."""
    raw = tree.walk(path).to_proof(path).SerializeToString()
    proof = state_pb2.StateProof.FromString(raw)
    assert root_from_proof(SUITE, path, model.get(path), proof) == tree.root
    for wrong in {None, digest(51), *model.values()} - {model.get(path)}:
        try:
            assert root_from_proof(SUITE, path, wrong, proof) != tree.root
        except HuzhengError as error:
            assert error.code == Code.BAD_PROOF


def test_a_tree_is_the_same_when_it_is_opened_again(tmp_path: Path) -> None:
    dice = random.Random(7)
    model = {dice.randbytes(32): dice.randbytes(32) for _ in range(3_000)}
    tree = StateTree(SUITE, tmp_path)
    root = tree.update(model)
    tree.store_block()
    tree.update({dice.randbytes(32): dice.randbytes(32)})
    tree.close()
    again = StateTree(SUITE, tmp_path)
    assert again.root == root == naive.root(model)
    for path in list(model)[:50]:
        check_proof(again, path, {path: model[path]})
    again.close()


def test_what_was_removed_makes_room_for_what_comes(tmp_path: Path, tree: StateTree) -> None:
    dice = random.Random(8)
    batch = {dice.randbytes(2) + bytes(3) + dice.randbytes(27): dice.randbytes(32) for _ in range(20_000)}
    sizes = set()
    for _ in range(5):
        tree.update(batch)
        tree.store_block()
        assert tree.update(dict.fromkeys(batch)) == EMPTY
        tree.store_block()
        sizes.add(sum(file.stat().st_size for file in tmp_path.iterdir()))
    assert len(sizes) == 1


def test_a_tree_of_which_nothing_is_stored_takes_what_is_not_there_as_removed(tree: StateTree) -> None:
    assert tree.update({bytes(32): None}) == EMPTY
    assert tree.walk(bytes(32)).to_proof(bytes(32)) == state_pb2.StateProof()

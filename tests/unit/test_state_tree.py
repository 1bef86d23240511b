"""The state tree against a plain dict and the definition: roots, proofs, and what is proved of nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from huzheng.v1 import state_pb2
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.crypto import ED25519_SHA256, Height
from ledger.errors import Code, HuzhengError
from ledger.state.proof import EMPTY, root_from_proof, tree_root
from ledger.state.record_file import RecordFile
from ledger.state.tree import RECORD_SIZES, StateTree
from tests.naive import state_tree as naive
from tests.vectors import load

SUITE = ED25519_SHA256
VECTORS = load("state_tree.json")


def digest(number: int) -> bytes:
    return sha256(b"digest %d" % number).digest()


def open_tree(directory: Path, stored: int = 0, kept_blocks: int = 8) -> StateTree:
    """The tree in a directory."""
    files = {name: RecordFile(directory / name, size) for name, size in RECORD_SIZES.items()}
    return StateTree(SUITE, files, Height(stored), kept_blocks)


def execute(tree: StateTree, leaves: dict[bytes, bytes | None]) -> bytes:
    """The root after one more block."""
    return tree.execute(Height(tree.executed + 1), leaves)


def store(tree: StateTree) -> None:
    """The next block."""
    height = Height(tree.stored + 1)
    tree.store(height, tree.changes(height))


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[StateTree]:
    made = open_tree(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("case", VECTORS["trees"], ids=lambda case: case["name"])
def test_root_vectors(case: dict[str, Any], tree: StateTree) -> None:
    keys = {bytes.fromhex(path): bytes.fromhex(digest) for path, digest in case["keys"].items()}
    assert execute(tree, {**keys}).hex() == tree_root(SUITE, keys).hex() == case["root"]


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
@given(
    batches=BATCHES,
    asked=st.lists(paths(), max_size=6),
    pending=st.integers(0, 4),
    again=st.sets(st.integers(0, 8)),
    kept=st.integers(0, 4),
)
@example(batches=[{}, {bytes(32): 0}, {}, {}, {bytes(32): None}, {}, {}], asked=[], pending=4, again=set(), kept=0)
@example(
    batches=[{bytes(32): None}, {bytes(32): 0}, {}, {}, {bytes(32): None}, {}, {}],
    asked=[],
    pending=4,
    again=set(),
    kept=0,
)
def test_a_tree_is_what_the_keys_are_whatever_was_there_before(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[dict[bytes, int | None]],
    asked: list[bytes],
    pending: int,
    again: set[int],
    kept: int,
) -> None:
    """Blocks are executed ahead of those that are stored, some of them twice, and older ones asked about."""
    tree = open_tree(tmp_path_factory.mktemp("tree"), kept_blocks=kept)
    models: list[dict[bytes, bytes]] = [{}]
    for number, batch in enumerate(batches):
        changes = {path: None if value is None else digest(value) for path, value in batch.items()}
        models.append({path: value for path, value in (models[-1] | changes).items() if value is not None})
        if number in again:
            execute(tree, {path: digest(99) for path in asked})
            assert tree.execute(tree.executed, changes) == naive.root(models[-1])
        else:
            assert execute(tree, changes) == naive.root(models[-1])
        if tree.executed - tree.stored > pending:
            store(tree)
    assert tree.oldest == max(0, tree.stored - kept)
    for height in range(tree.oldest, tree.executed + 1):
        assert tree.root(Height(height)) == naive.root(models[height])
        for path in {*asked, *models[height]}:
            check_proof(tree, path, models[height], height)
    if tree.oldest:
        with pytest.raises(HuzhengError) as caught:
            tree.walk(bytes(32), Height(tree.oldest - 1))
        assert caught.value.code == Code.NOT_FOUND
    tree.close()


def check_proof(tree: StateTree, path: bytes, model: dict[bytes, bytes], number: int | None = None) -> None:
    """It proves what is so, and nothing else."""
    height = tree.executed if number is None else Height(number)
    root = tree.root(height)
    raw = tree.walk(path, height).to_proof(path).SerializeToString()
    proof = state_pb2.StateProof.FromString(raw)
    assert root_from_proof(SUITE, path, model.get(path), proof) == root
    for wrong in {None, digest(51), *model.values()} - {model.get(path)}:
        try:
            assert root_from_proof(SUITE, path, wrong, proof) != root
        except HuzhengError as error:
            assert error.code == Code.BAD_PROOF


def test_a_tree_is_the_same_when_it_is_opened_again(tmp_path: Path) -> None:
    dice = random.Random(7)
    model = {dice.randbytes(32): dice.randbytes(32) for _ in range(3_000)}
    tree = open_tree(tmp_path)
    root = execute(tree, {**model})
    store(tree)
    execute(tree, {dice.randbytes(32): dice.randbytes(32)})
    tree.close()
    again = open_tree(tmp_path, stored=1)
    assert again.root(Height(1)) == root == naive.root(model) == tree_root(SUITE, model)
    for path in list(model)[:50]:
        check_proof(again, path, {path: model[path]})
    again.close()


def test_what_was_removed_makes_room_for_what_comes(tmp_path: Path, tree: StateTree) -> None:
    dice = random.Random(8)
    batch = {dice.randbytes(2) + bytes(3) + dice.randbytes(27): dice.randbytes(32) for _ in range(20_000)}
    sizes = set()
    for _ in range(5):
        execute(tree, {**batch})
        store(tree)
        assert execute(tree, dict.fromkeys(batch)) == EMPTY
        store(tree)
        sizes.add(sum(file.stat().st_size for file in tmp_path.iterdir()))
    assert len(sizes) == 1


def test_a_tree_of_which_nothing_is_stored_takes_what_is_not_there_as_removed(tree: StateTree) -> None:
    assert execute(tree, {bytes(32): None}) == EMPTY
    assert tree.walk(bytes(32), tree.executed).to_proof(bytes(32)) == state_pb2.StateProof()


@pytest.mark.parametrize("name", ["nodes", "leaves"])
def test_a_flipped_bit_in_a_file_is_noticed_where_it_is_read(tmp_path: Path, name: str) -> None:
    dice = random.Random(9)
    prefix = b"\xab\xcd"
    model = {prefix + dice.randbytes(30): dice.randbytes(32) for _ in range(40)}
    tree = open_tree(tmp_path)
    root = execute(tree, {**model})
    store(tree)
    tree.close()
    size, file = RECORD_SIZES[name], tmp_path / name
    noticed = 0
    for index in range(1, 40):
        raw = bytearray(file.read_bytes())
        flipped = bytes(raw[: index * size + 7]) + bytes([raw[index * size + 7] ^ 1]) + bytes(raw[index * size + 8 :])
        file.write_bytes(flipped)
        tree = open_tree(tmp_path, stored=1)
        with pytest.raises(HuzhengError) as caught:
            tree.execute(Height(2), {path: digest(1) for path in model})
        assert caught.value.code == Code.STORE_CORRUPT
        assert (tree.executed, tree.root(Height(1))) == (1, root)
        noticed += 1
        tree.close()
        file.write_bytes(bytes(raw))
    assert noticed == 39


@pytest.mark.parametrize(("name", "place"), [("nodes", 7), ("nodes", 40), ("leaves", 7), ("leaves", 40)])
def test_a_flipped_bit_is_noticed_by_whoever_changes_one_key_below_it_and_harms_nobody_else(
    tmp_path: Path, name: str, place: int
) -> None:
    dice = random.Random(11)
    model = {b"\xab\xcd" + dice.randbytes(30): dice.randbytes(32) for _ in range(20)}
    tree = open_tree(tmp_path)
    execute(tree, {**model})
    store(tree)
    tree.close()
    size, file = RECORD_SIZES[name], tmp_path / name
    sound = file.read_bytes()
    for index in range(1, 20):
        flipped = bytearray(sound)
        flipped[index * size + place] ^= 1
        file.write_bytes(flipped)
        tree, noticed = open_tree(tmp_path, stored=1), 0
        for path in model:
            try:
                root = tree.execute(Height(2), {path: digest(1)})
            except HuzhengError as error:
                assert error.code == Code.STORE_CORRUPT
                noticed += 1
            else:
                assert root == naive.root(model | {path: digest(1)})
        assert 1 <= noticed <= (1 if name == "leaves" else 20)
        tree.close()


def test_what_is_kept_of_older_blocks_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.state.tree.MAX_KEPT", 500)
    tree, dice = open_tree(tmp_path, kept_blocks=1_000), random.Random(10)
    for _ in range(30):
        execute(tree, {dice.randbytes(32): dice.randbytes(32) for _ in range(10)})
        store(tree)
    assert 30 - 500 // 10 < tree.oldest < 30
    kept = [records._undos for records in tree._files.values()]
    assert {len(undos) for undos in (*kept, tree._top._undos)} == {30 - tree.oldest}
    tree.close()

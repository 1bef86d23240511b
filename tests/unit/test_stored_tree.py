"""The state tree beside a database: whatever happens to its files, no block ever gets a wrong root (docs/protocol.md S11)."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from unittest.mock import patch

import pytest
from huzheng.v1 import state_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.block_apply import prove_block
from ledger.chain_check import verify_chain
from ledger.crypto import Height
from ledger.errors import Code, HuzhengError
from ledger.execution import execute
from ledger.state import leaf_digest, leaf_path
from ledger.state.proof import root_from_proof, tree_root
from ledger.store import ChainStore, layout
from ledger.store.state_tree import KEPT_BLOCKS
from ledger.transaction import check_batch, encode_batch
from tests.builders import OBJECTION, Consortium, unit_code
from tests.chains import mixed_chain, store_blocks, stored_chain
from tests.sim.storage import Disk, PowerFailure, open_store


class Machine:
    """Makes one block after the other on a simulated disk, whose power fails at writes now and then."""

    def __init__(self, seed: int, failing: float) -> None:
        self.consortium = Consortium()
        self.dice = random.Random(seed)
        self.disk = Disk(self.dice, lambda: self.dice.random() < failing)
        self.start()

    def start(self) -> None:
        """Until it comes up."""
        while True:
            try:
                self.store = self.open()
                self.opened_at = self.store.tip.height
                return
            except PowerFailure:
                self.disk.crash()

    def open(self) -> ChainStore:
        """Once the tree was there, nothing but the changes of the last blocks may be needed to have it again."""
        if layout.TREE_KEY not in self.disk.entries:
            return open_store(self.disk, self.consortium.genesis)
        with patch("ledger.store.state_tree._make_anew", side_effect=AssertionError("the tree is made anew")):
            return open_store(self.disk, self.consortium.genesis)

    def turn(self) -> None:
        """One block, whose changes some units have; perhaps the files are brought to the disk, or the power fails."""
        store, height = self.store, self.store.tip.height + 1
        raws = [self._transaction(height, number) for number in self.dice.sample(range(1, 8), self.dice.randint(0, 3))]
        batch = check_batch(encode_batch(1, self.consortium.now_ms, raws), self.consortium.genesis, lambda _: None)  # type: ignore[arg-type]
        block = execute(self.consortium.genesis, store.state, store.tip, batch)
        try:
            store.append(block, self.consortium.certificate(block))
            if self.dice.random() < 0.2:
                store.flush_tree()
        except PowerFailure:
            self.disk.crash()
            self.start()

    def _transaction(self, height: int, number: int) -> bytes:
        """A further version about a unit."""
        place = self.store.current(OBJECTION, unit_code(number))
        version, replaces = 1, b""
        if place is not None:
            newest = self.store.record(place)
            version, replaces = newest.record.version + 1, newest.id
        record = self.consortium.record(number, version, replaces)
        return self.consortium.transaction([record], nonce=1_000 * height + number)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), failing=st.sampled_from((0.0, 0.1, 0.3)))
def test_after_any_crash_the_tree_is_that_of_the_last_block(seed: int, failing: float) -> None:
    machine = Machine(seed, failing)
    for _ in range(20):
        machine.turn()
        check_proofs(machine.store, machine.store.tip.height)


def check_proofs(store: ChainStore, height: Height) -> None:
    """Each key of the state, and some that are not there, under the last header's root."""
    suite = store._genesis.suite
    state = {key[1:]: value for key, value in store.entries() if key[:1] == layout.STATE and key[1:2] != b"i"}
    leaves = {leaf_path(suite, key): leaf_digest(suite, key, value) for key, value in state.items()}
    assert tree_root(suite, leaves) == store.tip.state_root
    for key in [*state, b"hproperty\0nothing\0\0", b"k" + bytes(32)]:
        path = leaf_path(suite, key)
        proof = store._tree.walk(path, height).to_proof(path)
        digest = leaf_digest(suite, key, state.get(key))
        again = state_pb2.StateProof.FromString(proof.SerializeToString())
        assert root_from_proof(suite, path, digest, again) == store.tip.state_root


@pytest.mark.parametrize("damage", ["gone", "one gone", "cut", "of another time", "zeros"])
def test_files_that_are_not_those_of_the_last_block_are_made_anew(tmp_path: Path, damage: str) -> None:
    consortium = Consortium()
    chain, store = mixed_chain(consortium), ChainStore.open(tmp_path / "db", consortium.genesis)
    store_blocks(store, consortium, chain.blocks[1:3])
    files = tmp_path / "db" / "tree"
    shutil.copytree(files, tmp_path / "before")
    store_blocks(store, consortium, chain.blocks[3:5])
    store.flush_tree()
    store_blocks(store, consortium, chain.blocks[5:])
    store.close()
    slots = (files / "slots").read_bytes()
    if damage in ("gone", "of another time"):
        shutil.rmtree(files)
    if damage == "of another time":
        shutil.copytree(tmp_path / "before", files)
    elif damage == "one gone":
        (files / "slots").unlink()
    elif damage == "cut":
        (files / "slots").write_bytes(slots[:20_000])
    elif damage == "zeros":
        (files / "slots").write_bytes(bytes(len(slots)))
    store = ChainStore.open(tmp_path / "db", consortium.genesis)
    assert store.tip.state_root == chain.tip.state_root
    check_proofs(store, store.tip.height)
    store.close()


def test_a_record_that_was_damaged_stops_the_replica_and_the_next_start_mends_it(tmp_path: Path) -> None:
    consortium, chain, store = stored_chain(tmp_path / "db")
    store.flush_tree()
    block = chain.add_null()
    store.append(block, consortium.certificate(block))
    assert not [
        key for key, _ in store.entries() if key[:1] == layout.TREE_CHANGES and key < layout.tree_changes_key(6)
    ]
    store.close()
    file = tmp_path / "db" / "tree" / "leaves"
    raw = bytearray(file.read_bytes())
    for index in range(1, 80):
        raw[64 * index + 40] ^= 1
    file.write_bytes(raw)
    store = ChainStore.open(tmp_path / "db", consortium.genesis)
    record = consortium.record(1, 3, consortium.record(1, 2, consortium.record(1).id, revoke=True).id)
    batch = check_batch(
        encode_batch(1, chain.tip.time_ms, [consortium.transaction([record], expires_ms=chain.tip.time_ms + 1_000)]),  # type: ignore[arg-type]
        consortium.genesis,
        lambda _: None,
    )
    with pytest.raises(HuzhengError) as caught:
        execute(consortium.genesis, store.state, store.tip, batch)
    assert caught.value.code is Code.STORE_CORRUPT
    assert "state tree" in caught.value.detail
    store.close()
    store = ChainStore.open(tmp_path / "db", consortium.genesis)
    assert execute(consortium.genesis, store.state, store.tip, batch).header == chain.add_batch(batch).header
    check_proofs(store, store.tip.height)
    store.close()


def test_a_state_that_does_not_lead_to_the_root_is_damage(tmp_path: Path) -> None:
    consortium, _, store = stored_chain(tmp_path / "db")
    batch = store._engine.batch()
    batch.delete(layout.TREE_KEY)
    batch.delete(layout.STATE + b"ntax")
    batch.write()
    store.close()
    with pytest.raises(HuzhengError) as caught:
        ChainStore.open(tmp_path / "db", consortium.genesis)
    assert caught.value.code is Code.STORE_CORRUPT


def test_changes_are_kept_only_until_the_files_are_on_disk(tmp_path: Path) -> None:
    consortium = Consortium()
    chain, store = consortium.chain(), ChainStore.open(tmp_path / "db", consortium.genesis)
    for number in range(1, 41):
        block = chain.add(consortium.transaction([consortium.record(number)], nonce=number))
        store.append(block, consortium.certificate(block))
        if number % 10 == 0:
            store.flush_tree()
        kept = [key for key, _ in store.entries() if key[:1] == layout.TREE_CHANGES]
        assert len(kept) <= 10
    block = chain.add(consortium.transaction([consortium.record(41)], nonce=41))
    store.append(block, consortium.certificate(block))
    unflushed = store._tree._unflushed_bytes
    store.close()
    store = ChainStore.open(tmp_path / "db", consortium.genesis)
    assert store._tree._unflushed_bytes == unflushed > 0
    verify_chain(store, consortium.genesis)
    assert prove_block(consortium.genesis, store.membership_at(Height(1)), store.block(Height(1))).height == 1
    store.close()


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32), failing=st.sampled_from((0.0, 0.02)))
def test_the_last_64_blocks_since_the_start_are_proved_as_they_were_and_no_others(seed: int, failing: float) -> None:
    """Through power failures and restarts, some of which come before a block's changes are in the files."""
    machine = Machine(seed, failing)
    roots = {Height(0): machine.store.tip.state_root}
    while machine.store.tip.height < 2 * KEPT_BLOCKS:
        if machine.dice.random() < 0.01:
            machine.disk.crash()
            machine.start()
        machine.turn()
        store = machine.store
        roots[store.tip.height] = store.tip.state_root
        oldest = max(machine.opened_at, store.tip.height - KEPT_BLOCKS)
        height = Height(machine.dice.randint(oldest, store.tip.height))
        assert store._tree.root(height) == roots[height]
        if oldest:
            with pytest.raises(HuzhengError) as caught:
                store._tree.walk(bytes(32), Height(oldest - 1))
            assert caught.value.code is Code.NOT_FOUND

"""The state tree over long histories, against a plain dict and the definition: what it proves is so, and nothing else can be proved with it.

Keys agree in many leading bits, are removed and come back; blocks are executed ahead of those that are stored, and taken back; the tree is closed
and opened again in between; old blocks are forgotten.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path

from huzheng.v1 import state_pb2
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.crypto import ED25519_SHA256, Height
from ledger.errors import Code, HuzhengError
from ledger.state.proof import root_from_proof, tree_root
from ledger.state.tree import StateTree
from ledger.store.state_tree import KEPT_BLOCKS
from tests.naive import state_tree as naive
from tests.unit.test_state_tree import digest, open_tree

Keys = dict[bytes, bytes]
Changes = dict[bytes, bytes | None]

FIRST_PATHS = (bytes(32), b"\xff" * 32, sha256(b"a").digest(), sha256(b"b").digest())
FALSE_DIGEST = digest(1_000_000)

bits = st.one_of(st.integers(0, 255), st.sampled_from((0, 14, 15, 16, 17, 18, 127, 254, 255)))


def flipped(path: bytes, bit: int) -> bytes:
    """Another path, which agrees with this one in so many leading bits."""
    return bytes(byte ^ (0x80 >> bit % 8 if place == bit // 8 else 0) for place, byte in enumerate(path))


@st.composite
def moves(draw: st.DrawFn) -> list[tuple[int, int | None, int | None]]:
    """Changes of a block: which known path, the bit from which on it is another one, its new digest."""
    number = st.one_of(st.none(), st.integers(0, 1_000), st.integers(0, 1_000))
    return draw(st.lists(st.tuples(st.integers(0, 1_000), st.one_of(st.none(), bits), number), max_size=6))


class LongHistory(RuleBasedStateMachine):
    """One tree, and what it should be after each block."""

    @initialize()
    def start(self) -> None:
        """Nothing is there."""
        self.directory = tempfile.TemporaryDirectory()
        self.known: list[bytes] = list(FIRST_PATHS)
        """Paths that are or were somewhere, in their order."""
        self.models: list[Keys] = [{}]
        """By height."""
        self.roots = [naive.root({})]
        """Of these."""
        self.opened_at = 0
        self.tree = self.open()

    def open(self) -> StateTree:
        """As the store does."""
        return open_tree(Path(self.directory.name), self.opened_at, kept_blocks=KEPT_BLOCKS)

    def teardown(self) -> None:
        """All that is kept, once more."""
        if hasattr(self, "tree"):
            for height in range(self.tree.oldest, self.tree.executed + 1):
                assert self.tree.root(Height(height)) == self.roots[height]
            self.check_forgotten()
            self.tree.close()
            self.directory.cleanup()

    # --- what happens ---

    @rule(moves=moves())
    def execute(self, moves: list[tuple[int, int | None, int | None]]) -> None:
        """The next block."""
        self._execute(self.tree.executed + 1, self._changes(moves))

    @rule(moves=moves(), back=st.integers(1, 3))
    def take_back(self, moves: list[tuple[int, int | None, int | None]], back: int) -> None:
        """Another block in the place of one that is not stored."""
        self._execute(max(self.tree.stored + 1, self.tree.executed + 1 - back), self._changes(moves))

    @precondition(lambda self: self.tree.executed > self.tree.stored)
    @rule()
    def store(self) -> None:
        """The oldest that is not stored yet."""
        height = Height(self.tree.stored + 1)
        self.tree.store(height, self.tree.changes(height))

    @rule(count=st.integers(1, KEPT_BLOCKS + 10))
    def run_on(self, count: int) -> None:
        """Many small blocks, each stored: one of the known paths comes and goes."""
        while self.tree.stored < self.tree.executed:
            self.store()
        for number in range(count):
            path = self.known[number % len(self.known)]
            gone = number % 3 == 0 and path in self.models[-1]
            self._execute(self.tree.executed + 1, {path: None if gone else digest(number)})
            self.store()

    @rule(remove=st.booleans())
    def replace_all(self, remove: bool) -> None:
        """All keys go, or all that ever were come back."""
        changes: Changes = dict.fromkeys(self.models[-1]) if remove else {p: digest(7) for p in self.known}
        self._execute(self.tree.executed + 1, changes)

    @rule(flush=st.booleans())
    def restart(self, flush: bool) -> None:
        """What is not stored is gone, and what was before the last stored block can't be asked about."""
        if flush:
            assert self.tree.flush() == self.tree.stored
        self.opened_at = self.tree.stored
        self.tree.close()
        del self.models[self.opened_at + 1 :], self.roots[self.opened_at + 1 :]
        self.tree = self.open()

    def _changes(self, moves: list[tuple[int, int | None, int | None]]) -> Changes:
        changes: Changes = {}
        for which, bit, number in moves:
            path = self.known[which % len(self.known)]
            path = path if bit is None else flipped(path, bit)
            changes[path] = None if number is None else digest(number)
            if path not in self.known:
                self.known.append(path)
        return changes

    def _execute(self, height: int, changes: Changes) -> None:
        del self.models[height:], self.roots[height:]
        keys = {path: value for path, value in (self.models[-1] | changes).items() if value is not None}
        self.models.append(keys)
        self.roots.append(naive.root(keys))
        assert self.tree.execute(Height(height), changes) == self.roots[-1]

    # --- what must hold ---

    @invariant()
    def newest_is_right(self) -> None:
        """The newest block, and one that is kept."""
        if not hasattr(self, "tree"):
            return
        assert len(self.models) == self.tree.executed + 1
        self.check_forgotten()
        span = self.tree.executed - self.tree.oldest + 1
        for height in {self.tree.executed, self.tree.oldest + 7 * len(self.known) % span}:
            assert self.tree.root(Height(height)) == self.roots[height]
            assert tree_root(ED25519_SHA256, {**self.models[height]}) == self.roots[height]
            for path in self._asked(height):
                self.check_path(path, height)

    def _asked(self, height: int) -> Iterator[bytes]:
        """One that is or was there, and one that agrees with it for a while."""
        path = self.known[height % len(self.known)]
        yield path
        yield flipped(path, (17 * height + 3) % 256)

    def check_forgotten(self) -> None:
        """The window: as many blocks before the stored one as the store keeps, but none from before the start."""
        oldest = max(self.opened_at, self.tree.stored - KEPT_BLOCKS)
        assert self.tree.oldest == oldest
        for height in (oldest - 1, self.tree.executed + 1):
            try:
                self.tree.walk(bytes(32), Height(height))
            except HuzhengError as error:
                assert error.code == Code.NOT_FOUND
            else:
                raise AssertionError("a block that is not kept")

    def check_path(self, path: bytes, height: int) -> None:
        """The proof is the one that the definition makes, and proves nothing but what is so."""
        keys, root = self.models[height], self.roots[height]
        message = self.tree.walk(path, Height(height)).to_proof(path)
        proof = naive.proof(keys, path)
        assert message == state_pb2.StateProof(**asdict(proof))
        assert leads_to(path, keys.get(path), proof, root)
        for claim in {None, FALSE_DIGEST, keys.get(path), *list(keys.values())[:1]}:
            for other in (proof, *forgeries(keys, path, proof)):
                is_proof = (claim, other) == (keys.get(path), proof)
                assert leads_to(path, claim, other, root) == naive.proves(path, claim, other, root) == is_proof
        for earlier in {self.tree.oldest, max(self.tree.oldest, height - 1)}:
            if self.models[earlier].get(path) != keys.get(path):
                assert not leads_to(path, keys.get(path), proof, self.roots[earlier])


def leads_to(path: bytes, claim: bytes | None, proof: naive.Proof, root: bytes) -> bool:
    """What a verifier says."""
    try:
        return root_from_proof(ED25519_SHA256, path, claim, state_pb2.StateProof(**asdict(proof))) == root
    except HuzhengError as error:
        assert error.code == Code.BAD_PROOF
        return False


def forgeries(keys: Keys, path: bytes, proof: naive.Proof) -> Iterator[naive.Proof]:
    """What somebody might try who has all proofs."""
    yield replace(proof, other_path=path, other_digest=FALSE_DIGEST)
    if proof.other_path:
        yield replace(proof, other_path=b"", other_digest=b"")
        yield replace(proof, other_digest=FALSE_DIGEST)
        yield replace(proof, other_path=flipped(proof.other_path, 255))
    elif path not in keys:
        yield replace(proof, other_path=flipped(path, 255), other_digest=FALSE_DIGEST)
    if path in keys:
        # As if the leaf were a neighbour's.
        yield replace(proof, other_path=path, other_digest=keys[path])
        yield replace(proof, other_path=flipped(path, 255), other_digest=keys[path])
    for neighbour in list(keys)[:2]:
        if naive.proof(keys, neighbour) != proof:
            yield naive.proof(keys, neighbour)
    if proof.depth < 256:
        yield replace(proof, depth=proof.depth + 1, occupied=proof.occupied.ljust((proof.depth + 8) // 8, b"\0"))
    if proof.depth:
        bits = int.from_bytes(proof.occupied, "big") >> (8 * len(proof.occupied) - proof.depth)
        siblings = proof.siblings[:-32] if bits & 1 else proof.siblings
        length = (proof.depth + 6) // 8
        shorter = (bits >> 1 << (8 * length - proof.depth + 1)).to_bytes(length, "big")
        yield replace(proof, depth=proof.depth - 1, occupied=shorter, siblings=siblings)
    if proof.depth % 8:
        padded = replace(proof, occupied=proof.occupied[:-1] + bytes([proof.occupied[-1] | 1]))
        yield padded
        yield replace(padded, siblings=padded.siblings + bytes(32))
    yield replace(proof, occupied=proof.occupied + b"\0")
    yield replace(proof, siblings=proof.siblings + bytes(32))
    if proof.siblings:
        yield replace(proof, siblings=bytes([proof.siblings[0] ^ 1]) + proof.siblings[1:])


LongHistory.TestCase.settings = settings(
    max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLongHistory = LongHistory.TestCase

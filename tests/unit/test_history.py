"""Proofs of history, anchors and forks (docs/protocol.md section 13)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huzheng.v1 import history_pb2

from ledger.anchor import read_anchor, write_anchor
from ledger.crypto import ED25519_SHA256, Height
from ledger.epoch_proof import verify_epochs
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.history import MAX_HISTORY_BYTES, fork_evidence, verify_fork, verify_history
from ledger.receipt import verify_receipt
from ledger.sealed_block import SealedBlock, genesis_anchor
from ledger.statement import Question, verify_bundle, verify_statement
from ledger.store import ChainStore
from node.receipts import transaction_receipt
from tests.builders import OBJECTION, Consortium, unit_code
from tests.chains import stored_chain
from tests.memberships import add, change_transaction, changeable, grow_to
from tests.memberships import stored as stored_in
from tests.vectors import load

VECTORS = load("history.json")
GENESIS = Genesis.read(bytes.fromhex(VECTORS["genesis"]))


def by_name(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", VECTORS[kind], ids=lambda case: case["name"])


NEED_THE_ANCHOR = {"a later block of the next epoch, not proved", "a later block of the anchor's own epoch"}
"""To know the members."""


def check(case: dict[str, Any], verify: Callable[[], object]) -> Any:
    """The verdict, or None where the case says that there is none."""
    if case["code"] is None:
        return verify()
    with pytest.raises(HuzhengError) as caught:
        verify()
    assert caught.value.code == case["code"]
    return None


@by_name("proofs")
def test_history_vectors(case: dict[str, Any]) -> None:
    link = check(case, lambda: verify_history(bytes.fromhex(case["proof"]), GENESIS))
    if link is not None:
        hashes = [link.old.hash.hex(), link.new.hash.hex()]
        assert hashes == [VECTORS["hashes"][case["old"]], VECTORS["hashes"][case["new"]]]


@by_name("anchors")
def test_anchor_vectors(case: dict[str, Any]) -> None:
    anchor = check(case, lambda: read_anchor(bytes.fromhex(case["anchor"]), GENESIS))
    if anchor is not None:
        assert write_anchor(anchor).hex() == case["anchor"]


@by_name("anchored")
def test_statements_held_against_anchors(case: dict[str, Any]) -> None:
    anchor = read_anchor(bytes.fromhex(case["anchor"]), GENESIS)
    raw, history = bytes.fromhex(case["statement"]), bytes.fromhex(case["history"])
    verdict = check(case, lambda: verify_statement(raw, GENESIS, anchor=anchor, history=history))
    if verdict is not None:
        assert verdict.anchor is anchor
    # Without the anchor nearly each of them proves something: it is the anchor that is needed to refuse them.
    if case["name"] not in NEED_THE_ANCHOR:
        assert verify_statement(raw, GENESIS).anchor is None


@by_name("over")
def test_what_is_known_of_epochs_bounds_each_of_them(case: dict[str, Any]) -> None:
    raw, epochs = bytes.fromhex(case["bytes"]), verify_bundle(bytes.fromhex(case["epochs"]), GENESIS)
    verify: dict[str, Callable[[], object]] = {
        "receipt": lambda: verify_receipt(raw, GENESIS, known_epochs=epochs),
        "statement": lambda: verify_statement(raw, GENESIS, epochs),
        "history": lambda: verify_history(raw, GENESIS, epochs=epochs),
    }
    check(case, verify[case["kind"]])


@by_name("forks")
def test_fork_vectors(case: dict[str, Any]) -> None:
    found = check(case, lambda: verify_fork(bytes.fromhex(case["fork"]), GENESIS))
    if found is not None:
        assert fork_evidence(found[1], found[0], ()).hex() == case["fork"]


# --- with a stored chain ---


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Consortium, ChainStore]]:
    consortium, _, store = stored_chain(tmp_path_factory.mktemp("history") / "db", ED25519_SHA256)
    yield consortium, store
    store.close()


def test_any_two_blocks_of_a_chain_are_linked(stored: tuple[Consortium, ChainStore]) -> None:
    consortium, store = stored
    for new in range(1, store.tip.height + 1):
        for old in range(new):
            link = verify_history(store.history_proof(Height(old), Height(new)), consortium.genesis)
            assert (link.old.height, link.new.height) == (old, new)
            assert (link.old.hash, link.new.hash) == tuple(store.block_hash(Height(h)) for h in (old, new))


def test_any_change_of_any_byte_makes_a_history_prove_nothing(stored: tuple[Consortium, ChainStore]) -> None:
    raw = stored[1].history_proof(Height(2), Height(5))
    for position in range(len(raw)):
        wrong = raw[:position] + bytes([raw[position] ^ 1 << position % 8]) + raw[position + 1 :]
        with pytest.raises(HuzhengError):
            verify_history(wrong, stored[0].genesis)
        with pytest.raises(HuzhengError):
            verify_history(raw[:position], stored[0].genesis)


def test_a_proof_has_a_limit_of_its_own_besides_that_of_its_epochs(stored: tuple[Consortium, ChainStore]) -> None:
    proof = history_pb2.HistoryProof.FromString(stored[1].history_proof(Height(2), Height(5)))
    room = MAX_HISTORY_BYTES - proof.ByteSize()
    for size, code in ((room - 4, Code.BAD_PROOF), (room, Code.TOO_LARGE)):
        # One node of a path, with its tag and a length of three bytes.
        proof.inclusion.append(bytes(size))
        with pytest.raises(HuzhengError) as caught:
            verify_history(proof.SerializeToString(deterministic=True), stored[0].genesis)
        assert caught.value.code is code
        proof.inclusion.pop()


@pytest.mark.parametrize(
    ("old", "new", "code"), [(3, 3, "INVALID_REQUEST"), (4, 3, "INVALID_REQUEST"), (3, 99, "NOT_FOUND")]
)
def test_no_history_is_made_of_blocks_that_are_not_there_or_not_in_order(
    stored: tuple[Consortium, ChainStore], old: int, new: int, code: str
) -> None:
    with pytest.raises(HuzhengError) as caught:
        stored[1].history_proof(Height(old), Height(new))
    assert caught.value.code == code


def test_a_receipt_of_stolen_keys_is_refused_under_a_newer_anchor(stored: tuple[Consortium, ChainStore]) -> None:
    """Its certificate is good; that it is not in the anchor's history gives it away."""
    consortium, store = stored
    genesis = consortium.genesis
    fork = consortium.chain()
    fork.add(consortium.transaction([consortium.record(77)], nonce=777))
    other = ChainStore.open(store.path.parent / "fork", genesis)
    other.append(fork.blocks[1], consortium.certificate(fork.blocks[1]))
    place = other.transaction_place(fork.blocks[1].transactions[0].id)
    assert place is not None
    forged = transaction_receipt(genesis, other, place)
    other.close()
    assert verify_receipt(forged, genesis).accepted
    newest = verify_history(store.history_proof(Height(1), Height(5)), genesis).new
    for history in (b"", store.history_proof(Height(1), Height(5)), store.history_proof(Height(2), Height(5))):
        with pytest.raises(HuzhengError) as caught:
            verify_receipt(forged, genesis, newest, history)
        assert caught.value.code is Code.BAD_PROOF
    with pytest.raises(HuzhengError) as caught:
        verify_receipt(forged, genesis, verify_history(store.history_proof(Height(0), Height(1)), genesis).new)
    assert caught.value.code is Code.FORKED


def test_an_anchor_carries_a_verifier_over_a_change_of_the_members(tmp_path: Path) -> None:
    consortium = changeable()
    genesis = consortium.genesis
    chain = consortium.chain()
    changed = chain.add(change_transaction(consortium, add(consortium, 5))).height
    grow_to(chain, changed + genesis.parameters.watermark_window + 2)
    store = stored_in(tmp_path / "db", chain)
    raw, tip = store.statement([Question(OBJECTION, unit_code(1))]), store.tip.height
    history = store.history_proof(Height(2), tip, with_certificates=False)
    early = verify_history(store.history_proof(Height(1), Height(2)), genesis).new
    with pytest.raises(HuzhengError) as caught:
        verify_statement(raw, genesis, anchor=early, history=history)
    assert caught.value.code is Code.EPOCH_UNKNOWN
    epochs = verify_epochs(genesis, store.epoch_proofs(1), early.terms)
    verdict = verify_statement(raw, genesis, epochs, early, history)
    assert (verdict.epoch, verdict.height) == (1, tip)
    # From then on nothing of before is needed.
    anchor = read_anchor(write_anchor(verdict.block), genesis)
    assert anchor == verdict.block
    assert verify_statement(raw, genesis, anchor=anchor).membership.n == 5
    store.close()


def test_an_anchor_with_other_members_is_refused(tmp_path: Path) -> None:
    consortium = changeable()
    chain = consortium.chain()
    changed = chain.add(change_transaction(consortium, add(consortium, 5))).height
    grow_to(chain, changed + consortium.genesis.parameters.watermark_window + 2)
    store = stored_in(tmp_path / "db", chain)
    raw = store.statement([Question(OBJECTION, unit_code(1))])
    epochs = verify_epochs(consortium.genesis, store.epoch_proofs(1))
    sound = history_pb2.Anchor.FromString(write_anchor(verify_statement(raw, consortium.genesis, epochs).block))
    store.close()
    for change in (
        lambda epoch: epoch.replicas.pop(),
        lambda epoch: setattr(epoch.replicas[0], "public_key", bytes(32)),
        lambda epoch: setattr(epoch.replicas[0], "id", 9),
        lambda epoch: setattr(epoch, "epoch", 2),
        lambda epoch: setattr(epoch, "first_height", 99),
    ):
        wrong = history_pb2.Anchor.FromString(sound.SerializeToString())
        change(wrong.epoch)
        with pytest.raises(HuzhengError):
            read_anchor(wrong.SerializeToString(deterministic=True), consortium.genesis)


def test_the_genesis_block_is_an_anchor_that_everyone_has(stored: tuple[Consortium, ChainStore]) -> None:
    genesis = stored[0].genesis
    anchor: SealedBlock = genesis_anchor(genesis)
    assert read_anchor(write_anchor(anchor), genesis) == anchor
    raw = stored[1].statement([Question(OBJECTION, unit_code(1))])
    history = stored[1].history_proof(Height(0), Height(5), with_certificates=False)
    assert verify_statement(raw, genesis, anchor=anchor, history=history).height == 5


def test_the_genesis_block_is_built_only_where_nothing_else_that_is_known_will_do(
    stored: tuple[Consortium, ChainStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a whole state tree, more work than the rest of a verification: a client that has an anchor does not pay for it each time."""
    consortium, store = stored
    whole = store.history_proof(Height(2), Height(5))
    link = verify_history(whole, consortium.genesis)
    short = store.history_proof(Height(2), Height(5), with_certificates=False)

    def build(_: Genesis) -> SealedBlock:
        raise AssertionError("built")

    for module in ("ledger.history", "ledger.anchor"):
        monkeypatch.setattr(f"{module}.genesis_anchor", build)
    assert verify_history(short, consortium.genesis, known=(link.old, link.new)) == link
    assert read_anchor(write_anchor(link.new), consortium.genesis) == link.new

"""The verifier for browsers over stored chains, one of them of three epochs (docs/protocol.md sections 9, 12 and 13)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from huzheng.v1 import statement_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.anchor import read_anchor, write_anchor
from ledger.building import build_record
from ledger.crypto import ED25519_SHA256, Height
from ledger.epoch_proof import verify_epochs
from ledger.genesis import Genesis, Parameters
from ledger.history import verify_history
from ledger.receipt import block_proofs, build_receipt, verify_receipt
from ledger.sealed_block import SealedBlock
from ledger.statement import Question, verify_bundle, verify_statement
from ledger.store import ChainStore, Place
from node.receipts import transaction_receipt
from tests.builders import OBJECTION, Chain, Consortium, objection_fields, unit_code
from tests.chains import stored_chain
from tests.javascript_verifier import ask, code_or, exact, same_keys
from tests.memberships import WINDOW, add, carry_out, rekey
from tests.memberships import stored as stored_in
from tests.vectors.example import write


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Consortium, ChainStore]]:
    consortium, _, store = stored_chain(tmp_path_factory.mktemp("javascript") / "db", ED25519_SHA256)
    yield consortium, store
    store.close()


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Consortium, ChainStore]]:
    """In its third epoch."""
    consortium = Consortium(ED25519_SHA256, parameters=Parameters(watermark_window=WINDOW))
    chain = consortium.chain()
    carry_out(chain, [add(consortium, 5), add(consortium, 6, "police")], [rekey(consortium, 1, "housing", "again")])
    store = stored_in(tmp_path_factory.mktemp("javascript") / "changed", chain)
    yield consortium, store
    store.close()


def asked(store: ChainStore, *questions: tuple[str, str]) -> bytes:
    return store.statement([Question(*question) for question in questions], with_records=True)


def test_statements_about_a_page_of_eight_slots(stored: tuple[Consortium, ChainStore]) -> None:
    consortium, store = stored
    genesis, dice = consortium.genesis, random.Random(13)
    names = [name for name in genesis.catalogue if name.startswith(("property.", "tax."))]
    raws = [
        asked(store, *((dice.choice(names), unit_code(dice.randint(1, 5))) for _ in range(dice.randint(1, 9))))
        for _ in range(60)
    ]
    raws += [damaged(dice.choice(raws), dice) for _ in range(150)]
    said = ask({"ask": "statement", "genesis": genesis.raw.hex(), "bytes": raw.hex()} for raw in raws)
    right = [code_or(lambda raw=raw: verify_statement(raw, genesis).to_dict()) for raw in raws]  # type: ignore[misc]
    assert [same_keys(answer, like) for answer, like in zip(said, right, strict=True)] == right
    assert not any("code" in answer for answer in right[:60])
    assert any(answer["record"] for verdict in right[:60] for answer in verdict["answers"])


def test_a_receipt_says_what_its_record_relies_on() -> None:
    consortium = Consortium(ED25519_SHA256)
    relied = [consortium.record(number) for number in (1, 2)]
    reliance = [
        pb.Reliance(resource=OBJECTION, subject=unit_code(number), record_id=record.id)
        for number, record in enumerate(relied, 1)
    ]
    relying = build_record(
        consortium.genesis, OBJECTION, unit_code(3), 1, b"", objection_fields(3), relies_on=reversed(reliance)
    )
    block = Chain(consortium).add(consortium.transaction([*relied, relying]))
    certificate, transaction = consortium.certificate(block), block.transactions[0]
    proofs = block_proofs(consortium.genesis, block.header, certificate, [transaction.id], block.results)
    raw = build_receipt(consortium.genesis, proofs, 0, pb.Transaction.FromString(transaction.raw), 2)
    (said,) = ask([{"ask": "receipt", "genesis": consortium.genesis.raw.hex(), "bytes": raw.hex()}])
    right = exact(verify_receipt(raw, consortium.genesis).to_dict())
    assert same_keys(said, right) == right
    assert [item["record_id"] for item in said["record"]["relies_on"]] == [record.id.hex() for record in relied]


def damaged(raw: bytes, dice: random.Random) -> bytes:
    """With a bit flipped."""
    at = dice.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ 1 << dice.randrange(8)]) + raw[at + 1 :]


def test_receipts_of_every_transaction(stored: tuple[Consortium, ChainStore]) -> None:
    consortium, store = stored
    places = [Place(Height(height), index) for height, count in ((1, 2), (2, 3), (4, 2)) for index in range(count)]
    raws = [transaction_receipt(consortium.genesis, store, place) for place in places]
    said = ask({"ask": "receipt", "genesis": consortium.genesis.raw.hex(), "bytes": raw.hex()} for raw in raws)
    right = [exact(verify_receipt(raw, consortium.genesis).to_dict()) for raw in raws]
    assert [same_keys(answer, like) for answer, like in zip(said, right, strict=True)] == right


def test_any_two_blocks_of_a_chain_are_linked(changed: tuple[Consortium, ChainStore]) -> None:
    consortium, store = changed
    heights = [(old, new) for new in range(1, store.tip.height + 1) for old in range(new)]
    epochs = statement_pb2.EpochBundle(epochs=store.epoch_proofs(2))
    said = ask(
        {
            "ask": "history",
            "genesis": consortium.genesis.raw.hex(),
            "bytes": store.history_proof(Height(old), Height(new)).hex(),
            "options": {"bundle": write(epochs).hex()},
        }
        for old, new in heights
    )
    assert [(link["old"]["height"], link["new"]["height"]) for link in said] == heights
    assert [link["old"]["block_hash"] for link in said] == [store.block_hash(Height(old)).hex() for old, _ in heights]
    assert {link["new"]["epoch"] for link in said} == {0, 1, 2}


def test_receipts_held_against_anchors(changed: tuple[Consortium, ChainStore]) -> None:
    """Each against each, the history with certificates and without, or left out."""
    consortium, store = changed
    genesis, tip = consortium.genesis, store.tip.height
    known = verify_epochs(genesis, store.epoch_proofs(2))
    blocks = {tip: verify_history(store.history_proof(Height(0), tip), genesis, epochs=known).new}
    blocks |= {
        height: verify_history(store.history_proof(height, tip), genesis, epochs=known).old
        for height in map(Height, range(tip))
    }
    heights = [height for height, block in blocks.items() if block.header.transaction_count]
    assert {blocks[height].terms.epoch for height in heights} == {0, 1, 2}
    tries: list[tuple[bytes, SealedBlock, bytes]] = []
    for height in heights:
        receipt = transaction_receipt(genesis, store, Place(height, 0))
        for other in sorted(blocks):
            old, new = sorted((height, other))
            ways: tuple[bool, ...] = (True, False) if old < new else ()
            links = [store.history_proof(old, new, with_certificates=way) for way in ways]
            tries += [(receipt, blocks[other], link) for link in (*links, b"")]
    said = ask(
        {
            "ask": "receipt",
            "genesis": genesis.raw.hex(),
            "bytes": receipt.hex(),
            "options": {"anchor": write_anchor(anchor).hex(), "history": link.hex()},
        }
        for receipt, anchor, link in tries
    )
    right = [code_or(lambda given=given: against(genesis, *given)) for given in tries]  # type: ignore[misc]
    assert [same_keys(answer, like) for answer, like in zip(said, right, strict=True)] == right
    assert {answer.get("code") for answer in said} == {None, "BAD_PROOF"}


def against(genesis: Genesis, receipt: bytes, anchor: SealedBlock, link: bytes) -> dict[str, Any]:
    return verify_receipt(receipt, genesis, anchor, link).to_dict()


def test_a_statement_of_a_later_epoch(changed: tuple[Consortium, ChainStore]) -> None:
    """With its epochs in it, apart, by an anchor, or not at all."""
    consortium, store = changed
    genesis, tip = consortium.genesis, store.tip.height
    bare = asked(store, (OBJECTION, unit_code(1)))
    proofs = store.epoch_proofs(2)
    whole = statement_pb2.Statement.FromString(bare)
    whole.epochs.extend(proofs)
    apart = write(statement_pb2.EpochBundle(epochs=proofs))
    newer = verify_history(store.history_proof(Height(1), tip), genesis, epochs=verify_bundle(apart, genesis)).new
    older = verify_history(store.history_proof(Height(tip - 1), tip), genesis, epochs=verify_bundle(apart, genesis)).old
    link = store.history_proof(Height(tip - 1), tip, with_certificates=False)
    assert (newer.terms.epoch, older.terms.epoch) == (2, 1)
    old_anchor, new_anchor = write_anchor(older).hex(), write_anchor(newer).hex()
    rest = write(statement_pb2.EpochBundle(epochs=proofs[1:])).hex()
    tries: list[tuple[str | None, bytes, dict[str, str]]] = [
        (None, write(whole), {}),
        (None, bare, {"bundle": apart.hex()}),
        (None, bare, {"anchor": new_anchor}),
        (None, bare, {"anchor": old_anchor, "history": link.hex(), "bundle": rest}),
        ("BAD_PROOF", bare, {"anchor": old_anchor, "bundle": rest}),
        ("EPOCH_UNKNOWN", bare, {"anchor": old_anchor, "history": link.hex()}),
        ("EPOCH_UNKNOWN", bare, {"bundle": rest}),
        ("EPOCH_UNKNOWN", bare, {}),
    ]
    said = ask(
        {"ask": "statement", "genesis": genesis.raw.hex(), "bytes": raw.hex(), "options": options}
        for _, raw, options in tries
    )
    assert [answer.get("code") for answer in said] == [code for code, _, _ in tries]
    against = read_anchor(write_anchor(older), genesis)
    later = verify_epochs(genesis, proofs[1:], against.terms)
    right = verify_statement(bare, genesis, later, against, link).to_dict()
    assert same_keys(said[3], right) == exact(right)
    assert [verdict["epoch"] for verdict in said[:4]] == [2] * 4
    assert [answer["version"] for answer in said[0]["answers"]] == [1]

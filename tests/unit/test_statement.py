"""Statements: what they answer, what they hide, and that nothing false is ever proved (docs/protocol.md section 12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from huzheng.v1 import block_pb2, state_pb2, statement_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.crypto import ED25519_SHA256, Height
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.state.proof import Walk
from ledger.statement import Answer, Question, StatementVerdict, verify_bundle, verify_statement
from ledger.store import ChainStore
from tests.builders import OBJECTION, Consortium, unit_code
from tests.chains import stored_chain
from tests.memberships import add, change_transaction, changeable, grow_to, store_up_to
from tests.memberships import stored as stored_in
from tests.vectors import load

PROPERTY = (
    "property.advance_notice",
    "property.mortgage",
    OBJECTION,
    "property.owner",
    "property.ownership",
    "property.secured_debt",
    "property.seizure",
)
"""A register with seven resources, whose page has thus eight slots."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Consortium, ChainStore]]:
    consortium, _, store = stored_chain(tmp_path_factory.mktemp("statements") / "db", ED25519_SHA256)
    yield consortium, store
    store.close()


def ask(stored: tuple[Consortium, ChainStore], *questions: tuple[str, str]) -> bytes:
    """A statement as of the last block."""
    return stored[1].statement([Question(*question) for question in questions])


def test_a_statement_answers_what_was_asked(stored: tuple[Consortium, ChainStore]) -> None:
    consortium, store = stored
    questions = [(name, unit_code(2)) for name in PROPERTY] + [
        (OBJECTION, unit_code(1)),
        ("tax.deed_tax", unit_code(2)),
    ]
    verdict = verify_statement(ask(stored, *questions), consortium.genesis)
    assert (verdict.height, verdict.block_hash, verdict.time_ms) == (5, store.tip.block_hash, store.tip.time_ms)
    assert (verdict.chain_id, verdict.sealed_by) == (consortium.genesis.chain_id, (1, 2, 3))
    revoking = consortium.record(1, 2, consortium.record(1).id, revoke=True)
    expected = {Question(*question): Answer(Question(*question), 0, b"", False) for question in questions}
    for question, version, record, is_in_force in (
        (Question(OBJECTION, unit_code(2)), 1, consortium.record(2), True),
        (Question(OBJECTION, unit_code(1)), 2, revoking, False),
    ):
        expected[question] = Answer(question, version, record.id, is_in_force)
    assert verdict.answers == expected


def test_about_a_subject_of_which_nothing_is_known_it_answers_for_the_whole_page(
    stored: tuple[Consortium, ChainStore],
) -> None:
    verdict = verify_statement(ask(stored, (OBJECTION, unit_code(999))), stored[0].genesis)
    assert {question.resource for question in verdict.answers} == set(PROPERTY)
    assert not any(answer.version for answer in verdict.answers.values())


@pytest.mark.parametrize(
    "change",
    [
        lambda code: code + " ",
        lambda code: " " + code,
        str.lower,
        lambda code: code.replace("1", "１"),
        lambda code: code.replace("G", "Ԍ"),
        lambda code: code + "\u200b",
        lambda code: code[:-1],
        lambda _: "",
    ],
    ids=["blank after", "blank before", "small", "wide digits", "other script", "invisible", "cut off", "empty"],
)
def test_that_there_is_nothing_about_what_only_looks_like_a_subject_proves_nothing(
    stored: tuple[Consortium, ChainStore], change: Callable[[str], str]
) -> None:
    """It is true and sealed. Whoever is shown it might not see that it is about something else."""
    assert verify_statement(ask(stored, (OBJECTION, unit_code(2))), stored[0].genesis).answers
    raw = ask(stored, (OBJECTION, change(unit_code(2))))
    assert refusal(lambda: verify_statement(raw, stored[0].genesis)) is Code.BAD_SUBJECT
    among = ask(stored, (OBJECTION, unit_code(2)), (OBJECTION, change(unit_code(2))))
    assert refusal(lambda: verify_statement(among, stored[0].genesis)) is Code.BAD_SUBJECT


def test_what_was_not_asked_for_is_not_shown(stored: tuple[Consortium, ChainStore]) -> None:
    """Nor is it told whether there is anything, though the one other head's record id be known."""
    raw = ask(stored, ("property.seizure", unit_code(2)))
    verdict = verify_statement(raw, stored[0].genesis)
    assert [question.resource for question in verdict.answers] == ["property.seizure"]
    assert stored[0].record(2).id not in raw
    [leaf] = statement_pb2.Statement.FromString(raw).leaves
    hidden = [group.hash for group in leaf.groups if group.hash]
    hidden += [slot.hash for group in leaf.groups for slot in group.slots if slot.hash]
    assert [len(item) for item in hidden] == [32] * 4
    head = state_pb2.Head(
        version=1, record_id=stored[0].record(2).id, action=pb.RECORD_ACTION_ASSERT
    ).SerializeToString(deterministic=True)
    guesses = {ED25519_SHA256.plain_hash(start + bytes(16) + rest) for start, rest in ((b"\4", b""), (b"\5", head))}
    assert guesses.isdisjoint(hidden)


def test_the_same_subject_s_hashes_are_others_after_each_change() -> None:
    consortium = Consortium()
    chain, seen = consortium.chain(), set[bytes]()
    replaces = b""
    for version in range(1, 6):
        record = consortium.record(1, version, replaces)
        block = chain.add(consortium.transaction([record], nonce=version))
        replaces = record.id
        [seed] = [state_pb2.Heads.FromString(v).seed for k, v in block.changes.items() if k[:1] == b"h" and v]
        seen.add(seed)
    assert len(seen) == 5


def refusal(verify: Callable[[], StatementVerdict]) -> Code | None:
    """Why a statement proves nothing; None if it proves something."""
    try:
        verify()
    except HuzhengError as error:
        assert error.code in REASONS
        return error.code
    return None


REASONS = {
    Code.TOO_LARGE,
    Code.NOT_STRICT,
    Code.WRONG_CHAIN,
    Code.PROTOCOL_UNKNOWN,
    Code.EPOCH_UNKNOWN,
    Code.BAD_CERTIFICATE,
    Code.BAD_PROOF,
    Code.BAD_SUBJECT,
}


def test_any_change_of_any_byte_makes_it_prove_nothing(stored: tuple[Consortium, ChainStore]) -> None:
    genesis = stored[0].genesis
    raw = ask(stored, ("property.seizure", unit_code(2)), (OBJECTION, unit_code(2)), ("tax.deed_tax", unit_code(2)))
    flipped = [
        raw[:position] + bytes([raw[position] ^ 1 << position % 8]) + raw[position + 1 :]
        for position in range(len(raw))
    ]
    for wrong in [*flipped, raw + b"\0", raw + raw, raw + b"\x1a\x00", b""]:
        assert refusal(partial(verify_statement, wrong, genesis)) is not None
    assert refusal(partial(verify_statement, raw, genesis)) is None


def test_one_that_is_cut_off_answers_less_or_nothing(stored: tuple[Consortium, ChainStore]) -> None:
    """Each leaf is proved by itself. Whoever needs an answer has to look for it."""
    genesis = stored[0].genesis
    raw = ask(stored, (OBJECTION, unit_code(2)), (OBJECTION, unit_code(3)))
    whole = verify_statement(raw, genesis).answers
    answered = []
    for length in range(len(raw)):
        try:
            answered.append(verify_statement(raw[:length], genesis).answers)
        except HuzhengError as error:
            assert error.code in REASONS
    assert answered == [{Question(OBJECTION, unit_code(2)): whole[Question(OBJECTION, unit_code(2))]}]


def test_what_another_slot_subject_or_register_has_is_no_answer(stored: tuple[Consortium, ChainStore]) -> None:
    """Parts of sound statements put together otherwise."""
    genesis = stored[0].genesis
    raw = ask(stored, *((name, unit_code(2)) for name in PROPERTY))
    other = statement_pb2.Statement.FromString(ask(stored, (OBJECTION, unit_code(3))))
    absent = statement_pb2.Statement.FromString(ask(stored, (OBJECTION, unit_code(99))))

    def with_leaf(change: Callable[[statement_pb2.LeafProof], object]) -> bytes:
        statement = statement_pb2.Statement.FromString(raw)
        change(statement.leaves[0])
        return statement.SerializeToString(deterministic=True)

    def swap(leaf: statement_pb2.LeafProof) -> None:
        first, third = leaf.groups[0].slots[0].SerializeToString(), leaf.groups[0].slots[2].SerializeToString()
        leaf.groups[0].slots[0].ParseFromString(third)
        leaf.groups[0].slots[2].ParseFromString(first)

    def replace(leaf: statement_pb2.LeafProof, by: statement_pb2.LeafProof) -> None:
        del leaf.groups[:]
        leaf.groups.extend(by.groups)
        leaf.path.CopyFrom(by.path)

    cases: dict[str, Callable[[statement_pb2.LeafProof], object]] = {
        "another subject": lambda leaf: setattr(leaf, "subject", unit_code(3)),
        "another register": lambda leaf: setattr(leaf, "register", "tax"),
        "no register": lambda leaf: setattr(leaf, "register", "nothing"),
        "another page": lambda leaf: setattr(leaf, "page", 1),
        "a page beyond a byte": lambda leaf: setattr(leaf, "page", 256),
        "slots changed over": swap,
        "a head taken out": lambda leaf: leaf.groups[0].slots[2].ClearField("head"),
        "a blind taken out": lambda leaf: leaf.groups[0].slots[0].ClearField("blind"),
        "a head put in": lambda leaf: (
            leaf.groups[0].slots[0].MergeFrom(statement_pb2.SlotProof(head=leaf.groups[0].slots[2].head))
        ),
        "both shown and hidden": lambda leaf: setattr(leaf.groups[0].slots[0], "hash", bytes(32)),
        "a group both shown and hidden": lambda leaf: setattr(leaf.groups[0], "hash", bytes(32)),
        "a slot less": lambda leaf: leaf.groups[0].slots.pop(),
        "a group less": lambda leaf: leaf.groups.pop(),
        "a group more": lambda leaf: leaf.groups.add(hash=bytes(32)),
        "no groups": lambda leaf: leaf.ClearField("groups"),
        "another's path": lambda leaf: leaf.path.CopyFrom(other.leaves[0].path),
        "another's leaf": lambda leaf: replace(leaf, other.leaves[0]),
        "the absence of another": lambda leaf: replace(leaf, absent.leaves[0]),
    }
    for name, change in cases.items():
        assert refusal(partial(verify_statement, with_leaf(change), genesis)) is Code.BAD_PROOF, name


def test_leaves_are_in_order_and_not_too_many(stored: tuple[Consortium, ChainStore]) -> None:
    genesis = stored[0].genesis
    two = statement_pb2.Statement.FromString(ask(stored, (OBJECTION, unit_code(2)), (OBJECTION, unit_code(3))))
    first, second = two.leaves

    def of(*leaves: statement_pb2.LeafProof) -> bytes:
        return statement_pb2.Statement(header=two.header, certificate=two.certificate, leaves=leaves).SerializeToString(
            deterministic=True
        )

    assert refusal(lambda: verify_statement(of(first, second), genesis)) is None
    for leaves in ((second, first), (first, first), ()):
        assert refusal(partial(verify_statement, of(*leaves), genesis)) is Code.BAD_PROOF
    with pytest.raises(HuzhengError) as caught:
        ask(stored, *((OBJECTION, unit_code(number)) for number in range(33)))
    assert caught.value.code is Code.TOO_LARGE
    with pytest.raises(HuzhengError) as caught:
        ask(stored, ("property.nothing", unit_code(1)))
    assert caught.value.code is Code.UNKNOWN_RESOURCE


VECTORS, ENTRIES = load("statements.json"), load("statement_entries.json")


@pytest.mark.parametrize("case", [*VECTORS["cases"], *ENTRIES["cases"]], ids=lambda case: case["name"])
def test_statement_vectors(case: dict[str, Any]) -> None:
    genesis, raw = Genesis.read(bytes.fromhex(VECTORS["genesis"])), bytes.fromhex(case["statement"])
    if case["code"] is not None:
        with pytest.raises(HuzhengError) as caught:
            verify_statement(raw, genesis)
        assert caught.value.code == case["code"]
        return
    verdict = verify_statement(raw, genesis)
    assert [
        {"resource": q.resource, "subject": q.subject, "version": a.version, "in_force": a.is_in_force}
        | ({} if a.record is None else {"fields": a.record.values})
        for q, a in verdict.answers.items()
    ] == case["answers"]
    assert verdict.to_dict()["entries"] == case.get("entries", [])


@pytest.mark.parametrize(("times", "height"), [(1, 71), (9, None)])
def test_a_block_that_ceases_to_be_kept_meanwhile_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, height: int | None
) -> None:
    """Blocks go on while a statement is made: then it is made of a newer one, and where that is so again and again, not now."""
    consortium = Consortium()
    chain = consortium.chain()
    grow_to(chain, 1 + 70 * times)
    store = ChainStore.open(tmp_path / "db", consortium.genesis)
    store_up_to(store, chain, 1)
    walk, calls = store._tree.walk, list[int]()

    def slow_walk(path: bytes, at: Height) -> Walk:
        calls.append(at)
        if len(calls) <= times:
            store_up_to(store, chain, at + 70)
        return walk(path, at)

    monkeypatch.setattr(store._tree, "walk", slow_walk)
    if height is None:
        with pytest.raises(HuzhengError) as caught:
            store.statement([Question(OBJECTION, unit_code(1))])
        assert caught.value.code is Code.NOT_READY
    else:
        raw = store.statement([Question(OBJECTION, unit_code(1))])
        assert verify_statement(raw, consortium.genesis).height == height
    store.close()


def test_before_the_first_block_there_is_no_statement(tmp_path: Path) -> None:
    consortium = Consortium()
    store = ChainStore.open(tmp_path / "db", consortium.genesis)
    with pytest.raises(HuzhengError) as caught:
        store.statement([Question(OBJECTION, unit_code(1))])
    assert caught.value.code is Code.NOT_READY
    store.close()


def test_a_statement_of_a_later_epoch_needs_how_it_came_about(tmp_path: Path) -> None:
    consortium = changeable()
    chain = consortium.chain()
    changed = chain.add(change_transaction(consortium, add(consortium, 5))).height
    grow_to(chain, changed + consortium.genesis.parameters.watermark_window + 2)
    store = stored_in(tmp_path / "db", chain)
    raw = store.statement([Question(OBJECTION, unit_code(1))])
    assert block_pb2.BlockHeader.FromString(store.header(store.tip.height)).epoch == 1
    assert refusal(lambda: verify_statement(raw, consortium.genesis)) is Code.EPOCH_UNKNOWN
    bundle = statement_pb2.EpochBundle(epochs=store.epoch_proofs(1)).SerializeToString(deterministic=True)
    epochs = verify_bundle(bundle, consortium.genesis)
    verdict = verify_statement(raw, consortium.genesis, epochs)
    assert (verdict.membership.epoch, verdict.membership.n, verdict.height) == (1, 5, Height(len(chain.blocks) - 1))
    for position in range(len(bundle)):
        wrong = bundle[:position] + bytes([bundle[position] ^ 1 << position % 8]) + bundle[position + 1 :]
        with pytest.raises(HuzhengError):
            verify_statement(raw, consortium.genesis, verify_bundle(wrong, consortium.genesis))
    store.close()

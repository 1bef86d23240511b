"""The verifier for browsers says what the Python one says: of all vectors, and of what comes of changing them (docs/protocol.md)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from huzheng.v1 import block_pb2, statement_pb2

from ledger.anchor import read_anchor
from ledger.execution import genesis_block
from ledger.genesis import Genesis
from ledger.history import verify_fork, verify_history
from ledger.receipt import verify_receipt
from ledger.sealed_block import SealedBlock
from ledger.state_entry import read_entry
from ledger.statement import verify_bundle, verify_statement
from tests.fuzzing.targets import TARGETS, inputs
from tests.javascript_verifier import Cases, ask, code_or, disagreements, same_keys
from tests.vectors import example, load

GENESIS = Genesis.read(example.GENESIS)
EXAMPLE = example.GENESIS.hex()
RECEIPTS = [*load("receipts.json")["cases"], *load("membership.json")["receipts"]]
STATEMENTS = [*load("statements.json")["cases"], *load("statement_entries.json")["cases"]]
HISTORY = load("history.json")

# --- the vectors ---


def test_all_vectors_are_of_the_one_genesis() -> None:
    named = ("receipts.json", "membership.json", "statements.json", "statement_entries.json", "history.json")
    assert {load(name)["genesis"] for name in named} == {EXAMPLE}


def test_genesis_files_that_are_valid_are_read_and_make_the_same_first_block() -> None:
    cases = [case for case in load("genesis.json")["cases"] if case["code"] is None]
    questions = [{"ask": "genesis", "bytes": case["genesis"]} for case in cases]
    expected = [{"chain_id": case["chain_id"], "header": case["header"]} for case in cases]
    assert not disagreements(cases, questions, expected)
    assert genesis_block(GENESIS).header.hex() == ask([{"ask": "genesis", "bytes": EXAMPLE}])[0]["header"]


FOUNDATIONS = (
    "suite unset",
    "suite unknown",
    "suite of simulations",
    "protocol version unset",
    "time after the year 9999",
    "parameters unset",
    "departments out of order",
    "department twice",
    "no replicas",
    "replica zero",
    "replicas out of order",
    "replica twice",
    "replica's key of small order",
    "replica without key",
    "resources out of order",
    "resource twice",
    "resource with a bad pattern",
    "empty file",
)
"""What is wrong with genesis files in which the verifier for browsers sees it too. The rest it takes on trust."""


def test_genesis_files_on_which_nothing_can_stand_are_refused() -> None:
    cases = [
        case
        for case in load("genesis.json")["cases"]
        if case["name"] in FOUNDATIONS or case["name"].startswith("not in strict form")
    ]
    assert len(cases) >= len(FOUNDATIONS) + 5
    questions = [{"ask": "genesis", "bytes": case["genesis"]} for case in cases]
    assert not disagreements(cases, questions, [{"code": case["code"]} for case in cases])


def test_a_register_has_at_most_4096_resources() -> None:
    message = example.genesis_message()
    subject = example.resources()[0].subject
    del message.catalogue[:]
    raws = []
    for number in range(4097):
        resource = message.catalogue.add(name=f"demo.r{number:04}", department="alpha")
        resource.subject.CopyFrom(subject)
        raws.append(example.write(message).hex() if number >= 4095 else "")
    said = ask({"ask": "genesis", "bytes": raw} for raw in reversed(raws[4095:]))
    assert [answer.get("code") for answer in said] == ["BAD_GENESIS", None]


def test_a_genesis_of_another_chain_id_than_the_reader_knows_is_refused() -> None:
    right = GENESIS.chain_id.hex()
    wrong = right[:-1] + ("0" if right[-1] != "0" else "1")
    said = ask({"ask": "genesis", "bytes": EXAMPLE, "chain_id": given} for given in (right, right.upper(), wrong, ""))
    assert [answer.get("code") for answer in said] == [None, None, "WRONG_CHAIN", "WRONG_CHAIN"]


def place(block: SealedBlock) -> dict[str, Any]:
    return {"height": block.height, "block_hash": block.hash.hex()}


def receipt(raw: bytes) -> dict[str, Any]:
    return verify_receipt(raw, GENESIS).to_dict()


def statement(raw: bytes) -> dict[str, Any]:
    return verify_statement(raw, GENESIS).to_dict()


def history(raw: bytes) -> dict[str, Any]:
    link = verify_history(raw, GENESIS)
    return {"old": place(link.old), "new": place(link.new)}


def fork(raw: bytes) -> dict[str, Any]:
    return {"blocks": [place(block) for block in verify_fork(raw, GENESIS)]}


def anchor(raw: bytes) -> dict[str, Any]:
    block = read_anchor(raw, GENESIS)
    return {"block_hash": block.hash.hex(), "epoch": str(block.terms.epoch)}


READERS: dict[str, Callable[[bytes], dict[str, Any]]] = {
    "receipt": receipt,
    "statement": statement,
    "history": history,
    "fork": fork,
    "anchor": anchor,
}


def shown(kind: str, said: Any) -> Any:
    """A verdict of the verifier for browsers, of blocks no more than where they are."""
    if "code" in said:
        return said
    if kind == "history":
        return {name: {key: said[name][key] for key in ("height", "block_hash")} for name in ("old", "new")}
    if kind == "fork":
        return {"blocks": [{key: block[key] for key in ("height", "block_hash")} for block in said["blocks"]]}
    return said


def compare(kind: str, raws: Sequence[bytes]) -> Counter[str]:
    """How often each code was said, and "valid"; all of it by both.

    Raises:
        AssertionError: they differ about one of them.
    """
    said = ask({"ask": kind, "genesis": EXAMPLE, "bytes": raw.hex()} for raw in raws)
    counted = Counter[str]()
    for raw, answer in zip(raws, said, strict=True):
        right = code_or(lambda raw=raw: READERS[kind](raw))  # type: ignore[misc]
        assert same_keys(shown(kind, answer), right) == right, raw.hex()
        counted[right.get("code", "valid")] += 1
    return counted


@pytest.mark.parametrize(
    ("kind", "field", "cases"),
    [
        ("receipt", "receipt", RECEIPTS),
        ("statement", "statement", STATEMENTS),
        ("history", "proof", HISTORY["proofs"]),
        ("fork", "fork", HISTORY["forks"]),
        ("anchor", "anchor", HISTORY["anchors"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_proofs(kind: str, field: str, cases: Cases) -> None:
    said = ask({"ask": kind, "genesis": EXAMPLE, "bytes": case[field]} for case in cases)
    assert [answer.get("code") for answer in said] == [case["code"] for case in cases]
    compare(kind, [bytes.fromhex(case[field]) for case in cases])


def test_receipts_prove_what_the_vectors_say() -> None:
    cases = [case for case in load("receipts.json")["cases"] if case["code"] is None]
    for case, said in zip(cases, ask_receipts(cases), strict=True):
        verdict = case["verdict"]
        assert (said["sealed_by"], said["index"]) == (case["sealed_by"], verdict["index"])
        assert said["refusal"] == (None if verdict["code"] == "ACCEPTED" else verdict["code"])
        same = ("height", "time_ms", "block_hash", "transaction_id", "department")
        assert [said[name] for name in same] == [verdict[name] for name in same]
        assert (said["record"] or {}).get("fields") == (verdict["record"] or {}).get("values")


def ask_receipts(cases: Cases) -> list[Any]:
    return ask({"ask": "receipt", "genesis": EXAMPLE, "bytes": case["receipt"]} for case in cases)


def test_statements_answer_what_the_vectors_say() -> None:
    cases = [case for case in STATEMENTS if case["code"] is None]
    said = ask({"ask": "statement", "genesis": EXAMPLE, "bytes": case["statement"]} for case in cases)
    for case, verdict in zip(cases, said, strict=True):
        found = [
            {name: answer[name] for name in ("resource", "subject", "version", "in_force")}
            | ({"fields": answer["record"]["fields"]} if answer["record"] else {})
            for answer in verdict["answers"]
        ]
        assert found == sorted(case["answers"], key=lambda answer: (answer["resource"], answer["subject"]))


def test_statements_held_against_anchors() -> None:
    cases = HISTORY["anchored"]
    said = ask(
        {
            "ask": "statement",
            "genesis": EXAMPLE,
            "bytes": case["statement"],
            "options": {"anchor": case["anchor"], "history": case["history"]},
        }
        for case in cases
    )
    assert [answer.get("code") for answer in said] == [case["code"] for case in cases]
    for case, answer in zip(cases, said, strict=True):
        if case["code"] is None:
            against = read_anchor(bytes.fromhex(case["anchor"]), GENESIS)
            raw, link = bytes.fromhex(case["statement"]), bytes.fromhex(case["history"])
            right = verify_statement(raw, GENESIS, anchor=against, history=link).to_dict()
            assert same_keys(answer, right) == right


def test_what_is_known_of_epochs_bounds_each_of_them() -> None:
    cases = HISTORY["over"]
    said = ask(
        {"ask": case["kind"], "genesis": EXAMPLE, "bytes": case["bytes"], "options": {"bundle": case["epochs"]}}
        for case in cases
    )
    assert [answer.get("code") for answer in said] == [case["code"] for case in cases]


def test_proofs_of_an_unknown_kind_are_told_apart() -> None:
    chosen = {
        "receipt": RECEIPTS[0]["receipt"],
        "statement": STATEMENTS[0]["statement"],
        "history": HISTORY["proofs"][0]["proof"],
        "fork": HISTORY["forks"][0]["fork"],
    }
    said = ask({"ask": "proof", "genesis": EXAMPLE, "bytes": raw} for raw in chosen.values())
    assert [verdict["kind"] for verdict in said] == list(chosen)
    refused = ask(
        {"ask": "proof", "genesis": EXAMPLE, "bytes": raw} for raw in ("", "00", HISTORY["anchors"][0]["anchor"])
    )
    assert refused == [{"code": "NOT_STRICT"}] * 3


# --- what is changed ---


@pytest.mark.parametrize("kind", READERS)
def test_of_changed_proofs_both_say_the_same(kind: str) -> None:
    """Those of the fuzzer, which are sealed anew after most changes, and so get far."""
    counted = compare(kind, [raw for raw in inputs(TARGETS[kind], seed=2, count=1_200) if len(raw) < 50_000])
    assert counted["valid"] > 10
    assert len(counted) >= 6


@pytest.mark.parametrize("kind", READERS)
def test_of_damaged_proofs_both_say_the_same(kind: str) -> None:
    dice = random.Random(7)
    sound = [raw for raw in TARGETS[kind].seeds.sound if raw]
    counted = compare(kind, [damaged(dice.choice(sound), dice) for _ in range(300)])
    assert counted["NOT_STRICT"] > 20
    assert counted["BAD_CERTIFICATE"] > 20


def damaged(raw: bytes, dice: random.Random) -> bytes:
    """With a bit flipped, cut short, or longer."""
    at = dice.randrange(len(raw))
    ways = (
        raw[:at] + bytes([raw[at] ^ 1 << dice.randrange(8)]) + raw[at + 1 :],
        raw[:at] + bytes([raw[at] ^ 1 << dice.randrange(8)]) + raw[at + 1 :],
        raw[:at],
        raw + dice.randbytes(dice.randint(1, 40)),
        raw[:at] + raw[at + dice.randint(1, 40) :],
        raw[:at] + dice.randbytes(dice.randint(1, 40)) + raw[at:],
    )
    return dice.choice(ways)


def epoch_bundle() -> bytes:
    [sound] = [case for case in load("membership.json")["receipts"] if case["epoch"] == 1]
    proofs = block_pb2.Receipt.FromString(bytes.fromhex(sound["receipt"])).epochs
    return statement_pb2.EpochBundle(epochs=proofs).SerializeToString(deterministic=True)


def test_epochs_that_come_apart() -> None:
    dice = random.Random(9)
    sound = epoch_bundle()
    bundles = [sound, b"", *(damaged(sound, dice) for _ in range(200))]
    raw = STATEMENTS[0]["statement"]
    said = ask(
        {"ask": "statement", "genesis": EXAMPLE, "bytes": raw, "options": {"bundle": bundle.hex()}}
        for bundle in bundles
    )

    def right(bundle: bytes) -> dict[str, Any]:
        return verify_statement(bytes.fromhex(raw), GENESIS, verify_bundle(bundle, GENESIS)).to_dict()

    expected = [code_or(lambda bundle=bundle: right(bundle)) for bundle in bundles]  # type: ignore[misc]
    assert [same_keys(answer, like) for answer, like in zip(said, expected, strict=True)] == expected
    assert len({str(answer.get("code")) for answer in expected}) > 4


# --- limits ---


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("unit", ["", "00", "ff", "80", "0a00", "1a00", "2200", "3a00", "5200", "2a00", "0b", "0a01"])
def test_of_bytes_without_sense_it_soon_says_what_python_says(kind: str, unit: str) -> None:
    """Millions of empty elements among them. One that takes much longer than it should runs into the time limit of tests."""
    limit = GENESIS.parameters.max_transaction_bytes + 2**16 + 4 * 2**20
    counts = [0, 1, 1_000, limit // max(1, len(unit) // 2), limit + 1]
    said = ask({"ask": "filled", "of": kind, "genesis": EXAMPLE, "unit": unit, "count": count} for count in counts)
    right = [code_or(lambda n=count: READERS[kind](bytes.fromhex(unit) * n)) for count in counts]  # type: ignore[misc]
    assert said == right


@pytest.mark.parametrize(
    "reader", ["verifyProof", "verifyReceipt", "verifyStatement", "verifyHistory", "verifyFork", "readAnchor"]
)
def test_what_is_no_bytes_at_all_is_refused_in_good_order(reader: str) -> None:
    values: list[Any] = [None, "", "0a", 7, {}, [], [1, 2], {"length": 3}, True]
    said = ask({"ask": "misused", "of": reader, "genesis": EXAMPLE, "value": value} for value in values)
    assert said == [{"code": "NOT_STRICT"}] * len(values)


# --- for people ---


def test_a_statement_that_is_older_than_its_reader_allows_is_refused() -> None:
    raw = STATEMENTS[0]["statement"]
    time_ms = verify_statement(bytes.fromhex(raw), GENESIS).time_ms
    ages = [(time_ms + 5_000, 5_000), (time_ms + 5_001, 5_000), (time_ms - 60_000, 5_000), (time_ms + 10**12, None)]
    said = ask(
        {
            "ask": "statement",
            "genesis": EXAMPLE,
            "bytes": raw,
            "options": {"nowMs": now_ms} | ({} if max_age_ms is None else {"maxAgeMs": max_age_ms}),
        }
        for now_ms, max_age_ms in ages
    )
    assert [answer.get("age_ms") for answer in said] == [5_000, None, -60_000, 10**12]
    assert said[1] == {"code": "STALE"}


def test_contents_that_are_not_there_are_told_in_both_languages() -> None:
    receipts = [case["receipt"] for case in RECEIPTS if case["name"] == "accepted record whose payload is not there"]
    names = ("with what the record says", "with a record whose payload is not there")
    statements = [case["statement"] for name in names for case in STATEMENTS if case["name"] == name]
    said = ask({"ask": "described", "genesis": EXAMPLE, "bytes": raw} for raw in receipts + statements)
    assert [("not shown" in english, "未出示" in chinese) for english, chinese in said] == [
        (True, True),
        (False, False),
        (True, True),
    ]


def test_what_an_entry_is_both_say_alike() -> None:
    keys = {entry["key"]: entry["value"] for case in STATEMENTS for entry in case.get("entries", [])}
    odd = ["67", "61", "6162", "61ff0041", "78616c706861", "78616c70686100" + "00" * 31, "72" + "00" * 33, ""]
    keys |= dict.fromkeys(odd) | {"67" + "11" * 32: "ff", "61610062": "0801"}
    said = ask({"ask": "entry", "key": key, "value": value} for key, value in keys.items())
    kinds = Counter[str]()
    for (key, value), answer in zip(keys.items(), said, strict=True):
        like = read_entry(bytes.fromhex(key), None if value is None else bytes.fromhex(value))
        kinds[answer["kind"]] += 1
        if answer["kind"] == "other":
            assert like.kind not in ("grant", "read", "reads", "erasure"), key
            continue
        assert answer == {"kind": like.kind, "about": like.about, "isThere": like.value is not None}, key
    assert all(kinds[kind] for kind in ("grant", "read", "reads", "erasure", "other"))


def test_entries_are_told_in_both_languages() -> None:
    named = {case["name"]: case["statement"] for case in STATEMENTS}
    names = ["a grant", "a read, the account of its subject, and an erasure", "a read that there never was"]
    names += ["no reads of a subject", "keys, tallies and the pool", "a whole register", "a part of a register"]
    said = ask({"ask": "described", "genesis": EXAMPLE, "bytes": named[name]} for name in names)
    english, chinese = (list(texts) for texts in zip(*said, strict=True))
    expected = [
        ["active; Beta for Deed, confidential fields #2.", "1 of 5 reads", "purpose: 核税 Tax assessment"],
        ["Beta, Deed, AB1234", "shows only what was asked for", "AB1234: 1 reads", "ordered by Alpha"],
        ["there was none"],
        ["Deed, ZZ9999: 0 reads of confidential fields."],
        ["there is none", "Entry 6e616c706861: 00000001.", "The register demo has 5 resources; of 5 of them"],
        ["These are all 1 resources of the register survey."],
        ["The register demo has 5 resources; of 2 of them this says nothing."],
    ]
    for text, parts in zip(english, expected, strict=True):
        assert all(part in text for part in parts), text
    assert "survey 登记簿的全部 1 项资源均在其中。" in chinese[5]
    assert "demo 登记簿有 5 项资源；其中 2 项本证明未涉及。" in chinese[6]
    assert "有效；申请部门beta 部门，Deed，保密字段 #2。" in chinese[0]
    assert not any("undefined" in text or "null" in text for text in english + chinese)


def test_verdicts_are_told_in_both_languages() -> None:
    names = ["record alone in its transaction", "revoking record", "transaction refused", "repeat"]
    raws = [case["receipt"] for name in names for case in RECEIPTS if case["name"] == name]
    raws += [STATEMENTS[0]["statement"], HISTORY["proofs"][0]["proof"], HISTORY["forks"][0]["fork"]]
    said = ask({"ask": "described", "genesis": EXAMPLE, "bytes": raw} for raw in raws)
    english, chinese = (["\n".join(texts[place].splitlines()) for texts in said] for place in (0, 1))
    assert [text.partition(":")[0] for text in english] == [
        "Valid",
        "Valid",
        "Valid, but of a refusal",
        "Valid, but of a refusal",
        "Valid",
        "Valid",
        "The network was broken",
    ]
    assert "another block" in english[3]
    assert "version 2" in english[4]
    assert "never" in english[4]
    assert not any("not shown" in text for text in english)
    assert not any("undefined" in text or "null" in text for text in english + chinese)
    assert all(any("\u4e00" <= character <= "\u9fff" for character in text) for text in chinese)

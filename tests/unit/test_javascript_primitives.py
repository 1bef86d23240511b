"""What the verifier for browsers stands on: signatures, strict form, trees, its tables of messages and texts, printed codes."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable
from functools import partial
from hashlib import sha512
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from huzheng.v1 import (
    block_pb2,
    catalogue_pb2,
    disclosure_pb2,
    genesis_pb2,
    history_pb2,
    membership_pb2,
    sharing_pb2,
    state_pb2,
    statement_pb2,
)
from huzheng.v1 import transaction_pb2 as pb

from ledger.crypto import ED25519_SHA256, Domain
from ledger.crypto.ed25519 import verify_raw
from ledger.errors import TEXTS, Code, HuzhengError
from ledger.merkle import root_from_path
from ledger.registers import assign_slots
from ledger.state.proof import root_from_proof
from tests.javascript_verifier import ask, disagreements
from tests.naive import ed25519 as naive
from tests.naive.ed25519 import L
from tests.vectors import example, load

_MODULES: tuple[Any, ...] = (
    block_pb2,
    catalogue_pb2,
    disclosure_pb2,
    genesis_pb2,
    history_pb2,
    membership_pb2,
    state_pb2,
    sharing_pb2,
    statement_pb2,
    pb,
)
MESSAGES = {name: found for module in _MODULES for name, found in module.DESCRIPTOR.message_types_by_name.items()}
CONSOLE = Path(__file__).resolve().parents[2] / "node/console"
ENGINES = ("own", "none", "credulous")
"""Browsers: as Node.js is, without Ed25519, and with one that agrees to everything."""


def root_or_code(find_root: Callable[[], bytes]) -> Any:
    """As `ask` gives it."""
    try:
        return find_root().hex()
    except HuzhengError as error:
        return {"code": error.code}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("file", ["rfc8032.json", "wycheproof_ed25519.json", "ed25519_speccheck.json"])
def test_signatures(file: str, engine: str) -> None:
    cases = load(file)["cases"]
    questions = [{"ask": "ed25519", "engine": engine, **case} for case in cases]
    assert not disagreements(cases, questions, [case.get("valid", True) for case in cases])


def test_admissible_keys() -> None:
    cases = load("ed25519_keys.json")["cases"]
    questions = [{"ask": "admissible", "key": case["key"]} for case in cases]
    assert not disagreements(cases, questions, [case["admissible"] for case in cases])


def test_strict_form() -> None:
    known = set(ask([{"ask": "schema"}])[0])
    cases = [case for case in load("strict_form.json")["cases"] if case["message"].removeprefix("huzheng.v1.") in known]
    assert len(cases) > 50
    questions = [
        {"ask": "strict", "message": case["message"].removeprefix("huzheng.v1."), "bytes": case["bytes"]}
        for case in cases
    ]
    assert not disagreements(cases, questions, [case["strict"] or {"code": "NOT_STRICT"} for case in cases])


def test_inclusion_proofs() -> None:
    cases = load("merkle_proofs.json")["inclusion"]
    said = ask({"ask": "inclusion", **case} for case in cases)
    assert [root == case["root"] for root, case in zip(said, cases, strict=True)] == [case["valid"] for case in cases]

    def right(case: dict[str, Any]) -> bytes:
        path = [bytes.fromhex(node) for node in case["path"]]
        return root_from_path(ED25519_SHA256, bytes.fromhex(case["leaf"]), case["index"], case["size"], path)

    assert said == [root_or_code(partial(right, case)) for case in cases]


def test_consistency_proofs() -> None:
    cases = load("merkle_proofs.json")["consistency"]
    questions = [{"ask": "consistency", **case} for case in cases]
    assert not disagreements(cases, questions, [case["valid"] or {"code": "BAD_PROOF"} for case in cases])


def test_state_trees_and_their_proofs() -> None:
    vectors = load("state_tree.json")
    trees, cases = vectors["trees"], vectors["proofs"]
    questions = [{"ask": "state_tree", **case} for case in trees]
    assert not disagreements(trees, questions, [case["root"] for case in trees])
    said = ask({"ask": "state_proof", **case} for case in cases)
    assert [root == case["root"] for root, case in zip(said, cases, strict=True)] == [case["valid"] for case in cases]

    def right(case: dict[str, Any]) -> bytes:
        fields = {name: bytes.fromhex(value) for name, value in case["proof"].items() if name != "depth"}
        proof = state_pb2.StateProof(depth=case["proof"]["depth"], **fields)
        digest = None if case["digest"] is None else bytes.fromhex(case["digest"])
        return root_from_proof(ED25519_SHA256, bytes.fromhex(case["path"]), digest, proof)

    assert said == [root_or_code(partial(right, case)) for case in cases]


def test_certificates() -> None:
    vectors = load("certificates.json")
    cases = vectors["cases"]
    block = {name: vectors[name] for name in ("chain_id", "epoch", "height", "block_hash")}
    questions = [
        {
            "ask": "certificate",
            "members": vectors["members"][: case["n"]],
            "certificate": case["certificate"],
            **block,
        }
        for case in cases
    ]
    said = ask(questions)
    refused = {"code": "BAD_CERTIFICATE"}
    assert [answer != refused for answer in said] == [case["valid"] for case in cases]
    assert said[0] == [1, 2, 4]


# --- signatures that only some verifiers accept ---


def torsion() -> naive.Point:
    """A point of order 8."""
    for y in range(2, 1_000):
        point = naive.decode(y.to_bytes(32, "little"))
        if point is not None:
            small = naive.multiply(L, point)
            if naive.multiply(4, small) != naive.NEUTRAL:
                return small
    raise LookupError


def mixed_signatures(count: int) -> Iterable[tuple[bytes, bytes, bytes]]:
    """Of keys and commitments with a part of small order: by the equation with cofactor all are good, by that without some."""
    small, base = torsion(), naive.base_point()
    dice = random.Random(3)
    for number in range(count):
        secret, nonce = dice.randrange(1, L), dice.randrange(1, L)
        public = naive.encode(naive.add(naive.multiply(secret, base), naive.multiply(number % 8, small)))
        commitment = naive.encode(naive.add(naive.multiply(nonce, base), naive.multiply(number // 8 % 8, small)))
        message = dice.randbytes(20)
        k = int.from_bytes(sha512(commitment + public + message).digest(), "little") % L
        yield public, message, commitment + ((nonce + k * secret) % L).to_bytes(32, "little")


def test_of_signatures_with_points_of_mixed_order_it_says_what_libsodium_says() -> None:
    signatures = list(mixed_signatures(64))
    right = [verify_raw(*signature) for signature in signatures]
    assert 8 < sum(right) < 32
    for engine in ENGINES:
        said = ask(
            {"ask": "ed25519", "engine": engine, "public_key": a.hex(), "message": b.hex(), "signature": c.hex()}
            for a, b, c in signatures
        )
        assert said == right, engine


def test_a_signature_s_every_bit_counts() -> None:
    signer = ED25519_SHA256.signer(bytes(32))
    good = signer.sign(Domain.SIGN_SEAL, b"block")
    flipped = [(int.from_bytes(good, "big") ^ 1 << bit).to_bytes(64, "big") for bit in range(512)]
    message = (Domain.SIGN_SEAL + b"block").hex()
    said = ask(
        {
            "ask": "ed25519",
            "engine": "own",
            "public_key": signer.public_key.hex(),
            "message": message,
            "signature": raw.hex(),
        }
        for raw in [good, *flipped]
    )
    assert said == [True] + [False] * 512


# --- tables and texts ---


def test_its_messages_are_those_of_the_schema() -> None:
    [schema] = ask([{"ask": "schema"}])
    assert len(schema) > 35
    for name, fields in schema.items():
        written = {
            (field["number"], field["name"], field["type"], field["isRepeated"], field["oneof"]) for field in fields
        }
        assert written == {signature(field) for field in MESSAGES[name].fields}, name
        assert [field["number"] for field in fields] == sorted(field["number"] for field in fields)


def signature(field: Any) -> tuple[int, str, str, bool, str | None]:
    """A field as the verifier's table has it."""
    scalars = {
        value: name.removeprefix("TYPE_").lower()
        for name, value in vars(FieldDescriptor).items()
        if name[:5] == "TYPE_"
    }
    kind = field.message_type.name if field.message_type else scalars[field.type]
    oneof = field.containing_oneof.name if field.containing_oneof else None
    return field.number, field.name, kind, field.is_repeated, oneof


def test_a_message_has_no_more_than_one_choice_and_none_of_scalars() -> None:
    """Else the reader would have to be another one."""
    [schema] = ask([{"ask": "schema"}])
    for fields in schema.values():
        choices = [field for field in fields if field["oneof"]]
        assert not choices or choices == fields
        assert len({field["oneof"] for field in choices}) <= 1
        assert all(field["isMessage"] for field in choices)


def test_no_list_is_cut_where_one_of_that_length_could_be_sound() -> None:
    [schema] = ask([{"ask": "schema"}])
    kept = {
        (name, field["name"]): field["kept"] for name, fields in schema.items() for field in fields if field["kept"]
    }
    shortest = {
        "leaves": 33,
        "groups": 5,
        "slots": 5,
        "seals": 257,
        "records": 513,
        "epochs": 32_769,
        "consistency": 66,
    }
    assert {name: kept[name] for name in kept if kept[name] < shortest.get(name[1], 65)} == {}


def test_results_are_those_of_the_schema() -> None:
    [results] = ask([{"ask": "results"}])
    assert results == {
        str(number): name.removeprefix("RESULT_CODE_") for name, number in pb.ResultCode.items() if number
    }


def test_its_texts_are_those_of_the_node() -> None:
    [texts] = ask([{"ask": "texts"}])
    own = {"INTERNAL", "NO_WEBCRYPTO"}
    assert own <= texts.keys()
    for code in texts.keys() - own:
        like = TEXTS[Code(code)]
        assert list(texts[code].values()) == [like.en, like.zh, like.hint_en, like.hint_zh]
    thrown = {
        code
        for path in CONSOLE.glob("*.js")
        for code in re.findall(r'VerificationError\("([A-Z_]+)"', path.read_text(encoding="utf-8"))
    }
    assert thrown <= texts.keys()
    results = {name.removeprefix("RESULT_CODE_") for name, number in pb.ResultCode.items() if number > 1}
    assert results <= texts.keys()


def test_it_depends_on_nothing_but_itself() -> None:
    for path in CONSOLE.glob("*.js"):
        imported = re.findall(r'(?:from|import)\s*\(?\s*"([^"]+)"', path.read_text(encoding="utf-8"))
        assert all((CONSOLE / name).is_file() for name in imported), path.name


def test_texts_are_in_the_order_of_their_characters_and_not_of_utf_16() -> None:
    texts = ["\U0001f600", "\uffee", "b", "a", "", "a\0", "不动产", "\U00020000"]
    assert ask([{"ask": "order", "texts": texts}]) == [sorted(texts)]


def test_a_text_is_read_as_it_is_with_whatever_is_invisible_in_it() -> None:
    texts = ["\ufeffAB1234", "\0", "a\u200bb", "\U0010ffff", "e\u0301"]
    raws = [pb.Record(subject=text).SerializeToString() for text in texts]
    assert ask({"ask": "subject", "bytes": raw.hex()} for raw in raws) == texts


def test_without_the_browser_s_cryptography_it_says_so() -> None:
    assert ask([{"ask": "insecure", "bytes": example.GENESIS.hex()}]) == [{"code": "NO_WEBCRYPTO"}]


def test_slots_are_assigned_alike() -> None:
    names = [
        f"{register}.r{number}" for register, count in (("a", 33), ("a0", 4), ("a_", 5)) for number in range(count)
    ]
    said = ask([{"ask": "assigned", "names": names}])[0]
    right = assign_slots(names)
    assert said == {name: [slot.register, slot.page, slot.number, slot.width] for name, slot in right.items()}


# --- printed codes ---

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def base45(data: bytes) -> str:
    """RFC 9285."""
    digits = []
    for at in range(0, len(data), 2):
        pair = data[at : at + 2]
        value, count = int.from_bytes(pair, "big"), len(pair) + 1
        digits += [value // 45**place % 45 for place in range(count)]
    return "".join(ALPHABET[digit] for digit in digits)


def test_base45_is_that_of_the_rfc() -> None:
    published = {"BB8": b"AB", "%69 VD92EX0": b"Hello!!", "UJCLQE7W581": b"base-45", "QED8WEX0": b"ietf!"}
    assert {base45(data): data for data in published.values()} == published
    dice = random.Random(5)
    data = [*published.values(), b"", *(dice.randbytes(length) for length in range(1, 60))]
    assert ask({"ask": "base45", "text": base45(item)} for item in data) == [item.hex() for item in data]


@pytest.mark.parametrize("text", ["A", "AAAA", ":::", "::", "bb8", "GGW", "ÀÀÀ", "BB8=", "\n00", "\ud83d\ude000"])
def test_what_is_no_base45_is_refused(text: str) -> None:
    assert ask([{"ask": "base45", "text": text}]) == [{"code": "BAD_FILE"}]


def test_a_statement_is_put_together_from_its_codes_in_whatever_order() -> None:
    first, second, third = (b"\x0a" + b"a" * 50, b"\x22" + b"b" * 71, b"\x2a\0")
    codes = ["HZ1:" + base45(part) for part in (first, second, third)]
    whole = (first + second + third).hex()
    orders = ([0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1])
    assert ask({"ask": "codes", "texts": [codes[place] for place in order]} for order in orders) == [whole] * 4
    assert ask([{"ask": "codes", "texts": codes[:1]}]) == [first.hex()]


def test_codes_that_do_not_fit_together_are_refused() -> None:
    first, other, second = ("HZ1:" + base45(part) for part in (b"\x0aone", b"\x0aother", b"\x22two"))
    wrong: list[list[Any]] = [
        [],
        [second],
        [first, other],
        [first, first],
        [first, second, second],
        [first, ""],
        [first, "HZ1:"],
        [first, "HZ2:BB8"],
        [first, "hz1:BB8"],
        [first, " " + second],
        [first, second[4:]],
        [first, second + "\n"],
        [first, "HZ1:" + "000" * 1_200],
        [first, None],
        [first, 7],
    ]
    assert ask({"ask": "codes", "texts": texts} for texts in wrong) == [{"code": "BAD_FILE"}] * len(wrong)

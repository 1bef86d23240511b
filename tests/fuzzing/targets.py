"""What is fuzzed: each reader of bytes that may come from anybody, with what it may say of them.

A further reader is one more line in `TARGETS`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from google.protobuf.message import DecodeError, Message
from huzheng.v1 import block_pb2, disclosure_pb2, genesis_pb2, history_pb2, statement_pb2

from ledger.anchor import read_anchor
from ledger.crypto import strict
from ledger.disclosure import verify_disclosure
from ledger.epoch_proof import verify_epochs
from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.history import verify_fork, verify_history
from ledger.receipt import verify_receipt
from ledger.sealed_block import verify_sealed
from ledger.statement import verify_statement
from tests.fuzzing.mutation import CARRIED, Mutator, carried
from tests.fuzzing.mutation import write as written
from tests.fuzzing.proven import Proven, ProvenReceipts, ProvenStatements
from tests.fuzzing.proven_disclosures import ProvenDisclosures
from tests.fuzzing.sealing import headers, is_certificate, is_marked, seal
from tests.fuzzing.wire import mangle
from tests.naive import strict as naive
from tests.vectors import example, load

MAX_BYTES = 100_000
"""Of an input: more than a statement may have, and a receipt without its epochs, in a genesis with small limits."""
VALID = "valid"

GENESIS = Genesis.read(example.GENESIS)
_JUDGED_BY_OTHERS = frozenset(CARRIED[name] for name in ("payload", "change", "replica"))
"""Not by who verifies a receipt: what was refused need not be in strict form (R1, R7)."""


class FuzzFailure(Exception):
    """A reader did what it must not do. Says what."""


@dataclass(frozen=True)
class Seeds:
    """What to start from."""

    sound: Sequence[bytes]
    unsound: Sequence[bytes]


@dataclass(frozen=True)
class Target:
    """One reader."""

    name: str
    messages: Sequence[type[Message]]
    """What it reads; where there are several, the first byte of an input says which."""
    read: Callable[[bytes], object]
    codes: frozenset[str]
    """Of the errors that it may raise."""
    seeds: Seeds
    may_be: Callable[[Message], bool] | None = None
    """Whether something that is not a sound seed may be valid all the same; never if there is none."""

    def check(self, raw: bytes) -> str:
        """What the reader says: VALID or the error's code.

        Raises:
            FuzzFailure: it must not say so of these bytes.
        """
        try:
            self.read(raw)
        except HuzhengError as error:
            if error.code not in self.codes:
                raise FuzzFailure(f"{self.name}: {error.code}, which is not documented") from error
            return error.code
        message_type, content = self._split(raw)
        if len(self.messages) == 1:
            self._require_strict(message_type, content)
        if raw not in self._sound:
            message = message_type.FromString(content)
            if not self._is_sealed_at_will(message) and (self.may_be is None or not self.may_be(message)):
                raise FuzzFailure(f"{self.name}: valid, but none of what is known to be sound")
        return VALID

    def mutate(self, raw: bytes, dice: random.Random) -> bytes:
        """Another input that resembles this one."""
        message_type, content = self._split(raw)
        changed = self._mutator.mutate(message_type, content, dice)
        if len(self.messages) == 1 and dice.random() < 0.5:
            changed = _sealed(message_type, changed, dice)
        changed = raw[: len(raw) - len(content)] + changed
        return changed if len(changed) <= MAX_BYTES else mangle(raw, dice)

    def _split(self, raw: bytes) -> tuple[type[Message], bytes]:
        if len(self.messages) == 1:
            return self.messages[0], raw
        return self.messages[(raw or b"\0")[0] % len(self.messages)], raw[1:]

    def _is_sealed_at_will(self, message: Message) -> bool:
        """Whether a quorum that follows no rule sealed a header in it: then it may prove anything."""
        return any(is_marked(raw) or raw in self._odd_headers for raw in headers(message))

    @staticmethod
    def _require_strict(message_type: type[Message], raw: bytes) -> None:
        """B2, of all that is inside too; read off the bytes."""
        for inner, content in ((message_type, raw), *carried(message_type.FromString(raw))):
            if inner in _JUDGED_BY_OTHERS:
                continue
            try:
                _check_strict(inner, content)
            except naive.NotStrictError as error:
                raise FuzzFailure(f"valid, but {inner.DESCRIPTOR.name} is not strict: {error}") from error

    @cached_property
    def _sound(self) -> frozenset[bytes]:
        return frozenset(self.seeds.sound)

    @cached_property
    def _odd_headers(self) -> set[bytes]:
        """Of the vectors, some sealed and some not, but for those of the chains that sound ones are about."""
        unsound = {header for raw in self.seeds.unsound for header in headers(_parsed(*self._split(raw)))}
        return unsound - _chain_headers()

    @cached_property
    def _mutator(self) -> Mutator:
        return Mutator(self._split(raw) for raw in (*self.seeds.sound, *self.seeds.unsound) if raw)


def _check_strict(message_type: type[Message], raw: bytes) -> None:
    descriptor: Any = message_type.DESCRIPTOR
    naive.check(descriptor, raw)


def _parsed(message_type: type[Message], raw: bytes) -> Message:
    try:
        return message_type.FromString(raw)
    except DecodeError:
        return message_type()


def _sealed(message_type: type[Message], raw: bytes, dice: random.Random) -> bytes:
    try:
        message = message_type.FromString(raw)
    except DecodeError:
        return raw
    seal(message, dice)
    return written(message)


def documented(*readers: Callable[..., object]) -> frozenset[str]:
    """The codes of errors that the docstrings name."""
    words = {word for reader in readers for word in re.findall(r"[A-Z][A-Z_]+", reader.__doc__ or "")}
    return frozenset(words & set(Code))


def _seeds(field: str, *cases: Mapping[str, str | None]) -> Seeds:
    """From vectors: sound where no code is expected."""
    found = [(case["code"] is None, bytes.fromhex(case[field] or "")) for case in cases]
    return Seeds([raw for is_sound, raw in found if is_sound], [raw for is_sound, raw in found if not is_sound])


def _strict_seeds(messages: Sequence[type[Message]]) -> Seeds:
    places = {message.DESCRIPTOR.full_name: number for number, message in enumerate(messages)}
    cases = [case for case in load("strict_form.json")["cases"] if case["message"] in places]
    raws = [(case["strict"], bytes([places[case["message"]]]) + bytes.fromhex(case["bytes"])) for case in cases]
    return Seeds([raw for is_strict, raw in raws if is_strict], [raw for is_strict, raw in raws if not is_strict])


STRICT_MESSAGES: Sequence[type[Message]] = (
    *dict.fromkeys(CARRIED.values()),
    disclosure_pb2.Disclosure,
    genesis_pb2.Genesis,
)


def _read_strict(raw: bytes) -> None:
    """Refuses exactly what the rule refuses (B2)."""
    message_type = STRICT_MESSAGES[(raw or b"\0")[0] % len(STRICT_MESSAGES)]
    try:
        _check_strict(message_type, raw[1:])
    except naive.NotStrictError as error:
        strict.read(message_type, raw[1:])
        raise FuzzFailure(f"strict: {message_type.DESCRIPTOR.name} was read, but {error}") from error
    try:
        strict.read(message_type, raw[1:])
    except HuzhengError as error:
        raise FuzzFailure(f"strict: {message_type.DESCRIPTOR.name} in strict form was refused") from error


def _anything(_: Message) -> bool:
    return True


def _all(*targets: Target) -> Mapping[str, Target]:
    return {target.name: target for target in targets}


_HISTORY = load("history.json")
_RECEIPTS = _seeds("receipt", *load("receipts.json")["cases"], *load("membership.json")["receipts"])
_STATEMENTS = _seeds("statement", *load("statements.json")["cases"], *load("statement_entries.json")["cases"])


_CONFIDENTIAL, _LATER = load("confidential.json"), load("disclosed_catalogue.json")
DISCLOSING = Genesis.read(bytes.fromhex(_CONFIDENTIAL["genesis"]))
"""Has resources with confidential fields."""
_DISCLOSURES = _seeds("disclosure", *_CONFIDENTIAL["disclosures"], *_LATER["disclosures"])


def _is_anchor(message: Any) -> bool:
    """Of a block of epoch 0 that is in some sound vector: any of these may be an anchor."""
    has_epoch = message.HasField("epoch")
    return not has_epoch and message.header in _chain_headers() and is_certificate(message.header, message.certificate)


def _sealed_target(
    name: str,
    message: type[Message],
    reader: Callable[[bytes, Genesis], object],
    seeds: Seeds,
    may_be: Callable[[Message], bool] | None = None,
) -> Target:
    """A reader that takes bytes and a genesis; its vectors are of one piece unless it is said what else may be."""
    codes = documented(reader, verify_sealed, verify_epochs)
    may_be = may_be or Proven(message, seeds.sound)
    return Target(name, [message], lambda raw: reader(raw, GENESIS), codes, seeds, may_be)


TARGETS: Mapping[str, Target] = _all(
    Target(
        "receipt",
        [block_pb2.Receipt],
        lambda raw: verify_receipt(raw, GENESIS).to_dict(),
        documented(verify_receipt),
        _RECEIPTS,
        ProvenReceipts(_RECEIPTS.sound),
    ),
    Target(
        "statement",
        [statement_pb2.Statement],
        lambda raw: verify_statement(raw, GENESIS).to_dict(),
        documented(verify_statement),
        _STATEMENTS,
        ProvenStatements(_STATEMENTS.sound, _STATEMENTS.unsound),
    ),
    Target(
        "disclosure",
        [disclosure_pb2.Disclosure],
        lambda raw: verify_disclosure(raw, DISCLOSING).to_dict(),
        documented(verify_disclosure, verify_receipt, verify_statement),
        _DISCLOSURES,
        ProvenDisclosures(_DISCLOSURES.sound),
    ),
    _sealed_target("history", history_pb2.HistoryProof, verify_history, _seeds("proof", *_HISTORY["proofs"])),
    _sealed_target("anchor", history_pb2.Anchor, read_anchor, _seeds("anchor", *_HISTORY["anchors"]), _is_anchor),
    _sealed_target("fork", history_pb2.Fork, verify_fork, _seeds("fork", *_HISTORY["forks"])),
    Target(
        "genesis",
        [genesis_pb2.Genesis],
        Genesis.read,
        documented(Genesis.read),
        _seeds("genesis", *load("genesis.json")["cases"]),
        _anything,
    ),
    Target("strict", STRICT_MESSAGES, _read_strict, documented(strict.read), _strict_seeds(STRICT_MESSAGES), _anything),
)


@cache
def _chain_headers() -> set[bytes]:
    """All that are in sound vectors."""
    seeds = [(target, raw) for target in TARGETS.values() for raw in target.seeds.sound]
    return {header for target, raw in seeds for header in headers(_parsed(*target._split(raw)))}


def inputs(target: Target, seed: int, count: int) -> Iterable[bytes]:
    """So many inputs, always the same ones: the seeds, and what comes of them by one change after the other."""
    dice = random.Random(seed)
    sound, pool = target.seeds.sound, [*target.seeds.sound, *target.seeds.unsound]
    yield from pool
    for _ in range(count - len(pool)):
        raw = target.mutate(dice.choice(sound if dice.random() < 0.5 else pool), dice)
        if dice.random() < 0.05:
            pool.append(raw)
        yield raw

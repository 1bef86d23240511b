"""What a department's own systems and clerks may do with its vault, and what is refused (docs/protocol.md section 15)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from huzheng.v1 import sharing_pb2
from huzheng.v1 import transaction_pb2 as ledger_pb
from huzheng.v1 import vault_service_pb2 as pb
from huzheng.v1.disclosure_pb2 import Disclosure

from ledger.block import ExecutedBlock
from ledger.building import BuiltRecord, build_record
from ledger.commitments import SecretField, confidential_root
from ledger.crypto import Domain, Signer, strict
from ledger.disclosure import verify_disclosure
from ledger.errors import Code, HuzhengError
from ledger.store import ChainStore
from node.disclosing import record_disclosure
from node.identity import Caller, Role
from node.sharing.keeper import VaultKeeper
from node.vault.secrets import Origin, VaultEntry
from node.vault_access import MAX_SECRETS_BYTES, VaultAccess
from tests import sharing
from tests.builders import Chain, objection_fields, unit_code
from tests.confidential import (
    DWELLING,
    NOTE,
    OWNER,
    PLOT,
    PRICE,
    SHARE,
    SINCE,
    VALUES,
    compiled,
    consortium,
    dwelling,
    dwelling_record,
)
from tests.vaults import new_vault

CONSORTIUM = consortium()
SYSTEM = Caller("planning", Role.SYSTEM, "registry")
CLERK = Caller("planning", Role.CLERK, "li")
READER = Caller("tax", Role.SYSTEM, "registry")
EXPIRES_MS = CONSORTIUM.now_ms + 60_000


class Node:
    """A stored chain with a vault beside it."""

    def __init__(self, path: Path) -> None:
        self.chain: Chain = CONSORTIUM.chain()
        self.path = path
        self.store = ChainStore.open(path / "data", CONSORTIUM.genesis)
        self.kept_in = new_vault(path)
        self.vault = self.access("planning")

    def close(self) -> None:
        self.kept_in.close()
        self.store.close()

    def access(self, department: str) -> VaultAccess:
        secrets = VaultKeeper(CONSORTIUM.genesis, self.store, lambda: self.kept_in, department)
        return VaultAccess(CONSORTIUM.genesis, self.store, department, secrets, lambda: CONSORTIUM.now_ms)

    def lose_the_vault(self) -> None:
        """Another one is in its place, which is empty."""
        self.kept_in.close()
        (self.path / "another").mkdir()
        self.kept_in = new_vault(self.path / "another")
        self.vault = self.access("planning")

    def kept(self) -> dict[bytes, VaultEntry]:
        found = {record_id: self.kept_in.get(record_id) for record_id in self.kept_in.record_ids()}
        return {record_id: entry for record_id, entry in found.items() if entry is not None}

    def seal(self, *raws: bytes) -> ExecutedBlock:
        block = self.chain.add(*raws)
        self.store.append(block, CONSORTIUM.certificate(block))
        return block

    def registered(self, record: BuiltRecord) -> BuiltRecord:
        """Deposits a record and puts it on chain."""
        self.vault.deposit(request(record), SYSTEM)
        self.seal(CONSORTIUM.transaction([record]))
        return record


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.close()


def request(*records: BuiltRecord, expires_ms: int = EXPIRES_MS) -> pb.DepositRequest:
    return pb.DepositRequest(
        records=[
            pb.DepositedRecord(
                record=record.raw,
                fields=[pb.DepositedField(number=s.number, value=s.value, salt=s.salt) for s in record.secrets],
            )
            for record in records
        ],
        expires_ms=expires_ms,
    )


def code_of(call: Callable[[], object]) -> Code:
    with pytest.raises(HuzhengError) as caught:
        call()
    assert not any(value in str(caught.value) for value in VALUES.values())
    return caught.value.code


# --- depositing ---


def test_what_is_deposited_is_kept_until_its_transaction_expires(node: Node) -> None:
    first, second = dwelling_record(CONSORTIUM), dwelling_record(CONSORTIUM, subject="AB1235")
    node.vault.deposit(request(first, second), SYSTEM)
    assert node.kept() == {
        first.id: VaultEntry(first.secrets, Origin.OWN, EXPIRES_MS),
        second.id: VaultEntry(second.secrets, Origin.OWN, EXPIRES_MS),
    }


def test_what_is_deposited_of_a_record_on_chain_does_not_expire(node: Node) -> None:
    """As when a submission goes on that was cut off, of which the vault was lost and restored."""
    record = node.registered(dwelling_record(CONSORTIUM))
    node.lose_the_vault()
    node.vault.deposit(request(record), SYSTEM)
    assert node.kept() == {record.id: VaultEntry(record.secrets, Origin.OWN)}


@pytest.mark.parametrize(
    "caller",
    [
        CLERK,
        Caller("planning", Role.OPERATOR, "wang"),
        Caller("planning", Role.REPLICA, "1"),
        Caller("tax", Role.SYSTEM, "registry"),
    ],
    ids=lambda caller: caller.uri,
)
def test_only_a_system_of_the_own_department_deposits(node: Node, caller: Caller) -> None:
    record = dwelling_record(CONSORTIUM)
    assert code_of(lambda: node.vault.deposit(request(record), caller)) is Code.CALLER_NOT_ALLOWED
    assert not node.kept()


def altered(which: int, /, **changes: Any) -> pb.DepositRequest:
    """A deposit in which a field is not as the record commits to it."""
    made = request(dwelling_record(CONSORTIUM))
    [field] = [field for field in made.records[0].fields if field.number == which]
    for name, value in changes.items():
        setattr(field, name, value)
    return made


def committed(values: Mapping[int, str], salt_bytes: int = 16) -> pb.DepositRequest:
    """A record that does commit to these values, whatever they are."""
    good = dwelling_record(CONSORTIUM)
    secrets = tuple(SecretField(s.number, values.get(s.number, s.value), s.salt[:salt_bytes]) for s in good.secrets)
    root = confidential_root(CONSORTIUM.suite, secrets)
    odd = CONSORTIUM.odd_record(good.payload, resource=DWELLING, subject=PLOT, schema_version=1, confidential_root=root)
    return request(BuiltRecord(odd.id, odd.raw, odd.payload, secrets))


def without_last_field() -> pb.DepositRequest:
    made = request(dwelling_record(CONSORTIUM))
    del made.records[0].fields[-1]
    return made


def not_strict() -> pb.DepositRequest:
    made = request(dwelling_record(CONSORTIUM))
    made.records[0].record += b"\x00"
    return made


def public_alone(**changes: Any) -> pb.DepositRequest:
    record = build_record(CONSORTIUM.genesis, "property.objection", unit_code(1), 1, b"", objection_fields())
    message = strict.read(ledger_pb.Record, record.raw)
    for name, value in changes.items():
        setattr(message, name, value)
    return request(BuiltRecord(record.id, strict.write(message), record.payload))


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: altered(OWNER, value="李四"), Code.BAD_COMMITMENT),
        (lambda: altered(NOTE, value=""), Code.BAD_COMMITMENT),
        (lambda: altered(PRICE, salt=bytes(16)), Code.BAD_COMMITMENT),
        (lambda: altered(PRICE, salt=bytes(15)), Code.BAD_COMMITMENT),
        (lambda: altered(SHARE, number=10), Code.BAD_COMMITMENT),
        (without_last_field, Code.BAD_COMMITMENT),
        (lambda: committed({PRICE: "free"}), Code.BAD_FIELD),
        (lambda: committed({OWNER: ""}), Code.MISSING_FIELD),
        (lambda: committed({NOTE: "x" * (MAX_SECRETS_BYTES + 1)}), Code.TOO_LARGE),
        (lambda: committed({}, salt_bytes=15), Code.BAD_COMMITMENT),
        (not_strict, Code.NOT_STRICT),
        (public_alone, Code.BAD_COMMITMENT),
        (lambda: public_alone(resource="tax.deed_tax"), Code.NOT_OWNER),
        (lambda: public_alone(resource="demo.none"), Code.UNKNOWN_RESOURCE),
        (lambda: public_alone(schema_version=7), Code.SCHEMA_MISMATCH),
        (lambda: request(dwelling_record(CONSORTIUM), expires_ms=CONSORTIUM.now_ms), Code.EXPIRED),
        (
            lambda: request(
                dwelling_record(CONSORTIUM),
                expires_ms=CONSORTIUM.now_ms + CONSORTIUM.genesis.parameters.max_lifetime_ms + 1,
            ),
            Code.LIFETIME_TOO_LONG,
        ),
        (request, Code.INVALID_REQUEST),
    ],
)
def test_what_no_record_commits_to_is_not_kept(node: Node, make: Callable[[], pb.DepositRequest], code: Code) -> None:
    assert code_of(lambda: node.vault.deposit(make(), SYSTEM)) is code
    assert not node.kept()


def test_one_record_that_is_wrong_keeps_all_of_them_out_and_is_named(node: Node) -> None:
    good, bad = request(dwelling_record(CONSORTIUM)), altered(OWNER, value="李四")
    good.records.extend(bad.records)
    with pytest.raises(HuzhengError) as caught:
        node.vault.deposit(good, SYSTEM)
    assert "record 2" in caught.value.detail
    assert not node.kept()


# --- disclosing ---


@pytest.mark.parametrize("caller", [SYSTEM, CLERK], ids=lambda caller: caller.uri)
def test_systems_and_clerks_of_the_department_get_a_disclosure(node: Node, caller: Caller) -> None:
    record = node.registered(dwelling_record(CONSORTIUM))
    raw = node.vault.disclose(pb.DiscloseRequest(record_id=record.id, fields=[OWNER, SHARE]), caller)
    verdict = verify_disclosure(raw, CONSORTIUM.genesis)
    assert verdict.record.id == record.id
    assert verdict.values == {OWNER: VALUES["OWNER"], SHARE: ""}


def test_of_a_schema_version_that_came_later_the_disclosure_proves_it_too(node: Node) -> None:
    publish = sharing_pb2.PublishResource(resource=dwelling(2))
    node.seal(CONSORTIUM.transaction(operations=[ledger_pb.Operation(publish_resource=publish)], nonce=1))
    values = {name: VALUES[name] for name in ("OWNER", "PRICE")}
    record = node.registered(
        build_record(CONSORTIUM.genesis, compiled(2), PLOT, 1, b"", {"KIND": "flat"}, confidential=values)
    )
    raw = node.vault.disclose(pb.DiscloseRequest(record_id=record.id, fields=[OWNER, SINCE]), CLERK)
    verdict = verify_disclosure(raw, CONSORTIUM.genesis)
    assert (verdict.definition.schema_version, verdict.values) == (2, {OWNER: VALUES["OWNER"], SINCE: ""})


@pytest.mark.parametrize(
    "caller",
    [
        Caller("planning", Role.OPERATOR, "wang"),
        Caller("planning", Role.AUDITOR, "sun"),
        Caller("tax", Role.SYSTEM, "registry"),
        Caller("tax", Role.CLERK, "li"),
    ],
    ids=lambda caller: caller.uri,
)
def test_nobody_else_gets_one(node: Node, caller: Caller) -> None:
    record = node.registered(dwelling_record(CONSORTIUM))
    asked = pb.DiscloseRequest(record_id=record.id, fields=[OWNER])
    assert code_of(lambda: node.vault.disclose(asked, caller)) is Code.CALLER_NOT_ALLOWED


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ([], Code.INVALID_REQUEST),
        ([PRICE, OWNER], Code.INVALID_REQUEST),
        ([OWNER, OWNER], Code.INVALID_REQUEST),
        (list(range(1, 66)), Code.INVALID_REQUEST),
        ([1], Code.UNKNOWN_FIELD),
        ([OWNER, 10], Code.UNKNOWN_FIELD),
    ],
)
def test_what_can_not_be_disclosed_is_refused(node: Node, fields: list[int], code: Code) -> None:
    record = node.registered(dwelling_record(CONSORTIUM))
    assert code_of(lambda: node.vault.disclose(pb.DiscloseRequest(record_id=record.id, fields=fields), CLERK)) is code


def test_values_of_a_record_that_is_not_on_chain_are_not_shown(node: Node) -> None:
    record = dwelling_record(CONSORTIUM)
    node.vault.deposit(request(record), SYSTEM)
    asked = pb.DiscloseRequest(record_id=record.id, fields=[OWNER])
    assert code_of(lambda: node.vault.disclose(asked, CLERK)) is Code.NOT_FOUND
    short = pb.DiscloseRequest(record_id=record.id[:-1], fields=[OWNER])
    assert code_of(lambda: node.vault.disclose(short, CLERK)) is Code.INVALID_REQUEST


def test_values_that_are_not_in_the_vault_are_said_to_be_missing(node: Node) -> None:
    record = node.registered(dwelling_record(CONSORTIUM))
    node.lose_the_vault()
    asked = pb.DiscloseRequest(record_id=record.id, fields=[OWNER])
    assert code_of(lambda: node.vault.disclose(asked, CLERK)) is Code.VALUES_MISSING


def test_values_whose_erasure_was_ordered_are_not_shown_though_they_are_still_there(node: Node) -> None:
    record = node.registered(dwelling_record(CONSORTIUM))
    order = sharing_pb2.OrderErasure(records=[record.id], legal_basis="个人信息保护法第四十七条")
    node.seal(CONSORTIUM.transaction(operations=[ledger_pb.Operation(order_erasure=order)], nonce=1))
    asked = pb.DiscloseRequest(record_id=record.id, fields=[OWNER])
    assert code_of(lambda: node.vault.disclose(asked, CLERK)) is Code.ERASED


def test_another_department_s_record_is_not_asked_for_here(node: Node) -> None:
    vault = node.access("tax")
    record = node.registered(dwelling_record(CONSORTIUM))
    asked = pb.DiscloseRequest(record_id=record.id, fields=[OWNER])
    assert code_of(lambda: vault.disclose(asked, Caller("tax", Role.CLERK, "li"))) is Code.NOT_OWNER


def test_values_that_were_read_from_another_department_are_not_shown_as_own(node: Node) -> None:
    record = dwelling_record(CONSORTIUM)
    node.kept_in.put(record.id, VaultEntry(record.secrets, Origin.COPY))
    node.seal(CONSORTIUM.transaction([record]))
    asked = pb.DiscloseRequest(record_id=record.id, fields=[OWNER])
    assert code_of(lambda: node.vault.disclose(asked, CLERK)) is Code.VALUES_MISSING


def test_a_record_that_was_erased_is_not_deposited_again(node: Node) -> None:
    record = node.registered(dwelling_record(CONSORTIUM))
    node.kept_in.erase([record.id])
    assert code_of(lambda: node.vault.deposit(request(record), SYSTEM)) is Code.VAULT_ERASED


# --- keeping what was read ---


class Reading:
    """A read of two fields by the tax office, whose vault this is, of one of two records of planning's."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.record, self.other = dwelling_record(CONSORTIUM), dwelling_record(CONSORTIUM, subject="AB1235")
        node.seal(CONSORTIUM.transaction([self.record, self.other]))
        self.vault = node.access("tax")
        terms = sharing.terms(resource=DWELLING, fields=[OWNER, PRICE, NOTE])
        grant = CONSORTIUM.suite.digest(Domain.GRANT, self._operate("tax", sharing.apply_for(terms)), b"\0")
        self._operate("planning", sharing.approve(grant))
        asked = sharing.read(grant, PLOT, fields=[OWNER, PRICE])
        signer = CONSORTIUM.system_signers["tax"]
        self.id = CONSORTIUM.suite.digest(Domain.READ, self._operate("tax", asked, signer), b"\0")

    def _operate(self, department: str, operation: ledger_pb.Operation, signer: Signer | None = None) -> bytes:
        raw = CONSORTIUM.transaction(operations=[operation], department=department, signer=signer)
        block = self.node.seal(raw)
        assert block.codes == (ledger_pb.RESULT_CODE_ACCEPTED,)
        return block.transactions[0].id

    def answer(self, *numbers: int, record: BuiltRecord | None = None) -> bytes:
        """The disclosure that planning gives out."""
        record = record or self.record
        place = self.node.store.record_place(record.id)
        assert place is not None
        return record_disclosure(CONSORTIUM.genesis, self.node.store, place, record.secrets, numbers)

    def keep(self, disclosure: bytes, *, read: bytes | None = None, caller: Caller = READER) -> None:
        self.vault.keep(pb.KeepRequest(read=read or self.id, disclosure=disclosure), caller)

    def secrets(self, *numbers: int) -> tuple[SecretField, ...]:
        return tuple(secret for secret in self.record.secrets if secret.number in numbers)


@pytest.fixture
def reading(node: Node) -> Reading:
    return Reading(node)


def test_what_was_read_is_kept_as_a_copy_that_does_not_expire(reading: Reading) -> None:
    for _ in range(2):
        reading.keep(reading.answer(OWNER, PRICE))
        assert reading.node.kept() == {reading.record.id: VaultEntry(reading.secrets(OWNER, PRICE), Origin.COPY)}


def test_what_is_kept_later_of_the_same_record_is_added(reading: Reading) -> None:
    reading.keep(reading.answer(OWNER))
    reading.keep(reading.answer(PRICE))
    assert reading.node.kept() == {reading.record.id: VaultEntry(reading.secrets(OWNER, PRICE), Origin.COPY)}


@pytest.mark.parametrize(
    "caller",
    [Caller("tax", Role.CLERK, "li"), Caller("tax", Role.OPERATOR, "wang"), SYSTEM],
    ids=lambda caller: caller.uri,
)
def test_only_a_system_of_the_reader_keeps_what_was_read(reading: Reading, caller: Caller) -> None:
    assert code_of(lambda: reading.keep(reading.answer(OWNER), caller=caller)) is Code.CALLER_NOT_ALLOWED
    assert not reading.node.kept()


def test_nothing_is_kept_that_was_not_read(reading: Reading) -> None:
    assert code_of(lambda: reading.keep(reading.answer(OWNER), read=bytes(32))) is Code.UNKNOWN_READ
    assert code_of(lambda: reading.keep(reading.answer(OWNER, record=reading.other))) is Code.BAD_ANSWER
    assert code_of(lambda: reading.keep(reading.answer(OWNER, NOTE))) is Code.BAD_ANSWER
    reading.vault = reading.node.access("housing")
    housing = Caller("housing", Role.SYSTEM, "registry")
    assert code_of(lambda: reading.keep(reading.answer(OWNER), caller=housing)) is Code.NOT_PARTY
    assert not reading.node.kept()


def test_nothing_is_kept_that_the_record_does_not_commit_to(reading: Reading) -> None:
    message = strict.read(Disclosure, reading.answer(OWNER, PRICE))
    message.fields[0].value = "李四"
    assert code_of(lambda: reading.keep(strict.write(message))) is Code.BAD_PROOF
    assert code_of(lambda: reading.keep(b"\x00")) is Code.NOT_STRICT
    assert not reading.node.kept()


def test_nothing_is_kept_whose_erasure_was_ordered_or_done(reading: Reading) -> None:
    answer = reading.answer(OWNER)
    reading.node.kept_in.erase([reading.record.id])
    assert code_of(lambda: reading.keep(answer)) is Code.VAULT_ERASED
    reading.node.seal(CONSORTIUM.transaction(operations=[sharing.order_erasure(reading.record.id)]))
    assert code_of(lambda: reading.keep(answer)) is Code.ERASED
    assert not reading.node.kept()


def test_a_node_without_vault_says_so(node: Node) -> None:
    bare = VaultAccess(CONSORTIUM.genesis, node.store, "planning", None, lambda: CONSORTIUM.now_ms)
    record = dwelling_record(CONSORTIUM)
    assert code_of(lambda: bare.deposit(request(record), SYSTEM)) is Code.VAULT_NOT_CONFIGURED
    asked = pb.DiscloseRequest(record_id=record.id, fields=[OWNER])
    assert code_of(lambda: bare.disclose(asked, CLERK)) is Code.VAULT_NOT_CONFIGURED
    assert code_of(lambda: bare.keep(pb.KeepRequest(), SYSTEM)) is Code.VAULT_NOT_CONFIGURED

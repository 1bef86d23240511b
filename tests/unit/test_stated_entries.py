"""Statements of grants, reads, accounts, erasures, and of what came after the genesis, made of a real chain (docs/protocol.md Q8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from huzheng.v1 import ledger_service_pb2 as service
from huzheng.v1 import sharing_pb2, statement_pb2

from ledger.crypto import ED25519_SHA256, Domain, strict
from ledger.errors import Code, HuzhengError
from ledger.proof_parts import read_proof, to_dict
from ledger.proven_state import ProvenState
from ledger.published import resource_key, version_key
from ledger.sharing.erasing import erasure_key
from ledger.sharing.granting import grant_key
from ledger.sharing.reading import account_key, read_key
from ledger.state_entry import read_entry
from ledger.statement import Question, StatementVerdict, verify_statement
from ledger.store import ChainStore
from node.queries import Queries
from tests.builders import OBJECTION, Consortium, objection_fields, unit_code
from tests.memberships import stored
from tests.sharing_chain import LATER, NEW_REGISTER, SUBJECT, SharingChain, shared


@dataclass(frozen=True)
class Stage:
    """The chain in a database."""

    sharing: SharingChain
    store: ChainStore

    def ask(self, *questions: tuple[str, str], keys: tuple[bytes, ...] = (), records: bool = False) -> StatementVerdict:
        raw = self.store.statement([Question(*question) for question in questions], keys, with_records=records)
        return verify_statement(raw, self.sharing.consortium.genesis)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    sharing = shared(Consortium(ED25519_SHA256))
    store = stored(tmp_path_factory.mktemp("entries") / "db", sharing.chain)
    yield Stage(sharing, store)
    store.close()


def code_of(action: Callable[[], object]) -> Code:
    with pytest.raises(HuzhengError) as caught:
        action()
    return caught.value.code


def test_a_grant_a_read_its_account_and_an_erasure_are_proved(stage: Stage) -> None:
    sharing, record = stage.sharing, stage.sharing.records[LATER].id
    keys = (
        grant_key(sharing.grant),
        read_key(sharing.reads[0]),
        account_key(LATER, SUBJECT),
        erasure_key("planning", record),
    )
    proven = ProvenState(stage.ask(keys=keys))
    grant, read = proven.grant(sharing.grant), proven.read(sharing.reads[0])
    assert grant is not None
    assert read is not None
    assert (grant.applicant, grant.owner, grant.status) == ("tax", "planning", sharing_pb2.GRANT_STATUS_ACTIVE)
    assert (grant.reads.count, grant.granted.max_reads) == (2, 5)
    assert (read.subject, read.record_id, read.case_number) == (SUBJECT, record, "2020-17")
    assert read.acknowledged_ms
    erasure = proven.erasure("planning", record)
    assert erasure is not None
    assert erasure.legal_basis == "个人信息保护法"
    digest = bytes(32)
    for identifier in sharing.reads:
        digest = sharing.suite.digest(Domain.READS, digest, identifier)
    account = proven.account(LATER, SUBJECT)
    assert (account.count, account.digest) == (2, digest)


def test_what_there_is_not_is_proved_too(stage: Stage) -> None:
    nobody = bytes(32)
    keys = (
        grant_key(nobody),
        read_key(nobody),
        account_key(LATER, unit_code(77)),
        account_key("tax.deed_tax", SUBJECT),
        erasure_key("planning", nobody),
        resource_key("property.none"),
    )
    proven = ProvenState(stage.ask(keys=keys))
    assert proven.grant(nobody) is None
    assert proven.read(nobody) is None
    assert proven.erasure("planning", nobody) is None
    assert proven.resource("property.none") is None
    assert not proven.account(LATER, unit_code(77)).count
    assert not proven.account("tax.deed_tax", SUBJECT).count


def test_of_what_a_statement_does_not_say_nothing_is_concluded(stage: Stage) -> None:
    proven = ProvenState(stage.ask(keys=(grant_key(bytes(32)),)))
    assert code_of(lambda: proven.grant(stage.sharing.grant)) is Code.BAD_PROOF
    assert code_of(lambda: proven.account(LATER, SUBJECT)) is Code.BAD_PROOF


def test_what_somebody_claims_is_held_against_what_is_proved(stage: Stage) -> None:
    grant, nobody = stage.sharing.grant, bytes(32)
    keys = (grant_key(grant), grant_key(nobody), account_key(LATER, SUBJECT), account_key(LATER, unit_code(77)))
    proven = ProvenState(stage.ask(keys=keys))
    told = proven.grant(grant)
    assert told is not None
    assert proven.grant(grant, told) == told
    account = proven.account(LATER, SUBJECT)
    assert proven.account(LATER, SUBJECT, account) == account
    assert proven.account(LATER, unit_code(77), sharing_pb2.Reads()) == sharing_pb2.Reads()
    lie = sharing_pb2.GrantState.FromString(strict.write(told))
    lie.reads.count -= 1
    fewer = sharing_pb2.Reads(count=account.count - 1, digest=account.digest)
    for claim in (
        lambda: proven.grant(grant, lie),
        lambda: proven.grant(nobody, told),
        lambda: proven.account(LATER, SUBJECT, fewer),
        lambda: proven.account(LATER, SUBJECT, sharing_pb2.Reads()),
        lambda: proven.account(LATER, unit_code(77), account),
    ):
        assert code_of(claim) is Code.UNTRUSTED_ANSWER


def test_a_later_resource_is_answered_with_what_tells_of_it(stage: Stage) -> None:
    verdict = stage.ask((LATER, SUBJECT), (NEW_REGISTER, SUBJECT), ("property.extra0", SUBJECT), records=True)
    answers = {question.resource: answer for question, answer in verdict.answers.items()}
    assert {name: answer.version for name, answer in answers.items()} == {
        LATER: 1,
        NEW_REGISTER: 1,
        "property.extra0": 0,
    }
    for name in (LATER, NEW_REGISTER):
        record = answers[name].record
        assert record is not None
        assert record.values == {"FLOORS": "12"}
        assert {resource_key(name), version_key(name, 1)} <= set(verdict.entries)


def test_a_leaf_that_was_written_before_a_resource_came_answers_for_it(stage: Stage) -> None:
    """The register has more than eight resources now; the leaf was written when it had seven."""
    raw = stage.store.statement([Question(LATER, unit_code(2)), Question(OBJECTION, unit_code(2))])
    [leaf] = statement_pb2.Statement.FromString(raw).leaves
    assert len(leaf.groups) == 2
    assert stage.store.published().count("property") == 12
    answers = verify_statement(raw, stage.sharing.consortium.genesis).answers
    assert answers[Question(LATER, unit_code(2))].version == 0
    assert answers[Question(OBJECTION, unit_code(2))].version == 1


def test_of_the_genesis_resources_no_entries_are_needed(stage: Stage) -> None:
    verdict = stage.ask((OBJECTION, unit_code(2)), (OBJECTION, SUBJECT), records=True)
    assert not verdict.entries
    assert verdict.answers[Question(OBJECTION, unit_code(2))].version == 1
    assert verdict.answers[Question(OBJECTION, SUBJECT)].version == 0


def test_records_of_an_amended_resource_are_shown_by_the_names_of_their_version(tmp_path: Path) -> None:
    sharing = SharingChain(Consortium(ED25519_SHA256))
    genesis, first = sharing.consortium.genesis, sharing.consortium.record(1)
    sharing.add(sharing.consortium.transaction([first], nonce=1))
    newest = genesis.catalogue[OBJECTION].schema_version + 1
    sharing.publish(OBJECTION, newest)
    record, question = sharing.write(OBJECTION, schema_version=newest, replaces=first.id), Question(OBJECTION, SUBJECT)
    store = stored(tmp_path / "db", sharing.chain)
    raw = store.statement([question], with_records=True)
    store.close()
    verdict = verify_statement(raw, genesis)
    shown = verdict.answers[question].record
    assert shown is not None
    assert shown.id == record.id
    assert shown.values is not None
    assert shown.values == objection_fields() | {"FLOORS": "12"}
    assert set(verdict.entries) == {version_key(OBJECTION, newest)}
    without = statement_pb2.Statement.FromString(raw)
    del without.entries[:]
    numbered = verify_statement(strict.write(without), genesis).answers[question].record
    assert numbered is not None
    assert numbered.values is not None
    assert list(numbered.values.values()) == list(shown.values.values())
    # What the genesis has a name for keeps it; the new field has but its number.
    assert [name for name in numbered.values if name not in objection_fields()] == ["#5"]


def test_keys_of_heads_and_seen_ids_and_too_many_are_refused(stage: Stage) -> None:
    for key in (b"", b"hproperty\0x\0\0", b"i" + bytes(40)):
        assert code_of(partial(stage.store.statement, [], [key])) is Code.INVALID_REQUEST
    keys = [grant_key(bytes([number]) * 32) for number in range(65)]
    assert len(stage.ask(keys=tuple(keys[:64])).entries) == 64
    assert code_of(lambda: stage.store.statement([], keys)) is Code.TOO_LARGE


def test_a_node_gives_out_no_statement_that_proves_nothing(stage: Stage) -> None:
    queries = Queries(stage.sharing.consortium.genesis, stage.store)

    def answer(*keys: bytes) -> service.GetStatementResponse:
        return queries.statement(service.GetStatementRequest(entries=keys))

    good = verify_statement(answer(grant_key(stage.sharing.grant)).statement, stage.sharing.consortium.genesis)
    assert ProvenState(good).grant(stage.sharing.grant) is not None
    cases = {
        Code.INVALID_REQUEST: [b"", b"h", b"i" + bytes(40), b"g" * 513, b"a\xff\0x"],
        Code.BAD_SUBJECT: [account_key(LATER, f"{SUBJECT} "), account_key(OBJECTION, ""), b"a" + LATER.encode()],
        Code.NOT_FOUND: [account_key("property.none", SUBJECT)],
    }
    for code, keys in cases.items():
        for key in keys:
            assert code_of(partial(answer, key)) is code
    assert code_of(lambda: answer(*(bytes([1, number]) for number in range(65)))) is Code.INVALID_REQUEST


def test_any_change_of_any_byte_makes_an_entry_prove_nothing(stage: Stage) -> None:
    genesis = stage.sharing.consortium.genesis
    raw = stage.store.statement([], [grant_key(stage.sharing.grant), read_key(stage.sharing.reads[0])])
    for position in range(len(raw)):
        wrong = raw[:position] + bytes([raw[position] ^ 1 << position % 8]) + raw[position + 1 :]
        with pytest.raises(HuzhengError):
            verify_statement(wrong, genesis)


def test_a_changed_key_that_is_not_there_either_says_so_of_that_key_alone(stage: Stage) -> None:
    genesis, key = stage.sharing.consortium.genesis, read_key(bytes(32))
    raw = stage.store.statement([], [key])
    for position in range(len(raw)):
        wrong = raw[:position] + bytes([raw[position] ^ 1 << position % 8]) + raw[position + 1 :]
        try:
            entries = verify_statement(wrong, genesis).entries
        except HuzhengError:
            continue
        assert all(other != key and stage.store.state.get(other) is None for other in entries)


def test_entries_are_told_apart_by_their_keys(stage: Stage) -> None:
    sharing, record = stage.sharing, stage.sharing.records[LATER].id
    verdict = stage.ask(
        keys=(
            grant_key(sharing.grant),
            read_key(sharing.reads[0]),
            account_key(LATER, SUBJECT),
            erasure_key("planning", record),
            resource_key(LATER),
            version_key(LATER, 1),
            b"j",
            b"g" + bytes(31),
        )
    )
    kinds = {read_entry(key, value).kind for key, value in verdict.entries.items()}
    assert kinds == {"grant", "read", "reads", "erasure", "resource", "version", "other"}
    said = read_entry(account_key(LATER, SUBJECT), verdict.entries[account_key(LATER, SUBJECT)])
    assert said.about == {"resource": LATER, "subject": SUBJECT}


def test_a_statement_taken_apart_says_what_its_entries_are(stage: Stage) -> None:
    raw = stage.store.statement([], [grant_key(stage.sharing.grant)])
    message = read_proof(raw)
    [entry] = to_dict(message)["entries"]
    assert message.DESCRIPTOR.name == "Statement"
    assert (entry["says"]["kind"], entry["says"]["grant"]) == ("grant", stage.sharing.grant.hex())
    assert entry["says"]["state"]["status"] == "GRANT_STATUS_ACTIVE"

"""Statements of grants, reads, accounts and erasures as people and programs see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.crypto import ED25519_SHA256
from ledger.published import duty_key, register_key, resource_key, version_key
from ledger.sharing.erasing import erasure_key
from ledger.sharing.granting import grant_key
from ledger.sharing.reading import account_key, read_key
from ledger.statement import Question
from ledger.store import ChainStore
from tests.builders import Consortium, unit_code
from tests.command_line import CommandLine, Ran
from tests.memberships import stored
from tests.sharing_chain import LATER, NEW_REGISTER, SUBJECT, SharingChain, shared

Show = Callable[..., Ran]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SharingChain, ChainStore]]:
    sharing = shared(Consortium(ED25519_SHA256))
    store = stored(tmp_path_factory.mktemp("shown") / "db", sharing.chain)
    yield sharing, store
    store.close()


@pytest.fixture
def huzheng(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CommandLine:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.chdir(tmp_path)
    return CommandLine(capsys)


@pytest.fixture
def verify(huzheng: CommandLine, chain: tuple[SharingChain, ChainStore], tmp_path: Path) -> Show:
    """Runs `huzheng verify` on a statement about these keys."""

    def run(*keys: bytes, options: tuple[str, ...] = (), questions: tuple[Question, ...] = ()) -> Ran:
        sharing, store = chain
        (tmp_path / "g").write_bytes(sharing.consortium.genesis.raw)
        (tmp_path / "s").write_bytes(store.statement(questions, keys, with_records=True))
        return huzheng("verify", "s", "-g", "g", "--offline", *options)

    return run


def lines(ran: Ran) -> list[str]:
    assert ran.status == 0, ran.err
    return [" ".join(line.split()) for line in ran.out.splitlines()]


def test_a_grant_says_who_may_have_what_and_why(verify: Show, chain: tuple[SharingChain, ChainStore]) -> None:
    shown = lines(verify(grant_key(chain[0].grant), version_key(LATER, 1)))
    for line in (
        f"Grant {chain[0].grant.hex()}",
        "Status active",
        "Applied for by tax (tax)",
        "Owner planning (planning)",
        f"Resource Zoning ({LATER})",
        "Confidential fields Owners (OWNERS)",
        "Subjects any",
        "Purpose 核税 Tax assessment",
        "Legal basis 契税法",
        "Reads 2 of 5",
    ):
        assert line in shown, line
    assert "Nothing was ever registered" not in " ".join(shown)


def test_in_chinese_too(verify: Show, chain: tuple[SharingChain, ChainStore]) -> None:
    shown = lines(verify(grant_key(chain[0].grant), version_key(LATER, 1), options=("--lang", "zh")))
    for line in (
        "状态 有效",
        "申请部门 tax (tax)",
        f"资源 规划用途 ({LATER})",
        "保密字段 楼层 (OWNERS)",
        "读取次数 2（最多 5）",
    ):
        assert line in shown, line


def test_a_field_whose_definition_is_not_shown_is_a_number(
    verify: Show, chain: tuple[SharingChain, ChainStore]
) -> None:
    shown = lines(verify(grant_key(chain[0].grant)))
    assert "Confidential fields #2" in shown
    assert f"Resource {LATER}" in shown


def test_a_read_says_what_was_read_and_what_was_only_asked_for(
    verify: Show, chain: tuple[SharingChain, ChainStore]
) -> None:
    sharing = chain[0]
    arrived, asked_for = sharing.reads
    shown = lines(verify(read_key(arrived)))
    for line in ("Reader tax (tax)", f"Subject {SUBJECT}", "Case number 2020-17", f"Grant {sharing.grant.hex()}"):
        assert line in shown, line
    unacknowledged = "Arrived not acknowledged: only asked for"
    assert unacknowledged not in shown
    assert unacknowledged in lines(verify(read_key(asked_for)))


def test_an_account_says_how_many_reads_there_were(verify: Show, chain: tuple[SharingChain, ChainStore]) -> None:
    assert "Reads 2" in lines(verify(account_key(LATER, SUBJECT)))
    shown = lines(verify(account_key(LATER, unit_code(77))))
    heading = f"Reads of {unit_code(77)} in Zoning ({LATER})"
    assert shown[shown.index(heading) + 1] == "proved: there is none"


def test_an_erasure_says_who_has_carried_it_out(verify: Show, chain: tuple[SharingChain, ChainStore]) -> None:
    record = chain[0].records[LATER].id
    shown = lines(verify(erasure_key("planning", record), erasure_key("tax", record)))
    assert f"Erasure of {record.hex()}, planning (planning)" in shown
    assert "Legal basis 个人信息保护法" in shown
    assert "Erased nobody has said so yet" in shown
    assert shown[shown.index(f"Erasure of {record.hex()}, tax (tax)") + 1] == "proved: there is none"


def test_the_catalogue_and_what_has_no_form_are_shown(verify: Show) -> None:
    shown = lines(verify(resource_key(LATER), version_key(LATER, 1), duty_key("planning", "A-1"), b"nplanning", b"g1"))
    for line in ("Newest schema version 1", "Public fields FLOORS", "Confidential fields OWNERS", "Value 00000001"):
        assert line in shown, line
    assert "Key 6731" in shown


def test_entries_stand_beside_answers(verify: Show, chain: tuple[SharingChain, ChainStore]) -> None:
    shown = lines(verify(grant_key(chain[0].grant), questions=(Question(LATER, SUBJECT),)))
    assert f"Subject: {SUBJECT}" in shown
    assert "FLOORS 12" in shown
    assert "Status active" in shown


def test_how_much_of_a_register_a_statement_is_about_is_said(
    verify: Show, chain: tuple[SharingChain, ChainStore]
) -> None:
    others = chain[0].consortium.genesis.registers["property"] + 4
    part = lines(verify(register_key("property"), questions=(Question(LATER, SUBJECT),)))
    text = f"The register property has {others + 1} resources; of {others} of them this statement says nothing."
    assert text in part
    whole = lines(verify(register_key("survey"), questions=(Question(NEW_REGISTER, SUBJECT),)))
    assert "Proved: these are all 1 resources of the register survey." in whole
    both = verify(register_key("survey"), register_key("tax"), options=("--output", "json"))
    assert both.json["registers"] == [
        {"register": "survey", "resources": 1, "answered": 0},
        {"register": "tax", "resources": chain[0].consortium.genesis.registers["tax"], "answered": 0},
    ]


def test_programs_are_told_the_same(verify: Show, chain: tuple[SharingChain, ChainStore]) -> None:
    grant, record = chain[0].grant, chain[0].records[LATER].id
    ran = verify(
        grant_key(grant), account_key(LATER, SUBJECT), erasure_key("tax", record), options=("--output", "json")
    )
    said = {entry["says"]["kind"]: entry["says"] for entry in ran.json["entries"]}
    assert (said["grant"]["grant"], said["grant"]["state"]["applicant"]) == (grant.hex(), "tax")
    assert said["grant"]["state"]["status"] == "GRANT_STATUS_ACTIVE"
    assert (said["reads"]["subject"], said["reads"]["state"]["count"]) == (SUBJECT, 2)
    assert said["erasure"] == {"kind": "erasure", "department": "tax", "record": record.hex(), "state": None}


def test_a_statement_of_entries_alone_is_taken_apart(
    verify: Show, huzheng: CommandLine, chain: tuple[SharingChain, ChainStore]
) -> None:
    verify(grant_key(chain[0].grant))
    ran = huzheng("receipt", "show", "s", "--output", "json")
    [entry] = ran.json["parts"]["entries"]
    assert (ran.json["kind"], entry["says"]["kind"]) == ("Statement", "grant")
    assert "entries" in huzheng("receipt", "show", "s").out


def test_a_statement_of_entries_alone_is_not_printed(huzheng: CommandLine, verify: Show) -> None:
    verify(b"nplanning")
    ran = huzheng("certificate", "--statement", "s", "-g", "g", "--out", "page.pdf", "--output", "json")
    assert ran.error["code"] == "BAD_FILE"

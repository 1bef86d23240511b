"""What `huzheng submit` reads, plans and journals, apart from any node."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from huzheng.v1 import transaction_pb2 as pb

from ledger.crypto import ED25519_SHA256
from ledger.errors import Code, HuzhengError
from ledger.transaction import check_transaction
from node.catalogue import Catalogue
from node.cli.submission.journal import Entry, Journal, State
from node.cli.submission.planning import FAULTS_NAMED, Head, Planner, digest_of, groups, survey
from node.cli.submission.reading import MAX_LINE_BYTES, InputCheck, InputRecord, RecordSource
from tests.builders import OBJECTION, Consortium, objection_fields, unit_code
from tests.confidential import dwelling

CONSORTIUM = Consortium(ED25519_SHA256)
CHAIN_ID = CONSORTIUM.genesis.chain_id


def line(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A valid record of planning."""
    return {"resource": OBJECTION, "subject": unit_code(number), "fields": objection_fields(number), **changes}


def relied(number: int, record_id: str | None = None) -> dict[str, Any]:
    """An entry of `relies_on`."""
    return {"resource": OBJECTION, "subject": unit_code(number), "record_id": record_id}


def read(text: str | bytes) -> list[InputRecord]:
    raw = text.encode() if isinstance(text, str) else text
    return list(RecordSource(io.BytesIO(raw), "input"))


def code_of(text: str | bytes) -> tuple[Code, str]:
    with pytest.raises(HuzhengError) as caught:
        read(text)
    return caught.value.code, caught.value.detail


def records(count: int) -> list[InputRecord]:
    return read("".join(json.dumps(line(number)) + "\n" for number in range(1, count + 1)))


def planner() -> Planner:
    return Planner(Catalogue(CONSORTIUM.genesis), "planning", CONSORTIUM.system_signers["planning"], 600_000)


# Reading


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(line()),
        json.dumps(line(), indent=2),
        json.dumps([line()]),
        "\ufeff" + json.dumps(line()) + "\r\n",
        "\n\n" + json.dumps(line()) + "\n\n",
    ],
)
def test_one_record_is_read_from_json_and_from_json_lines(text: str) -> None:
    found = read(text)
    assert [(record.position, record.resource, record.action) for record in found] == [(1, OBJECTION, "assert")]


def test_a_source_can_be_gone_through_twice() -> None:
    source = RecordSource(io.BytesIO(b"\n".join(json.dumps(line(n)).encode() for n in (1, 2, 3))), "input")
    assert [r.position for r in source] == [r.position for r in source] == [1, 2, 3]


def test_decimals_are_kept_as_written() -> None:
    (record,) = read(json.dumps(line()).replace('"YW-000001"', "71.10"))
    assert str(record.fields["YWH"]) == "71.10"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no record"),
        ("   \n", "no record"),
        ("hello", "neither JSON nor JSON Lines"),
        ("[", "not JSON"),
        ("[" * 100_000, "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (json.dumps(line()) + "\n{broken\n", "line 2"),
        (json.dumps(line()) + "\n" + "[" * 50_000 + "\n", "line 2"),
        (json.dumps(line()) + "\n[1]\n", "record 2: a record is a JSON object"),
        ('{"resource": "a", "resource": "b"}', "stands twice"),
        (json.dumps(line(extra=1)), "only these keys"),
        (json.dumps(line(action="delete")), "action is"),
        (json.dumps(line(version=0)), "version is"),
        (json.dumps(line(version="1")), "version is"),
        (json.dumps(line(replaces="12")), "replaces is"),
        (json.dumps(line(fields=[1])), "fields maps"),
        (json.dumps(line(fields={"YWH": {"a": 1}})), "fields maps"),
        (json.dumps(line(action="revoke")), "no fields"),
        (json.dumps({"resource": OBJECTION}), "resource and subject"),
        (json.dumps(line(relies_on={"resource": "a", "subject": "b"})), "relies_on is a list"),
        (json.dumps(line(relies_on=[{"resource": "a"}])), "relies_on is a list"),
        (json.dumps(line(relies_on=[{"resource": "a", "subject": 1}])), "relies_on is a list"),
        (json.dumps(line(relies_on=[{"resource": "a", "subject": "b", "record_id": "12"}])), "relies_on is a list"),
        (json.dumps(line(relies_on=[{"resource": "a", "subject": "b", "version": 1}])), "relies_on is a list"),
        (json.dumps(line(relies_on=[{"resource": "a", "subject": str(n)} for n in range(17)])), "at most 16"),
        (json.dumps(line(fields={"YWH": float("nan")})), "NaN"),
        ("9" * 10_000, "neither"),
        ('{"version": ' + "9" * 10_000 + "}", "not JSON"),
        (json.dumps(line()) + "\n" + " " * (MAX_LINE_BYTES + 10) + "\n", "too long"),
    ],
)
def test_what_is_no_input_is_refused_with_its_place(text: str | bytes, words: str) -> None:
    code, detail = code_of(text)
    assert code is Code.BAD_FILE
    assert words in detail


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"resource": "no.such"}, Code.UNKNOWN_RESOURCE),
        ({"resource": "tax.deed_tax"}, Code.NOT_OWNER),
        ({"subject": "110108"}, Code.BAD_SUBJECT),
        ({"fields": {**objection_fields(), "DJSJ": "2020-02-30"}}, Code.BAD_FIELD),
        ({"fields": {**objection_fields(), "NAME": "x"}}, Code.UNKNOWN_FIELD),
        ({"fields": {}}, Code.MISSING_FIELD),
        ({"fields": {**objection_fields(), "YWH": "11010519491231002X"}}, Code.PERSONAL_DATA),
        ({"relies_on": [{"resource": "no.such", "subject": "1"}]}, Code.UNKNOWN_RESOURCE),
        ({"relies_on": [{"resource": OBJECTION, "subject": "110108"}]}, Code.BAD_SUBJECT),
        ({"relies_on": [relied(2), relied(3), relied(2, "11" * 32)]}, Code.BAD_FILE),
    ],
)
def test_a_record_that_cannot_be_accepted_is_found_before_anything_is_sent(changes: dict[str, Any], code: Code) -> None:
    check = InputCheck(Catalogue(CONSORTIUM.genesis), "planning")
    (_, bad) = read(json.dumps([line(), line(**changes)]))
    with pytest.raises(HuzhengError) as caught:
        check.check(bad)
    assert caught.value.code is code
    assert "record 2" in caught.value.detail


def test_what_is_relied_on_is_no_way_around_the_check_for_personal_data() -> None:
    named = dwelling()
    named.subject.pattern, named.subject.max_bytes = "", 64
    check = InputCheck(Catalogue(Consortium(ED25519_SHA256, more_resources=[named]).genesis), "planning")
    (bad,) = read(json.dumps(line(relies_on=[{"resource": named.name, "subject": "11010519491231002X"}])))
    with pytest.raises(HuzhengError) as caught:
        check.check(bad)
    assert (caught.value.code, caught.value.detail) == (Code.PERSONAL_DATA, "record 1: relies_on")


def test_an_error_never_repeats_a_value() -> None:
    (bad,) = read(json.dumps(line(fields={"11010519491231002X": "11010519491231002X"})))
    with pytest.raises(HuzhengError) as caught:
        InputCheck(Catalogue(CONSORTIUM.genesis), "planning").check(bad)
    assert "1101" not in str(caught.value)


# Planning


def test_the_first_version_replaces_nothing_and_the_next_replaces_it() -> None:
    (record,) = records(1)
    first = planner().build(record, {})
    second = planner().build(record, {first.about: first.head})
    assert (first.head.version, second.head.version) == (1, 2)
    assert second.head.record_id != first.head.record_id


@pytest.mark.parametrize(
    ("changes", "head", "code"),
    [
        ({"version": 2}, None, Code.VERSION_CONFLICT),
        ({"version": 1}, Head(1, bytes(32)), Code.VERSION_CONFLICT),
        ({"replaces": "11" * 32}, Head(1, bytes(32)), Code.VERSION_CONFLICT),
        ({"action": "revoke", "fields": {}}, None, Code.NOTHING_TO_REVOKE),
    ],
)
def test_a_version_that_does_not_follow_is_refused(changes: dict[str, Any], head: Head | None, code: Code) -> None:
    (record,) = read(json.dumps(line(**changes)))
    with pytest.raises(HuzhengError) as caught:
        planner().build(record, {record.about: head})
    assert caught.value.code is code


def test_a_record_relies_on_the_newest_version_or_on_the_one_that_is_named() -> None:
    (record,) = read(json.dumps(line(1, relies_on=[relied(3), relied(2, "22" * 32)])))
    built = planner().build(record, {(OBJECTION, unit_code(3)): Head(4, b"3" * 32)})
    found = pb.Record.FromString(built.built.raw).relies_on
    assert [(one.subject, one.record_id) for one in found] == [
        (unit_code(2), bytes.fromhex("22" * 32)),
        (unit_code(3), b"3" * 32),
    ]
    signed = planner().sign([record], [built], CONSORTIUM.now_ms)
    assert check_transaction(signed.entry.transaction, CONSORTIUM.genesis).records[0].id == built.built.id
    assert planner().rebuilt(signed.entry).touched == signed.touched == planner().touched([record])


@pytest.mark.parametrize("head", [None, Head(2, b"3" * 32, asserts=False)])
def test_nothing_is_signed_that_relies_on_what_is_not_in_force(head: Head | None) -> None:
    (record,) = read(json.dumps(line(1, relies_on=[relied(3)])))
    with pytest.raises(HuzhengError) as caught:
        planner().build(record, {(OBJECTION, unit_code(3)): head})
    assert caught.value.code is Code.RELIED_NOT_CURRENT
    assert unit_code(3) in caught.value.detail


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([line(1)], [line(1)], True),
        ([line(1)], [line(2)], False),
        ([line(1)], [line(2, relies_on=[relied(1)])], True),
        ([line(2, relies_on=[relied(1)])], [line(1)], True),
        ([line(2, relies_on=[relied(1)])], [line(3, relies_on=[relied(1, "11" * 32)])], False),
    ],
)
def test_order_matters_between_versions_and_between_a_record_and_what_relies_on_it(
    one: list[Any], other: list[Any], expected: bool
) -> None:
    first, second = (planner().touched(read(json.dumps(lines))) for lines in (one, other))
    assert first.order_matters(second) is expected


def test_what_is_signed_is_well_formed_and_in_the_journal_whole() -> None:
    inputs = records(3)
    built = [planner().build(record, {}) for record in inputs]
    signed = planner().sign(inputs, built, CONSORTIUM.now_ms)
    checked = check_transaction(signed.entry.transaction, CONSORTIUM.genesis)
    assert checked.id == signed.entry.transaction_id
    assert (signed.entry.first, signed.entry.last) == (1, 3)
    again = planner().rebuilt(signed.entry)
    assert [record.head for record in again.records] == [record.head for record in built]
    assert [record.about for record in again.records] == [record.about for record in built]


def test_a_lifetime_is_at_most_half_of_what_the_network_allows() -> None:
    generous = Planner(Catalogue(CONSORTIUM.genesis), "planning", CONSORTIUM.system_signers["planning"], 10**12)
    assert generous.lifetime_ms == CONSORTIUM.genesis.parameters.max_lifetime_ms // 2


def test_a_transaction_never_outgrows_the_limit() -> None:
    inputs = records(300)
    built = [planner().build(record, {}) for record in inputs] * 100
    count = planner().fitting(built)
    assert 300 < count < len(built)
    signed = planner().sign((inputs * 100)[:count], built[:count], CONSORTIUM.now_ms)
    limit = CONSORTIUM.genesis.parameters.max_transaction_bytes
    assert limit * 0.9 < len(signed.entry.transaction) <= limit


def test_groups_leave_out_what_is_settled() -> None:
    found = [[r.position for r in group] for group in groups(records(10), [(3, 4), (8, 8)], 3)]
    assert found == [[1, 2], [5, 6, 7], [9, 10]]


def entry_for(inputs: list[InputRecord], state: State = State.OPEN) -> Entry:
    return Entry(bytes(32), inputs[0].position, inputs[-1].position, digest_of(inputs), b"raw", 1, state)


def test_a_survey_counts_what_is_on_chain_already() -> None:
    inputs = records(5)
    check = InputCheck(Catalogue(CONSORTIUM.genesis), "planning")
    found = survey(inputs, [entry_for(inputs[:2], State.ACCEPTED), entry_for(inputs[3:4])], check)
    assert (found.count, found.standing_accepted) == (5, 2)


def test_an_input_with_several_faults_names_them_all_at_once() -> None:
    check = InputCheck(Catalogue(CONSORTIUM.genesis), "planning")
    bad = line(2, resource="no.such")
    with pytest.raises(HuzhengError) as caught:
        survey(read(json.dumps([bad, line(), line(3, subject="110108")])), [], check)
    assert caught.value.code is Code.UNKNOWN_RESOURCE
    assert [text.split(":")[0] for text in caught.value.detail.splitlines()] == [
        "",
        "UNKNOWN_RESOURCE, record 1",
        "BAD_SUBJECT, record 3",
    ]
    with pytest.raises(HuzhengError) as caught:
        survey(read(json.dumps([bad] * 100)), [], check)
    assert len(caught.value.detail.splitlines()) == FAULTS_NAMED + 2


def test_a_changed_or_shortened_input_is_not_taken_for_the_one_in_the_journal() -> None:
    inputs = records(5)
    check = InputCheck(Catalogue(CONSORTIUM.genesis), "planning")
    for other in (records(4), [*inputs[:4], read(json.dumps([line(n) for n in (1, 2, 3, 4, 9)]))[4]]):
        with pytest.raises(HuzhengError) as caught:
            survey(other, [entry_for(inputs[3:5])], check)
        assert caught.value.code is Code.JOURNAL_MISMATCH


# The journal


def open_journal(path: Path, chain_id: bytes = CHAIN_ID, department: str = "planning") -> Journal:
    return Journal.open(path, chain_id, department)


def new_entry(number: int = 1) -> Entry:
    return Entry(bytes([number]) * 32, number, number, bytes(32), b"raw", 5)


def test_what_was_signed_is_there_after_a_restart(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j")
    first, second, third = new_entry(1), new_entry(2), new_entry(3)
    for entry in (first, second, third):
        journal.signed(entry)
    journal.settled(first, State.ACCEPTED)
    journal.settled(second, State.EXPIRED)
    assert [entry.transaction for entry in journal.entries.values()] == [b"", b"", third.transaction]
    journal.close()
    again = open_journal(tmp_path / "j")
    assert [(e.transaction_id, e.state) for e in again.standing()] == [
        (first.transaction_id, State.ACCEPTED),
        (third.transaction_id, State.OPEN),
    ]
    assert [e.transaction for e in again.standing()] == [b"", third.transaction], "only what is to be sent again"
    again.close()


@pytest.mark.parametrize("rest", [b'{"signed": "ab', b"\0" * 50, b'{"signed": "ab\0\0\0\0\n\0\0'])
def test_half_a_line_left_by_a_crash_is_dropped(tmp_path: Path, rest: bytes) -> None:
    path = tmp_path / "j"
    journal = open_journal(path)
    journal.signed(new_entry())
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole + rest)
    again = open_journal(path)
    again.signed(new_entry(2))
    again.close()
    assert path.read_bytes().startswith(whole)
    last = open_journal(path)
    assert len(last.entries) == 2
    last.close()


@pytest.mark.parametrize(
    "content",
    [
        b"hello\nworld\n",
        b"[]\n",
        b'{"huzheng_journal": 1, "chain_id": "00", "department": "planning"}\n',
    ],
)
def test_a_file_that_is_not_this_journal_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "j"
    path.write_bytes(content)
    with pytest.raises(HuzhengError) as caught:
        open_journal(path)
    assert caught.value.code is Code.JOURNAL_MISMATCH
    assert path.read_bytes() == content


def test_a_run_that_signed_nothing_leaves_the_input_to_any_other(tmp_path: Path) -> None:
    open_journal(tmp_path / "j", CHAIN_ID, "tax").close()
    journal = open_journal(tmp_path / "j", CHAIN_ID, "planning")
    journal.signed(new_entry())
    journal.close()
    again = open_journal(tmp_path / "j", CHAIN_ID, "planning")
    assert len(again.entries) == 1
    again.close()


def test_the_journal_of_another_chain_or_department_is_refused(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j")
    journal.signed(new_entry())
    journal.close()
    for arguments in ((bytes(32), "planning"), (CHAIN_ID, "tax")):
        with pytest.raises(HuzhengError) as caught:
            open_journal(tmp_path / "j", *arguments)
        assert caught.value.code is Code.JOURNAL_MISMATCH


def test_two_runs_cannot_use_one_journal_at_once(tmp_path: Path) -> None:
    first = open_journal(tmp_path / "j")
    with pytest.raises(HuzhengError) as caught:
        open_journal(tmp_path / "j")
    assert caught.value.code is Code.JOURNAL_IN_USE
    first.close()
    open_journal(tmp_path / "j").close()

"""`huzheng verify` and `huzheng receipt show` of disclosures: what they show, to whom, and how they end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from huzheng.v1 import disclosure_pb2

from ledger.commitments import SecretField, confidential_root
from ledger.crypto import strict
from ledger.disclosure import build_disclosure
from tests.command_line import CommandLine
from tests.confidential import (
    DWELLING,
    OWNER,
    PLOT,
    PRICE,
    SHARE,
    VALUES,
    consortium,
    dwelling_record,
    receipt_of,
)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LANG", "LC_ALL", "LC_MESSAGES", "COLUMNS", "HUZHENG_PROFILE", "HUZHENG_GENESIS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def huzheng(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@dataclass(frozen=True, slots=True)
class Files:
    """A genesis, and disclosures of one of its records and of one that was made against the rules."""

    genesis: Path
    disclosure: Path
    lie: Path
    record_id: str


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    directory = tmp_path_factory.mktemp("disclosures")
    of = consortium()
    record = dwelling_record(of)
    raw = build_disclosure(of.genesis, receipt_of(of, record), record.secrets, [OWNER, PRICE, SHARE])
    wrong = [record.secrets[0], SecretField(PRICE, "priceless", bytes(16)), *record.secrets[2:]]
    root = confidential_root(of.suite, wrong)
    odd = of.odd_record(record.payload, resource=DWELLING, subject=PLOT, schema_version=1, confidential_root=root)
    (directory / "genesis.bin").write_bytes(of.genesis.raw)
    (directory / "flat.disclosure").write_bytes(raw)
    (directory / "lie").write_bytes(build_disclosure(of.genesis, receipt_of(of, odd), wrong, [PRICE]))
    return Files(directory / "genesis.bin", directory / "flat.disclosure", directory / "lie", record.id.hex())


def test_the_fields_are_shown_with_their_titles(huzheng: CommandLine, files: Files) -> None:
    ran = huzheng("verify", files.disclosure, "-g", files.genesis)
    assert ran.status == 0
    assert "VALID: this record is on the chain." in ran.out
    for title, value in (("Owner (OWNER)", "张三"), ("Price (PRICE)", "1200000.50"), ("Share (SHARE)", "no value")):
        [line] = [line for line in ran.out.splitlines() if title in line]
        assert line.rstrip().endswith(value)
    assert VALUES["NOTE"] not in ran.out
    assert "hand this file to nobody" in ran.err


def test_in_chinese_they_have_their_chinese_titles(huzheng: CommandLine, files: Files) -> None:
    ran = huzheng("verify", files.disclosure, "-g", files.genesis, "--lang", "zh")
    assert "权利人 (OWNER)" in ran.out
    assert "保密字段" in ran.out
    assert "无值" in ran.out


def test_programs_get_them_by_name(huzheng: CommandLine, files: Files) -> None:
    view = huzheng("verify", files.disclosure, "-g", files.genesis, "-o", "json").json
    assert view["confidential"] == {"OWNER": "张三", "PRICE": "1200000.50", "SHARE": None}
    assert (view["valid"], view["accepted"], view["record"]["id"]) == (True, True, files.record_id)


def test_one_without_fields_is_a_disclosure_too(huzheng: CommandLine, files: Files, tmp_path: Path) -> None:
    message = strict.read(disclosure_pb2.Disclosure, files.disclosure.read_bytes())
    del message.fields[:]
    path = tmp_path / "none"
    path.write_bytes(strict.write(message))
    ran = huzheng("verify", path, "-g", files.genesis)
    assert (ran.status, "VALID: this record is on the chain." in ran.out) == (0, True)
    assert "It shows no confidential field." in ran.err
    assert huzheng("verify", path, "-g", files.genesis, "-o", "json").json["confidential"] == {}
    assert huzheng("receipt", "show", path, "-o", "json").json["kind"] == "Disclosure"


def test_a_changed_one_proves_nothing_and_nothing_of_it_is_shown(
    huzheng: CommandLine, files: Files, tmp_path: Path
) -> None:
    message = strict.read(disclosure_pb2.Disclosure, files.disclosure.read_bytes())
    message.fields[1].value = "99.00"
    (tmp_path / "changed").write_bytes(strict.write(message))
    ran = huzheng("verify", tmp_path / "changed", "-g", files.genesis)
    assert ran.status == 4
    assert "NOT PROVEN" in ran.out
    assert "BAD_PROOF" in ran.err
    assert not any(value in ran.out + ran.err for value in ("99.00", *VALUES.values()))


def test_of_a_value_that_does_not_fit_the_field_is_named_and_the_value_is_not(
    huzheng: CommandLine, files: Files
) -> None:
    ran = huzheng("verify", files.lie, "-g", files.genesis)
    assert ran.status == 4
    assert "BAD_FIELD" in ran.err
    assert "PRICE" in ran.err
    assert "priceless" not in ran.out + ran.err


def test_an_age_can_not_be_asked_of_it(huzheng: CommandLine, files: Files) -> None:
    ran = huzheng("verify", files.disclosure, "-g", files.genesis, "--max-age", "1h")
    assert ran.status != 0
    assert "INVALID_REQUEST" in ran.err


def test_it_is_taken_apart_down_to_its_salts(huzheng: CommandLine, files: Files) -> None:
    view = huzheng("receipt", "show", files.disclosure, "-o", "json").json
    assert view["kind"] == "Disclosure"
    assert view["bytes"] == files.disclosure.stat().st_size
    assert [field["number"] for field in view["parts"]["fields"]] == [OWNER, PRICE, SHARE]
    assert view["parts"]["receipt"]["record"]["record"]["resource"] == DWELLING

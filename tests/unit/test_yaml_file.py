"""Catalogue files in YAML: the same as in TOML, with the line of each mistake, and nothing of YAML that means two things."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import Code, HuzhengError
from node.catalogue_file import default_catalogue, load_catalogue, to_yaml
from node.yaml_file import YamlFile, write_yaml

GOOD = """\
codes:
  ZT:
    1: {zh: 是, en: "yes"}
    2: {zh: 否, en: no}
duty:
  - code: SW-01
    department: water
    zh: 供水
    en: water supply
    legal_basis: 城市供水条例第七条
resource:
  - name: water.account
    zh: 用水账户
    en: water account
    department: water
    sharing: none
    schema_version: 3
    duty: SW-01
    update_cycle_days: 7
    subject: {zh: 户号, en: account, type: text, max_bytes: 12, pattern: "[0-9]{12}"}
    field:
      - {number: 1, name: ZT, zh: 状态, en: status, type: code, codes: ZT, required: true}
      - {number: 2, name: HM, zh: 户名, en: name, type: text, max_bytes: 64, confidential: true}
table:
  - resource: water.account
    system: 供水系统
    name: YH
    columns: {ZT: ZT, HM: HM}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.yaml"


def mistakes(path: Path, text: str) -> list[str]:
    """What is said of a file, after its name."""
    path.write_text(text, encoding="utf-8")
    with pytest.raises(HuzhengError) as caught:
        load_catalogue(path)
    assert caught.value.code in (Code.BAD_CATALOGUE, Code.CONFIG_INVALID)
    return caught.value.detail.removeprefix(f"{path}").removeprefix(": ").strip().splitlines()


def test_a_file_becomes_duties_resources_and_tables(path: Path) -> None:
    path.write_text(GOOD, encoding="utf-8")
    found = load_catalogue(path)
    assert [duty.legal_basis for duty in found.duties] == ["城市供水条例第七条"]
    (resource,) = found.resources
    assert (resource.duty, resource.update_cycle_days) == ("SW-01", 7)
    assert [spec.confidential for spec in resource.fields] == [False, True]
    assert list(resource.fields[0].codes) == ["1", "2"]
    # `no` is a word.
    assert found.code_titles["ZT"]["2"].en == "no"
    (table,) = found.tables
    assert [(column.field, column.name) for column in table.columns] == [(1, "ZT"), (2, "HM")]


def test_the_sample_catalogue_survives_yaml(path: Path) -> None:
    first = default_catalogue()
    path.write_text(to_yaml(first.resources, first.duties, first.tables), encoding="utf-8")
    again = load_catalogue(path)
    assert (again.resources, again.duties, again.tables) == (first.resources, first.duties, first.tables)


@pytest.mark.parametrize(
    "text",
    ["no", "yes", "1", "-7", "0123", "1.5", "null", "~", "", "2020-01-02", "12:30", "true", "a: b", "# x", " x "],
)
def test_text_stays_text(path: Path, text: str) -> None:
    path.write_text(write_yaml({"a": {"b": text}}), encoding="utf-8")
    assert YamlFile.read(path).named_tables("a") == {"b": text}


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("department: water\n    sharing", "department: Wasser\n    sharing", "line 15: water.account: department"),
        ("    en: water account\n", "", "line 12: resource.1.en: missing"),
        ("sharing: none", "sharing: all", "line 16: resource.1.sharing: not one of"),
        ("sharing: none", "sharing: none\n    colour: red", "line 17: resource.1.colour: unknown setting"),
        ("schema_version: 3", "schema_version: three", "line 17: resource.1.schema_version"),
        ("schema_version: 3", 'schema_version: "3"', "line 17: resource.1.schema_version"),
        ("type: code, codes: ZT", "type: code, codes: XY", "line 22: water.account: field ZT: there is no section"),
        ("type: text, max_bytes: 64", "type: txt", "line 23: water.account: field 2.type: not one of"),
        ("number: 2", "number: 1", "line 12: water.account: the fields' numbers"),
        ("max_bytes: 64", "max_bytes: 0", "line 23: water.account: field HM: max_bytes"),
        ("code: SW-01", "code: SW 01", "line 5: duty SW 01: code must be"),
        ("  - code: SW-01\n    department: water\n", "  - code: SW-01\n", "line 6: duty.1.department: missing"),
        ("columns: {ZT: ZT", "columns: {ZZ: ZT", "line 25: table YH: water.account has no field ZZ"),
        ("resource: water.account", "resource: water.meter", "line 25: table YH: there is no resource"),
        ("codes:", "code:", "line 1: [code]: unknown section; did you mean codes?"),
        ("duty:\n", "duties:\n", "line 5: [duties]: unknown section"),
    ],
)
def test_a_mistake_is_named_with_its_line(path: Path, old: str, new: str, named: str) -> None:
    assert old in GOOD
    found = mistakes(path, GOOD.replace(old, new, 1))
    assert any(line.startswith(named) for line in found), found


def test_all_mistakes_are_named_at_once(path: Path) -> None:
    bad = GOOD.replace("sharing: none", "sharing: all").replace("    en: water supply\n", "")
    assert {"line 15", "line 6"} <= {line.split(":")[0] for line in mistakes(path, bad)}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a: [1", "not YAML: line"),
        ("a: 1\na: 2", "not YAML: line 2: a key twice"),
        ("a: &x {b: 1}\nc: *x", "not YAML: line 1: an alias"),
        ("a: !!python/object:os.system {}", "not YAML: line 1: a tag"),
        ("a: !x 1", "not YAML: line 1: a tag"),
        ("? [1, 2]\n: x", "not YAML: line 1: a key that is no text"),
        ("a: 1\n---\nb: 2", "not YAML: line 2"),
        ("- a", "line 1: no map"),
        ("word", "line 1: no map"),
        ("a: \t{", "not YAML: line"),
        ("\x07", "not YAML"),
        ("[" * 5_000, "not YAML"),
        ("", "line 1: [[resource]]: there must be at least one"),
    ],
)
def test_what_could_mean_two_things_or_nothing_is_refused(path: Path, text: str, named: str) -> None:
    assert mistakes(path, text)[0].startswith(named)


def test_a_file_full_of_references_to_itself_is_refused_at_once(path: Path) -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
    assert "alias" in mistakes(path, "\n".join(lines))[0]


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"#" * (1 << 21)], ids=["missing", "not UTF-8", "too large"])
def test_what_is_no_file_of_text_is_refused(path: Path, content: bytes | None) -> None:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HuzhengError) as caught:
        load_catalogue(path)
    assert caught.value.code is (Code.CONFIG_MISSING if content is None else Code.CONFIG_INVALID)

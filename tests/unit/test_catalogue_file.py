"""Catalogue files: the default one keeps its promises, and a bad one is told all its faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from huzheng.v1 import catalogue_pb2 as pb

from ledger.catalogue import CompiledResource
from ledger.errors import Code, HuzhengError
from node.catalogue_file import default_catalogue, load_catalogue

DEFAULT = default_catalogue()
GOOD = """
[codes.ZT]
1 = { zh = "是", en = "yes" }
10 = { zh = "十", en = "ten" }
2 = { zh = "否", en = "no" }

[[resource]]
name = "water.account"
zh = "用水账户"
en = "water account"
department = "water"
sharing = "none"
schema_version = 3
subject = { zh = "户号", en = "account", type = "text", max_bytes = 12, pattern = "[0-9]{12}" }
field = [{ number = 1, name = "ZT", zh = "状态", en = "status", type = "code", codes = "ZT", required = true }]
"""


def test_the_default_catalogue_is_valid_and_in_order() -> None:
    names = [CompiledResource(resource).name for resource in DEFAULT.resources]
    assert names == sorted(names)
    assert {resource.department for resource in DEFAULT.resources} == {"planning", "tax", "housing", "police"}


def test_no_public_field_of_the_default_catalogue_takes_free_text() -> None:
    for resource in DEFAULT.resources:
        for spec in (resource.subject, *(spec for spec in resource.fields if not spec.confidential)):
            assert spec.type != pb.FIELD_TYPE_TEXT or spec.pattern, (resource.name, spec.name)


@pytest.mark.parametrize("name", ["DJYY", "DBR", "CFWH"])
def test_fields_that_nobody_else_needs_are_left_out(name: str) -> None:
    assert all(spec.name != name for resource in DEFAULT.resources for spec in resource.fields)


@pytest.mark.parametrize("name", ["QLRMC", "QLRZJZL", "QLRZJH", "FDZL", "FDCJYJG", "BDBZZQSE", "DYR", "DYRZJH"])
def test_fields_that_tell_about_a_person_are_confidential(name: str) -> None:
    found = [spec for resource in DEFAULT.resources for spec in resource.fields if spec.name == name]
    assert found
    assert all(spec.confidential for spec in found)


def test_every_resource_of_the_default_catalogue_has_a_duty_a_cycle_and_a_table() -> None:
    duties = {(duty.department, duty.code) for duty in DEFAULT.duties}
    tables = {table.resource for table in DEFAULT.tables}
    for resource in DEFAULT.resources:
        assert (resource.department, resource.duty) in duties
        assert resource.update_cycle_days
        assert resource.name in tables


def test_every_field_of_a_name_has_one_type_everywhere() -> None:
    kinds: dict[str, set[tuple[object, ...]]] = {}
    for resource in DEFAULT.resources:
        for spec in resource.fields:
            kinds.setdefault(spec.name, set()).add((spec.type, spec.pattern, tuple(spec.codes), spec.max_bytes))
    assert all(len(kind) == 1 for kind in kinds.values())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.toml"


def test_a_file_becomes_a_resource_with_codes_in_order(path: Path) -> None:
    path.write_text(GOOD, encoding="utf-8")
    catalogue = load_catalogue(path)
    (resource,) = catalogue.resources
    assert resource.sharing_class == pb.SHARING_CLASS_NONE
    assert resource.schema_version == 3
    assert resource.subject.required
    assert list(resource.fields[0].codes) == ["1", "10", "2"]
    assert catalogue.code_titles["ZT"]["10"].en == "ten"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (GOOD, "", "[[resource]]: there must be at least one"),
        (GOOD, "resource = 3", "[[resource]]"),
        (GOOD, "resource = [3]", "[resource.1]"),
        ("[codes.ZT]", "[code.ZT]", "[code]: unknown section"),
        ("[codes.ZT]\n1", "codes = 3\n[x]\n1", "[codes]: not a section"),
        ("[codes.ZT]", "[codes]\nXY = 3\n[codes.ZT]", "[codes.XY]: not a section"),
        ('{ zh = "是", en = "yes" }', '"yes"', "[codes.ZT.1]"),
        ('en = "yes"', 'fr = "oui"', "codes.ZT.1.fr: unknown"),
        ('department = "water"', "", "resource.1.department: missing"),
        ('department = "water"', 'department = "Wasser"', "water.account: department"),
        ('sharing = "none"', 'sharing = "all"', "resource.1.sharing"),
        ("schema_version = 3", "schema_version = '3'", "resource.1.schema_version"),
        ("schema_version = 3", "schema_version = -3", "resource.1.schema_version"),
        ("schema_version = 3", "schema_version = 3\ncolour = 1", "resource.1.colour: unknown"),
        ("max_bytes = 12, ", "", "water.account: subject: max_bytes"),
        ("[0-9]{12}", "[0-9]{12", "water.account: subject: pattern: position 9"),
        ('type = "text"', 'type = "txt"', "water.account: subject.type"),
        ('codes = "ZT"', 'codes = "XY"', "water.account: field ZT: there is no section [codes.XY]"),
        ("number = 1", "number = 0", "water.account: field ZT: number"),
        ("number = 1, ", "", "water.account: field 1.number: missing"),
    ],
)
def test_a_mistake_is_named_with_its_place(path: Path, old: str, new: str, named: str) -> None:
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(HuzhengError) as caught:
        load_catalogue(path)
    assert caught.value.code == Code.BAD_CATALOGUE
    assert caught.value.detail.startswith(str(path))
    assert named in caught.value.detail


def test_all_mistakes_are_named_at_once(path: Path) -> None:
    bad = GOOD.replace('zh = "用水账户"', "").replace('type = "text"', 'type = "txt"').replace(', en = "ten"', "")
    path.write_text(bad.replace("schema_version = 3", "schema_version = 'x'"), encoding="utf-8")
    with pytest.raises(HuzhengError) as caught:
        load_catalogue(path)
    assert all(part in caught.value.detail for part in ("1.zh: missing", "schema_version", "codes.ZT.10"))


def test_a_resource_named_twice_is_refused(path: Path) -> None:
    path.write_text(GOOD + GOOD[GOOD.index("[[resource]]") :], encoding="utf-8")
    with pytest.raises(HuzhengError, match="two resources"):
        load_catalogue(path)


@pytest.mark.parametrize(
    "content",
    [None, b"\xff\xfe", b"#" * (1 << 21), b"[[resource]"],
    ids=["missing", "not UTF-8", "too large", "not TOML"],
)
def test_what_is_no_toml_file_is_refused(path: Path, content: bytes | None) -> None:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HuzhengError) as caught:
        load_catalogue(path)
    assert caught.value.code in (Code.CONFIG_MISSING, Code.CONFIG_INVALID)

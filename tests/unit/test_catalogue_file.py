"""Catalogue files: the default one keeps its promises, and a bad one is told all its faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from huzheng.v1 import catalogue_pb2 as pb

from ledger.catalogue import CompiledResource
from ledger.errors import Code, HuzhengError
from node.catalogue_file import default_catalogue, load_catalogue, read_catalogue

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


def test_no_field_of_the_default_catalogue_takes_free_text() -> None:
    for resource in DEFAULT.resources:
        for spec in (resource.subject, *resource.fields):
            assert spec.type != pb.FIELD_TYPE_TEXT or spec.pattern, (resource.name, spec.name)


@pytest.mark.parametrize("name", ["QLRMC", "QLRZJH", "FDZL", "FDCJYJG", "DJYY", "DBR", "BDBZZQSE", "DYR", "CFWH"])
def test_fields_that_tell_about_a_person_are_left_out(name: str) -> None:
    assert all(spec.name != name for resource in DEFAULT.resources for spec in resource.fields)


def test_every_field_of_a_name_has_one_type_everywhere() -> None:
    kinds: dict[str, set[tuple[object, ...]]] = {}
    for resource in DEFAULT.resources:
        for spec in resource.fields:
            kinds.setdefault(spec.name, set()).add((spec.type, spec.pattern, tuple(spec.codes), spec.max_bytes))
    assert all(len(kind) == 1 for kind in kinds.values())


def test_a_file_becomes_a_resource_with_codes_in_order() -> None:
    (resource,) = read_catalogue(GOOD, "good.toml").resources
    assert resource.sharing_class == pb.SHARING_CLASS_NONE
    assert resource.schema_version == 3
    assert resource.subject.required
    assert list(resource.fields[0].codes) == ["1", "10", "2"]
    assert read_catalogue(GOOD, "good.toml").code_titles["ZT"]["10"].en == "ten"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (GOOD, "", "at least one [[resource]]"),
        (GOOD, "resource = 3", "at least one [[resource]]"),
        (GOOD, "resource = [3]", "resource 1: must be a table"),
        (GOOD, "[[resource]", "is not TOML"),
        ("[codes.ZT]", "[code.ZT]", "code: is not a setting"),
        ("[codes.ZT]\n1", "codes = 3\n[x]\n1", "codes: must be a table"),
        ('{ zh = "是", en = "yes" }', '"yes"', "codes.ZT.1: must be a table"),
        ('en = "yes"', 'fr = "oui"', "codes.ZT.1: fr is not a setting"),
        ('department = "water"', "", "water.account: department is missing"),
        ('department = "water"', 'department = "Wasser"', "water.account: department"),
        ('sharing = "none"', 'sharing = "all"', "water.account: sharing"),
        ("schema_version = 3", "schema_version = '3'", "water.account: schema_version"),
        ("schema_version = 3", "schema_version = -3", "water.account: schema_version"),
        ("schema_version = 3", "schema_version = 3\ncolour = 1", "water.account: colour"),
        ("max_bytes = 12, ", "", "subject: max_bytes"),
        ("[0-9]{12}", "[0-9]{12", "subject: pattern: position 9"),
        ('type = "code"', 'type = "list"', "field ZT: type must be one of"),
        ('codes = "ZT"', 'codes = "XY"', "field ZT: there is no code list"),
        ("number = 1", "number = 0", "field ZT: number"),
        ("number = 1, ", "", "field ZT: number is missing"),
    ],
)
def test_a_fault_is_named_with_its_place(old: str, new: str, named: str) -> None:
    with pytest.raises(HuzhengError) as caught:
        read_catalogue(GOOD.replace(old, new), "bad.toml")
    assert caught.value.code == Code.BAD_CATALOGUE
    assert caught.value.detail.startswith("bad.toml: ")
    assert named in caught.value.detail


def test_all_faults_are_named_at_once() -> None:
    bad = GOOD.replace('zh = "用水账户"', "").replace('type = "text"', 'type = "txt"').replace(', en = "ten"', "")
    with pytest.raises(HuzhengError) as caught:
        read_catalogue(bad.replace("schema_version = 3", "schema_version = 'x'"), "bad.toml")
    assert all(part in caught.value.detail for part in ("zh is missing", "schema_version", "codes.ZT.10"))


def test_a_resource_named_twice_is_refused() -> None:
    twice = GOOD + GOOD[GOOD.index("[[resource]]") :]
    with pytest.raises(HuzhengError, match="more than once"):
        read_catalogue(twice, "twice.toml")


@pytest.mark.parametrize(
    ("content", "named"),
    [(None, "cannot be read"), (b"\xff\xfe", "is not UTF-8 at byte 0"), (b"#" * (1 << 21), "is larger than")],
    ids=["missing", "not UTF-8", "too large"],
)
def test_what_is_no_catalogue_file_is_refused(tmp_path: Path, content: bytes | None, named: str) -> None:
    path = tmp_path / "catalogue.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HuzhengError, match=named):
        load_catalogue(path)


def test_a_catalogue_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.toml"
    path.write_text(GOOD, encoding="utf-8")
    assert load_catalogue(path).resources[0].name == "water.account"

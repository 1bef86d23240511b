"""`huzheng catalogue`, and writing and reading in what it published, with a running node."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.network import Network
from tests.builders import unit_code
from tests.certificates import FEW_FIELDS
from tests.command_line import CommandLine, write_lines

PERMIT = """
duty:
  - {code: GH-01, department: planning, zh: 规划许可, en: planning permits, legal_basis: 城乡规划法第四十条}
resource:
  - name: property.permit
    zh: 建设工程规划许可
    en: planning permit
    department: planning
    sharing: conditional
    schema_version: 1
    duty: GH-01
    update_cycle_days: 30
    subject: {zh: 不动产单元代码, en: property unit code, type: property_unit_code}
    field:
      - {number: 1, name: XKBH, zh: 许可编号, en: permit number, type: text, max_bytes: 32, pattern: '[0-9A-Z]+', required: true}
      - {number: 2, name: JZMJ, zh: 建筑面积, en: floor area, type: decimal, scale: 2}
table:
  - {resource: property.permit, system: 规划系统, name: GHXK, columns: {XKBH: BH, JZMJ: MJ}}
"""


@pytest.fixture
def profile(network: Network) -> tuple[str, Path]:
    return "--profile", network.clients["planning"] / "system"


def second() -> str:
    lines = PERMIT.replace("schema_version: 1", "schema_version: 2").splitlines()
    at = next(number for number, line in enumerate(lines) if "number: 2" in line)
    lines.insert(at + 1, "      - {number: 3, name: CS, zh: 层数, en: floors, type: integer}")
    return "\n".join(lines) + "\n"


def permits(path: Path, *numbers: int, floors: int | None = None) -> Path:
    fields = {"XKBH": "GH2026"} | ({} if floors is None else {"CS": floors})
    return write_lines(
        path, [{"resource": "property.permit", "subject": unit_code(n), "fields": fields} for n in numbers]
    )


def test_what_is_published_is_listed_written_read_amended_and_withdrawn(
    huzheng: CommandLine, network: Network, profile: tuple[str, Path], tmp_path: Path
) -> None:
    file = tmp_path / "permit.yaml"
    file.write_text(PERMIT, encoding="utf-8")
    before = huzheng("record", "list", "property.permit", *profile, "-o", "json")
    assert before.error["code"] == "UNKNOWN_RESOURCE"
    unasked = huzheng("catalogue", "publish", file, *profile, "-o", "json")
    assert unasked.error["code"] == "INVALID_REQUEST"
    published = huzheng("catalogue", "publish", file, *profile, "--yes", "-o", "json").json
    assert [(change["kind"], change["new"]) for change in published["changes"]] == [
        ("duty", True),
        ("resource", True),
        ("table", True),
    ]
    assert len(published["transactions"]) == 1
    again = huzheng("catalogue", "publish", file, *profile)
    assert "Nothing to do" in again.out

    listed = huzheng("catalogue", "list", *profile, "-o", "json").json
    permit = next(item for item in listed["resources"] if item["name"] == "property.permit")
    assert (permit["open_versions"], permit["duty"], permit["public_fields"]) == ([1], "GH-01", 2)
    shown = huzheng("catalogue", "show", "property.permit", *profile, "--lang", "zh")
    assert all(text in shown.out for text in ("许可编号", "公开", "城乡规划法第四十条", "GHXK", "30 天"))

    # The input is checked, and the record written, by what is only on chain.
    submitted = huzheng("submit", permits(tmp_path / "a.jsonl", 1, 2), *profile, "-o", "json").json
    assert submitted["accepted"] == 2
    about = ("property.permit", unit_code(1))
    record = huzheng("record", "get", *about, *profile, "-o", "json").json
    assert (record["fields"], record["verified"]) == ({"XKBH": "GH2026"}, True)
    for_people = huzheng("record", "get", *about, *profile)
    assert "permit number (XKBH)" in for_people.out
    assert "Proved, and that there is nothing newer" in for_people.err
    stated = huzheng("statement", "get", *about, *profile, "-o", "json").json
    assert stated["answers"][0]["record"]["fields"] == {"XKBH": "GH2026"}
    listed = huzheng("record", "list", "property.permit", *profile, "-o", "json").json
    assert [item["fields"]["XKBH"] for item in listed["records"]] == ["GH2026"] * 2

    file.write_text(second(), encoding="utf-8")
    changes = huzheng("catalogue", "publish", file, *profile, "--yes", "-o", "json").json["changes"]
    assert changes == [{"kind": "resource", "name": "property.permit", "new": False, "different": ["+CS"]}]
    assert huzheng("submit", permits(tmp_path / "b.jsonl", 1, floors=3), *profile).status == 0
    listed = huzheng("record", "history", *about, *profile, "-o", "json").json
    history = listed["records"]
    assert listed["verified"] is True
    first = huzheng("record", "get", *about, "--at", history[0]["height"], *profile, "-o", "json").json
    assert (first["version"], first["replaced_at"]["height"]) == (1, history[1]["height"])
    assert [(item["schema_version"], item["fields"].get("CS")) for item in history] == [(1, None), (2, "3")]
    block = huzheng("chain", "block", str(history[1]["height"]), *profile, "-o", "json").json
    assert block["transactions"][0]["records"][0]["fields"] == {"XKBH": "GH2026", "CS": "3"}
    receipt = huzheng("receipt", "get", *about, "--out", "r.receipt", *profile)
    assert receipt.status == 0
    # Offline, the genesis knows no names for the fields.
    verified = huzheng("verify", "r.receipt", "-g", network.genesis, "-o", "json").json
    assert verified["record"]["fields"] == {"#1": "GH2026", "#3": "3"}
    # A statement beside the receipt proves them.
    assert huzheng("receipt", "get", *about, "--out", "r.receipt", "--catalogue", "names", *profile).status == 0
    named = ("verify", "r.receipt", "-g", network.genesis, "--catalogue", "names")
    assert huzheng(*named, "-o", "json").json["record"]["fields"] == {"XKBH": "GH2026", "CS": "3"}
    told = huzheng(*named).out
    assert "planning permit (property.permit)" in told
    assert "floors (CS)" in told
    Path("names").write_bytes(Path("names").read_bytes()[:-1] + b"x")
    assert huzheng(*named).status == 4

    assert huzheng("catalogue", "withdraw", "resource", "property.permit", *profile).status == 0
    withdrawn = huzheng("submit", permits(tmp_path / "c.jsonl", 5), *profile, "-o", "json")
    assert withdrawn.error["code"] == "SCHEMA_MISMATCH"
    twice = huzheng("catalogue", "withdraw", "resource", "property.permit", *profile, "-o", "json")
    assert twice.error["code"] == "NOT_PUBLISHED"
    assert huzheng("catalogue", "withdraw", "table", "property.permit", "规划系统", "GHXK", *profile).status == 0
    assert huzheng("catalogue", "withdraw", "duty", "GH-01", *profile).status == 0
    assert huzheng("record", "get", *about, *profile).status == 0


def test_a_register_stands_for_what_was_published_in_it_too(
    huzheng: CommandLine, network: Network, profile: tuple[str, Path], tmp_path: Path
) -> None:
    file, subject = tmp_path / "retained.yaml", unit_code(3)
    text = PERMIT.replace("property.permit", "property.retained").replace("GH-01", "GH-04")
    file.write_text(text, encoding="utf-8")
    assert huzheng("catalogue", "publish", file, "--yes", *profile).status == 0
    line = {"resource": "property.retained", "subject": subject, "fields": {"XKBH": "GH2026"}}
    assert huzheng("submit", write_lines(tmp_path / "r.jsonl", [line]), *profile).status == 0
    got = huzheng("statement", "get", "property", subject, "--out", "flat.statement", *profile, "-o", "json").json
    in_force = [answer["resource"] for answer in got["answers"] if answer["in_force"]]
    assert (in_force, got["left_out"]) == (["property.retained"], [])
    [register] = got["registers"]
    assert register["resources"] == register["answered"] == len(got["answers"])
    told = huzheng("verify", "flat.statement", "-g", network.genesis)
    assert f"Proved: these are all {register['resources']} resources of the register property." in told.out
    said = huzheng("verify", "flat.statement", "-g", network.genesis, "--lang", "zh").out
    assert f"已证明：property 登记簿的全部 {register['resources']} 项资源均在其中。" in said


def test_of_what_is_not_on_a_printed_page_it_is_said_that_it_is_not(
    huzheng: CommandLine, network: Network, profile: tuple[str, Path], tmp_path: Path
) -> None:
    file, subject = tmp_path / "opened.yaml", unit_code(4)
    text = PERMIT.replace("property.permit", "property.opened").replace("GH-01", "GH-05")
    file.write_text(text, encoding="utf-8")
    assert huzheng("catalogue", "publish", file, "--yes", *profile).status == 0
    line = {"resource": "property.ownership", "subject": subject, "fields": FEW_FIELDS}
    assert huzheng("submit", write_lines(tmp_path / "o.jsonl", [line]), *profile).status == 0
    made = huzheng("certificate", subject, "--out", "page.pdf", *profile)
    assert made.status == 0
    assert "property.opened" in made.err
    assert huzheng("statement", "get", "property", subject, "--out", "flat.statement", *profile).status == 0
    stated = ("certificate", "--statement", "flat.statement", "-g", network.genesis, "--out", "page.pdf", "-o", "json")
    assert huzheng(*stated).error["code"] == "BAD_FILE"


def test_what_is_exported_is_on_chain(huzheng: CommandLine, profile: tuple[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "more.yml"
    file.write_text(PERMIT.replace("property.permit", "property.licence").replace("GH-01", "GH-02"), encoding="utf-8")
    assert huzheng("catalogue", "publish", file, "--yes", *profile).status == 0
    assert huzheng("catalogue", "export", "all.yaml", *profile).status == 0
    nothing = huzheng("catalogue", "publish", "all.yaml", *profile, "-o", "json").json
    assert nothing == {"changes": [], "transactions": []}
    text = Path("all.yaml").read_text(encoding="utf-8")
    assert "property.licence" in text
    assert "城乡规划法第四十条" in text


def test_what_can_not_be_the_next_version_is_said_before_anything_is_sent(
    huzheng: CommandLine, profile: tuple[str, Path], tmp_path: Path
) -> None:
    text = PERMIT.replace("property.permit", "property.plan").replace("GH-01", "GH-03")
    file = tmp_path / "plan.yaml"
    file.write_text(text, encoding="utf-8")
    assert huzheng("catalogue", "publish", file, "--yes", *profile).status == 0
    for other in (
        text.replace("en: floor area", "en: area"),
        text.replace("schema_version: 1", "schema_version: 3"),
        text.replace("schema_version: 1", "schema_version: 2")
        .replace("name: JZMJ", "name: MJ")
        .replace("JZMJ: MJ", "MJ: MJ"),
    ):
        file.write_text(other, encoding="utf-8")
        refused = huzheng("catalogue", "publish", file, "--yes", *profile, "-o", "json")
        assert refused.error["code"] == "BAD_AMENDMENT"
        assert "property.plan" in refused.error["detail"]


def test_what_is_anothers_is_left_out(huzheng: CommandLine, profile: tuple[str, Path], tmp_path: Path) -> None:
    file = tmp_path / "theirs.yaml"
    file.write_text(PERMIT.replace("department: planning", "department: tax"), encoding="utf-8")
    left = huzheng("catalogue", "publish", file, "--yes", *profile)
    assert "Nothing to do" in left.out
    assert "2 duties and resources of other departments" in left.err


def test_an_unknown_resource_is_told_with_those_that_there_are(huzheng: CommandLine, profile: tuple[str, Path]) -> None:
    unknown = huzheng("catalogue", "show", "property.castle", *profile, "-o", "json")
    assert unknown.error["code"] == "UNKNOWN_RESOURCE"
    assert "property.ownership" in unknown.error["detail"]

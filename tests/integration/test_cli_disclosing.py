"""`huzheng vault disclose`, and verifying with the genesis alone what it writes, with a running node."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from node.network import Network
from tests.builders import unit_code
from tests.command_line import CommandLine, Ran, write_lines

LEASE = """
resource:
  - name: property.lease
    zh: 房屋租赁备案
    en: lease
    department: planning
    sharing: conditional
    schema_version: 1
    subject: {zh: 不动产单元代码, en: property unit code, type: property_unit_code}
    field:
      - {number: 1, name: BAH, zh: 备案号, en: lease number, type: text, max_bytes: 32, required: true}
      - {number: 2, name: CZR, zh: 承租人, en: tenant, type: text, max_bytes: 64, required: true, confidential: true}
      - {number: 3, name: YZJ, zh: 月租金, en: monthly rent, type: decimal, scale: 2, confidential: true}
"""
TENANT, RENT = "王租客", "6500.00"
"""Made up."""
ABOUT = ("property.lease", unit_code(1))


@pytest.fixture
def clerk(network: Network) -> tuple[str, Path]:
    return "--profile", network.clients["planning"] / "clerk"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("leases")


@pytest.fixture
def leases(huzheng: CommandLine, network: Network, directory: Path) -> None:
    """A resource that came after the genesis, and a record in it: made once."""
    system = ("--profile", network.clients["planning"] / "system")
    if huzheng("record", "get", *ABOUT, *system).status == 0:
        return
    (directory / "lease.yaml").write_text(LEASE, encoding="utf-8")
    assert huzheng("catalogue", "publish", directory / "lease.yaml", *system, "--yes").status == 0
    line = {
        "resource": ABOUT[0],
        "subject": ABOUT[1],
        "fields": {"BAH": "2026-1"},
        "confidential": {"CZR": TENANT, "YZJ": RENT},
    }
    assert huzheng("submit", write_lines(directory / "leases.jsonl", [line]), *system).status == 0


def offline(huzheng: CommandLine, monkeypatch: pytest.MonkeyPatch, network: Network, *arguments: object) -> Ran:
    """Where there is nothing but the genesis file: no profile, no node."""
    monkeypatch.delenv("HUZHENG_PROFILE", raising=False)
    return huzheng("verify", *arguments, "--genesis", network.genesis, "--offline")


@pytest.mark.usefixtures("leases")
def test_fields_under_a_schema_version_that_came_later_are_proved_by_the_genesis_alone(
    huzheng: CommandLine, network: Network, clerk: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = huzheng("vault", "disclose", *ABOUT, "--field", "CZR", "--out", "tenant.disclosure", *clerk)
    assert shown.status == 0
    assert "tenant (CZR)" in shown.out
    assert TENANT in shown.out
    assert RENT not in shown.out
    assert "hand this file to nobody" in shown.err

    said = offline(huzheng, monkeypatch, network, "tenant.disclosure", "-o", "json").json
    assert said["confidential"] == {"CZR": TENANT}
    assert said["record"]["fields"] == {"BAH": "2026-1"}
    chinese = offline(huzheng, monkeypatch, network, "tenant.disclosure", "--lang", "zh")
    assert chinese.status == 0
    assert all(
        text in chinese.out for text in ("房屋租赁备案 (property.lease)", "备案号 (BAH)", "承租人 (CZR)", TENANT)
    )

    raw = Path("tenant.disclosure").read_bytes()
    assert RENT.encode() not in raw
    Path("changed").write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    changed = offline(huzheng, monkeypatch, network, "changed")
    assert changed.status == 4
    assert TENANT not in changed.out + changed.err
    parts = huzheng("receipt", "show", "tenant.disclosure", "-o", "json").json
    [entry] = parts["parts"]["catalogue"]["entries"]
    assert entry["says"]["state"]["name"] == "property.lease"


@pytest.mark.usefixtures("leases")
def test_under_an_anchor_the_schema_version_s_block_is_linked_too(
    huzheng: CommandLine, network: Network, clerk: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = huzheng("record", "get", *ABOUT, *clerk, "-o", "json").json
    more = {"resource": ABOUT[0], "subject": unit_code(2), "fields": {"BAH": "2"}, "confidential": {"CZR": "李"}}
    system = ("--profile", network.clients["planning"] / "system")
    # Blocks follow the record's, so that the schema version is proved as of another one.
    assert huzheng("submit", write_lines(Path("more.jsonl"), [more]), *system).status == 0
    assert huzheng("vault", "disclose", *ABOUT, "-f", "YZJ", "--out", "rent.disclosure", *clerk).status == 0
    parts = huzheng("receipt", "show", "rent.disclosure", "-o", "json").json["parts"]
    heights = [int(record["height"]), int(parts["catalogue"]["header"]["height"])]
    assert heights[0] < heights[1]
    more["subject"] = unit_code(3)
    assert huzheng("submit", write_lines(Path("last.jsonl"), [more]), *system).status == 0
    anchored = huzheng("chain", "anchor", "--out", "new.anchor", *clerk, "-o", "json").json
    top = anchored["height"]
    for height, name in zip(heights, ("of-record", "of-catalogue"), strict=True):
        assert huzheng("chain", "consistency", height, top, "--out", name, *clerk).status == 0
    anchor = ("rent.disclosure", "--anchor", "new.anchor", "--history", "of-record")
    whole = offline(huzheng, monkeypatch, network, *anchor, "--catalogue-history", "of-catalogue", "-o", "json").json
    assert whole["confidential"] == {"YZJ": RENT}
    assert whole["anchor"]["height"] == top
    half = offline(huzheng, monkeypatch, network, *anchor, "-o", "json")
    assert (half.status, half.json["error"]["code"]) == (4, "BAD_PROOF")
    alone = offline(huzheng, monkeypatch, network, "rent.disclosure", "--catalogue-history", "of-catalogue")
    assert "--catalogue-history goes with --anchor" in alone.err


@pytest.mark.usefixtures("leases")
def test_a_program_gets_the_disclosure_itself(huzheng: CommandLine, clerk: tuple[str, Path]) -> None:
    record_id = huzheng("record", "get", *ABOUT, *clerk, "-o", "json").json["record_id"]
    view = huzheng("vault", "disclose", record_id, "-f", "2", "-f", "YZJ", *clerk, "-o", "json").json
    assert view["confidential"] == {"CZR": TENANT, "YZJ": RENT}
    assert TENANT.encode() in base64.b64decode(view["disclosure"])


@pytest.mark.usefixtures("leases")
def test_what_can_not_be_disclosed_is_refused(huzheng: CommandLine, network: Network, clerk: tuple[str, Path]) -> None:
    public = huzheng("vault", "disclose", *ABOUT, "-f", "BAH", *clerk, "-o", "json")
    assert public.error["code"] == "UNKNOWN_FIELD"
    assert "CZR, YZJ" in public.error["detail"]
    none = huzheng("vault", "disclose", ABOUT[0], unit_code(9), "-f", "CZR", *clerk, "-o", "json")
    assert none.error["code"] == "NOT_FOUND"
    assert huzheng("vault", "disclose", *ABOUT, *clerk).status == 2
    auditor = ("--profile", network.clients["planning"] / "auditor")
    refused = huzheng("vault", "disclose", *ABOUT, "-f", "CZR", *auditor, "-o", "json")
    assert refused.error["code"] == "CALLER_NOT_ALLOWED"

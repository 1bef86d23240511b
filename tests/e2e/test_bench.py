"""A short run of scripts/bench: real daemons, whatever the rates are."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.local.network import ROOT


@pytest.mark.timeout(300)
def test_a_quick_bench_measures_what_was_asked_for_and_says_where_and_how(tmp_path: Path) -> None:
    options = ("--quick", "--seconds", "0.5", "--out", str(tmp_path), "--output", "json")
    command = [str(ROOT / "scripts/bench"), "latency", "reads", *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert json.loads((tmp_path / "report.json").read_text()) == report
    assert report["failures"] == {}
    assert set(report["view_changes"]) == {"latency", "reads"}
    assert report["v_records_per_s"] > 0
    assert all(report["machine"].values())
    rows = {(row["scenario"], row["load"]): row["figures"] for row in report["rows"]}
    assert [scenario for scenario, _ in rows] == ["latency"] * 4 + ["reads"]
    # Nothing was measured that did not happen: every figure is of something.
    assert all(value > 0 for figures in rows.values() for name, value in figures.items() if name != "refused")
    ElementTree.parse(tmp_path / "report.svg")


@pytest.mark.timeout(120)
def test_ordering_alone_is_measured_beside_the_ledger() -> None:
    command = [str(ROOT / "scripts/bench"), "skeleton", "--quick", "--output", "json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    rows = {(row["outstanding"], row["variant"]): row for row in json.loads(ended.stdout)["rows"]}
    assert list(rows) == [(count, what) for count in (1, 64, 512) for what in ("bare", "sealed", "this ledger")]
    assert all(row["records_per_s"] > 0 and row["p50_ms"] > 0 for row in rows.values())
    assert all(row["of_sealed"] == 1 for (_, what), row in rows.items() if what == "sealed")

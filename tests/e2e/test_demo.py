"""The demo that the README promises, as a newcomer runs it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from scripts.local.demo import Demo, Story, tell_what_next


@pytest.mark.timeout(300)
def test_four_departments_share_a_chain(tmp_path: Path) -> None:
    told = io.StringIO()
    network = Demo(tmp_path, Story(Console(file=told, width=200))).run()
    story = told.getvalue()
    # Three receipts and a disclosure.
    assert story.count("VALID: this record is on the chain") == 4
    assert "tax.deed_tax of tax relies on property.ownership of " in story
    assert "exit status 4" in story
    assert story.count("there is none") + story.count("in force, version") == 7
    assert "{'QLRMC': '王测试'}" in story
    assert "refused OUTSIDE_GRANT" in story
    assert "each of them is proved" in story
    assert "planning and tax have destroyed the values" in story
    assert "4 nodes prove that they have the same chain" in story
    assert "police is back and has caught up" in story
    assert story.count(": verified") == 4
    assert "all four agree" in story
    narrow = io.StringIO()
    tell_what_next(network, Console(file=narrow, width=80, soft_wrap=True))
    lines = narrow.getvalue().splitlines()
    assert f"HUZHENG_PROFILE={network.profile('tax', 'operator')}" in next(line for line in lines if "export" in line)
    assert any(line.endswith(f"-g {network.genesis}") for line in lines)

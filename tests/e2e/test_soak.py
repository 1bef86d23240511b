"""A short round of scripts/soak: real daemons, real kills, nothing lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.local.soak import soak


@pytest.mark.timeout(300)
def test_kill_9_under_load_loses_nothing_and_no_two_databases_differ(tmp_path: Path) -> None:
    soak(tmp_path / "network", rounds=4, clients=4, seed=3)

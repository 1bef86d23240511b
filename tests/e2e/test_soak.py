"""A short round of scripts/soak: real daemons, real kills, nothing lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.local.soak import Plan, soak


@pytest.mark.timeout(300)
def test_kill_9_under_load_loses_nothing_and_no_two_databases_differ(tmp_path: Path) -> None:
    soak(tmp_path / "network", Plan(rounds=4, clients=4, seed=3))


@pytest.mark.timeout(300)
def test_work_goes_on_without_the_primary_and_it_comes_back_as_a_backup(tmp_path: Path) -> None:
    tally = soak(tmp_path / "network", Plan(rounds=3, clients=4, seed=4, fault="kill-primary"))
    assert len(tally.outages_s) == 3


@pytest.mark.timeout(300)
def test_a_primary_that_hangs_is_replaced_and_goes_on_when_it_wakes(tmp_path: Path) -> None:
    tally = soak(tmp_path / "network", Plan(rounds=2, clients=4, seed=5, fault="pause-primary", pause_s=4.0))
    assert len(tally.outages_s) == 2


@pytest.mark.timeout(300)
def test_halves_cut_from_each_other_do_nothing_and_go_on_together_when_mended(tmp_path: Path) -> None:
    tally = soak(tmp_path / "network", Plan(rounds=2, clients=4, seed=6, fault="cut", pause_s=6.0, within_s=15.0))
    assert len(tally.outages_s) == 2


@pytest.mark.timeout(300)
def test_a_node_that_is_far_behind_catches_up_while_the_others_go_on(tmp_path: Path) -> None:
    tally = soak(tmp_path / "network", Plan(rounds=1, clients=3, fault="behind", blocks=400, records=4))
    assert tally.caught_up is not None
    assert tally.caught_up.blocks >= 400

"""The bugs of scripts/mutate can be planted, and some that die at once show that the simulator has teeth."""

from __future__ import annotations

import pytest

from tests.sim.mutation.mutants import MUTANTS, Mutant
from tests.sim.mutation.mutate import Trial, control, try_mutant

MUTANTS_BY_NAME = {mutant.name: mutant for mutant in MUTANTS}
A_FEW_SEEDS = 6


def test_every_bug_has_its_own_name() -> None:
    assert len(MUTANTS_BY_NAME) == len(MUTANTS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=MUTANTS_BY_NAME)
def test_every_bug_can_be_planted(mutant: Mutant) -> None:
    """The text that it changes is there exactly once, and what comes of it is Python."""
    compile(mutant.planted(mutant.source()), mutant.file, "exec")


@pytest.mark.parametrize("old", ["no such text", "def "])
def test_a_bug_whose_place_is_gone_or_not_the_only_one_is_an_error(old: str) -> None:
    outcome = try_mutant(Mutant("rotten", "C6", "consensus/ordering.py", old, ""), Trial(A_FEW_SEEDS))
    assert "its old text occurs" in outcome.broken
    assert not outcome.is_good


def test_without_a_bug_nothing_is_noticed() -> None:
    assert control() == ""


@pytest.mark.parametrize("name", ["commit-quorum-one-short", "vote-not-persisted", "votes-without-greetings"])
def test_a_planted_bug_is_noticed(name: str) -> None:
    outcome = try_mutant(MUTANTS_BY_NAME[name], Trial(A_FEW_SEEDS))
    assert outcome.is_good
    assert outcome.found_by.startswith("seed ")


def test_what_is_no_longer_python_is_not_taken_for_noticed() -> None:
    mutant = Mutant("nonsense", "C7", "consensus/ordering.py", "len(slot.supporters(COMMIT))", "nonsense")
    outcome = try_mutant(mutant, Trial(A_FEW_SEEDS))
    assert "NameError" in outcome.broken
    assert not outcome.is_good

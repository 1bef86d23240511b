"""Plays seeds in a copy of the project, one line of JSON for each, until one fails: how scripts/mutate tries a planted bug."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from types import FrameType

import consensus
from consensus.context import InvariantViolation
from consensus.safety import SafetyViolation
from ledger.errors import HuzhengError
from tests.sim import plans as whole_plans
from tests.sim import scenario as whole_scenario
from tests.sim.amnesiac import BrokenPromise
from tests.sim.core import scenario as core_scenario

SEED_TIMEOUT_S = 120
"""A seed takes a second or two."""
VERDICTS = (AssertionError, BrokenPromise, InvariantViolation, SafetyViolation, HuzhengError, ValueError)
"""What checks and the core itself raise when a rule is broken; ValueError: a slot outside the window. Other errors are Python's."""


def verdict_of(error: BaseException) -> str:
    """What was noticed, on one line."""
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


def play(seed: int, *, whole: bool) -> None:
    """Runs what a seed stands for, with whole replicas or with the core alone."""
    if whole:
        whole_scenario.play(whole_plans.plan_of(seed))
    else:
        core_scenario.play(core_scenario.plan_of(seed))


def play_seed(seed: int, *, whole: bool) -> dict[str, object]:
    """What came of a seed."""

    def too_long(_signal: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"not over after {SEED_TIMEOUT_S} s")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SEED_TIMEOUT_S)
    try:
        play(seed, whole=whole)
    except VERDICTS as error:
        return {"seed": seed, "noticed": verdict_of(error)}
    except Exception as error:
        return {"seed": seed, "broken": verdict_of(error)}
    finally:
        signal.alarm(0)
    return {"seed": seed}


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--whole", action="store_true", help="whole replicas instead of the core alone")
    arguments = parser.parse_args()
    if Path.cwd() not in Path(str(consensus.__file__)).parents:
        raise SystemExit(f"this is not the copy's core: {consensus.__file__}")
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        outcome = play_seed(seed, whole=arguments.whole)
        print(json.dumps(outcome), flush=True)
        if len(outcome) > 1:
            break
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Plays seeds in a copy of the project, one line of JSON for each, until one fails: how scripts/mutate tries a planted bug."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from types import FrameType

import consensus
import ledger
import node
from consensus.context import InvariantViolation
from consensus.safety import SafetyViolation
from ledger.errors import HuzhengError
from tests.sim.amnesiac import BrokenPromise
from tests.sim.plans import plan_of
from tests.sim.scenario import play

SEED_TIMEOUT_S = 120
"""A seed takes a second or two."""
VERDICTS = (AssertionError, BrokenPromise, InvariantViolation, SafetyViolation, HuzhengError, ValueError)
"""What checks and the core itself raise when a rule is broken; ValueError: a slot outside the window. Other errors are Python's."""


def verdict_of(error: BaseException) -> str:
    """What was noticed, on one line."""
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


def play_seed(seed: int) -> dict[str, object]:
    """What came of a seed."""

    def too_long(_signal: int, _frame: FrameType | None) -> None:
        raise AssertionError(f"not over after {SEED_TIMEOUT_S} s")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SEED_TIMEOUT_S)
    try:
        play(plan_of(seed))
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
    arguments = parser.parse_args()
    for package in (consensus, ledger, node):
        if Path.cwd() not in Path(str(package.__file__)).parents:
            raise SystemExit(f"this is not the copy's: {package.__file__}")
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        outcome = play_seed(seed)
        print(json.dumps(outcome), flush=True)
        if len(outcome) > 1:
            break
    return 0


if __name__ == "__main__":
    sys.exit(main())

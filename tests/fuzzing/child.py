"""One target under atheris, in a process of its own, which libFuzzer ends: started by tests.fuzzing.fuzz.

Its standard output has a line of JSON now and then: how many inputs, and what was said of them.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter

import atheris

with atheris.instrument_imports(include=["ledger", "tests.naive.strict"]):
    from tests.fuzzing.targets import TARGETS, FuzzFailure

MAX_CPU_S = 1.0
"""That one input may take."""
SAY_EVERY_S = 0.5


class Counting:
    """Checks one input after the other."""

    def __init__(self, target: str, runs: int) -> None:
        """`runs`: after so many the last line is due."""
        self._target = TARGETS[target]
        self._runs = runs
        self._done = 0
        self._said: Counter[str] = Counter()
        self._slowest_s = 0.0
        self._next_line_s = 0.0

    def check(self, raw: bytes) -> None:
        """Raises what the target raises, and FuzzFailure if it took too long."""
        started_s = time.thread_time()
        said = self._target.check(raw)
        took_s = time.thread_time() - started_s
        if took_s > MAX_CPU_S:
            raise FuzzFailure(f"{self._target.name}: took {took_s:.1f} s of CPU time")
        self._slowest_s = max(self._slowest_s, took_s)
        self._said[said] += 1
        self._done += 1
        if self._done == self._runs or time.monotonic() >= self._next_line_s:
            self._next_line_s = time.monotonic() + SAY_EVERY_S
            self._print()

    def mutate(self, raw: bytes, max_bytes: int, seed: int) -> bytes:
        """As libFuzzer asks for it."""
        dice = random.Random(seed)
        if dice.random() < 0.1:
            return bytes(atheris.Mutate(raw, max_bytes))
        if dice.random() < 0.3:
            # What covers much is soon far from anything sound.
            raw = dice.choice(self._target.seeds.sound)
        return self._target.mutate(raw, dice)[:max_bytes]

    def _print(self) -> None:
        line = {"done": self._done, "said": dict(self._said), "slowest_s": self._slowest_s}
        print(json.dumps(line), flush=True)


def main() -> None:
    """Arguments: target, number of runs, and what libFuzzer takes. Does not return."""
    target, runs, *rest = sys.argv[1:]
    counting = Counting(target, int(runs))
    atheris.Setup([sys.argv[0], *rest], counting.check, custom_mutator=counting.mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

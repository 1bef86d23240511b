"""Less and less of a plan that fails, as long as it still fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.sim.plans import Plan, parts_of, without

MAX_SECONDS = 120.0

Fails = Callable[[Plan], str]
"""What goes wrong in a plan; empty if nothing."""


@dataclass(frozen=True)
class Shrunk:
    """The smallest plan found that still fails, and how to play it again."""

    plan: Plan
    left_out: tuple[str, ...]
    failure: str

    @property
    def command(self) -> str:
        """Plays the plan again."""
        command = f"scripts/simulate --seed {self.plan.seed} --runs 1"
        return f"{command} --without {','.join(self.left_out)}" if self.left_out else command


def shrink(
    plan: Plan, failure: str, fails: Fails, left_out: tuple[str, ...] = (), max_seconds: float = MAX_SECONDS
) -> Shrunk:
    """Tries to leave out whole kinds of parts first, then halves of them, then one part after the other, until none can go.

    What is found may fail in another way than the plan did. Stops when the time is up.
    """
    best = Shrunk(without(plan, left_out), left_out, failure)
    ends_s = time.monotonic() + max_seconds
    while True:
        before = best
        for group in _groups([part for part in parts_of(plan) if part not in best.left_out]):
            if time.monotonic() > ends_s:
                return best
            names = (*best.left_out, *group)
            found = fails(without(plan, names))
            if found:
                best = Shrunk(without(plan, names), names, found)
                break
        if best is before:
            return best


def _groups(parts: Sequence[str]) -> list[list[str]]:
    """Parts to try together, the largest groups first."""
    kinds: dict[str, list[str]] = {}
    for part in parts:
        kinds.setdefault(part.partition("-")[0], []).append(part)
    groups = list(kinds.values())
    for length in (len(parts) // 2, len(parts) // 4, len(parts) // 8):
        if length > 1:
            groups += [kind[i : i + length] for kind in kinds.values() for i in range(0, len(kind), length)]
    groups += [[part] for part in parts]
    unique = {tuple(group): group for group in groups if len(group) < len(parts)}
    return sorted(unique.values(), key=len, reverse=True)

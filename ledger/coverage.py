"""Whether a statement is about all resources of a register (docs/protocol.md Q9)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ledger.genesis import Genesis
from ledger.published import register_in, resource_count
from ledger.registers import register_of
from ledger.statement import StatementVerdict


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a register a statement is about."""

    register: str
    resources: int
    """How many it has, withdrawn ones included."""
    answered: int
    """Of how many the statement says something about each of its subjects in the register."""

    @property
    def is_whole(self) -> bool:
        """Whether there is no resource of which the statement says nothing."""
        return self.answered == self.resources

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"register": self.register, "resources": self.resources, "answered": self.answered}


def coverage(genesis: Genesis, verdict: StatementVerdict) -> Iterator[Coverage]:
    """Of each register that the statement says the number of resources of."""
    answered = Counter((register_of(question.resource), question.subject) for question in verdict.answers)
    for key, value in verdict.entries.items():
        register = register_in(key)
        if register is None:
            continue
        counts = [count for (name, _), count in answered.items() if name == register]
        yield Coverage(register, resource_count(genesis, register, value), min(counts, default=0))

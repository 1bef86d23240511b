"""What `huzheng statement get` asks for: single resources, and registers, which stand for all resources that the state proves they have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ledger.errors import Code, HuzhengError
from node.cli.about import resource_and_subject, subject_of

if TYPE_CHECKING:
    from ledger.catalogue import CompiledResource
    from ledger.statement import Question
    from node.light_client import LightClient, Stated


_TRIES = 5
"""Resources are published some times a year."""


@dataclass(slots=True)
class Asked:
    """What a statement has to answer."""

    questions: set[Question] = field(default_factory=set)
    registers: dict[str, int] = field(default_factory=dict)
    """How many resources each register had that is asked about."""
    left_out: list[str] = field(default_factory=list)
    """Resources of these registers in which there can be no record about the subject."""


async def state_about(
    light: LightClient, names: list[str], subject: str, *, contents: bool = True
) -> tuple[Stated, Asked]:
    """The statement about a subject in resources, and in all that registers have, of which it proves how many those are.

    Raises:
        HuzhengError: INVALID_REQUEST, UNKNOWN_RESOURCE, BAD_SUBJECT; TOO_LARGE where registers have more later resources than a
            statement takes; UNTRUSTED_ANSWER; as `LightClient.statement`.
    """
    from ledger.coverage import coverage
    from ledger.published import register_key

    if not names:
        raise HuzhengError(Code.INVALID_REQUEST, "a resource or register, and a subject, are needed")
    for _ in range(_TRIES):
        asked = await _questions(light, names, subject)
        keys = [register_key(register) for register in asked.registers]
        stated = await light.statement(sorted(asked.questions), keys=keys, with_records=contents, whole=True)
        counts = {found.register: found.resources for found in coverage(light.genesis, stated.verdict)}
        if all(counts[register] == count for register, count in asked.registers.items()):
            return stated, asked
        # A resource was published in between.
    raise HuzhengError(Code.UNTRUSTED_ANSWER, "a register has other resources each time it is asked about")


async def _questions(light: LightClient, names: list[str], subject: str) -> Asked:
    from ledger.statement import Question
    from node.registers import resources_of

    asked = Asked()
    for name in dict.fromkeys(names):
        # The name of a resource has a point in it, that of a register has none.
        found = [] if "." in name else await resources_of(light, name)
        if found:
            asked.registers[name] = len(found)
            _add_register(asked, found, subject)
        else:
            asked.questions.add(Question(*await resource_and_subject(light, [name, subject])))
    return asked


def _add_register(asked: Asked, resources: list[CompiledResource], text: str) -> None:
    from ledger.statement import Question

    subjects = {resource.name: subject_of(resource, text) for resource in resources}
    fitting = {Question(name, subject) for name, subject in subjects.items() if subject is not None}
    if not fitting:
        raise HuzhengError(Code.BAD_SUBJECT, f"must be {resources[0].subject.expected}")
    asked.questions |= fitting
    asked.left_out += [name for name, subject in subjects.items() if subject is None]

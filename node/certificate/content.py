"""What a property certificate says: taken from a verified statement, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from huzheng.v1 import catalogue_pb2

from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from ledger.proven_record import ProvenRecord
from ledger.statement import Answer, Question, StatementVerdict
from node.certificate.words import code_title

OWNERSHIP = "property.ownership"
ENCUMBRANCES = ("property.mortgage", "property.seizure", "property.objection", "property.advance_notice")
_CERTIFICATE_NUMBER = "BDCQZH"
_BEIJING = timezone(timedelta(hours=8))
# Administrative division, cadastral area, parcel, fixture: as the code is grouped on paper (GB/T 37346).
_UNIT_CODE_GROUPS = (6, 6, 7, 9)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the record."""

    title: str
    value: str


@dataclass(frozen=True, slots=True)
class Encumbrance:
    """Whether there is one of a kind."""

    title: str
    is_in_force: bool | None
    """None if the statement does not say."""


@dataclass(frozen=True, slots=True)
class Content:
    """All that a page shows beside its codes and its fixed texts."""

    network: str
    unit_code: str
    certificate_number: str
    """Empty if the record has none."""
    record_title: str
    record_version: int
    record_id: bytes
    fields: tuple[Field, ...]
    encumbrances: tuple[Encumbrance, ...]
    height: int
    block_hash: bytes
    time: datetime
    """In Beijing time."""
    chain_id: bytes
    sealed_by: tuple[str, ...]
    """Departments, by name where the genesis has one."""
    quorum: int
    """How many replicas have sealed."""
    replicas: int
    """How many there are."""

    @property
    def grouped_unit_code(self) -> str:
        """The property unit code as it is read out."""
        if len(self.unit_code) != sum(_UNIT_CODE_GROUPS):
            return self.unit_code
        ends = [sum(_UNIT_CODE_GROUPS[: i + 1]) for i in range(len(_UNIT_CODE_GROUPS))]
        return " ".join(self.unit_code[end - size : end] for end, size in zip(ends, _UNIT_CODE_GROUPS, strict=True))


def property_questions(genesis: Genesis, unit_code: str) -> list[Question]:
    """What a statement for a property certificate has to answer, as far as the network has these resources."""
    return [Question(name, unit_code) for name in (OWNERSHIP, *ENCUMBRANCES) if name in genesis.catalogue]


def property_content(verdict: StatementVerdict, genesis: Genesis) -> Content:
    """What the page of this statement shows.

    Raises:
        HuzhengError: BAD_FILE if it is about other than one property unit or does not show the record of its ownership, or
            is from after the year 9999; NOT_FOUND if it proves that no ownership is in force.
    """
    answer, record, values = _ownership(verdict)
    unit_code = answer.question.subject
    return Content(
        network=genesis.name,
        unit_code=unit_code,
        certificate_number=values.get(_CERTIFICATE_NUMBER, ""),
        record_title=_resource_title(genesis, OWNERSHIP),
        record_version=answer.version,
        record_id=answer.record_id,
        fields=tuple(_fields(genesis, record.schema_version, values)),
        encumbrances=tuple(
            Encumbrance(_resource_title(genesis, name), _is_in_force(verdict, name, unit_code))
            for name in ENCUMBRANCES
            if name in genesis.catalogue
        ),
        height=verdict.height,
        block_hash=verdict.block_hash,
        time=_beijing_time(verdict.time_ms),
        chain_id=verdict.chain_id,
        sealed_by=_departments(verdict, genesis),
        quorum=len(verdict.sealed_by),
        replicas=verdict.membership.n,
    )


def _ownership(verdict: StatementVerdict) -> tuple[Answer, ProvenRecord, dict[str, str]]:
    """The answer about it, its record, and what that says."""
    if len({question.subject for question in verdict.answers}) != 1:
        raise HuzhengError(Code.BAD_FILE, "the statement is about more than one subject; a certificate is about one")
    answer = next((a for q, a in verdict.answers.items() if q.resource == OWNERSHIP), None)
    if answer is None:
        raise HuzhengError(Code.BAD_FILE, f"the statement says nothing about {OWNERSHIP}")
    if not answer.is_in_force:
        reason = "was revoked" if answer.version else "never was registered"
        raise HuzhengError(Code.NOT_FOUND, f"{OWNERSHIP} {reason}, as of block {verdict.height}")
    if answer.record is None:
        raise HuzhengError(Code.BAD_FILE, f"the statement proves that {OWNERSHIP} is in force, but lacks its record")
    if answer.record.values is None:
        raise HuzhengError(
            Code.BAD_FILE, f"what the record of {OWNERSHIP} says was removed, or the statement does not show it"
        )
    return answer, answer.record, answer.record.values


def _beijing_time(time_ms: int) -> datetime:
    try:
        return datetime.fromtimestamp(time_ms // 1000, _BEIJING)
    except (OverflowError, ValueError, OSError):
        raise HuzhengError(Code.BAD_FILE, "a block from after the year 9999") from None


def _is_in_force(verdict: StatementVerdict, resource: str, subject: str) -> bool | None:
    answer = verdict.answers.get(Question(resource, subject))
    return None if answer is None else answer.is_in_force


def _resource_title(genesis: Genesis, resource: str) -> str:
    found = genesis.catalogue.get(resource)
    return (found.message.title_zh if found is not None else "") or resource


def _fields(genesis: Genesis, schema_version: int, values: dict[str, str]) -> list[Field]:
    specs: dict[str, catalogue_pb2.FieldSpec] = {
        spec.name: spec for spec in genesis.catalogue[OWNERSHIP].message.fields
    }
    # In another schema version a field keeps its name, but its codes may be others.
    same_codes = genesis.version(OWNERSHIP, schema_version) is not None
    shown = []
    for name, value in values.items():
        spec = specs.get(name)
        word = code_title(OWNERSHIP, spec, value) if spec is not None and same_codes else None
        title = (spec.title_zh if spec is not None else "") or name
        shown.append(Field(title, value if word is None else f"{word.zh}（{value}）"))
    return shown


def _departments(verdict: StatementVerdict, genesis: Genesis) -> tuple[str, ...]:
    """Each once, in the order of their replicas. One that joined later is not in the genesis: its id says who it is."""
    of = {member.replica: member.department for member in verdict.membership.members}
    ids = dict.fromkeys(department for replica, department in of.items() if replica in verdict.sealed_by)
    return tuple(genesis.departments[i].name_zh if i in genesis.departments else i for i in ids)

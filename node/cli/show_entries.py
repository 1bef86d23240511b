"""How entries of the state that a statement proves look to people: grants, reads, accounts of reads, erasures, the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from node.cli.output import Output, local_time, printable
from node.cli.show import department_name, resource_title

if TYPE_CHECKING:
    from ledger.genesis import Genesis
    from ledger.state_entry import StateEntry
    from ledger.statement import StatementVerdict

Pairs = Iterator[tuple[str, object]]


@dataclass(frozen=True, slots=True)
class _Shown:
    """What an entry is shown with."""

    out: Output
    genesis: Genesis
    about: Mapping[str, Any]
    definitions: Mapping[str, Any]
    """By name, the newest `Resource` that genesis or statement have."""

    def department(self, name: str) -> str:
        return department_name(self.genesis, name, self.out.texts.language)

    def resource(self, name: str) -> str:
        if name in self.genesis.catalogue or name not in self.definitions:
            return resource_title(self.genesis, name, self.out.texts.language)
        return f"{self._title(self.definitions[name])} ({name})"

    def fields(self, resource: str, numbers: list[int]) -> str:
        """With their titles, where they are known."""
        definition = self.definitions.get(resource)
        known = {spec.number: spec for spec in (definition.fields if definition is not None else ())}
        return ", ".join(
            f"{self._title(known[number])} ({printable(known[number].name)})" if number in known else f"#{number}"
            for number in numbers
        )

    def _title(self, titled: Any) -> str:
        return printable(titled.title_zh if self.out.texts.language == "zh" else titled.title_en)


def entries_for_people(out: Output, genesis: Genesis, verdict: StatementVerdict) -> None:
    """What a valid statement proves of the state besides records."""
    from huzheng.v1 import catalogue_pb2

    from ledger.published import register_in
    from ledger.state_entry import read_entry

    _coverage_for_people(out, genesis, verdict)
    entries = [(key, value) for key, value in verdict.entries.items() if register_in(key) is None]
    read = [(key, value, read_entry(key, value)) for key, value in entries]
    definitions = {name: resource.message for name, resource in genesis.catalogue.items()}
    for _, _, entry in read:
        if isinstance(entry.value, catalogue_pb2.Resource):
            definitions[entry.value.name] = entry.value
    for key, value, entry in read:
        shown = _Shown(out, genesis, entry.about, definitions)
        out.pairs(_heading(shown, entry), list(_pairs(shown, entry, key, value)))


def _coverage_for_people(out: Output, genesis: Genesis, verdict: StatementVerdict) -> None:
    """Of which registers it is proved how many resources they have, and whether the statement is about all of them."""
    from ledger.coverage import coverage

    t = out.texts
    for found in coverage(genesis, verdict):
        register = printable(found.register)
        if found.is_whole:
            text = t("Proved: these are all {n} resources of the register {name}.", n=found.resources, name=register)
            out.line(text, "bold")
            continue
        text = t(
            "The register {name} has {n} resources; of {m} of them this statement says nothing.",
            name=register,
            n=found.resources,
            m=found.resources - found.answered,
        )
        out.line(text, "bold yellow")


def _pairs(shown: _Shown, entry: StateEntry, key: bytes, value: bytes | None) -> Pairs:
    t = shown.out.texts
    if entry.kind in _SHOWN:
        if entry.value is None:
            yield "", t("proved: there is none")
            return
        yield from _SHOWN[entry.kind](shown, entry.value)
        return
    yield t("Key"), key.hex()
    yield t("Value"), t("proved: there is none") if value is None else value.hex()


def _heading(shown: _Shown, entry: StateEntry) -> str:
    t, about = shown.out.texts, shown.about
    if entry.kind == "grant":
        return t("Grant {id}", id=about["grant"])
    if entry.kind == "read":
        return t("Read {id}", id=about["read"])
    if entry.kind == "reads":
        return t(
            "Reads of {subject} in {resource}",
            subject=printable(about["subject"]),
            resource=shown.resource(about["resource"]),
        )
    if entry.kind == "erasure":
        return t("Erasure of {id}, {department}", id=about["record"], department=shown.department(about["department"]))
    if entry.kind == "expunge":
        return t(
            "Payload {n} of {id}, {department}",
            n=about["record_index"],
            id=about["transaction"],
            department=shown.department(about["department"]),
        )
    if entry.kind == "resource":
        return t("Resource {name}", name=shown.resource(about["resource"]))
    if entry.kind == "version":
        return t("Resource {name}, schema version {n}", name=printable(about["resource"]), n=about["schema_version"])
    if entry.kind == "duty":
        return t(
            "Duty {code}, {department}", code=printable(about["code"]), department=shown.department(about["department"])
        )
    return t("Entry of the state")


def _grant(shown: _Shown, grant: Any) -> Pairs:
    t = shown.out.texts
    terms = grant.granted if grant.HasField("granted") else grant.applied
    yield t("Status"), _status(shown, grant)
    yield t("Applied for by"), shown.department(grant.applicant)
    yield t("Owner"), shown.department(grant.owner)
    yield t("Resource"), shown.resource(terms.resource)
    yield t("Confidential fields"), shown.fields(terms.resource, list(terms.fields))
    yield t("Subjects"), ", ".join(map(printable, terms.subjects)) or t("any")
    yield t("Case number"), printable(terms.case_number) or t("any")
    yield t("Purpose"), printable(grant.purpose)
    yield t("Legal basis"), printable(grant.legal_basis)
    yield t("Reads"), t("{n} of {most}", n=grant.reads.count, most=terms.max_reads)
    yield t("Expires"), local_time(terms.expires_ms)
    yield t("Applied for at"), local_time(grant.applied_ms)
    if grant.decided_ms:
        yield t("Decided at"), local_time(grant.decided_ms)
    if grant.ended_ms:
        yield t("Ended"), f"{local_time(grant.ended_ms)}, {shown.department(grant.ended_by)}"
    if grant.reason:
        yield t("Reason"), printable(grant.reason)


def _status(shown: _Shown, grant: Any) -> str:
    from huzheng.v1 import sharing_pb2

    t = shown.out.texts
    names = {
        sharing_pb2.GRANT_STATUS_APPLIED: t("applied for, not decided"),
        sharing_pb2.GRANT_STATUS_ACTIVE: t("active"),
        sharing_pb2.GRANT_STATUS_REFUSED: t("refused"),
        sharing_pb2.GRANT_STATUS_ENDED: t("ended"),
    }
    return names.get(grant.status, str(grant.status))


def _read(shown: _Shown, read: Any) -> Pairs:
    t = shown.out.texts
    yield t("Reader"), shown.department(read.reader)
    yield t("Owner"), shown.department(read.owner)
    yield t("Resource"), shown.resource(read.resource)
    yield t("Subject"), printable(read.subject)
    yield t("Confidential fields"), shown.fields(read.resource, list(read.fields))
    yield t("Case number"), printable(read.case_number)
    yield t("Time"), f"{local_time(read.time_ms)}, {t('block')} {read.height}"
    acknowledged = local_time(read.acknowledged_ms) if read.acknowledged_ms else t("not acknowledged: only asked for")
    yield t("Arrived"), acknowledged
    yield t("Record id"), read.record_id.hex()
    yield t("Grant"), read.grant.hex()


def _reads(shown: _Shown, reads: Any) -> Pairs:
    t = shown.out.texts
    yield t("Reads"), reads.count
    yield t("Digest over their ids"), reads.digest.hex()


def _erasure(shown: _Shown, erasure: Any) -> Pairs:
    t = shown.out.texts
    yield from _ordered(shown, erasure)
    for done in erasure.done:
        yield t("Erased"), f"{local_time(done.time_ms)}, {shown.department(done.department)}"
    if not erasure.done:
        yield t("Erased"), t("nobody has said so yet")


def _ordered(shown: _Shown, order: Any) -> Pairs:
    t = shown.out.texts
    yield t("Ordered at"), f"{local_time(order.time_ms)}, {t('block')} {order.height}"
    yield t("Legal basis"), printable(order.legal_basis)


def _resource(shown: _Shown, state: Any) -> Pairs:
    t = shown.out.texts
    yield t("Department"), shown.department(state.department)
    yield t("Newest schema version"), state.newest_version
    yield t("Open schema versions"), ", ".join(map(str, state.open_versions)) or t("none: withdrawn")


def _version(shown: _Shown, resource: Any) -> Pairs:
    t = shown.out.texts
    yield t("Department"), shown.department(resource.department)
    names = [(printable(spec.name), spec.confidential) for spec in resource.fields]
    yield t("Public fields"), ", ".join(name for name, is_confidential in names if not is_confidential)
    yield t("Confidential fields"), ", ".join(name for name, is_confidential in names if is_confidential)


def _duty(shown: _Shown, state: Any) -> Pairs:
    t, duty = shown.out.texts, state.duty
    yield t("Title"), printable(duty.title_zh if t.language == "zh" else duty.title_en)
    yield t("Legal basis"), printable(duty.legal_basis)
    if state.withdrawn:
        yield t("Status"), t("withdrawn")


_SHOWN: Mapping[str, Callable[[_Shown, Any], Pairs]] = {
    "grant": _grant,
    "read": _read,
    "reads": _reads,
    "erasure": _erasure,
    "expunge": _ordered,
    "resource": _resource,
    "version": _version,
    "duty": _duty,
}


def statement_to_dict(genesis: Genesis, verdict: StatementVerdict) -> dict[str, Any]:
    """For programs: the verdict, each entry with what it says, and how much of a register it is about."""
    from ledger.coverage import coverage
    from ledger.proof_parts import entry_to_dict
    from ledger.state_entry import read_entry

    view = verdict.to_dict()
    for shown, (key, value) in zip(view["entries"], verdict.entries.items(), strict=True):
        shown["says"] = entry_to_dict(read_entry(key, value))
    return view | {"registers": [found.to_dict() for found in coverage(genesis, verdict)]}

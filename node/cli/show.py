"""How records, verdicts and departments look to people and to programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ledger.errors import Language
from node.cli.output import Output, json_time, local_time, printable, short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from huzheng.v1 import ledger_service_pb2 as pb
    from huzheng.v1 import transaction_pb2

    from ledger.catalogue import CompiledResource
    from ledger.crypto import Membership
    from ledger.genesis import Genesis
    from ledger.receipt import Verdict
    from ledger.sealed_block import BlockVerdict
    from node.catalogue import Catalogue


def department_name(genesis: Genesis, department: str, language: Language) -> str:
    """A department's name for people, with its id."""
    found = genesis.departments.get(department)
    if found is None:
        return printable(department)
    return f"{found.name_zh if language == 'zh' else found.name_en} ({department})"


def resource_title(genesis: Genesis, resource: str, language: Language) -> str:
    """A resource's title for people, with its name."""
    return _title(genesis.catalogue.get(resource), resource, language)


def _title(found: CompiledResource | None, resource: str, language: Language) -> str:
    if found is None:
        return printable(resource)
    title = found.message.title_zh if language == "zh" else found.message.title_en
    return f"{title} ({resource})" if title else resource


def field_title(genesis: Genesis, resource: str, name: str, language: Language) -> str:
    """A field's title for people, with its name."""
    return _field_title(genesis.catalogue.get(resource), name, language)


def _field_title(found: CompiledResource | None, name: str, language: Language) -> str:
    for spec in found.message.fields if found is not None else ():
        if spec.name == name:
            title = spec.title_zh if language == "zh" else spec.title_en
            return f"{title} ({name})" if title else name
    return printable(name)


def field_value(genesis: Genesis, resource: str, name: str, value: str, language: Language) -> str:
    """A field's value for people: a code with what it means, where that is known."""
    return _field_value(genesis.catalogue.get(resource), name, value, language)


def _field_value(found: CompiledResource | None, name: str, value: str, language: Language) -> str:
    from node.certificate.words import code_title

    if found is None:
        return printable(value)
    title = next((code_title(found.name, spec, value) for spec in found.message.fields if spec.name == name), None)
    if title is None:
        return printable(value)
    return f"{value} {title.zh if language == 'zh' else title.en}"


def replica_names(genesis: Genesis, membership: Membership, replicas: tuple[int, ...], language: Language) -> str:
    """Replicas of an epoch by their numbers and departments."""
    departments = {int(member.replica): member.department for member in membership.members}
    names = (f"{number} {department_name(genesis, departments.get(number, '?'), language)}" for number in replicas)
    return ", ".join(names)


def verdict_for_people(
    out: Output,
    genesis: Genesis,
    verdict: Verdict,
    *,
    asked: bool = False,
    definition: CompiledResource | None = None,
) -> None:
    """What a valid receipt proves, and what it does not. `asked`: whether a node has proved if there is anything newer.

    `definition`: the record's schema version, where it is proved; else the genesis' is looked for.
    """
    t, language = out.texts, out.texts.language
    record = verdict.record
    if verdict.refusal is not None:
        out.line(
            t("VALID receipt of a REFUSAL: this transaction did not take effect ({code}).", code=verdict.refusal),
            "bold yellow",
        )
    elif record is None:
        out.line(t("VALID: this transaction was accepted."), "bold green")
    elif record.revokes:
        out.line(t("VALID: this revocation is on the chain."), "bold green")
    else:
        out.line(t("VALID: this record is on the chain."), "bold green")
    pairs: list[tuple[str, object]] = []
    if record is not None:
        known = definition or genesis.catalogue.get(record.resource)
        pairs += [
            (t("Resource"), _title(known, record.resource, language)),
            (t("Subject"), printable(record.subject)),
            (t("Version"), f"{record.version}, {t('revokes') if record.revokes else t('asserts')}"),
            *(
                (_field_title(known, name, language), _field_value(known, name, value, language))
                for name, value in (record.values or {}).items()
            ),
            (t("Record id"), record.id.hex()),
            *_relied_pairs(out, [relied.to_dict() for relied in record.relies_on]),
        ]
    pairs += [
        (
            t("Registered by") if verdict.accepted else t("In the name of"),
            department_name(genesis, verdict.department, language),
        ),
        (t("Time"), local_time(verdict.time_ms)),
        (t("Transaction"), verdict.transaction_id.hex()),
        *block_pairs(out, genesis, verdict),
    ]
    out.pairs("", pairs)
    if record is not None and not record.is_shown:
        out.line(t("That the record was there is proved; its contents were removed or are not shown."), "bold yellow")
    if not verdict.conclusive:
        out.note(t("The same transaction may have been accepted in another block: ask a node for its first result."))
    if record is not None and verdict.accepted and not asked:
        out.note(t("A receipt proves what was registered then; it can't show whether a newer version exists."))


def block_pairs(out: Output, genesis: Genesis, verdict: BlockVerdict) -> Iterator[tuple[str, object]]:
    """Of which block something is proved, by whom, and who is trusted for it."""
    t = out.texts
    yield t("Block"), f"{verdict.height}, {short(verdict.block_hash)}…"
    yield t("Sealed by"), replica_names(genesis, verdict.membership, verdict.sealed_by, t.language)
    yield t("Trusting"), f"{genesis.name}, {t('chain')} {verdict.chain_id.hex()}"
    if verdict.anchor is not None:
        yield t("Anchor"), f"{t('block')} {verdict.anchor.height}, {short(verdict.anchor.hash)}…"


def located_pairs(out: Output, catalogue: Catalogue, located: pb.LocatedRecord) -> list[tuple[str, object]]:
    """A record as a node tells it, for people."""
    t, language = out.texts, out.texts.language
    view = located_to_dict(catalogue, located)
    definition = catalogue.version(view["resource"], view["schema_version"])
    pairs: list[tuple[str, object]] = [
        (t("Resource"), _title(definition, view["resource"], language)),
        (t("Subject"), printable(view["subject"])),
        (t("Version"), f"{view['version']}, {action_name(out, view)}, {current_name(out, view)}"),
    ]
    for name, value in (view["fields"] or {}).items():
        pairs.append((_field_title(definition, name, language), _field_value(definition, name, value, language)))
    if lacks_contents(view):
        pairs.append((t("Contents"), removal(out, located)))
    pairs += [
        (t("Registered by"), department_name(catalogue.genesis, located.department, language)),
        (t("Time"), local_time(located.time_ms)),
        (t("Block"), f"{located.height}, {t('transaction')} {located.transaction_index}"),
        (t("Record id"), view["record_id"]),
        (t("Transaction"), view["transaction_id"]),
    ]
    if view["replaces"]:
        pairs.append((t("Replaces"), view["replaces"]))
    return [*pairs, *_relied_pairs(out, view["relies_on"])]


def _relied_pairs(out: Output, relies_on: list[dict[str, Any]]) -> Iterator[tuple[str, object]]:
    for relied in relies_on:
        subject = printable(relied["subject"])
        yield out.texts("Relies on"), f"{printable(relied['resource'])} {subject}, {relied['record_id']}"


def payload_pairs(
    out: Output, catalogue: Catalogue, record: transaction_pb2.Record, payload: bytes
) -> Iterator[tuple[str, object]]:
    """A record and its fields, for people; without the fields where they can't be read, as those of a refused record may not."""
    t, language = out.texts, out.texts.language
    definition = catalogue.version(record.resource, record.schema_version)
    yield t("Resource"), _title(definition, record.resource, language)
    yield t("Subject"), printable(record.subject)
    yield t("Version"), record.version
    for name, value in (_fields(definition, payload) or {}).items():
        yield _field_title(definition, name, language), _field_value(definition, name, value, language)


def lacks_contents(view: dict[str, Any]) -> bool:
    """Whether a record's contents were removed, or the node does not show them."""
    return not view["contents_shown"]


def removal(out: Output, located: pb.LocatedRecord) -> str:
    """When and on what ground a record's contents were removed, if an order to do so is known."""
    t, order = out.texts, located.expunged
    if not located.HasField("expunged"):
        return t("removed or not shown")
    return t(
        "removed at height {height}, {time}, on the ground of: {basis}",
        height=order.height,
        time=local_time(order.time_ms),
        basis=printable(order.legal_basis),
    )


def action_name(out: Output, view: dict[str, Any]) -> str:
    """What a record does, in one word."""
    return out.texts("revokes") if view["action"] == "revoke" else out.texts("asserts")


def current_name(out: Output, view: dict[str, Any]) -> str:
    """Whether a record is the newest about its subject, in one word."""
    return out.texts("newest") if view["current"] else out.texts("replaced")


def located_to_dict(catalogue: Catalogue, located: pb.LocatedRecord) -> dict[str, Any]:
    """A record as a node tells it, for programs. The fields are null where they can't be read, or are not there any more."""
    from huzheng.v1 import transaction_pb2

    from ledger.expunged import is_removed
    from ledger.proven_record import relied_by

    record = transaction_pb2.Record.FromString(located.record)
    revokes = record.action == transaction_pb2.RECORD_ACTION_REVOKE
    shown, order = not is_removed(catalogue.genesis.suite, record, located.payload), located.expunged
    definition = catalogue.version(record.resource, record.schema_version)
    return {
        "resource": record.resource,
        "subject": record.subject,
        "version": record.version,
        "action": "revoke" if revokes else "assert",
        "schema_version": record.schema_version,
        "fields": {} if revokes else _fields(definition, located.payload) if shown else None,
        "contents_shown": shown,
        "expunged": None
        if not located.HasField("expunged")
        else {"height": order.height, "time": json_time(order.time_ms), "legal_basis": order.legal_basis},
        "current": located.current,
        "department": located.department,
        "time": json_time(located.time_ms),
        "height": located.height,
        "record_id": located.record_id.hex(),
        "replaces": record.replaces.hex(),
        "relies_on": [relied.to_dict() for relied in relied_by(record)],
        "transaction_id": located.transaction_id.hex(),
    }


def _fields(definition: CompiledResource | None, payload: bytes) -> dict[str, str] | None:
    from ledger.catalogue import read_fields
    from ledger.errors import HuzhengError

    try:
        return read_fields(definition, payload)
    except HuzhengError:
        return None

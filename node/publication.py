"""What of a catalogue file is not on chain as it says, and the operations that would put it there (docs/protocol.md section 14)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from huzheng.v1 import catalogue_pb2, ledger_service_pb2, sharing_pb2, state_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.catalogue import CompiledResource
from ledger.errors import Code, HuzhengError
from ledger.sharing.publishing import amends
from ledger.transaction import MAX_OPERATIONS
from node.catalogue_file import CatalogueFile

_TableKey = tuple[str, str, str]


@dataclass(slots=True)
class CatalogueOnChain:
    """The catalogue as a node tells it."""

    duties: dict[tuple[str, str], state_pb2.DutyState] = field(default_factory=dict)
    """By department and code."""
    resources: dict[str, state_pb2.ResourceState] = field(default_factory=dict)
    versions: dict[tuple[str, int], catalogue_pb2.Resource] = field(default_factory=dict)
    tables: dict[_TableKey, catalogue_pb2.DataTable] = field(default_factory=dict)
    """By resource, system and name."""

    @classmethod
    def of(cls, items: Iterable[ledger_service_pb2.CatalogueItem]) -> CatalogueOnChain:
        """From what `GetCatalogue` answers."""
        found = cls()
        for item in items:
            if item.HasField("duty"):
                found.duties[item.duty.duty.department, item.duty.duty.code] = item.duty
            elif item.HasField("resource"):
                found.resources[item.resource.name] = item.resource.state
            elif item.HasField("version"):
                found.versions[item.version.name, item.version.schema_version] = item.version
            elif item.HasField("table"):
                found.tables[item.table.resource, item.table.system, item.table.name] = item.table
        return found

    def newest(self, name: str) -> catalogue_pb2.Resource:
        """The newest schema version of a resource that is there.

        Raises:
            HuzhengError: UNTRUSTED_ANSWER if the node has not told of it.
        """
        version = self.versions.get((name, self.resources[name].newest_version))
        if version is None:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, "a resource without its newest version")
        return version

    def shown_table(self, key: _TableKey) -> catalogue_pb2.DataTable:
        """A table without the columns of fields that the newest version no longer has."""
        table = catalogue_pb2.DataTable()
        table.CopyFrom(self.tables[key])
        if key[0] in self.resources:
            numbers = {spec.number for spec in self.newest(key[0]).fields}
            kept = [column for column in self.tables[key].columns if column.field in numbers]
            del table.columns[:]
            table.columns.extend(kept)
        return table


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not on chain as the file says."""

    kind: str
    """`duty`, `resource` or `table`."""
    name: str
    is_new: bool
    details: tuple[str, ...]
    """What becomes different: names of fields with `+`, `-` or `~` before them, and of other parts."""
    operation: pb.Operation


def find_changes(wanted: CatalogueFile, chain: CatalogueOnChain, department: str) -> list[Change]:
    """What publishing a department's part of a file would do, in an order in which it can be done.

    Raises:
        HuzhengError: BAD_AMENDMENT, naming the resource, where the file says of a version what the chain does not, or
            something that can't be the next one; NOT_OWNER where a resource is another department's on chain.
    """
    duties = [duty for duty in wanted.duties if duty.department == department]
    resources = [resource for resource in wanted.resources if resource.department == department]
    own = {resource.name for resource in resources}
    tables = [table for table in wanted.tables if table.resource in own]
    changes: list[Change] = []
    changes += filter(None, (_duty_change(duty, chain) for duty in duties))
    changes += filter(None, (_resource_change(resource, chain, department) for resource in resources))
    changes += filter(None, (_table_change(table, chain) for table in tables))
    return changes


def _duty_change(duty: catalogue_pb2.Duty, chain: CatalogueOnChain) -> Change | None:
    known = chain.duties.get((duty.department, duty.code))
    if known is not None and known.duty == duty and not known.withdrawn:
        return None
    details = () if known is None else _parts(known.duty, duty, ("title_zh", "title_en", "legal_basis"))
    if known is not None and known.withdrawn:
        details = ("+", *details)
    operation = pb.Operation(publish_duty=sharing_pb2.PublishDuty(duty=duty))
    return Change("duty", duty.code, known is None, details, operation)


def _resource_change(resource: catalogue_pb2.Resource, chain: CatalogueOnChain, department: str) -> Change | None:
    operation = pb.Operation(publish_resource=sharing_pb2.PublishResource(resource=resource))
    known = chain.resources.get(resource.name)
    if known is None:
        if resource.schema_version != 1:
            raise HuzhengError(Code.BAD_AMENDMENT, f"{resource.name}: a new resource starts with schema_version 1")
        return Change("resource", resource.name, True, (), operation)
    if known.department != department:
        raise HuzhengError(Code.NOT_OWNER, f"{resource.name} belongs to {known.department}")
    same = chain.versions.get((resource.name, resource.schema_version))
    if same == resource and known.open_versions:
        return None
    newest = chain.newest(resource.name)
    if same is not None or resource.schema_version != known.newest_version + 1:
        following = known.newest_version + 1
        raise HuzhengError(
            Code.BAD_AMENDMENT,
            f"{resource.name}: it differs from what is on chain, or is withdrawn; its next schema_version is {following}",
        )
    parts = ("title_zh", "title_en", "sharing_class", "duty", "update_cycle_days", "subject")
    details = (*_field_changes(newest, resource), *_parts(newest, resource, parts))
    if not amends(known, CompiledResource(newest), resource):
        raise HuzhengError(Code.BAD_AMENDMENT, f"{resource.name}: {', '.join(details)}")
    return Change("resource", resource.name, False, details, operation)


def _table_change(table: catalogue_pb2.DataTable, chain: CatalogueOnChain) -> Change | None:
    key = (table.resource, table.system, table.name)
    operation = pb.Operation(publish_table=sharing_pb2.PublishTable(table=table))
    name = f"{table.resource}: {table.system} {table.name}"
    if key not in chain.tables:
        return Change("table", name, True, (), operation)
    known = chain.shown_table(key)
    if known == table:
        return None
    before, after = ({column.field: column.name for column in side.columns} for side in (known, table))
    details = tuple(
        f"{_sign(number in before, number in after)}{after.get(number) or before[number]}"
        for number in sorted({*before, *after})
        if before.get(number) != after.get(number)
    )
    return Change("table", name, False, details, operation)


def _field_changes(before: catalogue_pb2.Resource, after: catalogue_pb2.Resource) -> tuple[str, ...]:
    old, new = ({spec.number: spec for spec in side.fields} for side in (before, after))
    return tuple(
        f"{_sign(number in old, number in new)}{(new.get(number) or old[number]).name}"
        for number in sorted({*old, *new})
        if old.get(number) != new.get(number)
    )


def _sign(was: bool, will_be: bool) -> str:
    return "~" if was and will_be else "-" if was else "+"


def _parts(before: object, after: object, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if getattr(before, name) != getattr(after, name))


def in_transactions(operations: Iterable[pb.Operation], max_bytes: int) -> Iterator[list[pb.Operation]]:
    """Operations in their order, as many together as a transaction may have; `max_bytes` for those of one."""
    group: list[pb.Operation] = []
    size = 0
    for operation in operations:
        # Tag and length, rounded up.
        bytes_more = operation.ByteSize() + 8
        if group and (len(group) == MAX_OPERATIONS or size + bytes_more > max_bytes):
            yield group
            group, size = [], 0
        group.append(operation)
        size += bytes_more
    if group:
        yield group

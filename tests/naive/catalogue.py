"""What accepted operations of docs/protocol.md section 14 leave in the state, and where heads are then. Plain, from the text."""

from __future__ import annotations

from collections.abc import Mapping

from huzheng.v1 import catalogue_pb2, sharing_pb2, state_pb2
from huzheng.v1 import transaction_pb2 as pb

State = Mapping[bytes, bytes]
Effects = dict[bytes, bytes | None]


def heads_place(state: State, resource: str, subject: str) -> tuple[bytes, int, int]:
    """X1: the state key of a head, its slot, and how many slots its page has."""
    register = resource.split(".")[0]
    number = state_pb2.ResourceState.FromString(state[b"c" + resource.encode()]).number
    page, slot = divmod(number, 16)
    there = min(16, _count(state, register) - 16 * page)
    key = b"h" + register.encode() + b"\x00" + subject.encode() + b"\x00" + bytes([page])
    return key, slot, (there + 3) // 4 * 4


def _count(state: State, register: str) -> int:
    added = state.get(b"w" + register.encode())
    if added is not None:
        return int.from_bytes(added, "big")
    # Until one is added, those that there are begin with the register's name.
    return sum(key.startswith(b"c" + register.encode() + b".") and b"\x00" not in key for key in state)


def catalogue_effects(state: State, department: str, operation: pb.Operation) -> Effects:
    """D1 to D6, of an operation that is accepted. A key without value is removed."""
    kind = operation.WhichOneof("operation")
    if kind == "publish_duty":
        duty = operation.publish_duty.duty
        return {_duty_key(department, duty.code): _write(state_pb2.DutyState(duty=duty))}
    if kind == "publish_resource":
        return _resource_effects(state, operation.publish_resource.resource)
    if kind == "publish_table":
        table = operation.publish_table.table
        return {_table_key(table.resource, table.system, table.name): _write(table)}
    return _withdrawal_effects(state, department, operation.withdraw)


def _resource_effects(state: State, resource: catalogue_pb2.Resource) -> Effects:
    effects: Effects = {}
    key = b"c" + resource.name.encode()
    if key in state:
        known = state_pb2.ResourceState.FromString(state[key])
    else:
        register = resource.name.split(".")[0]
        count = _count(state, register)
        known = state_pb2.ResourceState(department=resource.department, number=count)
        effects[b"w" + register.encode()] = (count + 1).to_bytes(4, "big")
    known.newest_version = resource.schema_version
    known.open_versions.append(resource.schema_version)
    known.highest_field = max([known.highest_field, *(spec.number for spec in resource.fields)])
    effects[key] = _write(known)
    effects[key + b"\x00" + resource.schema_version.to_bytes(4, "big")] = _write(resource)
    return effects


def _withdrawal_effects(state: State, department: str, withdrawn: sharing_pb2.Withdraw) -> Effects:
    if withdrawn.HasField("table"):
        return {_table_key(withdrawn.table.resource, withdrawn.table.system, withdrawn.table.name): None}
    if withdrawn.HasField("duty"):
        key = _duty_key(department, withdrawn.duty.code)
        duty = state_pb2.DutyState.FromString(state[key])
        duty.withdrawn = True
        return {key: _write(duty)}
    key = b"c" + withdrawn.resource.resource.encode()
    known = state_pb2.ResourceState.FromString(state[key])
    ended = withdrawn.resource.schema_version
    left = [version for version in known.open_versions if ended not in (0, version)]
    del known.open_versions[:]
    known.open_versions.extend(left)
    return {key: _write(known)}


def _duty_key(department: str, code: str) -> bytes:
    return f"u{department}\0{code}".encode()


def _table_key(resource: str, system: str, name: str) -> bytes:
    return f"b{resource}\0{system}\0{name}".encode()


def _write(
    message: state_pb2.DutyState | state_pb2.ResourceState | catalogue_pb2.DataTable | catalogue_pb2.Resource,
) -> bytes:
    return message.SerializeToString(deterministic=True)

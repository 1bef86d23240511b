"""Publishing, amending and withdrawing what is in the catalogue (docs/protocol.md section 14)."""

from __future__ import annotations

from huzheng.v1 import catalogue_pb2, sharing_pb2, state_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.catalogue import CompiledResource
from ledger.catalogue_rules import is_duty, is_table, resource_problems
from ledger.crypto import strict
from ledger.published import duty_key, register_key, resource_key, table_key, version_key
from ledger.registers import MAX_REGISTER_RESOURCES, register_of
from ledger.sharing.context import Context


def publish_duty(context: Context, operation: sharing_pb2.PublishDuty) -> None:
    """D1, D3."""
    duty = operation.duty
    context.require(is_duty(duty))
    context.require(duty.department == context.department, pb.RESULT_CODE_NOT_OWNER)
    context.state.set(duty_key(duty.department, duty.code), strict.write(state_pb2.DutyState(duty=duty)))


def publish_resource(context: Context, operation: sharing_pb2.PublishResource) -> None:
    """D3, D4."""
    resource = operation.resource
    context.require(not resource_problems(resource))
    known = context.published.find(resource.name)
    owner = resource.department if known is None else known.department
    context.require(resource.department == context.department == owner, pb.RESULT_CODE_NOT_OWNER)
    if resource.duty:
        context.require(_has_duty(context, resource.duty), pb.RESULT_CODE_UNKNOWN_DUTY)
    numbers = [field.number for field in resource.fields]
    if known is None:
        state = _added(context, resource)
    else:
        newest = context.published.version(resource.name, known.newest_version)
        context.require(newest is not None and amends(known, newest, resource), pb.RESULT_CODE_BAD_AMENDMENT)
        state = state_pb2.ResourceState()
        state.CopyFrom(known)
    state.newest_version = resource.schema_version
    state.open_versions.append(resource.schema_version)
    state.highest_field = max(state.highest_field, *numbers, 0)
    context.state.set(resource_key(resource.name), strict.write(state))
    context.state.set(version_key(resource.name, resource.schema_version), strict.write(resource))


def _has_duty(context: Context, code: str) -> bool:
    raw = context.state.get(duty_key(context.department, code))
    return raw is not None and not strict.read(state_pb2.DutyState, raw).withdrawn


def _added(context: Context, resource: catalogue_pb2.Resource) -> state_pb2.ResourceState:
    register = register_of(resource.name)
    number = context.published.count(register)
    context.require(resource.schema_version == 1 and number < MAX_REGISTER_RESOURCES, pb.RESULT_CODE_BAD_AMENDMENT)
    context.state.set(register_key(register), (number + 1).to_bytes(4, "big"))
    return state_pb2.ResourceState(department=context.department, number=number)


def amends(known: state_pb2.ResourceState, newest: CompiledResource, resource: catalogue_pb2.Resource) -> bool:
    """Whether this can be the next version: what was written under those before goes on to mean the same."""
    if resource.schema_version != known.newest_version + 1 or resource.schema_version >= 1 << 32:
        return False
    if _kind(resource.subject) != _kind(newest.message.subject):
        return False
    fields = {field.number: field for field in newest.message.fields}
    return all(
        spec.number > known.highest_field or (spec.number in fields and _is_same(spec, fields[spec.number]))
        for spec in resource.fields
    )


def _kind(spec: catalogue_pb2.FieldSpec) -> catalogue_pb2.FieldSpec:
    """A specification without what is for people only."""
    copy = catalogue_pb2.FieldSpec()
    copy.CopyFrom(spec)
    copy.title_zh = copy.title_en = ""
    return copy


def _is_same(spec: catalogue_pb2.FieldSpec, before: catalogue_pb2.FieldSpec) -> bool:
    return (spec.name, spec.type, spec.confidential) == (before.name, before.type, before.confidential)


def publish_table(context: Context, operation: sharing_pb2.PublishTable) -> None:
    """D5."""
    table = operation.table
    context.require(is_table(table))
    numbers = {field.number for field in _own(context, table.resource, pb.RESULT_CODE_UNKNOWN_RESOURCE).fields}
    context.require(all(column.field in numbers for column in table.columns), pb.RESULT_CODE_UNKNOWN_FIELD)
    context.state.set(table_key(table.resource, table.system, table.name), strict.write(table))


def _own(context: Context, name: str, unless_there: pb.ResultCode.ValueType) -> CompiledResource:
    """The newest version of a resource that must be there, and the department's."""
    newest = context.published.newest(name)
    if newest is None:
        raise context.refuse(unless_there)
    context.require(newest.department == context.department, pb.RESULT_CODE_NOT_OWNER)
    return newest


def withdraw(context: Context, operation: sharing_pb2.Withdraw) -> None:
    """D6."""
    entry = operation.WhichOneof("entry")
    if entry == "duty":
        _withdraw_duty(context, operation.duty.code)
    elif entry == "resource":
        _withdraw_resource(context, operation.resource)
    elif entry == "table":
        _withdraw_table(context, operation.table)
    else:
        raise context.refuse(pb.RESULT_CODE_BAD_OPERATION)


def _withdraw_duty(context: Context, code: str) -> None:
    key = duty_key(context.department, code)
    raw = context.state.get(key)
    duty = None if raw is None else strict.read(state_pb2.DutyState, raw)
    if duty is None or duty.withdrawn:
        raise context.refuse(pb.RESULT_CODE_NOT_PUBLISHED)
    duty.withdrawn = True
    context.state.set(key, strict.write(duty))


def _withdraw_resource(context: Context, version: sharing_pb2.SchemaVersion) -> None:
    _own(context, version.resource, pb.RESULT_CODE_NOT_PUBLISHED)
    state = state_pb2.ResourceState()
    state.CopyFrom(context.published.find(version.resource) or state)
    open_versions = list(state.open_versions)
    ended = [version.schema_version] if version.schema_version else open_versions
    context.require(bool(ended) and set(ended) <= set(open_versions), pb.RESULT_CODE_NOT_PUBLISHED)
    del state.open_versions[:]
    state.open_versions.extend(number for number in open_versions if number not in ended)
    context.state.set(resource_key(version.resource), strict.write(state))


def _withdraw_table(context: Context, table: sharing_pb2.TableName) -> None:
    _own(context, table.resource, pb.RESULT_CODE_NOT_PUBLISHED)
    key = table_key(table.resource, table.system, table.name)
    context.require(context.state.get(key) is not None, pb.RESULT_CODE_NOT_PUBLISHED)
    context.state.set(key, None)

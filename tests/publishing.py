"""Small definitions of what departments publish, and the operations that publish and withdraw them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from huzheng.v1 import catalogue_pb2, sharing_pb2, state_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.building import BuiltRecord, build_record
from ledger.catalogue import CompiledResource
from ledger.crypto import Domain
from ledger.published import Published
from tests.builders import Chain, Consortium
from tests.naive.ledger import Result
from tests.outcomes import one

ACCEPTED = ("ACCEPTED", 0)
PERMIT = "planning.permit"
"""A resource that is not in the genesis, in a register that is not there either."""
KIND = catalogue_pb2.FieldType


def text_spec(**fields: Any) -> catalogue_pb2.FieldSpec:
    """A text of up to 32 bytes."""
    values: dict[str, Any] = {"title_zh": "文字", "title_en": "Text", "type": KIND.FIELD_TYPE_TEXT, "max_bytes": 32}
    return catalogue_pb2.FieldSpec(**(values | fields))


def number_field(number: int, name: str, **fields: Any) -> catalogue_pb2.FieldSpec:
    """A field that holds an integer."""
    values: dict[str, Any] = {"title_zh": "数", "title_en": "Number", "type": KIND.FIELD_TYPE_INTEGER}
    return catalogue_pb2.FieldSpec(number=number, name=name, **(values | fields))


def resource(name: str = PERMIT, department: str = "planning", **fields: Any) -> catalogue_pb2.Resource:
    """Version 1 of a resource about texts, with the integers AREA (required) and FLOORS."""
    values: dict[str, Any] = {
        "title_zh": "许可",
        "title_en": "Permit",
        "sharing_class": catalogue_pb2.SHARING_CLASS_CONDITIONAL,
        "schema_version": 1,
        "subject": text_spec(required=True),
        "fields": [number_field(1, "AREA", required=True), number_field(2, "FLOORS")],
    }
    return catalogue_pb2.Resource(name=name, department=department, **(values | fields))


def duty(code: str = "GH-01", department: str = "planning", **fields: Any) -> catalogue_pb2.Duty:
    values = {"title_zh": "规划许可", "title_en": "Permits", "legal_basis": "城乡规划法第四十条"} | fields
    return catalogue_pb2.Duty(code=code, department=department, **values)


def table(
    name: str = "GHXK", system: str = "规划系统", of: str = PERMIT, columns: Sequence[int] = (1,)
) -> pb.Operation:
    """Publishes a table whose columns hold these fields."""
    named = [catalogue_pb2.Column(field=number, name=f"COLUMN_{number}") for number in columns]
    data_table = catalogue_pb2.DataTable(resource=of, system=system, name=name, columns=named)
    return pb.Operation(publish_table=sharing_pb2.PublishTable(table=data_table))


def publish(definition: catalogue_pb2.Resource | catalogue_pb2.Duty) -> pb.Operation:
    """Publishes a resource or a duty."""
    if isinstance(definition, catalogue_pb2.Duty):
        return pb.Operation(publish_duty=sharing_pb2.PublishDuty(duty=definition))
    return pb.Operation(publish_resource=sharing_pb2.PublishResource(resource=definition))


def withdraw_duty(code: str) -> pb.Operation:
    return pb.Operation(withdraw=sharing_pb2.Withdraw(duty=sharing_pb2.DutyCode(code=code)))


def withdraw_resource(name: str = PERMIT, version: int = 0) -> pb.Operation:
    which = sharing_pb2.SchemaVersion(resource=name, schema_version=version)
    return pb.Operation(withdraw=sharing_pb2.Withdraw(resource=which))


def withdraw_table(name: str = "GHXK", system: str = "规划系统", of: str = PERMIT) -> pb.Operation:
    which = sharing_pb2.TableName(resource=of, system=system, name=name)
    return pb.Operation(withdraw=sharing_pb2.Withdraw(table=which))


def record(
    consortium: Consortium,
    definition: catalogue_pb2.Resource,
    subject: str = "A1",
    version: int = 1,
    replaces: bytes = b"",
    *,
    revoke: bool = False,
) -> BuiltRecord:
    """A record under a definition; it asserts `AREA` alone, or revokes."""
    values = None if revoke else {"AREA": "7"}
    compiled = CompiledResource(definition)
    return build_record(consortium.genesis, compiled, subject, version, replaces, values, salt=bytes([version]) * 16)


def published(chain: Chain) -> Published:
    return Published(chain.consortium.genesis, chain.state)


def new_duties(chain: Chain) -> list[state_pb2.DutyState]:
    """Those that are not the genesis'."""
    initial = set(map(duty_id, chain.consortium.genesis.duties))
    return [state for state in published(chain).duties() if duty_id(state.duty) not in initial]


def duty_id(item: catalogue_pb2.Duty) -> tuple[str, str]:
    return item.department, item.code


def _nonce(chain: Chain, operations: tuple[pb.Operation, ...]) -> int:
    return len(chain.blocks) * 100 + len(operations)


def do(chain: Chain, *operations: pb.Operation, department: str = "planning") -> Result:
    """How these operations, in one transaction, end."""
    nonce = _nonce(chain, operations)
    return one(chain, chain.consortium.transaction(operations=operations, department=department, nonce=nonce))


def write_record(chain: Chain, built: BuiltRecord, department: str = "planning") -> Result:
    nonce = len(chain.blocks)
    return one(chain, chain.consortium.transaction([built], department=department, nonce=nonce))


def second(**fields: Any) -> catalogue_pb2.Resource:
    """The second version of the permit; its third field is new."""
    fields = {"fields": [*resource().fields, number_field(3, "ROOMS")]} | fields
    values: dict[str, Any] = {"schema_version": 2} | fields
    return resource(**values)


def record_of(definition: catalogue_pb2.Resource, chain: Chain) -> BuiltRecord:
    """A record about another unit that cites this version of the objection."""
    built = pb.Record.FromString(chain.consortium.record(2).raw)
    built.schema_version = definition.schema_version
    raw = built.SerializeToString(deterministic=True)
    return BuiltRecord(chain.consortium.suite.digest(Domain.RECORD, raw), raw, chain.consortium.record(2).payload)

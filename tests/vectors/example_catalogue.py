"""A chain on which departments publish, amend and withdraw. How each transaction ends is said by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from huzheng.v1 import catalogue_pb2, sharing_pb2
from huzheng.v1 import transaction_pb2 as pb

from tests.vectors import example
from tests.vectors.example import DEED, NOW_MS, Built, revoking, transaction
from tests.vectors.example_chain import Ended, Planned

PERMIT = "demo.permit"
"""New, between the two of its register in the order of names."""
SURVEY = "survey.plot"
"""New, in a register of its own."""


def _spec(number: int, name: str, **fields: object) -> catalogue_pb2.FieldSpec:
    spec = catalogue_pb2.FieldSpec(
        number=number, name=name, title_zh=name, title_en=name, type=catalogue_pb2.FIELD_TYPE_INTEGER
    )
    for key, value in fields.items():
        setattr(spec, key, value)
    return spec


def _deed(version: int, *fields: catalogue_pb2.FieldSpec) -> catalogue_pb2.Resource:
    """The deed of the genesis with other fields; it is at version 3 there."""
    deed = example.resources()[0]
    del deed.fields[:]
    deed.fields.extend(fields)
    deed.schema_version = version
    return deed


def _new(name: str, *fields: catalogue_pb2.FieldSpec, version: int = 1, duty: str = "") -> catalogue_pb2.Resource:
    """A resource of alpha whose subjects are a deed's."""
    return catalogue_pb2.Resource(
        name=name,
        title_zh=name,
        title_en=name,
        department="alpha",
        sharing_class=catalogue_pb2.SHARING_CLASS_UNCONDITIONAL,
        schema_version=version,
        subject=example.resources()[0].subject,
        fields=fields,
        duty=duty,
        update_cycle_days=30,
    )


KIND, AREA, DAY = example.resources()[0].fields
ROOMS = _spec(4, "ROOMS")
DEED_4 = _deed(4, KIND, AREA, DAY, ROOMS)
DEED_5 = _deed(5, KIND, ROOMS)
OPEN = _new(PERMIT, _spec(1, "FLOORS"), duty="A-1")
PLOT = _new(SURVEY, _spec(1, "NUMBER", required=True), _spec(7, "OWNER", confidential=True))


def _duty(code: str = "A-1", department: str = "alpha", **fields: str) -> catalogue_pb2.Duty:
    values = {"title_zh": "许可", "title_en": "Permits", "legal_basis": "第四十条"} | fields
    return catalogue_pb2.Duty(code=code, department=department, **values)


def _publish(item: catalogue_pb2.Duty | catalogue_pb2.Resource) -> pb.Operation:
    if isinstance(item, catalogue_pb2.Duty):
        return pb.Operation(publish_duty=sharing_pb2.PublishDuty(duty=item))
    return pb.Operation(publish_resource=sharing_pb2.PublishResource(resource=item))


def _table(name: str, of: str, columns: Sequence[tuple[int, str]], system: str = "系统") -> pb.Operation:
    table = catalogue_pb2.DataTable(
        resource=of, system=system, name=name, columns=[catalogue_pb2.Column(field=n, name=text) for n, text in columns]
    )
    return pb.Operation(publish_table=sharing_pb2.PublishTable(table=table))


def _end_duty(code: str) -> pb.Operation:
    return pb.Operation(withdraw=sharing_pb2.Withdraw(duty=sharing_pb2.DutyCode(code=code)))


def _end_resource(name: str, version: int = 0) -> pb.Operation:
    which = sharing_pb2.SchemaVersion(resource=name, schema_version=version)
    return pb.Operation(withdraw=sharing_pb2.Withdraw(resource=which))


def _end_table(name: str, of: str, system: str = "系统") -> pb.Operation:
    which = sharing_pb2.TableName(resource=of, system=system, name=name)
    return pb.Operation(withdraw=sharing_pb2.Withdraw(table=which))


def _by(number: int, *operations: pb.Operation, key: str = "alpha admin") -> bytes:
    return transaction(key=key, operations=operations, nonce=number.to_bytes(16, "big"))


def _write(number: int, *records: Built) -> bytes:
    return transaction(*records, nonce=number.to_bytes(16, "big"))


FIRST = Built()
UNDER_4 = Built(example.payload((1, "sale"), (2, "1"), (4, "3")), subject="CD0001", schema_version=4)
UNDER_5 = Built(example.payload((1, "gift"), (4, "2")), subject="CD0002", schema_version=5)
NUMBERED = Built(example.payload((1, "12")), resource=PERMIT, schema_version=1)


def _entered() -> list[Ended]:
    table = _table("T_OPEN", PERMIT, [(1, "FLOORS")])
    return [
        ("duty, resource and table at once", _by(1, _publish(_duty()), _publish(OPEN), table), "ACCEPTED", 0),
        ("record in a resource of the same block", _write(2, NUMBERED), "ACCEPTED", 0),
        ("resource of a new register", _by(3, _publish(PLOT)), "ACCEPTED", 0),
        (
            "record without the commitment",
            _write(4, Built(example.payload((1, "1")), resource=SURVEY, schema_version=1)),
            "BAD_COMMITMENT",
            0,
        ),
    ]


def _side_by_side() -> list[Ended]:
    return [
        ("record that cites the first version", _write(10, FIRST), "ACCEPTED", 0),
        ("version that is not there yet", _write(11, UNDER_4), "SCHEMA_MISMATCH", 0),
        ("two versions more", _by(12, _publish(DEED_4), _publish(DEED_5)), "ACCEPTED", 0),
        ("three versions in one transaction", _write(13, UNDER_4, UNDER_5, Built(subject="CD0003")), "ACCEPTED", 0),
    ]


def _withdrawn() -> list[Ended]:
    again = Built(version=2, replaces=FIRST.id)
    return [
        ("version and table withdrawn", _by(20, _end_resource(DEED, 3), _end_table("T_OPEN", PERMIT)), "ACCEPTED", 0),
        ("withdrawn version cited", _write(21, again), "SCHEMA_MISMATCH", 0),
        ("withdrawn version cited by what revokes", _write(22, revoking(FIRST)), "ACCEPTED", 0),
        ("duty and all versions withdrawn", _by(23, _end_duty("A-1"), _end_resource(DEED)), "ACCEPTED", 0),
    ]


def _refused() -> Iterator[Ended]:
    theirs = _publish(_duty("B-1", "beta"))
    cases = [
        ("code that is none", "BAD_OPERATION", 0, [_publish(_duty("A 1"))]),
        ("name with a zero byte", "BAD_OPERATION", 0, [_publish(_new(f"{DEED}\0\0\0\0\3"))]),
        ("withdrawal of nothing", "BAD_OPERATION", 0, [pb.Operation(withdraw=sharing_pb2.Withdraw())]),
        ("duty of another", "NOT_OWNER", 1, [_publish(_duty("A-2")), theirs]),
        ("resource of another", "NOT_OWNER", 0, [_end_resource("demo.levy")]),
        ("duty withdrawn", "UNKNOWN_DUTY", 0, [_publish(_new(PERMIT, _spec(1, "FLOORS"), version=2, duty="A-1"))]),
        ("version left out", "BAD_AMENDMENT", 0, [_publish(_deed(7, KIND))]),
        ("number that was dropped", "BAD_AMENDMENT", 0, [_publish(_deed(6, KIND, AREA))]),
        ("confidential made public", "BAD_AMENDMENT", 0, [_publish(_new(SURVEY, _spec(7, "OWNER"), version=2))]),
        ("new one not at version 1", "BAD_AMENDMENT", 0, [_publish(_new("demo.other", version=2))]),
        ("table of no resource", "UNKNOWN_RESOURCE", 0, [_table("T", "demo.none", [(1, "X")])]),
        ("column of no field", "UNKNOWN_FIELD", 0, [_table("T", PERMIT, [(1, "X"), (2, "Y")])]),
        ("withdrawn already", "NOT_PUBLISHED", 0, [_end_resource(DEED)]),
        ("never there", "NOT_PUBLISHED", 2, [_publish(_duty()), _end_duty("A-1"), _end_duty("A-1")]),
    ]
    for number, (name, code, index, operations) in enumerate(cases):
        yield name, _by(30 + number, *operations), code, index
    yield "key of another role", _by(50, _publish(_duty()), key="alpha system"), "KEY_NOT_ALLOWED", 0
    yield "what was refused is not there", _write(51, Built(resource="demo.other")), "UNKNOWN_RESOURCE", 0


def _grown() -> list[Ended]:
    """The register gets its fifth resource; what is written anew has the wider page."""
    added = [_new(f"demo.n{number}") for number in range(2)]
    more = Built(example.payload((1, "13")), resource=PERMIT, schema_version=1, version=2, replaces=NUMBERED.id)
    other = Built(example.payload(), resource="demo.n1", schema_version=1)
    return [
        ("fourth and fifth of the register", _by(60, *map(_publish, added)), "ACCEPTED", 0),
        ("written again, and in the fifth", _write(61, more, other), "ACCEPTED", 0),
        ("opened again", _by(62, _publish(_deed(6, KIND))), "ACCEPTED", 0),
        ("duty entered again", _by(63, _publish(_duty(title_en="Permits and more"))), "ACCEPTED", 0),
    ]


def plan() -> Iterator[Planned]:
    """The blocks after the genesis."""
    yield "published and used", _entered(), 1, NOW_MS
    yield "schema versions side by side", _side_by_side(), 2, NOW_MS
    yield "withdrawn", _withdrawn(), 3, NOW_MS
    refused = list(_refused())
    for start in range(0, len(refused), 4):
        yield f"refused from case {start}", refused[start : start + 4], 5, NOW_MS
    yield "a wider page", _grown(), 1, NOW_MS + 1_000

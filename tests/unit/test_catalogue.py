"""Resources and payloads: which refusal a payload gets, and which definitions are refused (docs/protocol.md X5, F6)."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from functools import partial

import pytest
from huzheng.v1 import catalogue_pb2 as cat
from huzheng.v1 import transaction_pb2 as pb
from hypothesis import given
from hypothesis import strategies as st

from ledger.catalogue import CompiledResource, decode_payload, encode_payload, validate_resource
from ledger.errors import Code, HuzhengError, refusal

SALT = bytes(range(16))
spec = partial(cat.FieldSpec, title_zh="题", title_en="title")


def definition() -> cat.Resource:
    return cat.Resource(
        name="property.ownership",
        title_zh="题",
        title_en="title",
        department="planning",
        sharing_class=cat.SHARING_CLASS_CONDITIONAL,
        schema_version=1,
        subject=spec(type=cat.FIELD_TYPE_PROPERTY_UNIT_CODE, required=True),
        fields=[
            spec(number=1, name="YWH", type=cat.FIELD_TYPE_TEXT, max_bytes=16, required=True),
            spec(number=2, name="DJLX", type=cat.FIELD_TYPE_CODE, codes=["100", "200"], required=True),
            spec(number=5, name="JZMJ", type=cat.FIELD_TYPE_DECIMAL, scale=2),
            spec(number=7, name="DJSJ", type=cat.FIELD_TYPE_DATE),
            spec(number=8, name="BDCQZH", type=cat.FIELD_TYPE_CERTIFICATE_NUMBER),
            spec(number=9, name="ZCS", type=cat.FIELD_TYPE_INTEGER),
        ],
    )


RESOURCE = CompiledResource(definition())


def payload(*fields: tuple[int, str], salt: bytes = SALT) -> bytes:
    values = [pb.FieldValue(number=number, value=value) for number, value in fields]
    return pb.Payload(salt=salt, fields=values).SerializeToString(deterministic=True)


GOOD = payload((1, "a"), (2, "100"), (5, "89.5"))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        pytest.param(GOOD, None, id="good"),
        pytest.param(payload((1, "a"), (2, "100")), None, id="only what is required"),
        pytest.param(b"", Code.BAD_PAYLOAD, id="empty"),
        pytest.param(GOOD[:-1], Code.BAD_PAYLOAD, id="cut"),
        pytest.param(GOOD + b"\x1a\x00", Code.BAD_PAYLOAD, id="unknown protobuf field"),
        pytest.param(b"\x12\x06\x08\x02\x12\x02ab" + GOOD, Code.BAD_PAYLOAD, id="field before the salt"),
        pytest.param(GOOD.replace(b"\x12\x01a", b"\x12\x01\xff"), Code.BAD_PAYLOAD, id="no UTF-8"),
        pytest.param(payload((1, "a"), (2, "100"), salt=SALT[1:]), Code.BAD_PAYLOAD, id="short salt"),
        pytest.param(payload((1, "a"), (2, "100"), salt=b""), Code.BAD_PAYLOAD, id="no salt"),
        pytest.param(payload((2, "100"), (1, "a")), Code.BAD_PAYLOAD, id="descending numbers"),
        pytest.param(payload((1, "a"), (1, "a"), (2, "100")), Code.BAD_PAYLOAD, id="a number twice"),
        pytest.param(payload((1, "a"), (2, "100"), (3, "x")), Code.UNKNOWN_FIELD, id="unknown number"),
        pytest.param(payload((0, "x"), (1, "a"), (2, "100")), Code.UNKNOWN_FIELD, id="number zero"),
        pytest.param(payload((1, "a"), (2, "100"), (2**32 - 1, "x")), Code.UNKNOWN_FIELD, id="largest number"),
        pytest.param(payload((1, "a"), (2, "300")), Code.BAD_FIELD, id="misfit"),
        pytest.param(payload((1, "a"), (2, "100"), (5, "")), Code.BAD_FIELD, id="empty value"),
        pytest.param(payload((1, "a")), Code.MISSING_FIELD, id="required field missing"),
        pytest.param(payload(), Code.MISSING_FIELD, id="no fields"),
        pytest.param(payload((1, "a\n"), (3, "x")), Code.UNKNOWN_FIELD, id="misfit, then unknown: unknown counts"),
        pytest.param(payload((5, "x")), Code.BAD_FIELD, id="missing and misfit: misfit counts"),
        pytest.param(payload((3, "x"), (1, "a")), Code.BAD_PAYLOAD, id="unknown, then descending: order counts"),
    ],
)
def test_a_payload_is_accepted_or_refused_with_the_first_code_that_applies(raw: bytes, code: Code | None) -> None:
    result = RESOURCE.check_payload(raw)
    assert (None if result == pb.RESULT_CODE_ACCEPTED else refusal(result)) == code


@given(st.binary(max_size=80))
def test_no_bytes_make_the_check_fail_with_an_exception(raw: bytes) -> None:
    assert RESOURCE.check_payload(raw) != pb.RESULT_CODE_UNSPECIFIED


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_any_changed_byte_gives_another_payload_or_a_refusal(position: int, change: int) -> None:
    raw = bytearray(GOOD)
    raw[position] ^= change
    if RESOURCE.check_payload(bytes(raw)) == pb.RESULT_CODE_ACCEPTED:
        changed, good = pb.Payload.FromString(bytes(raw)), pb.Payload.FromString(GOOD)
        assert changed != good


def test_the_subject_is_checked_by_its_specification() -> None:
    assert RESOURCE.subject_fits("110108001003GB00012F00070349")
    assert not RESOURCE.subject_fits("110108001003GB00012F0007034")


def test_what_people_write_becomes_canonical() -> None:
    raw = encode_payload(
        RESOURCE,
        {
            "DJLX": 100,
            "YWH": "2020-1",
            "JZMJ": Decimal("89.50"),
            "DJSJ": datetime.date(2020, 6, 30),
            "BDCQZH": " 京（２０２０）海 不动产权第0012345号",
            "ZCS": "18",
        },
        SALT,
    )
    assert RESOURCE.check_payload(raw) == pb.RESULT_CODE_ACCEPTED
    assert decode_payload(RESOURCE, raw) == {
        "YWH": "2020-1",
        "DJLX": "100",
        "JZMJ": "89.50",
        "DJSJ": "2020-06-30",
        "BDCQZH": "京(2020)海不动产权第0012345号",
        "ZCS": "18",
    }


@pytest.mark.parametrize(
    ("values", "code", "named"),
    [
        ({"YWH": "a"}, Code.MISSING_FIELD, ["DJLX"]),
        ({"YWH": "a", "DJLX": None}, Code.MISSING_FIELD, ["DJLX"]),
        ({"YWH": "a", "DJLX": "secret", "JZMJ": "secret"}, Code.BAD_FIELD, ["DJLX", "JZMJ"]),
        ({"YWH": "secret\n", "SECTION": "secret"}, Code.UNKNOWN_FIELD, ["YWH", "SECTION", "DJLX"]),
        ({"YWH": "a", "DJLX": "100", "110105secret": 1}, Code.UNKNOWN_FIELD, ["not shown"]),
        ({"YWH": "a", "DJLX": "100", "JZMJ": 89.5}, Code.BAD_FIELD, ["JZMJ"]),
        ({"YWH": "a", "DJLX": "100", "ZCS": True}, Code.BAD_FIELD, ["ZCS"]),
        ({"YWH": 5, "DJLX": "100"}, Code.BAD_FIELD, ["YWH"]),
        ({"YWH": "a", "DJLX": "100", "JZMJ": Decimal("NaN")}, Code.BAD_FIELD, ["JZMJ"]),
        ({"YWH": "a", "DJLX": "100", "JZMJ": Decimal("1E+999999")}, Code.BAD_FIELD, ["JZMJ"]),
        ({"YWH": "a", "DJLX": "100", "DJSJ": datetime.datetime(2020, 6, 30)}, Code.BAD_FIELD, ["DJSJ"]),
        ({"YWH": "a", "DJLX": "100", "DJSJ": ["2020-06-30"]}, Code.BAD_FIELD, ["DJSJ"]),
        ({"YWH": "\ud800", "DJLX": "100"}, Code.BAD_FIELD, ["YWH"]),
    ],
)
def test_every_wrong_field_is_named_and_no_value_is_shown(
    values: dict[str, object], code: Code, named: list[str]
) -> None:
    with pytest.raises(HuzhengError) as caught:
        encode_payload(RESOURCE, values, SALT)  # type: ignore[arg-type]
    assert caught.value.code == code
    assert all(name in caught.value.detail for name in named)
    assert "secret" not in str(caught.value)


def test_a_payload_of_another_schema_is_not_decoded_by_guesswork() -> None:
    with pytest.raises(HuzhengError) as caught:
        decode_payload(RESOURCE, payload((99, "x")))
    assert caught.value.code == Code.UNKNOWN_FIELD


def test_a_later_change_of_the_message_changes_no_compiled_resource() -> None:
    message = definition()
    compiled = CompiledResource(message)
    message.name = "other.name"
    assert compiled.message == definition()


def _set(path: str, value: object) -> Callable[[cat.Resource], None]:
    def change(resource: cat.Resource) -> None:
        holder: object = resource
        *parts, last = path.split(".")
        for part in parts:
            holder = holder[int(part)] if part.isdigit() else getattr(holder, part)  # type: ignore[index]
        if isinstance(value, list):
            getattr(holder, last)[:] = value
        else:
            setattr(holder, last, value)

    return change


BAD_DEFINITIONS: list[tuple[str, Callable[[cat.Resource], None], str]] = [
    ("name without a dot", _set("name", "ownership"), "name"),
    ("name in capitals", _set("name", "Property.ownership"), "name"),
    ("name with an empty part", _set("name", "property..ownership"), "name"),
    ("name part that begins with a digit", _set("name", "property.1st"), "name"),
    ("name with a line feed", _set("name", "property.ownership\n"), "name"),
    ("name too long", _set("name", "property." + "a" * 56), "name"),
    ("no Chinese title", _set("title_zh", ""), "title_zh"),
    ("title with a control character", _set("title_en", "a\tb"), "title_en"),
    ("no department", _set("department", ""), "department"),
    ("no sharing class", _set("sharing_class", 0), "sharing_class"),
    ("unknown sharing class", _set("sharing_class", 9), "sharing_class"),
    ("no schema version", _set("schema_version", 0), "schema_version"),
    ("subject with a number", _set("subject.number", 1), "subject: number"),
    ("subject with a name", _set("subject.name", "BDCDYH"), "subject: number"),
    ("subject not required", _set("subject.required", False), "subject: must be required"),
    ("subject without a type", _set("subject.type", 0), "subject: type"),
    ("field without a number", _set("fields.0.number", 0), "field YWH: number"),
    ("field number too large", _set("fields.5.number", 1024), "field ZCS: number"),
    ("field numbers not ascending", _set("fields.1.number", 1), "ascending"),
    ("field without a name", _set("fields.0.name", ""), "field 1: name"),
    ("field name in Chinese", _set("fields.0.name", "业务号"), "name"),
    ("field name twice", _set("fields.1.name", "YWH"), "more than once: YWH"),
    ("field without a title", _set("fields.0.title_en", ""), "field YWH: title_en"),
    ("unknown type", _set("fields.0.type", 99), "field YWH: type"),
    ("text without a length", _set("fields.0.max_bytes", 0), "field YWH: max_bytes"),
    ("text too long", _set("fields.0.max_bytes", 65_537), "field YWH: max_bytes"),
    ("bad pattern", _set("fields.0.pattern", "[ab"), "field YWH: pattern: position 4"),
    ("no codes", _set("fields.1.codes", []), "field DJLX: there must be"),
    ("codes not ascending", _set("fields.1.codes", ["200", "100"]), "field DJLX: codes"),
    ("code twice", _set("fields.1.codes", ["100", "100"]), "field DJLX: codes"),
    ("empty code", _set("fields.1.codes", ["", "100"]), "field DJLX: each code"),
    ("scale too large", _set("fields.2.scale", 18), "field JZMJ: scale"),
    ("length for a code", _set("fields.1.max_bytes", 3), "field DJLX: max_bytes"),
    ("pattern for a date", _set("fields.3.pattern", "a"), "field DJSJ: pattern"),
    ("codes for a date", _set("fields.3.codes", ["1"]), "field DJSJ: codes"),
    ("scale for an integer", _set("fields.5.scale", 1), "field ZCS: scale"),
]


@pytest.mark.parametrize(("change", "named"), [pytest.param(c, n, id=i) for i, c, n in BAD_DEFINITIONS])
def test_a_bad_definition_is_refused_and_its_fault_named(change: Callable[[cat.Resource], None], named: str) -> None:
    resource = definition()
    change(resource)
    with pytest.raises(HuzhengError) as caught:
        validate_resource(resource)
    assert caught.value.code == Code.BAD_CATALOGUE
    assert named in caught.value.detail


def test_all_faults_of_a_definition_are_named_at_once() -> None:
    resource = definition()
    for _, change, _ in BAD_DEFINITIONS[6:10]:
        change(resource)
    with pytest.raises(HuzhengError) as caught:
        validate_resource(resource)
    assert all(name in caught.value.detail for name in ("title_zh", "title_en", "department", "sharing_class"))

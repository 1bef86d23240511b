"""No log line holds what could be a person's, wherever it comes from."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from huzheng.v1 import transaction_pb2
from hypothesis import example, given
from hypothesis import strategies as st

from ledger.errors import Code, HuzhengError
from ledger.fields.codes import citizen_id_check
from node.logs import REDACTED, redact, set_up_logs

CITIZEN = "11010518491231002" + citizen_id_check("11010518491231002")
UNIT = "110108001003GB00012F00070349"
NAME = "张三丰"
HASH = "0123456789abcdef" * 4


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Where a process that logs JSON writes to; everything is as before afterwards."""
    root = logging.getLogger()
    before = (root.handlers, root.level, logging.getLogger("asyncio").level)
    stream = io.StringIO()
    set_up_logs("json", "info", stream)
    yield stream
    structlog.reset_defaults()
    root.handlers = before[0]
    root.setLevel(before[1])
    logging.getLogger("asyncio").setLevel(before[2])


def event(stream: io.StringIO) -> dict[str, Any]:
    [line] = stream.getvalue().splitlines()
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def redacted(**fields: object) -> dict[str, Any]:
    return dict(redact(None, "info", fields))


@pytest.mark.parametrize(
    "text",
    [
        CITIZEN,
        f"no such person {CITIZEN}",
        CITIZEN[:6] + " " + CITIZEN[6:14] + " " + CITIZEN[14:],
        "13800138000",
        "138 0013 8000",
        "138-0013-8000",
        "+8613800138000",
        "6222021234567890123",
        UNIT,
        NAME,
        f"owner={NAME};",
        "someone@example.com",
        "x" * 3_995 + CITIZEN,
        f"{HASH}0{CITIZEN}",
    ],
)
def test_what_looks_like_a_persons_is_redacted(text: str) -> None:
    shown = redacted(detail=text)["detail"]
    assert CITIZEN[:6] not in shown
    assert all(part not in shown for part in ("13800", "0013", "62220212", UNIT[:12], NAME, "someone@"))


@pytest.mark.parametrize(
    "fields",
    [
        {"height": 123_456_789, "replica": 3, "code": "NOT_STRICT"},
        {"time_ms": 1_732_340_000_000, "offset_ns": 10**15, "size_bytes": 10**12},
        {"transaction_id": HASH, "hash": "1234567890" * 6 + "abcd"},
        {"address": "192.168.100.200:7000", "ratio": 0.25, "ready": True, "none": None},
        {"timestamp": "2026-11-23T05:52:11.123456Z", "path": "/var/lib/huzheng/000123.log"},
        {"replicas": [1, 2, 3], "counts": {"blocks": 5}},
    ],
)
def test_what_operators_need_is_kept(fields: dict[str, object]) -> None:
    assert redacted(**fields) == fields


def test_values_go_by_the_name_of_their_key_too() -> None:
    fields = redacted(value="A", payload="b", subject="c", values=["d"], deep={"name": "Li Lei", "height": 1})
    assert fields == {
        "value": REDACTED,
        "payload": REDACTED,
        "subject": REDACTED,
        "values": REDACTED,
        "deep": {"name": REDACTED, "height": 1},
    }


def test_bytes_messages_and_strangers_are_not_shown() -> None:
    payload = transaction_pb2.Payload(fields=[transaction_pb2.FieldValue(number=1, value="secret")])
    fields = redacted(data=payload.SerializeToString(), message=payload, code=Code.EXPIRED, file=Path("/tmp/x"))
    assert fields == {"data": "[12 bytes]", "message": "[Payload]", "code": "EXPIRED", "file": "/tmp/x"}


def test_collections_are_cut_and_cleaned_all_the_way_down() -> None:
    deep: object = CITIZEN
    for _ in range(20):
        deep = [deep]
    shown = redacted(many=list(range(1000)), deep=deep, pairs={CITIZEN: {NAME}})
    assert len(shown["many"]) == 32
    assert CITIZEN not in repr(shown)
    assert NAME not in repr(shown)


@given(st.text(), st.sampled_from([CITIZEN, NAME, UNIT, "13800138000"]), st.text())
@example("", CITIZEN, "\n{}")
def test_no_surroundings_let_it_through(before: str, secret: str, after: str) -> None:
    shown = redacted(detail=before + secret + after)["detail"]
    # What stands before may end in the same digits; the whole must not be there.
    assert secret not in shown
    assert "\n" not in shown


@given(st.recursive(st.none() | st.integers() | st.text() | st.binary(), lambda inner: st.lists(inner)))
def test_anything_can_be_logged_as_json(value: object) -> None:
    json.dumps(redacted(anything=value))


def test_an_exceptions_text_is_not_logged_but_its_place_is(lines: io.StringIO) -> None:
    nobody: dict[str, int] = {}
    try:
        nobody[NAME + CITIZEN]
    except KeyError as error:
        structlog.get_logger("calls").error("call failed", exc_info=error)
    logged = event(lines)
    assert logged["failure"] == "KeyError"
    assert "test_logs.py" in logged["raised_at"]
    assert NAME not in lines.getvalue()
    assert CITIZEN not in lines.getvalue()


def test_our_own_errors_show_code_and_detail(lines: io.StringIO) -> None:
    structlog.get_logger("calls").error("refused", exc_info=HuzhengError(Code.BAD_FIELD, "field 3"))
    assert event(lines)["failure"] == "BAD_FIELD: field 3"


def test_libraries_logs_are_cleaned_too(lines: io.StringIO) -> None:
    try:
        raise ValueError(CITIZEN)
    except ValueError:
        logging.getLogger("grpc._cython.cygrpc").exception("Unexpected [%s] raised\nby %s", NAME, CITIZEN)
    logged = event(lines)
    assert logged["event"] == f"Unexpected [{REDACTED}] raised by {REDACTED}"
    assert logged["failure"] == "ValueError"
    assert logged["logger"] == "grpc._cython.cygrpc"
    assert CITIZEN not in lines.getvalue()


def test_what_is_below_the_level_is_not_written(lines: io.StringIO) -> None:
    structlog.get_logger("replica").debug("step")
    logging.getLogger("asyncio").debug("timer")
    assert lines.getvalue() == ""


def test_console_lines_are_lines(lines: io.StringIO) -> None:
    set_up_logs("console", "info", lines)
    structlog.get_logger("calls").info("first\nsecond", note="a\r\nb", detail=NAME)
    assert len(lines.getvalue().splitlines()) == 1
    assert NAME not in lines.getvalue()

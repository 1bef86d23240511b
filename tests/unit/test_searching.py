"""The search for confidential values finds them in whatever they were written as, and in whatever they travelled."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from huzheng.v1.ledger_service_pb2 import SubmitRequest

from tests.searching import Search
from tests.wire_formats import PREFACE, grpc_messages, tls_records

VALUE = "王测试的保密姓名·Wang"
SEARCH = Search([VALUE])


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("after", range(4))
def test_base64_of_something_that_holds_the_value(before: int, after: int) -> None:
    assert SEARCH.finds(base64.b64encode(b"<" * before + VALUE.encode() + b">" * after))


@pytest.mark.parametrize(
    "written",
    [
        VALUE.encode(),
        VALUE.encode("utf-16-le"),
        VALUE.encode("gb18030"),
        VALUE.encode().hex().encode(),
        VALUE.encode().hex().upper().encode(),
        json.dumps({"value": VALUE})[:-2].encode(),
        ascii([VALUE])[:-2].encode(),
        repr([VALUE.encode()])[:-2].encode(),
        str(SubmitRequest(transaction=VALUE.encode()))[:-2].encode(),
        quote(VALUE).encode(),
    ],
)
def test_other_ways_to_write_it(written: bytes) -> None:
    assert SEARCH.finds(b"before " + written + b" after")
    assert not SEARCH.finds(b"before " + written[:-4] + b" after")


def frame(kind: int, stream: int, content: bytes, flags: int = 0) -> bytes:
    return len(content).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + content


def test_a_message_in_several_frames_is_put_together_again() -> None:
    raw = VALUE.encode()
    message = b"\0" + len(raw).to_bytes(4) + raw
    frames = [frame(4, 0, b""), frame(0, 1, message[:9]), frame(0, 3, message + message), frame(0, 1, message[9:])]
    assert list(grpc_messages(PREFACE + b"".join(frames))) == [raw, raw, raw]
    # The last one was cut off.
    assert list(grpc_messages(frame(0, 1, message)[:-3])) == [raw[:-3]]


def test_what_could_hide_a_value_is_refused() -> None:
    with pytest.raises(ValueError, match="compressed"):
        list(grpc_messages(frame(0, 1, b"\1\0\0\0\1x")))
    with pytest.raises(ValueError, match="padded"):
        list(grpc_messages(frame(0, 1, b"\0\0\0\0\1x", flags=8)))


def test_records_of_tls() -> None:
    records = b"\x16\3\1\0\2xx" + b"\x17\3\3\0\1x"
    assert tls_records(records) == 2
    assert tls_records(records[:-1]) == 2
    with pytest.raises(ValueError, match="byte 7"):
        tls_records(records[:7] + VALUE.encode())

"""Every error code has its place on the wire and at the shell, and survives the journey."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest
from huzheng.v1 import ledger_service_pb2 as pb

from ledger.errors import TEXTS, Code, HuzhengError
from node.errors import (
    OUTCOMES,
    STATUS_DETAILS_KEY,
    ExitStatus,
    RemoteError,
    exit_status,
    from_rpc,
    grpc_status,
    to_problem,
    to_status,
)


def rpc_failure(code: grpc.StatusCode, details: str = "", raw: bytes | None = None) -> grpc.aio.AioRpcError:
    trailing = grpc.aio.Metadata(*(((STATUS_DETAILS_KEY, raw),) if raw is not None else ()))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, details=details, debug_error_string="")


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_texts_a_grpc_status_and_an_exit_status(code: Code) -> None:
    assert all((TEXTS[code].en, TEXTS[code].zh, TEXTS[code].hint_en, TEXTS[code].hint_zh))
    assert grpc_status(code) not in (grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN)
    assert OUTCOMES[code].exit_status is not ExitStatus.OK
    assert (OUTCOMES[code].exit_status is ExitStatus.USAGE) == (code is Code.INVALID_REQUEST)


@pytest.mark.parametrize("code", list(Code))
def test_an_error_survives_the_journey_over_grpc(code: Code) -> None:
    sent = HuzhengError(code, "field 3")
    failure = rpc_failure(grpc_status(code), str(sent), to_status(sent).SerializeToString())
    received = from_rpc(failure)
    assert received.code is code
    assert received.detail == "field 3"
    assert received.message("zh") == sent.message("zh")
    assert received.hint("en") == sent.hint("en")
    assert exit_status(received) == exit_status(sent)


def test_a_code_of_a_newer_node_keeps_its_name_and_words() -> None:
    problem = pb.Problem(
        code="FROM_THE_FUTURE", message_en="New.", message_zh="新。", hint_en="Update.", hint_zh="升级。"
    )
    error = RemoteError(problem)
    assert (error.name, error.code) == ("FROM_THE_FUTURE", Code.INTERNAL)
    assert (error.message("zh"), error.hint("en")) == ("新。", "Update.")


@pytest.mark.parametrize("raw", [b"\xff\xff", b"", to_status(HuzhengError(Code.NOT_FOUND)).SerializeToString()[:-3]])
def test_hostile_status_details_are_not_an_accident(raw: bytes) -> None:
    assert from_rpc(rpc_failure(grpc.StatusCode.NOT_FOUND, "x", raw)).code is Code.NOT_FOUND


@pytest.mark.parametrize(
    ("status", "details", "code"),
    [
        (grpc.StatusCode.UNAVAILABLE, "failed to connect to all addresses; Connection refused", Code.NODE_UNREACHABLE),
        (grpc.StatusCode.UNAVAILABLE, "Ssl handshake failed: CERTIFICATE_VERIFY_FAILED", Code.TLS_REFUSED),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", Code.TIMED_OUT),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "SERVER: Received message larger than max (5 vs. 4)", Code.TOO_LARGE),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "too many", Code.OVERLOADED),
        (grpc.StatusCode.UNKNOWN, "boom", Code.INTERNAL),
    ],
)
def test_a_bare_grpc_status_becomes_the_code_that_helps(status: grpc.StatusCode, details: str, code: Code) -> None:
    assert from_rpc(rpc_failure(status, details)).code is code


def test_a_problem_carries_both_languages_and_the_detail() -> None:
    problem = to_problem(HuzhengError(Code.VERSION_CONFLICT, "record 2"))
    assert (problem.code, problem.detail) == ("VERSION_CONFLICT", "record 2")
    assert problem.message_en != problem.message_zh

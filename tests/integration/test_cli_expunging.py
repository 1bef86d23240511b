"""Contents are removed by a command, and every command that shows records says so; everything else can still be proved."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from huzheng.v1 import ledger_service_pb2 as pb
from huzheng.v1 import transaction_pb2

from node.client import LedgerClient
from node.network import Network
from tests.builders import OBJECTION, objection_fields, unit_code
from tests.command_line import CommandLine, write_lines

BASIS = "个人信息保护法第四十七条"
_numbers = iter(range(1, 9_000))


class Terminal(io.StringIO):
    """Somebody at a terminal who types this."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def system(network: Network) -> tuple[str, Path]:
    """The options of the profile that has all keys of planning."""
    return "--profile", network.clients["planning"] / "system"


@pytest.fixture
def submitted(huzheng: CommandLine, system: tuple[str, Path], tmp_path: Path) -> dict[str, Any]:
    """A record on the chain: `number`, `record_id`, `transaction_id`, and a `receipt` from before."""
    number = next(_numbers)
    line = {"resource": OBJECTION, "subject": unit_code(number), "fields": objection_fields(number)}
    done = huzheng("submit", write_lines(tmp_path / "in.jsonl", [line]), *system, "-o", "json").json
    receipt = tmp_path / "before.receipt"
    record_id = done["results"][0]["record_id"]
    assert huzheng("receipt", "get", record_id, "--out", receipt, *system).status == 0
    return {"number": number, "record_id": record_id, "transaction_id": done["transactions"][0]["transaction_id"]}


def remove(huzheng: CommandLine, system: tuple[str, Path], record_id: str) -> int:
    ran = huzheng("record", "expunge", record_id, "--legal-basis", BASIS, "--yes", "-o", "json", *system)
    assert ran.status == 0, ran.err
    return int(ran.json["height"])


def test_removed_contents_are_told_with_height_and_ground_and_the_rest_is_proved(
    huzheng: CommandLine, system: tuple[str, Path], submitted: dict[str, Any]
) -> None:
    record_id, subject = submitted["record_id"], unit_code(submitted["number"])
    assert huzheng("record", "get", record_id, *system, "-o", "json").json["contents_shown"]
    height = remove(huzheng, system, record_id)
    for options in ([record_id], [record_id, "--unverified"], [OBJECTION, subject]):
        got = huzheng("record", "get", *options, *system, "-o", "json").json
        assert (got["fields"], got["contents_shown"]) == (None, False)
        assert (got["expunged"]["height"], got["expunged"]["legal_basis"]) == (height, BASIS)
        assert got["current"]
    history = huzheng("record", "history", OBJECTION, subject, *system, "-o", "json").json
    assert [record["expunged"]["height"] for record in history["records"]] == [height]
    for language, words in (("en", f"removed at height {height}"), ("zh", f"已于高度 {height}")):
        for which in (("get", record_id), ("history", OBJECTION, subject)):
            shown = huzheng("record", *which, *system, "--lang", language).out
            assert words in shown
            assert BASIS in shown


def test_receipts_and_statements_after_the_removal_prove_that_the_record_was_there(
    huzheng: CommandLine, network: Network, system: tuple[str, Path], submitted: dict[str, Any], tmp_path: Path
) -> None:
    remove(huzheng, system, submitted["record_id"])
    receipt, statement = tmp_path / "r", tmp_path / "s"
    assert huzheng("receipt", "get", submitted["record_id"], "--out", receipt, *system).status == 0
    subject = unit_code(submitted["number"])
    assert huzheng("statement", "get", OBJECTION, subject, "--out", statement, *system).status == 0
    for file in (receipt, statement):
        verdict = huzheng("verify", file, "-g", network.genesis, "--offline", "-o", "json")
        assert verdict.status == 0
        found = verdict.json.get("record") or verdict.json["answers"][0]["record"]
        assert (found["id"], found["fields"]) == (submitted["record_id"], None)
        assert "not shown" in huzheng("verify", file, "-g", network.genesis, "--offline").out
        assert "未出示" in huzheng("verify", file, "-g", network.genesis, "--offline", "--lang", "zh").out
    before = huzheng("verify", tmp_path / "before.receipt", "-g", network.genesis, "--offline", "-o", "json").json
    assert before["record"]["fields"] == objection_fields(submitted["number"])


def test_transactions_blocks_and_exports_without_contents_are_checked_and_shown(
    huzheng: CommandLine, system: tuple[str, Path], submitted: dict[str, Any]
) -> None:
    height = huzheng("record", "get", submitted["record_id"], *system, "-o", "json").json["height"]
    ordered = remove(huzheng, system, submitted["record_id"])
    transaction = huzheng("chain", "tx", submitted["transaction_id"], *system, "-o", "json").json
    assert [(record["fields"], record["removed"]) for record in transaction["records"]] == [(None, True)]
    assert "removed or are not shown" in huzheng("chain", "tx", submitted["transaction_id"], *system).out
    block = huzheng("chain", "block", height, *system, "-o", "json").json
    assert block["transactions"][0]["records"][0]["removed"]
    exported = huzheng("chain", "export", "--from-height", height, "--to-height", ordered, *system)
    lines = [json.loads(line) for line in exported.out.splitlines()]
    (operation,) = lines[-1]["transactions"][0]["operations"]
    assert operation["operation"] == "expunge"
    assert operation["transaction_id"] == submitted["transaction_id"]


def test_a_new_version_can_be_registered_where_the_contents_of_the_last_one_are_gone(
    huzheng: CommandLine, system: tuple[str, Path], submitted: dict[str, Any], tmp_path: Path
) -> None:
    remove(huzheng, system, submitted["record_id"])
    subject = unit_code(submitted["number"])
    line = {"resource": OBJECTION, "subject": subject, "fields": objection_fields(submitted["number"])}
    assert huzheng("submit", write_lines(tmp_path / "next.jsonl", [line]), *system).status == 0
    got = huzheng("record", "get", OBJECTION, subject, *system, "-o", "json").json
    assert (got["version"], got["contents_shown"], got["expunged"]) == (2, True, None)


def test_what_was_submitted_again_after_the_removal_does_not_come_back(
    huzheng: CommandLine, system: tuple[str, Path], submitted: dict[str, Any], tmp_path: Path
) -> None:
    remove(huzheng, system, submitted["record_id"])
    (tmp_path / "in.jsonl.journal").write_text(
        "".join(
            text + "\n"
            for text in (tmp_path / "in.jsonl.journal").read_text().splitlines()
            if "ended" not in json.loads(text)
        )
    )
    assert huzheng("submit", tmp_path / "in.jsonl", *system).status == 0
    assert not huzheng("record", "get", submitted["record_id"], *system, "-o", "json").json["contents_shown"]


def test_the_removal_is_asked_about_and_done_only_after_a_yes(
    huzheng: CommandLine, system: tuple[str, Path], submitted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    record_id = submitted["record_id"]
    command = ("record", "expunge", record_id, "--legal-basis", BASIS, *system)
    for answer, shown in (("n\n", True), ("y\n", False)):
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        ran = huzheng(*command)
        assert ran.status == 0, ran.err
        assert objection_fields(submitted["number"])["YWH"] in ran.out
        assert huzheng("record", "get", record_id, *system, "-o", "json").json["contents_shown"] is shown


def test_the_transaction_can_be_named_and_has_to_hold_the_record(
    huzheng: CommandLine, system: tuple[str, Path], submitted: dict[str, Any], tmp_path: Path
) -> None:
    number = next(_numbers)
    line = {"resource": OBJECTION, "subject": unit_code(number), "fields": objection_fields(number)}
    other = huzheng("submit", write_lines(tmp_path / "other.jsonl", [line]), *system, "-o", "json").json
    command = ("record", "expunge", submitted["record_id"], "--legal-basis", BASIS, "--yes", "-o", "json", *system)
    elsewhere = huzheng(*command, "--transaction", other["transactions"][0]["transaction_id"])
    assert (elsewhere.error["code"], elsewhere.status) == ("NOT_FOUND", 6)
    assert huzheng(*command, "--transaction", submitted["transaction_id"]).status == 0
    assert not huzheng("record", "get", submitted["record_id"], *system, "-o", "json").json["contents_shown"]


def test_what_one_node_leaves_out_can_be_ordered_to_be_removed(
    huzheng: CommandLine, system: tuple[str, Path], submitted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other nodes have it still."""
    honest, record_id = LedgerClient.transaction, submitted["record_id"]

    async def without_payloads(client: LedgerClient, identifier: bytes) -> pb.GetTransactionResponse:
        answer = await honest(client, identifier)
        message = transaction_pb2.Transaction.FromString(answer.transaction)
        for position in range(len(message.payloads)):
            message.payloads[position] = b""
        answer.transaction = message.SerializeToString(deterministic=True)
        return answer

    command = ("record", "expunge", record_id, "--legal-basis", BASIS, *system)
    with monkeypatch.context() as patch:
        patch.setattr(LedgerClient, "transaction", without_payloads)
        patch.setattr("sys.stdin", Terminal("y\n"))
        ran = huzheng(*command)
        assert ran.status == 0, ran.err
        assert "removed or not shown" in ran.out
    assert not huzheng("record", "get", record_id, *system, "-o", "json").json["contents_shown"]


@pytest.mark.parametrize(
    ("change", "code", "status"),
    [
        ({"yes": False}, "INVALID_REQUEST", 2),
        ({"record_id": "00" * 32}, "NOT_FOUND", 6),
        ({"record_id": "short"}, "INVALID_REQUEST", 2),
        ({"transaction": "00" * 32}, "NOT_FOUND", 6),
        ({"basis": ""}, "BAD_OPERATION", 5),
        ({"basis": "本人申请，电话 13800000000"}, "PERSONAL_DATA", 3),
        ({"removed": True}, "ALREADY_DONE", 5),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_removal_that_makes_no_sense_is_refused(
    huzheng: CommandLine,
    system: tuple[str, Path],
    submitted: dict[str, Any],
    change: dict[str, Any],
    code: str,
    status: int,
) -> None:
    asked = {"record_id": submitted["record_id"], "transaction": "", "basis": BASIS, "yes": True} | change
    if asked.get("removed"):
        remove(huzheng, system, submitted["record_id"])
    options = ["--yes"] * asked["yes"] + (["--transaction", asked["transaction"]] if asked["transaction"] else [])
    command = ("record", "expunge", asked["record_id"], "--legal-basis", asked["basis"], *options, *system)
    ran = huzheng(*command, "-o", "json")
    assert (ran.error["code"], ran.status) == (code, status)

"""Four real daemons: what operators and clients meet when something goes wrong."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from huzheng.v1 import block_pb2, ledger_service_pb2, transaction_pb2

from ledger.genesis import Genesis
from ledger.receipt import verify_receipt
from scripts.local.network import LocalNetwork, Node, run_huzheng, wait_until
from scripts.local.workload import Workload

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    made = LocalNetwork.create(tmp_path_factory.mktemp("network") / "n")
    with made.running():
        yield made


@pytest.fixture(scope="module")
def workload(network: LocalNetwork) -> Workload:
    return Workload(network, first=1_000)


def submit(
    workload: Workload, department: str, raw: bytes, server: str | None = None
) -> ledger_service_pb2.SubmitResponse:
    async def call() -> ledger_service_pb2.SubmitResponse:
        channel, stub = workload.stub(department, server)
        try:
            return await stub.Submit(ledger_service_pb2.SubmitRequest(transaction=raw), timeout=20)
        finally:
            await channel.close(None)

    return asyncio.run(call())


def result_code(receipt: bytes) -> str:
    result = transaction_pb2.TransactionResult.FromString(block_pb2.Receipt.FromString(receipt).result)
    return transaction_pb2.ResultCode.Name(result.code)


def test_a_submit_answers_with_a_receipt_that_verifies_offline(network: LocalNetwork, workload: Workload) -> None:
    response = submit(workload, "tax", workload.transaction("tax"))
    verdict = verify_receipt(response.receipt, Genesis.read(network.genesis.read_bytes()))
    assert verdict.accepted
    assert verdict.transaction_id == response.transaction_id
    assert len(verdict.sealed_by) == 3


def test_a_repeated_submit_has_the_same_answer_through_any_node(workload: Workload) -> None:
    raw = workload.transaction("planning")
    first = submit(workload, "planning", raw)
    for server in ("planning", "tax", "police"):
        again = submit(workload, "planning", raw, server)
        assert again.transaction_id == first.transaction_id
        assert block_pb2.Receipt.FromString(again.receipt).result == block_pb2.Receipt.FromString(first.receipt).result


def test_one_department_cannot_submit_as_another(workload: Workload) -> None:
    raw = workload.transaction("planning")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        submit(workload, "tax", raw)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "CALLER_NOT_DEPARTMENT" in (refused.value.details() or "")


def test_work_goes_on_with_one_backup_down_which_then_catches_up(network: LocalNetwork, workload: Workload) -> None:
    victim = network.nodes["housing"]
    victim.kill()
    for _ in range(20):
        submit(workload, "planning", workload.transaction("planning"))
    victim.start()
    victim.wait_ready()
    wait_until(lambda: len({node.height() for node in network.nodes.values()}) == 1, 30, "equal heights")


def test_an_empty_database_is_filled_from_peers(network: LocalNetwork, workload: Workload) -> None:
    """It has forgotten what it signed, so that it votes again only because all departments have decided so."""
    node = network.nodes["police"]
    before = network.nodes["tax"].height()
    node.stop()
    shutil.move(node.data, node.data.with_name("data.kept"))
    node.start("--accept-lost-votes")
    node.wait_ready()
    wait_until(lambda: node.height() >= before, 30, "the chain is there")
    assert result_code(submit(workload, "police", workload.transaction("police")).receipt) == "RESULT_CODE_ACCEPTED"
    node.stop()
    node.start()
    node.wait_ready()


def test_a_second_daemon_on_the_same_port_or_database_is_refused_with_a_hint(network: LocalNetwork) -> None:
    result = run_huzheng("node", "start", network.nodes["tax"].directory, check=False)
    assert result.returncode == 9
    assert "STORE_LOCKED" in result.stderr + result.stdout
    assert "Traceback" not in result.stderr + result.stdout


def test_a_damaged_database_refuses_to_start_and_says_how_to_repair(network: LocalNetwork) -> None:
    node = network.nodes["housing"]
    node.stop()
    copy = node.directory.with_name("housing-damaged")
    shutil.copytree(node.directory, copy)
    damage(copy / "data")
    result = run_huzheng("node", "start", copy, check=False)
    assert result.returncode == 9
    assert "STORE_CORRUPT" in result.stderr + result.stdout
    assert "Traceback" not in result.stderr + result.stdout
    node.start()
    node.wait_ready()


def damage(data: Path) -> None:
    """Overwrites the middle of every table and log."""
    for file in [*data.glob("*.ldb"), *data.glob("*.log")]:
        raw = bytearray(file.read_bytes())
        for position in range(len(raw) // 4, 3 * len(raw) // 4):
            raw[position] ^= 0xFF
        file.write_bytes(raw)


def test_all_nodes_log_no_error(network: LocalNetwork) -> None:
    for node in network.nodes.values():
        assert isinstance(node, Node)
        lines = node.log.read_text().splitlines()
        assert not [line for line in lines if '"level": "error"' in line or "Traceback" in line]

"""Four real daemons, and what must not hurt them: a traitor with a member's keys, a disk without space."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator

import grpc
import pytest
from huzheng.v1 import consensus_pb2, ledger_service_pb2, replica_service_pb2

from node.config import NodeConfig, load_config
from node.peer_messages import write_message
from node.tls import ClientRoots, TlsFiles, server_credentials
from scripts.local.network import LocalNetwork, Node, run_huzheng, wait_until
from scripts.local.workload import Workload

pytestmark = pytest.mark.timeout(120)

FAR = write_message(consensus_pb2.ReplicaStatus(stored_height=2**64 - 1))
HALF_FULL_BYTES = 64 * 1024


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    made = LocalNetwork.create(tmp_path_factory.mktemp("faults") / "n")
    with made.running():
        yield made
        made.stop()
    for node in made.nodes.values():
        run_huzheng("chain", "verify", "--home", node.directory)


@pytest.fixture(scope="module")
def workload(network: LocalNetwork) -> Workload:
    return Workload(network, first=5_000)


async def submit(workload: Workload, department: str) -> bytes:
    channel, stub = workload.stub(department)
    try:
        request = ledger_service_pb2.SubmitRequest(transaction=workload.transaction(department))
        return (await stub.Submit(request, timeout=15)).receipt
    finally:
        await channel.close(None)


async def lie_about_the_height(requests: object, context: object) -> AsyncIterator[bytes]:
    """Says it has all blocks there can be; what it sends for them is garbage."""
    while True:
        yield replica_service_pb2.ConnectResponse(messages=[FAR]).SerializeToString()
        await asyncio.sleep(0.1)


async def send_garbage(request: object, context: object) -> AsyncIterator[bytes]:
    yield b"\xff\xff garbage"


async def impersonate(config: NodeConfig, workload: Workload) -> grpc.aio.Server:
    """A traitor in the place of a node, with its certificate and key."""
    departments = workload.genesis.departments
    tls = TlsFiles(config.tls.certificate, config.tls.key, departments[config.node.department].ca_certificate)
    server = grpc.aio.server()
    methods = {
        "Connect": grpc.stream_stream_rpc_method_handler(lie_about_the_height),
        "FetchBlocks": grpc.unary_stream_rpc_method_handler(send_garbage),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("huzheng.v1.ReplicaService", methods),))
    credentials = server_credentials(tls, ClientRoots(department.ca_certificate for department in departments.values()))
    server.add_secure_port(str(config.node.listen), credentials)
    await server.start()
    return server


def test_a_traitor_that_claims_much_and_sends_garbage_stops_nobody(network: LocalNetwork, workload: Workload) -> None:
    traitor = network.nodes["police"]
    honest = [node for node in network.nodes.values() if node is not traitor]
    traitor.kill()

    async def scenario() -> None:
        server = await impersonate(load_config(traitor.directory / "node.toml"), workload)
        try:
            warned = '"peer sent a bad block"'
            async with asyncio.timeout(20):
                while not all(warned in node.log.read_text() for node in honest):
                    await asyncio.sleep(0.1)
            for _ in range(3):
                await submit(workload, "tax")
        finally:
            await server.stop(0)

    asyncio.run(scenario())
    assert all(node.answers("/healthz") and node.answers("/readyz") for node in honest)
    traitor.start()
    traitor.wait_ready()
    wait_until(lambda: len({node.height() for node in network.nodes.values()}) == 1, 30, "equal heights")


def test_a_node_whose_disk_is_full_says_so_reads_on_and_comes_back(network: LocalNetwork, workload: Workload) -> None:
    """No file may grow: to the node this is a full disk, for its database as for its log."""
    node = network.nodes["housing"]
    set_largest_file(node, HALF_FULL_BYTES)

    async def fill() -> str:
        for _ in range(300):
            try:
                await submit(workload, "housing")
            except grpc.aio.AioRpcError as error:
                return error.details() or ""
            await submit(workload, "planning")
        raise AssertionError("the disk did not fill")

    async def ask() -> ledger_service_pb2.GetStatusResponse:
        channel, stub = workload.stub("housing")
        try:
            await stub.GetBlock(ledger_service_pb2.GetBlockRequest(height=1), timeout=10)
            return await stub.GetStatus(ledger_service_pb2.GetStatusRequest(), timeout=10)
        finally:
            await channel.close(None)

    assert "NOT_READY" in asyncio.run(fill())
    assert "STORE_DISK_FULL" in asyncio.run(ask()).warnings
    assert not node.answers("/healthz")
    assert not node.answers("/readyz")
    asyncio.run(submit(workload, "planning"))
    node.stop()
    node.start()
    node.wait_ready()
    asyncio.run(submit(workload, "housing"))
    wait_until(lambda: len({each.height() for each in network.nodes.values()}) == 1, 30, "equal heights")


def set_largest_file(node: Node, size: int) -> None:
    if node.process is None:
        raise AssertionError("it does not run")
    resource.prlimit(node.process.pid, resource.RLIMIT_FSIZE, (size, size))


def test_no_log_has_a_traceback(network: LocalNetwork) -> None:
    for node in network.nodes.values():
        assert "Traceback" not in node.log.read_text()

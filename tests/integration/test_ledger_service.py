"""LedgerService over real mutual TLS, with the real ledger and store behind it: what it answers, and what can't hurt it."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio  # type: ignore[attr-defined]  # missing in the stubs
from huzheng.v1 import ledger_service_pb2 as pb
from huzheng.v1 import transaction_pb2
from huzheng.v1.ledger_service_pb2_grpc import LedgerServiceStub

from ledger.building import BuiltRecord, transaction_id
from ledger.crypto import Height, ReplicaId
from ledger.errors import Code, HuzhengError
from ledger.receipt import verify_receipt
from node.config import LimitsSection
from node.errors import from_rpc
from node.identity import Caller, CallerDirectory, Role
from node.peers import Peers
from node.pki import issue, new_authority
from node.queries import Queries
from node.server import Services, build_server, listen, max_message_bytes
from node.services import gate as gate_module
from node.services.gate import Gate, current_caller
from node.services.ledger_service import OTHER_READS, READERS, LedgerService
from node.services.operator_service import MakeBackup, OperatorService
from node.services.permissions import PERMISSIONS
from node.services.replica_service import ReplicaService
from node.services.sharing_service import SharingService
from node.services.submit_stream import MAX_OUTSTANDING
from node.services.vault_service import VaultService
from node.sharing.releasing import Releaser
from node.sharing.sealing import seal
from node.tls import ClientRoots, TlsFiles, channel_options, server_credentials
from node.toml_file import Address
from node.vault_access import VaultAccess
from tests.builders import OBJECTION, Consortium, unit_code
from tests.sequencer import OneReplica, until
from tests.streams import stream_end, unlimited

if TYPE_CHECKING:
    from huzheng.v1.ledger_service_pb2_grpc import LedgerServiceAsyncStub

CONSORTIUM = Consortium(n=1)
GENESIS = CONSORTIUM.genesis
NOW = datetime.now(UTC)
AUTHORITIES = {name: new_authority(name, name, NOW) for name in ("housing", "planning", "tax")}
STRANGER = new_authority("planning", "planning", NOW)
SYSTEM = Caller("planning", Role.SYSTEM, "registry")
AUDITOR = Caller("tax", Role.AUDITOR, "sun")
HARMLESS = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    # A subject that does not fit.
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    # Streams that wait for what never comes.
    grpc.StatusCode.DEADLINE_EXCEEDED,
}


class Status:
    """Where the node says it stands."""

    def __init__(self, node: OneReplica) -> None:
        self._node = node
        self.failure: Exception | None = None

    def response(self) -> pb.GetStatusResponse:
        if self.failure is not None:
            raise self.failure
        return pb.GetStatusResponse(chain_id=GENESIS.chain_id, height=self._node.store.tip.height)


class Server:
    """A node that serves, without consensus."""

    def __init__(self, directory: Path, limits: LimitsSection) -> None:
        self.node = OneReplica(directory / "data", CONSORTIUM, max_transactions=5_000)
        self.status = Status(self.node)
        self.readers = ThreadPoolExecutor(READERS)
        self.make_backup: MakeBackup = lambda target, on_progress: b""
        authorities = {name: authority.certificate_der for name, authority in AUTHORITIES.items()}
        gate = Gate(CallerDirectory(authorities), self.node.metrics, limits.concurrent_calls)
        peers = Peers(ReplicaId(1), [], None, None)  # type: ignore[arg-type]
        services = Services(
            LedgerService(
                self.node.intake, Queries(GENESIS, self.node.store), self.node.feed, self.status, self.readers
            ),
            ReplicaService(self.node.store, peers, current_caller),
            OperatorService("planning", lambda target, on_progress: self.make_backup(target, on_progress)),
            health_aio.HealthServicer(),
            SharingService(Releaser(GENESIS, self.node.store, "planning", None, seal), self.readers),
            VaultService(
                VaultAccess(GENESIS, self.node.store, "planning", None, lambda: self.node.now_ms), self.readers
            ),
        )
        self.server = build_server(limits, GENESIS.parameters, gate, services)
        files = write_files(directory, AUTHORITIES["planning"], Caller("planning", Role.REPLICA, "1"))
        tls = TlsFiles(*files, AUTHORITIES["planning"].certificate_der)
        self.credentials = server_credentials(tls, ClientRoots(authorities.values()))
        self.port = listen(self.server, Address("127.0.0.1", 0), self.credentials)

    async def stop(self) -> None:
        self.node.intake.close()
        await self.server.stop(0)
        self.readers.shutdown()
        self.node.close()

    @asynccontextmanager
    async def channel(self, caller: Caller | None, authority: Any = None) -> AsyncIterator[grpc.aio.Channel]:
        """A connection of its own, as this caller."""
        async with grpc.aio.secure_channel(*self._as(caller, authority)) as channel:
            yield channel

    def blocking_channel(self, caller: Caller) -> grpc.Channel:
        """As `channel`, for a thread. A stream that the server ends early ends here as the server said: see `stream_end`."""
        return grpc.secure_channel(*self._as(caller, None))

    def _as(self, caller: Caller | None, authority: Any) -> tuple[str, grpc.ChannelCredentials, list[tuple[str, Any]]]:
        key = certificate = None
        if caller is not None:
            leaf = issue(authority or AUTHORITIES[caller.department], caller, NOW)
            key, certificate = leaf.key_pem, leaf.certificate_pem
        credentials = grpc.ssl_channel_credentials(AUTHORITIES["planning"].certificate_pem, key, certificate)
        return f"127.0.0.1:{self.port}", credentials, unlimited(channel_options("planning", 1))

    @asynccontextmanager
    async def client(self, caller: Caller = SYSTEM) -> AsyncIterator[LedgerServiceAsyncStub]:
        async with self.channel(caller) as channel:
            yield LedgerServiceStub(channel)

    async def sealed(self, stub: LedgerServiceAsyncStub, *raws: bytes) -> list[pb.SubmitResponse]:
        """Submits all and makes one block of them."""
        calls = [asyncio.ensure_future(submit(stub, raw)) for raw in raws]
        await until(lambda: self.node.mempool.pending_count == len(raws))
        self.node.seal()
        return await asyncio.gather(*calls)


async def submit(stub: LedgerServiceAsyncStub, raw: bytes) -> pb.SubmitResponse:
    return await stub.Submit(pb.SubmitRequest(transaction=raw), timeout=20)


def write_files(directory: Path, authority: Any, holder: Caller) -> tuple[Path, Path]:
    leaf = issue(authority, holder, NOW)
    certificate, key = directory / "node.pem", directory / "node.key"
    certificate.write_bytes(leaf.certificate_pem)
    key.write_bytes(leaf.key_pem)
    key.chmod(0o600)
    return certificate, key


Scenario = Callable[[Server], Awaitable[None]]


def play(directory: Path, scenario: Scenario, limits: LimitsSection | None = None) -> None:
    async def run() -> None:
        server = Server(directory, limits or LimitsSection())
        await server.server.start()
        try:
            async with asyncio.timeout(100):
                await scenario(server)
        finally:
            await server.stop()

    asyncio.run(run())


def one(number: int = 1, records: int = 1) -> bytes:
    built = [CONSORTIUM.record(number * 10 + position) for position in range(records)]
    return CONSORTIUM.transaction(built, nonce=number)


async def failure(call: Awaitable[object]) -> tuple[grpc.StatusCode, HuzhengError]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), from_rpc(raised.value)


async def read(call: Any, count: int) -> list[Any]:
    """The next messages of a stream."""
    return [await call.read() for _ in range(count)]


# --- what it is for ---


def test_a_submitted_record_can_be_read_and_proved_in_every_way(tmp_path: Path) -> None:
    record = CONSORTIUM.record(10)

    async def scenario(server: Server) -> None:
        async with server.client() as stub, server.client(AUDITOR) as auditor:
            [answer] = await server.sealed(stub, one(1, records=3))
            assert answer.transaction_id == transaction_id(GENESIS, one(1, records=3))
            assert verify_receipt(answer.receipt, GENESIS).accepted

            by_id = (await auditor.GetRecord(pb.GetRecordRequest(record_id=record.id))).record
            by_subject = (
                await auditor.GetRecord(pb.GetRecordRequest(resource=OBJECTION, subject=unit_code(10)))
            ).record
            assert by_id == by_subject
            assert_is(by_id, record, answer.transaction_id)

            for question in (
                pb.GetReceiptRequest(record_id=record.id),
                pb.GetReceiptRequest(transaction_id=answer.transaction_id),
            ):
                receipt = (await auditor.GetReceipt(question)).receipt
                verdict = verify_receipt(receipt, GENESIS)
                assert verdict.transaction_id == answer.transaction_id
                assert verdict.record_id == (record.id if question.record_id else None)

            found = await auditor.GetTransaction(pb.GetTransactionRequest(transaction_id=answer.transaction_id))
            assert found.transaction == one(1, records=3)
            assert (found.height, found.index, found.time_ms) == (1, 0, server.node.now_ms)
            result = transaction_pb2.TransactionResult.FromString(found.result)
            assert result.code == transaction_pb2.RESULT_CODE_ACCEPTED

            newest = await auditor.GetBlock(pb.GetBlockRequest(latest=True))
            for block_request in (pb.GetBlockRequest(height=1), pb.GetBlockRequest(hash=newest.hash)):
                assert await auditor.GetBlock(block_request) == newest
            assert len(newest.results) == 1
            first = await auditor.GetBlock(pb.GetBlockRequest(height=0))
            assert len(first.results) == 0
            assert (await auditor.GetStatus(pb.GetStatusRequest())).height == 1

    play(tmp_path, scenario)


def assert_is(found: pb.LocatedRecord, record: BuiltRecord, transaction: bytes) -> None:
    assert (found.record_id, found.record, found.payload) == (record.id, record.raw, record.payload)
    assert (found.transaction_id, found.height, found.department) == (transaction, 1, "planning")
    assert (found.transaction_index, found.record_index, found.current) == (0, 0, True)


def test_history_comes_in_pages_and_old_versions_are_not_current(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        replaces, ids = b"", []
        for number in range(1, 8):
            record = CONSORTIUM.record(1, version=number, replaces=replaces)
            server.node.seal(CONSORTIUM.transaction([record], nonce=number))
            replaces = record.id
            ids.append(record.id)
        async with server.client(AUDITOR) as stub:
            question = pb.ListHistoryRequest(resource=OBJECTION, subject=unit_code(1), page_size=3)
            found: list[pb.LocatedRecord] = []
            pages = 0
            while True:
                page = await stub.ListHistory(question)
                pages += 1
                found += page.records
                if not page.next_version:
                    break
                question.from_version = page.next_version
            assert pages == 3
            assert [item.record_id for item in found] == ids
            assert [item.current for item in found] == [False] * 6 + [True]
            second = pb.GetRecordRequest(resource=OBJECTION, subject=unit_code(1), version=2)
            assert (await stub.GetRecord(second)).record.record_id == ids[1]

    play(tmp_path, scenario)


def test_current_records_come_in_pages_by_subject(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        numbers = list(range(1, 26))
        server.node.seal(CONSORTIUM.transaction([CONSORTIUM.record(number) for number in numbers]))
        async with server.client(AUDITOR) as stub:
            question = pb.ListRecordsRequest(resource=OBJECTION, page_size=10)
            subjects: list[str] = []
            for _ in range(4):
                page = await stub.ListRecords(question)
                subjects += [transaction_pb2.Record.FromString(item.record).subject for item in page.records]
                question.after_subject = page.next_after_subject
                if not question.after_subject:
                    break
            assert subjects == sorted(unit_code(number) for number in numbers)
            question = pb.ListRecordsRequest(resource=OBJECTION, subject_prefix=unit_code(7))
            assert len((await stub.ListRecords(question)).records) == 1

    play(tmp_path, scenario)


def test_submit_without_waiting_answers_with_the_id(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        async with server.client() as stub:
            answer = await stub.Submit(pb.SubmitRequest(transaction=one(), no_wait=True))
            assert (answer.transaction_id, answer.receipt) == (transaction_id(GENESIS, one()), b"")
            await until(lambda: len(server.node.intake._waiters) == 0)
            server.node.seal()
            again = await submit(stub, one())
            assert verify_receipt(again.receipt, GENESIS).accepted

    play(tmp_path, scenario)


def test_a_refusal_on_chain_is_answered_with_its_receipt(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        early = CONSORTIUM.transaction([CONSORTIUM.record(1, version=2, replaces=bytes(32))])
        async with server.client() as stub:
            [answer] = await server.sealed(stub, early)
            assert verify_receipt(answer.receipt, GENESIS).refusal is Code.VERSION_CONFLICT

    play(tmp_path, scenario)


def tagged(*transactions: tuple[int, bytes]) -> pb.SubmitStreamRequest:
    return pb.SubmitStreamRequest(
        transactions=[pb.TaggedTransaction(tag=tag, transaction=raw) for tag, raw in transactions]
    )


async def collect(responses: AsyncIterable[pb.SubmitStreamResponse]) -> list[pb.TaggedAnswer]:
    return [answer async for response in responses for answer in response.answers]


def test_a_stream_answers_each_transaction_by_its_tag(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        sealing = asyncio.ensure_future(server.node.keep_sealing())

        async def requests() -> AsyncIterator[pb.SubmitStreamRequest]:
            for tag in range(300):
                yield tagged((tag, b"junk" if tag % 100 == 7 else one(tag + 1)))

        async with server.client() as stub:
            answers = {answer.tag: answer for answer in await collect(stub.SubmitStream(requests()))}
        sealing.cancel()
        assert set(answers) == set(range(300))
        for tag, answer in answers.items():
            if tag % 100 == 7:
                assert answer.problem.code == "NOT_STRICT"
                assert not answer.receipt
            else:
                assert verify_receipt(answer.receipt, GENESIS).transaction_id == answer.transaction_id

    play(tmp_path, scenario)


def test_watchers_get_what_is_there_and_then_what_comes(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        server.node.seal(one(1))
        async with server.client(AUDITOR) as stub:
            blocks = stub.WatchBlocks(pb.WatchBlocksRequest(from_height=1))
            records = stub.WatchRecords(pb.WatchRecordsRequest(from_height=1, resource=OBJECTION))
            new_only = stub.WatchBlocks(pb.WatchBlocksRequest())
            await until(lambda: server.node.feed.watchers == 3)
            server.node.seal(one(2, records=2))
            assert [item.hash for item in await read(blocks, 2)] == [
                server.node.store.block_hash(Height(height)) for height in (1, 2)
            ]
            assert [(item.height, len(item.records)) for item in await read(records, 2)] == [(1, 1), (2, 2)]
            assert [item.hash for item in await read(new_only, 1)] == [server.node.store.tip.block_hash]
            blocks.cancel()
            records.cancel()
            new_only.cancel()
            await until(lambda: server.node.feed.watchers == 0)

    play(tmp_path, scenario)


def test_a_block_with_many_records_reaches_watchers_in_bounded_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.queries.MAX_PAGE_BYTES", 2_000)

    async def scenario(server: Server) -> None:
        server.node.seal(one(1, records=10), one(2, records=10))
        async with server.client(AUDITOR) as stub:
            call = stub.WatchRecords(pb.WatchRecordsRequest(from_height=1))
            messages = await read(call, 1)
            while sum(len(message.records) for message in messages) < 20:
                messages += await read(call, 1)
            assert len(messages) >= 3
            assert {message.height for message in messages} == {1}
            assert all(message.ByteSize() < 3_000 for message in messages)
            call.cancel()

    play(tmp_path, scenario)


def test_the_standard_health_service_answers(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        async with server.channel(AUDITOR) as channel:
            answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
            assert answer.status == health_pb2.HealthCheckResponse.SERVING

    play(tmp_path, scenario)


def test_slow_reads_of_one_department_leave_threads_to_the_quick_ones_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, free = threading.Semaphore(0), threading.Event()

    def wait(*_: object) -> pb.ListRecordsResponse:
        slow.release()
        free.wait(20)
        return pb.ListRecordsResponse()

    monkeypatch.setattr(Queries, "records", wait)

    async def scenario(server: Server) -> None:
        server.node.seal(one())
        async with server.client(Caller("tax", Role.SYSTEM, "7")) as tax, server.client(AUDITOR) as auditor:
            flood = [asyncio.ensure_future(tax.ListRecords(pb.ListRecordsRequest())) for _ in range(20)]
            for _ in range(OTHER_READS):
                await until(lambda: slow.acquire(blocking=False))
            for _ in range(20):
                assert (await auditor.GetStatement(about(), timeout=10)).statement
            assert not slow.acquire(blocking=False), "no further one began"
            assert not any(call.done() for call in flood)
            free.set()
            await asyncio.gather(*flood)

    play(tmp_path, scenario)


def test_of_reads_that_go_together_each_has_its_own_answer(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        server.node.seal(one())
        async with server.client(AUDITOR) as stub:
            wrong = about(subject="?")
            calls = [stub.GetStatement(wrong if number % 3 == 0 else about()) for number in range(30)]
            answers: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
        for number, answer in enumerate(answers):
            if number % 3 == 0:
                assert from_rpc(answer).code is Code.BAD_SUBJECT
            else:
                assert answer.statement

    play(tmp_path, scenario)


# --- who may call ---


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_call_what_the_table_says(tmp_path: Path, role: Role) -> None:
    async def scenario(server: Server) -> None:
        server.node.seal(one())
        with server.blocking_channel(Caller("tax", role, "7")) as channel:
            for method, roles in PERMISSIONS.items():
                if method.endswith("/List"):
                    continue
                status, error = await outcome(channel, method, b"")
                if role in roles:
                    harmless = status in HARMLESS - {grpc.StatusCode.PERMISSION_DENIED}
                    assert harmless or is_stranger(error) or is_of_the_vault(error), method
                else:
                    assert (status, error and error.code) == (
                        grpc.StatusCode.PERMISSION_DENIED,
                        Code.CALLER_NOT_ALLOWED,
                    ), method

    play(tmp_path, scenario)


def is_stranger(error: HuzhengError | None) -> bool:
    """A replica's certificate, but of no replica that this node has a link with."""
    return error is not None and error.code is Code.PEER_UNKNOWN


def is_of_the_vault(error: HuzhengError | None) -> bool:
    """A certificate in a role that may, but of another department than the vault's and the node's."""
    reasons = ("the vault is that of", "only operators of")
    return error is not None and error.code is Code.CALLER_NOT_ALLOWED and error.detail.startswith(reasons)


def test_without_a_certificate_or_with_a_strangers_there_is_no_connection(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        for caller, authority in ((None, None), (SYSTEM, STRANGER)):
            async with server.channel(caller, authority) as channel:
                status, _ = await failure(LedgerServiceStub(channel).GetStatus(pb.GetStatusRequest(), timeout=10))
                assert status is grpc.StatusCode.UNAVAILABLE

    play(tmp_path, scenario)


def test_one_departments_ca_cannot_speak_for_another(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        async with server.channel(SYSTEM, AUTHORITIES["tax"]) as channel:
            status, error = await failure(submit(LedgerServiceStub(channel), one()))
            assert (status, error.code) == (grpc.StatusCode.UNAUTHENTICATED, Code.CALLER_DEPARTMENT_MISMATCH)

    play(tmp_path, scenario)


def test_one_department_cannot_submit_as_another(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        async with server.client(Caller("tax", Role.SYSTEM, "taxes")) as stub:
            status, error = await failure(submit(stub, one()))
            assert (status, error.code) == (grpc.StatusCode.PERMISSION_DENIED, Code.CALLER_NOT_DEPARTMENT)
        assert len(server.node.mempool) == 0

    play(tmp_path, scenario)


# --- bad input ---


async def outcome(
    channel: grpc.Channel, method: str, message: bytes, timeout_s: float = 0.5
) -> tuple[grpc.StatusCode, HuzhengError | None]:
    """How a method ends that is sent these bytes, and the error if it is one. They are streamed if the method streams."""
    streams_in = method.endswith(("SubmitStream", "Connect", "ServerReflectionInfo"))
    streams_out = method.endswith(("Watch", "WatchBlocks", "WatchRecords", "FetchBlocks"))

    def call() -> None:
        if streams_in:
            stream_end(channel, method, [message], timeout_s, half_close=True)
        elif streams_out:
            for _ in channel.unary_stream(method, bytes, bytes)(message, timeout=timeout_s):
                pass
        else:
            channel.unary_unary(method, bytes, bytes)(message, timeout=timeout_s * 20)

    try:
        await asyncio.to_thread(call)
    except grpc.RpcError as error:
        failed: Any = error  # the same methods as the asynchronous client's error
        return failed.code(), from_rpc(failed)
    return grpc.StatusCode.OK, None


def about(resource: str = OBJECTION, subject: str = unit_code(10)) -> pb.GetStatementRequest:
    sound = pb.StatementQuestion(resource=OBJECTION, subject=unit_code(11))
    return pb.GetStatementRequest(questions=[sound, pb.StatementQuestion(resource=resource, subject=subject)])


VALID: dict[str, Any] = {
    "Submit": pb.SubmitRequest(transaction=one(77)),
    "SubmitStream": pb.SubmitStreamRequest(transactions=[pb.TaggedTransaction(tag=1, transaction=one(78))]),
    "GetRecord": pb.GetRecordRequest(resource=OBJECTION, subject=unit_code(10), version=1),
    "ListHistory": pb.ListHistoryRequest(resource=OBJECTION, subject=unit_code(10), page_size=3),
    "ListRecords": pb.ListRecordsRequest(resource=OBJECTION, subject_prefix="11", after_subject="1", page_size=2),
    "GetTransaction": pb.GetTransactionRequest(transaction_id=transaction_id(GENESIS, one(1))),
    "GetBlock": pb.GetBlockRequest(height=1),
    "GetReceipt": pb.GetReceiptRequest(transaction_id=transaction_id(GENESIS, one(1))),
    "GetStatement": about(),
    "GetCatalogue": pb.GetCatalogueRequest(resource=OBJECTION, after=b"c"),
    "WatchBlocks": pb.WatchBlocksRequest(from_height=1),
    "WatchRecords": pb.WatchRecordsRequest(from_height=1, resource=OBJECTION),
    "GetStatus": pb.GetStatusRequest(),
}


def hostile(name: str) -> list[bytes]:
    """Bytes that a method must survive: random, cut, changed, and of extreme values."""
    rng = random.Random(name)
    valid = VALID[name].SerializeToString()
    cut = [valid[:length] for length in range(0, len(valid), max(1, len(valid) // 6))]
    changed = []
    for _ in range(12):
        if valid:
            position = rng.randrange(len(valid))
            changed.append(valid[:position] + bytes([rng.randrange(256)]) + valid[position + 1 :])
    nested = b"\x0a\x05" * 200
    return [*(rng.randbytes(size) for size in (1, 2, 7, 33, 100, 5_000)), *cut, *changed, nested]


@pytest.mark.parametrize("name", sorted(VALID))
def test_hostile_bytes_get_a_clear_error_and_change_nothing(tmp_path: Path, name: str) -> None:
    async def scenario(server: Server) -> None:
        server.node.seal(one(1))
        with server.blocking_channel(SYSTEM) as channel:
            method = f"/huzheng.v1.LedgerService/{name}"
            for data in hostile(name):
                status, error = await outcome(channel, method, data, timeout_s=0.1)
                assert status in HARMLESS, (data, status, error)
                if status is not grpc.StatusCode.OK and status is not grpc.StatusCode.DEADLINE_EXCEEDED:
                    assert error is not None
                    assert type(error).__name__ == "RemoteError", "every refusal carries its Problem"
        assert server.node.store.tip.height == 1
        assert server.node.count("huzheng_calls", method=method, code="INTERNAL") == 0

    play(tmp_path, scenario)


@pytest.mark.parametrize(
    ("method", "request_message", "code"),
    [
        ("GetRecord", pb.GetRecordRequest(), Code.NOT_FOUND),
        ("GetRecord", pb.GetRecordRequest(record_id=b"short"), Code.INVALID_REQUEST),
        ("GetRecord", pb.GetRecordRequest(record_id=bytes(32)), Code.NOT_FOUND),
        ("GetRecord", pb.GetRecordRequest(resource="no.such", subject="x"), Code.NOT_FOUND),
        ("GetRecord", pb.GetRecordRequest(resource=OBJECTION, subject="x\0y"), Code.INVALID_REQUEST),
        ("GetRecord", pb.GetRecordRequest(resource=OBJECTION, subject="x" * 2000), Code.INVALID_REQUEST),
        ("GetRecord", pb.GetRecordRequest(resource=OBJECTION, subject="x"), Code.NOT_FOUND),
        ("GetRecord", pb.GetRecordRequest(resource=OBJECTION, subject=unit_code(10), version=2), Code.NOT_FOUND),
        (
            "GetRecord",
            pb.GetRecordRequest(resource=OBJECTION, subject=unit_code(10), version=2**64 - 1),
            Code.NOT_FOUND,
        ),
        ("ListHistory", pb.ListHistoryRequest(resource=OBJECTION, subject="x"), Code.NOT_FOUND),
        ("ListRecords", pb.ListRecordsRequest(resource=""), Code.NOT_FOUND),
        ("ListRecords", pb.ListRecordsRequest(resource=OBJECTION, after_subject="\0"), Code.INVALID_REQUEST),
        ("GetTransaction", pb.GetTransactionRequest(), Code.INVALID_REQUEST),
        ("GetTransaction", pb.GetTransactionRequest(transaction_id=bytes(32)), Code.NOT_FOUND),
        ("GetBlock", pb.GetBlockRequest(), Code.INVALID_REQUEST),
        ("GetBlock", pb.GetBlockRequest(latest=False), Code.INVALID_REQUEST),
        ("GetBlock", pb.GetBlockRequest(height=2), Code.NOT_FOUND),
        ("GetBlock", pb.GetBlockRequest(height=2**64 - 1), Code.NOT_FOUND),
        ("GetBlock", pb.GetBlockRequest(hash=bytes(32)), Code.NOT_FOUND),
        ("GetBlock", pb.GetBlockRequest(hash=bytes(31)), Code.INVALID_REQUEST),
        ("GetReceipt", pb.GetReceiptRequest(), Code.INVALID_REQUEST),
        ("GetReceipt", pb.GetReceiptRequest(record_id=bytes(32)), Code.NOT_FOUND),
        ("GetStatement", about(subject=""), Code.BAD_SUBJECT),
        ("GetStatement", about(subject=unit_code(10) + " "), Code.BAD_SUBJECT),
        ("GetStatement", about(subject=unit_code(10).lower()), Code.BAD_SUBJECT),
        ("GetStatement", about(subject="x\0y"), Code.BAD_SUBJECT),
        ("GetStatement", about("no.such"), Code.NOT_FOUND),
        ("WatchRecords", pb.WatchRecordsRequest(resource="no.such"), Code.NOT_FOUND),
    ],
)
def test_requests_for_what_is_not_there_say_so(tmp_path: Path, method: str, request_message: Any, code: Code) -> None:
    async def scenario(server: Server) -> None:
        server.node.seal(one(1))
        with server.blocking_channel(SYSTEM) as channel:
            _, error = await outcome(
                channel, f"/huzheng.v1.LedgerService/{method}", request_message.SerializeToString()
            )
        assert error is not None
        assert error.code is code

    play(tmp_path, scenario)


def test_extreme_pages_are_bounded_and_ends_are_ends(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        server.node.seal(one(1, records=5))
        async with server.client(AUDITOR) as stub:
            huge = 2**32 - 1
            listed = await stub.ListRecords(pb.ListRecordsRequest(resource=OBJECTION, page_size=huge))
            assert (len(listed.records), listed.next_after_subject) == (5, "")
            history = pb.ListHistoryRequest(
                resource=OBJECTION, subject=unit_code(10), page_size=huge, from_version=2**64 - 1
            )
            found = await stub.ListHistory(history)
            assert (len(found.records), found.next_version) == (0, 0)

    play(tmp_path, scenario)


@pytest.mark.parametrize("method", ["Submit", "GetStatus", "SubmitStream", "WatchBlocks"])
def test_a_message_beyond_the_limit_is_refused_before_it_is_read(tmp_path: Path, method: str) -> None:
    async def scenario(server: Server) -> None:
        too_much = bytes(max_message_bytes(GENESIS.parameters) + 1)
        with server.blocking_channel(SYSTEM) as channel:
            path = f"/huzheng.v1.LedgerService/{method}"
            status, error = await outcome(channel, path, too_much, timeout_s=10)
            assert status is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert error is not None
            assert error.code is Code.TOO_LARGE
        async with server.client() as stub:
            assert (await stub.GetStatus(pb.GetStatusRequest())).height == 0

    play(tmp_path, scenario)


def test_methods_that_do_not_exist_are_unimplemented(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        with server.blocking_channel(SYSTEM) as channel:
            status, error = await outcome(channel, "/huzheng.v1.LedgerService/Drop", b"")
            assert status is grpc.StatusCode.UNIMPLEMENTED
            assert error is not None
            assert error.code is Code.NOT_IMPLEMENTED

    play(tmp_path, scenario)


def test_a_bug_is_answered_with_an_incident_number_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario(server: Server) -> None:
        server.status.failure = RuntimeError("secret of 张三")
        async with server.client() as stub:
            status, error = await failure(stub.GetStatus(pb.GetStatusRequest()))
            assert (status, error.code) == (grpc.StatusCode.INTERNAL, Code.INTERNAL)
            assert error.detail.startswith("incident ")
            assert "secret" not in str(error)
            server.status.failure = None
            await stub.GetStatus(pb.GetStatusRequest())

    play(tmp_path, scenario)
    assert "Unexpected" not in capsys.readouterr().err


# --- limits ---


def test_a_stream_is_read_no_faster_than_it_is_answered(tmp_path: Path) -> None:
    sent: list[int] = []

    async def requests() -> AsyncIterator[pb.SubmitStreamRequest]:
        for tag in range(3 * MAX_OUTSTANDING):
            sent.append(tag)
            yield tagged((tag, transactions[tag]))

    transactions = [one(tag + 1) for tag in range(3 * MAX_OUTSTANDING)]

    async def scenario(server: Server) -> None:
        async with server.client() as stub:
            call = stub.SubmitStream(requests())
            await until(lambda: server.node.mempool.pending_count == MAX_OUTSTANDING)
            await asyncio.sleep(0.2)
            assert server.node.mempool.pending_count == MAX_OUTSTANDING
            sealing = asyncio.ensure_future(server.node.keep_sealing())
            answers = await collect(call)
            sealing.cancel()
        assert len(answers) == 3 * MAX_OUTSTANDING
        assert all(answer.receipt for answer in answers)

    play(tmp_path, scenario)


def test_transactions_that_come_together_are_answered_each_for_itself(tmp_path: Path) -> None:
    """One twice, one that is no transaction, one that is final already, and more than are checked in one go."""

    async def scenario(server: Server) -> None:
        async with server.client() as stub:
            await server.sealed(stub, one(1))
            new = [one(number) for number in range(2, 102)]
            together = tagged(*enumerate([*new, new[0], b"junk", one(1)]))
            sealing = asyncio.ensure_future(server.node.keep_sealing())
            answers = {answer.tag: answer for answer in await collect(stub.SubmitStream(stream_of(together)))}
            sealing.cancel()
        assert set(answers) == set(range(103))
        verdicts = {tag: verify_receipt(answer.receipt, GENESIS) for tag, answer in answers.items() if answer.receipt}
        assert all(verdict.accepted for verdict in verdicts.values())
        assert answers[101].problem.code == "NOT_STRICT"
        assert answers[100].receipt == answers[0].receipt
        assert verdicts[102].height < verdicts[0].height

    play(tmp_path, scenario)


@pytest.mark.parametrize("count", [0, MAX_OUTSTANDING + 1])
def test_a_message_of_none_or_too_many_transactions_ends_the_stream(tmp_path: Path, count: int) -> None:
    async def scenario(server: Server) -> None:
        message = tagged(*((tag, b"") for tag in range(count)))
        async with server.client() as stub:
            status, error = await failure(collect(stub.SubmitStream(stream_of(message))))
            assert (status, error.code) == (grpc.StatusCode.INVALID_ARGUMENT, Code.INVALID_REQUEST)

    play(tmp_path, scenario)


async def stream_of(*messages: pb.SubmitStreamRequest) -> AsyncIterator[pb.SubmitStreamRequest]:
    for message in messages:
        yield message


def test_clients_that_leave_leave_nothing_behind(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[pb.SubmitStreamRequest]:
        for tag in range(50):
            yield tagged((tag, one(tag + 1)))
        await asyncio.sleep(100)

    async def scenario(server: Server) -> None:
        async with server.client() as stub:
            stream = stub.SubmitStream(endless())
            single = asyncio.ensure_future(submit(stub, one(1000)))
            await until(lambda: len(server.node.intake._waiters) == 51)
            stream.cancel()
            single.cancel()
            await until(lambda: len(server.node.intake._waiters) == 0)
            server.node.seal()
            assert verify_receipt((await submit(stub, one(1000))).receipt, GENESIS).accepted

    play(tmp_path, scenario)


def test_a_department_with_too_many_calls_is_told_so_and_others_are_served(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        async with server.client() as stub, server.client(AUDITOR) as auditor:
            waiting = [stub.WatchBlocks(pb.WatchBlocksRequest()) for _ in range(2)]
            await until(lambda: server.node.feed.watchers == 2)
            status, error = await failure(stub.GetStatus(pb.GetStatusRequest()))
            assert (status, error.code) == (grpc.StatusCode.RESOURCE_EXHAUSTED, Code.OVERLOADED)
            await auditor.GetStatus(pb.GetStatusRequest())
            for call in waiting:
                call.cancel()
            await until(lambda: server.node.feed.watchers == 0)
            await stub.GetStatus(pb.GetStatusRequest())

    play(tmp_path, scenario, LimitsSection(concurrent_calls=8))


def test_a_department_has_few_streams_that_send_and_its_other_calls_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_module, "MAX_INCOMING_STREAMS", 2)
    method = "/huzheng.v1.LedgerService/SubmitStream"

    async def endless(tag: int) -> AsyncIterator[pb.SubmitStreamRequest]:
        yield tagged((tag, one(tag)))
        await asyncio.sleep(100)

    async def scenario(server: Server) -> None:
        async with server.client() as stub:
            streams = [stub.SubmitStream(endless(tag)) for tag in (1, 2)]
            await until(lambda: server.node.mempool.pending_count == len(streams))
            with server.blocking_channel(SYSTEM) as channel:
                status, error = await outcome(channel, method, b"")
                assert (status, error and error.code) == (grpc.StatusCode.RESOURCE_EXHAUSTED, Code.OVERLOADED)
                await stub.GetStatus(pb.GetStatusRequest())
                streams[0].cancel()
                # A message without transactions is what it is refused for once there is room.
                while error is None or error.code is not Code.INVALID_REQUEST:
                    _, error = await outcome(channel, method, b"")
            streams[1].cancel()

    play(tmp_path, scenario)


def test_a_server_that_stops_ends_its_calls_with_a_reason(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        async with server.client() as stub:
            waiting = asyncio.ensure_future(submit(stub, one()))
            await until(lambda: len(server.node.intake._waiters) == 1)
            server.node.intake.close()
            status, error = await failure(waiting)
            assert (status, error.code) == (grpc.StatusCode.UNAVAILABLE, Code.NOT_READY)

    play(tmp_path, scenario)


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        other = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        with pytest.raises(HuzhengError) as refused:
            listen(other, Address("127.0.0.1", server.port), server.credentials)
        assert refused.value.code is Code.ADDRESS_IN_USE
        with pytest.raises(HuzhengError) as refused:
            listen(other, Address("203.0.113.9", 7100), server.credentials)
        assert refused.value.code is Code.ADDRESS_NOT_AVAILABLE
        with socket.create_connection(("127.0.0.1", server.port), timeout=5):
            pass

    play(tmp_path, scenario)

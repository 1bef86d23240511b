"""The client and the sender against a server that is slow, busy, lying, or gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import time
from typing import Any

import grpc
import grpc.aio
import pytest
from huzheng.v1 import ledger_service_pb2 as pb
from huzheng.v1 import transaction_pb2
from huzheng.v1.ledger_service_pb2_grpc import LedgerServiceServicer, LedgerServiceStub

from ledger.crypto import ED25519_SHA256
from ledger.errors import Code, HuzhengError
from ledger.receipt import block_proofs, build_receipt
from ledger.transaction import WellFormedTransaction, check_transaction
from node.catalogue import Catalogue
from node.cli.submission.journal import Journal, State
from node.cli.submission.planning import Planner
from node.cli.submission.reading import InputRecord, RecordSource
from node.cli.submission.sending import Options, Sender, Settled
from node.client import LedgerClient
from node.connections import Endpoint
from node.errors import abort
from scripts.local.network import free_ports
from tests.builders import OBJECTION, Consortium, objection_fields, unit_code
from tests.command_line import write_lines
from tests.plain_client import code_of, plain_client, serving

CONSORTIUM = Consortium(ED25519_SHA256)
Context = grpc.aio.ServicerContext[Any, Any]
Misbehave = Callable[[str, Context], Awaitable[None]]


async def behave(_method: str, _context: Context) -> None:
    """Does as it should."""


@dataclass
class FakeNode(LedgerServiceServicer):
    """Makes a block of every transaction at once, in memory. `before` may misbehave first."""

    before: Misbehave = behave
    submitted: list[bytes] = field(default_factory=list)
    alter: Callable[[Any], None] = lambda _: None
    # What takes place now, for submissions that wait.
    now_ms: int = CONSORTIUM.now_ms

    def __post_init__(self) -> None:
        self.chain = CONSORTIUM.chain()
        self.receipts: dict[bytes, bytes] = {}
        self.located: dict[tuple[str, str], list[pb.LocatedRecord]] = {}

    async def Submit(self, request: pb.SubmitRequest, context: Context) -> pb.SubmitResponse:
        transaction = check_transaction(request.transaction, CONSORTIUM.genesis)
        self.submitted.append(transaction.id)
        await self.before("Submit", context)
        if transaction.id not in self.receipts:
            if transaction.expires_ms <= self.now_ms:
                await abort(context, HuzhengError(Code.EXPIRED))
            self._seal(transaction)
        response = pb.SubmitResponse(transaction_id=transaction.id, receipt=self.receipts[transaction.id])
        self.alter(response)
        return response

    async def GetRecord(self, request: pb.GetRecordRequest, context: Context) -> pb.GetRecordResponse:
        await self.before("GetRecord", context)
        versions = self.located.get((request.resource, request.subject))
        if not versions:
            await abort(context, HuzhengError(Code.NOT_FOUND))
            raise AssertionError
        response = pb.GetRecordResponse(record=versions[-1])
        self.alter(response)
        return response

    async def ListHistory(self, request: pb.ListHistoryRequest, context: Context) -> pb.ListHistoryResponse:
        versions = self.located.get((request.resource, request.subject), [])
        # The same page for ever.
        return pb.ListHistoryResponse(records=versions, next_version=1)

    async def GetReceipt(self, request: pb.GetReceiptRequest, context: Context) -> pb.GetReceiptResponse:
        if request.transaction_id not in self.receipts:
            await abort(context, HuzhengError(Code.NOT_FOUND))
        return pb.GetReceiptResponse(receipt=self.receipts[request.transaction_id])

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:
        return pb.GetStatusResponse(block_time_ms=self.now_ms)

    def _seal(self, transaction: WellFormedTransaction) -> None:
        block = self.chain.add(transaction.raw, time_ms=self.now_ms)
        certificate = CONSORTIUM.certificate(block)
        proofs = block_proofs(CONSORTIUM.genesis, block.header, certificate, [transaction.id], block.results)
        message = transaction_pb2.Transaction.FromString(transaction.raw)
        self.receipts[transaction.id] = build_receipt(CONSORTIUM.genesis, proofs, 0, message)
        if block.codes[0] != transaction_pb2.RESULT_CODE_ACCEPTED:
            return
        for item in transaction.records:
            about = (item.record.resource, item.record.subject)
            located = pb.LocatedRecord(record_id=item.id, record=item.raw, payload=item.payload, height=block.height)
            self.located.setdefault(about, []).append(located)


def new_node(before: Misbehave = behave, **more: Any) -> FakeNode:
    """The calls it does not have answer UNIMPLEMENTED."""
    return FakeNode(before, **more)  # type: ignore[abstract]


def client_for(*endpoints: Endpoint, timeout_s: float = 5.0) -> LedgerClient:
    return plain_client(CONSORTIUM.genesis, *endpoints, timeout_s=timeout_s)


def transaction(number: int = 1) -> bytes:
    return CONSORTIUM.transaction([CONSORTIUM.record(number)], nonce=number)


def test_a_receipt_is_believed_only_when_it_proves_this_transaction() -> None:
    async def scenario() -> None:
        node = new_node()
        async with serving(node) as endpoint, client_for(endpoint) as client:
            other = await client.submit(transaction(1))
            assert other.verdict.accepted
            for receipt in (other.receipt, b"", other.receipt[:-1]):

                def lie(answer: pb.SubmitResponse, receipt: bytes = receipt) -> None:
                    answer.receipt = receipt

                node.alter = lie
                assert await code_of(client.submit(transaction(2))) is Code.UNTRUSTED_ANSWER

    asyncio.run(scenario())


@pytest.mark.parametrize("field_name", ["record", "payload", "record_id"])
def test_a_record_with_other_contents_than_its_id_is_not_believed(field_name: str) -> None:
    async def scenario() -> None:
        node = new_node()
        async with serving(node) as endpoint, client_for(endpoint) as client:
            await client.submit(transaction(1))
            assert (await client.record_of(OBJECTION, unit_code(1))).record

            def lie(answer: pb.GetRecordResponse) -> None:
                value = bytearray(getattr(answer.record, field_name))
                value[-1] ^= 1
                setattr(answer.record, field_name, bytes(value))

            node.alter = lie
            assert await code_of(client.record_of(OBJECTION, unit_code(1))) is Code.UNTRUSTED_ANSWER

    asyncio.run(scenario())


def test_a_record_about_something_else_is_not_believed() -> None:
    async def scenario() -> None:
        node = new_node()
        async with serving(node) as endpoint, client_for(endpoint) as client:
            await client.submit(transaction(1))
            node.located[(OBJECTION, unit_code(2))] = node.located[(OBJECTION, unit_code(1))]
            assert await code_of(client.record_of(OBJECTION, unit_code(2))) is Code.UNTRUSTED_ANSWER

    asyncio.run(scenario())


def test_a_node_that_sends_the_same_page_for_ever_does_not_keep_the_client_for_ever() -> None:
    async def scenario() -> None:
        async with serving(new_node()) as endpoint, client_for(endpoint) as client:
            await client.submit(transaction(1))
            assert len([record async for record in client.history(OBJECTION, unit_code(1))]) <= 2

    asyncio.run(scenario())


def test_where_the_first_node_is_gone_the_next_one_answers() -> None:
    async def scenario() -> None:
        gone = Endpoint(f"127.0.0.1:{free_ports(1)}", "planning", 1)
        async with serving(new_node()) as endpoint, client_for(gone, endpoint) as client:
            answers = await asyncio.gather(*(client.status() for _ in range(5)))
            assert len(answers) == 5
            assert client.node == endpoint

    asyncio.run(scenario())


def test_where_all_nodes_are_gone_the_first_one_is_named() -> None:
    async def scenario() -> None:
        gone = [Endpoint(f"127.0.0.1:{free_ports(1)}", "planning", number) for number in (1, 2)]
        async with client_for(*gone) as client:
            with pytest.raises(HuzhengError) as caught:
                await client.status()
        assert caught.value.code is Code.NODE_UNREACHABLE
        assert gone[0].address in caught.value.detail

    asyncio.run(scenario())


def test_a_call_for_one_department_goes_to_its_nodes_alone_and_to_the_next_where_one_is_gone() -> None:
    async def status(channel: grpc.aio.Channel, limit: float) -> pb.GetStatusResponse:
        return await LedgerServiceStub(channel).GetStatus(pb.GetStatusRequest(), timeout=limit)

    async def scenario() -> None:
        gone = Endpoint(f"127.0.0.1:{free_ports(1)}", "planning", 1)
        async with serving(new_node()) as endpoint:
            async with client_for(gone, endpoint) as client:
                assert isinstance(await client.call_one_of("planning", status), pb.GetStatusResponse)
                assert await code_of(client.call_one_of("tax", status)) is Code.NODE_UNREACHABLE
            async with client_for(replace(endpoint, department="tax"), gone) as client:
                with pytest.raises(HuzhengError) as caught:
                    await client.call_one_of("planning", status)
        assert caught.value.code is Code.NODE_UNREACHABLE
        assert gone.address in caught.value.detail

    asyncio.run(scenario())


def test_a_node_that_does_not_answer_in_time_is_said_so() -> None:
    async def hang(_method: str, _context: Context) -> None:
        await asyncio.sleep(60)

    async def scenario() -> None:
        async with serving(new_node(hang)) as endpoint, client_for(endpoint, timeout_s=0.3) as client:
            assert await code_of(client.submit(transaction())) is Code.TIMED_OUT

    asyncio.run(scenario())


def test_a_call_that_the_node_does_not_know_is_said_so() -> None:
    async def scenario() -> None:
        async with serving(new_node()) as endpoint, client_for(endpoint) as client:
            assert await code_of(client.block()) is Code.NOT_IMPLEMENTED

    asyncio.run(scenario())


# The sender


@dataclass
class Sent:
    """A submission that has run."""

    sender: Sender
    journal: Journal
    settled: list[Settled]
    error: HuzhengError | None


def records(path: Path, numbers: list[int]) -> list[InputRecord]:
    lines = [{"resource": OBJECTION, "subject": unit_code(n), "fields": objection_fields(n)} for n in numbers]
    return list(RecordSource.open(write_lines(path, lines)))


async def send(
    client: LedgerClient, path: Path, inputs: list[InputRecord], now_ms: int | None = None, **options: Any
) -> Sent:
    genesis = CONSORTIUM.genesis
    planner = Planner(Catalogue(genesis), "planning", CONSORTIUM.system_signers["planning"], 600_000)
    journal = Journal.open(path.with_suffix(".journal"), genesis.chain_id, "planning")
    settled: list[Settled] = []
    clock = time if now_ms is None else lambda: now_ms / 1000
    sender = Sender(client, planner, journal, Options(**options), settled.append, clock=clock)
    error = None
    try:
        await sender.run(inputs)
    except HuzhengError as failure:
        error = failure
    finally:
        journal.close()
    return Sent(sender, journal, settled, error)


def busy(times: int, code: Code) -> Misbehave:
    """Answers so many submissions with an error first."""
    left = times

    async def misbehave(method: str, context: Context) -> None:
        nonlocal left
        if method == "Submit" and left:
            left -= 1
            await abort(context, HuzhengError(code))

    return misbehave


@pytest.mark.parametrize("code", [Code.OVERLOADED, Code.NOT_READY])
def test_a_busy_node_is_asked_again(tmp_path: Path, code: Code) -> None:
    async def scenario() -> None:
        node = new_node(busy(2, code), now_ms=CONSORTIUM.now_ms)
        async with serving(node) as endpoint, client_for(endpoint) as client:
            path = tmp_path / "in.jsonl"
            sent = await send(client, path, records(path, [1]), CONSORTIUM.now_ms)
        assert sent.error is None
        assert sent.sender.tally.accepted == 1
        assert len(node.submitted) == 3
        assert len(set(node.submitted)) == 1

    asyncio.run(scenario())


def test_patience_ends_and_the_next_run_sends_the_same_bytes(tmp_path: Path) -> None:
    async def scenario() -> None:
        node = new_node(busy(10_000, Code.NOT_READY))
        path = tmp_path / "in.jsonl"
        async with serving(node) as endpoint, client_for(endpoint) as client:
            inputs = records(path, [1, 2])
            sent = await send(client, path, inputs, CONSORTIUM.now_ms, patience_s=0.5)
            assert sent.error is not None
            assert sent.error.code is Code.NOT_READY
            assert [entry.state for entry in sent.journal.standing()] == [State.OPEN]
            node.before = behave
            again = await send(client, path, inputs, CONSORTIUM.now_ms)
        assert again.sender.tally.accepted == 2
        assert len(set(node.submitted)) == 1

    asyncio.run(scenario())


def test_everything_is_in_the_journal_before_it_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    node = new_node()

    async def look(method: str, _context: Context) -> None:
        if method == "Submit":
            journal = path.with_suffix(".journal").read_text()
            assert all(identifier.hex() in journal for identifier in node.submitted)

    async def scenario() -> None:
        node.before = look
        async with serving(node) as endpoint, client_for(endpoint) as client:
            sent = await send(client, path, records(path, list(range(1, 30))), CONSORTIUM.now_ms, batch=3)
        assert sent.error is None
        assert sent.sender.tally.accepted == 29

    asyncio.run(scenario())


@pytest.mark.parametrize(("versions", "lookups"), [((1, 2, 3), 0), ((None, None), 1), ((2, 3), 1)])
def test_nodes_are_asked_for_what_the_file_itself_does_not_tell(
    tmp_path: Path, versions: tuple[int | None, ...], lookups: int
) -> None:
    asked: list[str] = []

    async def count(method: str, _context: Context) -> None:
        asked.append(method)

    async def scenario() -> None:
        path = tmp_path / "in.jsonl"
        [first] = records(path, [1])
        node = new_node(now_ms=CONSORTIUM.now_ms)
        async with serving(node) as endpoint, client_for(endpoint) as client:
            if versions[0] == 2:
                assert (await send(client, tmp_path / "first", [first], CONSORTIUM.now_ms)).error is None
            node.before = count
            inputs = [replace(first, position=1 + place, version=version) for place, version in enumerate(versions)]
            sent = await send(client, path, inputs, CONSORTIUM.now_ms, batch=10)
        assert sent.sender.tally.refused == []
        assert sent.sender.tally.accepted == len(versions)
        assert asked.count("GetRecord") == lookups

    asyncio.run(scenario())


@pytest.mark.parametrize("numbers", [[1] * 5, [1, 2, 3, 4, 5]], ids=["one subject", "several subjects"])
def test_two_transactions_about_one_subject_are_never_under_way_together(tmp_path: Path, numbers: list[int]) -> None:
    under_way = most = 0
    is_one = len(set(numbers)) == 1

    async def scenario() -> list[int]:
        together = asyncio.Event()

        async def count(method: str, _context: Context) -> None:
            nonlocal under_way, most
            if method == "Submit":
                under_way += 1
                most = max(most, under_way)
                if most > 1:
                    together.set()
                with suppress(TimeoutError):
                    # Those about several subjects wait for one another, and would for ever if they came one by one.
                    await asyncio.wait_for(together.wait(), 0.02 if is_one else 20)
                under_way -= 1

        node = new_node(count)
        path = tmp_path / "in.jsonl"
        async with serving(node) as endpoint, client_for(endpoint) as client:
            sent = await send(client, path, records(path, numbers), CONSORTIUM.now_ms, batch=1)
        assert sent.error is None
        return [planned.head.version for settled in sent.settled for planned in settled.records]

    assert asyncio.run(scenario()) == ([1, 2, 3, 4, 5] if is_one else [1] * 5)
    assert (most == 1) is is_one


def test_what_expired_on_its_way_is_signed_again_in_its_order(tmp_path: Path) -> None:
    async def scenario() -> None:
        node = new_node(busy(3, Code.OVERLOADED))
        path = tmp_path / "in.jsonl"
        inputs = records(path, [1, 1])
        async with serving(node) as endpoint, client_for(endpoint) as client:
            sent = await send(client, path, inputs, CONSORTIUM.now_ms, batch=1, patience_s=0.1)
            assert sent.error is not None
            # By now it has expired; the chain has gone on without it.
            node.now_ms += 700_000
            node.before = behave
            again = await send(client, path, inputs, node.now_ms, batch=1)
        assert again.error is None
        assert [entry.first for entry in again.journal.standing()] == [1, 2]
        assert len(node.located[(OBJECTION, unit_code(1))]) == 2

    asyncio.run(scenario())


def test_a_wrong_clock_is_an_error_and_no_endless_loop(tmp_path: Path) -> None:
    async def scenario() -> None:
        node = new_node()
        path = tmp_path / "in.jsonl"
        async with serving(node) as endpoint, client_for(endpoint) as client:
            sent = await send(client, path, records(path, [1]), CONSORTIUM.now_ms - 10_000_000)
        assert sent.error is not None
        assert sent.error.code is Code.EXPIRED
        assert "clock" in sent.error.hint()

    asyncio.run(scenario())


def test_a_lying_node_stops_the_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        def lie(answer: Any) -> None:
            answer.receipt = b"x"

        node = new_node(alter=lie)
        path = tmp_path / "in.jsonl"
        async with serving(node) as endpoint, client_for(endpoint) as client:
            sent = await send(client, path, records(path, [1, 2, 3]), CONSORTIUM.now_ms, batch=1)
        assert sent.error is not None
        assert sent.error.code is Code.UNTRUSTED_ANSWER
        assert sent.sender.tally.accepted == 0
        # It may be on chain all the same: nothing is taken for refused.
        assert {entry.state for entry in sent.journal.standing()} == {State.OPEN}

    asyncio.run(scenario())

"""What departments' systems, clerks, operators and auditors call. The gate has checked who calls and whether they may."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import grpc.aio
from huzheng.v1 import audit_pb2, ledger_service_pb2_grpc
from huzheng.v1 import ledger_service_pb2 as pb

from node.audit_queries import RelianceCursor
from node.feed import BlockFeed
from node.grouping import GroupedWork
from node.intake import Intake
from node.queries import Queries
from node.services.gate import current_caller
from node.services.submit_stream import SubmitStream

if TYPE_CHECKING:
    # Generic in the stubs only.
    Context = grpc.aio.ServicerContext[Any, Any]

QUICK_GROUPS = 2
"""Threads for quick reads at a time; more of them hinder each other, and the event loop."""
OTHER_READS = 2
"""Threads for others at a time, so that however many these are, quick ones find a thread."""
READERS = QUICK_GROUPS + OTHER_READS
"""Threads that the service can use."""
QUICK_READS = 8
"""Handed over to a thread together: a few milliseconds of work."""
QUICK_QUESTIONS = 8
"""A statement with more of them is not quick."""

Q = TypeVar("Q")
A = TypeVar("A")


class StatusSource(Protocol):
    """Knows where the node stands."""

    def response(self) -> pb.GetStatusResponse:
        """The answer to `GetStatus`."""
        ...


class LedgerService(ledger_service_pb2_grpc.LedgerServiceServicer):
    """Decodes, calls, encodes."""

    def __init__(
        self, intake: Intake, queries: Queries, feed: BlockFeed, status: StatusSource, readers: Executor
    ) -> None:
        """`readers`: READERS threads that read the database for clients; a flood of reads must not delay blocks."""
        self._intake = intake
        self._queries = queries
        self._feed = feed
        self._status = status
        self._quick: GroupedWork[Any, Any] = GroupedWork(readers, QUICK_GROUPS, _no_bytes, QUICK_READS)
        self._others: GroupedWork[Any, Any] = GroupedWork(readers, OTHER_READS, _no_bytes, 1)

    # --- writing ---

    async def Submit(self, request: pb.SubmitRequest, context: Context) -> pb.SubmitResponse:
        """One transaction; answers when it is final, or at once with its id."""
        submission = await self._intake.submit(request.transaction, current_caller())
        if request.no_wait:
            submission.final.cancel()
            return pb.SubmitResponse(transaction_id=submission.transaction_id)
        final = await submission.final
        return pb.SubmitResponse(transaction_id=final.id, receipt=final.receipt)

    async def SubmitStream(
        self, request_iterator: AsyncIterator[pb.SubmitStreamRequest], context: Context
    ) -> AsyncIterator[pb.SubmitStreamResponse]:
        """Many transactions; each is answered when it is final or refused, in any order."""
        stream = SubmitStream(self._intake, current_caller())
        reading = asyncio.ensure_future(stream.read(request_iterator))
        try:
            async for response in stream.responses(reading):
                yield response
        finally:
            await stream.abandon(reading)

    # --- reading ---

    async def GetRecord(self, request: pb.GetRecordRequest, context: Context) -> pb.GetRecordResponse:
        """One record."""
        return await self._read_quickly(self._queries.record, request)

    async def ListHistory(self, request: pb.ListHistoryRequest, context: Context) -> pb.ListHistoryResponse:
        """A page of the versions about a subject."""
        return await self._read(self._queries.history, request)

    async def ListRecords(self, request: pb.ListRecordsRequest, context: Context) -> pb.ListRecordsResponse:
        """A page of the records in force in a resource."""
        return await self._read(self._queries.records, request)

    async def GetTransaction(self, request: pb.GetTransactionRequest, context: Context) -> pb.GetTransactionResponse:
        """A transaction and its result."""
        return await self._read(self._queries.transaction, request)

    async def GetBlock(self, request: pb.GetBlockRequest, context: Context) -> pb.GetBlockResponse:
        """A block."""
        return await self._read(self._queries.block, request)

    async def GetReceipt(self, request: pb.GetReceiptRequest, context: Context) -> pb.GetReceiptResponse:
        """A receipt."""
        return await self._read(self._queries.receipt, request)

    async def GetStatement(self, request: pb.GetStatementRequest, context: Context) -> pb.GetStatementResponse:
        """A statement."""
        is_quick = len(request.questions) + len(request.entries) <= QUICK_QUESTIONS
        return await (self._read_quickly if is_quick else self._read)(self._queries.statement, request)

    async def GetHistory(self, request: pb.GetHistoryRequest, context: Context) -> pb.GetHistoryResponse:
        """A proof of history."""
        return await self._read(self._queries.history_proof, request)

    async def GetCatalogue(self, request: pb.GetCatalogueRequest, context: Context) -> pb.GetCatalogueResponse:
        """A page of duties, resources and tables."""
        return await self._read(self._queries.catalogue, request)

    async def GetMembership(self, request: pb.GetMembershipRequest, context: Context) -> pb.GetMembershipResponse:
        """How the membership changed."""
        return await self._read(self._queries.membership, request)

    async def ListReads(self, request: audit_pb2.ListReadsRequest, context: Context) -> audit_pb2.ListReadsResponse:
        """A page of reads."""
        return await self._read(self._queries.audit.reads, request)

    async def ListGrants(self, request: audit_pb2.ListGrantsRequest, context: Context) -> audit_pb2.ListGrantsResponse:
        """A page of grants."""
        return await self._read(self._queries.audit.grants, request)

    async def ListErasures(
        self, request: audit_pb2.ListErasuresRequest, context: Context
    ) -> audit_pb2.ListErasuresResponse:
        """A page of orders to erase."""
        return await self._read(self._queries.audit.erasures, request)

    async def GetAlerts(self, request: audit_pb2.GetAlertsRequest, context: Context) -> audit_pb2.GetAlertsResponse:
        """What should be looked at."""
        return await self._read(self._queries.audit.alerts, request)

    async def ListReliance(self, request: pb.ListRelianceRequest, context: Context) -> pb.ListRelianceResponse:
        """A page of the records that rely on one."""
        return await self._read(self._queries.audit.reliance, request)

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:
        """Where the node stands."""
        return self._status.response()

    # --- watching ---

    async def WatchBlocks(
        self, request: pb.WatchBlocksRequest, context: Context
    ) -> AsyncIterator[pb.WatchBlocksResponse]:
        """Blocks from a height on, then each new one."""
        async for height in self._feed.heights(current_caller().department, request.from_height):
            yield await self._read(self._queries.watched_block, height)

    async def WatchRecords(
        self, request: pb.WatchRecordsRequest, context: Context
    ) -> AsyncIterator[pb.WatchRecordsResponse]:
        """Accepted records from a height on, then each new one. A block with many comes in several messages."""
        resource = request.resource
        if resource:
            await self._read(self._queries.require_resource, resource)
        async for height in self._feed.heights(current_caller().department, request.from_height):
            for message in await self._read(lambda at: self._queries.watched_records(at, resource), height):
                yield message

    async def WatchReliance(
        self, request: pb.WatchRelianceRequest, context: Context
    ) -> AsyncIterator[pb.WatchRelianceResponse]:
        """What happens to records that a department's records rely on. A block in which nothing does is passed over."""
        department = request.department or current_caller().department
        async for height in self._feed.heights(current_caller().department, request.from_height):
            events = partial(self._queries.audit.watched_reliance, height, department)
            cursor: RelianceCursor | None = None
            while True:
                message, cursor = await self._read(events, cursor)
                if message.events:
                    yield message
                if cursor is None:
                    break

    async def _read(self, query: Callable[[Q], A], question: Q) -> A:
        return await _in_turn(self._others, query, question)

    async def _read_quickly(self, query: Callable[[Q], A], question: Q) -> A:
        return await _in_turn(self._quick, query, question)


async def _in_turn(threads: GroupedWork[Any, Any], query: Callable[[Q], A], question: Q) -> A:
    """What a query answers in a thread; departments take turns. Raises OVERLOADED too."""
    [answer] = await threads.run(current_caller().department, (question,), query)
    if isinstance(answer, Exception):
        raise answer
    found: A = answer
    return found


def _no_bytes(_question: object) -> int:
    """The gate bounds how many questions a department may have open."""
    return 0

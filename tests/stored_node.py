"""Nodes that a test plays: each has a database with a real chain, gives the production answers from it, and may tamper with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc.aio
from google.protobuf.message import Message
from huzheng.v1 import audit_pb2
from huzheng.v1 import ledger_service_pb2 as pb
from huzheng.v1.ledger_service_pb2_grpc import LedgerServiceServicer

from ledger.errors import HuzhengError
from ledger.store import ChainStore
from node.anchor_file import AnchorStore
from node.client import LedgerClient
from node.connections import Endpoint
from node.errors import abort
from node.queries import Queries
from tests.builders import Chain, Consortium
from tests.memberships import store_up_to
from tests.plain_client import plain_client

Context = grpc.aio.ServicerContext[Any, Any]
Q = TypeVar("Q")
A = TypeVar("A", bound=Message)


class StoredNode(LedgerServiceServicer):
    """A stored chain and the production answers from it; `alter` may tamper with each before it leaves, `refuse` raise instead."""

    def __init__(self, consortium: Consortium, store: ChainStore) -> None:
        self.store = store
        self._queries = Queries(consortium.genesis, store)
        self.alter: Callable[[Any], None] = lambda _: None
        self.refuse: Callable[[Any], None] = lambda _: None
        self.asked: list[Any] = []
        self.sent_bytes = 0

    async def _answer(self, query: Callable[[Q], A], request: Q, context: Context) -> A:
        self.asked.append(request)
        try:
            response = query(request)
            self.refuse(response)
        except HuzhengError as error:
            await abort(context, error)
        self.alter(response)
        self.sent_bytes += response.ByteSize()
        return response

    async def GetStatement(self, request: pb.GetStatementRequest, context: Context) -> pb.GetStatementResponse:
        return await self._answer(self._queries.statement, request, context)

    async def GetHistory(self, request: pb.GetHistoryRequest, context: Context) -> pb.GetHistoryResponse:
        return await self._answer(self._queries.history_proof, request, context)

    async def GetReceipt(self, request: pb.GetReceiptRequest, context: Context) -> pb.GetReceiptResponse:
        return await self._answer(self._queries.receipt, request, context)

    async def GetRecord(self, request: pb.GetRecordRequest, context: Context) -> pb.GetRecordResponse:
        return await self._answer(self._queries.record, request, context)

    async def ListHistory(self, request: pb.ListHistoryRequest, context: Context) -> pb.ListHistoryResponse:
        return await self._answer(self._queries.history, request, context)

    async def GetBlock(self, request: pb.GetBlockRequest, context: Context) -> pb.GetBlockResponse:
        return await self._answer(self._queries.block, request, context)

    async def GetMembership(self, request: pb.GetMembershipRequest, context: Context) -> pb.GetMembershipResponse:
        return await self._answer(self._queries.membership, request, context)

    async def GetCatalogue(self, request: pb.GetCatalogueRequest, context: Context) -> pb.GetCatalogueResponse:
        return await self._answer(self._queries.catalogue, request, context)

    async def ListReads(self, request: audit_pb2.ListReadsRequest, context: Context) -> audit_pb2.ListReadsResponse:
        return await self._answer(self._queries.audit.reads, request, context)

    async def ListGrants(self, request: audit_pb2.ListGrantsRequest, context: Context) -> audit_pb2.ListGrantsResponse:
        return await self._answer(self._queries.audit.grants, request, context)


@dataclass
class Stage:
    """A consortium whose nodes a test plays, each with a database of its own."""

    consortium: Consortium
    path: Path
    stores: list[ChainStore]

    def node(self, chain: Chain, height: int | None = None) -> StoredNode:
        """One that has this chain, up to a height."""
        store = ChainStore.open(self.path / f"db{len(self.stores)}", self.consortium.genesis)
        self.stores.append(store)
        store_up_to(store, chain, chain.tip.height if height is None else height)
        return StoredNode(self.consortium, store)  # type: ignore[abstract]

    def anchors(self, *, kept: bool = True) -> AnchorStore:
        return AnchorStore(self.path if kept else None, self.consortium.genesis)

    def client(self, *endpoints: Endpoint) -> LedgerClient:
        return plain_client(self.consortium.genesis, *endpoints)

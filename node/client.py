"""Asks the nodes of a network about the ledger, and believes only what it can check against the genesis.

Every call can be repeated safely: a repeated submit has the same answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self, TypeVar

from huzheng.v1 import (
    audit_pb2,
    block_pb2,
    genesis_pb2,
    membership_pb2,
    operator_service_pb2,
    sharing_service_pb2,
    transaction_pb2,
)
from huzheng.v1 import ledger_service_pb2 as pb
from huzheng.v1.ledger_service_pb2_grpc import LedgerServiceStub
from huzheng.v1.operator_service_pb2_grpc import OperatorServiceStub
from huzheng.v1.sharing_service_pb2_grpc import SharingServiceStub

from ledger.catalogue import CompiledResource
from ledger.crypto import Domain, Height, Membership, strict
from ledger.epoch_proof import verify_epochs
from ledger.epochs import EpochTerms, first_epoch
from ledger.errors import Code, HuzhengError
from ledger.expunged import is_removed
from ledger.genesis import Genesis
from ledger.receipt import Verdict, verify_receipt
from node.catalogue import Catalogue
from node.connections import DEFAULT_TIMEOUT_S, Endpoint, NodeConnections
from node.profile import ClientProfile
from node.tls import TlsMaterial, load_material, own_authority

if TYPE_CHECKING:
    from huzheng.v1.ledger_service_pb2_grpc import LedgerServiceAsyncStub

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Final:
    """A transaction that is on chain, proved by its receipt; it may be there as a refusal."""

    transaction_id: bytes
    receipt: bytes
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class MembershipHistory:
    """All epochs from the genesis on, proved; the last may not be in force yet."""

    epochs: tuple[EpochTerms, ...]
    proofs: tuple[block_pb2.EpochProof, ...]
    """Of the changes that made the second and later ones."""
    height: Height
    """The newest block, as the node says."""

    @property
    def joined(self) -> Mapping[str, genesis_pb2.Department]:
        """The departments that are not in the genesis."""
        found = {}
        for proof in self.proofs:
            body = strict.read(transaction_pb2.TransactionBody, proof.body)
            change = strict.read(membership_pb2.MembershipChange, body.operations[0].change_membership.change)
            for action in change.actions:
                if action.HasField("add_department"):
                    found[action.add_department.id] = action.add_department
        return found

    @property
    def in_force(self) -> EpochTerms:
        """The epoch of the next block."""
        return next(terms for terms in reversed(self.epochs) if terms.first_height <= self.height + 1)


class LedgerClient(NodeConnections):
    """The calls of LedgerService, and those of the other services that go to any node."""

    def __init__(
        self,
        genesis: Genesis,
        material: TlsMaterial,
        nodes: Sequence[Endpoint],
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        joined: Mapping[str, bytes] | None = None,
    ) -> None:
        """As `NodeConnections`."""
        super().__init__(genesis, material, nodes, timeout_s=timeout_s, joined=joined)
        self.catalogue = Catalogue(genesis)
        """What is known of resources so far; `learn` asks the node for more."""
        self._epochs: tuple[EpochTerms, ...] = (first_epoch(genesis),)

    @classmethod
    def from_profile(cls, profile: ClientProfile, genesis: Genesis, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> Self:
        """The client that a `client.toml` describes.

        Raises:
            HuzhengError: what `node.tls.load_material` raises; CONFIG_NOT_GENESIS.
        """
        own = profile.client.department
        named = {name: department.ca_certificate for name, department in genesis.departments.items()}
        authority = own_authority(profile.tls, own, named)
        material = load_material(profile.tls.certificate, profile.tls.key, authority, datetime.now(UTC))
        nodes = [Endpoint(str(node.address), node.department, node.replica) for node in profile.nodes]
        return cls(genesis, material, nodes, timeout_s=timeout_s, joined={own: authority})

    def only(self, number: int, *, timeout_s: float | None = None) -> LedgerClient:
        """Another client like this one, for the node at this place of the list alone."""
        return LedgerClient(self.genesis, self._material, [self.nodes[number]], timeout_s=timeout_s or self.timeout_s)

    def leave_out(self) -> None:
        """Never calls this node again, and forgets what it told of the members and of the catalogue. It must not be the last one."""
        super().leave_out()
        self.catalogue = Catalogue(self.genesis)
        self._epochs = (first_epoch(self.genesis),)

    # Submitting

    async def submit(self, transaction: bytes, *, timeout_s: float | None = None) -> Final:
        """Submits a transaction and waits until it is final; the receipt has been checked.

        Raises:
            HuzhengError: the refusal of a node that did not take it in; UNTRUSTED_ANSWER; TIMED_OUT and others after
                which it may still take effect.
        """
        request = pb.SubmitRequest(transaction=transaction)
        response = await self._call(lambda stub, limit: stub.Submit(request, timeout=limit), timeout_s)
        return self._final(response.transaction_id, response.receipt)

    async def submit_without_waiting(self, transaction: bytes) -> bytes:
        """Submits a transaction and returns its id as soon as the node has taken it in."""
        request = pb.SubmitRequest(transaction=transaction, no_wait=True)
        response = await self._call(lambda stub, limit: stub.Submit(request, timeout=limit))
        return response.transaction_id

    # Reading

    async def record(self, record_id: bytes) -> pb.LocatedRecord:
        """One record by its id; its contents are what the id commits to, its place is the node's word."""
        located = await self._record(pb.GetRecordRequest(record_id=record_id))
        if located.record_id != record_id:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, "another record than the one asked for")
        return located

    async def record_of(self, resource: str, subject: str, version: int = 0) -> pb.LocatedRecord:
        """One version about a subject; 0 is the newest, and that it is the newest is the node's word."""
        located = await self._record(pb.GetRecordRequest(resource=resource, subject=subject, version=version))
        record = transaction_pb2.Record.FromString(located.record)
        if (record.resource, record.subject) != (resource, subject) or version not in (0, record.version):
            raise HuzhengError(Code.UNTRUSTED_ANSWER, "another record than the one asked for")
        return located

    async def history(self, resource: str, subject: str, page_size: int = 0) -> AsyncIterator[pb.LocatedRecord]:
        """All versions about a subject, oldest first."""
        version = 0
        while True:
            request = pb.ListHistoryRequest(
                resource=resource, subject=subject, from_version=version, page_size=page_size
            )
            page = await self._history_page(request)
            for located in page.records:
                yield self._consistent(located)
            # A node that sends the same page for ever must not keep us for ever.
            if page.next_version <= version:
                return
            version = page.next_version

    async def records(self, resource: str, prefix: str = "", page_size: int = 0) -> AsyncIterator[pb.LocatedRecord]:
        """The current records of a resource, by subject."""
        after = ""
        while True:
            request = pb.ListRecordsRequest(
                resource=resource, subject_prefix=prefix, after_subject=after, page_size=page_size
            )
            page = await self._records_page(request)
            for located in page.records:
                yield self._consistent(located)
            if page.next_after_subject <= after:
                return
            after = page.next_after_subject

    async def transaction(self, transaction_id: bytes) -> pb.GetTransactionResponse:
        """A transaction and how it ended, as the node tells it."""
        request = pb.GetTransactionRequest(transaction_id=transaction_id)
        return await self._call(lambda stub, limit: stub.GetTransaction(request, timeout=limit))

    async def block(self, *, height: int | None = None, block_hash: bytes | None = None) -> pb.GetBlockResponse:
        """A block by height or hash, or the newest, as the node tells it."""
        if height is not None:
            request = pb.GetBlockRequest(height=height)
        elif block_hash is not None:
            request = pb.GetBlockRequest(hash=block_hash)
        else:
            request = pb.GetBlockRequest(latest=True)
        return await self._call(lambda stub, limit: stub.GetBlock(request, timeout=limit))

    async def record_receipt(self, record_id: bytes) -> tuple[bytes, Verdict]:
        """A record's receipt, checked to prove that record."""
        request = pb.GetReceiptRequest(record_id=record_id)
        response = await self._call(lambda stub, limit: stub.GetReceipt(request, timeout=limit))
        verdict = self._verified(response.receipt)
        if verdict.record_id != record_id:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, "the receipt is for another record")
        return response.receipt, verdict

    async def transaction_receipt(self, transaction_id: bytes) -> tuple[bytes, Verdict]:
        """A transaction's receipt, checked to prove how that transaction ended."""
        request = pb.GetReceiptRequest(transaction_id=transaction_id)
        response = await self._call(lambda stub, limit: stub.GetReceipt(request, timeout=limit))
        final = self._final(transaction_id, response.receipt)
        return response.receipt, final.verdict

    async def statement(self, request: pb.GetStatementRequest) -> pb.GetStatementResponse:
        """A statement as the node gives it: `node.light_client` verifies it."""
        return await self._call(lambda stub, limit: stub.GetStatement(request, timeout=limit))

    async def history_proof(self, height: int, under: int) -> bytes:
        """A `HistoryProof` as the node gives it; `under` 0 is its newest block."""
        request = pb.GetHistoryRequest(height=height, under=under)
        return (await self._call(lambda stub, limit: stub.GetHistory(request, timeout=limit))).proof

    async def membership(self) -> MembershipHistory:
        """Every epoch so far, verified from the genesis on. Whether there are newer ones is the node's word."""
        answer = await self._call(lambda stub, limit: stub.GetMembership(pb.GetMembershipRequest(), timeout=limit))
        try:
            epochs = verify_epochs(self.genesis, answer.epochs)
        except HuzhengError as error:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, str(error)) from None
        return MembershipHistory(epochs, tuple(answer.epochs), Height(answer.height))

    async def members_of(self, epoch: int) -> Membership:
        """Who voted in an epoch, verified from the genesis on."""
        if epoch >= len(self._epochs):
            self._epochs = (await self.membership()).epochs
        if epoch >= len(self._epochs):
            raise HuzhengError(Code.UNTRUSTED_ANSWER, f"a block of epoch {epoch}, of which the node knows nothing")
        return self._epochs[epoch].membership

    async def release(self, read_id: bytes, owner: str) -> bytes:
        """The sealed answer to a read, of a node of the department that owns what is read."""
        request = sharing_service_pb2.ReleaseRequest(read=read_id)
        answer = await self.call_one_of(
            owner, lambda channel, limit: SharingServiceStub(channel).Release(request, timeout=limit)
        )
        return answer.sealed

    async def learn(self, resource: str = "") -> list[pb.CatalogueItem]:
        """What the node says of a resource, or of the whole catalogue; `catalogue` knows it from then on.

        Raises:
            HuzhengError: NOT_FOUND if there is no such resource; UNTRUSTED_ANSWER.
        """
        found: list[pb.CatalogueItem] = []
        after = b""
        while True:
            page = await self._catalogue_page(pb.GetCatalogueRequest(resource=resource, after=after))
            for item in page.items:
                self.catalogue.take(item)
                found.append(item)
            # A node that sends the same page for ever must not keep us for ever.
            if page.next <= after:
                return found
            after = page.next

    async def resource(self, name: str) -> CompiledResource:
        """The newest known definition of a resource; the node is asked if none is known.

        Raises:
            HuzhengError: UNKNOWN_RESOURCE, naming those that are known.
        """
        if self.catalogue.newest(name) is None:
            try:
                await self.learn(name)
            except HuzhengError as error:
                if error.code is not Code.NOT_FOUND:
                    raise
        found = self.catalogue.newest(name)
        if found is None:
            raise HuzhengError(Code.UNKNOWN_RESOURCE, ", ".join(self.catalogue.names()))
        return found

    async def learn_of(self, records: Iterable[bytes]) -> None:
        """Asks the node for the schema versions that records cite and that are not known yet."""
        asked: set[str] = set()
        for raw in records:
            record = transaction_pb2.Record.FromString(raw)
            known = self.catalogue.version(record.resource, record.schema_version)
            if known is not None or record.resource in asked:
                continue
            asked.add(record.resource)
            try:
                await self.learn(record.resource)
            except HuzhengError as error:
                # A record that was refused may cite what there never was.
                if error.code is not Code.NOT_FOUND:
                    raise

    # Reads, grants, erasures and reliance

    async def reads(self, request: audit_pb2.ListReadsRequest) -> audit_pb2.ListReadsResponse:
        """A page of reads as the node tells it; `node.audit` checks and completes it."""
        return await self._call(lambda stub, limit: stub.ListReads(request, timeout=limit))

    async def grants(self, request: audit_pb2.ListGrantsRequest) -> AsyncIterator[audit_pb2.ListedGrant]:
        """The grants that a request is about, as the node tells it, oldest application first."""
        while True:
            page = await self._grants_page(request)
            for listed in page.grants:
                yield listed
            if not page.HasField("next_after") or not _moves_on(request.after, page.next_after):
                return
            request.after.CopyFrom(page.next_after)

    async def erasures(self, department: str = "") -> AsyncIterator[audit_pb2.ListedErasure]:
        """Orders to erase, of all departments or of one, as the node tells it, oldest first."""
        request = audit_pb2.ListErasuresRequest(department=department)
        while True:
            page = await self._erasures_page(request)
            for listed in page.erasures:
                yield listed
            if not page.HasField("next_after") or not _moves_on(request.after, page.next_after):
                return
            request.after.CopyFrom(page.next_after)

    async def alerts(self) -> audit_pb2.GetAlertsResponse:
        """What should be looked at, as the node tells it."""
        request = audit_pb2.GetAlertsRequest()
        return await self._call(lambda stub, limit: stub.GetAlerts(request, timeout=limit))

    async def reliance(self, request: pb.ListRelianceRequest) -> pb.ListRelianceResponse:
        """A page of the records that rely on one; the contents of all are what their ids commit to."""
        answer = await self._call(lambda stub, limit: stub.ListReliance(request, timeout=limit))
        if answer.relied.record_id != request.record_id:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, "another record than the one asked for")
        self._consistent(answer.relied)
        for located in answer.records:
            self._require_reliance(located, request.record_id)
        return answer

    async def watch_reliance(self, from_height: int = 0, department: str = "") -> AsyncIterator[pb.RelianceEvent]:
        """What happens from a height on (0: the next new block) to records that a department's (by default the caller's) rely on."""
        request = pb.WatchRelianceRequest(from_height=from_height, department=department)
        async for answer in self._watch(lambda stub: stub.WatchReliance(request)):
            for event in answer.events:
                self._require_reliance(event.relying, event.relied)
                changed = transaction_pb2.Record.FromString(self._consistent(event.changed).record)
                if changed.replaces != event.relied:
                    raise HuzhengError(Code.UNTRUSTED_ANSWER, "a record that replaces another one")
                yield event

    def _require_reliance(self, located: pb.LocatedRecord, relied: bytes) -> None:
        record = transaction_pb2.Record.FromString(self._consistent(located).record)
        if all(item.record_id != relied for item in record.relies_on):
            raise HuzhengError(Code.UNTRUSTED_ANSWER, "a record that does not rely on the one asked about")

    async def status(self) -> pb.GetStatusResponse:
        """Where the node stands."""
        return await self._call(lambda stub, limit: stub.GetStatus(pb.GetStatusRequest(), timeout=limit))

    async def watch_blocks(self, from_height: int = 0) -> AsyncIterator[pb.WatchBlocksResponse]:
        """Blocks from a height on (0: the next new one), then each new one, for ever."""
        request = pb.WatchBlocksRequest(from_height=from_height)
        async for answer in self._watch(lambda stub: stub.WatchBlocks(request)):
            yield answer

    async def watch_records(self, from_height: int = 0, resource: str = "") -> AsyncIterator[pb.WatchRecordsResponse]:
        """Accepted records from a height on (0: the next new block), then each new one, for ever."""
        request = pb.WatchRecordsRequest(from_height=from_height, resource=resource)
        async for answer in self._watch(lambda stub: stub.WatchRecords(request)):
            yield answer

    # Operating

    async def back_up(self, directory: str) -> AsyncIterator[operator_service_pb2.BackupResponse]:
        """Has the current node back itself up to a directory of its machine; the last answer has the manifest."""
        request = operator_service_pb2.BackupRequest(directory=directory)
        async for answer in self.stream(lambda channel: OperatorServiceStub(channel).Backup(request)):
            yield answer

    # Inside

    async def _catalogue_page(self, request: pb.GetCatalogueRequest) -> pb.GetCatalogueResponse:
        return await self._call(lambda stub, limit: stub.GetCatalogue(request, timeout=limit))

    async def _history_page(self, request: pb.ListHistoryRequest) -> pb.ListHistoryResponse:
        return await self._call(lambda stub, limit: stub.ListHistory(request, timeout=limit))

    async def _records_page(self, request: pb.ListRecordsRequest) -> pb.ListRecordsResponse:
        return await self._call(lambda stub, limit: stub.ListRecords(request, timeout=limit))

    async def _grants_page(self, request: audit_pb2.ListGrantsRequest) -> audit_pb2.ListGrantsResponse:
        return await self._call(lambda stub, limit: stub.ListGrants(request, timeout=limit))

    async def _erasures_page(self, request: audit_pb2.ListErasuresRequest) -> audit_pb2.ListErasuresResponse:
        return await self._call(lambda stub, limit: stub.ListErasures(request, timeout=limit))

    async def _record(self, request: pb.GetRecordRequest) -> pb.LocatedRecord:
        response = await self._call(lambda stub, limit: stub.GetRecord(request, timeout=limit))
        return self._consistent(response.record)

    def _consistent(self, located: pb.LocatedRecord) -> pb.LocatedRecord:
        """The record itself, if its id commits to its contents; those may have been removed, or not be shown."""
        suite = self.genesis.suite
        try:
            record = strict.read(transaction_pb2.Record, located.record)
        except HuzhengError as error:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, str(error)) from None
        whole = suite.digest(Domain.RECORD, located.record) == located.record_id
        is_shown = suite.digest(Domain.PAYLOAD, located.payload) == record.payload_digest
        if not whole or not (is_shown or is_removed(suite, record, located.payload)):
            raise HuzhengError(Code.UNTRUSTED_ANSWER, "a record's contents are not those of its id")
        return located

    def _final(self, transaction_id: bytes, receipt: bytes) -> Final:
        verdict = self._verified(receipt)
        if verdict.transaction_id != transaction_id:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, "the receipt is for another transaction")
        return Final(transaction_id, receipt, verdict)

    def _verified(self, receipt: bytes) -> Verdict:
        try:
            return verify_receipt(receipt, self.genesis)
        except HuzhengError as error:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, str(error)) from None

    async def _call(
        self, method: Callable[[LedgerServiceAsyncStub, float], Awaitable[R]], timeout_s: float | None = None
    ) -> R:
        return await self.call(lambda channel, limit: method(LedgerServiceStub(channel), limit), timeout_s)

    async def _watch(self, method: Callable[[LedgerServiceAsyncStub], AsyncIterable[R]]) -> AsyncIterator[R]:
        """As `stream`, of what ends with the node alone."""
        node = self.node
        async for answer in self.stream(lambda channel: method(LedgerServiceStub(channel))):
            yield answer
        self.pass_over(node)


def _moves_on(before: audit_pb2.OperationPosition, after: audit_pb2.OperationPosition) -> bool:
    """A node that sends the same page for ever must not keep us for ever."""
    return (before.height, before.transaction_index, before.operation_index) < (
        after.height,
        after.transaction_index,
        after.operation_index,
    )

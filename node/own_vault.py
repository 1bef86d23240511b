"""Calls the vault of one's own department: what VaultService offers to its systems and clerks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from huzheng.v1 import vault_service_pb2 as pb
from huzheng.v1.vault_service_pb2_grpc import VaultServiceStub

from ledger.building import BuiltRecord
from ledger.disclosure import DisclosureVerdict, verify_disclosure
from ledger.errors import Code, HuzhengError
from node.connections import NodeConnections

if TYPE_CHECKING:
    from huzheng.v1.vault_service_pb2_grpc import VaultServiceAsyncStub

# Of one message with confidential fields; a single record may have more.
_DEPOSIT_BYTES = 1 << 20
R = TypeVar("R")


class OwnVault:
    """The vault of a department, for those who belong to it.

    Values go to nodes of that department alone, whose certificate its CA must have issued.
    """

    def __init__(self, connections: NodeConnections, department: str) -> None:
        self._connections = connections
        self._department = department

    async def deposit(self, records: Sequence[BuiltRecord], expires_ms: int) -> None:
        """Has the confidential fields of records kept, durably, before these are submitted; records without such fields are left out.

        `expires_ms`: of their transaction.

        Raises:
            HuzhengError: VAULT_NOT_CONFIGURED where none of the department's nodes has a vault; NODE_UNREACHABLE; what the vault refuses.
        """
        for request in _deposits(records, expires_ms):
            await self._call(lambda stub, limit, to=request: stub.Deposit(to, timeout=limit))  # type: ignore[misc]

    async def disclose(self, record_id: bytes, fields: Sequence[int]) -> tuple[bytes, DisclosureVerdict]:
        """A disclosure of fields (numbers, in ascending order) of one of the department's records, checked to prove them."""
        request = pb.DiscloseRequest(record_id=record_id, fields=fields)
        answer = await self._call(lambda stub, limit: stub.Disclose(request, timeout=limit))
        try:
            verdict = verify_disclosure(answer.disclosure, self._connections.genesis)
        except HuzhengError as error:
            raise HuzhengError(Code.UNTRUSTED_ANSWER, str(error)) from None
        if verdict.record.id != record_id or list(verdict.values) != list(fields):
            raise HuzhengError(Code.UNTRUSTED_ANSWER, "another disclosure than the one asked for")
        return answer.disclosure, verdict

    async def keep(self, read: bytes, disclosure: bytes) -> None:
        """Has what came as the answer to a read kept.

        Raises:
            HuzhengError: as `deposit`.
        """
        request = pb.KeepRequest(read=read, disclosure=disclosure)
        await self._call(lambda stub, limit: stub.Keep(request, timeout=limit))

    async def _call(self, method: Callable[[VaultServiceAsyncStub, float], Awaitable[R]]) -> R:
        """Calls a node of the department that has its vault. No other node is ever asked: values are in the question."""
        return await self._connections.call_one_of(
            self._department, lambda channel, limit: method(VaultServiceStub(channel), limit)
        )


def _deposits(records: Sequence[BuiltRecord], expires_ms: int) -> Iterator[pb.DepositRequest]:
    """What is to be kept, in messages of a size that every node takes."""
    request = pb.DepositRequest(expires_ms=expires_ms)
    size = 0
    for record in records:
        if not record.secrets:
            continue
        deposited = pb.DepositedRecord(
            record=record.raw,
            fields=[
                pb.DepositedField(number=secret.number, value=secret.value, salt=secret.salt)
                for secret in record.secrets
            ],
        )
        if request.records and size + deposited.ByteSize() > _DEPOSIT_BYTES:
            yield request
            request, size = pb.DepositRequest(expires_ms=expires_ms), 0
        request.records.append(deposited)
        size += deposited.ByteSize()
    if request.records:
        yield request

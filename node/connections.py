"""Connections to the nodes of a network over mutual TLS: one node is called at a time, and the next one where that can't be reached."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
import grpc.aio

from ledger.errors import Code, HuzhengError
from ledger.genesis import Genesis
from node.errors import RemoteError, from_rpc
from node.tls import TlsMaterial, channel_credentials, channel_options

DEFAULT_TIMEOUT_S = 30.0
# Room for what gRPC and protobuf wrap around the largest batch.
_MESSAGE_SLACK_BYTES = 1 << 20
# A TransactionResult as it comes with a block, rounded up.
RESULT_BYTES = 64
WORTH_ANOTHER_NODE = (Code.NODE_UNREACHABLE, Code.TLS_REFUSED, Code.NOT_READY, Code.NODE_BEHIND)
"""What a node may answer where the next one may know better."""
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One node: where it listens, and who it must prove to be."""

    address: str
    department: str
    replica: int


class NodeConnections:
    """Connections to nodes, opened when they are first needed. Failures of calls raise HuzhengError, with the node's own words where it sent some."""

    def __init__(
        self,
        genesis: Genesis,
        material: TlsMaterial,
        nodes: Sequence[Endpoint],
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        joined: Mapping[str, bytes] | None = None,
    ) -> None:
        """Makes no connection yet. `nodes`: in order of preference, at least one.

        `joined`: the CA certificates (DER) of departments that are not in the genesis, as the caller knows them.

        Raises:
            HuzhengError: CONFIG_NOT_GENESIS, if a node's department is neither in the genesis nor among them.
        """
        named = {name: department.ca_certificate for name, department in genesis.departments.items()}
        self._authorities = {**(joined or {}), **named}
        for node in nodes:
            if node.department not in self._authorities:
                raise HuzhengError(Code.CONFIG_NOT_GENESIS, f"nodes: no department {node.department} in the genesis")
        self.genesis = genesis
        self.nodes = tuple(nodes)
        self.timeout_s = timeout_s
        self._material = material
        self._current = 0
        self._channels: dict[Endpoint, grpc.aio.Channel] = {}

    def authority_of(self, node: Endpoint) -> bytes:
        """The CA (DER) that must stand behind a node's certificate."""
        return self._authorities[node.department]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connections and every call on them."""
        channels, self._channels = list(self._channels.values()), {}
        for channel in channels:
            await channel.close(None)

    @property
    def node(self) -> Endpoint:
        """The node that is called next."""
        return self.nodes[self._current]

    def nodes_of(self, department: str) -> tuple[Endpoint, ...]:
        """Those of a department's that are known here."""
        return tuple(node for node in self.nodes if node.department == department)

    def leave_out(self) -> None:
        """Never calls this node again. It must not be the last one."""
        left = [node for number, node in enumerate(self.nodes) if number != self._current]
        if not left:
            raise ValueError("the last node")
        self.nodes = tuple(left)
        self._current %= len(left)

    def pass_over(self, node: Endpoint) -> None:
        """Calls the next node from now on. Of several calls of one node that fail at once, only the first moves on."""
        if self.node is node:
            self._current = (self._current + 1) % len(self.nodes)

    async def call(
        self, method: Callable[[grpc.aio.Channel, float], Awaitable[R]], timeout_s: float | None = None
    ) -> R:
        """Calls the current node; where it can't be reached, each of the others once."""
        first: HuzhengError | None = None
        for _ in self.nodes:
            node = self.node
            try:
                return await self.call_at(node, method, timeout_s)
            except HuzhengError as error:
                if error.code not in WORTH_ANOTHER_NODE:
                    raise
                first = first or error
            self.pass_over(node)
        raise first or HuzhengError(Code.NODE_UNREACHABLE)

    async def call_one_of(self, department: str, method: Callable[[grpc.aio.Channel, float], Awaitable[R]]) -> R:
        """Calls the department's nodes, in order of preference, until one can be reached that has its vault; no other node is ever asked.

        Raises:
            HuzhengError: VAULT_NOT_CONFIGURED where none of them has a vault; NODE_UNREACHABLE; what the node answers.
        """
        failed: list[HuzhengError] = []
        for node in self.nodes_of(department):
            try:
                return await self.call_at(node, method)
            except HuzhengError as error:
                if error.code not in (*WORTH_ANOTHER_NODE, Code.VAULT_NOT_CONFIGURED):
                    raise
                failed.append(error)
        if not failed:
            raise HuzhengError(Code.NODE_UNREACHABLE, f"nodes: none of {department}, whose vault is needed")
        raise next((error for error in failed if error.code in WORTH_ANOTHER_NODE), failed[0])

    async def call_at(
        self,
        node: Endpoint,
        method: Callable[[grpc.aio.Channel, float], Awaitable[R]],
        timeout_s: float | None = None,
    ) -> R:
        """Calls one node and no other."""
        try:
            return await method(self.channel_to(node), timeout_s or self.timeout_s)
        except grpc.aio.AioRpcError as failure:
            raise _error(failure, node) from None

    async def stream(self, method: Callable[[grpc.aio.Channel], AsyncIterable[R]]) -> AsyncIterator[R]:
        """What the current node sends, until it ends. Where the node can't be reached, the next one is called from then on."""
        node = self.node
        try:
            async for answer in method(self.channel_to(node)):
                yield answer
        except grpc.aio.AioRpcError as failure:
            error = _error(failure, node)
            if error.code in WORTH_ANOTHER_NODE:
                self.pass_over(node)
            raise error from None

    def channel_to(self, node: Endpoint) -> grpc.aio.Channel:
        """The one channel to a node; it connects when it is first used."""
        if node not in self._channels:
            self._channels[node] = self._open(node)
        return self._channels[node]

    def _open(self, node: Endpoint) -> grpc.aio.Channel:
        credentials = channel_credentials(self._material, self.authority_of(node))
        parameters = self.genesis.parameters
        # A block that lacks payloads has its results too.
        results_bytes = 2 * RESULT_BYTES * parameters.max_batch_transactions
        limit = parameters.max_batch_bytes + results_bytes + _MESSAGE_SLACK_BYTES
        options: list[tuple[str, Any]] = [
            *channel_options(node.department, node.replica),
            ("grpc.max_receive_message_length", limit),
            ("grpc.max_send_message_length", limit),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.initial_reconnect_backoff_ms", 200),
            ("grpc.max_reconnect_backoff_ms", 2_000),
        ]
        return grpc.aio.secure_channel(node.address, credentials, options)


def _error(failure: grpc.aio.AioRpcError, node: Endpoint) -> HuzhengError:
    error = from_rpc(failure)
    if error.code in (Code.FORKED, Code.UNTRUSTED_ANSWER):
        # Only clients find that out.
        return HuzhengError(Code.UNTRUSTED_ANSWER, f"the node answers {error.code}")
    if isinstance(error, RemoteError) or error.code not in (Code.NODE_UNREACHABLE, Code.TLS_REFUSED, Code.TIMED_OUT):
        return error
    return HuzhengError(error.code, f"{node.address}, replica {node.replica} of {node.department}")

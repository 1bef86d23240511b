"""The gRPC server: its services behind one gate, and limits to everything that a peer could make grow."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
from dataclasses import dataclass
from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio  # type: ignore[attr-defined]
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc
from grpc_reflection.v1alpha.reflection import aio as reflection_aio  # type: ignore[attr-defined]
from huzheng.v1 import (
    ledger_service_pb2,
    ledger_service_pb2_grpc,
    operator_service_pb2,
    operator_service_pb2_grpc,
    replica_service_pb2,
    sharing_service_pb2,
    sharing_service_pb2_grpc,
    vault_service_pb2,
    vault_service_pb2_grpc,
)

from ledger.errors import Code, HuzhengError
from ledger.genesis import Parameters
from node.config import LimitsSection
from node.connections import RESULT_BYTES
from node.peers import MAX_GROUP_BYTES
from node.services.gate import Gate
from node.services.ledger_service import LedgerService
from node.services.operator_service import OperatorService
from node.services.replica_service import ReplicaService
from node.services.sharing_service import SharingService
from node.services.vault_service import VaultService
from node.toml_file import Address

_MESSAGE_OVERHEAD_BYTES = 64 * 1024
_MAX_METADATA_BYTES = 16 * 1024
_KEEPALIVE_MS = 20_000
_KEEPALIVE_TIMEOUT_MS = 10_000
_MIN_PING_INTERVAL_MS = 10_000
_MAX_IDLE_MS = 15 * 60_000
_HANDSHAKE_TIMEOUT_MS = 10_000
_MAX_CONNECTIONS = 4_096
_OTHER_FILES = 512
"""For the database, logs, links to peers and monitoring."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the server serves."""

    ledger: LedgerService
    replica: ReplicaService
    operator: OperatorService
    health: health_aio.HealthServicer
    sharing: SharingService
    vault: VaultService


def max_message_bytes(parameters: Parameters) -> int:
    """The largest message between replicas: a full group and a batch on top of it, or a block with its results. Clients' are smaller."""
    results_bytes = RESULT_BYTES * parameters.max_batch_transactions
    return max(MAX_GROUP_BYTES, results_bytes) + parameters.max_batch_bytes + _MESSAGE_OVERHEAD_BYTES


def raise_file_limit() -> None:
    """Lets this process open as many files as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def max_connections() -> int:
    """How many connections leave enough files for the database."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MAX_CONNECTIONS
    return max(_MAX_CONNECTIONS // 64, min(_MAX_CONNECTIONS, soft - _OTHER_FILES))


def server_options(limits: LimitsSection, parameters: Parameters) -> list[tuple[str, int]]:
    """gRPC channel arguments. What is sent is bounded by what is asked for, so only what comes in has a limit."""
    return [
        ("grpc.max_receive_message_length", max_message_bytes(parameters)),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
        ("grpc.max_concurrent_streams", limits.streams_per_connection),
        # Dead links are noticed, and nobody may ping more often than that.
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _MIN_PING_INTERVAL_MS),
        ("grpc.http2.max_ping_strikes", 3),
        ("grpc.max_connection_idle_ms", _MAX_IDLE_MS),
        # Whoever connects and says nothing must not use up the files that the database needs.
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_TIMEOUT_MS),
        ("grpc.max_allowed_incoming_connections", max_connections()),
        # Otherwise two nodes could listen on one port, each getting some of the calls.
        ("grpc.so_reuseport", 0),
    ]


def build_server(limits: LimitsSection, parameters: Parameters, gate: Gate, services: Services) -> grpc.aio.Server:
    """A server that does not listen yet: see `listen`, then `start` it."""
    registry: Any = gate  # what gRPC generates is typed for servers
    ledger_service_pb2_grpc.add_LedgerServiceServicer_to_server(services.ledger, registry)
    operator_service_pb2_grpc.add_OperatorServiceServicer_to_server(services.operator, registry)
    services.replica.add_to(gate)
    sharing_service_pb2_grpc.add_SharingServiceServicer_to_server(services.sharing, registry)
    vault_service_pb2_grpc.add_VaultServiceServicer_to_server(services.vault, registry)
    health_pb2_grpc.add_HealthServicer_to_server(services.health, registry)
    names = (
        _service_name(ledger_service_pb2, "LedgerService"),
        _service_name(operator_service_pb2, "OperatorService"),
        _service_name(replica_service_pb2, "ReplicaService"),
        _service_name(sharing_service_pb2, "SharingService"),
        _service_name(vault_service_pb2, "VaultService"),
        _service_name(health_pb2, "Health"),
        reflection.SERVICE_NAME,
    )
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflection_aio.ReflectionServicer(names), registry)  # type: ignore[attr-defined]  # missing in the stubs
    return grpc.aio.server(
        handlers=[gate],
        options=server_options(limits, parameters),
        maximum_concurrent_rpcs=limits.concurrent_calls,
    )


def _service_name(module: Any, service: str) -> str:
    return str(module.DESCRIPTOR.services_by_name[service].full_name)


def listen(server: grpc.aio.Server, address: Address, credentials: grpc.ServerCredentials) -> int:
    """Binds the port, which is returned (the system chooses one if the address has 0).

    Raises:
        HuzhengError: ADDRESS_IN_USE, ADDRESS_NOT_AVAILABLE.
    """
    try:
        return server.add_secure_port(str(address), credentials)
    except RuntimeError:
        # gRPC does not say why.
        code = Code.ADDRESS_IN_USE if _is_in_use(address) else Code.ADDRESS_NOT_AVAILABLE
        raise HuzhengError(code, f"node.listen {address}") from None


def _is_in_use(address: Address) -> bool:
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(target)
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False

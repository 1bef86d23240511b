"""Who may call what, for every method of every service and every role."""

from __future__ import annotations

import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from huzheng.v1 import (
    ledger_service_pb2,
    operator_service_pb2,
    replica_service_pb2,
    sharing_service_pb2,
    vault_service_pb2,
)

from ledger.errors import Code, HuzhengError
from node.identity import Caller, Role
from node.services.permissions import PERMISSIONS, require_permission

METHODS = [
    f"/{service.full_name}/{method.name}"
    for module in (
        ledger_service_pb2,
        operator_service_pb2,
        replica_service_pb2,
        sharing_service_pb2,
        vault_service_pb2,
        health_pb2,
        reflection_pb2,
    )
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
WRITING = ("Submit", "SubmitStream")
WATCHING = ("WatchBlocks", "WatchRecords", "WatchReliance")


def allowed(method: str, role: Role) -> bool:
    try:
        require_permission(method, Caller("tax", role, "1"))
    except HuzhengError as error:
        return error.code is not Code.CALLER_NOT_ALLOWED
    return True


def test_every_method_that_is_served_is_in_the_table_and_no_other() -> None:
    assert set(PERMISSIONS) - {"/grpc.health.v1.Health/List"} == set(METHODS) - {"/grpc.health.v1.Health/List"}


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("method", METHODS)
def test_roles(method: str, role: Role) -> None:
    service, name = method.removeprefix("/").split("/")
    if service == "huzheng.v1.ReplicaService":
        expected = role is Role.REPLICA
    elif service == "huzheng.v1.VaultService":
        expected = role is Role.SYSTEM or (name == "Disclose" and role is Role.CLERK)
    elif service == "huzheng.v1.OperatorService":
        expected = role is Role.OPERATOR
    elif service == "huzheng.v1.SharingService":
        expected = role is Role.SYSTEM
    elif service != "huzheng.v1.LedgerService" or name in ("GetStatus", "GetMembership"):
        expected = True
    elif name in WRITING:
        expected = role is Role.SYSTEM
    elif name in WATCHING:
        expected = role in (Role.SYSTEM, Role.OPERATOR, Role.AUDITOR)
    else:
        expected = role is not Role.REPLICA
    assert allowed(method, role) is expected


@pytest.mark.parametrize("method", ["/huzheng.v1.LedgerService/Drop", "", "Submit", "/huzheng.v1.LedgerService/submit"])
def test_what_is_not_in_the_table_is_refused_to_everyone(method: str) -> None:
    assert not any(allowed(method, role) for role in Role)


def test_the_refusal_says_which_certificate_is_needed() -> None:
    with pytest.raises(HuzhengError) as refused:
        require_permission("/huzheng.v1.ReplicaService/Connect", Caller("tax", Role.CLERK, "1"))
    assert refused.value.detail == "a clerk certificate; needed: replica"

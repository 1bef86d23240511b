"""Who may call what: one table from method to roles. What is not in it is refused to everyone.

A role says what a certificate is for; which department's data a caller may submit is checked where it is known (see
node/intake.py). All departments hold the whole chain, so reading it needs no more than a role.
"""

from __future__ import annotations

from collections.abc import Mapping

from ledger.errors import Code, HuzhengError
from node.identity import Caller, Role

_LEDGER = "/huzheng.v1.LedgerService/"
_OPERATOR = "/huzheng.v1.OperatorService/"
_REPLICA = "/huzheng.v1.ReplicaService/"
_SHARING = "/huzheng.v1.SharingService/"
_VAULT = "/huzheng.v1.VaultService/"

_OPERATORS = frozenset({Role.OPERATOR})
_WRITERS = frozenset({Role.SYSTEM})
_READERS = frozenset({Role.SYSTEM, Role.CLERK, Role.OPERATOR, Role.AUDITOR})
_WATCHERS = frozenset({Role.SYSTEM, Role.OPERATOR, Role.AUDITOR})
_HOLDERS = frozenset({Role.SYSTEM, Role.CLERK})
_REPLICAS = frozenset({Role.REPLICA})
_ANYONE = frozenset(Role)

PERMISSIONS: Mapping[str, frozenset[Role]] = {
    _LEDGER + "Submit": _WRITERS,
    _LEDGER + "SubmitStream": _WRITERS,
    _LEDGER + "GetRecord": _READERS,
    _LEDGER + "ListHistory": _READERS,
    _LEDGER + "ListRecords": _READERS,
    _LEDGER + "GetTransaction": _READERS,
    _LEDGER + "GetBlock": _READERS,
    _LEDGER + "GetReceipt": _READERS,
    _LEDGER + "GetStatement": _READERS,
    _LEDGER + "GetHistory": _READERS,
    _LEDGER + "GetCatalogue": _READERS,
    _LEDGER + "GetMembership": _ANYONE,
    _LEDGER + "ListReads": _READERS,
    _LEDGER + "ListGrants": _READERS,
    _LEDGER + "ListErasures": _READERS,
    _LEDGER + "GetAlerts": _READERS,
    _LEDGER + "ListReliance": _READERS,
    _LEDGER + "WatchReliance": _WATCHERS,
    _LEDGER + "WatchBlocks": _WATCHERS,
    _LEDGER + "WatchRecords": _WATCHERS,
    _LEDGER + "GetStatus": _ANYONE,
    _SHARING + "Release": _WRITERS,
    _OPERATOR + "Backup": _OPERATORS,
    _REPLICA + "Connect": _REPLICAS,
    _REPLICA + "FetchBlocks": _REPLICAS,
    # Of the node's own department alone (see node/vault_access.py).
    _VAULT + "Deposit": _WRITERS,
    _VAULT + "Keep": _WRITERS,
    _VAULT + "Disclose": _HOLDERS,
    "/grpc.health.v1.Health/Check": _ANYONE,
    "/grpc.health.v1.Health/List": _ANYONE,
    "/grpc.health.v1.Health/Watch": _ANYONE,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _ANYONE,
}


def require_permission(method: str, caller: Caller) -> None:
    """Refuses a caller whose role may not call the method (its full name).

    Raises:
        HuzhengError: CALLER_NOT_ALLOWED.
    """
    roles = PERMISSIONS.get(method, frozenset())
    if caller.role not in roles:
        needed = ", ".join(sorted(roles)) or "none"
        raise HuzhengError(Code.CALLER_NOT_ALLOWED, f"a {caller.role} certificate; needed: {needed}")

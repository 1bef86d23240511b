"""Which operation is whose, and what carries it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from huzheng.v1 import genesis_pb2
from huzheng.v1 import transaction_pb2 as pb

from ledger.sharing.context import Context
from ledger.sharing.erasing import acknowledge_erasure, order_erasure, order_expunge
from ledger.sharing.granting import apply_grant, approve_grant, end_grant, refuse_grant
from ledger.sharing.publishing import publish_duty, publish_resource, publish_table, withdraw
from ledger.sharing.reading import acknowledge_read, read_fields

PUBLISHING = frozenset({"publish_duty", "publish_resource", "publish_table", "withdraw"})
"""Operations that change the catalogue."""
_SYSTEM = frozenset({"read_fields", "acknowledge_read", "acknowledge_erasure"})

_CARRY_OUT: Mapping[str, Callable[[Context, Any], None]] = MappingProxyType(
    {
        "publish_duty": publish_duty,
        "publish_resource": publish_resource,
        "publish_table": publish_table,
        "withdraw": withdraw,
        "apply_grant": apply_grant,
        "approve_grant": approve_grant,
        "refuse_grant": refuse_grant,
        "end_grant": end_grant,
        "read_fields": read_fields,
        "acknowledge_read": acknowledge_read,
        "order_erasure": order_erasure,
        "acknowledge_erasure": acknowledge_erasure,
        "expunge": order_expunge,
    }
)


def role_for(kind: str) -> genesis_pb2.KeyRole.ValueType:
    """Whose key may sign an operation of this kind (X3, 5)."""
    return genesis_pb2.KEY_ROLE_SYSTEM if kind in _SYSTEM else genesis_pb2.KEY_ROLE_ADMIN


def publishes(body: pb.TransactionBody) -> bool:
    """Whether a transaction changes the catalogue if it is accepted."""
    return any(kind_of(operation) in PUBLISHING for operation in body.operations)


def kind_of(operation: pb.Operation) -> str:
    """Which of the kinds an operation is. One that this version does not know is not well formed (T3)."""
    return operation.WhichOneof("operation") or ""


def carry_out(context: Context, operation: pb.Operation) -> None:
    """Carries out an operation of sections 14, 16 and 17.

    Raises:
        Refused.
    """
    kind = kind_of(operation)
    _CARRY_OUT[kind](context, getattr(operation, kind))

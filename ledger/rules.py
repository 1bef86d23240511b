"""The versions of docs/protocol.md that this software can execute, and where they differ (docs/protocol.md M7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from huzheng.v1 import transaction_pb2 as pb


def _refuse_nothing(_body: pb.TransactionBody) -> pb.ResultCode.ValueType:
    return pb.RESULT_CODE_ACCEPTED


@dataclass(frozen=True, slots=True)
class Rules:
    """One version: what it does otherwise than the version before."""

    version: int
    operations: frozenset[str] = frozenset(field.name for field in pb.Operation.DESCRIPTOR.fields)
    """The operations that it knows (T3)."""
    refuses: Callable[[pb.TransactionBody], pb.ResultCode.ValueType] = _refuse_nothing
    """Why it refuses a transaction that all other rules accept; ACCEPTED if it does not."""


RULES: Mapping[int, Rules] = MappingProxyType({3: Rules(3)})
"""By version. A node that needs another stops before the first block it is in force for."""

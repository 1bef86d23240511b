"""What an operation is carried out in."""

from __future__ import annotations

from dataclasses import dataclass

from huzheng.v1 import transaction_pb2 as pb

from ledger.catalogue_rules import is_text
from ledger.crypto import HASH_BYTES, Height
from ledger.genesis import Genesis
from ledger.outcome import Refused
from ledger.published import Published
from ledger.state import Overlay


@dataclass(frozen=True, slots=True)
class Context:
    """One operation's transaction, its block, and the state before it, which it changes."""

    genesis: Genesis
    state: Overlay
    published: Published
    """The catalogue before the operation; what it publishes is not yet in there."""
    department: str
    transaction_id: bytes
    height: Height
    time_ms: int
    """The block's."""
    index: int
    """The operation's position."""

    def refuse(self, code: pb.ResultCode.ValueType) -> Refused:
        """To be raised."""
        return Refused(code, self.index)

    def require(self, condition: bool, code: pb.ResultCode.ValueType = pb.RESULT_CODE_BAD_OPERATION) -> None:
        """Refuses the transaction unless the condition holds."""
        if not condition:
            raise Refused(code, self.index)

    def require_text(self, text: str, max_bytes: int) -> None:
        """Text by F1, not empty."""
        self.require(is_text(text, max_bytes))

    def require_hash(self, value: bytes) -> None:
        """Something of a hash's length."""
        self.require(len(value) == HASH_BYTES)

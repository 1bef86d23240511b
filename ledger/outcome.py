"""How a transaction ends (docs/protocol.md X3)."""

from __future__ import annotations

from dataclasses import dataclass

from huzheng.v1 import transaction_pb2 as pb


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a transaction ended, or would end: the code, and the position of the record or operation it is about."""

    code: pb.ResultCode.ValueType
    index: int

    @property
    def accepted(self) -> bool:
        """Whether it takes effect."""
        return self.code == pb.RESULT_CODE_ACCEPTED


class Refused(Exception):
    """A transaction is refused; everything it did so far is dropped."""

    def __init__(self, code: pb.ResultCode.ValueType, index: int = 0) -> None:
        super().__init__(code, index)
        self.code = code
        self.index = index

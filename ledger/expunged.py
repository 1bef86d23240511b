"""Payloads that are not there any more, as an order has removed them: what is left of them (docs/protocol.md E3, E4)."""

from __future__ import annotations

from collections.abc import Iterator

from huzheng.v1 import transaction_pb2 as pb

from ledger.crypto import HASH_BYTES, Domain, Suite, strict

_PAYLOAD_REFUSALS = frozenset(
    {
        pb.RESULT_CODE_BAD_PAYLOAD,
        pb.RESULT_CODE_UNKNOWN_FIELD,
        pb.RESULT_CODE_BAD_FIELD,
        pb.RESULT_CODE_MISSING_FIELD,
    }
)
"""What X5 may say of a payload."""


def is_removed(suite: Suite, record: pb.Record, payload: bytes) -> bool:
    """Whether a record commits to a payload that is not there: it asserts, and the empty payload has another digest."""
    if payload or record.action != pb.RECORD_ACTION_ASSERT:
        return False
    digest = record.payload_digest
    return len(digest) == HASH_BYTES and digest != suite.digest(Domain.PAYLOAD, b"")


def judgement(result: pb.TransactionResult, position: int) -> pb.ResultCode.ValueType:
    """What X5's checks of a payload that is gone came to, by the result of its transaction: ACCEPTED unless it was refused for it."""
    refused = result.code in _PAYLOAD_REFUSALS and result.index == position
    return result.code if refused else pb.RESULT_CODE_ACCEPTED


def removed_positions(suite: Suite, message: pb.Transaction) -> Iterator[int]:
    """Of the records whose payloads are gone. Raises HuzhengError(NOT_STRICT) if a record is damaged."""
    for position, (raw, payload) in enumerate(zip(message.records, message.payloads, strict=False)):
        if not payload and is_removed(suite, strict.read(pb.Record, raw), payload):
            yield position


def without_payload(message: pb.Transaction, position: int) -> bool:
    """Removes the payload at a position from a transaction; False if there is none to remove."""
    if position >= len(message.payloads) or not message.payloads[position]:
        return False
    message.payloads[position] = b""
    return True

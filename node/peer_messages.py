"""What replicas send one another, read with care: a few bytes must not become much memory or work.

Protobuf makes an object of every two-byte message, so the parts are counted before they are parsed. Whoever sends more than
a correct replica ever does loses its link.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from google.protobuf.message import DecodeError
from huzheng.v1 import consensus_pb2, replica_service_pb2

from consensus.memory import MAX_SEEN
from consensus.votes import PeerPayload
from ledger.errors import Code, HuzhengError

Payload = PeerPayload | replica_service_pb2.ForwardedTransactions | replica_service_pb2.PeerClock
"""What one replica has to say to another."""

MAX_GROUP_MESSAGES = 1_024
MAX_FORWARDED = 1_024
"""Transactions in one message."""
MAX_STATUS_SLOTS = 1_024
"""The largest watermark window (docs/protocol.md section 8)."""
MAX_SMALL_BYTES = 32 * 1024
"""Messages other than batches, forwarded transactions, envelopes and greetings; a status with the most slots takes less."""

_FIELDS: Mapping[type[Payload], str] = MappingProxyType(
    {
        consensus_pb2.Proposal: "proposal",
        consensus_pb2.Envelope: "envelope",
        consensus_pb2.ReplicaStatus: "status",
        consensus_pb2.Greeting: "greeting",
        consensus_pb2.BatchFound: "batch_found",
        replica_service_pb2.ForwardedTransactions: "forwarded",
        replica_service_pb2.PeerClock: "clock",
    }
)
"""Of a `PeerMessage`, the one that each is in."""
_TAG_REPEATED = 0x0A
_TAG_FORWARDED = 0x22
_TAG_GREETING = 0x32
_MAX_PARTS = {_TAG_FORWARDED: MAX_FORWARDED, _TAG_GREETING: MAX_SEEN}
"""Messages that are one repeated field, and how many elements it may have."""
_TAG_EPOCH = 0x10
"""The one number that may follow them: a greeting's epoch."""
_TAGS_LARGE = b"\x0a\x12\x3a"
"""Proposals, envelopes (of which consensus limits the body by its kind) and batches found: one large text of bytes in each."""
_EMPTY = (b"", bytes((_TAG_FORWARDED, 0)))
"""No kind at all, and no transactions: they cost work and say nothing. A greeting or status may well be empty."""
_MAX_VARINT_BYTES = 5
_MAX_NUMBER_BYTES = 10


def write_message(payload: Payload) -> bytes:
    """A `PeerMessage`, as it travels."""
    message = replica_service_pb2.PeerMessage(**{_FIELDS[type(payload)]: payload})  # type: ignore[arg-type]
    return message.SerializeToString()


def read_group(raw: bytes) -> list[replica_service_pb2.PeerMessage]:
    """The messages of a ConnectRequest or ConnectResponse, which have the same form.

    Raises:
        HuzhengError: INVALID_REQUEST for what no correct replica sends.
    """
    return [read_message(part) for part in _parts(raw, MAX_GROUP_MESSAGES)]


def read_block(raw: bytes) -> bytes:
    """The block in a FetchBlocksResponse.

    Raises:
        HuzhengError: INVALID_REQUEST.
    """
    try:
        return replica_service_pb2.FetchBlocksResponse.FromString(raw).block
    except DecodeError:
        raise _unreadable() from None


def read_message(raw: bytes) -> replica_service_pb2.PeerMessage:
    """What `write_message` makes.

    Raises:
        HuzhengError: INVALID_REQUEST for what no correct replica sends.
    """
    if raw in _EMPTY:
        raise HuzhengError(Code.INVALID_REQUEST, "an empty message")
    if raw and raw[0] in _MAX_PARTS:
        for _ in _parts(_only_field(raw), _MAX_PARTS[raw[0]]):
            pass
    elif len(raw) > MAX_SMALL_BYTES:
        if raw[0] not in _TAGS_LARGE:
            raise HuzhengError(Code.INVALID_REQUEST, "too large for its kind")
        _only_field(raw)
    try:
        message = replica_service_pb2.PeerMessage.FromString(raw)
    except (DecodeError, RecursionError):
        raise _unreadable() from None
    if len(message.status.slots) > MAX_STATUS_SLOTS:
        raise HuzhengError(Code.INVALID_REQUEST, "a status of too many slots")
    return message


def _parts(raw: bytes, limit: int) -> Iterator[bytes]:
    """The elements of a message that has nothing but a repeated field 1, and perhaps a number."""
    position = 0
    count = 0
    while position < len(raw):
        if raw[position] == _TAG_EPOCH:
            position = _after_number(raw, position + 1)
            if position < len(raw):
                raise _unreadable()
            return
        if raw[position] != _TAG_REPEATED:
            raise _unreadable()
        start, position = _span(raw, position + 1)
        count += 1
        if count > limit:
            raise HuzhengError(Code.INVALID_REQUEST, f"more than {limit} in one message")
        yield raw[start:position]


def _only_field(raw: bytes) -> bytes:
    start, stop = _span(raw, 1)
    if stop != len(raw):
        raise _unreadable()
    return raw[start:stop]


def _span(raw: bytes, position: int) -> tuple[int, int]:
    """Where the bytes that a length announces start and stop."""
    length = 0
    for index, byte in enumerate(raw[position : position + _MAX_VARINT_BYTES]):
        length |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            start = position + index + 1
            if start + length > len(raw):
                raise _unreadable()
            return start, start + length
    raise _unreadable()


def _after_number(raw: bytes, position: int) -> int:
    """Where the number that starts here has ended."""
    for index, byte in enumerate(raw[position : position + _MAX_NUMBER_BYTES]):
        if byte < 0x80:
            return position + index + 1
    raise _unreadable()


def _unreadable() -> HuzhengError:
    return HuzhengError(Code.INVALID_REQUEST, "not a message between replicas")
